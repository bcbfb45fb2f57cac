"""Phones over UDP are pinged by OPTIONS: who answers is seen, who is silent is offline until it is heard."""

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
from registrar.rules.settle import settle

from .rewrite import TRIES, Written, rewrite

__all__ = ["PREFIX", "Pings"]

PER_STEP: Final = 200
"""Pings that leave together; the loop serves others between two such lots."""
CHUNK: Final = 500
LEAST_REST, MOST_REST = 0.01, 0.2
LATE_SECONDS: Final = 2.0
"""When we were so late ourselves, an answer may lie unread in the socket: silence proves nothing then."""
HURRY_SECONDS: Final = 4.0
"""So soon a phone is pinged for whose sake others ring."""
STIRRED_SECONDS: Final = 0.5
"""A silent phone that something comes from is pinged at once, but not more often than this."""
SPARE_ENTRIES: Final = 1_000

log = logging.getLogger(__name__)


class PingedLocation(Location, Sightings, Protocol):
    """The location as the pings need it."""


class _Target:
    """One binding that is pinged."""

    __slots__ = ("begun", "binding", "branch", "due", "phone", "rtt_ms", "seen", "sent", "wait")

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
        self.wait = 0.0
        """Of a silent phone: how long after the last ping the next one comes; 0: it is not silent."""
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
        self._back: dict[_Target, tuple[str, float | None, Epoch]] = {}
        """Silent phones that were heard: by what, round trip and moment; to be written."""
        self._places: dict[tuple[str, int], dict[_Target, None]] = {}
        self._unsure: dict[str, None] = {}
        """Phones whose bindings must be read: at a start, and when the status shows another binding."""

    def __len__(self) -> int:
        return self._count

    @property
    def silent_places(self) -> Collection[tuple[str, int]]:
        """Addresses and ports of silent phones: what comes from there may be theirs."""
        return self._places

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
            binding.contact: binding
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
        """A response with a branch that begins with PREFIX came over `flow`; False: to no ping that waits.

        Nothing else is an answer: only who has seen the ping knows its branch.
        """
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
        if target.wait:
            self._back[target] = (PING_ANSWERED, rtt_ms, seen)
        elif pings.worth_writing(rtt_ms, target.rtt_ms, seen, target.seen):
            self._sightings[target] = (rtt_ms, seen)
        return True

    def stirred(self, ip: str, port: int) -> None:
        """Something came over UDP from there; when it is a silent phone, its answer to a ping will tell."""
        now = self._mono()
        for target in self._places.get((ip, port), ()):
            if now - target.begun >= STIRRED_SECONDS:
                target.wait = pings.LEAST_PAUSE
                self._at(target, now)

    def heard(self, phone: str, flow: Flow) -> None:
        """A request came over `flow` that is proven to be of `phone`."""
        if (flow.remote_ip, flow.remote_port) not in self._places:
            return
        for target in self._places[flow.remote_ip, flow.remote_port]:
            if target.phone == phone:
                self._back.setdefault(target, (HEARD, None, self._clock()))

    def hurry(self, phone: str, ip: str, port: int) -> bool:
        """Ask the phone at this place within seconds, as others ring for its sake; whether it is silent."""
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
        """Ping, write what was seen and end what is silent, until cancelled."""
        while self._seconds:
            await self.step()
            await asyncio.sleep(self._rest())

    async def step(self) -> None:
        """All that is due now. What the store does not take now is tried again."""
        silent = self._ping_all()
        await self._tell()
        await self._look()
        if silent:
            await asyncio.gather(*map(self._doubt, silent))
        if self._back:
            await asyncio.gather(*map(self._welcome, list(islice(self._back, CHUNK))))

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
        """Ping a silent phone: once, and each time by a new branch, as the last one was not answered."""
        self._waiting.pop(target.branch, None)
        target.branch, target.sent = "", 1
        if not self._is_sent(target, now):
            self._waiting.pop(target.branch, None)
            target.branch = ""
        self._at(target, now + pings.pause(target.wait, self._roll()))
        if target.wait >= pings.MOST_PAUSE:
            self._unsure[target.phone] = (
                None  # another node may have heard of it, or the store lost what we know
            )
        target.wait = pings.longer(target.wait)

    def _is_sent(self, target: _Target, now: Mono) -> bool:
        """Send the ping of `target`, a new one when none is under way; False: no way leads to its phone."""
        binding = target.binding
        flow = self._flow_of(binding)
        if flow is None or not flow.local_ip or binding.expires_at <= self._clock():
            self._unsure[target.phone] = None  # it has no way from here, or the sweep has ended it
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

    async def _doubt(self, target: _Target) -> None:
        """Write that a phone does not answer; when that cannot be done now, it is asked again."""
        try:
            written = await self._try_to_doubt(target)
        except StoreUnavailable as error:
            log.debug("phone %s is silent, which cannot be written: %s", target.phone, error)
            written = False
        if not written and _is_silent(target):
            self._calm(target, since=self._mono())

    async def _try_to_doubt(self, target: _Target) -> bool:
        """Raises StoreUnavailable. True too when it was refreshed, answered or gone meanwhile."""
        silent: list[Binding] = []

        def decide(before: Snapshot) -> Update | None:
            self.bound(target.phone, before)
            if not _is_silent(target) or target.wait:
                return None
            now = self._clock()
            silent[:] = _same(before, target, now)
            if not silent:  # the store has lost it, and will be told of it again
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
        """Write that a silent phone was heard; what cannot be written now is tried again."""
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
        """Raises StoreUnavailable."""

        def decide(before: Snapshot) -> Update | None:
            self.bound(target.phone, before)
            now = self._clock()
            back = [binding for binding in _same(before, target, now) if binding.silent_since]
            if not target.wait or not back:  # it has registered, or it is gone
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
        return settle(before, outcome.bindings, outcome.events, now, reason=reason, customer=customer)

    def _target(self, phone: str, known: _Target | None, binding: Binding) -> _Target:
        """The target for `binding` as it is now; one that is new is pinged some time within the interval."""
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
        """It is silent now, and was not, or the other way round."""
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
        """It is not silent any more there."""
        target.wait = 0.0
        self._back.pop(target, None)
        there = self._places.get(_place(target), {})
        there.pop(target, None)
        if not there:
            self._places.pop(_place(target), None)

    def _refreshed(self, target: _Target, binding: Binding) -> None:
        """A REGISTER is a sign of life, and has said so in the status itself."""
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
        if target.wait:
            self._leave_place(target)
        target.branch, target.sent, target.due = "", 0, Mono(inf)

    def _rest(self) -> float:
        """How long nothing has to be done, within limits."""
        if self._unsure:
            return LEAST_REST
        due = self._heap[0][0] - self._mono() if self._heap else MOST_REST
        return min(MOST_REST, max(LEAST_REST, due))


def _same(stands: Snapshot, target: _Target, now: Epoch) -> list[Binding]:
    """The binding of `target` as it stands; none when it is gone or was refreshed since."""
    return [binding for binding in stands.live(now) if pings.essence(binding) == target.binding]


def _place(target: _Target) -> tuple[str, int]:
    return target.binding.public_ip, target.binding.public_port


def _is_silent(target: _Target) -> bool:
    """Whether it was asked as often as it is asked, and nothing has been heard of it since."""
    return target.sent == len(pings.WAITS)
