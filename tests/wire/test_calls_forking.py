"""One extension with several phones: all ring, one takes the call, and the best refusal goes back."""

import asyncio
import re
from typing import Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_session import Incoming, Outgoing
from tests.wire.callers import Callers, call_events, calls_of, eventually

pytestmark = pytest.mark.wire

ELSEWHERE: Final = re.compile(r"SIP\s*;\s*cause=200\b.*", re.IGNORECASE)
TRANSPORTS: Final = ("udp", "tcp", "tls")


async def fork(
    callers: Callers, phones: int = 3, transport: str = ""
) -> tuple[CallingPhone, list[CallingPhone], Outgoing, list[Incoming]]:
    """A call to an extension with so many phones: all of them ring."""
    a = await callers.phone(callers.extension().handset)
    called = callers.extension(phones)
    theirs = [
        await callers.phone(handset, transport or TRANSPORTS[number % len(TRANSPORTS)])
        for number, handset in enumerate(called.handsets)
    ]
    outgoing = await a.call(called.number)
    rung = [await phone.incoming() for phone in theirs]
    for one in rung:
        one.ring()
    await eventually(lambda: len(outgoing.dialogs) == phones, "each of them is heard to ring")
    return a, theirs, outgoing, rung


@pytest.mark.parametrize("winner", [0, 1, 2])
async def test_all_ring_one_answers_and_the_others_are_cancelled(callers: Callers, winner: int) -> None:
    _, theirs, outgoing, rung = await fork(callers)
    taken = rung[winner]
    taken.answer()
    await outgoing.answered()
    await taken.acknowledged()
    for other in rung:
        if other is not taken:
            cancel = await other.cancelled()
            assert any(ELSEWHERE.fullmatch(value) for value in cancel.listed("reason")), cancel
            await other.acknowledged()
    assert (await outgoing.bye()).status == 200
    assert [len(phone.requests) for phone in theirs] == [int(one is taken) for one in rung]


async def test_the_branches_are_one_call_and_different_transactions(callers: Callers) -> None:
    a, theirs, outgoing, rung = await fork(callers)
    (call,) = calls_of(callers.site, outgoing.invite.request.call_id)
    assert call["state"] == "ringing"
    assert len({one.invite.branch for one in rung}) == len(rung)
    assert len({one.invite.call_id for one in rung}) == 1
    rung[1].answer()
    await outgoing.answered()
    await eventually(
        lambda: calls_of(callers.site, outgoing.invite.request.call_id)[0]["state"] == "answered", "answered"
    )
    assert (await rung[1].bye()).status == 200
    await outgoing.asked("BYE")
    await eventually(lambda: not calls_of(callers.site, outgoing.invite.request.call_id), "the call is gone")
    events = call_events(callers.site, outgoing.invite.request.call_id)
    assert [event["event"] for event in events] == ["call-started", "call-answered", "call-ended"]
    assert a.faults == []
    assert len(theirs) == 3


REFUSALS: Final = [
    ((486, 486, 486), {486}),
    ((486, 480, 486), {486}),
    ((480, 404, 480), {480, 404}),
    ((408, 480, 404), {480, 404, 408}),
    ((500, 486, 503), {486}),
    ((503, 503, 503), {500, 480}),
    ((500, 500, 500), {500}),
    ((480, 480, 603), {603}),
    ((302, 486, 486), {486}),
]
"""Section 16.7 step 6: 6xx first, else the lowest class; never a 503 of a phone (statement 56).

A 3xx is followed here, so it is never the answer.
"""


@pytest.mark.parametrize(("said", "best"), REFUSALS, ids=[str(said) for said, _ in REFUSALS])
async def test_the_best_refusal_goes_back(callers: Callers, said: tuple[int, ...], best: set[int]) -> None:
    _, _, outgoing, rung = await fork(callers)
    for status, one in zip(said, rung, strict=True):
        assert not outgoing.invite.has_final, "nothing goes back before all have answered"
        one.refuse(status, ["Contact: <sip:1@127.0.0.1:9>"] if status == 302 else ())
    assert (await outgoing.final()).status in best
    assert len([response for response in outgoing.invite.responses if response.status >= 200]) == 1


async def test_a_refusal_for_all_ends_the_call_at_once(callers: Callers) -> None:
    """6xx: the others are cancelled before it goes back; nobody answered elsewhere."""
    _, _, outgoing, rung = await fork(callers)
    rung[0].refuse(603)
    assert (await outgoing.final()).status == 603
    for other in rung[1:]:
        cancel = await other.cancelled()
        assert not any(ELSEWHERE.fullmatch(value) for value in cancel.listed("reason")), cancel


async def test_one_that_is_busy_does_not_stop_the_others(callers: Callers) -> None:
    _, _, outgoing, rung = await fork(callers)
    rung[0].refuse(486)
    await rung[0].acknowledged()
    await asyncio.sleep(0.3)
    assert rung[1].server.cancel is None
    rung[1].answer()
    await outgoing.answered()
    await rung[2].cancelled()
    assert (await outgoing.bye()).status == 200


