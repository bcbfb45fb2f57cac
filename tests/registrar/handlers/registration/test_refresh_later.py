"""A refresh an hour after the last one: no SQL, and hardly more work than one a moment after."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from registrar.handlers.answers import Answer
from registrar.model import IpMode
from registrar.store.directory_cache import CachedDirectory
from registrar.store.freshness import FRESH_SECONDS
from tests.contract.test_phones import Rows, believing
from tests.figures import FIGURE

from ..world import HOME, Device, World, phone

ROUNDS: Final = 7
HOUR: Final = 3_600.0
MORE_CALLS: Final = 1.1
"""So many times the calls of a refresh from a fresh cache are the most for a later one."""
LOCKED: Final = phone(mode=IpMode.LOCKED, address=HOME)


@contextmanager
def calls() -> Iterator[list[int]]:
    """The number of Python calls in the block."""
    counted = [0]

    def count(_frame: object, kind: str, _argument: object) -> None:
        counted[0] += kind == "call"

    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(None)


async def least(refresh: Callable[[], Awaitable[Answer]]) -> int:
    """The calls of one refresh: the least of some, because timers only ever add."""
    figures = []
    for _ in range(ROUNDS):
        with calls() as counted:
            assert (await refresh()).status == 200
        figures.append(counted[0])
    return min(figures)


async def test_a_refresh_after_an_hour_reads_nothing_and_costs_as_much_as_one_at_once(
    record_property: Callable[[str, object], None],
) -> None:
    rows = Rows(LOCKED)
    async with believing(rows) as (directory, clock):
        await directory.read_domains()
        device = Device(world_with(directory), LOCKED)
        assert (await device.register()).status == 200
        at_once = await least(device.register)
        asked = len(rows.asked)
        clock.now += HOUR
        directory.freshness.followed(clock())
        later = await least(device.register)
        assert len(rows.asked) == asked
        record_property(FIGURE, f"refresh: {at_once} calls at once, {later} an hour later, no SQL")
        assert 50 < later <= MORE_CALLS * at_once, (later, at_once)
        clock.now += HOUR
        assert (await device.register()).status == 200
        assert len(rows.asked) == asked + 1, "the last poll was an hour ago"


async def test_an_open_phone_is_read_again_after_a_minute() -> None:
    """Another process may have locked it: that is no noted change."""
    there = phone(mode=IpMode.OPEN)
    rows = Rows(there)
    async with believing(rows) as (directory, clock):
        assert (await directory.find(there.username, there.domain)) is not None
        asked = len(rows.asked)
        clock.now += FRESH_SECONDS + 1
        directory.freshness.followed(clock())
        await directory.find(there.username, there.domain)
        assert len(rows.asked) == asked + 1


async def test_a_restored_database_is_believed_after_the_gap() -> None:
    """Its versions are lower than those that this process has read."""
    rows = Rows(replace(LOCKED, version=10))
    async with believing(rows) as (directory, clock):
        found = await directory.find(LOCKED.username, LOCKED.domain)
        assert found is not None and found.version == 10
        rows.rows[LOCKED.id] = replace(LOCKED, version=9)
        clock.now += 1
        await directory.reread([LOCKED.id])
        found = await directory.find(LOCKED.username, LOCKED.domain)
        assert found is not None and found.version == 10, "a late read of before"
        clock.now += 1
        directory.forget_freshness()
        clock.now += 1
        found = await directory.find(LOCKED.username, LOCKED.domain)
        assert found is not None and found.version == 9


def world_with(directory: CachedDirectory) -> World:
    return World(people=directory)  # type: ignore[arg-type]  # it has what the handlers ask
