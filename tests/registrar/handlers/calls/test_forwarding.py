"""handlers/calls/forwarding.py: one request on several ways (RFC 3261 section 16)."""

import asyncio

import pytest

from registrar.handlers.calls.forwarding import Forwarding
from registrar.handlers.calls.late_answers import LateAnswers
from registrar.rules.forward import COMPLETED_ELSEWHERE
from registrar.sip import Response

from ..handsets import ANN, BOB, CAT, Handset, pair
from ..world import Incoming, Sent, World

RING = 0.2
"""Long enough for a phone to say something in it, whatever else the machine does."""


def world_of(**more: object) -> World:
    return World(ANN, BOB, CAT, **more)  # type: ignore[arg-type]  # as World takes them


async def fork(world: World) -> tuple[Incoming, Handset, Handset, Sent, Sent]:
    """Two devices of Bob ring."""
    one = await Handset(world, BOB, port=5070).register()
    other = await Handset(world, BOB, port=5071).register()
    incoming = await (await Handset(world, ANN).register()).call()
    first, second = sorted(world.wire.take(), key=lambda sent: sent.flow.remote_port)
    return incoming, one, other, first, second


def said(sent: list[Sent]) -> list[tuple[str, int]]:
    return [(one.request.method, one.flow.remote_port) for one in sent]


# Who answers


async def test_one_answers_and_the_other_is_cancelled() -> None:
    world = world_of()
    incoming, one, other, first, second = await fork(world)
    await one.reply(first, 180)
    await other.reply(second, 180)
    await one.reply(first, 200)
    assert incoming.statuses == [180, 180, 200]
    (cancel,) = world.wire.take()
    assert said([cancel]) == [("CANCEL", 5071)]
    assert cancel.request.headers.get("reason") == COMPLETED_ELSEWHERE
    assert cancel.request.via.branch == second.request.via.branch
    await other.reply(second, 487)
    assert incoming.statuses == [180, 180, 200]


async def test_the_2xx_is_passed_each_time_it_comes() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 200)
    await bob.reply(sent, 200)
    assert incoming.statuses == [200, 200]


async def test_a_2xx_of_another_dialog_of_the_same_device_is_acknowledged_and_hung_up() -> None:
    """Behind one address there may be several phones; the caller has taken one of them."""
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 200)
    world.wire.take()
    for _ in range(2):
        await bob.reply(sent, 200, tag="another")
        ack, bye = world.wire.take()
        assert said([ack, bye]) == [("ACK", 5070), ("BYE", 5070)]
        assert (ack.key, ack.request.to.tag, bye.request.to.tag) == (None, "another", "another")
        assert ack.request.cseq[0] == sent.request.cseq[0] < bye.request.cseq[0]
    assert incoming.statuses == [200]
    assert len(world.calls) == 1


async def test_a_second_dialog_of_the_winner_is_ended_while_another_device_is_still_being_cancelled() -> None:
    """And what the first says again goes back again: it is the call."""
    world = world_of()
    incoming, one, other, first, second = await fork(world)
    await other.reply(second, 180)
    await one.reply(first, 200)
    world.wire.take()
    await one.reply(first, 200, tag="another")
    assert [sent.request.to.tag for sent in world.wire.take()] == ["another", "another"]
    await other.reply(second, 487)
    await one.reply(first, 200)
    assert world.wire.sent == [], "no BYE to the call"
    assert incoming.statuses == [180, 200, 200]
    assert len(world.calls) == 1


async def test_what_is_left_of_an_answered_invite_holds_nothing_of_it() -> None:
    world = world_of()
    incoming, one, other, first, second = await fork(world)
    await one.reply(first, 200)
    assert isinstance(first.asker, Forwarding), "another one may still say anything"
    await other.reply(second, 487)
    assert isinstance(first.asker, LateAnswers) and second.asker is None
    await one.reply(first, 200)
    assert incoming.statuses == [200, 200]


async def test_a_second_2xx_is_acknowledged_and_hung_up() -> None:
    world = world_of()
    incoming, one, other, first, second = await fork(world)
    await one.reply(first, 200)
    await other.reply(second, 200)
    assert incoming.statuses == [200]
    ack, bye = world.wire.take()
    assert said([ack, bye]) == [("ACK", 5071), ("BYE", 5071)]
    assert ack.key is None, "an ACK has no transaction"
    for made in (ack.request, bye.request):
        assert made.target == other.contact
        assert made.to.tag == "tag-id-b"
        assert made.call_id == second.request.call_id
    assert ack.request.cseq[0] == second.request.cseq[0]
    assert bye.request.headers.get("reason") == COMPLETED_ELSEWHERE


