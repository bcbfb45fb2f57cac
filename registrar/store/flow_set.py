"""Set in Redis of the phones that have a binding on a connection of this process.

Other processes read it after the death of this process, to end those bindings. An entry too many is harmless,
and a missing entry is not: so a phone is added before the commit that binds it, and removed after the commit
that ends its last binding here.
"""

from contextlib import suppress

from registrar.errors import StoreUnavailable
from registrar.model import Process, Snapshot

from . import keys
from .redis_wire import Wire


class FlowSet:
    """Writer of the set of one process."""

    def __init__(self, wire: Wire, process: Process) -> None:
        self._wire = wire
        self._process = process
        self._key = keys.flows(process)
        self._listed: set[str] = set()
        """Phones that were added since Redis may last have lost the set."""
        self._arriving: dict[str, int] = {}
        """How many commits that bind a phone to a connection here are under way; until they end it stays in
        the set."""

    def arrive(self, phone: str, after: Snapshot) -> bool:
        """Return whether a commit of `after` binds the phone to a connection here. If so, add the phone.

        Call `arrived()` when that commit has ended, with success or without. Raises StoreUnavailable.
        """
        if not any(map(self._process.holds, after.bindings)):
            return False
        if phone not in self._listed:
            self._wire.tell("SADD", self._key, phone)
            self._listed.add(phone)
        self._arriving[phone] = self._arriving.get(phone, 0) + 1
        return True

    def arrived(self, phone: str) -> None:
        """Note that one commit of `arrive` has ended."""
        left = self._arriving.pop(phone) - 1
        if left:
            self._arriving[phone] = left

    def leave(self, phone: str, after: Snapshot, before: Snapshot) -> None:
        """Remove the phone if it is no longer bound to a connection here.

        A phone that was bound here `before` may be in the set although `_listed` has lost it: Redis was away.
        """
        listed = phone in self._listed or any(map(self._process.holds, before.bindings))
        if listed and not any(map(self._process.holds, after.bindings)):
            self._remove(phone)

    def ended_elsewhere(self, phone: str, stands: Snapshot) -> None:
        """Remove the phone if another process ended its binding here, as the newest known snapshot shows.

        While a commit binds the phone here, that snapshot is about to be replaced.
        """
        listed = phone in self._listed and phone not in self._arriving
        if listed and self._wire.up and not any(map(self._process.holds, stands.bindings)):
            self._remove(phone)

    def forget(self) -> None:
        """Forget the added phones: Redis may have lost the set. Each is added again with its next commit."""
        self._listed.clear()

    def _remove(self, phone: str) -> None:
        self._listed.discard(phone)
        with suppress(StoreUnavailable):  # an entry too many is harmless, and the commit has been written
            self._wire.tell("SREM", self._key, phone)
