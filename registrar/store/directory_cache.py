"""The phones this node has read, and how long it may believe them (design decision 14)."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, NamedTuple

from registrar.errors import StoreUnavailable
from registrar.model import Change, Mono, Phone
from registrar.ports import Phones

FRESH_SECONDS: Final = 60
"""So long an entry is used without asking."""
BELIEVED_SECONDS: Final = 600
"""So long it may still be used while the database cannot be reached."""
SELECT_SECONDS: Final = 0.4
"""A database that has not answered by then is away: a phone that waits sends its request again."""
LOCK_SECONDS: Final = 5.0
"""How long a first contact waits for its turn at the database: hundreds may come at once."""
MAX_PHONES: Final = 250_000
MAX_UNKNOWN: Final = 20_000
MAX_USERNAME: Final = 128
MAX_BATCH: Final = 500

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """What was read of a username: the phone, or that there is none."""

    phone: Phone | None
    read_at: float
    """When the read began: what it found is at least as new as that."""
    stale: bool


class CachedDirectory:
    """Implements ports.Directory over ports.Phones; all misses of a moment become one SELECT."""

    def __init__(self, phones: Phones, clock: Callable[[], Mono]) -> None:
        self._phones = phones
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._unknown: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._heard_since = float("-inf")
        """What was read before may have changed without our hearing of it."""
        self._domains: frozenset[str] = frozenset()
        self._asked: dict[str, list[asyncio.Future[Phone | None]]] = {}
        """What the next SELECT, or the one under way, will answer."""
        self._waiting: dict[str, int] = {}
        """How many have asked and not gone on yet: whoever comes later waits behind them, even if the phone
        is known by then (RFC 3261 section 10.3: REGISTERs are processed in the order they are received)."""
        self._wanted = asyncio.Event()
        self._unfinished: set[asyncio.Task[bool]] = set()

    def serves(self, domain: str) -> bool:
        """See ports.Directory."""
        return domain in self._domains

    def peek(self, username: str) -> Phone | None:
        """See ports.Directory."""
        entry = self._entries.get(username)
        known = entry is not None and self._is_fresh(entry) and username not in self._waiting
        return entry.phone if entry is not None and known else None

    async def find(self, username: str) -> Phone | None:
        """See ports.Directory."""
        if len(username) > MAX_USERNAME or not username.isascii() or not username.isprintable():
            return None
        entry = self._last_read(username)
        if entry is not None and self._is_fresh(entry) and username not in self._waiting:
            return entry.phone
        mine: asyncio.Future[Phone | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(username, []).append(mine)
        self._waiting[username] = self._waiting.get(username, 0) + 1
        self._wanted.set()
        try:
            return await mine
        finally:
            self._waiting[username] -= 1
            if not self._waiting[username]:
                del self._waiting[username]

    async def lock(self, phone: Phone, address: str) -> tuple[Phone | None, bool]:
        """See ports.Directory."""
        won = await self._within(LOCK_SECONDS, self._phones.lock(phone.id, address))
        started = self._clock()
        found = await self._phones.select("id", [phone.id])
        self._take(found, {phone.username}, started)
        return (found[0] if found else None), won

    async def _within(self, seconds: float, work: Coroutine[None, None, bool]) -> bool:
        """The outcome of `work`, or StoreUnavailable when it takes longer; it is finished all the same."""
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise StoreUnavailable("the database does not answer")
        return task.result()

    def by_id(self, phone: str) -> Phone | None:
        """What this node last read of a phone, however old."""
        entry = self._entries.get(self._names.get(phone, ""))
        return entry.phone if entry is not None else None

    async def learn(self, phones: Sequence[str]) -> None:
        """Read those of `phones` that `by_id` does not know; when the database is away they stay unknown."""
        unknown = [phone for phone in phones if phone not in self._names]
        if not unknown:
            return
        started = self._clock()
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(SELECT_SECONDS):
                self._take(await self._phones.select("id", unknown), set(), started)

    async def reread(self, change: Change) -> list[Phone]:
        """Read again what the config API changed; gives the phones as they are now.

        Raises StoreUnavailable.
        """
        started = self._clock()
        before = {self._names[phone] for phone in change.phones if phone in self._names}
        if change.customer:
            before |= self._of_customer(change.customer)
        for username in before:
            self._entries[username] = self._entries[username]._replace(stale=True)
        found = await self._phones.select("id", change.phones) if change.phones else []
        if change.customer:
            found += await self._phones.select("customer", [change.customer])
            await self.read_domains()
        self._take(found, before, started)
        return found

    def forget_freshness(self) -> None:
        """Changes may have been missed: every entry is read again at its next use, none is lost."""
        self._heard_since = self._clock()

    async def read_domains(self) -> None:
        """Read the served domains again. Raises StoreUnavailable."""
        self._domains = await self._phones.domains()

    async def run(self) -> None:
        """Read what `find` waits for, one SELECT at a time, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._asked:
                batch = dict(list(self._asked.items())[:MAX_BATCH])
                await self._read(batch)
                for username in batch:
                    del self._asked[username]

    async def _read(self, batch: dict[str, list[asyncio.Future[Phone | None]]]) -> None:
        started = self._clock()
        try:
            async with asyncio.timeout(SELECT_SECONDS):
                found = await self._phones.select("username", batch)
        except (StoreUnavailable, TimeoutError) as error:
            for username, futures in batch.items():
                self._settle_without_database(username, futures, error)
            return
        self._take(found, set(batch), started)
        for username, futures in batch.items():
            entry = self._entries.get(username)
            for future in futures:
                if not future.done():  # whoever asked may have gone meanwhile
                    future.set_result(entry.phone if entry is not None else None)

    def _settle_without_database(
        self, username: str, futures: list[asyncio.Future[Phone | None]], error: Exception
    ) -> None:
        entry = self._last_read(username)
        believed = entry is not None and self._clock() - entry.read_at <= BELIEVED_SECONDS
        for future in futures:
            if future.done():
                continue
            if entry is not None and believed:
                future.set_result(entry.phone)
            else:
                future.set_exception(StoreUnavailable(str(error) or "the database does not answer"))

    def _last_read(self, username: str) -> Entry | None:
        return self._entries.get(username) or self._unknown.get(username)

    def _is_fresh(self, entry: Entry) -> bool:
        if entry.stale or entry.read_at < self._heard_since:
            return False
        return self._clock() - entry.read_at <= FRESH_SECONDS

    def _of_customer(self, customer: str) -> set[str]:
        return {
            username
            for username, entry in self._entries.items()
            if entry.phone is not None and entry.phone.customer == customer
        }

    def _take(self, found: list[Phone], asked: set[str], started: float) -> None:
        """Remember what was read since `started`; `asked` usernames that were not found are gone.

        An older read never overwrites a newer one, nor an older version of a phone a newer one.
        """
        for phone in found:
            unknown = self._unknown.get(phone.username)
            known = self._entries.get(self._names.get(phone.id, phone.username))
            if unknown is not None and unknown.read_at > started:
                continue  # deleted while we read
            if known is not None and known.phone is not None and known.phone.version > phone.version:
                continue
            self._forget(self._names.get(phone.id))
            self._entries[phone.username] = Entry(phone, started, stale=False)
            self._names[phone.id] = phone.username
            self._unknown.pop(phone.username, None)
        for username in asked - {phone.username for phone in found}:
            known = self._entries.get(username)
            if known is None or known.read_at <= started:
                self._forget(username)
                self._unknown.pop(username, None)  # the youngest stand last
                self._unknown[username] = Entry(None, started, stale=False)
        self._bound()

    def _forget(self, username: str | None) -> None:
        entry = self._entries.pop(username, None) if username is not None else None
        if entry is not None and entry.phone is not None:
            self._names.pop(entry.phone.id, None)

    def _bound(self) -> None:
        while len(self._entries) > MAX_PHONES:
            self._forget(next(iter(self._entries)))
        while len(self._unknown) > MAX_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
