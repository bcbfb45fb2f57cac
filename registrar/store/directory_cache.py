"""Cache of the phones that this node has read, and how long it may believe them (decision 121).

What is kept. A login that was read has one entry: in `_entries` if there is a phone, else in `_unknown`.
`_names` leads from the id of each phone in `_entries` to its login. An entry has the moment at which its
read began, because the row is at least as new as that moment.

How long an entry counts. It is fresh for 60 s, and as long as changes are followed without a gap
(`Freshness`), unless a change of its phone was announced (`doubted`). A fresh entry is used without a
query, and any other is read again at its next use. A login without a phone is fresh for 60 s only. If the
database does not answer, an entry is believed for 600 s from when it was last known to be right, even if a
change was announced since. Doubt never removes an entry: when the database goes away, this node still has
all that it knew.

One SELECT for many. `find` queues a future for its login, and `run` reads the queued logins, up to
`MAX_BATCH`, in one SELECT. A caller that asks during that SELECT for the same login gets its answer. That
answer may have begun before a change of which the caller could know. So a future is resolved from the cache
and not from the row: if `reread` has stored something newer meanwhile, the caller gets that.

The order of requests. REGISTERs of one phone are processed in the order in which they came (RFC 3261
section 10.3). So as long as a caller of `find` waits for a login, no later caller is answered from the
cache: `peek` returns None, and `find` queues. A caller counts as waiting until it continues, because a
request that arrives between its answer and its next step would overtake it.

Reads that cross. `find`, `phone`, `lock`, `learn` and `reread` may read one phone at the same time, and end
in any order. `_take` stores what they read by these rules:

- An older version of a phone never replaces a newer one. The version rises with each change of the phone,
  of its extension and of its customer.
- If a login was read later than this read began, this read neither removes it nor gives it to another
  phone.
- A deleted phone has no row and no version. If `reread` did not find an id, then a read that began earlier
  does not bring it back (`_gone`).

Changes. `heard` puts the known entries in doubt at once, and `reread` and `members` before they read. If
the read fails, the entries stay in doubt, and the caller tries again. A phone that is found gone although no
change named it is passed to `vanished`, so that its bindings end.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from registrar.errors import StoreUnavailable
from registrar.model import NO_DESTINATION, Change, Destination, IpMode, Mono, Phone, login_name
from registrar.ports import Phones
from registrar.rules.destination import resolve
from registrar.rules.features import ReservedWords, reserved_words
from registrar.rules.routing import dialled

from .callee_cache import CachedCallees
from .freshness import FRESH_SECONDS, SELECT_SECONDS, Freshness

LOCK_SECONDS: Final = 5.0
"""How long the lock of a first contact waits for the database: hundreds may come at once."""
MAX_PHONES: Final = 250_000
MAX_UNKNOWN: Final = 20_000
"""Limit of logins without a phone, and limit of ids that `reread` did not find."""
MAX_USERNAME: Final = 128
MAX_BATCH: Final = 500
ALL_RESERVED: Final = reserved_words()
"""The words that are reserved by default."""

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """Result of reading one login: the phone, or None if there is no phone."""

    phone: Phone | None
    read_at: float
    """When the read began; the phone is at least as new as that."""
    doubted: float | None = None
    """None, or after the announcement of a change when the entry was last known to be right."""


def _nobody_minds(_phone: Phone) -> None:
    """Ignore the phone; the default for callers that do not watch for changes."""


class CachedDirectory:
    """Cache over ports.Phones; implements ports.Directory and ports.DialPlan.

    All logins that are missed at the same time become one SELECT.
    """

    def __init__(
        self,
        phones: Phones,
        clock: Callable[[], Mono],
        vanished: Callable[[Phone], None] = _nobody_minds,
        reserved: ReservedWords = ALL_RESERVED,
    ) -> None:
        """Create an empty cache. Report to `freshness` how changes are followed.

        `vanished` is called with each phone that is gone if no change had announced it. `reserved` are the
        words for which no dial plan is read.
        """
        self._phones = phones
        self._clock = clock
        self._vanished = vanished
        self._reserved = reserved
        self.freshness = Freshness(clock)
        self._callees = CachedCallees(phones, clock, self.freshness)
        self._entries: dict[str, Entry] = {}
        self._unknown: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        """The login of each phone in `_entries`, by its id."""
        self._gone: dict[str, float] = {}
        """Ids that `reread` did not find -> when that read began, so that no slower read brings one back."""
        self._domains: Mapping[str, bool] = {}
        """Domain -> whether it requires SHA-256."""
        self._asked: dict[str, list[asyncio.Future[Phone | None]]] = {}
        """Futures by login that the next SELECT, or the one under way, will resolve."""
        self._waiting: dict[str, int] = {}
        """How many callers of `find` have not continued yet. Later callers wait behind them, even if the
        phone is known by then (RFC 3261 section 10.3: REGISTERs are processed in the order they are
        received)."""
        self._wanted = asyncio.Event()
        self._unfinished: set[asyncio.Task[bool]] = set()

    def serves(self, domain: str) -> bool:
        """See ports.Directory."""
        return domain in self._domains

    def requires_sha256(self, domain: str) -> bool:
        """Return whether challenges of this realm offer SHA-256 alone."""
        return self._domains.get(domain, False)

    def peek(self, username: str, realm: str) -> Phone | None:
        """See ports.Directory."""
        login = login_name(username, realm)
        entry = self._entries.get(login)
        known = entry is not None and self._is_fresh(entry) and login not in self._waiting
        return entry.phone if entry is not None and known else None

    async def find(self, username: str, realm: str) -> Phone | None:
        """See ports.Directory."""
        if len(username) > MAX_USERNAME or not username.isascii() or not username.isprintable():
            return None
        login = login_name(username, realm)
        entry = self._last_read(login)
        if entry is not None and self._is_fresh(entry) and login not in self._waiting:
            return entry.phone
        mine: asyncio.Future[Phone | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(login, []).append(mine)
        self._waiting[login] = self._waiting.get(login, 0) + 1
        self._wanted.set()
        try:
            return await mine
        finally:
            self._waiting[login] -= 1
            if not self._waiting[login]:
                del self._waiting[login]

    async def lock(self, phone: Phone, address: str) -> tuple[Phone | None, bool]:
        """See ports.Directory."""
        won = await self._within(LOCK_SECONDS, self._phones.lock(phone.id, address))
        started = self._clock()
        found = await self._phones.select("id", [phone.id])
        self._announce(self._take(found, {phone.login}, started))
        return (found[0] if found else None), won

    async def called(self, customer: str, user: str) -> Destination:
        """See ports.DialPlan.

        A callee is as new as the last change that was heard, or ten minutes old without a database. Its
        phones authenticate no request: they say which phones ring, and with which codecs.
        """
        words = dialled(user)
        for word in words:
            reserved = self._reserved.destination(word)
            if reserved is not None:
                return reserved
        for word in words:
            destination = resolve(word, await self._callees.called(customer, word), self._reserved)
            if destination is not NO_DESTINATION:
                return destination
        return NO_DESTINATION

    async def phone(self, id: str) -> Phone | None:
        """See ports.DialPlan."""
        login = self._names.get(id)
        entry = self._entries.get(login) if login is not None else None
        if entry is not None and self._is_fresh(entry):
            return entry.phone
        started = self._clock()
        try:
            async with asyncio.timeout(SELECT_SECONDS):
                found = await self._phones.select("id", [id])
        except (StoreUnavailable, TimeoutError) as error:
            if entry is not None and self._is_believed(entry):
                return entry.phone
            raise StoreUnavailable(str(error) or "the database does not answer") from error
        self._announce(self._take(found, {login} if login is not None else set(), started))
        return self.by_id(id)

    async def pickable(self, person: str) -> frozenset[str]:
        """See ports.DialPlan."""
        try:
            async with asyncio.timeout(SELECT_SECONDS):
                return await self._phones.pickable(person)
        except TimeoutError:
            raise StoreUnavailable("the database does not answer") from None

    async def _within(self, seconds: float, work: Coroutine[None, None, bool]) -> bool:
        """Return the outcome of `work`.

        Raises StoreUnavailable if it takes too long; `work` is still finished.
        """
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise StoreUnavailable("the database does not answer")
        return task.result()

    def by_id(self, phone: str) -> Phone | None:
        """Return what this node last read of a phone, however old, or None."""
        entry = self._entries.get(self._names.get(phone, ""))
        return entry.phone if entry is not None else None

    async def learn(self, phones: Sequence[str]) -> None:
        """Read those of `phones` that `by_id` does not know. While the database is away they stay unknown."""
        unknown = [phone for phone in phones if phone not in self._names]
        if not unknown:
            return
        started = self._clock()
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(SELECT_SECONDS):
                self._take(await self._phones.select("id", unknown), set(), started)

    async def reread(self, phones: Sequence[str]) -> list[Phone]:
        """Read again what the config API changed. Return those of `phones` that exist, in their new state.

        Raises StoreUnavailable.
        """
        self._callees.doubt()
        started = self._clock()
        before = {self._names[phone] for phone in phones if phone in self._names}
        self._doubt(before)
        found = await self._phones.select("id", phones)
        gone = self._take(found, before, started)
        self._announce([phone for phone in gone if phone.id not in phones])
        for id in set(phones) - {phone.id for phone in found}:
            self._gone.pop(id, None)  # keeps the newest last
            self._gone[id] = started
        return found

    async def members(self, customer: str) -> list[str]:
        """Return the ids of all phones of a changed customer, first those that this node knew.

        The known phones are in doubt until they are read again; some of them may be gone. Raises
        StoreUnavailable.
        """
        self._callees.doubt()
        known = self._of_customer(customer)
        self._doubt(known)
        await self.read_domains()
        return list(dict.fromkeys([*known.values(), *await self._phones.members(customer)]))

    def heard(self, change: Change) -> None:
        """Put the entries that a change names in doubt at once; `reread` and `members` read them."""
        if change.everybody:
            self.forget_freshness()
        self._doubt(self._names[phone] for phone in change.phones if phone in self._names)
        if change.customer:
            self._doubt(self._of_customer(change.customer))
        if change.phones or change.customer:
            self._callees.doubt()
        elif change.dial_plan:
            self._callees.doubt(change.dial_plan)

    def forget_freshness(self) -> None:
        """Note that changes may have been missed. Every entry is read again at its next use; none is lost."""
        self.freshness.missed()
        self._callees.doubt()

    async def read_domains(self) -> None:
        """Read the served domains again. Raises StoreUnavailable."""
        self._domains = await self._phones.domains()

    async def run(self) -> None:
        """Run the SELECTs that `find` waits for, one at a time, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._asked:
                batch = dict(list(self._asked.items())[:MAX_BATCH])
                await self._read(batch)
                for login in batch:
                    del self._asked[login]

    async def _read(self, batch: dict[str, list[asyncio.Future[Phone | None]]]) -> None:
        started = self._clock()
        try:
            async with asyncio.timeout(SELECT_SECONDS):
                found = await self._phones.select("login", batch)
        except (StoreUnavailable, TimeoutError) as error:
            for login, futures in batch.items():
                self._settle_without_database(login, futures, error)
            return
        self._announce(self._take(found, set(batch), started))
        for login, futures in batch.items():
            entry = self._entries.get(login)
            for future in futures:
                if not future.done():  # its caller may have been cancelled
                    future.set_result(entry.phone if entry is not None else None)

    def _settle_without_database(
        self, login: str, futures: list[asyncio.Future[Phone | None]], error: Exception
    ) -> None:
        entry = self._last_read(login)
        for future in futures:
            if future.done():
                continue
            if entry is not None and self._is_believed(entry):
                future.set_result(entry.phone)
            else:
                future.set_exception(StoreUnavailable(str(error) or "the database does not answer"))

    def _last_read(self, login: str) -> Entry | None:
        return self._entries.get(login) or self._unknown.get(login)

    def _is_fresh(self, entry: Entry) -> bool:
        if entry.doubted is not None or not self.freshness.is_fresh(entry.read_at):
            return False
        phone = entry.phone
        # The lock of a first contact at another process is no noted change: so OPEN is not believed for long.
        is_settled = phone is not None and (phone.mode is not IpMode.OPEN or phone.by_domain)
        return is_settled or self._clock() - entry.read_at <= FRESH_SECONDS

    def _is_believed(self, entry: Entry) -> bool:
        """Return whether the entry may be used while the database is away."""
        right_at = self._right_at(entry) if entry.phone is not None else entry.read_at
        return self.freshness.is_believed(right_at)

    def _right_at(self, entry: Entry) -> float:
        return self.freshness.right_at(entry.read_at) if entry.doubted is None else entry.doubted

    def _of_customer(self, customer: str) -> dict[str, str]:
        """Return the known logins of a customer, each with the id of its phone."""
        return {
            login: entry.phone.id
            for login, entry in self._entries.items()
            if entry.phone is not None and entry.phone.customer == customer
        }

    def _doubt(self, logins: Iterable[str]) -> None:
        for login in logins:
            entry = self._entries[login]
            self._entries[login] = entry._replace(doubted=self._right_at(entry))

    def _announce(self, gone: list[Phone]) -> None:
        if gone:
            self._callees.doubt()
        for phone in gone:
            self._vanished(phone)

    def _is_outdated(self, known: Phone, started: float) -> bool:
        """Return whether an entry is from before a gap that ended before a read began.

        Then the read is right although its version is lower: the database was restored from a backup.
        """
        entry = self._entries.get(known.login)
        return entry is not None and self.freshness.is_gap_between(entry.read_at, started)

    def _take(self, found: list[Phone], asked: set[str], started: float) -> list[Phone]:
        """Store what was read since `started`. Return the phones that were known before and are gone.

        A login in `asked` that was not found is gone. An older read never overwrites a newer one, and an
        older version of a phone never overwrites a newer version, unless changes were missed in between.
        """
        gone: list[Phone] = []
        for phone in found:
            login = phone.login
            known = self.by_id(phone.id)
            if known is not None and known.version > phone.version and not self._is_outdated(known, started):
                continue
            if self._gone.get(phone.id, started) > started:
                continue  # deleted during the read
            there = self._last_read(login)
            if there is not None and (there.phone is None or there.phone.id != phone.id):
                if there.read_at > started:
                    continue  # deleted, or given to another phone, during the read
                if there.phone is not None:
                    gone.append(there.phone)
                    self._forget(login)
            self._forget(self._names.get(phone.id))
            self._entries[login] = Entry(phone, started)
            self._names[phone.id] = login
            self._unknown.pop(login, None)
        for login in asked - {phone.login for phone in found}:
            entry = self._entries.get(login)
            if entry is None or entry.read_at <= started:
                if entry is not None and entry.phone is not None:
                    gone.append(entry.phone)
                self._forget(login)
                self._unknown.pop(login, None)  # keeps the newest last
                self._unknown[login] = Entry(None, started)
        self._bound()
        return gone

    def _forget(self, login: str | None) -> None:
        entry = self._entries.pop(login, None) if login is not None else None
        if entry is not None and entry.phone is not None:
            self._names.pop(entry.phone.id, None)

    def _bound(self) -> None:
        while len(self._entries) > MAX_PHONES:
            self._forget(next(iter(self._entries)))
        while len(self._unknown) > MAX_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        while len(self._gone) > MAX_UNKNOWN:
            del self._gone[next(iter(self._gone))]
