"""Calls to groups and queues: each rings by a plan (rules.plan) until it is answered, or ends.

What is kept: one `Hunt` for each such call of this process, with its plan and its forwarding. The plan
decides, the hunt asks the stores and lets phones ring. People and places are shared with other nodes by
ports.People and ports.Waiting: a person who rings for one call is claimed, and a claim has an end, so that no
person is lost if this process dies.

A hunt looks again whenever something may have changed: a phone has refused, news of one of its people came,
a turn or window has ended, and at least once a second, so that a lost message costs a second. These races
exist:

- Two calls claim one person: the store gives it to one, the other looks again.
- The caller gives up, or a phone answers, while a claim is on its way: the hunt is over then, and gives the
  claim back.
- A phone answers while its window ends: its 200 crosses our CANCEL, and it has the call, because the caller
  still waits.
- A person stops ringing: its claim stands until all its phones have answered the CANCEL. Else the next call
  would come to a phone at which the INVITE of this one is still open, and the phone would say 486.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import ClaimResult, Devices, Group, Mono, Notice, Phone, Queue
from registrar.ports import Calls, Clock, DialPlan, People, Waiting
from registrar.rules.plan import DECLINED, Course, End, Offer, Plan, Seen, Step, Withdraw, course_of, is_free
from registrar.rules.routing import allowed

from ..answers import BUSY, Answer
from ..network import ServerRequest
from .forwarding import Forwarder, Forwarding
from .new_dialog import NewDialogRequest
from .staff import Member, Staff

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.05
"""How soon a call looks again after a claim that failed."""
REPEAT_SECONDS: Final = 55.0
"""A caller that hears nothing for a minute may give up (RFC 3261 section 13.3.1.1)."""
CLAIM_SECONDS: Final = 5.0
"""How much longer than its window a claim stands: its phone may answer in the last moment."""
IN_VAIN: Final = ("Reason", "SIP;cause=408")
FULL: Final = Answer(486, "Queue Full", why="Request-URI: too many calls wait there")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long calls wait, in seconds, and how many; docs/settings.md explains each."""

    group_seconds: float
    wait_seconds: float
    no_answer_seconds: float
    group_callers: int = 100
    queue_callers: int = 500
    devices: int = 100
    """The most devices that ring at once for one call."""

    def callers(self, place: str) -> int:
        """Return how many calls may wait at a place."""
        return self.group_callers if place.startswith("group:") else self.queue_callers


