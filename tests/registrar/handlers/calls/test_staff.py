"""handlers/calls/staff.py: what calls that wait know of people, and how seldom they ask."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from registrar.handlers.calls.staff import KNOWN_SECONDS, Staff
from registrar.model import Devices, Mono, PersonState, Waiter

from .floor import Floor, floor

BOB, CAT = Devices("201", "Bob", person="p201"), Devices("202", "Cat", person="p202")
PLACE = "queue:q"


class Slow:
    """The stores of a world, whose answers leave only when `goes` is set; it counts what was asked."""

    def __init__(self, world: Floor) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.goes = asyncio.Event()
        self.goes.set()
        self._states, self._waiters = world.doing.states, world.waiting.waiters
        world.doing.states = self.states  # type: ignore[method-assign]  # to see and delay each read
        world.waiting.waiters = self.waiters  # type: ignore[method-assign]  # the same
        self.staff = Staff(
            world.doing, world.waiting, world.location, world.clock, lambda: Mono(world.clock.now)
        )

    async def states(self, people: Sequence[str], *, watch: bool = False) -> list[PersonState]:
        self.asked.append(tuple(people))
        found = await self._states(people, watch=watch)
        await self.goes.wait()
        return found

    async def waiters(self, place: str) -> list[Waiter]:
        self.asked.append((place,))
        found = await self._waiters(place)
        await self.goes.wait()
        return found


@pytest.fixture
async def world() -> AsyncIterator[Floor]:
    async with floor() as made:
        yield made


async def test_what_one_has_read_serves_the_others_for_a_second(world: Floor) -> None:
    slow = Slow(world)
    for _ in range(3):
        assert list(await slow.staff.look([BOB, CAT])) == ["p201", "p202"]
    assert slow.asked == [("p201", "p202")]
    world.clock.now += KNOWN_SECONDS + 0.1
    await slow.staff.look([BOB])
    assert slow.asked[1:] == [("p201",)]


async def test_those_who_ask_meanwhile_share_a_read(world: Floor) -> None:
    slow = Slow(world)
    slow.goes.clear()
    looks = [asyncio.create_task(slow.staff.look(people)) for people in ([BOB], [BOB, CAT], [CAT])]
    await world.settle()
    slow.goes.set()
    assert [sorted(await one) for one in looks] == [["p201"], ["p201", "p202"], ["p202"]]
    assert slow.asked == [("p201",), ("p202",)]


async def test_what_is_read_while_it_changes_is_not_kept(world: Floor) -> None:
    slow = Slow(world)
    slow.goes.clear()
    look = asyncio.create_task(slow.staff.look([BOB, CAT]))
    await world.settle()
    world.doing.take_part("p201", "c1")
    slow.staff.forget("p201")
    slow.goes.set()
    await look
    members = await slow.staff.look([BOB, CAT])
    assert members["p201"].seen.state.calls == ("c1",)
    assert slow.asked == [("p201", "p202"), ("p201",)]


async def test_looking_again_asks_the_store(world: Floor) -> None:
    slow = Slow(world)
    await slow.staff.look([BOB])
    world.doing.take_part("p201", "c1")
    assert (await slow.staff.look_again([BOB]))["p201"].seen.state.calls == ("c1",)
    assert (await slow.staff.look([BOB]))["p201"].seen.state.calls == ("c1",)
    assert len(slow.asked) == 2


async def test_without_the_store_the_last_state_counts(world: Floor) -> None:
    slow = Slow(world)
    world.doing.take_part("p201", "c1")
    await slow.staff.look([BOB])
    world.clock.now += KNOWN_SECONDS + 0.1
    world.doing.away = True
    members = await slow.staff.look([BOB, CAT])
    assert [one.seen.state.calls for one in members.values()] == [("c1",), ()]


async def test_the_calls_that_wait_are_read_once_a_second_and_for_each_that_is_new(world: Floor) -> None:
    slow = Slow(world)
    for call in ("a", "a", "b", "a"):
        await world.waiting.enter(PLACE, call, "0")
        assert call in [one.call for one in await slow.staff.waiters(PLACE, call)]
    assert len(slow.asked) == 2
    slow.staff.forget("p201")
    await slow.staff.waiters(PLACE, "a")
    assert len(slow.asked) == 3


async def test_calls_that_are_read_while_a_person_changes_are_not_kept(world: Floor) -> None:
    slow = Slow(world)
    await world.waiting.enter(PLACE, "a", "0")
    slow.goes.clear()
    looks = [asyncio.create_task(slow.staff.waiters(PLACE, "a")) for _ in range(2)]
    await world.settle()
    world.waiting.move(PLACE, "a", "0*")
    slow.staff.forget("p201")
    slow.goes.set()
    assert [[one.stage for one in await look] for look in looks] == [["0"], ["0"]]
    assert [one.stage for one in await slow.staff.waiters(PLACE, "a")] == ["0*"]
    assert len(slow.asked) == 2
