"""The calling phone against itself, with no server between: what it does well, and what it notices."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.every import every
from tests.peers.calling import CallingPhone
from tests.peers.calling_message import commas, display_of, faults, param, read, uri_of, user_of
from tests.peers.calling_session import sdp
from tests.peers.phone import Account
from tests.peers.ports import free_port


@pytest.fixture
async def pair() -> AsyncIterator[tuple[CallingPhone, CallingPhone]]:
    """Two phones, each of which takes the other one for its server."""
    one, two = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
    async with (
        await CallingPhone.open(Account("anna", "x", "example"), two, source=one, name="Anna") as a,
        await CallingPhone.open(Account("bert", "x", "example"), one, source=two) as b,
    ):
        yield a, b


async def test_a_call_is_made_and_ended(pair: tuple[CallingPhone, CallingPhone]) -> None:
    a, b = pair
    call = await a.call(b.contact)
    rung = await b.incoming()
    assert (rung.number, rung.name) == ("anna", "Anna")
    rung.ring()
    await call.provisional(180)
    rung.answer()
    await call.answered()
    await rung.acknowledged()
    assert rung.invite.body == sdp(a.media_port)
    assert (await call.reinvite(sdp(direction="sendonly"))).status == 200
    assert (await rung.reinvite(sdp())).status == 200
    assert (await call.request("INFO")).status == 200
    assert (await rung.request("REFER", [f"Refer-To: <{a.contact}>"])).status == 202
    assert (await rung.bye()).status == 200
    assert [one.request.method for one in a.requests] == ["INVITE", "REFER", "BYE"]


async def test_a_call_is_cancelled(pair: tuple[CallingPhone, CallingPhone]) -> None:
    a, b = pair
    call = await a.call(b.contact)
    rung = await b.incoming()
    rung.ring()
    await call.provisional(180)
    cancel = call.cancel(["Reason: SIP;cause=200"])
    assert (await rung.cancelled()).header("reason") == "SIP;cause=200"
    assert (await cancel.final(5)).status == 200
    assert (await call.final()).status == 487


async def test_a_lost_invite_and_a_lost_answer_come_again(pair: tuple[CallingPhone, CallingPhone]) -> None:
    a, b = pair
    lost: list[str] = []

    def first_of_each(kind: str) -> bool:
        lost.append(kind)
        return lost.count(kind) == 1

    b.misses = lambda message: message.method == "INVITE" and first_of_each("invite")
    a.misses = lambda message: message.status == 200 and first_of_each("200")
    begun = a.ask(a.outside("INVITE", b.contact))
    rung = await b.incoming()
    assert lost.count("invite") == 2
    rung.refuse(486)
    assert (await begun.final(5)).status == 486
    assert (await a.request("MESSAGE", b.contact, body=b"hello")).status == 200
    assert lost.count("200") == 2
    assert next(one for one in b.requests if one.request.method == "MESSAGE").copies == 1


async def test_a_provisional_answer_is_acknowledged(pair: tuple[CallingPhone, CallingPhone]) -> None:
    a, b = pair
    call = await a.call(b.contact, lines=["Supported: 100rel"])
    rung = await b.incoming()
    rung.ring(183, sequence=7)
    assert (await call.prack(await call.provisional(183))).status == 200
    assert (await rung.asked("PRACK")).request.header("rack").startswith("7 ")
    rung.refuse(603)
    assert (await call.final()).status == 603


async def test_what_is_wrong_fails_the_phone_that_received_it(
    pair: tuple[CallingPhone, CallingPhone],
) -> None:
    a, b = pair
    request = b.outside("BYE", a.contact).replace(b"Max-Forwards: 70\r\n", b"").replace(b"Via: ", b"Via:")
    assert (await b.ask(request).final(5)).status == 481
    a.forget("Max-Forwards: ''")
    (fault,) = a.faults
    assert "outside of any dialog" in fault
    a.forget("outside of any dialog")
    a.say(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nCSeq: 1 BYE\r\n\r\n")
    a.say(b"nonsense\r\n\r\n")
    await a.request("OPTIONS", b.contact)
    assert any("a response to nothing" in fault for fault in b.faults)
    assert any("0 from headers" in fault for fault in b.faults)
    assert any("nonsense" in fault for fault in b.faults)
    b.faults.clear()


REQUEST = (
    b"INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP d;branch=z9hG4bKx\r\nMax-Forwards: 69\r\n"
    b"From: <sip:a@c>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 7\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:a@d>\r\nContent-Length: 0\r\n\r\n"
)


@every(
    ("change", "fault"),
    [
        (lambda raw: raw, ""),
        (lambda raw: raw.replace(b"CSeq: 1 INVITE", b"CSeq: 1 ACK"), "CSeq of a INVITE"),
        (lambda raw: raw.replace(b"69", b"71"), "Max-Forwards: '71'"),
        (lambda raw: raw.replace(b"69", b"0"), "Max-Forwards: '0'"),
        (lambda raw: raw.replace(b";tag=1", b""), "From has no tag"),
        (lambda raw: raw.replace(b"Contact: <sip:a@d>\r\n", b""), "INVITE with 0 Contacts"),
        (lambda raw: raw.replace(b"sip:a@d>", b"sip:a@0.0.0.0>"), "an address that nobody can reach"),
        (lambda raw: raw.replace(b"Length: 0", b"Length: 1"), "Content-Length 1 of a body of 0"),
        (lambda raw: raw.replace(b"Max", b"Route: <sip:e;lr>\r\nMax"), "a Route is left"),
        (lambda raw: raw.replace(b"Max", b"Record-Route: <sip:e>\r\nMax"), "record-route without lr"),
        (lambda raw: raw.replace(b"Max", b"Call-ID: 8\r\nMax"), "2 call-id headers"),
        (lambda raw: raw.replace(b"z9hG4bKx", b"x"), "without the magic cookie"),
        (lambda raw: raw.replace(b"Max", b"v: SIP/2.0/UDP e;branch=z9hG4bKx\r\nMax"), "two Vias"),
        (lambda raw: raw.replace(b"Max", b"Proxy-Authorization: Digest\r\nMax"), "of somebody else"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_faults_of_a_message(change: Callable[[bytes], bytes], fault: str) -> None:
    found = list(faults(read(change(REQUEST))))
    assert [text for text in found if fault and fault in text] == found
    assert bool(found) == bool(fault)


def test_what_stands_in_an_address() -> None:
    value = '"Anna \\"B\\", C" <sip:1001@host:5060;transport=tcp;gr=x>;tag=77;+sip.instance="<urn:x>"'
    assert uri_of(value) == "sip:1001@host:5060;transport=tcp;gr=x"
    assert display_of(value) == 'Anna "B", C'
    assert user_of(uri_of(value)) == "1001"
    assert param(value.partition(";+")[0], "tag") == "77"
    assert commas('<sip:a;x=1,2>, "b, c" <sip:d>,sip:e') == ["<sip:a;x=1,2>", '"b, c" <sip:d>', "sip:e"]