class Hunts:
    """The calls of this process that ring at groups and queues."""

    def __init__(
        self,
        dial_plan: DialPlan,
        people: People,
        waiting: Waiting,
        calls: Calls,
        staff: Staff,
        forwarder: Forwarder,
        start_task: Callable[[Coroutine[None, None, None]], object],
        clock: Clock,
        mono: Callable[[], Mono],
        metrics: Metrics,
        patience: Patience,
        *,
        secure_nodes: Callable[[], Collection[str]],
    ) -> None:
        self.dial_plan = dial_plan
        self.people = people
        self.waiting = waiting
        self.calls = calls
        self.staff = staff
        self.forwarder = forwarder
        self.clock = clock
        self.mono = mono
        self.patience = patience
        self.secure_nodes = secure_nodes
        self._start_task = start_task
        self._metrics = metrics
        self._hunts: dict[str, Hunt] = {}
        metrics.hunts_open.set_function(lambda: len(self._hunts))
        self._by_person: dict[str, set[str]] = defaultdict(set)

    async def begin(
        self,
        incoming: ServerRequest,
        rewriter: NewDialogRequest,
        caller: Phone,
        called: Group | Queue,
        *,
        is_secure: bool,
    ) -> None:
        """Let a call ring at a group or queue; answer 486 or 503 if it cannot even wait there."""
        course = course_of(called, caller.person, self.patience.group_seconds)
        position = 0
        if course.place:
            try:
                await self.waiting.enter(course.place, rewriter.call, "0")
                waiters = await self.staff.waiters(course.place, rewriter.call)
            except StoreUnavailable:
                self.waiting.leave(course.place, rewriter.call)  # it may have been added
                incoming.reply(BUSY)
                return
            if len(waiters) > self.patience.callers(course.place):
                self._metrics.hunt_limits("callers")
                self.waiting.leave(course.place, rewriter.call)
                incoming.reply(FULL)
                return
            position = len(waiters)
        hunt = self._hunt(course, incoming, rewriter, caller, called, is_secure=is_secure)
        hunt.note("queue-joined", position=position)
        hunt.forwarding = self.forwarder.open(incoming, rewriter, caller.id, hunt)
        self._begin(hunt)

    async def go_on(
        self,
        forwarding: Forwarding,
        incoming: ServerRequest,
        rewriter: NewDialogRequest,
        caller: Phone,
        called: Group | Queue,
    ) -> None:
        """Let a call that a person has forwarded ring at a group or queue. Raises StoreUnavailable."""
        course = course_of(called, caller.person, self.patience.group_seconds)
        if course.place:
            await self.waiting.enter(course.place, rewriter.call, "0")
            waiters = await self.staff.waiters(course.place, rewriter.call)
            if len(waiters) > self.patience.callers(course.place):
                self._metrics.hunt_limits("callers")
                self.waiting.leave(course.place, rewriter.call)
                forwarding.end(FULL.status, FULL)
                return
        hunt = self._hunt(course, incoming, rewriter, caller, called, is_secure=rewriter.is_secure)
        hunt.forwarding = forwarding
        hunt.note("queue-joined")
        rewriter.goes_to(called)
        forwarding.hand_over(hunt)
        if forwarding.fork.over:
            hunt.over(None)
        self._begin(hunt)

    def _hunt(
        self,
        course: Course,
        incoming: ServerRequest,
        rewriter: NewDialogRequest,
        caller: Phone,
        called: Group | Queue,
        *,
        is_secure: bool,
    ) -> "Hunt":
        plan = Plan(course, rewriter.call, self.mono(), self.patience.wait_seconds)
        return Hunt(self, incoming, rewriter, caller, called, plan, is_secure)

    def _begin(self, hunt: "Hunt") -> None:
        self._hunts[hunt.plan.call] = hunt
        self._follow(hunt)
        self._start_task(self._run(hunt))

    def limited(self, limit: str) -> None:
        """Count that a limit has taken effect."""
        self._metrics.hunt_limits(limit)

    def news(self, person: str) -> None:
        """Look again at what waits for a person: it is free, has joined a queue, or has other wishes."""
        self.staff.forget(person)
        for call in self._by_person.get(person, ()):
            self._hunts[call].wake()

    def changed(self, customer: str) -> None:
        """Look again at the calls of a customer, or of all: its dial plan may have changed."""
        for hunt in self._hunts.values():
            if not customer or hunt.caller.customer == customer:
                hunt.wake()

    def _follow(self, hunt: "Hunt") -> None:
        """Wake a hunt by news of the people of its course from now on."""
        self._forget(hunt)
        for window in hunt.plan.course.windows:
            for one in window.people:
                hunt.followed.add(one.person)
                self._by_person[one.person].add(hunt.plan.call)

    def _forget(self, hunt: "Hunt") -> None:
        for person in hunt.followed:
            calls = self._by_person.get(person)
            if calls is not None:
                calls.discard(hunt.plan.call)
                if not calls:
                    del self._by_person[person]
        hunt.followed.clear()

    async def _run(self, hunt: "Hunt") -> None:
        try:
            while not hunt.is_over:
                if await hunt.reread():
                    self._follow(hunt)
                await hunt.look()
                await hunt.rest()
        except Exception:  # a bug of our own must not let phones ring, or the caller wait
            self._metrics.unhandled.inc()
            log.exception("a call to a group or queue could not go on")
            hunt.leaves = "failed"
            hunt.forwarding.end(500)
        finally:
            del self._hunts[hunt.plan.call]
            self._forget(hunt)


