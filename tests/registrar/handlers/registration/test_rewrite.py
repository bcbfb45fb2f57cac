"""handlers/registration/rewrite.py: load, decide, commit, and again when another process was faster."""

from dataclasses import replace

import pytest

from registrar.errors import StoreUnavailable
from registrar.handlers.registration.rewrite import TRIES, Written, rewrite
from registrar.model import Snapshot, Update

from ..world import Device, World


async def bound() -> World:
    world = World()
    assert (await Device(world).register()).status == 200
    return world


def emptied(before: Snapshot) -> Update | None:
    return Update(replace(before, version=before.version + 1, bindings=())) if before.bindings else None


async def test_what_was_decided_is_written_and_given_back() -> None:
    world = await bound()
    how, stands = await rewrite(world.location, "id-u", emptied)
    assert (how, stands.bindings) == (Written.YES, ())
    assert world.snapshot() == stands


async def test_where_nothing_is_to_be_written_nothing_is() -> None:
    world = await bound()
    before = world.snapshot()
    assert await rewrite(world.location, "id-u", lambda _: None) == (Written.NOTHING, before)
    assert world.snapshot() == before


@pytest.mark.parametrize(("rivals", "how"), [(TRIES - 1, Written.YES), (TRIES, Written.GAVE_UP)])
async def test_each_newer_snapshot_is_decided_anew(rivals: int, how: Written) -> None:
    world = await bound()
    world.location.rivals = rivals
    seen: list[int] = []

    def decide(before: Snapshot) -> Update | None:
        seen.append(before.version)
        return emptied(before)

    assert (await rewrite(world.location, "id-u", decide)).how is how
    assert seen == list(range(seen[0], seen[0] + TRIES))


async def test_a_snapshot_that_is_at_hand_need_not_be_loaded() -> None:
    world = await bound()
    old = replace(world.snapshot(), version=world.snapshot().version - 1)
    assert (await rewrite(world.location, "id-u", emptied, old)).how is Written.YES
    world.location.away = True
    with pytest.raises(StoreUnavailable):
        await rewrite(world.location, "id-u", emptied)
