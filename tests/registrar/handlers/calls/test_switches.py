"""handlers/calls/switches.py: what the audit log is told of feature codes; tests/wire has what they do."""

from collections.abc import AsyncIterator

import pytest

from registrar.model import Switched

from .floor import Floor, floor


@pytest.fixture
async def world() -> AsyncIterator[Floor]:
    async with floor() as made:
        yield made


async def test_a_wish_that_a_phone_changes_is_told_with_what_it_was(world: Floor) -> None:
    ann = await world.handset("200")
    world.queue(("200",), ("201",))
    for code in ("*76", "*72201", "*72202", "*73", "*45700"):
        assert (await ann.call(code)).statuses == [480]
    known = world.clock.now, "p200", ann.account.customer, ann.account.id, "198.51.100.7"
    assert world.deeds.done == [
        Switched(*known, "dnd", "", "1"),
        Switched(*known, "cfu", "", "201"),
        Switched(*known, "cfu", "201", "202"),
        Switched(*known, "cfu", "202", ""),
        Switched(*known, "left:q", "", "1"),
    ]


async def test_what_changes_nothing_is_not_told(world: Floor) -> None:
    ann = await world.handset("200")
    for code in ("*79", "*73", "*72999", "*45799"):
        await ann.call(code)
    assert world.deeds.done == []