@dataclass(slots=True, eq=False)
class Hunt:
    """One call to a group or queue; implements rewriter.Plans."""

    hunts: Hunts
    incoming: ServerRequest
    rewriter: NewDialogRequest
    caller: Phone
    called: Group | Queue
    plan: Plan
    is_secure: bool
    forwarding: Forwarding = field(init=False)
    hides_ringing: bool = True
    is_over: bool = False
    leaves: str = "abandoned"
    """Why it leaves its place, unless it is answered."""
    followed: set[str] = field(default_factory=set)
    """The people by whose news it is woken."""
    _person_of: dict[int, str] = field(default_factory=dict)
    """Branch -> the person at whom it rings."""
    _ringing: dict[str, set[int]] = field(default_factory=dict)
    """Person -> its branches that still ring."""
    _declined: set[str] = field(default_factory=set)
    """The people one of whose phones has refused the call."""
    _claimed: dict[str, bool] = field(default_factory=dict)
    """Person -> whether by a claim; else it only takes part."""
    _open: dict[str, int] = field(default_factory=dict)
    """Person -> the number of its phones at which our INVITE is still open."""
    _leaving: set[str] = field(default_factory=set)
    """The people who are given back as soon as none is."""
    _is_heard: bool = False
    """Whether a phone has said that it rings."""
    _said: int = 0
    """The last provisional status that the caller got from here, and when."""
    _said_at: float = 0.0
    _stage: str = "0"
    _rank: int = 0
    _position: int = 0
    """The place of the call among those that wait, from 1."""
    _lost_claim: bool = False
    """Whether another call has claimed one of the people to whom this one was to go."""
    _free_at: float = 0.0
    """When the first wrap-up time of a person ends; 0: none runs."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    # rewriter.Plans

    def rings(self, number: int) -> None:
        """See rewriter.Plans."""
        if self._person_of.get(number) in self._ringing:
            self._is_heard = True
            self._say()

    def failed(self, number: int, status: int) -> None:
        """See rewriter.Plans."""
        person = self._person_of.get(number, "")
        branches = self._ringing.get(person)
        if branches is None:
            return
        branches.discard(number)
        if status in DECLINED:
            self._declined.add(person)
        if branches:
            return
        del self._ringing[person]
        self.plan.failed(person, 486 if person in self._declined else status)
        self._declined.discard(person)
        self._release(person)
        self.wake()

    def over(self, number: int | None) -> None:
        """See rewriter.Plans."""
        winner = self._person_of.get(number, "") if number is not None else ""
        self._ringing.clear()
        self._claimed.pop(winner, None)  # the table of calls has noted the answer
        for person in list(self._claimed):
            self._release(person)
        if not self.is_over and self.plan.course.place:
            self.hunts.waiting.leave(self.plan.course.place, self.plan.call)
            if number is not None:
                self.note("queue-answered", winner)
            self.note("queue-left", winner, "answered" if number is not None else self.leaves)
        self.is_over = True
        self.wake()

    def note(self, event: str, person: str = "", reason: str = "", position: int = 0) -> None:
        """Write an event of the place where the call waits, if it waits anywhere."""
        hunts, course, caller = self.hunts, self.plan.course, self.caller
        if not course.place:
            return
        people = (one for window in course.windows for one in window.people)
        notice = Notice(
            event, hunts.clock(), reason, caller.customer, caller.id, self.plan.call, caller.extension,
            callee=next((one.number for one in people if one.person == person), "") if person else "",
            via=course.number, place=course.place, person=person, position=position or self._position,
            waited=hunts.mono() - self.plan.begun,
        )  # fmt: skip
        hunts.calls.note(notice)

    # The loop

    def wake(self) -> None:
        """Look again at once."""
        self._woken.set()

    async def rest(self) -> None:
        """Wait until something may have changed."""
        if self.is_over:
            return
        now = self.hunts.mono()
        ends = min(now + LOOK_SECONDS, self.plan.next_at(now))
        if self._free_at:
            ends = min(ends, now + max(self._free_at - self.hunts.clock(), 0.01))
        if self._lost_claim:
            ends = min(ends, now + RETRY_SECONDS)
        try:
            async with asyncio.timeout(max(ends - now, 0.01)):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def reread(self) -> bool:
        """Follow the configuration; return whether the course of the call has changed."""
        word = self.called.number
        try:
            called = await self.hunts.dial_plan.called(self.caller.customer, word)
        except StoreUnavailable:
            return False
        if called is self.called or called == self.called:
            return False
        if not isinstance(called, Group | Queue) or called.id != self.called.id:
            self._perform_end(End(480))
            return False
        self.called = called
        course = course_of(called, self.caller.person, self.hunts.patience.group_seconds)
        await self._perform(self.plan.follow(self._same_place(course)), {})
        return True

    def _same_place(self, course: Course) -> Course:
        """Return the course with the place where the call waits already, if it waits anywhere."""
        mine = self.plan.course
        return Course(mine.place, course.number, course.name, course.windows, course.repeats)

    async def look(self) -> None:
        """Ask the plan what to do now, and do it."""
        hunts, plan = self.hunts, self.plan
        self._lost_claim = False
        for _ in range(len(plan.course.windows) + 1):  # several windows may end at once
            if self.is_over or not plan.course.windows:
                break
            window, opened = plan.window, plan.opened
            members = await hunts.staff.look(window.people)
            await self._find_turn()
            seen = {person: member.seen for person, member in members.items()}
            self._note_free_at(seen)
            await self._perform(plan.look(hunts.mono(), hunts.clock(), seen, self._rank), members)
            if plan.opened == opened:
                break
        if not plan.course.windows:
            self._perform_end(End(480))
        if not self.is_over and not self._woken.is_set():  # else look again before the caller hears anything
            self._note_stage()
            self._say()

    def _note_free_at(self, seen: dict[str, Seen]) -> None:
        clock = self.hunts.clock()
        ends = [one.state.wrap_until for one in seen.values() if one.state.wrap_until > clock]
        self._free_at = min(ends, default=0.0)

    async def _find_turn(self) -> None:
        """Find how many calls at this stage wait longer and ring at no one."""
        place, call = self.plan.course.place, self.plan.call
        if not place:
            return
        try:
            waiters = await self.hunts.staff.waiters(place, call)
        except StoreUnavailable:
            return  # go on with what was known
        rank = position = 0
        stage = self.plan.window.stage
        for waiter in waiters:
            position += 1
            if waiter.call == call:
                break
            rank += waiter.stage == stage
        self._rank, self._position = rank, position

    def _note_stage(self) -> None:
        """Let the other calls know at which stage this one waits, or that it rings."""
        if not self.plan.course.place:
            return
        stage = self.plan.window.stage + ("*" if self._ringing else "")
        if stage != self._stage:
            self._stage = stage
            self.hunts.waiting.move(self.plan.course.place, self.plan.call, stage)

    # Steps

    async def _perform(self, steps: Sequence[Step], members: dict[str, Member]) -> None:
        for step in steps:
            if self._is_at_end():
                return
            if isinstance(step, Offer):
                await self._offer(step, members)
            elif isinstance(step, Withdraw):
                self._withdraw(step.person)
            else:
                self._perform_end(step)

    async def _offer(self, step: Offer, members: dict[str, Member]) -> None:
        """Claim the people, and let their phones ring."""
        window, people = self.plan.window, step.people
        if step.rivals and not await self._are_free((*step.rivals, *people)):
            self._lost_claim = True
            return
        ids = [one.person for one in people]
        verdicts = [ClaimResult.OK] * len(ids)
        if window.is_exclusive:
            seconds = window.seconds + CLAIM_SECONDS
            try:
                verdicts = await self.hunts.people.claim(ids, self.plan.call, seconds, exclusive=True)
            except StoreUnavailable:
                log.debug("people ring without a claim: the store is away")
        started = []
        for one, verdict in zip(people, verdicts, strict=True):
            if verdict is not ClaimResult.OK:
                self.hunts.staff.forget(one.person)
                self._lost_claim = True
                continue
            self._claimed[one.person] = window.is_exclusive
            if self._is_at_end():  # the caller gave up while the claim was on its way
                self._release(one.person)
                continue
            if not window.is_exclusive:
                self.hunts.people.take_part(one.person, self.plan.call)
            started += self._add(one, members[one.person], window.caller_name)
        for number in started:
            await self.forwarding.ring(number)

    async def _are_free(self, people: Sequence[Devices]) -> bool:
        """Return whether all of these people are free now."""
        window, clock = self.plan.window, self.hunts.clock()
        members = await self.hunts.staff.look_again(people)
        return all(is_free(window, one.seen, self.plan.call, clock) for one in members.values())

    def _is_at_end(self) -> bool:
        """Return whether the hunt is over: a method, because that changes while something is awaited."""
        return self.is_over

    def _add(self, one: Devices, member: Member, form: str) -> list[int]:
        """Add a branch for each device of a person, and return their numbers."""
        room = self.hunts.patience.devices - sum(map(len, self._ringing.values()))
        targets = allowed(member.targets, self.hunts.secure_nodes(), is_secure=self.is_secure)
        if len(targets) > room:
            self.hunts.limited("devices")
            targets = targets[:room]
        numbers = [self.forwarding.add(row, partial(self._ended, one.person)) for row in targets]
        if not numbers:
            self.plan.failed(one.person, 480)
            self._release(one.person)
            return []
        self.plan.offered(one.person, self.hunts.mono())
        self._ringing[one.person] = set(numbers)
        self.note("queue-offered", one.person)
        self._open[one.person] = self._open.get(one.person, 0) + len(numbers)
        for number in numbers:
            self._person_of[number] = one.person
            self.rewriter.rings_at(number, one, form)
        return numbers

    def _withdraw(self, person: str) -> None:
        for number in self._ringing.pop(person, ()):
            self.forwarding.withdraw(number)
        self._declined.discard(person)
        self._release(person)

    def _ended(self, person: str) -> None:
        """Note that our INVITE is no longer open at one of the phones of a person."""
        self._open[person] -= 1
        if not self._open[person]:
            del self._open[person]
            if person in self._leaving:
                self._leaving.discard(person)
                self._release(person)

    def _release(self, person: str) -> None:
        """Give a person back, as soon as our INVITE is not open at any of its phones."""
        if person not in self._claimed:
            return
        if person in self._open:
            self._leaving.add(person)
            return
        if self._claimed.pop(person):
            self.hunts.people.release(person, self.plan.call)
        else:
            self.hunts.people.ended(person, self.plan.call, talked=False)

    def _perform_end(self, step: End) -> None:
        if self.is_over:
            return
        self.leaves = "timeout" if step.in_vain else "failed"
        if step.in_vain:
            self.forwarding.end(step.status, Answer(step.status, "Nobody Available", (IN_VAIN,)))
        else:
            self.forwarding.end(step.status)

    # What the caller hears

    def _say(self) -> None:
        """Tell the caller that a phone rings, or that it waits; say it again each 55 s."""
        if self.is_over or (self._ringing and not self._is_heard):
            return
        if not self._ringing:
            self._is_heard = False
        status = 180 if self._ringing else 182
        now = self.hunts.mono()
        if status == self._said and now - self._said_at < REPEAT_SECONDS:
            return
        self._said, self._said_at = status, now
        if status == 180:
            self.incoming.reply(Answer(180, headers=(self.rewriter.asserted_group(),)))
        else:
            text = f"Queued, Position {self._position}" if self._position else "Queued"
            self.incoming.reply(Answer(182, text))
