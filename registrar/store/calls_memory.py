"""Active calls in memory: the meaning of the port without a server, for tests of handlers."""

from collections.abc import Sequence
from dataclasses import replace

from registrar.errors import StoreUnavailable
from registrar.model import NO_PROCESS, Call, Ending, Notice, Party, Process
from registrar.ports import Clock

from . import keys
from .call_codec import Fields, answered_event, changed_event, ended_event, started_event
from .notices import notice_fields


class MemoryCalls:
    """Calls in memory; implements ports.Calls. Set `away` to make it fail like a store that is down."""

    def __init__(self, clock: Clock, process: Process = NO_PROCESS) -> None:
        self.events: list[Fields] = []
        """The entries that the stream of all events would hold."""
        self.endings: list[tuple[Call, Ending]] = []
        """The endings among the events, in the order of the calls to `ended` or `mend`."""
        self.away = False
        self._stored: dict[str, tuple[Call, float]] = {}
        """Id -> the call, and when it is forgotten."""
        self._claimed: set[tuple[str, Process]] = set()
        self._untold: dict[str, tuple[Call, Ending]] = {}
        self._clock = clock
        self._process = process

    def share(self, other: "MemoryCalls") -> None:
        """Use the store of `other`, like two processes over one Redis."""
        self._stored, self._claimed = other._stored, other._claimed

    @property
    def there(self) -> dict[str, Call]:
        """Return the active calls by id."""
        now = self._clock()
        return {id: call for id, (call, end) in self._stored.items() if end > now}

    def put(self, call: Call) -> None:
        """See ports.Calls."""
        if not self.away:
            self._stored[call.id] = (self._owned(call), self._clock() + keys.CALL_SECONDS)

    def started(self, call: Call) -> None:
        """See ports.Calls."""
        self.put(call)
        self._tell(started_event(call))

    def answered(self, call: Call) -> None:
        """See ports.Calls."""
        self.put(call)
        self._tell(answered_event(call))

    def changed(self, call: Call, party: Party) -> None:
        """See ports.Calls."""
        self.put(call)
        self._tell(changed_event(call, party, self._clock()))

    def ended(self, call: Call, ending: Ending) -> None:
        """See ports.Calls."""
        if self.away:
            self._untold[call.id] = (call, ending)
        elif call.id in self.there:
            self._end(call, ending)

    def note(self, notice: Notice) -> None:
        """See ports.Calls."""
        self._tell(dict(notice_fields(notice)))

    async def load(self, ids: Sequence[str]) -> list[Call | None]:
        """See ports.Calls."""
        self._ask()
        there = self.there
        return [there.get(id) for id in ids]

    async def of_customer(self, customer: str) -> list[Call]:
        """See ports.Calls."""
        self._ask()
        return [call for call in self.there.values() if call.customer == customer]

    async def of_process(self, process: Process) -> list[Call]:
        """See ports.Calls."""
        self._ask()
        return [
            call
            for call in self.there.values()
            if call.process == process and (call.id, process) not in self._claimed
        ]

    async def claim(self, call: Call) -> bool:
        """See ports.Calls."""
        self._ask()
        left = call.id, call.process
        is_first = left not in self._claimed
        self._claimed.add(left)
        return is_first

    async def mend(self) -> int:
        """Write the endings from the time when the store was away. Return how many of them were new."""
        self._ask()
        untold, self._untold = self._untold, {}
        news = [(call, ending) for call, ending in untold.values() if call.id in self._stored]
        for call, ending in news:
            self._end(call, ending)
        return len(news)

    def _end(self, call: Call, ending: Ending) -> None:
        del self._stored[call.id]
        self.endings.append((call, ending))
        self._tell(ended_event(call, ending))

    def _owned(self, call: Call) -> Call:
        return call if call.process.node else replace(call, process=self._process)

    def _tell(self, event: Fields) -> None:
        if not self.away:
            self.events.append(event)

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
