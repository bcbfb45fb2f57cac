"""The location service in Redis: one script a step, written only if nobody wrote since (docs/redis.md)."""

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
"""How long a location outlives its last binding and nonce; readers go by the expiry inside."""
MAX_KNOWN: Final = 250_000
CHUNK: Final = 500
DECODED: Final = 512
UNPUBLISHED_SECONDS: Final = 5
"""Events that nobody has published for so long have lost their author: whoever sees them publishes them."""
FIELDS: Final = ("v", "b", "n", "r", "e")

log = logging.getLogger(__name__)


class RedisLocation:
    """Implements ports.Location, ports.Schedule and ports.Sightings over one wire."""

    def __init__(self, url: str, clock: Clock, process: Process = NO_PROCESS) -> None:
        """`process` is this one: its connections are its own."""
        self.wire = Wire(url, self._prepare)
        self._clock = clock
        self._process = process
        self._flows = keys.flows(process)
        self._listed: set[str] = set()
        """Phones that stand in the set of this process' connections."""
        self._arriving: dict[str, int] = {}
        """How often a phone is just being bound to a connection here: meanwhile it stays in that set."""
        self._known: dict[str, Stored] = {}
        self._lately: dict[Stored, Snapshot] = {}
        """What the snapshots of late say: to decode one costs more than all else that is done with it."""
        self._promised: set[str] = set()
        self._connections = 0
        self.back = asyncio.Event()
        """Set when the connection was made again: `mend` has work."""

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
        """See ports.Location. The index of expiry is lowered first: an entry too early is harmless."""
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
                # Whoever hears of it, and does something on another node, shall come later in the stream.
                self.wire.flush()
                await asyncio.sleep(0)  # uvloop writes when all that is ready has run
            return None
        stored = self._stored(phone, answer)
        stands = _decode(phone, stored)
        lost = reconcile(stands, before, self._clock(), promised=False)
        if lost is not None:  # the store has lost what it had acknowledged: it is told that first
            return await self.commit(phone, stands, lost) or lost.after
        self._remember(phone, stored)
        self._unlist_what_others_ended(phone, stands)
        return stands

    def promise(self, phone: str, update: Update) -> None:
        """See ports.Location. The version stays: it is the one the store is known to have."""
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
            if phone.decode() not in self._promised  # `mend` tells the store first what was promised
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
        """Every phone in the index of expiry: at a start, never on a request or a timer."""
        answers = await _all(
            self.wire.send("ZRANGE", keys.expiry_shard(shard), 0, -1) for shard in range(keys.SHARDS)
        )
        return [phone.decode() for answer in answers for phone in answer]

    async def mend(self) -> int:
        """Write again what the store has lost or was not there to hear; gives the number of phones written.

        Raises StoreUnavailable; what is left then waits for the next time.
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
        """One request looks at the same snapshot several times, and a call at those of two phones."""
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
        """Append to the stream of all events; the location remembers them until that is done."""

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
        """Before anything is bound to a connection here, the index says so: it is asked after our death."""
        if phone not in self._listed and any(map(self._process.holds, after.bindings)):
            self.wire.tell("SADD", self._flows, phone)
            self._listed.add(phone)

    def _unlist(self, phone: str, after: Snapshot, before: Snapshot) -> None:
        """What was bound here `before` may be listed although we have forgotten that: Redis was away."""
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
        """Only what is the newest that we know, while nothing is being bound, says that a phone has left."""
        known = _version(self._known.get(phone, EMPTY))
        if self.wire.up and phone not in self._arriving and stands.version >= known:
            self._unlist(phone, stands, stands)

    def forget_listed(self) -> None:
        """The store may have lost our index: it is written again with each phone's next step."""
        self._listed.clear()

    async def _prepare(self) -> None:
        for script in ALL:
            await self.wire.early("SCRIPT", "LOAD", script.text)
        if self._process.node:  # before the first entry of the index that `_list` writes
            await self.wire.early("HSETNX", keys.NODES, str(self._process), int(self._clock()))
        self._listed.clear()
        self._connections += 1
        if self._connections > 1:
            self.back.set()


def _decode(phone: str, stored: Stored) -> Snapshot:
    """What is stored; when it was not written by us, its version alone, so that it can be written anew."""
    try:
        return decode(stored)
    except (ValueError, TypeError) as error:
        log.error("the location of phone %s cannot be read: %s", phone, error)
        return Snapshot(_version(stored))


def _is_left_behind(events: bytes, now: float) -> bool:
    """Whether events that nobody has published yet are so old that their author must be gone."""
    try:
        return bool(json.loads(events)[0]["time"] + UNPUBLISHED_SECONDS < now)
    except (ValueError, TypeError, KeyError, IndexError):
        return False


def _version(stored: Stored) -> int:
    return int(stored.v) if stored.v.isdigit() else 0


def _fields(event: Event) -> dict[str, str | int]:
    """One event as the fields of a stream entry."""
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
    """The events of an update as they will stand in the stream of all events."""
    about: dict[str, str | int] = {"phone": phone, "customer": update.customer}
    return json.dumps([about | _fields(event) for event in update.events], separators=(",", ":"))


def _chunks(items: list[str], size: int) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


async def _all(futures: Iterable[asyncio.Future[Any]]) -> list[Any]:
    """Every answer, in order; all of them leave in one write."""
    return list(await asyncio.gather(*list(futures)))
