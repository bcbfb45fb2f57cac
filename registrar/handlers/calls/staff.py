"""What is known of the people whom groups and queues ring, and of the calls that wait for them.

All calls that wait in this process share it. What one of them has read serves the others for a second, so a
hundred calls that wait cost one read of their people each second. News of a person makes it stale at once, and
with it what is being read at that moment: it may be older than the news.
"""

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


class Line(NamedTuple):
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
        self._lines: dict[str, Line] = {}
        self._news: dict[int, set[str]] = {}
        """For each read that is under way, the people who have changed since it began."""
        self._reads = 0
        self._changes = 0
        """How many changes there were."""

    async def look(self, people: Sequence[Devices]) -> dict[str, Member]:
        """Return what is known of each person, by its id; while the store is away, what was known before."""
        now = self._mono()
        found: dict[str, Member] = {}
        stale = []
        for one in people:
            member = self._known.get(one.person)
            if member is None or now - member.read_at > KNOWN_SECONDS:
                stale.append(one)
            else:
                found[one.person] = member
        if stale:
            found |= await self._read(stale, now)
        return found

    async def look_again(self, people: Sequence[Devices]) -> dict[str, Member]:
        """Return what is known of each person, read now."""
        return await self._read(people, self._mono())

    def forget(self, person: str) -> None:
        """Note that a person has changed, and with it the calls that may wait for it."""
        self._known.pop(person, None)
        self._lines.clear()
        self._changes += 1
        for changed in self._news.values():
            changed.add(person)

    async def waiters(self, place: str, call: str) -> list[Waiter]:
        """Return the calls that wait at a place, with `call` among them if it is still there.

        Raises StoreUnavailable.
        """
        now = self._mono()
        line = self._lines.get(place)
        if line is not None and now - line.read_at <= KNOWN_SECONDS and call in line.calls:
            return line.waiters
        changes = self._changes
        waiters = await self._waiting.waiters(place)
        if changes == self._changes:
            self._lines[place] = Line(waiters, frozenset(one.call for one in waiters), now)
        return waiters

    async def _read(self, people: Sequence[Devices], now: Mono) -> dict[str, Member]:
        phones = [phone.id for one in people for phone in one.phones if phone.active]
        self._reads += 1
        number, changed = self._reads, set[str]()
        self._news[number] = changed
        try:
            states = await self._people.states([one.person for one in people], watch=True)
            snapshots = await self._location.load(phones) if phones else []
        except StoreUnavailable:
            states = [self._last_state(one.person) for one in people]
            snapshots = [self._location.known(phone) for phone in phones]
        finally:
            del self._news[number]
        by_phone = dict(zip(phones, snapshots, strict=True))
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        read = {}
        for one, state in zip(people, states, strict=True):
            targets = self._targets(one, by_phone)
            read[one.person] = Member(Seen(state, has_devices=bool(targets)), targets, now)
        self._known |= {person: member for person, member in read.items() if person not in changed}
        return read

    def _last_state(self, person: str) -> PersonState:
        """Return the state as it was read last: a call that waits goes on by it."""
        known = self._known.get(person)
        return known.seen.state if known is not None else PersonState()

    def _targets(self, one: Devices, snapshots: dict[str, Snapshot]) -> list[list[Target]]:
        rows = [(phone.id, snapshots[phone.id]) for phone in one.phones if phone.id in snapshots]
        return devices(rows, self._clock(), None)