async def test_two_that_answer_at_once_make_one_call(callers: Callers) -> None:
    """The slower one is hung up again; section 16.7 step 5 passes every 2xx, and one of them gets a BYE."""
    _, theirs, outgoing, rung = await fork(callers, 2)
    rung[0].answer()
    rung[1].answer()
    await outgoing.answered()
    await eventually(lambda: all(not one.server.awaits_ack for one in rung), "both are acknowledged")
    ended = [phone for phone in theirs if any(one.request.method == "BYE" for one in phone.requests)]
    passed = {response.to_tag for response in outgoing.invite.responses if response.status == 200}
    assert len(passed) + len(ended) == 2, "either the caller knows of it, or it was ended for it"
    for tag in passed:
        outgoing.dialog = outgoing.dialogs[tag]
        assert (await outgoing.bye()).status == 200
    await eventually(lambda: not calls_of(callers.site, outgoing.invite.request.call_id), "the call is gone")


async def test_a_phone_that_came_back_is_called_once(callers: Callers) -> None:
    """Two registrations of one device, told by its `+sip.instance`, ring once: the newer connection."""
    a = await callers.phone(callers.extension().handset)
    called = callers.extension()
    instance = "00000000-0000-4000-8000-0000000000c1"
    old = await callers.phone(called.handset, "tcp", instance=instance)
    new = await callers.phone(called.handset, "tcp", instance=instance)
    outgoing = await a.call(called.number)
    rung = await new.incoming()
    await asyncio.sleep(0.3)
    assert old.calls == []
    assert len(new.calls) == 1
    rung.refuse(486)
    assert (await outgoing.final()).status == 486


async def test_two_flows_of_one_device_are_tried_one_after_the_other(callers: Callers) -> None:
    """Statement 59: another reg-id is a second way to the same phone (RFC 5626), not a second phone."""
    a = await callers.phone(callers.extension().handset)
    called = callers.extension()
    about = '+sip.instance="<urn:uuid:00000000-0000-4000-8000-0000000000c4>"'
    flows = [await callers.connect(called.handset, "tcp") for _ in range(2)]
    for number, flow in enumerate(flows):
        contact = f"<{flow.contact}>;reg-id={number + 1};{about}"
        answer = await flow.register(contact=contact, lines=["Supported: outbound"])
        assert answer.status == 200
    assert len(callers.site.bindings(called.handset)) == 2
    outgoing = await a.call(called.number)
    await eventually(lambda: flows[0].calls or flows[1].calls, "it rings")
    await asyncio.sleep(0.3)
    (first,) = [flow for flow in flows if flow.calls]
    (second,) = [flow for flow in flows if not flow.calls]
    first.calls[0].refuse(486)
    assert (await outgoing.final()).status == 486
    assert second.calls == []
    first.vanish()
    await asyncio.sleep(0.2)
    outgoing = await a.call(called.number)
    (await second.incoming()).refuse(486)
    assert (await outgoing.final()).status == 486


async def test_two_devices_of_one_account_both_ring(callers: Callers) -> None:
    a = await callers.phone(callers.extension().handset)
    called = callers.extension()
    one = await callers.phone(called.handset, "tcp", instance="00000000-0000-4000-8000-0000000000c2")
    two = await callers.phone(called.handset, "udp", instance="00000000-0000-4000-8000-0000000000c3")
    outgoing = await a.call(called.number)
    first, second = await one.incoming(), await two.incoming()
    first.answer()
    await outgoing.answered()
    await second.cancelled()
    assert (await outgoing.bye()).status == 200


async def test_a_phone_that_is_not_there_does_not_stop_the_others(callers: Callers) -> None:
    a = await callers.phone(callers.extension().handset)
    called = callers.extension(2)
    gone, there = await callers.phone(called.handsets[0], "tcp"), await callers.phone(called.handsets[1])
    gone.vanish()
    outgoing = await a.call(called.number)
    rung = await there.incoming()
    rung.answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200


async def test_a_caller_that_goes_on_by_the_route_of_another_phone_reaches_the_one_that_answered(
    callers: Callers,
) -> None:
    """As baresip does: it keeps the Record-Route of the first 180, and takes the Contact of the 200."""
    caller = await callers.phone(callers.extension().handset)
    called = callers.extension(2)
    phones = [await callers.phone(handset) for handset in called.handsets]
    outgoing = await caller.call(called.number)
    outgoing.acks = False
    rung, answering = [await phone.incoming() for phone in phones]
    rung.ring()
    early = await outgoing.provisional(180)
    answering.answer()
    await outgoing.answered()
    outgoing.dialog.routes = tuple(reversed(early.listed("record-route")))
    outgoing.acknowledge(outgoing.invite)
    await answering.acknowledged()
    await rung.cancelled()
    assert (await outgoing.request("INFO")).status == 200
    assert (await outgoing.bye()).status == 200
    await answering.asked("BYE")
