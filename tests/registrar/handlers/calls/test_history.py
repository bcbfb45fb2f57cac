"""handlers/calls/history.py: which past calls the handlers report, and how often."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from registrar.handlers.calls import history
from registrar.model import CallResult, Cause, PastCall, Process
from registrar.rules.dialog_info import opaque_id
from registrar.rules.history import Part, Side, parts_of, result_of
from registrar.store.history_none import NoHistory

from ..handsets import ANN, BOB, CAT, Handset, pair, talk
from ..world import ELSEWHERE, KEY, World
from .floor import Floor, floor
from .test_table import pass_time

DAVE = replace(ANN, id="id-d", username="d" * 32, extension="")
PEOPLE = tuple(replace(one, person=f"p{one.extension}") for one in (ANN, BOB, CAT))


@pytest.fixture
async def world() -> AsyncIterator[Floor]:
    async with floor() as made:
        yield made


def only(world: World) -> PastCall:
    (past,) = world.history.past
    return past


def shown(past: PastCall) -> tuple[CallResult, int, str, str]:
    """What a row says: the result, the status, the reason, and what was dialled."""
    return result_of(past), past.ending.status, past.ending.why, past.call.dialled


async def test_a_call_that_was_answered_leaves_one_row(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201")
    incoming = await ann.call("201")
    (sent,) = world.wire.take()
    await bob.take(sent)
    world.clock.now += 61
    await ann.dialog(incoming).send("BYE")
    past = only(world)
    assert shown(past) == (CallResult.ANSWERED, 0, "", "201")
    assert past.ending.by == "200" and past.ending.at - past.call.answered_at == 61
    assert [part.result for part in parts_of(past)] == [CallResult.ANSWERED] * 2
    NoHistory().add(past)  # the other way to keep it


@pytest.mark.parametrize(
    ("status", "reason", "result"),
    [
        (486, "Busy Here", CallResult.BUSY),
        (603, "Decline", CallResult.DECLINED),
        (480, "Gone For Lunch", CallResult.UNREACHABLE),
        (488, "Not Acceptable Here", CallResult.FAILED),
    ],
)
async def test_the_answer_of_the_phone_is_the_reason(status: int, reason: str, result: CallResult) -> None:
    world = World(*PEOPLE)
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, status, reason=reason)
    assert incoming.statuses[-1] == status
    assert shown(only(world)) == (result, status, reason, "201")


async def test_a_caller_that_gives_up_leaves_a_missed_call(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201")
    incoming = await ann.call("201")
    (sent,) = world.wire.take()
    await bob.reply(sent, 180)
    incoming.cancel()
    await bob.reply(sent, 487)
    past = only(world)
    assert result_of(past) is CallResult.CANCELLED
    assert Part("p201", Side.CALLEE, CallResult.CANCELLED) in parts_of(past)


async def test_a_number_that_does_not_exist_and_one_without_a_phone() -> None:
    world = World(*PEOPLE)
    ann = await Handset(world, PEOPLE[0]).register()
    assert (await ann.call("777")).statuses == [404]
    assert (await ann.call("201")).statuses == [480]
    unknown, offline = world.history.past
    assert shown(unknown) == (CallResult.NOT_FOUND, 404, "Request-URI: no such number here", "777")
    assert shown(offline)[0] is CallResult.UNREACHABLE and offline.call.callee.name == "Bob"
    assert unknown.call.id != offline.call.id and unknown.call.caller.transport == "udp"


async def test_a_phone_that_may_not_call() -> None:
    world = World(DAVE)
    dave = Handset(world, DAVE)
    incoming = await dave.call("201")
    assert incoming.statuses == [403]
    result, status, why, _ = shown(only(world))
    assert (result, status) == (CallResult.FORBIDDEN, 403) and "extension" in why


async def test_a_phone_from_another_address_is_forbidden() -> None:
    world = World(*PEOPLE)
    ann = await Handset(world, PEOPLE[0]).register()  # it is locked now
    ann.flow = replace(ann.flow, remote_ip=ELSEWHERE)
    assert (await ann.call("201")).statuses == [403]
    assert result_of(only(world)) is CallResult.FORBIDDEN


async def test_emergency_numbers_and_feature_codes_have_words_of_their_own() -> None:
    world = World(*PEOPLE)
    ann = await Handset(world, PEOPLE[0]).register()
    await ann.call("112")
    await ann.call("urn:service:sos.fire")
    await ann.call("*78")
    assert [shown(past)[::3] for past in world.history.past] == [
        (CallResult.EMERGENCY, "112"),
        (CallResult.EMERGENCY, "urn:service:sos.fire"),
        (CallResult.FEATURE, "*78"),
    ]


async def test_a_pickup_by_a_key_is_no_call_to_the_number_of_the_key(world: Floor) -> None:
    ann, bob, cat = [await world.handset(one) for one in ("200", "201", "202")]
    world.numbers.pickups["p202"] = frozenset({"p201"})
    await ann.call("201")
    (ringing,) = world.wire.take()
    await bob.reply(ringing, 180)
    (call,) = world.store.there.values()
    key = f"Replaces: {opaque_id(KEY, call.id, 'p201')};to-tag=a;from-tag=b"
    await cat.call("201", more=(key,))
    past = only(world)
    assert shown(past) == (CallResult.FEATURE, 480, "Picked Up", "201")
    assert list(parts_of(past)) == [Part("p202", Side.CALLER, CallResult.FEATURE)]
    unknown = f"Replaces: {'0' * 32};to-tag=a;from-tag=b"
    await cat.call("777", more=(unknown,))
    assert result_of(world.history.past[-1]) is CallResult.NOT_FOUND


async def test_requests_that_are_no_calls_leave_no_row() -> None:
    world = World(*PEOPLE)
    ann = await Handset(world, PEOPLE[0]).register()
    await ann.call("777", "MESSAGE")
    await ann.ask(ann.request("INVITE", "sip:777@acme.test"))  # no credentials
    assert world.history.past == []


async def test_a_loop_of_refused_calls_does_not_fill_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "REFUSALS", 3)
    world = World(*PEOPLE)
    ann = await Handset(world, PEOPLE[0]).register()
    bob = await Handset(world, PEOPLE[1], port=5070).register()
    for _ in range(history.REFUSALS + 2):
        await ann.call("777")
    await bob.call("777")
    assert len(world.history.past) == history.REFUSALS + 1
    limited = world.metrics.registry.get_sample_value("registrar_call_history_total", {"result": "limited"})
    assert limited == 2
    world.clock.now += 2
    for _ in range(3):
        await ann.call("777")
    assert len(world.history.past) == history.REFUSALS + 3


async def test_phones_whose_room_is_full_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_PHONES", 1)
    world = World(*PEOPLE)
    ann = await Handset(world, PEOPLE[0]).register()
    bob = await Handset(world, PEOPLE[1], port=5070).register()
    for caller in (ann, bob):
        await caller.call("777")
    assert len(world.history.past) == 1
    world.clock.now += history.REFUSALS + 1
    await bob.call("777")
    assert len(world.history.past) == 2


async def test_a_group_call_was_answered_elsewhere_for_the_others(world: Floor) -> None:
    ann, bob, cat = [await world.handset(one) for one in ("200", "201", "202")]
    incoming = await ann.call(world.group("201", "202"))
    first, second = sorted(world.wire.take(), key=lambda sent: sent.flow.remote_port)
    await bob.reply(first, 180)
    his = await cat.take(second)
    await bob.reply(first, 487)
    assert 200 in incoming.statuses
    await his.send("BYE")
    past = only(world)
    assert (past.call.via, past.call.dialled, past.call.callee.number) == ("600", "600", "202")
    assert set(parts_of(past)) == {
        Part("p200", Side.CALLER, CallResult.ANSWERED),
        Part("p202", Side.CALLEE, CallResult.ANSWERED),
        Part("p201", Side.CALLEE, CallResult.ELSEWHERE),
    }


async def test_a_queue_that_rang_in_vain_was_missed_by_all_its_members(world: Floor) -> None:
    ann, bob, cat = [await world.handset(one) for one in ("200", "201", "202")]
    incoming = await ann.call(world.queue(("201",), ("202",)))
    for member in (bob, cat):
        (sent,) = [one for one in world.wire.take() if one.request.method == "INVITE"]
        await member.reply(sent, 180)
        await world.passes(5)
    assert incoming.statuses[-1] == 480
    past = only(world)
    assert result_of(past) is CallResult.NO_ANSWER and past.ending.why == "Nobody Available"
    assert {part.person for part in parts_of(past) if part.side is Side.CALLEE} == {"p201", "p202"}


async def test_a_call_to_a_person_that_has_forwarded_it_is_answered_elsewhere_for_that_person(
    world: Floor,
) -> None:
    ann, bob, cat = [await world.handset(one) for one in ("200", "201", "202")]
    await world.doing.change("p201", "cfb", "202")
    await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 486)
    (second,) = world.wire.take()
    await (await cat.take(second)).send("BYE")
    assert set(parts_of(only(world))) == {
        Part("p200", Side.CALLER, CallResult.ANSWERED),
        Part("p202", Side.CALLEE, CallResult.ANSWERED),
        Part("p201", Side.CALLEE, CallResult.ELSEWHERE),
    }


async def test_a_call_that_rang_when_its_node_died_is_a_row_of_the_node_that_ends_it() -> None:
    dead = World(*PEOPLE)
    await pair(dead)
    other = World(*PEOPLE, node="b", beside=dead)
    assert await other.calls.take_over_calls(Process("a", "g-a")) == 1
    assert await other.calls.take_over_calls(Process("a", "g-a")) == 0
    past = only(other)
    assert (result_of(past), past.ending.cause, past.ending.by) == (CallResult.LOST, Cause.LOST, "b")
    assert (past.call.process.node, past.call.dialled or past.call.callee.number) == ("a", "201")


async def test_a_call_is_a_row_also_while_redis_is_away() -> None:
    world = World(*PEOPLE)
    world.store.away = True
    ann, _ = await talk(world)
    await ann.send("BYE")
    await pass_time(world, 1)
    assert result_of(only(world)) is CallResult.ANSWERED
