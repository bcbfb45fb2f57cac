"""Calls that a person has forwarded: at once, when busy, when not answered, or by a 3xx of the phone.

A call is forwarded at most five times, and never twice to the same person: then it ends with 482. It goes to
what the person could dial: a number of the same customer. Groups and queues do not come here: the wishes of
their members are not asked (rules.plan).
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Destination, Devices, Group, PersonState, Phone, Queue
from registrar.ports import People
from registrar.rules import redirection
from registrar.rules.diversion import MAX_HOPS, DiversionReason, Forward, after, at_once, diversion
from registrar.rules.forward import requires
from registrar.rules.routing import allowed
from registrar.rules.tokens import Target
from registrar.sip import Response

from ..answers import BUSY, NO_RELIABLE_RESPONSES, OFFLINE, Answer
from ..network import ServerRequest
from .destinations import Destinations
from .forwarding import Forwarder, Forwarding, Redirected
from .hunting import Hunts
from .new_dialog import NewDialogRequest

DND: Final = Answer(480, "Do Not Disturb", why="Request-URI: this person does not want to be disturbed")
LOOP: Final = Answer(482, why=f"Request-URI: forwarded in a circle, or more than {MAX_HOPS} times")
NOWHERE: Final = Answer(480, why="Request-URI: the call is forwarded to a number that does not exist")

STRANGER: Final = Answer(480, why=redirection.STRANGER)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Journey:
    """Where a call has been."""

    hops: int = 0
    visited: set[str] = field(default_factory=set)
    """The people, by the ids of their extensions."""
    said: tuple[tuple[str, str], ...] = ()
    """The Diversion headers, the newest first."""
    here: Target | None = None
    """The device that calls: it does not ring."""

    def left(self, person: Devices, domain: str, reason: DiversionReason) -> None:
        """Note that a person has forwarded the call."""
        self.hops += 1
        self.visited.add(person.person)
        self.said = (diversion(person.number, domain, reason, self.hops), *self.said)

    def may_go_to(self, destination: Destination) -> bool:
        """Return whether the call may be forwarded to a destination."""
        person = destination.person if isinstance(destination, Devices) else ""
        return self.hops <= MAX_HOPS and not (person and person in self.visited)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a call rings now."""

    destination: Devices | Group | Queue
    targets: list[list[Target]]
    """The devices, if the destination is Devices."""
    wishes: PersonState = field(default_factory=PersonState)


class Followers:
    """Finds out where calls go in the end, and follows those that are forwarded while they ring."""

    def __init__(
        self,
        destinations: Destinations,
        people: People,
        forwarder: Forwarder,
        hunts: Hunts,
        start_task: Callable[[Coroutine[None, None, None]], object],
        metrics: Metrics,
        *,
        seconds: float,
        secure_nodes: Callable[[], Collection[str]],
    ) -> None:
        """`seconds`: a call that was not answered for so long is forwarded."""
        self.destinations = destinations
        self.people = people
        self.forwarder = forwarder
        self.hunts = hunts
        self.start_task = start_task
        self.metrics = metrics
        self.seconds = seconds
        self.secure_nodes = secure_nodes

    async def arrive(
        self, caller: Phone, called: Devices, targets: list[list[Target]], journey: Journey
    ) -> Arrival | Answer:
        """Return where a call to a person rings, or the answer that ends it. Raises StoreUnavailable."""
        while True:
            wishes = await self._wishes(called)
            forward = at_once(wishes, has_devices=bool(targets))
            if forward is None:
                return DND if wishes.dnd else Arrival(called, targets, wishes)
            journey.left(called, caller.domain, forward.reason)
            destination, targets = await self.destinations.dialled(caller, forward.to, journey.here)
            if not journey.may_go_to(destination):
                return LOOP
            if isinstance(destination, Group | Queue):
                return Arrival(destination, [])
            if not isinstance(destination, Devices):
                return NOWHERE
            called = destination

    async def _wishes(self, called: Devices) -> PersonState:
        if not called.person:
            return PersonState()
        known = self.people.settings(called.person)
        if known is not None:
            return known
        try:
            (state,) = await self.people.states([called.person])
        except StoreUnavailable:  # a call is worth more than a wish that cannot be read
            return PersonState()
        return state

    def follows(
        self,
        incoming: ServerRequest,
        rewriter: NewDialogRequest,
        caller: Phone,
        called: Devices,
        journey: Journey,
    ) -> Redirected:
        """Return what follows a 3xx of the phones of a person that has forwarded nothing itself."""

        def redirected(forwarding: Forwarding, number: int, response: Response) -> str:
            follower = Follower(self, incoming, rewriter, caller, called, PersonState(), journey)
            follower.forwarding = forwarding
            return follower.deflect(forwarding, number, response)

        return redirected

    async def ring(
        self,
        incoming: ServerRequest,
        rewriter: NewDialogRequest,
        caller: Phone,
        called: Devices,
        wishes: PersonState,
        journey: Journey,
        targets: Sequence[Sequence[Target]],
    ) -> None:
        """Let a call ring at a person who has forwarded it for the case that it is not answered."""
        follower = Follower(self, incoming, rewriter, caller, called, wishes, journey)
        follower.forwarding = self.forwarder.open(incoming, rewriter, caller.id, follower)
        follower.forwarding.redirected = follower.deflect
        await follower.ring(called, wishes, targets)


