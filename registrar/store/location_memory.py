"""Location service in memory: the meaning of the port without a server, for tests of handlers."""

from collections.abc import Sequence

from registrar.errors import StoreUnavailable
from registrar.model import Snapshot, Update
from registrar.ports import Clock, Due, Sighting

from .states_memory import MemoryStates


class MemoryLocation:
    """Location service in memory; implements ports.Location, Schedule, Sightings and OfflineReasons.

    Set `away` to make it fail like a store that is down.
    """

    def __init__(self, clock: Clock) -> None:
        self.stored: dict[str, Snapshot] = {}
        self.status: dict[str, dict[str, str]] = {}
        self.updates: list[tuple[str, Update]] = []
        self.promised: dict[str, Update] = {}
        self.index: dict[str, float] = {}
        self.states = MemoryStates(self.stored, self.status)
        self.away = False
        self._clock = clock

    def known(self, phone: str) -> Snapshot:
        """See ports.Location."""
        return self.stored.get(phone, Snapshot())

    async def load(self, phones: Sequence[str]) -> list[Snapshot]:
        """See ports.Location."""
        self._ask()
        return [self.known(phone) for phone in phones]

    async def commit(self, phone: str, before: Snapshot, update: Update) -> Snapshot | None:
        """See ports.Location."""
        self._ask()
        now = self.known(phone)
        if now.version != before.version:
            return now
        self.stored[phone] = update.after
        self.status.setdefault(phone, {}).update(update.status)
        self.states.committed(phone, before, update)
        self.updates.append((phone, update))
        for binding in update.after.bindings:
            self.index[phone] = min(self.index.get(phone, binding.expires_at), binding.expires_at)
        return None

    async def offline_reasons(self, phones: Sequence[str]) -> list[str]:
        """See ports.OfflineReasons."""
        self._ask()
        return [self.status.get(phone, {}).get("reason", "") for phone in phones]

    def promise(self, phone: str, update: Update) -> None:
        """See ports.Location."""
        self.promised[phone] = update

    async def due(self, limit: int) -> list[Due]:
        """See ports.Schedule."""
        self._ask()
        return [Due(phone, score) for phone, score in self.index.items() if score <= self._clock()][:limit]

    async def reschedule(self, due: Due, earliest: int | None) -> None:
        """See ports.Schedule."""
        self._ask()
        if self.index.get(due.phone) != due.score:
            return
        if earliest is None:
            del self.index[due.phone]
        else:
            self.index[due.phone] = earliest

    async def lower(self, phone: str, earliest: int) -> None:
        """See ports.Schedule."""
        self._ask()
        self.index[phone] = min(self.index.get(phone, earliest), earliest)

    async def seen(self, sightings: Sequence[Sighting]) -> list[bool]:
        """See ports.Sightings."""
        self._ask()
        return [self._seen(sighting) for sighting in sightings]

    def _seen(self, sighting: Sighting) -> bool:
        status, binding = self.status.get(sighting.phone, {}), sighting.binding
        shown = [
            status.get(name) for name in ("online", "transport", "node", "publicIpAddress", "publicPort")
        ]
        if shown != ["1", "udp", binding.node, binding.public_ip, str(binding.public_port)]:
            return False
        status["lastSeen"] = str(int(sighting.at))
        if sighting.rtt_ms is not None:
            status["rttMs"] = f"{sighting.rtt_ms:.1f}"
        return True

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
