"""Phones over UDP are pinged by OPTIONS: who answers is seen, who is silent is offline."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from itertools import count, islice
from math import inf
from typing import Final, Protocol

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Binding, Epoch, EventKind, Flow, Mono, Reason, Snapshot
from registrar.ports import Clock, Location, Sighting, Sightings
from registrar.rules import pings
from registrar.rules.pings import PREFIX
from registrar.rules.register import drop
from registrar.rules.settle import settle

__all__ = ["PREFIX", "Pings"]

PER_STEP: Final = 200
"""Pings that leave together; the loop serves others between two such lots."""
CHUNK: Final = 500
LEAST_REST, MOST_REST = 0.01, 0.2
LATE_SECONDS: Final = 2.0
"""When we were so late ourselves, an answer may lie unread in the socket: silence proves nothing then."""
TRIES: Final = 5
SPARE_ENTRIES: Final = 1_000

log = logging.getLogger(__name__)


class PingedLocation(Location, Sightings, Protocol):
    """The location as the pings need it."""


class _Target:
    """One binding that is pinged."""

    __slots__ = ("begun", "binding", "branch", "due", "phone", "rtt_ms", "seen", "sent")

    def __init__(self, phone: str, binding: Binding) -> None:
        self.phone = phone
        self.binding = binding
        self.due = Mono(inf)
        """When something is to be done; infinite: nothing ever again."""
        self.branch = ""
        """Of the ping that is not answered yet."""
        self.sent = 0
        """How often that ping was sent."""
        self.begun = Mono(0.0)
        """When the last ping was sent first."""
        self.rtt_ms: float | None = None
        self.seen = Epoch(binding.refreshed_at)
        """What was written last of its round trip, and of when it was seen."""


class _Phone:
    """The bindings of one phone that are pinged, and the version they are from."""

    __slots__ = ("targets", "version")

    def __init__(self) -> None:
        self.version = 0
        self.targets: tuple[_Target, ...] = ()


class Pings:
    """The UDP bindings of this node, each with its next moment in one heap."""

    def __init__(
        self,
        location: PingedLocation,
        send: Callable[[bytes, Flow], bool],
        flow_of: Callable[[Binding], Flow | None],
        customer_of: Callable[[str], str],
        clock: Clock,
        mono: Callable[[], Mono],
        metrics: Metrics,
        *,
        node: str,
        seconds: float,
        salt: bytes,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """`seconds` between two pings of a binding, 0 for none; `roll` gives numbers in [0, 1).

        `send` says whether the message could be sent at all; `flow_of` gives the way to a binding, None when
        its listener is not there. `customer_of` gives the customer of a phone for the event, empty when
        unknown. Nobody outside may know `salt`.
        """
        self._location = location
        self._send = send
        self._flow_of = flow_of
        self._customer_of = customer_of
        self._clock = clock
        self._mono = mono
        self._metrics = metrics
        self._node = node
        self._seconds = seconds
        self._salt = salt
        self._roll = roll
        self._phones: dict[str, _Phone] = {}
        self._count = 0
        self._heap: list[tuple[Mono, int, _Target]] = []
        """Entries whose moment is not that of their target any more are passed over."""
        self._entries = count()
        self._numbers = count(1)
        self._waiting: dict[str, _Target] = {}
        """Branch -> whose answer is waited for."""
        self._sightings: dict[_Target, tuple[float | None, Epoch]] = {}
        """Answers to be written: round trip and moment."""
        self._unsure: dict[str, None] = {}
        """Phones whose bindings must be read: at a start, and when the status shows another binding."""

    def __len__(self) -> int:
        return self._count

    def adopt(self, phones: Iterable[str]) -> None:
        """Look for bindings of this node among `phones`: those of an earlier start are ours to ping too."""
        if self._seconds:
            self._unsure.update(dict.fromkeys(phones))

    def bound(self, phone: str, stands: Snapshot) -> None:
        """The bindings of `phone` as they stand now; an older state than is known changes nothing."""
        known = self._phones.get(phone)
        if not self._seconds or (known is not None and stands.version < known.version):
            return
        ours = {
            binding.contact: pings.essence(binding)
            for binding in stands.live(self._clock())
            if not binding.connected and binding.node == self._node
        }
        if not ours and known is None:
            return
        if known is None:
            known = self._phones[phone] = _Phone()
        known.version = stands.version
        before = {target.binding.contact: target for target in known.targets}
        known.targets = tuple(
            self._target(phone, before.pop(contact, None), binding) for contact, binding in ours.items()
        )
        for target in before.values():
            self._forget(target)
        if not known.targets:
            del self._phones[phone]

    def answered(self, branch: str, flow: Flow) -> bool:
        """A response with a branch that begins with PREFIX came over `flow`; False: to no ping that waits."""
        target = self._waiting.get(branch)
        if target is None or flow.transport != "udp" or not pings.is_at(target.binding, flow):
            return False
        now = self._mono()
        rtt_ms = None
        if target.sent == 1:  # of a ping that was sent again nobody knows which one is answered
            rtt_ms = (now - target.begun) * 1_000
            self._metrics.ping_seconds.observe(now - target.begun)
        self._metrics.pings("answered")
        self._calm(target, since=target.begun)
        seen = self._clock()
        if pings.worth_writing(rtt_ms, target.rtt_ms, seen, target.seen):
            self._sightings[target] = (rtt_ms, seen)
        return True

    async def run(self) -> None:
        """Ping, write what was seen and end what is silent, until cancelled."""
        while self._seconds:
            await self.step()
            await asyncio.sleep(self._rest())

    async def step(self) -> None:
        """All that is due now. What the store does not take now is tried again."""
        silent = self._ping_all()
        await self._tell()
        await self._look()
        await asyncio.gather(*map(self._end, silent))

    def _ping_all(self) -> list[_Target]:
        """Send what is due, and give those that have been silent for too long."""
        now, heap = self._mono(), self._heap
        silent: list[_Target] = []
        for _ in range(PER_STEP):
            if not heap or heap[0][0] > now:
                break
            due, _, target = heappop(heap)
            if due != target.due:
                continue
            if not _is_silent(target):
                self._ping(target, now)
            elif now - due > LATE_SECONDS:
                target.sent -= 1
                self._ping(target, now)
            else:
                silent.append(target)
        return silent

    def _ping(self, target: _Target, now: Mono) -> None:
        binding = target.binding
        flow = self._flow_of(binding)
        if flow is None or not flow.local_ip or binding.expires_at <= self._clock():
            self._unsure[target.phone] = None  # it has no way from here, or the sweep has ended it
            self._calm(target, since=now)
            return
        if not target.branch:
            target.branch = pings.branch(next(self._numbers), self._salt)
            target.begun = now
            self._waiting[target.branch] = target
        if not self._send(pings.options(binding, flow, target.branch), flow):
            self._calm(target, since=now)
            return
        self._metrics.pings("sent")
        self._at(target, now + pings.WAITS[target.sent])
        target.sent += 1

    async def _tell(self) -> None:
        """Write what was seen; if that cannot be done now, the next answer says it too."""
        seen = dict(islice(self._sightings.items(), CHUNK))
        if not seen:
            return
        for target in seen:
            del self._sightings[target]
        told = [
            Sighting(target.phone, target.binding, rtt_ms, moment)
            for target, (rtt_ms, moment) in seen.items()
        ]
        try:
            shown = await self._location.seen(told)
        except StoreUnavailable as error:
            log.debug("%d answered pings are not written: %s", len(told), error)
            return
        for (target, (rtt_ms, moment)), is_shown in zip(seen.items(), shown, strict=True):
            target.seen = moment
            target.rtt_ms = target.rtt_ms if rtt_ms is None else rtt_ms
            if (
                not is_shown
            ):  # it has moved to another node or has ended; or it has a newer binding beside this
                self._unsure[target.phone] = None

    async def _look(self) -> None:
        """Read the bindings of phones that we are not sure about."""
        chunk = list(islice(self._unsure, CHUNK))
        if not chunk:
            return
        try:
            found = await self._location.load(chunk)
        except StoreUnavailable as error:
            log.debug("%d phones wait to be looked at for pings: %s", len(self._unsure), error)
            return
        for phone, stands in zip(chunk, found, strict=True):
            self._unsure.pop(phone, None)
            self.bound(phone, stands)

    async def _end(self, target: _Target) -> None:
        """End a binding that does not answer; when that cannot be done now, it is asked again."""
        try:
            ended = await self._try_to_end(target)
        except StoreUnavailable as error:
            log.debug("phone %s is silent, which cannot be written: %s", target.phone, error)
            ended = False
        if not ended and _is_silent(target):
            self._calm(target, since=self._mono())

    async def _try_to_end(self, target: _Target) -> bool:
        """Raises StoreUnavailable. True too when it was refreshed, answered or gone meanwhile."""
        for _ in range(TRIES):
            (before,) = await self._location.load([target.phone])
            self.bound(target.phone, before)
            if not _is_silent(target):
                return True
            now = self._clock()
            gone = [binding for binding in before.live(now) if pings.essence(binding) == target.binding]
            if not gone:  # the store has lost it, and will be told of it again
                return False
            if await self._commit(target.phone, before, gone, now):
                return True
        log.error("phone %s changed %d times while a silent binding was to end", target.phone, TRIES)
        return False

    async def _commit(self, phone: str, before: Snapshot, gone: list[Binding], now: Epoch) -> bool:
        outcome = drop(before, gone, EventKind.LOST, str(Reason.PING_TIMEOUT), now)
        customer = self._customer_of(phone)
        update = settle(
            before, outcome.bindings, outcome.events, now, reason=Reason.PING_TIMEOUT, customer=customer
        )
        if await self._location.commit(phone, before, update) is not None:
            return False
        self._metrics.pings("timeout")
        self._metrics.lost(Reason.PING_TIMEOUT, by=len(gone))
        self.bound(phone, update.after)
        return True

    def _target(self, phone: str, known: _Target | None, binding: Binding) -> _Target:
        """The target for `binding` as it is now; one that is new is pinged some time within the interval."""
        if known is None:
            self._count += 1
            known = _Target(phone, binding)
            self._at(known, self._mono() + pings.first_wait(self._seconds, self._roll()))
        elif known.binding != binding:
            self._refreshed(known, binding)
        return known

    def _refreshed(self, target: _Target, binding: Binding) -> None:
        """A REGISTER is a sign of life, and has said so in the status itself."""
        if (target.binding.public_ip, target.binding.public_port) != (binding.public_ip, binding.public_port):
            target.rtt_ms = None
        target.binding = binding
        target.seen = Epoch(binding.refreshed_at)
        self._sightings.pop(target, None)
        if target.branch:
            self._calm(target, since=target.begun)

    def _calm(self, target: _Target, *, since: Mono) -> None:
        """No answer is waited for any more; the next ping comes one interval after `since`."""
        self._waiting.pop(target.branch, None)
        target.branch, target.sent = "", 0
        self._at(target, since + pings.pause(self._seconds, self._roll()))

    def _at(self, target: _Target, due: float) -> None:
        target.due = Mono(due)
        heappush(self._heap, (target.due, next(self._entries), target))
        if len(self._heap) > 3 * self._count + SPARE_ENTRIES:
            self._heap[:] = [entry for entry in self._heap if entry[0] == entry[2].due]
            heapify(self._heap)

    def _forget(self, target: _Target) -> None:
        self._count -= 1
        self._waiting.pop(target.branch, None)
        self._sightings.pop(target, None)
        target.branch, target.sent, target.due = "", 0, Mono(inf)

    def _rest(self) -> float:
        """How long nothing has to be done, within limits."""
        if self._unsure:
            return LEAST_REST
        due = self._heap[0][0] - self._mono() if self._heap else MOST_REST
        return min(MOST_REST, max(LEAST_REST, due))


def _is_silent(target: _Target) -> bool:
    """Whether it was asked as often as it is asked, and nothing has been heard of it since."""
    return target.sent == len(pings.WAITS)