async def test_the_best_answer_goes_back_when_all_have_answered() -> None:
    world = world_of()
    incoming, one, other, first, second = await fork(world)
    await one.reply(first, 480)
    assert incoming.statuses == []
    await other.reply(second, 486, ("Retry-After", "9"))
    assert incoming.statuses == [486]
    assert incoming.responses[0].headers.get("retry-after") == "9"


async def test_a_challenge_of_a_phone_does_not_reach_the_caller() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 407, ("Proxy-Authenticate", 'Digest realm="x", nonce="y"'))
    assert [answer.status for answer in incoming.answers] == [502]
    assert incoming.responses == []


@pytest.mark.parametrize("status", [200, 486])
async def test_an_answer_that_cannot_be_read_is_a_502(status: int) -> None:
    """Whoever asked must not wait for ever; and what a 2xx has made is ended."""
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    assert sent.key is not None
    response = await bob.reply(sent, 180)
    broken = Response(status, "OK", response.headers)
    broken.headers.replace("to", '"broken <sip:x')
    for _ in range(2):
        if sent.asker is not None:  # who has refused is not listened to any more
            sent.asker.receive_response(sent.key, broken)
    assert incoming.statuses == [180, 502]
    assert world.wire.sent == []
    assert world.store.there == {}


async def test_a_caller_that_goes_while_its_2xx_is_sent_has_no_call() -> None:
    """Its connection fails in the very moment: whoever answered is told at once, not by the next look."""
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    respond, served = incoming.respond, incoming.served
    assert served is not None

    def failing(response: Response) -> None:
        if response.status == 200:
            served.caller_gone()
        respond(response)

    incoming.respond = failing  # type: ignore[method-assign]  # for this moment alone
    await bob.reply(sent, 200)
    assert world.wire.methods == ["ACK", "BYE"]
    assert len(world.calls) == 0


# Who gives up


async def test_a_cancel_goes_to_who_rings_and_waits_for_who_does_not() -> None:
    world = world_of()
    incoming, one, other, first, second = await fork(world)
    await one.reply(first, 180)
    incoming.cancel('SIP;cause=600;text="no time"')
    (cancel,) = world.wire.take()
    assert said([cancel]) == [("CANCEL", 5070)]
    assert cancel.request.headers.get("reason") == 'SIP;cause=600;text="no time"'
    await other.reply(second, 100)
    assert said(world.wire.take()) == [("CANCEL", 5071)]
    await one.reply(first, 487)
    assert incoming.statuses == [180]
    await other.reply(second, 487)
    assert incoming.statuses == [180, 487]


async def test_a_cancel_that_crosses_the_answer_changes_nothing() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    incoming.cancel()
    await bob.reply(sent, 200)
    assert incoming.statuses == [180, 200]
    assert len(world.calls) == 1


async def test_a_caller_that_vanishes_leaves_nothing() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    assert incoming.served is not None
    incoming.served.caller_gone()
    assert world.wire.methods == ["CANCEL"]
    await bob.reply(sent, 487)
    assert incoming.statuses == [180], "nobody hears it"
    assert len(world.calls) == 0 and world.store.there == {}


async def test_a_caller_that_vanishes_while_somebody_answers_leaves_nothing_either() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    assert incoming.served is not None
    incoming.served.caller_gone()
    await bob.reply(sent, 200)
    assert incoming.statuses == []
    assert world.wire.methods == ["ACK", "BYE"]
    assert len(world.calls) == 0 and world.store.there == {}
    await bob.reply(sent, 200)
    assert world.wire.methods == ["ACK", "BYE"] * 2, "its ACK was lost"


async def test_timer_c_cancels_who_rings() -> None:
    world = world_of(ring_seconds=RING)
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    await asyncio.sleep(RING * 2)
    assert world.wire.methods == ["CANCEL"]
    await bob.reply(sent, 487)
    assert incoming.statuses == [180, 408]


async def test_timer_c_begins_again_with_each_sign() -> None:
    world = world_of(ring_seconds=1.0)
    _, bob, incoming, sent = await pair(world)
    for _ in range(3):
        await asyncio.sleep(0.4)
        await bob.reply(sent, 180)
    assert incoming.statuses == [180, 180, 180]
    assert world.wire.sent == []


