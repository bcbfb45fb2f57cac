"""A registered phone calls another one over any pair of transports, without a media relay."""

import asyncio
import re
from typing import Final

import pytest

from tests.peers.calling_message import display_of, uri_of, user_of
from tests.peers.calling_session import sdp
from tests.wire.callers import Callers, call_events, calls_of, eventually, is_served, talk

pytestmark = pytest.mark.wire

PAIRS: Final = [
    ("udp", "udp"), ("tcp", "tcp"), ("tls", "tls"), ("ws", "ws"), ("wss", "wss"),
    ("udp", "tcp"), ("tcp", "udp"), ("udp", "tls"), ("tls", "tcp"), ("ws", "wss"),
]  # fmt: skip
"""Both legs are of one kind: browsers, or desk phones."""
UNLIKE: Final = [("udp", "wss"), ("wss", "udp"), ("tls", "ws")]


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_two_phones_call_each_other(callers: Callers, first: str, second: str) -> None:
    a, b, anna, bert = await callers.pair(first, second)
    outgoing, incoming = await talk(a, b, bert.number)
    assert incoming.invite.body == a.sdp(), "the offer came as it was sent"
    assert outgoing.invite.responses[-1].body == b.sdp(), "and so did the answer"
    assert (await outgoing.bye()).status == 200
    assert (await incoming.asked("BYE")).copies == 0
    back, there = await talk(b, a, anna.number)
    assert (await there.bye()).status == 200
    await back.asked("BYE")


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_who_is_called_may_hang_up(callers: Callers, first: str, second: str) -> None:
    outgoing, incoming, *_ = await callers.talking(first, second)
    assert (await incoming.bye()).status == 200
    await outgoing.asked("BYE")


