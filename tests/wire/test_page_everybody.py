"""The page at /phone for everybody: by keyboard, with a screen reader, in the dark, on a narrow screen."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.peers.accessible import examine
from tests.peers.browser import Browser, Tab
from tests.peers.browser_phone import BrowserPhone
from tests.wire.looks import LOOKS
from tests.wire.need import need_browser
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

SEEN_SECONDS: Final = 60.0
TONES: Final = (1000, 700)
NUMBERS: Final = count(4001)
FOCUS: Final = "document.activeElement.closest('.call')?.dataset.state ?? document.activeElement.tagName"
RULES: Final = 10
"""At least so many of axe-core's rules find something to look at."""


@pytest.fixture(scope="module")
def wss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_browser()
    with Site(tmp_path_factory.mktemp("wss"), transports=["wss"]) as site:
        yield site


@pytest.fixture(scope="module")
def browser(wss: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture
def phones(wss: Site, browser: Browser) -> Iterator[tuple[BrowserPhone, BrowserPhone, str]]:
    """Two pages that are registered, and the number of the second one."""
    made = []
    for tone, number in zip(TONES, map(str, NUMBERS), strict=False):
        extension = wss.api("POST", "/pbx/extension", {"number": number, "name": f"Person {number}"})
        account = wss.new_phone(extension=extension.body["_id"]).account
        phone = BrowserPhone(browser.tab(number), tone=tone)
        phone.register(account, "wss://{}:{}".format(*wss.wss))
        made.append((phone, number))
    (anna, _), (bert, called) = made
    yield anna, bert, called
    for phone, _ in made:
        phone.tab.close_tab()


def looks_well(tab: Tab, folder: Path, name: str) -> None:
    """Check the page as it is: wide and light, narrow and dark; with SOAK=1 in all four ways."""
    for width, dark in LOOKS:
        shown = tab.screenshot(folder / f"{name}-{width}-{dark}.png", width=width, dark=dark)
        found = examine(tab)
        assert (found.serious, shown) == ([], width), f"{name}, {width} pixels, dark: {dark}"
        assert found.passed >= RULES


# What everybody sees


def test_the_form_is_for_everybody(wss: Site, browser: Browser, tmp_path: Path) -> None:
    page = "http://{}:{}/phone".format(*wss.http)
    browser.open(page)
    looks_well(browser, tmp_path, "form")
    link = {"username": "u", "password": "p", "domain": "d.test", "server": "wss://elsewhere.test:1"}
    browser.open(f"{page}#{urlencode(link)}")
    assert "wss://elsewhere.test:1" in browser.text()
    looks_well(browser, tmp_path, "doubt")


def test_a_registration_is_for_everybody(
    phones: tuple[BrowserPhone, BrowserPhone, str], tmp_path: Path
) -> None:
    phone, _, _ = phones
    looks_well(phone.tab, tmp_path, "registered")
    phone.tab.press("#unregister")
    within(SEEN_SECONDS, lambda: phone.tab.state()["registration"] == "unregistered", "it is unregistered")
    looks_well(phone.tab, tmp_path, "unregistered")


def test_what_went_wrong_is_for_everybody(wss: Site, browser: Browser, tmp_path: Path) -> None:
    """A wrong password; then a server that is not there."""
    account = wss.new_phone().account
    fields = {"username": account.username, "password": "wrong", "domain": account.domain}
    server = "wss://{}:{}".format(*wss.wss)
    browser.open("http://{}:{}/phone#".format(*wss.http) + urlencode({**fields, "server": server}))
    within(SEEN_SECONDS, lambda: browser.state()["registration"] == "refused", "it is refused")
    looks_well(browser, tmp_path, "refused")
    browser.fill("#number", "1")
    browser.key("#number", "Enter")
    assert "The phone is not registered: it cannot call." in browser.text()
    looks_well(browser, tmp_path, "problem")
    browser.press("#other")
    fields |= {"password": account.password, "server": "wss://127.0.0.1:9"}
    browser.open("http://{}:{}/phone#".format(*wss.http) + urlencode(fields))
    browser.press("#form button")
    within(SEEN_SECONDS, lambda: browser.state().get("closeCode") == "1006", "it cannot connect")
    looks_well(browser, tmp_path, "disconnected")


def test_a_call_is_for_everybody(phones: tuple[BrowserPhone, BrowserPhone, str], tmp_path: Path) -> None:
    anna, bert, number = phones
    anna.call(number)
    bert.wait_incoming()
    anna.wait("ringing")
    looks_well(anna.tab, tmp_path, "ringing")
    looks_well(bert.tab, tmp_path, "incoming")
    bert.answer()
    looks_well(bert.tab, tmp_path, "talking")
    bert.mute()
    bert.keys("1#")
    bert.hold()
    looks_well(bert.tab, tmp_path, "held")
    bert.hang_up()
    looks_well(bert.tab, tmp_path, "ended")


# Where the focus is


@pytest.mark.parametrize("by", ["keyboard", "mouse"])
def test_the_focus_stays_with_the_call(phones: tuple[BrowserPhone, BrowserPhone, str], by: str) -> None:
    anna, bert, number = phones

    def use(action: str, *states: str) -> None:
        selector = f"#calls [data-do={action}]:visible"
        bert.tab.key(selector, "Enter") if by == "keyboard" else bert.tab.press(selector)
        bert.wait(*states, within=SEEN_SECONDS)

    anna.call(number)
    bert.wait("incoming", within=SEEN_SECONDS)
    use("answer", "talking")
    assert bert.tab.evaluate(FOCUS) == "talking"
    use("hold", "held")
    assert bert.tab.evaluate(FOCUS) == "held"
    use("resume", "talking")
    assert bert.tab.evaluate(FOCUS) == "talking"
    use("hangUp", "ended")
    assert bert.tab.evaluate(FOCUS) == "ended"
    anna.call(number)
    bert.wait("incoming", within=SEEN_SECONDS)
    use("decline", "ended")
    assert bert.tab.evaluate(FOCUS) == "ended"


@pytest.mark.parametrize("part", ["[data-key='5']", "[name=number]", "[data-do=mute]"])
def test_the_focus_stays_with_a_call_that_the_other_side_ends(
    phones: tuple[BrowserPhone, BrowserPhone, str], part: str
) -> None:
    anna, bert, number = phones
    anna.call(number)
    bert.wait_incoming()
    bert.answer()
    anna.wait("talking")
    bert.tab.evaluate(f'document.querySelector("#calls {part}").focus()')
    anna.hang_up()
    bert.wait("ended", within=SEEN_SECONDS)
    assert bert.tab.evaluate(FOCUS) == "ended"


def test_the_focus_of_a_card_that_goes_is_at_the_next_call(
    phones: tuple[BrowserPhone, BrowserPhone, str],
) -> None:
    anna, bert, number = phones
    anna.call(number)
    bert.wait_incoming()
    bert.decline()
    bert.wait("ended")
    anna.wait("ended")
    bert.tab.evaluate("document.querySelector('.call[data-state=ended]').focus()")
    anna.call(number)
    bert.wait("incoming", within=SEEN_SECONDS)
    assert bert.tab.evaluate(FOCUS) == "incoming"


def test_the_focus_elsewhere_is_left_alone(phones: tuple[BrowserPhone, BrowserPhone, str]) -> None:
    anna, bert, number = phones
    bert.tab.evaluate("document.querySelector('#number').focus()")
    anna.call(number)
    bert.wait_incoming()
    anna.hang_up()
    bert.wait("ended", within=SEEN_SECONDS)
    assert bert.tab.evaluate(FOCUS) == "INPUT"


def test_the_button_that_registers_keeps_the_focus(phones: tuple[BrowserPhone, BrowserPhone, str]) -> None:
    tab = phones[0].tab
    tab.key("#unregister", "Enter")
    within(SEEN_SECONDS, lambda: tab.state()["registration"] == "unregistered", "it is unregistered")
    assert tab.evaluate("document.activeElement.id") == "unregister"
    tab.key("#register", "Enter")
    within(SEEN_SECONDS, lambda: tab.state()["registration"] == "registered", "it is registered")
    assert tab.evaluate("document.activeElement.id") == "register"
