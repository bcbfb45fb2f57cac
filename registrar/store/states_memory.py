"""Index of states in memory, for tests of handlers."""

from collections.abc import Mapping, Sequence

from registrar.model import Snapshot, Update
from registrar.rules.standing import Entry, Standing, new_standing, standing


class MemoryStates:
    """Index of the phones of a location in memory; implements ports.StateIndex."""

    def __init__(self, stored: Mapping[str, Snapshot], status: Mapping[str, Mapping[str, str]]) -> None:
        self._stored = stored
        self._status = status
        self._entries: dict[str, dict[str, Entry]] = {}
        self._deleted: set[str] = set()

    def committed(self, phone: str, before: Snapshot, update: Update) -> None:
        """Note the standing that an update makes, if it makes one."""
        after = new_standing(before, update)
        if after is None or not update.customer:
            return
        self._deleted.discard(phone)
        known = self._entries.setdefault(update.customer, {})
        old = known[phone].standing.transport if phone in known else ""
        known[phone] = Entry(update.after.version, Standing(after.reason, after.transport or old))

    async def entries(self, customer: str, phones: Sequence[str]) -> list[Entry | None]:
        """See ports.StateIndex."""
        return [self._entries.get(customer, {}).get(phone) for phone in phones]

    async def settle(self, phone: str, customer: str) -> bool:
        """See ports.StateIndex."""
        now = standing(self._status.get(phone, {}))
        if now is None or phone in self._deleted:
            self._entries.get(customer, {}).pop(phone, None)
        else:
            version = self._stored.get(phone, Snapshot()).version
            self._entries.setdefault(customer, {})[phone] = Entry(version, now)
        return True

    async def drop(self, phone: str, customer: str) -> None:
        """See ports.StateIndex."""
        self._deleted.add(phone)
        self._entries.get(customer, {}).pop(phone, None)