async def test_an_extension_is_called_by_its_number_and_by_the_name_of_its_phone(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    callers.told(bert.handset.account.username)
    for dialled in (bert.number, bert.handset.account.username):
        outgoing, incoming = await talk(a, b, dialled)
        assert user_of(uri_of(incoming.invite.header("to"))) in (bert.number, bert.handset.account.username)
        assert (await outgoing.bye()).status == 200


async def test_sip_users_call_each_other_and_phones(callers: Callers) -> None:
    """They are known by number and name too, and reached by the name that they chose as well."""
    customer, domain = callers.customer()
    await asyncio.to_thread(is_served, callers.site, domain)
    anna, bert = callers.user(domain, "anna", "301"), callers.user(domain, "bert", "302")
    third = callers.extension(customer=customer, domain=domain)
    a, b = await callers.phone(anna), await callers.phone(bert, "tcp")
    c = await callers.phone(third.handset)
    for name in ("anna", "bert"):
        callers.told(name)
    for caller, callee, dialled, number in ((a, b, "302", "301"), (b, a, "anna", "302"), (a, c, "", "301")):
        outgoing, incoming = await talk(caller, callee, dialled or third.number)
        assert incoming.number == number
        assert incoming.name == caller.account.username.title()
        assert (await outgoing.bye()).status == 200


async def test_our_address_stands_for_the_domain(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing, _ = await talk(a, b, "sip:{}@{}:{}".format(bert.number, *callers.site.sip))
    assert (await outgoing.bye()).status == 200


async def test_early_media_is_passed(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring(183, body=b.sdp())
    assert (await outgoing.provisional(183)).body == b.sdp()
    incoming.answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200


async def test_a_late_offer_is_answered_in_the_ack(callers: Callers) -> None:
    """RFC 3261 section 13.2.1: the INVITE has no SDP, the 200 has the offer and the ACK the answer."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number, b"")
    outgoing.acks = False
    incoming = await b.incoming()
    assert incoming.invite.body == b""
    incoming.answer(b.sdp())
    answered = await outgoing.answered()
    assert answered.body == b.sdp()
    outgoing.acknowledge(outgoing.invite, body=a.sdp())
    await incoming.acknowledged()
    (ack,) = [message for _, message in b.received if message.method == "ACK"]
    assert ack.body == a.sdp()
    outgoing.acks = True
    assert (await outgoing.bye()).status == 200


async def test_each_hop_counts(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing, incoming = await talk(a, b, bert.number)
    assert incoming.invite.header("max-forwards") == "69"
    assert len(incoming.invite.listed("via")) == 1, "ours: where the caller is stays with us"
    assert len(incoming.invite.listed("record-route")) == 1
    assert outgoing.invite.responses[-1].listed("record-route") != incoming.invite.listed("record-route")
    assert (await outgoing.bye()).status == 200
    assert (await incoming.asked("BYE")).request.header("max-forwards") == "69"


@pytest.mark.parametrize(("first", "second"), UNLIKE)
async def test_without_a_relay_a_browser_and_a_desk_phone_are_told_why_they_cannot_talk(
    callers: Callers, first: str, second: str
) -> None:
    a, b, _, bert = await callers.pair(first, second)
    refused = await (await a.call(bert.number)).final()
    assert refused.status == 488
    assert re.fullmatch(r'3\d\d \S+ ".*media.*"', refused.header("warning")), refused.header("warning")
    assert b.calls == []


@pytest.mark.parametrize(
    ("line", "status"),
    [("Max-Forwards: 0", 483), ("Proxy-Require: nonsense", 420)],
)
async def test_what_cannot_be_served_is_refused(callers: Callers, line: str, status: int) -> None:
    a, b, _, bert = await callers.pair()
    assert (await (await a.call(bert.number, lines=[line])).final()).status == status
    assert b.calls == []


async def test_what_the_other_phone_must_understand_is_its_own_business(callers: Callers) -> None:
    """Require is passed (section 16.6); Proxy-Require is for us."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number, lines=["Require: nonsense"])
    incoming = await b.incoming()
    assert incoming.invite.listed("require") == ["nonsense"]
    incoming.refuse(420, ["Unsupported: nonsense"])
    refused = await outgoing.final()
    assert (refused.status, refused.listed("unsupported")) == (420, ["nonsense"])


async def test_an_invite_that_is_too_large_is_refused(callers: Callers) -> None:
    a, b, _, bert = await callers.pair("tcp", "tcp")
    outgoing = await a.call(bert.number, sdp() + b"a=x:" + b"y" * 20_000 + b"\r\n")
    assert (await outgoing.final()).status == 513
    assert b.calls == []


async def test_a_call_stands_in_redis_while_it_is_there(callers: Callers) -> None:
    a, b, anna, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    call_id = outgoing.invite.request.call_id
    incoming = await b.incoming()
    incoming.ring()
    await eventually(lambda: calls_of(callers.site, call_id), "the call is there")
    (call,) = calls_of(callers.site, call_id)
    assert (call["state"], call["callerNumber"], call["calleeNumber"]) == (
        "ringing",
        anna.number,
        bert.number,
    )
    assert call["callerPhone"] == anna.handset.id
    incoming.answer()
    await outgoing.answered()
    await eventually(
        lambda: calls_of(callers.site, call_id)[0]["state"] == "answered", "the call is answered"
    )
    (call,) = calls_of(callers.site, call_id)
    assert call["calleePhone"] == bert.handset.id
    assert (call["callerTransport"], call["calleeTransport"], call["media"]) == ("udp", "udp", "direct")
    assert (await outgoing.bye()).status == 200
    await eventually(lambda: not calls_of(callers.site, call_id), "the call is gone")
    events = call_events(callers.site, call_id)
    assert [event["event"] for event in events] == ["call-started", "call-answered", "call-ended"]
    assert events[-1]["reason"] == "hung-up"
    assert events[-1]["by"] == anna.number


async def test_a_name_is_shown_as_it_was_given(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    about = callers.extension()
    reply = callers.site.api("PATCH", f"/pbx/extension/{about.id}", {"name": 'Zoë "Z" \\ Ørsted, K'})
    assert reply.status == 200, reply
    zoe = await callers.phone(about.handset)
    await zoe.call(bert.number)
    incoming = await b.incoming()
    assert display_of(incoming.invite.header("from")) == 'Zoë "Z" \\ Ørsted, K'
    incoming.refuse(486)
    assert a.calls == []
