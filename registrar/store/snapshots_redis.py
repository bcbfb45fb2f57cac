"""Snapshots of phones in Redis, each read and written as a whole, and what this process knows of them."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from registrar.model import Snapshot, Update
from registrar.ports import Clock
from registrar.rules import nonces

from . import keys
from .outbox import Outbox, event_fields, words
from .redis_wire import Argument, Wire
from .script_runner import WireRunner
from .scripts import COMMIT, KEEP
from .snapshot_codec import EMPTY, Stored, decode, encode

AFTERLIFE_SECONDS: Final = 600
"""How long a location outlives its last binding and nonce; readers use the expiry in the values."""
MAX_KNOWN: Final = 250_000
DECODED: Final = 512
FIELDS: Final = ("v", "b", "n", "r", "e")

log = logging.getLogger(__name__)


class RedisSnapshots:
    """Reader and writer of `registrar:loc:{id}`, with the last known snapshot of each phone."""

    def __init__(self, wire: Wire, runner: WireRunner, outbox: Outbox, clock: Clock) -> None:
        """Create the reader and writer. Events that are found unpublished in a location go to `outbox`."""
        self._wire = wire
        self._runner = runner
        self._outbox = outbox
        self._clock = clock
        self._known: dict[str, Stored] = {}
        self._lately: dict[Stored, Snapshot] = {}
        """Recently decoded snapshots: decoding costs more than the rest of the work with a snapshot."""
        self._promised: set[str] = set()
        """Phones whose known snapshot was never written: Redis was away."""

    def known(self, phone: str) -> Snapshot:
        """Return the snapshot that was last written, promised, or given to `remember`."""
        return self._decoded(phone, self._known.get(phone, EMPTY))

    def is_newest(self, phone: str, snapshot: Snapshot) -> bool:
        """Return whether no newer snapshot of the phone is known."""
        stored = self._known.get(phone)
        return stored is None or snapshot.version >= version(stored)

    async def read(self, phones: Sequence[str]) -> list[Snapshot]:
        """Return what is stored now. Raises StoreUnavailable."""
        stored = await self._read(phones)
        return [self._decoded(phone, there) for phone, there in zip(phones, stored, strict=True)]

    async def write(self, phone: str, before: Snapshot, update: Update, events: str) -> Stored | None:
        """Write the update if `before` is still stored, and return None; else return what is stored now.

        `events` are those of the update as JSON: the location keeps them until they are published. Raises
        StoreUnavailable.
        """
        after = encode(update.after)
        answer = await self._runner.run(
            COMMIT,
            (keys.location(phone), keys.status(phone), keys.journal(phone)),
            *self._arguments(before, update, after, events),
        )
        if answer != 1:
            return self._stored(phone, answer)
        self.remember(phone, after, update.after)
        return None

    def remember(self, phone: str, stored: Stored, snapshot: Snapshot) -> None:
        """Make a snapshot, with its stored form, the known one."""
        self._known.pop(phone, None)
        self._known[phone] = stored
        if len(self._known) > MAX_KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._promised.discard(oldest)
        self._lately[stored] = snapshot
        if len(self._lately) > DECODED:
            del self._lately[next(iter(self._lately))]

    # What Redis has to be told when it is back

    def promise(self, phone: str, update: Update) -> None:
        """Make the update known without writing it. The version stays: Redis is known to have this one."""
        before = self._known.get(phone, EMPTY)
        self._known[phone] = encode(update.after)._replace(v=before.v)
        self._promised.add(phone)

    def is_promised(self, phone: str) -> bool:
        """Return whether the known snapshot was promised and is not kept yet."""
        return phone in self._promised

    def kept(self, phone: str) -> None:
        """Note that the promised snapshot is in Redis."""
        self._promised.discard(phone)

    def all_known(self) -> list[str]:
        """Return all phones with a known snapshot, the promised ones first."""
        return [*self._promised, *(phone for phone in self._known if phone not in self._promised)]

    async def behind(self, phones: Sequence[str]) -> list[str]:
        """Return those of `phones` of which Redis may have less than is known. Raises StoreUnavailable."""
        stored = await self._read(phones)
        return [
            phone
            for phone, there in zip(phones, stored, strict=True)
            if phone in self._promised or version(there) < version(self._known.get(phone, EMPTY))
        ]

    async def _read(self, phones: Sequence[str]) -> list[Stored]:
        # All commands leave in one write.
        futures = [self._wire.send("HMGET", keys.location(phone), *FIELDS) for phone in phones]
        answers = await asyncio.gather(*futures)
        return [
            self._stored(phone, [field or b"" for field in answer])
            for phone, answer in zip(phones, answers, strict=True)
        ]

    def _stored(self, phone: str, fields: Iterable[bytes]) -> Stored:
        *snapshot, events = fields
        if events:
            self._outbox.adopt(phone, events)
        return Stored(*snapshot)

    def _decoded(self, phone: str, stored: Stored) -> Snapshot:
        """Return the decoded snapshot, from the cache if it is there.

        One request reads the same snapshot several times, and a call reads those of two phones.
        """
        snapshot = self._lately.get(stored)
        if snapshot is None:
            snapshot = self._lately[stored] = decoded(phone, stored)
            if len(self._lately) > DECODED:
                del self._lately[next(iter(self._lately))]
        return snapshot

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
        ]
        status = update.status
        if update.customer and "online" in status:
            status = {**status, "customer": update.customer}
        arguments.append(2 * len(status))
        for name, value in status.items():
            arguments += (name, value)
        for event in update.events:
            fields = words(event_fields(event))
            arguments += (len(fields), *fields)
        return arguments


def decoded(phone: str, stored: Stored) -> Snapshot:
    """Return the stored snapshot. If it cannot be read, log it and return a snapshot with the version alone.

    The version lets the next commit overwrite the unreadable value.
    """
    try:
        return decode(stored)
    except (ValueError, TypeError) as error:
        log.error("the location of phone %s cannot be read: %s", phone, error)
        return Snapshot(version(stored))


def version(stored: Stored) -> int:
    """Return the version of a stored snapshot, 0 if there is none."""
    return int(stored.v) if stored.v.isdigit() else 0
