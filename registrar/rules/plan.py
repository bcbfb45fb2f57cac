"""The plan of a call to a group or queue: who rings when, and when it ends. Time is an argument.

A *course* is what the configuration says: windows, one after the other. A *plan* is one call on its way
through a course. In each window some people ring, all at once or one after the other. The caller of this
module tells it what it knows of the people (`Seen`), performs the steps, and reports who has refused.

What is decided here, and why:

- A person who refuses, or whose phones fail, is out until the window ends: a call that comes back at once is
  a nuisance, and a 603 of one member says nothing about the others.
- A window of a queue lasts its time, also if all its people are busy: else many attempts were over in no
  time. It ends at once if no one could become free: all are away, on DND, or have left the queue. If people
  ring one after the other, it ends when each has had a turn; but the same people ring again only after its
  time.
- A window of a group ends as soon as no member is left who could ring.
- A call may ring only those who are left by the calls before it: `rank` is the number of calls that wait
  longer at the same stage and ring at no one. So the order of arrival is kept without a lock between nodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from registrar.model import Devices, Epoch, Group, Mono, PersonState, Queue, Strategy

PAUSE_SECONDS: Final = 3.0
"""Between two windows of a group with `ringRetry`, if the first one ended before its time."""
_ZERO: Final = Mono(0.0)
DECLINED: Final = frozenset({486, 600, 603})
"""The answers of a phone whose user does not want the call now."""


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a course: these people ring for this time."""

    stage: str
    """Names the window among those of its course."""
    people: tuple[Devices, ...]
    seconds: float
    """Its length; if people ring one after the other, the time for each."""
    strategy: Strategy = Strategy.ALL
    is_exclusive: bool = False
    """Whether a person rings for one call at a time, and not while in a call."""
    lasts: bool = False
    """Whether it lasts its time although no one can ring now."""
    caller_name: str = ""
    """The format of the caller's name (rules.caller_name); empty: as it is."""
    queue: str = ""
    """The queue that people may have left; empty for a group."""


@dataclass(frozen=True, slots=True)
class Course:
    """What the configuration says about calls to a group or queue."""

    place: str
    """Where calls wait for their turn (ports.Waiting); empty if they never do."""
    number: str
    name: str
    windows: tuple[Window, ...]
    repeats: bool = False
    """Whether it begins again after the last window."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a person now."""

    state: PersonState
    has_devices: bool