async def test_timer_c_does_not_wait_for_who_says_nothing() -> None:
    world = world_of(ring_seconds=RING)
    _, _, incoming, _ = await pair(world)
    await asyncio.sleep(RING * 2)
    assert incoming.statuses == [408]


async def test_after_the_answer_timer_c_is_nothing() -> None:
    world = world_of(ring_seconds=RING)
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 200)
    await asyncio.sleep(RING * 2)
    assert incoming.statuses == [200]
    assert world.wire.sent == []


# Flows that fail


async def test_a_flow_that_fails_gives_way_to_the_next_of_that_device() -> None:
    """RFC 5626 section 7: only one flow of an instance is tried at a time, the youngest first."""
    world = world_of()
    one = await Handset(world, BOB, transport="tcp", instance="urn:uuid:1", reg_id=1).register()
    world.clock.now += 5
    other = await Handset(world, BOB, transport="tcp", instance="urn:uuid:1", reg_id=2).register()
    incoming = await (await Handset(world, ANN).register()).call()
    (first,) = world.wire.take()
    assert first.flow == other.flow
    assert first.asker is not None and first.key is not None
    first.asker.request_failed(first.key, timed_out=False)
    await world.settle()
    (second,) = world.wire.take()
    assert second.flow == one.flow
    assert second.asker is not None and second.key is not None
    second.asker.request_failed(second.key, timed_out=False)
    await world.settle()
    assert incoming.statuses == [480]


@pytest.mark.parametrize("status", [430, 200])
async def test_another_node_may_say_that_its_flow_has_failed(status: int) -> None:
    world = world_of()
    one = await Handset(world, BOB, transport="tcp", instance="urn:uuid:1", reg_id=1).register()
    world.clock.now += 5
    await Handset(world, BOB, transport="tcp", instance="urn:uuid:1", reg_id=2).register()
    incoming = await (await Handset(world, ANN).register()).call()
    (first,) = world.wire.take()
    await one.reply(first, status)
    assert [sent.flow for sent in world.wire.take()] == ([one.flow] if status == 430 else [])
    assert incoming.statuses == ([] if status == 430 else [200])


async def test_a_flow_that_is_closed_already_is_not_tried() -> None:
    world = world_of()
    one = await Handset(world, BOB, transport="tcp", instance="urn:uuid:1", reg_id=1).register()
    world.clock.now += 5
    other = await Handset(world, BOB, transport="tcp", instance="urn:uuid:1", reg_id=2).register()
    del world.lines.flows[other.flow.id]
    await (await Handset(world, ANN).register()).call()
    assert [sent.flow for sent in world.wire.take()] == [one.flow]


async def test_without_any_flow_it_is_480() -> None:
    world = world_of()
    bob = await Handset(world, BOB, transport="tcp").register()
    del world.lines.flows[bob.flow.id]
    assert (await (await Handset(world, ANN).register()).call()).statuses == [480]
    assert len(world.calls) == 0


async def test_who_never_answers_an_invite_is_408() -> None:
    world = world_of()
    _, _, incoming, sent = await pair(world)
    assert sent.asker is not None and sent.key is not None
    sent.asker.request_failed(sent.key, timed_out=True)
    assert incoming.statuses == [408]


async def test_who_never_answers_anything_else_makes_no_408() -> None:
    """RFC 4320 section 4.2: the asker has given up already, and would ask again."""
    world = world_of()
    _, bob, incoming, sent = await pair(world, method="MESSAGE")
    assert sent.asker is not None and sent.key is not None
    sent.asker.request_failed(sent.key, timed_out=True)
    assert incoming.statuses == []
    _, bob, incoming, sent = await pair(world, method="MESSAGE", call_id="another")
    await bob.reply(sent, 408)
    assert incoming.statuses == []


async def test_with_too_many_transactions_it_is_503() -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    ann = await Handset(world, ANN).register()
    world.wire.is_full = True
    incoming = await ann.call()
    assert incoming.statuses == [503]
    assert dict(incoming.answers[0].headers) == {"Retry-After": "5"}
    assert len(world.calls) == 0


async def test_the_reason_of_a_cancel_names_nobody() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    incoming.cancel(f'SIP;cause=200;text="{ANN.username}"')
    (cancel,) = world.wire.take()
    assert cancel.request.headers.get("reason") == 'SIP;cause=200;text="200"'
