"""The targets of subscriptions, and what is shown of each: its calls, its presence, or its switch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from registrar.model import (
    Destination,
    Devices,
    Feature,
    FeatureKind,
    Group,
    PersonState,
    Phone,
    Queue,
    Reason,
)
from registrar.ports import Clock, DialPlan, Location, OfflineReasons
from registrar.rules import pidf
from registrar.rules.dialog_info import IDLE, LAMP_ON, Line, Watched, line_of
from registrar.rules.pidf import Presence
from registrar.rules.subscriptions import NEVER, Subscription

from .board import Board, Entry, Mark, marks
from .line import States

TARGET_BYTES: Final = 12
OWN_LAMPS: Final = frozenset(
    {
        FeatureKind.DND_TOGGLE,
        FeatureKind.DND_ON,
        FeatureKind.DND_OFF,
        FeatureKind.CFU_ON,
        FeatureKind.CFU_OFF,
        FeatureKind.CFB_ON,
        FeatureKind.CFB_OFF,
        FeatureKind.CFNR_ON,
        FeatureKind.CFNR_OFF,
        FeatureKind.QUEUE,
    }
)
"""The feature codes that have a lamp: it shows a wish of the person that watches it."""
ABSENT: Final = frozenset(Reason) - {Reason.REGISTERED}


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of a target now."""

    line: Line = IDLE
    presence: Presence = field(default_factory=lambda: Presence(pidf.Activity.FREE))
    watched: Watched = field(default_factory=lambda: Watched("", "", "", ""))
    until: float = NEVER
    """When what the person has published ends, in epoch seconds: no news tell that."""


@dataclass(slots=True)
class Target:
    """A person, a number or a feature code that is watched."""

    key: str
    """The name under which the store lists its subscriptions."""
    customer: str
    domain: str
    word: str
    asker: str
    """The person that watches a feature code; else empty."""
    person: str = ""
    view: View = field(default_factory=View)
    watchers: set[str] = field(default_factory=set)
    """Ids of the subscriptions of this process."""
    marks: set[Mark] = field(default_factory=set)