ABSENT: Final = Seen(PersonState(), has_devices=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """A step: claim these people, and let the phones of each one ring whose claim succeeds."""

    people: tuple[Devices, ...]
    rivals: tuple[Devices, ...] = ()
    """People who are left for the calls before this one. They may have been claimed since they were read. So
    read all of these people again, and do nothing if one of them is no longer free."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A step: let the phones of this person stop ringing."""

    person: str


@dataclass(frozen=True, slots=True)
class End:
    """A step: end the call with this status."""

    status: int
    in_vain: bool = False
    """Whether the time has passed without an answer."""


Step = Offer | Withdraw | End


def course_of(destination: Group | Queue, caller: str, group_seconds: float) -> Course:
    """Return the course of a destination for a call of the person `caller`, who does not ring."""

    def others(people: Sequence[Devices]) -> tuple[Devices, ...]:
        return tuple(one for one in people if one.person and one.person != caller)

    if isinstance(destination, Group):
        group = destination
        window = Window(
            "0", others(group.people), group_seconds,
            is_exclusive=group.is_exclusive, caller_name=group.caller_name,
        )  # fmt: skip
        place = f"group:{group.id}" if group.is_exclusive else ""
        return Course(place, group.number, group.name, (window,), group.retries)
    queue = destination
    windows = []
    for number, member in enumerate(queue.members):
        window = Window(
            str(number),
            others(member.people),
            member.seconds,
            member.strategy,
            is_exclusive=True,
            lasts=True,
            caller_name=queue.caller_name or member.caller_name,
            queue=queue.id,
        )
        windows += [window] * max(1, member.attempts)
    return Course(f"queue:{queue.id}", queue.number, queue.name, tuple(windows))


def is_reachable(window: Window, seen: Seen) -> bool:
    """Return whether a person rings in this window as soon as it is free."""
    return seen.has_devices and not seen.state.dnd and window.queue not in seen.state.left


def is_free(window: Window, seen: Seen, call: str, now: Epoch) -> bool:
    """Return whether a person may ring now for `call`; the claim decides in the end."""
    if not is_reachable(window, seen):
        return False
    return not window.is_exclusive or _is_idle(seen.state, call, now)


def _is_idle(state: PersonState, call: str, now: Epoch) -> bool:
    """Return whether a person has no other call, and no wrap-up time."""
    if state.calls and any(one != call for one in state.calls):
        return False
    return state.claimed_by in ("", call) and state.wrap_until <= now


@dataclass(slots=True)
class Plan:
    """One call on its way through a course."""

    course: Course
    call: str
    begun: Mono
    limit: float
    """The longest time that the caller waits, in seconds."""
    index: int = 0
    """The window that is open."""
    opened: int = 0
    """How many windows were opened after the first one."""
    ringing: dict[str, Mono] = field(default_factory=dict)
    """The people who ring -> since when."""
    _opened: Mono = _ZERO
    """When the window was opened."""
    _out: set[str] = field(default_factory=set)
    """Those who have refused, or have had their turn, in this window."""
    _had_turn: bool = False
    _declined: bool = False
    """Whether a phone was busy, or its user said no, in this window."""
    _waits_until: Mono = _ZERO
    """The end of a pause between two windows."""

    def __post_init__(self) -> None:
        self._opened = self.begun

    @property
    def window(self) -> Window:
        """Return the window that is open."""
        return self.course.windows[self.index]

    def look(self, now: Mono, clock: Epoch, seen: Mapping[str, Seen], rank: int) -> list[Step]:
        """Return what to do now. `seen` has the people of the window; `rank` is told above.

        Look again at once if this opens another window (`opened`): `seen` may lack its people.
        """
        if not self.course.windows:
            return [End(480)]
        if now >= self.begun + self.limit:
            return [*self._withdraw_all(), End(480, in_vain=True)]
        if now < self._waits_until:
            return []
        window = self.window
        reachable, free = self._sort(window, clock, seen)
        steps: list[Step] = self._turns_that_end(window, now)
        if self._is_over(window, now, reachable, free):
            busy = self._declined or any(person not in self._out for person in reachable)
            return steps + self._withdraw_all() + self._next(window, now, busy=busy)
        if not free or (window.strategy is Strategy.ALL and rank and window.is_exclusive):
            return steps
        if window.strategy is Strategy.ALL:
            return [*steps, Offer(tuple(free))]
        if self.ringing or len(free) <= rank:
            return steps
        free.sort(key=lambda one: _idle(one, seen))
        return [*steps, Offer((free[rank],), tuple(free[:rank]))]

    def offered(self, person: str, now: Mono) -> None:
        """Note that the phones of a person ring now."""
        self.ringing[person] = now
        self._had_turn = True

    def failed(self, person: str, status: int) -> None:
        """Note that all phones of a person have ended without success, the best with this status."""
        self.ringing.pop(person, None)
        self._out.add(person)
        self._declined = self._declined or status in DECLINED

    def follow(self, course: Course) -> list[Step]:
        """Go on by a changed configuration: people who are no more in the window stop ringing."""
        self.course = course
        self.index = min(self.index, max(len(course.windows) - 1, 0))
        people = {one.person for one in self.window.people} if course.windows else set()
        gone = [person for person in self.ringing if person not in people]
        for person in gone:
            del self.ringing[person]
        return [Withdraw(person) for person in gone]

    def next_at(self, now: Mono) -> Mono:
        """Return when something ends by time, if nothing happens before."""
        if now < self._waits_until:
            return self._waits_until
        window = self.window
        ends = [Mono(self.begun + self.limit), Mono(self._opened + window.seconds)]
        if window.strategy is Strategy.LONGEST_IDLE:
            ends += [Mono(since + window.seconds) for since in self.ringing.values()]
        return min((end for end in ends if end > now), default=now)

    def _sort(
        self, window: Window, clock: Epoch, seen: Mapping[str, Seen]
    ) -> tuple[list[str], list[Devices]]:
        """Return the people who are reachable, and those of them who may ring now."""
        reachable, free = [], []
        for one in window.people:
            person = one.person
            about = seen.get(person, ABSENT)
            if not is_reachable(window, about):
                continue
            reachable.append(person)
            if person in self._out or person in self.ringing:
                continue
            if not window.is_exclusive or _is_idle(about.state, self.call, clock):
                free.append(one)
        return reachable, free

    def _turns_that_end(self, window: Window, now: Mono) -> list[Step]:
        """End the turn of a person who has rung alone for long enough."""
        if window.strategy is not Strategy.LONGEST_IDLE:
            return []
        over = [person for person, since in self.ringing.items() if now >= since + window.seconds]
        for person in over:
            del self.ringing[person]
            self._out.add(person)
        return [Withdraw(person) for person in over]

    def _is_over(self, window: Window, now: Mono, reachable: list[str], free: list[Devices]) -> bool:
        is_late = now >= self._opened + window.seconds
        if window.strategy is Strategy.LONGEST_IDLE:
            if self.ringing:
                return False
            if not reachable:
                return True
            if not self._had_turn:
                return is_late
            is_each_out = all(person in self._out for person in reachable)
            return not free and (is_late or is_each_out)
        if is_late:
            return True
        if self.ringing:
            return False
        return not reachable if window.lasts else all(person in self._out for person in reachable)

    def _next(self, window: Window, now: Mono, *, busy: bool) -> list[Step]:
        """Open the next window, or end the plan."""
        ends = Mono(self._opened + window.seconds)
        in_time = now < ends
        by_turns = window.strategy is Strategy.LONGEST_IDLE and self._had_turn
        self._opened = now if in_time or by_turns else ends
        self._out.clear()
        self._had_turn = self._declined = False
        self.opened += 1
        self.index += 1
        if self.index < len(self.course.windows):
            if by_turns and in_time and self.window.stage == window.stage:
                self._opened = self._waits_until = ends
            return []
        if not self.course.repeats:
            self.index -= 1
            if in_time and not window.lasts:
                return [End(486 if busy else 480)]
            return [End(480, in_vain=True)]
        self.index = 0
        if in_time:
            self._opened = self._waits_until = Mono(now + PAUSE_SECONDS)
        return []

    def _withdraw_all(self) -> list[Step]:
        steps: list[Step] = [Withdraw(person) for person in self.ringing]
        self.ringing.clear()
        return steps


def _idle(one: Devices, seen: Mapping[str, Seen]) -> tuple[float, float, str]:
    """Return the sort key of people by idle time: the longest first, who never talked before all others."""
    state = seen[one.person].state
    return state.last_end, state.last_offer, one.number
