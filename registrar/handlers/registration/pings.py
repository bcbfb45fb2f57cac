"""Pings (OPTIONS) of phones over UDP: a phone that does not answer is offline until it is heard again."""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable
from heapq import heapify, heappop, heappush
from itertools import count, islice
from math import inf
from typing import Final, Protocol

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Binding, Epoch, Flow, Mono, Reason, Snapshot, Update
from registrar.ports import Clock, Location, Sighting, Sightings
from registrar.rules import pings
from registrar.rules.pings import PREFIX
from registrar.rules.register import HEARD, PING_ANSWERED, Accepted, hear, silence
from registrar.rules.update import build_update

from .rewrite import TRIES, Written, rewrite

__all__ = ["PREFIX", "Pings"]

WORKERS: Final = 256
"""How many workers can be told apart by two digits."""

PER_STEP: Final = 200
"""Number of pings sent in one batch; between two batches the event loop serves other tasks."""
CHUNK: Final = 500
LEAST_REST, MOST_REST = 0.01, 0.2
LATE_SECONDS: Final = 2.0
"""If our event loop was delayed by more than this, an answer may be unread in the socket.

Silence proves nothing then.
"""
HURRY_SECONDS: Final = 4.0
"""Time within which a phone is pinged if other phones ring because of its call."""
STIRRED_SECONDS: Final = 0.5
"""A silent phone that sends something is pinged at once, but not more often than this."""
SPARE_ENTRIES: Final = 1_000

log = logging.getLogger(__name__)


class PingedLocation(Location, Sightings, Protocol):
    """The part of the location service that the pings need."""


class _Target:
    """One binding that is pinged."""

    __slots__ = ("begun", "binding", "branch", "due", "phone", "rtt_ms", "seen", "sent", "wait")

    def __init__(self, phone: str, binding: Binding) -> None:
        self.phone = phone
        self.binding = binding
        self.due = Mono(inf)
        """Time of the next action; infinite if there is none."""
        self.branch = ""
        """Branch of the ping that is not answered yet; empty if there is none."""
        self.sent = 0
        """How often that ping was sent."""
        self.begun = Mono(0.0)
        """When the last ping was sent for the first time."""
        self.wait = 0.0
        """If the phone is silent, the pause from its last ping to the next one; 0 if it is not silent."""
        self.rtt_ms: float | None = None
        self.seen = Epoch(binding.refreshed_at)
        """The last written time at which it was seen; `rtt_ms` is the last written round trip."""


class _Phone:
    """The bindings of one phone that are pinged, and the version of the snapshot that they are from."""

    __slots__ = ("targets", "version")

    def __init__(self) -> None:
        self.version = 0
        self.targets: tuple[_Target, ...] = ()


