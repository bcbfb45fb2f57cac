"""The page at /phone in Chromium: a WebRTC account registers over WSS, and the page says what happens."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.peers import procfs
from tests.peers.browser import Browser
from tests.peers.browser_phone import BrowserPhone
from tests.peers.phone import Account
from tests.wire.conftest import Report
from tests.wire.need import need, need_browser, rounds
from tests.wire.nodes import process
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

SEEN_SECONDS: Final = 10.0
LOST_SECONDS: Final = 10.0
"""A closed connection has 8 s to come back."""
BACK_SECONDS: Final = 40.0
"""JsSIP waits 2 to 30 s between its attempts."""
POLL_SECONDS: Final = 0.05
ELSEWHERE: Final = "192.0.2.7"
NARROW: Final = 360
NUMBERS: Final = count(3001)
TONES: Final = (1000, 700, 1500)
"""What the pages that call speak: different, so that nobody hears an echo for the other one."""


@dataclass(frozen=True)
class Softphone(Handset):
    """A phone for a browser, and where it connects."""

    server: str

    def link(self, site: Site) -> str:
        """The page with this account."""
        account = self.account
        fields = {"username": account.username, "password": account.password, "domain": account.domain}
        return f"{page(site)}#{urlencode({**fields, 'server': self.server})}"


def page(site: Site) -> str:
    return "http://{}:{}/phone".format(*site.http)


@pytest.fixture(scope="module")
def wss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that browsers reach, with a certificate that it signed itself."""
    need_browser()
    need("redis-cli")
    with Site(tmp_path_factory.mktemp("wss"), transports=["wss"]) as site:
        yield site