class Watching:
    """The targets that this process watches."""

    def __init__(
        self,
        dial_plan: DialPlan,
        location: Location,
        reasons: OfflineReasons,
        states: States,
        board: Board,
        clock: Clock,
        *,
        key: bytes,
    ) -> None:
        """Create it without targets; `key` makes the opaque ids of calls, and is the same on all nodes."""
        self._dial_plan = dial_plan
        self._location = location
        self._reasons = reasons
        self._states = states
        self._board = board
        self._clock = clock
        self._key = key
        self._targets: dict[str, Target] = {}
        self._marked: dict[Mark, set[str]] = {}
        self._by_customer: dict[str, set[str]] = {}

    async def find(self, customer: str, domain: str, word: str, asker: str) -> Target | None:
        """Return the target that a word names for a person, with its view, or None if it names none.

        The target is watched from `keep` on. Raises StoreUnavailable.
        """
        found = await self._dial_plan.called(customer, word)
        key = _key(customer, found, asker)
        if not key:
            return None
        known = self._targets.get(key)
        if known is not None:
            return known
        target = Target(key, customer, domain, word, asker if isinstance(found, Feature) else "")
        await self._board.watch(customer)
        try:
            await self._look(target, found)
        finally:
            if customer not in self._by_customer:
                self._board.forget(customer)
        return target

    async def find_again(self, subscription: Subscription) -> Target | None:
        """Return the target of a stored subscription, or None if it or the phone is gone.

        Raises StoreUnavailable.
        """
        phone = await self._dial_plan.phone(subscription.phone)
        if phone is None or not phone.active:
            return None
        return await self.find(phone.customer, phone.domain, subscription.word, phone.person)

    async def keep(self, target: Target) -> Target:
        """Watch a target from now on, and return it as it is known here. Raises StoreUnavailable."""
        known = self._targets.setdefault(target.key, target)
        if known is target:
            self._by_customer.setdefault(target.customer, set()).add(target.key)
            for mark in target.marks:
                self._marked.setdefault(mark, set()).add(target.key)
            await self._board.watch(target.customer)
            await self.look(target)
        return known

    def drop(self, target: Target) -> None:
        """Watch a target no longer, if it has no subscription here."""
        if target.watchers or self._targets.get(target.key) is not target:
            return
        del self._targets[target.key]
        self._unmark(target)
        of_customer = self._by_customer[target.customer]
        of_customer.discard(target.key)
        if not of_customer:
            del self._by_customer[target.customer]
            self._board.forget(target.customer)

    async def look(self, target: Target) -> bool:
        """Read what is shown of a target; return False if there is no such target any more.

        Raises StoreUnavailable.
        """
        found = await self._dial_plan.called(target.customer, target.word)
        if _key(target.customer, found, target.asker) != target.key:
            return False
        await self._look(target, found)
        return True

    async def heard(self, entries: Sequence[Entry]) -> list[Target]:
        """Apply events of the stream, and return the targets that may have changed. Raises StoreUnavailable.

        An event of a phone changes the presence of its person.
        """
        changed: set[Mark] = {("phone", entry.get("phone", "")) for entry in entries if "call" not in entry}
        changed |= await self._board.heard(entries)
        keys: dict[str, None] = {}
        for mark in changed:
            keys |= dict.fromkeys(self._marked.get(mark, ()))
        return [self._targets[key] for key in keys]

    def of_person(self, person: str) -> list[Target]:
        """Return the targets that show a person, or a wish of it."""
        return [target for key in self._marked.get(("person", person), ()) for target in [self._targets[key]]]

    def of_customer(self, customer: str) -> list[Target]:
        """Return the targets of a customer."""
        return [self._targets[key] for key in self._by_customer.get(customer, ())]

    async def everything(self) -> list[Target]:
        """Return all targets, after the calls were read again. Raises StoreUnavailable."""
        for customer in list(self._by_customer):
            await self._board.reread(customer)
        return list(self._targets.values())

    async def _look(self, target: Target, found: Destination) -> None:
        if isinstance(found, Feature):
            (state,) = await self._states.states([target.asker]) if target.asker else (PersonState(),)
            is_on = await self._is_on(target, found, state)
            target.view = View(LAMP_ON if is_on else IDLE)
            self._mark(target, {("person", target.asker)})
        elif isinstance(found, Devices):
            await self._look_at_person(target, found)
        elif isinstance(found, (Group, Queue)):
            watched = Watched(found.id, found.number, found.name, target.domain)
            line = line_of(watched, self._board.of(watched, target.customer), self._key)
            target.view = View(line, watched=watched)
            self._mark(target, marks(watched, target.customer))

    async def _look_at_person(self, target: Target, found: Devices) -> None:
        target.person = found.person
        (state,) = await self._states.states([found.person]) if found.person else (PersonState(),)
        phones = [phone.id for phone in found.phones if phone.active]
        watched = Watched(
            found.person or found.number,
            found.number,
            found.name,
            target.domain,
            frozenset(phones),
            frozenset(state.calls),
        )
        reason, is_online = await self._registration(phones)
        # The calls are read last: nothing may happen between this and the view.
        line = line_of(watched, self._board.of(watched, target.customer), self._key)
        shown = pidf.presence(
            is_online=is_online,
            reason=reason,
            is_talking=bool(line.id),
            dnd=state.dnd,
            is_away=bool(state.cfu),
            published=state.published,
        )
        until = state.published.until if state.published is not None else NEVER
        target.view = View(line, shown, watched, until)
        person: set[Mark] = {("person", found.person)} if found.person else set()
        self._mark(target, marks(watched, target.customer) | person)

    async def _registration(self, phones: list[str]) -> tuple[str, bool]:
        """Return why the phones of a person are offline, and whether one of them is online."""
        if not phones:
            return "no phone", False
        now = self._clock()
        if any(snapshot.heard(now) for snapshot in await self._location.load(phones)):
            return "", True
        reasons = await self._reasons.offline_reasons(phones)
        return next((reason for reason in reasons if reason in ABSENT), "never registered"), False

    async def _is_on(self, target: Target, feature: Feature, state: PersonState) -> bool:
        """Return whether the lamp of a feature code is on."""
        match feature.kind:
            case FeatureKind.DND_TOGGLE | FeatureKind.DND_ON | FeatureKind.DND_OFF:
                return state.dnd
            case FeatureKind.CFU_ON | FeatureKind.CFU_OFF:
                return bool(state.cfu)
            case FeatureKind.CFB_ON | FeatureKind.CFB_OFF:
                return bool(state.cfb)
            case FeatureKind.CFNR_ON | FeatureKind.CFNR_OFF:
                return bool(state.cfnr)
            case FeatureKind.QUEUE:
                queue = await self._dial_plan.called(target.customer, feature.argument)
                return isinstance(queue, Queue) and _is_member(queue, target.asker, state)
            case _:
                return False

    def _mark(self, target: Target, found: set[Mark]) -> None:
        """Note the marks of the events that change a target."""
        if target.marks == found:
            return
        if self._targets.get(target.key) is target:
            self._unmark(target)
            for mark in found:
                self._marked.setdefault(mark, set()).add(target.key)
        target.marks = found

    def _unmark(self, target: Target) -> None:
        for mark in target.marks:
            marked = self._marked.get(mark, set())
            marked.discard(target.key)
            if not marked:
                self._marked.pop(mark, None)


def _is_member(queue: Queue, person: str, state: PersonState) -> bool:
    """Return whether a person takes calls of a queue now."""
    people = [devices.person for member in queue.members for devices in member.people]
    return person in people and queue.id not in state.left


def _key(customer: str, found: Destination, asker: str) -> str:
    """Return the name of a target in the store, or an empty text if it cannot be watched.

    A person has the id of its extension. Any other target has a hash, as its words come from outside.
    """
    match found:
        case Devices():
            words = ("number", found.number)
            if found.person:
                return found.person
        case Group() | Queue():
            return found.id
        case Feature() if found.kind in OWN_LAMPS:
            words = (f"feature {asker}", f"{found.kind} {found.argument}")
        case _:
            return ""
    data = "\n".join((customer, *words)).encode("utf-8", "replace")
    return blake2b(data, digest_size=TARGET_BYTES).hexdigest()


def is_own(phone: Phone, target: Target) -> bool:
    """Return whether a target is the person of the phone itself."""
    if phone.person and target.person:
        return phone.person == target.person
    return phone.id in target.view.watched.phones
