"""The write of a phone's bindings if other processes may write, too: load, decide, commit, try again."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from registrar.model import Binding, Epoch, EventKind, Reason, Snapshot, Update
from registrar.ports import Location
from registrar.rules.register import drop
from registrar.rules.update import build_update

TRIES: Final = 5


class Written(Enum):
    """How the write ended."""

    YES = auto()
    NOTHING = auto()
    """There was nothing to write."""
    GAVE_UP = auto()
    """Another process wrote first, `TRIES` times."""


class Rewritten(NamedTuple):
    """How the write ended, and the current snapshot as far as this process knows."""

    how: Written
    stands: Snapshot


async def rewrite(
    location: Location,
    phone: str,
    decide: Callable[[Snapshot], Update | None],
    before: Snapshot | None = None,
) -> Rewritten:
    """Write the update that `decide` returns for the newest snapshot of a phone; write nothing for None.

    `decide` is called again for each newer snapshot. `before` is a snapshot to begin with, instead of one
    from the store. Raises StoreUnavailable.
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


def without(
    before: Snapshot, gone: list[Binding], kind: EventKind, reason: Reason, customer: str, now: Epoch
) -> Update:
    """Return the update that removes the bindings `gone`, with an event of this kind for each."""
    outcome = drop(before, gone, kind, str(reason), now)
    return build_update(before, outcome.bindings, outcome.events, now, reason=reason, customer=customer)