@pytest.fixture(scope="module")
def browser(wss: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all; each test opens a tab."""
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture
def softphone(wss: Site, request: pytest.FixtureRequest) -> Softphone:
    """A phone of the test's own, made as a program makes one for a browser."""
    if not wss.running:  # a test that failed had stopped it
        wss.start()
    made = wss.api("POST", "/pbx/sipphone/webrtc", {"instanceId": request.node.name, "v2": True})
    assert made.status == 200, made
    account = Account(made.body["username"], made.body["password"], wss.demo()["domain"])
    return Softphone(made.body["_id"], account, made.body["server"])


def shows(browser: Browser, seconds: float = SEEN_SECONDS, **wanted: str) -> dict[str, str]:
    """The state of the page as soon as it is what is wanted."""
    within(seconds, lambda: wanted.items() <= browser.state().items(), f"{wanted}: {browser.text()}")
    return browser.state()


def open_registered(browser: Browser, site: Site, softphone: Softphone) -> dict[str, str]:
    """Open the page, and wait until it says that it is registered."""
    assert browser.open(softphone.link(site)) == 200
    return shows(browser, registration="registered")


# Registered


def test_the_page_registers_and_tells_until_when(wss: Site, browser: Browser, softphone: Softphone) -> None:
    state = open_registered(browser, wss, softphone)
    assert (state["connection"], state["status"]) == ("connected", "200")
    status = wss.status(softphone)
    assert (status["online"], status["reason"]) == (True, "registered")
    assert (status["transport"], status["publicIpAddress"]) == ("wss", "127.0.0.1")
    assert re.fullmatch(r"registrar-phone/\S+ JsSIP/[\d.]+", status["userAgent"])
    public = wss.status_hash(softphone)
    assert (public["online"], public["transport"], public["state"]) == ("1", "wss", "registered")
    assert public["userAgent"] == status["userAgent"]
    assert abs(int(state["until"]) / 1000 - int(public["expiresAt"])) < 3
    assert re.search(r"registered until \d\d:\d\d:\d\d\n", browser.text())
    assert browser.problems() == [], "nothing that its policy forbids, and no error"


def test_the_link_that_the_demo_prints_registers(wss: Site, browser: Browser) -> None:
    printed = re.search(r"page +(http\S+)", wss.command("demo"))
    assert printed
    assert browser.open(printed[1]) == 200
    shows(browser, registration="registered")
    told = wss.demo()["webrtc"]
    account = Account(told["username"], told["password"], told["domain"])
    assert wss.status(Handset(told["_id"], account))["online"] is True


def test_the_form_does_what_the_link_does(wss: Site, browser: Browser, softphone: Softphone) -> None:
    browser.open(page(wss))
    assert browser.state()["connection"] == "idle"
    browser.fill("input[name=username]", softphone.account.username)
    browser.fill("input[name=password]", softphone.account.password)
    browser.press("form button")  # domain and server are filled in
    shows(browser, registration="registered")
    browser.reload()
    shows(browser, registration="registered")
    assert len(wss.bindings(softphone)) == 1


def addresses(browser: Browser) -> list[str]:
    """What the address bar shows, and each entry of the tab's history."""
    found = browser.evaluate("[location.href, ...navigation.entries().map(({ url }) => url)]")
    assert len(found) > 1
    return [str(address) for address in found]


def test_the_link_loses_its_secret_at_once(wss: Site, browser: Browser, softphone: Softphone) -> None:
    assert browser.open(softphone.link(wss)) == 200
    assert set(addresses(browser)) == {page(wss)}, "before it is registered"
    shows(browser, registration="registered")
    browser.reload()
    shows(browser, registration="registered")
    assert set(addresses(browser)) == {page(wss)}
    assert softphone.account.password not in browser.evaluate("document.documentElement.outerHTML")


def test_another_link_in_the_same_tab_loses_its_secret_too(
    wss: Site, browser: Browser, softphone: Softphone
) -> None:
    open_registered(browser, wss, softphone)
    wrong = replace(softphone, account=replace(softphone.account, password="x" * 32))
    browser.evaluate(f"location.hash = {json.dumps(wrong.link(wss).partition('#')[2])}")
    shows(browser, registration="refused", status="401")
    assert set(addresses(browser)) == {page(wss)}
    assert len(addresses(browser)) == 3, "the first page, and the second"


def test_a_link_that_names_a_part_of_an_account_loses_it(wss: Site, browser: Browser) -> None:
    browser.open(f"{page(wss)}#password=secret")
    assert set(addresses(browser)) == {page(wss)}
    assert "The account has no username" in browser.text()


def test_the_buttons_take_it_back_and_make_it_again(
    wss: Site, browser: Browser, softphone: Softphone
) -> None:
    open_registered(browser, wss, softphone)
    browser.press("#unregister")
    shows(browser, registration="unregistered", status="200")
    assert (wss.status(softphone)["online"], wss.status(softphone)["reason"]) == (False, "unregistered")
    browser.press("#register")
    shows(browser, registration="registered")
    assert wss.status(softphone)["online"] is True


def test_closing_the_tab_is_noticed(
    wss: Site, browser: Browser, softphone: Softphone, report: Report
) -> None:
    open_registered(browser, wss, softphone)
    browser.close_tab()
    took = within(LOST_SECONDS, lambda: wss.status(softphone)["online"] is False, "it is offline")
    assert wss.status(softphone)["reason"] == "socket-closed"
    assert wss.status_hash(softphone)["reason"] == "socket-closed"
    report(f"offline {took:.1f} s after the tab was closed")


@contextmanager
def watched(site: Site, softphone: Softphone) -> Iterator[list[object]]:
    """What the API says again and again while the block runs: `online`."""
    seen: list[object] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(POLL_SECONDS):
            seen.append(site.status(softphone)["online"])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def test_a_reload_leaves_no_gap(wss: Site, browser: Browser, softphone: Softphone, report: Report) -> None:
    open_registered(browser, wss, softphone)
    before = wss.bindings(softphone)
    count = rounds(5, 20)
    begun = time.monotonic()
    with watched(wss, softphone) as seen:
        for _ in range(count):
            browser.reload()
            shows(browser, registration="registered")
        took = time.monotonic() - begun
        time.sleep(LOST_SECONDS)  # so long the connections of the pages before might still do harm
    report(f"{count} reloads in {took:.1f} s, {len(seen)} looks at the API")
    assert len(seen) > count
    assert set(seen) == {True}
    (after,) = wss.bindings(softphone)
    assert [after] != before, "each page is a registration of its own"


# Refused


def test_a_wrong_password_is_told(wss: Site, browser: Browser, softphone: Softphone) -> None:
    wrong = replace(softphone, account=replace(softphone.account, password="x" * 32))
    browser.open(wrong.link(wss))
    state = shows(browser, registration="refused")
    assert (state["status"], state["connection"]) == ("401", "connected")
    assert "Username or password is wrong" in browser.text()
    assert wss.bindings(softphone) == []


def test_a_phone_that_is_locked_elsewhere_is_told(wss: Site, browser: Browser, softphone: Softphone) -> None:
    wss.patch(softphone, ip={"mode": "LOCKED", "address": ELSEWHERE})
    browser.open(softphone.link(wss))
    state = shows(browser, registration="refused")
    assert state["status"] == "403"
    told = "The server says: this phone is locked to another address than 127.0.0.1: set its ip.mode to OPEN"
    assert told in browser.text()
    assert wss.status(softphone)["lastRejectedIp"] == "127.0.0.1"
    wss.patch(softphone, ip={"mode": "OPEN"})
    browser.press("#register")
    shows(browser, registration="registered")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"server": "https://127.0.0.1"}, "The server must read wss://host:port"),
        ({"username": ""}, "The account has no username"),
        ({"username": "<b>x</b>"}, "The username contains characters that are not allowed"),
        ({"domain": "a b"}, "The domain is not a host name"),
        ({"ice": "[{"}, "The ICE servers (ice) are no JSON list"),
        ({"ice": '[{"urls": "http://x"}]'}, "The ICE servers (ice) are no JSON list"),
    ],
    ids=["server", "no username", "username", "domain", "no JSON", "no ICE server"],
)
def test_an_account_that_is_none_is_told(
    wss: Site, browser: Browser, change: dict[str, str], told: str
) -> None:
    fields = {"username": "u", "password": "p", "domain": "d.test", "server": "wss://127.0.0.1:1"}
    browser.open(f"{page(wss)}#{urlencode(fields | change)}")
    assert told in browser.text()
    assert browser.state()["connection"] == "idle"
    assert browser.problems() == []