@dataclass(slots=True, eq=False)
class Follower:
    """The forwarding of one call; implements rewriter.Plans."""

    followers: Followers
    incoming: ServerRequest
    rewriter: NewDialogRequest
    caller: Phone
    called: Devices
    """The person at whom it rings now."""
    wishes: PersonState
    journey: Journey
    forwarding: Forwarding = field(init=False)
    hides_ringing: bool = False
    _alive: set[int] = field(default_factory=set)
    """The branches that may still answer."""
    _statuses: set[int] = field(default_factory=set)
    """What the phones of this person have said."""
    _person_of: dict[int, str] = field(default_factory=dict)
    """Branch -> the person at whom it rings."""
    _on_line: set[str] = field(default_factory=set)
    """The people on whose line the call was put, besides the one that was called."""
    _timer: asyncio.TimerHandle | None = None
    _moves: bool = False
    """Whether the next destination is being looked for."""
    _is_over: bool = False

    async def ring(self, called: Devices, wishes: PersonState, targets: Sequence[Sequence[Target]]) -> None:
        """Ring at a person."""
        self.called, self.wishes, self._statuses = called, wishes, set()
        numbers = [self.forwarding.add(row) for row in targets]
        self._alive.update(numbers)
        for number in numbers:
            self.rewriter.rings_at(number, called, extra=self.journey.said)
            self._person_of[number] = called.person
        if called.person and self.journey.hops:
            self.followers.people.take_part(called.person, self.rewriter.call)
            self._on_line.add(called.person)
        if wishes.cfnr:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.followers.seconds, self._not_answered)
        for number in numbers:
            await self.forwarding.ring(number)

    # rewriter.Plans

    def rings(self, number: int) -> None:
        """See rewriter.Plans."""

    def failed(self, number: int, status: int) -> None:
        """See rewriter.Plans."""
        if number not in self._alive:
            return
        self._alive.discard(number)
        self._statuses.add(status)
        self._settle()

    def _settle(self) -> None:
        """Forward or end the call if no phone is left and nothing else is under way."""
        if self._alive or self._moves or self._is_over:
            return
        forward = after(self.wishes, self._statuses)
        if forward is None:
            self.forwarding.close()
        else:
            self._move([forward])

    def deflect(self, forwarding: Forwarding, number: int, response: Response) -> str:
        """Follow a 3xx to numbers that the person could dial; else return why it is not followed.

        See forwarding.Redirected.
        """
        users = self.followers.destinations.named_by(self.caller, response)
        if not users:
            return redirection.STRANGER if response.headers.all("contact") else redirection.NOWHERE
        if forwarding.plans is not self:
            self._alive.update(forwarding.pending)
            forwarding.hand_over(self)
            forwarding.redirected = self.deflect
        if self._moves or (forwarding.plans is self and number not in self._alive):
            return "Contact: the call is being forwarded already"
        self._alive.discard(number)
        self._move([Forward(user, DiversionReason.DEFLECTION) for user in users])
        return ""

    def over(self, number: int | None) -> None:
        """See rewriter.Plans."""
        self._is_over = True
        self._stop_waiting()
        winner = self._person_of.get(number, "") if number is not None else ""
        for person in self._on_line - {winner}:
            self.followers.people.ended(person, self.rewriter.call, talked=False)
        self._on_line.clear()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _not_answered(self) -> None:
        """Forward a call that has rung for long enough."""
        self._timer = None
        if self._is_over or self._moves:
            return
        for number in list(self._alive):
            self.forwarding.withdraw(number)
        self._alive.clear()
        self._move([Forward(self.wishes.cfnr, DiversionReason.NO_ANSWER)])

    def _move(self, forwards: Sequence[Forward]) -> None:
        self._moves = True
        self._stop_waiting()
        self.followers.start_task(self._go(forwards))

    async def _go(self, forwards: Sequence[Forward]) -> None:
        try:
            ended = LOOP
            journey, called = self.journey, self.called
            journey.left(called, self.caller.domain, forwards[0].reason)
            for forward in forwards:
                answer = await self._go_to(forward)
                if answer is None:
                    break
                ended = answer
            else:
                if not self._is_over and not self._alive:
                    self._give_up(ended)
        except StoreUnavailable:
            self.forwarding.end(BUSY.status, BUSY)
        except Exception:  # a bug of our own must not let the caller wait
            self.followers.metrics.unhandled.inc()
            log.exception("a call could not be forwarded")
            self.forwarding.end(500)
        finally:
            self._moves = False
        self._settle()

    def _give_up(self, answer: Answer) -> None:
        """End a call that can be forwarded no further: with the best of what phones have said, if any has."""
        if self._statuses:
            self.forwarding.close()
        else:
            self.forwarding.end(answer.status, answer)

    async def _go_to(self, forward: Forward) -> Answer | None:
        """Ring where a forwarding leads, and return None; or return why the call cannot go there."""
        followers, journey = self.followers, self.journey
        destination, targets = await followers.destinations.dialled(self.caller, forward.to, journey.here)
        if not journey.may_go_to(destination):
            return LOOP
        arrival: Arrival | Answer = STRANGER if forward.reason is DiversionReason.DEFLECTION else NOWHERE
        if isinstance(destination, Devices):
            arrival = await followers.arrive(self.caller, destination, targets, journey)
        elif isinstance(destination, Group | Queue):
            arrival = Arrival(destination, [])
        if isinstance(arrival, Answer):
            return arrival
        if self._is_over:
            return None
        is_secure = self.rewriter.is_secure
        if isinstance(arrival.destination, Group | Queue):
            if requires(self.incoming.request, "100rel"):
                return NO_RELIABLE_RESPONSES
            await followers.hunts.go_on(
                self.forwarding, self.incoming, self.rewriter, self.caller, arrival.destination
            )
            self.over(None)
            return None
        rows = allowed(arrival.targets, followers.secure_nodes(), is_secure=is_secure)
        if not rows:
            return OFFLINE
        await self.ring(arrival.destination, arrival.wishes, rows)
        return None
