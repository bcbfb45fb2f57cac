"""Turns: who is next when all are at work, and who is sent away when too many wait."""

import asyncio

import pytest

from config.operations.turns import Crowded, FairTurns


class Hall:
    """Those who come, and in which order they are served."""

    def __init__(self, at_once: int = 1, most: int = 100) -> None:
        self.turns = FairTurns(at_once, most)
        self.served: list[str] = []
        self.go = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, *names: str) -> None:
        """Each name is `source` or `source!`, which is known there."""
        for name in names:
            self.tasks.append(asyncio.create_task(self._visit(name)))
            await asyncio.sleep(0)

    async def _visit(self, name: str) -> None:
        source, bang, _ = name.partition("!")
        async with self.turns.turn(source, known=bool(bang)):
            self.served.append(name)
            await self.go.wait()

    async def end(self) -> list[object]:
        self.go.set()
        return list(await asyncio.gather(*self.tasks, return_exceptions=True))


async def test_sources_take_turns_however_many_one_of_them_sends() -> None:
    hall = Hall()
    await hall.come("a", *["a"] * 5, "b", "c", "b")
    await hall.end()
    assert hall.served == ["a", "a", "b", "c", "a", "b", "a", "a", "a"]


async def test_within_a_source_the_known_ones_come_first() -> None:
    hall = Hall()
    await hall.come("a", "a", "a", "a!", "a!")
    await hall.end()
    assert hall.served == ["a", "a!", "a!", "a", "a"]


async def test_so_many_at_once_and_no_more() -> None:
    hall = Hall(at_once=2)
    await hall.come("a", "a", "a", "b")
    assert hall.served == ["a", "a"]
    await hall.end()
    assert len(hall.served) == 4
    again = Hall(at_once=2)
    again.turns = hall.turns
    await again.come("a", "b", "c")
    assert again.served == ["a", "b"], "every turn was given back"
    await again.end()


async def test_when_too_many_wait_the_fullest_source_loses_its_newest() -> None:
    hall = Hall(most=4)
    await hall.come("a", "a", "a", "a!", "a", "b", "c")
    ended = await hall.end()
    assert [type(end) for end in ended if end is not None] == [Crowded, Crowded]
    assert hall.served == ["a", "a!", "b", "c", "a"]
    assert ended[4] is not None and ended[2] is not None, "the newest, and no known one before a stranger"


async def test_the_only_one_of_a_source_may_be_sent_away_too() -> None:
    hall = Hall(most=0)
    await hall.come("a", "b")
    ended = await hall.end()
    assert isinstance(ended[1], Crowded) and hall.served == ["a"]


async def test_whoever_gives_up_takes_no_turn_with_it() -> None:
    hall = Hall()
    await hall.come("a", "b", "c")
    hall.tasks[1].cancel()
    await asyncio.sleep(0)
    await hall.end()
    assert hall.served == ["a", "c"]
    async with asyncio.timeout(60), hall.turns.turn("d"):
        pass


async def test_who_is_called_off_as_the_turn_comes_hands_it_on() -> None:
    turns = FairTurns(1)
    inside = asyncio.Event()

    async def visit() -> None:
        async with turns.turn("a"):
            inside.set()
            await asyncio.sleep(0)

    async def wait() -> None:
        async with turns.turn("b"):
            raise AssertionError("it was called off")

    first, second = asyncio.create_task(visit()), asyncio.create_task(wait())
    await inside.wait()
    await asyncio.sleep(0)
    await first
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    async with asyncio.timeout(60), turns.turn("c"):
        pass
