"""MESSAGE, REFER with its NOTIFY, and what else goes between phones of one customer outside of calls."""

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_dialog import Dialog
from tests.peers.calling_message import display_of, uri_of, user_of
from tests.peers.calling_session import Session
from tests.peers.calling_transactions import Server
from tests.wire.callers import Callers, eventually

pytestmark = pytest.mark.wire

KINDS = [("udp", "udp"), ("udp", "wss"), ("tcp", "tls"), ("wss", "ws")]
TEXT = "Grüße, 你好".encode()


@pytest.mark.parametrize(("first", "second"), KINDS)
async def test_a_message_arrives_and_is_answered(callers: Callers, first: str, second: str) -> None:
    a, b, anna, bert = await callers.pair(first, second)
    lines = ["Content-Type: text/plain;charset=utf-8"]
    sent = await a.request("MESSAGE", bert.number, lines, TEXT)
    assert sent.status == 200
    assert not sent.header("contact")
    came = (await b.asked("MESSAGE")).request
    assert came.body == TEXT
    assert user_of(uri_of(came.header("from"))) == anna.number
    assert display_of(came.header("from")) == anna.name
    assert not came.all("record-route")


async def test_what_a_sender_of_messages_claims_is_dropped(callers: Callers) -> None:
    a, b, anna, bert = await callers.pair()
    client, _ = await a.send(
        "MESSAGE",
        bert.number,
        ["P-Asserted-Identity: <sip:9999@malicious.example>", f"X-Me: {a.account.username}"],
        f"signed, {a.account.username}".encode(),
        sender="<sip:9999@malicious.example>",
    )
    assert (await client.final(5)).status in (200, 415)
    for one in b.requests:
        assert user_of(uri_of(one.request.header("from"))) == anna.number
        assert b"malicious" not in one.request.raw


async def test_a_message_to_several_phones_reaches_all(callers: Callers) -> None:
    a = await callers.phone(callers.extension().handset)
    called = callers.extension(3)
    theirs = [await callers.phone(handset) for handset in called.handsets]
    assert (await a.request("MESSAGE", called.number, body=b"to all")).status == 200
    for phone in theirs:
        assert (await phone.asked("MESSAGE")).request.body == b"to all"


@pytest.mark.parametrize("status", [415, 486, 480])
async def test_a_refused_message_is_told(callers: Callers, status: int) -> None:
    a, b, _, bert = await callers.pair()
    b.automatic["MESSAGE"] = status
    assert (await a.request("MESSAGE", bert.number, body=b"hello")).status == status


async def test_a_message_to_nobody(callers: Callers) -> None:
    a = await callers.phone(callers.extension().handset)
    assert (await a.request("MESSAGE", "2999", body=b"hello")).status == 404
    assert (await a.request("MESSAGE", callers.extension().number, body=b"hello")).status == 480


def accept(phone: CallingPhone, server: Server) -> Session:
    """Take a REFER; the session is its dialog."""
    session = Session(phone)
    session.dialog = Dialog.of_callee(server.request, server.tag)
    server.respond(202, [f"Contact: <{phone.contact}>"])
    return session


@pytest.mark.parametrize(("first", "second"), KINDS)
async def test_a_refer_and_what_its_subscription_tells(callers: Callers, first: str, second: str) -> None:
    """RFC 3515 section 2.4.4. Other subscriptions end at the server: tests/wire/test_lamps.py."""
    a, b, anna, bert = await callers.pair(first, second)
    b.automatic["REFER"] = 0
    client, _ = await a.send("REFER", bert.number, ["Refer-To: <sip:2999@example>"])
    asked = await b.asked("REFER")
    assert user_of(uri_of(asked.request.header("from"))) == anna.number
    assert len(asked.request.listed("record-route")) == 1
    referred = accept(b, asked)
    accepted = await client.final(5)
    assert accepted.status == 202
    session = Session(a)
    session.dialog = Dialog.of_caller(client.request, accepted)
    state = [
        "Event: refer",
        "Subscription-State: active;expires=600",
        "Content-Type: message/sipfrag",
    ]
    assert (await referred.request("NOTIFY", state, b"SIP/2.0 100 Trying")).status == 200
    told = (await session.asked("NOTIFY")).request
    assert told.body == b"SIP/2.0 100 Trying"
    assert user_of(uri_of(told.header("from"))) == user_of(uri_of(client.request.header("to")))
    b.automatic["SUBSCRIBE"] = 200
    assert (await session.request("SUBSCRIBE", ["Event: refer", "Expires: 0"])).status == 200
    await eventually(lambda: [1 for one in b.requests if one.request.method == "SUBSCRIBE"], "the refresh")