# No connection


def test_a_certificate_that_nobody_vouches_for_is_explained(
    wss: Site, softphone: Softphone, tmp_path: Path
) -> None:
    with Browser(tmp_path, trusting=False) as strict:
        family = strict.family
        strict.open(softphone.link(wss))
        shows(strict, connection="disconnected", closeCode="1006")
        text = strict.text()
        assert f"Is its certificate self-signed? Open https://127.0.0.1:{wss.wss[1]}/ once" in text
        assert strict.screenshot(tmp_path / "page.png", width=NARROW) == NARROW
    assert len(family) > 2
    assert not list(filter(procfs.alive, family)), "a closed browser leaves no process behind"


def test_it_fits_a_small_screen(wss: Site, browser: Browser, softphone: Softphone, tmp_path: Path) -> None:
    browser.open(page(wss))
    assert browser.screenshot(tmp_path / "form.png", width=NARROW) == NARROW
    open_registered(browser, wss, softphone)
    assert browser.screenshot(tmp_path / "registered.png", width=NARROW) == NARROW


def test_it_is_back_by_itself_after_the_server_was_away(
    wss: Site, browser: Browser, softphone: Softphone, report: Report
) -> None:
    open_registered(browser, wss, softphone)
    assert wss.stop() == 0
    state = shows(browser, connection="disconnected")
    assert state["registration"] == "none"
    assert "The page tries again" in browser.text()
    wss.start()
    assert wss.redis("get", process(wss).lease), "it listens when its lease is there, or phones look offline"
    begun = time.monotonic()
    shows(browser, BACK_SECONDS, registration="registered")
    report(f"registered {time.monotonic() - begun:.1f} s after the server was back")
    status = wss.status(softphone)
    assert status["online"] is True, status
    assert len(wss.bindings(softphone)) == 1


# Calls


@dataclass(frozen=True)
class Line:
    """A page that is registered as a phone of an extension of its own."""

    number: str
    name: str
    username: str
    phone: BrowserPhone


