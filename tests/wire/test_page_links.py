"""The page at /phone and a server that is not its own: it asks before, and tells why it was refused."""

import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.peers.browser import Browser
from tests.peers.browser_phone import NEAR, ORIGIN, page_files
from tests.peers.other_side import OtherSide
from tests.wire.need import need_browser
from tests.wire.site import within

pytestmark = pytest.mark.wire

OWN: Final = "wss://127.0.0.1:9"
"""What the page takes for the server of its own; nobody listens there."""
SEEN_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 2.0
DOUBT: Final = "The link leads to another server than that of this page: "


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    need_browser()
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture
def other() -> Iterator[OtherSide]:
    with OtherSide() as side:
        yield side


def open_link(browser: Browser, server: str, *, own: str = OWN, **more: str) -> None:
    """Open the page whose server is `own` by a link that names `server`."""
    link = {"username": "anna", "password": "secret", "domain": "phones.test", "server": server, **more}
    files = page_files(own)
    browser.open(f"{ORIGIN}/phone#{urlencode(link)}", files=files, permissions=[NEAR])


def registers(browser: Browser) -> None:
    within(SEEN_SECONDS, lambda: browser.state()["registration"] == "registered", "it is registered")


def test_a_link_to_another_server_waits_for_a_yes(browser: Browser, other: OtherSide) -> None:
    open_link(browser, other.url)
    assert f"{DOUBT}{other.url}. Connect only if you know it." in browser.text()
    time.sleep(QUIET_SECONDS)
    assert (browser.state()["connection"], other.connected) == ("idle", False)
    browser.press("#form button")
    registers(browser)
    assert other.connected
    browser.reload()
    registers(browser)


def test_a_link_without_a_yes_is_forgotten(browser: Browser, other: OtherSide) -> None:
    open_link(browser, other.url)
    browser.reload()
    time.sleep(QUIET_SECONDS)
    assert (browser.state()["connection"], other.connected) == ("idle", False)
    assert DOUBT not in browser.text()


def test_a_link_to_another_server_comes_into_an_open_page(browser: Browser, other: OtherSide) -> None:
    with OtherSide() as own:
        open_link(browser, own.url, own=own.url)
        registers(browser)
        link = urlencode({"username": "u", "password": "p", "domain": "d.test", "server": other.url})
        browser.evaluate(f"location.hash = '{link}'")
        within(SEEN_SECONDS, lambda: DOUBT in browser.text(), "it asks")
        assert (browser.state()["connection"], other.connected) == ("idle", False)
        browser.reload()
        registers(browser)  # with the account that this tab had


@pytest.mark.parametrize(
    ("server", "same"),
    [
        pytest.param("wss://127.0.0.1:9/", True, id="with a path"),
        pytest.param("WSS://127.0.0.1:9", True, id="in capitals"),
        pytest.param("ws://127.0.0.1:9", False, id="without TLS"),
        pytest.param("wss://127.0.0.1:99", False, id="another port"),
        pytest.param("wss://127.0.0.1:9@127.0.0.2:9", False, id="another host"),
    ],
)
def test_which_server_is_the_own_one(browser: Browser, server: str, same: bool) -> None:
    open_link(browser, server)
    assert (DOUBT in browser.text()) == (not same)
    assert (browser.state()["connection"] == "idle") == (not same)


def test_a_page_that_knows_no_server_of_its_own_asks(browser: Browser, other: OtherSide) -> None:
    open_link(browser, other.url, own="")
    assert DOUBT in browser.text()


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        pytest.param(
            ("403 Forbidden", 'Warning: 399 registrar "too many wrong passwords"'),
            "The server does not let this phone register. The server says: too many wrong passwords.",
            id="403",
        ),
        pytest.param(
            ("400 Bad Request", r'Warning: 399 [::1]:5060 "Contact: \"<b>x</b>\" is no \\ URI."'),
            'The server could not read the request. The server says: Contact: "<b>x</b>" is no \\ URI.',
            id="400, quoted",
        ),
        pytest.param(
            ("480 Temporarily Unavailable", 'Warning: 399 registrar "sips: needs TLS"'),
            "The server refused the registration. The server says: sips: needs TLS.",
            id="480",
        ),
        pytest.param(("403 Forbidden",), "its IP restriction does not allow this", id="no reason"),
        pytest.param(("403 Forbidden", "Warning: 399"), "its IP restriction does not allow", id="half a one"),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_server(
    browser: Browser, refusal: tuple[str, ...], told: str
) -> None:
    with OtherSide(refusal) as other:
        open_link(browser, other.url, own=other.url)
        within(SEEN_SECONDS, lambda: browser.state()["registration"] == "refused", "it is refused")
        assert told in browser.text()
        assert browser.evaluate("document.querySelectorAll('#registration b').length") == 0
