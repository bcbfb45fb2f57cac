"""Writing a phone's bindings when other processes may write at the same time: load, decide, commit, again."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from registrar.model import Snapshot, Update
from registrar.ports import Location

TRIES: Final = 5


class Written(Enum):
    """How it ended."""

    YES = auto()
    NOTHING = auto()
    """There was nothing to write."""
    GAVE_UP = auto()
    """Others wrote each time, `TRIES` times."""


class Rewritten(NamedTuple):
    """How it ended, and what stands now as far as this process knows."""

    how: Written
    stands: Snapshot


async def rewrite(
    location: Location,
    phone: str,
    decide: Callable[[Snapshot], Update | None],
    before: Snapshot | None = None,
) -> Rewritten:
    """Write what `decide` makes of the newest snapshot of a phone; None from it ends the matter.

    `decide` is called again for each newer snapshot. `before` is a snapshot to begin with, without asking the
    store. Raises StoreUnavailable.
    """
    if before is None:
        (before,) = await location.load([phone])
    for _ in range(TRIES):
        update = decide(before)
        if update is None:
            return Rewritten(Written.NOTHING, before)
        newer = await location.commit(phone, before, update)
        if newer is None:
            return Rewritten(Written.YES, update.after)
        before = newer
    return Rewritten(Written.GAVE_UP, before)
