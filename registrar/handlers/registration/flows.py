"""The phones on each connection, and the end of their bindings when it closes (decision 11)."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Binding, EventKind, Flow, Mono, Phone, Process, Reason, Snapshot, Update
from registrar.ports import Clock, Location, OpenConnections
from registrar.rules.register import WEBSOCKETS

from .rewrite import TRIES, Written, rewrite, without

GRACE_SECONDS: Final = 8.0
"""How long a phone may take to come back over another connection before it is offline."""
PER_PHONE: Final = 4
"""Connections of one phone; if there are more, the oldest ones are closed."""
CONNECTED: Final = ("tcp", "tls", "ws", "wss")
LOOK_SECONDS: Final = 0.25
CHUNK: Final = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A phone on a connection."""

    flow: Flow
    secret_version: int


@dataclass(frozen=True, slots=True)
class _Farewell:
    """A phone whose connection closed, and the time when its bindings on it end."""

    due: Mono
    phone: str
    flow: int
    reason: Reason


class Flows:
    """The phones on the connections of this process."""

    def __init__(
        self,
        connections: OpenConnections,
        location: Location,
        customer_of: Callable[[str], str],
        clock: Clock,
        mono: Callable[[], Mono],
        metrics: Metrics,
        *,
        process: Process,
        left: Callable[[Flow, str, bool], None],
    ) -> None:
        """Create an empty table.

        `customer_of` returns the customer of a phone for the event, empty if unknown.
        `left` is called for each connection of a phone that is gone, or that another one has replaced.
        """
        self._left = left
        self._connections = connections
        self._location = location
        self._customer_of = customer_of
        self._clock = clock
        self._mono = mono
        self._metrics = metrics
        self._process = process
        self.held: dict[str, dict[int, Held]] = {}
        """Phone -> its connections here by their number."""
        self._until: dict[tuple[int, str], int] = {}
        """Connection and phone -> when the binding of the phone over it expires, 0 without a binding."""
        self._phones: dict[int, set[str]] = {}
        self._farewells: deque[_Farewell] = deque()

    def __len__(self) -> int:
        return len(self._phones)

    @property
    def phones(self) -> list[str]:
        """Return the ids of all phones on open connections."""
        return list(self.held)

    def authenticated(self, flow: Flow, phone: Phone) -> None:
        """Note that a request of `phone` with a right digest came over `flow`."""
        if flow.transport == "udp":
            return
        if not self._connections.is_open(flow.id):  # it closed while the digest was checked
            self._part(phone.id, flow.id, Reason.SOCKET_CLOSED)
            return
        self._connections.authenticated(flow.id)
        held = self.held.setdefault(phone.id, {})
        held[flow.id] = Held(flow, phone.secret_version)
        self._phones.setdefault(flow.id, set()).add(phone.id)
        if len(held) > PER_PHONE:
            still = [number for number in held if self._connections.is_open(number)]
            for number in still[:-PER_PHONE]:
                self._connections.hang_up(number, revoked=False)

    def closed(self, flow: Flow, *, silent: bool) -> None:
        """Note that a connection is gone; `silent`: its peer had not answered for too long."""
        reason = Reason.PING_TIMEOUT if silent else Reason.SOCKET_CLOSED
        for phone in self._phones.pop(flow.id, ()):
            held = self.held[phone]
            del held[flow.id]
            self._until.pop((flow.id, phone), None)
            if not held:
                del self.held[phone]
            self._left(flow, phone, False)
            self._part(phone, flow.id, reason)

    def bound(self, phone: Phone, stands: Snapshot) -> None:
        """Note the bindings of `phone` over its connections.

        Report the WebSocket connections of a browser that it has no binding on any more as replaced. A page
        that was reloaded replaces its old bindings (decision 10). The old connection may seem open for some
        time after its network has gone.
        """
        held = self.held.get(phone.id, {})
        there = {
            binding.flow: binding.expires_at for binding in stands.bindings if self._process.holds(binding)
        }
        for number in held:
            self._until[number, phone.id] = there.get(number, 0)
        if len(held) < 2 or not phone.instance:
            return
        for number, old in held.items():
            if number not in there and old.flow.transport in WEBSOCKETS:
                self._left(old.flow, phone.id, True)

    def registered(self) -> dict[str, int]:
        """Return how many phones are bound over connections of this process, by transport."""
        now = self._clock()
        bound = {
            (phone, self.held[phone][number].flow.transport)
            for (number, phone), until in self._until.items()
            if until > now
        }
        return dict.fromkeys(CONNECTED, 0) | Counter(transport for _, transport in bound)

    def is_dead(self, binding: Binding) -> bool:
        """Return whether the connection of `binding` is known to be closed."""
        process = self._process
        if not binding.connected or binding.node != process.node:
            return False
        return binding.generation != process.generation or not self._connections.is_open(binding.flow)

    def enforce(self, phone: str, allowed: Callable[[Held], bool]) -> None:
        """Close the connections of `phone` that are not `allowed` any more."""
        for flow, held in list(self.held.get(phone, {}).items()):
            if not allowed(held):
                self._connections.hang_up(flow, revoked=True)

    async def run(self) -> None:
        """End the bindings of closed connections after `GRACE_SECONDS`, until cancelled."""
        while True:
            try:
                await self.step()
            except StoreUnavailable as error:
                log.debug("closed connections wait: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> None:
        """End the bindings that are due now. Raises StoreUnavailable; the remaining ones stay noted."""
        now = self._mono()
        while self._farewells and self._farewells[0].due <= now:
            chunk: list[_Farewell] = []
            while self._farewells and self._farewells[0].due <= now and len(chunk) < CHUNK:
                chunk.append(self._farewells.popleft())
            done = await asyncio.gather(*map(self._is_ended, chunk))
            left = [farewell for farewell, ended in zip(chunk, done, strict=True) if not ended]
            if left:
                self._farewells.extendleft(reversed(left))
                raise StoreUnavailable(f"{len(left)} phones whose connection closed cannot be written")

    async def disown(self) -> None:
        """Close the connections whose bindings are gone from the store, so that their phones register again.

        Other nodes may have taken this process for dead and ended its bindings. Raises StoreUnavailable.
        """
        phones = self.phones
        for chunk in (phones[start : start + CHUNK] for start in range(0, len(phones), CHUNK)):
            for phone, stands in zip(chunk, await self._location.load(chunk), strict=True):
                there = {self._place(binding) for binding in stands.bindings if binding.connected}
                for binding in self._location.known(phone).live(self._clock()):
                    if self._place(binding) not in there and self._process.holds(binding):
                        self._connections.hang_up(binding.flow, revoked=False)

    @staticmethod
    def _place(binding: Binding) -> tuple[str, str, int]:
        return binding.node, binding.generation, binding.flow

    def _part(self, phone: str, flow: int, reason: Reason) -> None:
        self._farewells.append(_Farewell(Mono(self._mono() + GRACE_SECONDS), phone, flow, reason))

    async def _is_ended(self, farewell: _Farewell) -> bool:
        """End the bindings of one phone; return False if the store is unavailable."""
        try:
            await self._end(farewell)
        except StoreUnavailable:
            return False
        return True

    async def _end(self, farewell: _Farewell) -> None:
        phone = farewell.phone
        gone: list[Binding] = []

        def decide(before: Snapshot) -> Update | None:
            gone[:] = self._left_behind(before, farewell.flow)
            if not gone:
                return None
            customer = self._customer_of(phone)
            return without(before, gone, EventKind.LOST, farewell.reason, customer, self._clock())

        known = self._location.known(phone)
        is_known = bool(self._left_behind(known, farewell.flow))  # if not, the store may know more
        written, _ = await rewrite(self._location, phone, decide, known if is_known else None)
        if written is Written.YES:
            self._metrics.lost(farewell.reason, by=len(gone))
        elif written is Written.GAVE_UP:
            log.error("phone %s changed %d times while its connection was let go", phone, TRIES)

    def _left_behind(self, before: Snapshot, flow: int) -> list[Binding]:
        """Return the bindings that were made over that connection and over no other since."""
        live = before.live(self._clock())
        return [binding for binding in live if self._process.holds(binding) and binding.flow == flow]
