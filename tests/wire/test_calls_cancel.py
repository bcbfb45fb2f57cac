"""A caller gives up: by CANCEL, or because its connection is gone."""

import asyncio

import pytest

from tests.wire.callers import Callers, call_events, calls_of, eventually

pytestmark = pytest.mark.wire


@pytest.mark.parametrize(
    ("first", "second"), [("udp", "udp"), ("tcp", "udp"), ("wss", "wss"), ("udp", "tls")]
)
async def test_a_call_that_rings_is_cancelled(callers: Callers, first: str, second: str) -> None:
    a, b, _, bert = await callers.pair(first, second)
    outgoing = await a.call(bert.number)
    call_id = outgoing.invite.request.call_id
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    cancel = outgoing.cancel()
    assert (await cancel.final(5)).status == 200
    assert (await outgoing.final()).status == 487
    await incoming.cancelled()
    await incoming.acknowledged()
    await eventually(lambda: not calls_of(callers.site, call_id), "the call is gone")
    events = call_events(callers.site, call_id)
    assert [event["event"] for event in events] == ["call-started", "call-ended"]
    assert (events[-1]["reason"], events[-1]["status"]) == ("cancelled", "487")


async def test_the_reason_of_a_cancel_is_passed(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    reason = 'SIP;cause=200;text="Call completed elsewhere"'
    assert (await outgoing.cancel([f"Reason: {reason}"]).final(5)).status == 200
    assert (await incoming.cancelled()).listed("reason") == [reason]
    assert (await outgoing.final()).status == 487


async def test_a_cancel_for_nothing(callers: Callers) -> None:
    """481, at once and stateless, and never a challenge (section 9.2, statement 31)."""
    a, _, _, bert = await callers.pair()
    kept = callers.site.metric("registrar_transactions_open")
    nothing = a.ask(a.outside("CANCEL", bert.number))
    answer = await nothing.final(5)
    assert answer.status == 481
    assert not answer.all("proxy-authenticate") + answer.all("www-authenticate")
    stranger = await callers.connect(callers.extension().handset)
    assert (await stranger.ask(stranger.outside("CANCEL", bert.number)).final(5)).status == 481
    assert callers.site.metric("registrar_transactions_open") <= kept


async def test_nobody_else_cancels_a_call(callers: Callers) -> None:
    """The branch of somebody's INVITE is no secret to who sees the wire: it must come from there, too."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    stranger = await callers.phone(callers.extension().handset)
    stranger.say(outgoing.cancellation())
    await asyncio.sleep(0.5)
    stranger.forget("a response to nothing")
    callers.told(a.account.username)  # it stands in what the stranger has stolen
    assert incoming.server.cancel is None
    incoming.answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200


async def test_a_cancel_that_comes_too_late_changes_nothing(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    assert (await outgoing.cancel().final(5)).status in (200, 481)
    await asyncio.sleep(0.3)
    assert incoming.server.cancel is None
    assert (await outgoing.bye()).status == 200


async def test_a_cancel_before_the_callee_has_said_anything_waits_for_it(callers: Callers) -> None:
    """Section 9.1: a CANCEL may not leave before a provisional response has come."""
    a, b, _, bert = await callers.pair()
    heard: list[bytes] = []

    def not_the_first(raw: bytes) -> bool:
        heard.append(raw)
        return len(heard) == 1

    b.misses = lambda message: message.method == "INVITE" and not_the_first(message.raw)
    outgoing = await a.call(bert.number)
    await outgoing.provisional(100)
    cancel = outgoing.cancel()
    assert (await cancel.final(5)).status == 200
    incoming = await b.incoming()
    await incoming.cancelled()
    assert (await outgoing.final()).status == 487


async def test_an_answer_that_crosses_the_cancel_ends_in_no_call(callers: Callers) -> None:
    """The callee takes the call in the moment in which the caller gives up: whoever wins, nothing is left."""
    a, b, _, bert = await callers.pair()
    b.automatic["CANCEL"] = 0
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    cancel = outgoing.cancel()
    await incoming.cancelled()
    incoming.answer()
    assert (await cancel.final(5)).status == 200
    final = await outgoing.final()
    assert final.status in (200, 487)
    if final.status == 200:
        assert (await outgoing.bye()).status == 200
    await incoming.acknowledged()
    await eventually(
        lambda: any(one.request.method == "BYE" for one in b.requests), "the callee is told that it is over"
    )
    await eventually(lambda: not calls_of(callers.site, incoming.invite.call_id), "no call is left")


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_caller_whose_connection_dies_while_it_rings(callers: Callers, transport: str) -> None:
    a, b, _, bert = await callers.pair(transport, "udp")
    outgoing = await a.call(bert.number)
    call_id = outgoing.invite.request.call_id
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    a.vanish()
    await incoming.cancelled(15)
    await incoming.acknowledged()
    await eventually(lambda: not calls_of(callers.site, call_id), "nothing is left", 15)


async def test_a_browser_whose_connection_dies_while_it_rings(callers: Callers) -> None:
    a, b, _, bert = await callers.pair("wss", "wss")
    outgoing = await a.call(bert.number)
    call_id = outgoing.invite.request.call_id
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    a.vanish()
    await incoming.cancelled(15)
    await eventually(lambda: not calls_of(callers.site, call_id), "nothing is left", 15)


async def test_a_callee_whose_connection_dies_while_it_rings(callers: Callers) -> None:
    a, b, _, bert = await callers.pair("udp", "tcp")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    b.vanish()
    assert (await outgoing.final(15)).status in (408, 480)
    await eventually(lambda: not calls_of(callers.site, incoming.invite.call_id), "nothing is left", 15)
