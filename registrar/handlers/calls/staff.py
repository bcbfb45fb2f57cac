"""What is known of the people whom groups and queues ring, and of the calls that wait for them.

All calls that wait in this process share it. What one of them reads serves the others, those that ask
meanwhile and those that ask within a second. So a hundred calls that wait cost one read of their people each
second. News of a person makes it stale at once, and with it what is being read at that moment: that may be
older than the news.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from registrar.errors import StoreUnavailable
from registrar.model import Devices, Mono, PersonState, Snapshot, Waiter
from registrar.ports import Clock, Location, People, Waiting
from registrar.rules.plan import Seen
from registrar.rules.routing import devices
from registrar.rules.tokens import Target

KNOWN_SECONDS: Final = 0.9
"""How long what was read may be used; a call that waits looks once a second."""
MAX_KNOWN: Final = 20_000


class Member(NamedTuple):
    """What is known of a person, and since when."""

    seen: Seen
    targets: list[list[Target]]
    """Its devices, each with its flows, best first."""
    read_at: Mono


PeopleRead = asyncio.Task[dict[str, Member]]


class WaitingCalls(NamedTuple):
    """The calls that wait at a place, and since when that is known."""

    waiters: list[Waiter]
    calls: frozenset[str]
    read_at: Mono


class Staff:
    """Reader of people and of the calls that wait."""

    def __init__(
        self, people: People, waiting: Waiting, location: Location, clock: Clock, mono: Callable[[], Mono]
    ) -> None:
        self._people = people
        self._waiting = waiting
        self._location = location
        self._clock = clock
        self._mono = mono
        self._known: dict[str, Member] = {}
        self._lines: dict[str, WaitingCalls] = {}
        self._reading: dict[str, PeopleRead] = {}
        """Person -> the read under way that will tell of it; none if it has changed since."""
        self._lining: dict[str, asyncio.Task[list[Waiter]]] = {}
        """Place -> the read under way that will tell of it; none if a person has changed since."""

    async def look(self, people: Sequence[Devices]) -> dict[str, Member]:
        """Return what is known of each person, by its id; while the store is away, what was known before."""
        now = self._mono()
        found: dict[str, Member] = {}
        stale, reads = [], set()
        for one in people:
            person = one.person
            member = self._known.get(person)
            if member is not None and now - member.read_at <= KNOWN_SECONDS:
                found[person] = member
                continue
            read = self._reading.get(person)
            if read is None:
                stale.append(one)
            else:
                reads.add(read)
        if stale:
            reads.add(self._read(stale))
        for read in reads:
            found |= await asyncio.shield(read)
        return found

    async def look_again(self, people: Sequence[Devices]) -> dict[str, Member]:
        """Return what is known of each person, read now."""
        return await asyncio.shield(self._read(people))

    def forget(self, person: str) -> None:
        """Note that a person has changed, and with it the calls that may wait for it."""
        self._known.pop(person, None)
        self._reading.pop(person, None)
        self._lines.clear()
        self._lining.clear()

    async def waiters(self, place: str, call: str) -> list[Waiter]:
        """Return the calls that wait at a place, with `call` among them if it is still there.

        Raises StoreUnavailable.
        """
        line = self._lines.get(place)
        if line is not None and self._mono() - line.read_at <= KNOWN_SECONDS and call in line.calls:
            return line.waiters
        read = self._lining.get(place)
        if read is not None:
            waiters = await asyncio.shield(read)
            if any(waiter.call == call for waiter in waiters):
                return waiters
        return await asyncio.shield(self._read_line(place))

    def _read_line(self, place: str) -> asyncio.Task[list[Waiter]]:
        """Begin to read the calls that wait at a place."""
        now = self._mono()
        task = asyncio.create_task(self._waiting.waiters(place))

        def finish(done: asyncio.Task[list[Waiter]]) -> None:
            is_latest = self._lining.get(place) is done
            if is_latest:
                del self._lining[place]
            if done.cancelled() or done.exception() is not None:
                return
            waiters = done.result()
            if is_latest:
                self._lines[place] = WaitingCalls(waiters, frozenset(one.call for one in waiters), now)

        task.add_done_callback(finish)
        self._lining[place] = task
        return task

    def _read(self, people: Sequence[Devices]) -> PeopleRead:
        """Begin to read people."""
        task = asyncio.create_task(self._members(people, self._mono()))

        def finish(done: PeopleRead) -> None:
            members = {} if done.cancelled() or done.exception() is not None else done.result()
            for one in people:
                if self._reading.get(one.person) is done:
                    del self._reading[one.person]
                    if one.person in members:
                        self._known[one.person] = members[one.person]

        task.add_done_callback(finish)
        self._reading |= dict.fromkeys((one.person for one in people), task)
        return task

    async def _members(self, people: Sequence[Devices], now: Mono) -> dict[str, Member]:
        """Return what the stores have of people now."""
        phones = [phone.id for one in people for phone in one.phones if phone.active]
        try:
            states = await self._people.states([one.person for one in people], watch=True)
            snapshots = await self._location.load(phones) if phones else []
        except StoreUnavailable:
            states = [self._last_state(one.person) for one in people]
            snapshots = [self._location.known(phone) for phone in phones]
        by_phone = dict(zip(phones, snapshots, strict=True))
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        read = {}
        for one, state in zip(people, states, strict=True):
            targets = self._targets(one, by_phone)
            read[one.person] = Member(Seen(state, has_devices=bool(targets)), targets, now)
        return read

    def _last_state(self, person: str) -> PersonState:
        """Return the state as it was read last: a call that waits goes on by it."""
        known = self._known.get(person)
        return known.seen.state if known is not None else PersonState()

    def _targets(self, one: Devices, snapshots: dict[str, Snapshot]) -> list[list[Target]]:
        rows = [(phone.id, snapshots[phone.id]) for phone in one.phones if phone.id in snapshots]
        return devices(rows, self._clock(), None)