class Pings:
    """The UDP bindings of this node, with the time of the next action of each in one heap."""

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
        worker: int = 0,
    ) -> None:
        """Prepare the pings: one each `seconds` for a binding, none for 0.

        `send` returns whether the message could be sent at all. `flow_of` returns the flow to a binding, or
        None if its listener does not exist. `customer_of` returns the customer of a phone for the event,
        empty if unknown. `salt` must stay secret. `roll` returns numbers in [0, 1). `worker` is our number
        among the processes that share the UDP port: the numbers of our pings end with it.
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
        """An entry is skipped if its time is no longer the `due` of its target."""
        self._entries = count()
        self._numbers = count(WORKERS + worker, WORKERS) if worker else count(1)
        self._waiting: dict[str, _Target] = {}
        """Branch of a ping -> target that has not answered it yet."""
        self._sightings: dict[_Target, tuple[float | None, Epoch]] = {}
        """Answers to be written: round trip and time."""
        self._back: dict[_Target, tuple[str, float | None, Epoch]] = {}
        """Silent phones that were heard, to be written: reason, round trip and time."""
        self._places: dict[tuple[str, int], dict[_Target, None]] = {}
        self._unsure: dict[str, None] = {}
        """Phones whose bindings must be read: after a start, and if the status shows another binding."""

    def __len__(self) -> int:
        return self._count

    def registered(self) -> dict[str, int]:
        """Return how many phones are bound over UDP, under its name; empty if there are no pings."""
        return {"udp": len(self._phones)} if self._seconds else {}

    def silent(self) -> int:
        """Return how many bindings are those of silent phones."""
        return sum(map(len, self._places.values()))

    @property
    def silent_places(self) -> Collection[tuple[str, int]]:
        """Return the addresses and ports of silent phones: a message from there may be a sign of life."""
        return self._places

    def adopt(self, phones: Iterable[str]) -> None:
        """Look for bindings of this node among `phones`: those of an earlier start must be pinged, too."""
        if self._seconds:
            self._unsure.update(dict.fromkeys(phones))

    def bound(self, phone: str, stands: Snapshot) -> None:
        """Use these bindings of `phone` from now on; ignore a snapshot older than the last one."""
        known = self._phones.get(phone)
        if not self._seconds or (known is not None and stands.version < known.version):
            return
        ours = {
            binding.contact: binding
            for binding in stands.live(self._clock())
            if not binding.connected and binding.node == self._node and not binding.path
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

    def ping_answered(self, branch: str, flow: Flow) -> bool:
        """Handle a response over `flow` whose branch begins with PREFIX; return whether a ping waited for it.

        No other response counts: only the receiver of a ping knows its branch.
        """
        target = self._waiting.get(branch)
        if target is None or flow.transport != "udp" or not pings.is_at(target.binding, flow):
            return False
        now = self._mono()
        rtt_ms = None
        if target.sent == 1:  # after a retransmission it is unknown which one is answered
            rtt_ms = (now - target.begun) * 1_000
            self._metrics.ping_seconds.observe(now - target.begun)
        self._metrics.pings("answered")
        self._calm(target, since=target.begun)
        seen = self._clock()
        if target.wait:
            self._back[target] = (PING_ANSWERED, rtt_ms, seen)
        elif pings.worth_writing(rtt_ms, target.rtt_ms, seen, target.seen):
            self._sightings[target] = (rtt_ms, seen)
        return True

    def stirred(self, ip: str, port: int) -> None:
        """Ping the silent phones at this address, because a message came from there over UDP."""
        now = self._mono()
        for target in self._places.get((ip, port), ()):
            if now - target.begun >= STIRRED_SECONDS:
                target.wait = pings.LEAST_PAUSE
                self._at(target, now)

    def heard(self, phone: str, flow: Flow) -> None:
        """Note that a request over `flow` is proven to come from `phone`."""
        if (flow.remote_ip, flow.remote_port) not in self._places:
            return
        for target in self._places[flow.remote_ip, flow.remote_port]:
            if target.phone == phone:
                self._back.setdefault(target, (HEARD, None, self._clock()))

    def hurry(self, phone: str, ip: str, port: int) -> bool:
        """Ping the phone at this address within `HURRY_SECONDS`, and return whether it is silent.

        Other phones ring because of its call.
        """
        known = self._phones.get(phone)
        soon = self._mono() + HURRY_SECONDS
        for target in known.targets if known is not None else ():
            if (target.binding.public_ip, target.binding.public_port) != (ip, port):
                continue
            if target.wait:
                return True
            if not target.branch and target.due > soon:
                self._at(target, soon)
        return False

    async def run(self) -> None:
        """Ping, and write which phones were seen, fell silent or came back, until cancelled."""
        while self._seconds:
            await self.step()
            await asyncio.sleep(self._rest())

    async def step(self) -> None:
        """Do all that is due now; try again later to write what the store does not take now."""
        silent = self._ping_all()
        await self._tell()
        await self._look()
        if silent:
            await asyncio.gather(*map(self._doubt, silent))
        if self._back:
            await asyncio.gather(*map(self._welcome, list(islice(self._back, CHUNK))))

    def _ping_all(self) -> list[_Target]:
        """Send the pings that are due, and return the targets that have been silent for too long."""
        now, heap = self._mono(), self._heap
        silent: list[_Target] = []
        for _ in range(PER_STEP):
            if not heap or heap[0][0] > now:
                break
            due, _, target = heappop(heap)
            if due != target.due:
                continue
            if target.wait:
                self._ask_again(target, now)
            elif not _is_silent(target):
                self._ping(target, now)
            elif now - due > LATE_SECONDS:
                target.sent -= 1
                self._ping(target, now)
            else:
                silent.append(target)
        return silent

    def _ping(self, target: _Target, now: Mono) -> None:
        if not self._is_sent(target, now):
            self._calm(target, since=now)
            return
        self._at(target, now + pings.WAITS[target.sent])
        target.sent += 1

    def _ask_again(self, target: _Target, now: Mono) -> None:
        """Ping a silent phone once, with a new branch each time, because the last ping was not answered."""
        self._waiting.pop(target.branch, None)
        target.branch, target.sent = "", 1
        if not self._is_sent(target, now):
            self._waiting.pop(target.branch, None)
            target.branch = ""
        self._at(target, now + pings.pause(target.wait, self._roll()))
        if target.wait >= pings.MOST_PAUSE:
            self._unsure[target.phone] = (
                None  # it may be registered at another node, or the store lost the binding
            )
        target.wait = pings.longer(target.wait)

    def _is_sent(self, target: _Target, now: Mono) -> bool:
        """Send the ping of `target`, a new one if none is under way; return False if no way leads there."""
        binding = target.binding
        flow = self._flow_of(binding)
        if flow is None or not flow.local_ip or binding.expires_at <= self._clock():
            self._unsure[target.phone] = None  # there is no way from here, or the binding has expired
            return False
        if not target.branch:
            target.branch = pings.branch(next(self._numbers), self._salt)
            target.begun = now
            self._waiting[target.branch] = target
        if not self._send(pings.options(binding, flow, target.branch), flow):
            return False
        self._metrics.pings("sent")
        return True

    async def _tell(self) -> None:
        """Write the answers to pings; if that fails, the next answer is written instead."""
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
            if not is_shown:  # the binding moved to another node or ended, or the phone has a newer one
                self._unsure[target.phone] = None

    async def _look(self) -> None:
        """Read the bindings of the phones in `_unsure`."""
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

    async def _doubt(self, target: _Target) -> None:
        """Write that a phone does not answer; if that fails, ping it again."""
        try:
            written = await self._try_to_doubt(target)
        except StoreUnavailable as error:
            log.debug("phone %s is silent, which cannot be written: %s", target.phone, error)
            written = False
        if not written and _is_silent(target):
            self._calm(target, since=self._mono())

    async def _try_to_doubt(self, target: _Target) -> bool:
        """Write that `target` is silent, and return whether this was done.

        Return True as well if the binding was refreshed or is gone, or if the phone answered meanwhile.
        Raises StoreUnavailable.
        """
        silent: list[Binding] = []

        def decide(before: Snapshot) -> Update | None:
            self.bound(target.phone, before)
            if not _is_silent(target) or target.wait:
                return None
            now = self._clock()
            silent[:] = _same(before, target, now)
            if not silent:  # the store has lost the binding and will get it again
                return None
            return self._update(target.phone, before, silence(before, silent, now), Reason.PING_TIMEOUT, now)

        written, stands = await rewrite(self._location, target.phone, decide)
        if written is Written.YES:
            self.bound(target.phone, stands)
            self._metrics.pings("timeout")
            self._metrics.lost(Reason.PING_TIMEOUT, by=len(silent))
            return True
        if written is Written.GAVE_UP:
            log.error("phone %s changed %d times while it was found silent", target.phone, TRIES)
            return False
        return not _is_silent(target) or target.wait > 0

    async def _welcome(self, target: _Target) -> None:
        """Write that a silent phone was heard; if that fails, try again in a later step."""
        why, rtt_ms, seen = self._back[target]
        try:
            await self._try_to_welcome(target, why)
        except StoreUnavailable as error:
            log.debug("phone %s is back, which cannot be written: %s", target.phone, error)
            return
        self._back.pop(target, None)
        if not target.wait and target.due < inf:
            self._sightings[target] = (rtt_ms, seen)

    async def _try_to_welcome(self, target: _Target, why: str) -> None:
        """Write that `target` is not silent any more. Raises StoreUnavailable."""

        def decide(before: Snapshot) -> Update | None:
            self.bound(target.phone, before)
            now = self._clock()
            back = [binding for binding in _same(before, target, now) if binding.silent_since]
            if not target.wait or not back:  # it has registered, or the binding is gone
                return None
            return self._update(target.phone, before, hear(before, back, why, now), Reason.REGISTERED, now)

        written, stands = await rewrite(self._location, target.phone, decide)
        if written is Written.YES:
            self.bound(target.phone, stands)
            self._metrics.pings("back")
        elif written is Written.GAVE_UP:
            log.error("phone %s changed %d times while it came back", target.phone, TRIES)

    def _update(self, phone: str, before: Snapshot, outcome: Accepted, reason: Reason, now: Epoch) -> Update:
        customer = self._customer_of(phone)
        return build_update(before, outcome.bindings, outcome.events, now, reason=reason, customer=customer)

    def _target(self, phone: str, known: _Target | None, binding: Binding) -> _Target:
        """Return the target for `binding`; a new one gets its first ping at a random time in the interval."""
        essence = pings.essence(binding)
        if known is None:
            self._count += 1
            known = _Target(phone, essence)
            if not binding.silent_since:
                self._at(known, self._mono() + pings.first_wait(self._seconds, self._roll()))
        elif known.binding != essence:
            self._refreshed(known, essence)
        if bool(known.wait) != bool(binding.silent_since):
            self._turn(known)
        return known

    def _turn(self, target: _Target) -> None:
        """Change a target from not silent to silent, or back."""
        self._waiting.pop(target.branch, None)
        target.branch, target.sent = "", 0
        if target.wait:
            self._leave_place(target)
            self._at(target, target.begun + pings.pause(self._seconds, self._roll()))
        else:
            target.wait = pings.LEAST_PAUSE
            self._places.setdefault(_place(target), {})[target] = None
            self._at(target, self._mono() + pings.pause(target.wait, self._roll()))

    def _leave_place(self, target: _Target) -> None:
        """Note that the target is not silent any more at its address."""
        target.wait = 0.0
        self._back.pop(target, None)
        there = self._places.get(_place(target), {})
        there.pop(target, None)
        if not there:
            self._places.pop(_place(target), None)

    def _refreshed(self, target: _Target, binding: Binding) -> None:
        """Update a target after a REGISTER, which is a sign of life and is in the status already."""
        if (target.binding.public_ip, target.binding.public_port) != (binding.public_ip, binding.public_port):
            target.rtt_ms = None
        was_silent = target.wait > 0
        if was_silent:
            self._leave_place(target)
        target.binding = binding
        target.seen = Epoch(binding.refreshed_at)
        self._sightings.pop(target, None)
        if target.branch or was_silent:
            self._calm(target, since=target.begun)

    def _calm(self, target: _Target, *, since: Mono) -> None:
        """Stop the wait for an answer; the next ping comes one interval after `since`."""
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
        if target.wait:
            self._leave_place(target)
        target.branch, target.sent, target.due = "", 0, Mono(inf)

    def _rest(self) -> float:
        """Return how long `run` may sleep until something is due, within limits."""
        if self._unsure:
            return LEAST_REST
        due = self._heap[0][0] - self._mono() if self._heap else MOST_REST
        return min(MOST_REST, max(LEAST_REST, due))


def _same(stands: Snapshot, target: _Target, now: Epoch) -> list[Binding]:
    """Return the stored binding of `target`; empty if it is gone or was refreshed since."""
    return [binding for binding in stands.live(now) if pings.essence(binding) == target.binding]


def _place(target: _Target) -> tuple[str, int]:
    return target.binding.public_ip, target.binding.public_port


def _is_silent(target: _Target) -> bool:
    """Return whether the ping was sent the full number of times without an answer."""
    return target.sent == len(pings.WAITS)
