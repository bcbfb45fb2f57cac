"""handlers/calls/hunting.py: calls to groups and queues, and what happens in the worst moment."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from registrar.handlers.calls import hunting
from registrar.model import ClaimResult, Strategy

from ..handsets import Handset
from ..world import PATIENCE, Incoming
from .floor import Floor, floor, said

LIMITS = {"group": PATIENCE.group_callers, "queue": PATIENCE.queue_callers}


@pytest.fixture
async def world() -> AsyncIterator[Floor]:
    async with floor() as made:
        yield made


async def test_the_caller_gives_up_while_a_claim_is_on_its_way(world: Floor) -> None:
    ann, _ = await world.handset("200"), await world.handset("201")
    arrives, claim = asyncio.Event(), world.doing.claim

    async def slow(people: Sequence[str], call: str, seconds: float, *, exclusive: bool) -> list[ClaimResult]:
        verdicts = await claim(people, call, seconds, exclusive=exclusive)
        await arrives.wait()
        return verdicts

    world.doing.claim = slow  # type: ignore[method-assign]  # its answer takes time
    incoming = await ann.call(world.queue(("201",)))
    assert await world.claimed_by("201")
    incoming.cancel()
    await world.settle()
    assert incoming.statuses == [487]
    arrives.set()
    await world.settle()
    assert not await world.claimed_by("201"), "it is given back"
    assert world.wire.take() == []
    assert (await world.waits(), world.tasks) == (0, [])


async def test_a_200_that_crosses_the_cancel_at_the_end_of_a_window_has_the_call(world: Floor) -> None:
    ann, bob, cat = [await world.handset(one) for one in ("200", "201", "202")]
    incoming = await ann.call(world.queue(("201",), ("202",)))
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    await world.passes(5)
    assert said(world.wire.sent) == [("CANCEL", 5201), ("INVITE", 5202)]
    _, second = world.wire.take()
    await cat.reply(second, 180)
    await bob.reply(first, 200)
    assert sorted(incoming.statuses) == [180, 200]
    assert said(world.wire.take()) == [("CANCEL", 5202)]
    await cat.reply(second, 487)
    assert not await world.claimed_by("202")
    assert (await world.waits(), world.tasks) == (0, [])


async def test_a_claim_stands_until_the_phone_has_answered_the_cancel(world: Floor) -> None:
    """Else the next call came to a phone at which this one still rings."""
    ann, bob, dan = [await world.handset(one) for one in ("200", "201", "203")]
    number = world.group("201", is_exclusive=True)
    incoming = await ann.call(number)
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    waiting = await dan.call(number)
    incoming.cancel()
    await world.settle()
    assert said(world.wire.take()) == [("CANCEL", 5201)]
    await world.passes(1)
    assert world.wire.take() == []
    await bob.reply(first, 487)
    assert said(world.wire.take()) == [("INVITE", 5201)]
    assert (incoming.statuses, waiting.statuses) == ([180, 487], [182])


async def test_all_devices_of_a_person_must_have_ended(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201")
    other = await Handset(world, bob.account, port=5_301).register()
    incoming = await ann.call(world.queue(("201",)))
    first, second = sorted(world.wire.take(), key=lambda sent: sent.flow.remote_port)
    await bob.reply(first, 180)
    await other.reply(second, 180)
    incoming.cancel()
    await bob.reply(first, 487)
    assert await world.claimed_by("201")
    await other.reply(second, 487)
    assert not await world.claimed_by("201")


async def test_a_person_that_rings_again_in_the_next_window_keeps_its_claim(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201")
    incoming = await ann.call(world.queue(("201",), ("201",)))
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    await world.passes(5)
    _, second = world.wire.take()
    await bob.reply(second, 180)
    await bob.reply(first, 487)
    assert await world.claimed_by("201")
    await bob.reply(second, 486)
    assert not await world.claimed_by("201")
    assert incoming.statuses[-1] == 182


async def test_two_calls_of_two_nodes_claim_one_person(world: Floor) -> None:
    async with floor(world) as beside:
        bob = await world.handset("201")
        ann, dan = await world.handset("200"), await Floor.handset(beside, "203")
        number = world.queue(("201",), strategy=Strategy.LONGEST_IDLE)
        calls: list[Incoming] = list(await asyncio.gather(ann.call(number), dan.call(number)))
        (sent,) = [*world.wire.take(), *beside.wire.take()]
        assert sorted(status for one in calls for status in one.statuses) == [182]
        await bob.reply(sent, 180)
        assert sorted(status for one in calls for status in one.statuses) == [180, 182]


# Without Redis


async def test_a_plain_group_rings_by_what_this_node_knows(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201")
    world.doing.away = world.waiting.away = True
    incoming = await ann.call(world.group("201", "202"))
    (sent,) = world.wire.take()
    await bob.reply(sent, 200)
    assert incoming.statuses == [200]


@pytest.mark.parametrize("is_queue", [False, True])
async def test_a_call_that_must_wait_is_refused_at_once(world: Floor, is_queue: bool) -> None:
    ann, _ = await world.handset("200"), await world.handset("201")
    world.doing.away = world.waiting.away = True
    incoming = await ann.call(world.queue(("201",)) if is_queue else world.group("201", is_exclusive=True))
    assert incoming.statuses == [503]
    world.waiting.away = False
    await world.waiting.mend()
    assert (world.wire.take(), await world.waits()) == ([], 0)


async def test_a_call_that_entered_and_could_not_look_leaves_again(world: Floor) -> None:
    ann, enter = await world.handset("200"), world.waiting.enter

    async def last(place: str, call: str, stage: str) -> float:
        since = await enter(place, call, stage)
        world.waiting.away = True
        return since

    world.waiting.enter = last  # type: ignore[method-assign]  # the store goes away after it
    incoming = await ann.call(world.queue(("201",)))
    assert incoming.statuses == [503]
    world.waiting.away = False
    await world.waiting.mend()
    assert await world.waits() == 0


async def test_calls_that_wait_go_on(world: Floor) -> None:
    ann, bob, cat = [await world.handset(one) for one in ("200", "201", "202")]
    incoming = await ann.call(world.queue(("201",), ("202",)))
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    world.doing.away = world.waiting.away = True
    await world.passes(5)
    cancel, second = world.wire.take()
    assert said([cancel, second]) == [("CANCEL", 5201), ("INVITE", 5202)]
    await cat.reply(second, 200)
    await bob.reply(first, 487)
    assert sorted(incoming.statuses) == [180, 200]
    world.waiting.away = False
    await world.waiting.mend()
    assert await world.waits() == 0


# Who cannot ring, and who cannot wait


async def test_a_member_whose_connection_is_gone_ends_nothing(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201")
    cat = await world.handset("202", "wss")
    world.lines.flows.pop(cat.flow.id)
    incoming = await ann.call(world.group("201", "202"))
    (sent,) = world.wire.take()
    await bob.reply(sent, 180)
    assert incoming.statuses == [180]
    await bob.reply(sent, 486)
    assert incoming.statuses == [180, 486]
    assert world.tasks == []


async def test_a_group_of_one_whose_connection_is_gone(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201", "wss")
    world.lines.flows.pop(bob.flow.id)
    assert (await ann.call(world.group("201", is_exclusive=True))).statuses == [480]
    assert (await world.claimed_by("201"), await world.waits(), world.tasks) == ("", 0, [])


@pytest.mark.parametrize("kind", ["group", "queue"])
async def test_only_so_many_calls_wait_at_one_place(world: Floor, kind: str) -> None:
    ann = await world.handset("200")
    await world.handset("201")
    number = world.queue(("201",)) if kind == "queue" else world.group("201", is_exclusive=True)
    for nth in range(LIMITS[kind]):
        await world.waiting.enter(f"{kind}:{kind[0]}", f"call-{nth}", "0")
    incoming = await ann.call(number)
    assert [(answer.status, answer.reason) for answer in incoming.answers] == [(486, "Queue Full")]
    assert await world.waits() == LIMITS[kind]
    assert world.wire.take() == []


async def test_a_cancel_that_came_first_is_heeded(world: Floor) -> None:
    ann, _ = await world.handset("200"), await world.handset("201")
    incoming = await ann.call(world.queue(("201",)), cancelled=True)
    assert incoming.statuses == [487]
    assert (world.wire.take(), await world.waits(), world.tasks) == ([], 0, [])


async def test_a_queue_that_is_deleted_ends_its_calls(world: Floor) -> None:
    ann, bob = await world.handset("200"), await world.handset("201")
    incoming = await ann.call(world.queue(("201",)))
    (sent,) = world.wire.take()
    await bob.reply(sent, 180)
    world.numbers.places.clear()
    await world.passes(1)
    assert said(world.wire.take()) == [("CANCEL", 5201)]
    assert incoming.statuses == [180, 480]
    await bob.reply(sent, 487)
    assert (await world.claimed_by("201"), await world.waits(), world.tasks) == ("", 0, [])


# The order of calls


async def test_a_call_behind_others_leaves_them_their_people(world: Floor) -> None:
    """A claim is not published: what was read a moment ago may say that its person is free."""
    ann, _, _ = [await world.handset(one) for one in ("200", "201", "202")]
    number = world.queue(("201", "202"), strategy=Strategy.LONGEST_IDLE)
    await world.waiting.enter("queue:q", "older", "0")
    await world.hunts.staff.look(world.people_of("201", "202"))
    await world.doing.claim(["p201"], "older", 60, exclusive=True)
    incoming = await ann.call(number)
    assert (incoming.statuses, world.wire.take()) == ([182], [])
    world.doing.release("p201", "older")
    await world.settle()
    assert said(world.wire.take()) == [("INVITE", 5201)], "the other one has waited longer for a call"


async def test_a_claim_that_failed_is_tried_again_soon(world: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hunting, "LOOK_SECONDS", 3_600)
    ann, _ = await world.handset("200"), await world.handset("201")
    number = world.queue(("201",))
    await world.hunts.staff.look(world.people_of("201"))
    await world.doing.claim(["p201"], "another", 0.5, exclusive=True)
    incoming = await ann.call(number)
    assert (incoming.statuses, world.wire.take()) == ([182], [])
    world.clock.now += 0.6
    async with asyncio.timeout(60):
        while not world.wire.sent:
            await asyncio.sleep(0.01)
    assert said(world.wire.take()) == [("INVITE", 5201)]
