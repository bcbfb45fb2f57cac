"""Location service in Redis: one script per step, which writes only if no other wrote (docs/redis.md)."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from registrar.errors import StoreUnavailable
from registrar.model import NO_PROCESS, Event, Process, Snapshot, Update
from registrar.ports import Clock, Due, Sighting
from registrar.rules import nonces
from registrar.rules.reconcile import reconcile

from . import keys
from .redis_wire import Argument, Wire
from .scripts import ALL, COMMIT, KEEP, PINGED, PUBLISHED, RESCHEDULE, Script
from .snapshot_codec import EMPTY, Stored, decode, encode

AFTERLIFE_SECONDS: Final = 600
"""How long a location outlives its last binding and nonce; readers use the expiry in the values."""
MAX_KNOWN: Final = 250_000
CHUNK: Final = 500
DECODED: Final = 512
UNPUBLISHED_SECONDS: Final = 5
"""Events that were not published for so long have lost their writer: any process that reads them publishes
them."""
FIELDS: Final = ("v", "b", "n", "r", "e")

log = logging.getLogger(__name__)


class RedisLocation:
    """Location service over one connection; implements ports.Location, ports.Schedule and ports.Sightings."""

    def __init__(self, url: str, clock: Clock, process: Process = NO_PROCESS) -> None:
        """Create the service. `process` is this process, which owns the connections here."""
        self.wire = Wire(url, self._prepare)
        self._clock = clock
        self._process = process
        self._flows = keys.flows(process)
        self._listed: set[str] = set()
        """Phones in the set of this process' connections in Redis."""
        self._arriving: dict[str, int] = {}
        """How many commits that bind a phone to a connection here are under way; until they end it stays in
        that set."""
        self._known: dict[str, Stored] = {}
        self._lately: dict[Stored, Snapshot] = {}
        """Recently decoded snapshots: decoding costs more than the rest of the work with a snapshot."""
        self._promised: set[str] = set()
        self._connections = 0
        self.back = asyncio.Event()
        """Set after a reconnection, when `mend` has work."""

    def known(self, phone: str) -> Snapshot:
        """See ports.Location."""
        return self._decoded(phone, self._known.get(phone, EMPTY))

    async def load(self, phones: Sequence[str]) -> list[Snapshot]:
        """See ports.Location."""
        stored = await self._read(phones)
        found = [self._decoded(phone, there) for phone, there in zip(phones, stored, strict=True)]
        for phone, stands in zip(phones, found, strict=True):
            self._unlist_what_others_ended(phone, stands)
        return found

    async def commit(self, phone: str, before: Snapshot, update: Update) -> Snapshot | None:
        """See ports.Location. The index of expiry is lowered first: an early entry is harmless."""
        after = encode(update.after)
        events = _dump_events(phone, update) if update.events else ""
        if update.after.bindings:
            earliest = min(binding.expires_at for binding in update.after.bindings)
            self.wire.tell("ZADD", keys.expiry(phone), "LT", earliest, phone)
            self._list(phone, update.after)
        arrives = any(map(self._process.holds, update.after.bindings))
        self._arrive(phone, arrives)
        try:
            answer = await self._run(
                COMMIT,
                (keys.location(phone), keys.status(phone), keys.journal(phone)),
                *self._arguments(before, update, after, events),
            )
        finally:
            self._arrive(phone, -arrives)
        if answer == 1:
            self._remember(phone, after)
            self._note(after, update.after)
            self._unlist(phone, update.after, before)
            if events:
                self._publish(phone, events)
                # Another node that hears of it and reacts must write its event later in the stream.
                self.wire.flush()
                await asyncio.sleep(0)  # uvloop writes after all ready callbacks have run
            return None
        stored = self._stored(phone, answer)
        stands = _decode(phone, stored)
        lost = reconcile(stands, before, self._clock(), promised=False)
        if lost is not None:  # restore what the store had acknowledged and lost
            return await self.commit(phone, stands, lost) or lost.after
        self._remember(phone, stored)
        self._unlist_what_others_ended(phone, stands)
        return stands

    def promise(self, phone: str, update: Update) -> None:
        """See ports.Location. The version stays: the store is known to have this one."""
        version = self._known.get(phone, EMPTY).v
        self._known[phone] = encode(update.after)._replace(v=version)
        self._promised.add(phone)

    async def due(self, limit: int) -> list[Due]:
        """See ports.Schedule."""
        now = self._clock()
        answers = await _all(
            self.wire.send(
                "ZRANGEBYSCORE",
                keys.expiry_shard(shard),
                "-inf",
                f"{now:.3f}",
                "WITHSCORES",
                "LIMIT",
                0,
                limit,
            )
            for shard in range(keys.SHARDS)
        )
        return [
            Due(phone.decode(), float(score))
            for answer in answers
            for phone, score in zip(answer[::2], answer[1::2], strict=True)
            if phone.decode() not in self._promised  # `mend` writes promised updates first
        ]

    async def reschedule(self, due: Due, earliest: int | None) -> None:
        """See ports.Schedule."""
        score = "" if earliest is None else earliest
        await self._run(RESCHEDULE, (keys.expiry(due.phone),), due.phone, repr(due.score), score)

    async def lower(self, phone: str, earliest: int) -> None:
        """See ports.Schedule."""
        await self.wire.send("ZADD", keys.expiry(phone), "LT", earliest, phone)

    async def seen(self, sightings: Sequence[Sighting]) -> list[bool]:
        """See ports.Sightings."""
        answers = await asyncio.gather(*map(self._seen, sightings))
        return [answer == 1 for answer in answers]

    async def everybody(self) -> list[str]:
        """Return every phone in the index of expiry. Call this at a start, never on a request or a timer."""
        answers = await _all(
            self.wire.send("ZRANGE", keys.expiry_shard(shard), 0, -1) for shard in range(keys.SHARDS)
        )
        return [phone.decode() for answer in answers for phone in answer]

    async def mend(self) -> int:
        """Write again what the store has lost or could not receive. Return the number of phones written.

        Raises StoreUnavailable; the remaining phones then wait for the next call.
        """
        promised = list(self._promised)
        others = [phone for phone in self._known if phone not in self._promised]
        written = 0
        for chunk in _chunks([*promised, *others], CHUNK):
            stored = await self._read(chunk)
            behind = [
                phone
                for phone, there in zip(chunk, stored, strict=True)
                if phone in self._promised or _version(there) < _version(self._known.get(phone, EMPTY))
            ]
            written += sum(await asyncio.gather(*(self._mend_one(phone) for phone in behind)))
        return written

    async def _mend_one(self, phone: str) -> bool:
        (stored,) = await self.load([phone])
        for _ in range(3):
            now = self._clock()
            update = reconcile(stored, self.known(phone), now, promised=phone in self._promised)
            if update is None:
                return False
            moved = await self.commit(phone, stored, update)
            if moved is None:
                self._promised.discard(phone)
                return True
            stored = moved
        return False

    def _arguments(self, before: Snapshot, update: Update, after: Stored, events: str) -> list[Argument]:
        now = int(self._clock())
        bindings, kept = update.after.bindings, update.after.nonces
        last_binding = max((binding.expires_at for binding in bindings), default=now)
        last_nonce = max(
            (nonce.issued_us // 1_000_000 + nonces.LIFETIME_SECONDS for nonce in kept), default=now
        )
        same_refusals = before.refusals == update.after.refusals
        arguments: list[Argument] = [
            b"%d" % before.version if before.version else b"",
            after.v,
            after.b,
            after.n,
            KEEP if same_refusals else after.r,
            max(last_binding, last_nonce) + AFTERLIFE_SECONDS,
            last_binding + keys.STATUS_SECONDS,
            events,
            2 * len(update.status),
        ]
        for name, value in update.status.items():
            arguments += (name, value)
        for event in update.events:
            words = _words(_fields(event))
            arguments += (len(words), *words)
        return arguments

    async def _read(self, phones: Sequence[str]) -> list[Stored]:
        answers = await _all(self.wire.send("HMGET", keys.location(phone), *FIELDS) for phone in phones)
        return [
            self._stored(phone, [field or b"" for field in answer])
            for phone, answer in zip(phones, answers, strict=True)
        ]

    def _stored(self, phone: str, fields: list[bytes]) -> Stored:
        *snapshot, events = fields
        if events and _is_left_behind(events, self._clock()):
            self._publish(phone, events.decode())
        return Stored(*snapshot)

    def _decoded(self, phone: str, stored: Stored) -> Snapshot:
        """Return the decoded snapshot, from the cache if it is there.

        One request reads the same snapshot several times, and a call reads those of two phones.
        """
        snapshot = self._lately.get(stored)
        if snapshot is None:
            snapshot = _decode(phone, stored)
            self._note(stored, snapshot)
        return snapshot

    def _note(self, stored: Stored, snapshot: Snapshot) -> None:
        self._lately[stored] = snapshot
        if len(self._lately) > DECODED:
            del self._lately[next(iter(self._lately))]

    def _remember(self, phone: str, stored: Stored) -> None:
        self._known.pop(phone, None)
        self._known[phone] = stored
        if len(self._known) > MAX_KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._promised.discard(oldest)

    def _publish(self, phone: str, events: str) -> None:
        """Append the events to the stream of all events. The location keeps them until that is done."""

        def done(future: asyncio.Future[Any]) -> None:
            if not future.cancelled() and future.exception() is None and self.wire.up:
                self.wire.tell("EVALSHA", PUBLISHED.sha, 1, keys.location(phone), events, linger=True)

        try:
            futures = [
                self.wire.send("XADD", keys.EVENTS, "MAXLEN", "~", keys.EVENTS_LENGTH, "*", *_words(fields))
                for fields in json.loads(events)
            ]
        except StoreUnavailable:
            return
        asyncio.gather(*futures).add_done_callback(done)

    async def _seen(self, sighting: Sighting) -> Any:
        phone, binding, rtt_ms, at = sighting
        place = (binding.node, binding.public_ip, binding.public_port)
        rtt = "" if rtt_ms is None else f"{rtt_ms:.1f}"
        return await self._run(PINGED, (keys.status(phone),), *place, int(at), rtt)

    async def _run(self, script: Script, names: tuple[str, ...], *arguments: Argument) -> Any:
        try:
            return await self.wire.send("EVALSHA", script.sha, len(names), *names, *arguments)
        except StoreUnavailable as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        for forgotten in ALL:
            self.wire.tell("SCRIPT", "LOAD", forgotten.text)
        return await self.wire.send("EVAL", script.text, len(names), *names, *arguments)

    def _list(self, phone: str, after: Snapshot) -> None:
        """Add the phone to the set of this process before it is bound to a connection here.

        Other processes read the set after the death of this process.
        """
        if phone not in self._listed and any(map(self._process.holds, after.bindings)):
            self.wire.tell("SADD", self._flows, phone)
            self._listed.add(phone)

    def _unlist(self, phone: str, after: Snapshot, before: Snapshot) -> None:
        """Remove the phone from the set if it is no longer bound to a connection here.

        A phone that was bound here `before` may be in the set although `_listed` has lost it: Redis was away.
        """
        listed = phone in self._listed or any(map(self._process.holds, before.bindings))
        if listed and not any(map(self._process.holds, after.bindings)):
            self._listed.discard(phone)
            self.wire.tell("SREM", self._flows, phone)

    def _arrive(self, phone: str, by: int) -> None:
        if by:
            left = self._arriving.pop(phone, 0) + by
            if left:
                self._arriving[phone] = left

    def _unlist_what_others_ended(self, phone: str, stands: Snapshot) -> None:
        """Remove the phone from the set if another process ended its binding here.

        Only the newest known snapshot can show that, and only while the phone is not being bound here.
        """
        known = _version(self._known.get(phone, EMPTY))
        if self.wire.up and phone not in self._arriving and stands.version >= known:
            self._unlist(phone, stands, stands)

    def forget_listed(self) -> None:
        """Forget `_listed`: Redis may have lost the set. Each phone is added again with its next commit."""
        self._listed.clear()

    async def _prepare(self) -> None:
        for script in ALL:
            await self.wire.early("SCRIPT", "LOAD", script.text)
        if self._process.node:  # before `_list` adds the first phone
            await self.wire.early("HSETNX", keys.NODES, str(self._process), int(self._clock()))
        self._listed.clear()
        self._connections += 1
        if self._connections > 1:
            self.back.set()


def _decode(phone: str, stored: Stored) -> Snapshot:
    """Return the stored snapshot. If it cannot be read, log it and return a snapshot with the version alone.

    The version lets the next commit overwrite the unreadable value.
    """
    try:
        return decode(stored)
    except (ValueError, TypeError) as error:
        log.error("the location of phone %s cannot be read: %s", phone, error)
        return Snapshot(_version(stored))


def _is_left_behind(events: bytes, now: float) -> bool:
    """Return whether unpublished events are so old that the process that wrote them must be dead."""
    try:
        return bool(json.loads(events)[0]["time"] + UNPUBLISHED_SECONDS < now)
    except (ValueError, TypeError, KeyError, IndexError):
        return False


def _version(stored: Stored) -> int:
    return int(stored.v) if stored.v.isdigit() else 0


def _fields(event: Event) -> dict[str, str | int]:
    """Return one event as the fields of a stream entry."""
    return {
        "event": event.kind,
        "reason": event.reason,
        "time": event.at,
        "ip": event.ip,
        "port": event.port,
        "transport": event.transport,
        "userAgent": event.user_agent,
        "count": event.count,
        "by": event.by,
    }


def _words(fields: Mapping[str, str | int]) -> list[str | int]:
    return [word for pair in fields.items() for word in pair]


def _dump_events(phone: str, update: Update) -> str:
    """Return the events of an update as JSON, with the fields of the stream of all events."""
    about: dict[str, str | int] = {"phone": phone, "customer": update.customer}
    return json.dumps([about | _fields(event) for event in update.events], separators=(",", ":"))


def _chunks(items: list[str], size: int) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


async def _all(futures: Iterable[asyncio.Future[Any]]) -> list[Any]:
    """Return every answer, in order. All commands leave in one write."""
    return list(await asyncio.gather(*list(futures)))