@pytest.fixture
def lines(wss: Site, browser: Browser) -> Iterator[list[Line]]:
    """Three pages, each with an extension that no other phone rings for."""
    made = []
    for tone, number in zip(TONES, NUMBERS, strict=False):
        name = f"Person {number}"
        extension = wss.api("POST", "/pbx/extension", {"number": str(number), "name": name})
        assert extension.status == 200, extension
        account = wss.new_phone(extension=extension.body["_id"]).account
        phone = BrowserPhone(browser.tab(name), tone=tone)
        phone.register(account, "wss://{}:{}".format(*wss.wss))
        made.append(Line(str(number), name, account.username, phone))
    yield made
    for line in made:
        line.phone.tab.close_tab()


def talking(caller: Line, callee: Line) -> None:
    """Let one call the other, and return when they hear each other."""
    caller.phone.call(callee.number)
    assert callee.phone.wait_incoming() == f"{caller.name} ({caller.number}) calls"
    caller.phone.wait("ringing")
    callee.phone.answer()
    caller.phone.wait("talking")
    assert callee.phone.listens_to(caller.phone.tone)
    assert caller.phone.listens_to(callee.phone.tone)


def test_two_pages_hear_each_other(lines: list[Line]) -> None:
    anna, bert, *_ = lines
    talking(anna, bert)
    assert anna.username not in bert.phone.tab.evaluate("document.documentElement.outerHTML")
    anna.phone.hang_up()
    bert.phone.wait("ended")
    assert (anna.phone.why, bert.phone.why) == ("You hung up.", "The other side hung up.")
    assert anna.phone.tab.problems() == bert.phone.tab.problems() == []


def test_who_is_muted_or_on_hold_is_not_heard(lines: list[Line]) -> None:
    anna, bert, *_ = lines
    talking(anna, bert)
    anna.phone.mute()
    assert bert.phone.is_silent()
    assert anna.phone.listens_to(bert.phone.tone)
    anna.phone.mute()
    anna.phone.hold()
    assert bert.phone.is_silent() and anna.phone.is_silent()
    assert "The other side has put you on hold." in bert.phone.tab.text()
    anna.phone.resume()
    assert bert.phone.listens_to(anna.phone.tone)
    assert anna.phone.listens_to(bert.phone.tone)
    bert.phone.hang_up()
    anna.phone.wait("ended")


def test_a_second_caller_waits(lines: list[Line]) -> None:
    anna, bert, carl = lines
    talking(anna, bert)
    carl.phone.call(anna.number)
    anna.phone.wait("talking", "incoming")
    anna.phone.decline()
    carl.phone.wait("ended")
    assert carl.phone.why == "Busy."
    carl.phone.call(anna.number)
    anna.phone.wait("talking", "incoming")
    anna.phone.tab.press("#calls [data-do=answer]:visible")
    anna.phone.wait("held", "talking")
    assert carl.phone.listens_to(anna.phone.tone)
    assert bert.phone.is_silent()
    anna.phone.hang_up()
    carl.phone.wait("ended")


def test_a_call_is_transferred(lines: list[Line]) -> None:
    anna, bert, carl = lines
    talking(anna, bert)
    anna.phone.refer(carl.number)
    assert carl.phone.wait_incoming() == f"{bert.name} ({bert.number}) calls"
    carl.phone.answer()
    anna.phone.wait("ended")
    assert anna.phone.why == f"Transferred to {carl.number}."
    assert carl.phone.listens_to(bert.phone.tone)
    assert bert.phone.listens_to(carl.phone.tone)
    carl.phone.hang_up()


def test_a_page_that_is_left_hangs_up(lines: list[Line]) -> None:
    anna, bert, *_ = lines
    talking(anna, bert)
    anna.phone.tab.reload()
    bert.phone.wait("ended")
    assert bert.phone.why == "The other side hung up."


def test_a_number_that_nobody_has_is_told(lines: list[Line]) -> None:
    anna, *_ = lines
    anna.phone.call("9999")
    anna.phone.wait("ended")
    assert anna.phone.why.startswith("There is no such number. The server says: ")


def test_a_page_in_a_call_fits_a_small_screen(lines: list[Line], tmp_path: Path) -> None:
    anna, bert, *_ = lines
    talking(anna, bert)
    assert anna.phone.tab.screenshot(tmp_path / "light.png", width=NARROW) == NARROW
    assert bert.phone.tab.screenshot(tmp_path / "dark.png", width=NARROW, dark=True) == NARROW
    anna.phone.hang_up()
