"""What the page at /phone does with a call, against an other side that the test plays word by word."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.browser import Browser
from tests.peers.browser_phone import BrowserPhone
from tests.peers.other_side import OtherSide
from tests.peers.phone import Account
from tests.wire.need import need_browser
from tests.wire.site import within

pytestmark = pytest.mark.wire

ANNA: Final = '"Anna" <sip:1001@phones.test>'
NARROW: Final = 360
OFFER_SECONDS: Final = limit(3.0)
REFUSED: Final = "The browser does not let this page use the microphone."
SHOWN_SECONDS: Final = 5.0
STUN_MAGIC: Final = bytes.fromhex("2112a442")
TO_ALL_OTHERS: Final = 'Reason: SIP;cause=200;text="Call completed elsewhere"'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    need_browser()
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture
def other() -> Iterator[OtherSide]:
    with OtherSide() as side:
        yield side


@pytest.fixture
def phone(browser: Browser, other: OtherSide) -> BrowserPhone:
    """The page, registered at the other side."""
    return registered(browser, other)


def registered(browser: Browser, other: OtherSide, *, ice: str = "", tone: int = 1000) -> BrowserPhone:
    phone = BrowserPhone(browser, tone=tone)
    servers = [{"urls": ice}] if ice else None
    phone.register(Account("anna", "secret", "phones.test"), other.url, servers)
    return phone


# Calling out


def test_the_call_is_what_the_gateway_wants(phone: BrowserPhone, other: OtherSide) -> None:
    phone.call(" 10 02 ")
    invite = other.expect("INVITE")
    assert invite.start == "INVITE sip:1002@phones.test SIP/2.0"
    assert invite["Session-Expires"] == "1800"
    assert "\r\nm=audio " in invite.body and " UDP/TLS/RTP/SAVPF " in invite.body
    assert "m=video" not in invite.body
    assert "\r\na=rtcp-mux\r\n" in invite.body
    assert "telephone-event" in invite.body
    phone.wait("calling")
    other.answer(invite, "180 Ringing")
    phone.wait("ringing")
    phone.hang_up()
    cancel = other.expect("CANCEL")
    other.answer(cancel, "200 OK")
    other.answer(invite, "487 Request Terminated")
    other.expect("ACK")
    assert phone.why == "You hung up before the call was answered."
    assert phone.tab.problems() == []


@pytest.mark.parametrize(
    ("status", "rows", "why"),
    [
        ("404 Not Found", [], "There is no such number."),
        ("408 Request Timeout", [], "There was no answer in time."),
        ("480 Temporarily Unavailable", [], "No phone with this number is online."),
        ("486 Busy Here", [], "Busy."),
        (
            "488 Not Acceptable Here",
            ['Warning: 399 registrar "no media engine"'],
            "The two phones have no kind of sound in common. The server says: no media engine.",
        ),
        ("599 Odd & New", [], "The server has a problem of its own (599 Odd & New)."),
        ("603 Decline", [], "The call was declined."),
    ],
    ids=["unknown", "nobody", "offline", "busy", "no sound", "odd", "declined"],
)
def test_a_call_that_fails_says_why(
    phone: BrowserPhone, other: OtherSide, status: str, rows: list[str], why: str
) -> None:
    phone.call("1002")
    other.answer(other.expect("INVITE"), status, *rows)
    other.expect("ACK")
    phone.wait("ended")
    assert phone.why == why


def test_the_offer_does_not_wait_for_an_address_that_nobody_tells(browser: Browser, other: OtherSide) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stun:
        stun.bind(("127.0.0.1", 0))
        stun.settimeout(OFFER_SECONDS)
        phone = registered(browser, other, ice=f"stun:127.0.0.1:{stun.getsockname()[1]}")
        begun = time.monotonic()
        phone.call("1002")
        assert stun.recv(1500)[4:8] == STUN_MAGIC, "the ICE servers of the link are asked"
        assert "a=candidate:" in other.expect("INVITE").body
        assert time.monotonic() - begun < OFFER_SECONDS


def test_who_is_not_registered_cannot_call(phone: BrowserPhone) -> None:
    phone.tab.press("#unregister")
    phone.call("1002")
    assert "The phone is not registered: it cannot call." in phone.tab.text()
    assert phone.states == []


@pytest.mark.parametrize("number", ["<b>1</b>", "sip:x@y z", "'"])
def test_a_number_that_is_none_is_not_called(phone: BrowserPhone, number: str) -> None:
    phone.call(number)
    assert "A number has letters, digits and + * # . - _ alone." in phone.tab.text()
    assert phone.states == []


# Called


def test_a_caller_is_shown_and_declined(phone: BrowserPhone, other: OtherSide, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    call = other.invite(f'"{name}" <sip:1001@phones.test>')
    assert phone.wait_incoming() == f"{name} (1001) calls"
    assert phone.tab.evaluate("document.title") == f"{name} calls"
    assert phone.tab.evaluate("document.querySelectorAll('#calls img').length") == 0
    other.expect("180")
    assert phone.tab.screenshot(tmp_path / "incoming.png", width=NARROW) == NARROW
    phone.decline()
    other.expect("486")
    call.send("ACK")
    assert phone.why == "You declined the call."
    assert phone.tab.evaluate("document.title") == "Phone"
    assert phone.tab.problems() == []


@pytest.mark.parametrize(
    ("rows", "why"),
    [([], "A missed call: the caller hung up."), ([TO_ALL_OTHERS], "Another phone answered.")],
    ids=["missed", "answered elsewhere"],
)
def test_a_call_that_is_taken_back_says_why(
    phone: BrowserPhone, other: OtherSide, rows: list[str], why: str
) -> None:
    call = other.invite(ANNA)
    assert phone.wait_incoming() == "Anna (1001) calls"
    call.send("CANCEL", *rows)
    other.expect("487")
    call.send("ACK")
    phone.wait("ended")
    assert phone.why == why
    assert f"call from Anna (1001): {why}" in phone.tab.text()


def test_a_third_call_hears_that_the_phone_is_busy(phone: BrowserPhone, other: OtherSide) -> None:
    other.invite(ANNA)
    phone.wait("incoming")
    other.invite('"Bert" <sip:1002@phones.test>')
    phone.wait("incoming", "incoming")
    third = other.invite('"Carl" <sip:1003@phones.test>')
    assert other.expect("486")["Call-ID"] == third.id
    assert phone.states == ["incoming", "incoming"]
    cards, missed = (f"document.querySelector('{part}').textContent" for part in ("#calls", "#missed"))
    assert "Carl" not in phone.tab.evaluate(cards)
    assert "Carl (1003)" in phone.tab.evaluate(missed)


# The microphone


def test_without_a_microphone_it_says_why(other: OtherSide, tmp_path: Path) -> None:
    need_browser()
    with Browser(tmp_path, asking=True) as refusing:
        phone = registered(refusing, other, tone=0)
        phone.call("1002")
        phone.wait("ended")
        assert phone.why.startswith(REFUSED)
        call = other.invite(ANNA)
        phone.wait_incoming()
        phone.tab.press("#calls [data-do=answer]:visible")
        within(SHOWN_SECONDS, lambda: REFUSED in phone.tab.text(), "it says why it does not answer")
        assert phone.states == ["incoming"], "it goes on ringing"
        phone.decline()
        other.expect("486")
        call.send("ACK")
