"""The page at /phone in Chromium: a WebRTC account registers over WSS, and the page says what happens."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.peers import procfs
from tests.peers.browser import Browser
from tests.peers.phone import Account
from tests.wire.conftest import Report
from tests.wire.need import need, need_browser, rounds
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
    assert len(seen) > LOST_SECONDS
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
    assert "its IP restriction does not allow this address" in browser.text()
    assert wss.status(softphone)["lastRejectedIp"] == "127.0.0.1"
    wss.patch(softphone, ip={"mode": "OPEN"})
    browser.press("#register")
    shows(browser, registration="registered")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"server": "https://127.0.0.1"}, "The server must read wss://host:port"),
        ({"username": ""}, "The account has no username"),
        ({"username": "<b>x</b>"}, "The username has odd characters"),
        ({"domain": "a b"}, "The domain is no host name"),
    ],
    ids=["server", "no username", "username", "domain"],
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
    begun = time.monotonic()
    shows(browser, BACK_SECONDS, registration="registered")
    report(f"registered {time.monotonic() - begun:.1f} s after the server was back")
    assert wss.status(softphone)["online"] is True
    assert len(wss.bindings(softphone)) == 1
