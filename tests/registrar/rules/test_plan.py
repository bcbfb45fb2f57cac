"""rules/plan.py: who rings when in groups and queues. Time is counted in seconds from the INVITE."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from registrar.model import Devices, Epoch, Group, Mono, PersonState, Queue, QueueMember, Strategy
from registrar.rules.plan import Course, End, Offer, Plan, Seen, Step, Withdraw, course_of

CALL, CLOCK = "c1", Epoch(1_000_000.0)
FREE = PersonState()
BUSY = PersonState(calls=("other",))
ANN, BOB, CAT, DAN = (Devices(number, number, person=f"p{number}") for number in ("201", "202", "203", "204"))
PEOPLE = (ANN, BOB, CAT)


def group(people: tuple[Devices, ...] = PEOPLE, **more: Any) -> Group:
    return Group("g", "600", "Sales", people, **more)


def member(
    *people: Devices, attempts: int = 1, seconds: int = 3, strategy: Strategy = Strategy.ALL
) -> QueueMember:
    return QueueMember(people, strategy, attempts, seconds)


def queue(*members: QueueMember) -> Queue:
    return Queue("q", "700", "Support", members)


@dataclass
class Calling:
    """One call on its way, and all that it did: `(second, what)`."""

    called: Group | Queue
    caller: str = "p200"
    limit: float = 900
    states: dict[str, PersonState] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    rank: int = 0
    claims: bool = True
    now: float = 0.0
    log: list[tuple[float, str]] = field(default_factory=list)
    ended: End | None = None

    def __post_init__(self) -> None:
        course = course_of(self.called, self.caller, 60)
        self.plan = Plan(course, CALL, Mono(0.0), self.limit)
        self.look()

    def look(self) -> None:
        """Look as often as another window opens, as a hunt does."""
        for _ in range(50):
            opened = self.plan.opened
            steps = self.plan.look(Mono(self.now), Epoch(CLOCK + self.now), self._seen(), self.rank)
            for step in steps:
                self._perform(step)
            if self.ended or self.plan.opened == opened:
                return

    def _seen(self) -> dict[str, Seen]:
        return {
            one.person: Seen(self.states.get(one.person, FREE), one.person not in self.away)
            for one in (*PEOPLE, DAN)
        }

    def _perform(self, step: Step) -> None:
        if isinstance(step, End):
            self.ended = step
            self.log.append((self.now, f"end {step.status}"))
        elif isinstance(step, Withdraw):
            self.log.append((self.now, f"-{step.person}"))
        else:
            for one in step.people:
                self.log.append((self.now, f"+{one.person}"))
                if self.claims:
                    self.plan.offered(one.person, Mono(self.now))

    def until(self, end: float) -> None:
        """Time passes as it does for a hunt: until the next moment that counts, at most a second."""
        while self.now < end and self.ended is None:
            self.now = min(self.now + 1, end, max(self.plan.next_at(Mono(self.now)), self.now + 0.01))
            self.look()

    def refuse(self, *people: Devices, status: int = 486) -> None:
        for one in people:
            self.plan.failed(one.person, status)
        self.look()

    @property
    def ringing(self) -> set[str]:
        return set(self.plan.ringing)


# Groups


def test_all_members_of_a_group_ring_at_once_and_for_a_window() -> None:
    call = Calling(group())
    assert call.ringing == {"p201", "p202", "p203"}
    call.until(100)
    assert call.now == 60
    assert call.log[3:] == [(60, "-p201"), (60, "-p202"), (60, "-p203"), (60, "end 480")]
    assert call.ended == End(480, in_vain=True)


def test_the_caller_and_all_without_an_extension_do_not_ring() -> None:
    call = Calling(group((*PEOPLE, Devices("x", "x"))), caller="p201")
    assert call.ringing == {"p202", "p203"}


@pytest.mark.parametrize(
    ("statuses", "end"), [((486, 486, 486), 486), ((603, 480, 404), 486), ((480, 404, 503), 480)]
)
def test_a_group_that_has_refused_ends_at_once(statuses: tuple[int, ...], end: int) -> None:
    call = Calling(group())
    call.now = 5
    for one, status in zip(PEOPLE, statuses, strict=True):
        assert call.ended is None
        call.refuse(one, status=status)
    assert call.ended == End(end)


def test_a_refusal_is_of_one_member_alone() -> None:
    call = Calling(group())
    call.refuse(ANN, status=603)
    assert call.ringing == {"p202", "p203"}
    call.until(30)
    assert call.ringing == {"p202", "p203"}, "who refused is out until the window ends"


def test_a_group_without_a_phone_ends_at_once() -> None:
    call = Calling(group(), away={"p201", "p202", "p203"})
    assert call.log == [(0, "end 480")]


def test_dnd_is_skipped() -> None:
    call = Calling(group(), states={"p201": PersonState(dnd=True)})
    assert call.ringing == {"p202", "p203"}


def test_a_busy_member_of_a_plain_group_rings() -> None:
    call = Calling(group(), states={"p201": BUSY})
    assert "p201" in call.ringing


def test_who_registers_late_rings_too() -> None:
    call = Calling(group(), away={"p203"})
    call.until(10)
    assert call.ringing == {"p201", "p202"}
    call.away.clear()
    call.until(11)
    assert call.ringing == {"p201", "p202", "p203"}


def test_ring_retry_begins_again_until_the_limit() -> None:
    call = Calling(group((ANN,), retries=True), limit=150)
    call.until(200)
    assert [row for row in call.log if row[1] == "+p201"] == [(0, "+p201"), (60, "+p201"), (120, "+p201")]
    assert (call.log[-1], call.ended) == ((150, "end 480"), End(480, in_vain=True))


def test_ring_retry_waits_three_seconds_after_all_have_refused() -> None:
    call = Calling(group((ANN,), retries=True))
    for begin in (0, 3, 6):
        call.until(begin)
        assert call.log[-1] == (begin, "+p201")
        call.refuse(ANN)
    assert call.ended is None


def test_an_exclusive_group_waits_for_a_member_in_a_call() -> None:
    call = Calling(group((ANN,), is_exclusive=True), states={"p201": BUSY})
    assert (call.log, call.ended) == ([], None)
    call.until(10)
    call.states.clear()
    call.until(11)
    assert call.ringing == {"p201"}


@pytest.mark.parametrize(
    "state",
    [BUSY, PersonState(claimed_by="other"), PersonState(wrap_until=CLOCK + 5)],
    ids=["in a call", "claimed", "wrap-up"],
)
def test_who_is_not_free_for_an_exclusive_group(state: PersonState) -> None:
    call = Calling(group(is_exclusive=True), states={"p201": state})
    assert call.ringing == {"p202", "p203"}


def test_the_own_claim_and_call_are_no_obstacle() -> None:
    call = Calling(
        group((ANN,), is_exclusive=True), states={"p201": PersonState(calls=(CALL,), claimed_by=CALL)}
    )
    assert call.ringing == {"p201"}


def test_who_waits_behind_others_rings_at_no_one() -> None:
    call = Calling(group(is_exclusive=True), rank=1)
    assert call.log == []
    call.rank = 0
    call.until(1)
    assert call.ringing == {"p201", "p202", "p203"}


def test_a_claim_that_failed_is_no_ringing() -> None:
    call = Calling(group((ANN,), is_exclusive=True), claims=False)
    assert call.ringing == set()
    call.until(2)
    assert call.log == [(0, "+p201"), (1, "+p201"), (2, "+p201")]


# Queues


def sales_and_support(**more: Any) -> Calling:
    return Calling(queue(member(ANN, BOB, attempts=2), member(CAT)), **more)


def test_a_queue_goes_from_member_to_member() -> None:
    call = sales_and_support()
    call.until(60)
    assert call.log == [
        (0, "+p201"), (0, "+p202"), (3, "-p201"), (3, "-p202"),
        (3, "+p201"), (3, "+p202"), (6, "-p201"), (6, "-p202"),
        (6, "+p203"), (9, "-p203"), (9, "end 480"),
    ]  # fmt: skip
    assert call.ended == End(480, in_vain=True)


def test_an_attempt_lasts_its_time_while_all_are_busy() -> None:
    call = sales_and_support(states={"p201": BUSY, "p202": BUSY})
    call.until(60)
    assert call.log == [(6, "+p203"), (9, "-p203"), (9, "end 480")]


def test_an_attempt_lasts_its_time_after_all_have_refused() -> None:
    call = sales_and_support()
    call.refuse(ANN, BOB)
    call.until(4)
    assert call.log == [(0, "+p201"), (0, "+p202"), (3, "+p201"), (3, "+p202")]


def test_members_who_are_away_are_skipped_at_once() -> None:
    call = sales_and_support(away={"p201", "p202"})
    assert call.log == [(0, "+p203")]
    call = sales_and_support(away={"p201", "p202", "p203"})
    assert call.log == [(0, "end 480")]


def test_who_has_left_the_queue_does_not_ring() -> None:
    call = sales_and_support(
        states={"p201": PersonState(left=frozenset({"q"})), "p202": PersonState(left=frozenset({"r"}))}
    )
    assert call.ringing == {"p202"}


def test_an_empty_queue_ends_at_once() -> None:
    assert Calling(queue()).ended == End(480)
    assert Calling(queue(member())).ended == End(480, in_vain=True)


def hunt(*people: Devices, **more: Any) -> Calling:
    return Calling(queue(member(*people, strategy=Strategy.LONGEST_IDLE)), **more)


IDLE = {
    "p201": PersonState(last_end=300),
    "p202": PersonState(last_end=100),
    "p203": PersonState(last_end=200, last_offer=9),
    "p204": PersonState(),
}


def test_the_longest_idle_rings_first_and_each_has_its_turn() -> None:
    call = hunt(*PEOPLE, DAN, states=dict(IDLE))
    call.until(60)
    assert call.log == [
        (0, "+p204"), (3, "-p204"), (3, "+p202"), (6, "-p202"),
        (6, "+p203"), (9, "-p203"), (9, "+p201"), (12, "-p201"), (12, "end 480"),
    ]  # fmt: skip


def test_who_was_offered_a_call_longer_ago_is_first_among_equals() -> None:
    states = {
        "p201": PersonState(last_offer=2),
        "p202": PersonState(last_offer=1),
        "p203": PersonState(last_offer=2),
    }
    call = hunt(*PEOPLE, states=states)
    call.until(8)
    assert [what for _, what in call.log if what[0] == "+"] == ["+p202", "+p201", "+p203"]


def test_who_declines_makes_room_for_the_next_at_once() -> None:
    call = hunt(*PEOPLE, states=dict(IDLE))
    call.now = 1
    call.refuse(BOB, status=603)
    assert call.log == [(0, "+p202"), (1, "+p203")]
    call.until(60)
    assert "+p202" not in [what for _, what in call.log[1:]]


def test_a_hunt_waits_its_time_while_all_are_busy() -> None:
    call = hunt(ANN, BOB, states={"p201": BUSY, "p202": BUSY})
    call.until(60)
    assert call.log == [(3, "end 480")]


def test_a_hunt_waits_its_time_for_who_is_busy_after_the_others_have_refused() -> None:
    call = hunt(ANN, BOB, states={"p202": BUSY})
    call.now = 1
    call.refuse(ANN)
    call.until(2)
    call.states["p202"] = FREE
    call.look()
    call.until(60)
    assert call.log == [(0, "+p201"), (2, "+p202"), (5, "-p202"), (5, "end 480")]


def test_who_has_declined_is_left_alone_for_the_time_of_the_attempt() -> None:
    call = Calling(queue(member(ANN, attempts=2, strategy=Strategy.LONGEST_IDLE), member(BOB)))
    call.now = 1
    call.refuse(ANN)
    call.until(4)
    call.refuse(ANN)
    assert call.log == [(0, "+p201"), (3, "+p201"), (4, "+p202")]


def test_a_call_behind_others_names_those_who_must_still_be_free() -> None:
    seen = {person.person: Seen(IDLE[person.person], has_devices=True) for person in PEOPLE}
    plan = hunt(*PEOPLE, rank=3).plan
    looks = [plan.look(Mono(0.0), CLOCK, seen, rank) for rank in range(4)]
    assert looks == [[Offer((BOB,))], [Offer((CAT,), (BOB,))], [Offer((ANN,), (BOB, CAT))], []]
    plan = Calling(group(is_exclusive=True), claims=False).plan
    assert plan.look(Mono(0.0), CLOCK, seen, 0) == [Offer(PEOPLE)], "they ring together"


def test_calls_of_one_queue_ring_at_different_people() -> None:
    first, second = hunt(*PEOPLE, states=dict(IDLE)), hunt(*PEOPLE, states=dict(IDLE), rank=1)
    assert (first.ringing, second.ringing) == ({"p202"}, {"p203"})
    assert hunt(*PEOPLE, rank=3).ringing == set()


# Changes


def test_a_changed_group_is_followed() -> None:
    call = Calling(group())
    course = course_of(group((BOB, DAN)), "p200", 60)
    steps = call.plan.follow(replace(course, place=call.plan.course.place))
    assert {step.person for step in steps if isinstance(step, Withdraw)} == {"p201", "p203"}
    call.look()
    assert call.ringing == {"p202", "p204"}


def test_a_queue_that_loses_its_members_ends() -> None:
    call = sales_and_support()
    call.plan.follow(Course("queue:q", "700", "Support", ()))
    call.look()
    assert call.ended == End(480)


def test_the_formats_of_names_and_the_places() -> None:
    made = course_of(group(caller_name="G", is_exclusive=True), "", 60)
    assert (made.place, made.windows[0].caller_name) == ("group:g", "G")
    assert course_of(group(), "", 60).place == ""
    with_format = replace(member(ANN), caller_name="M")
    assert course_of(queue(with_format), "", 60).windows[0].caller_name == "M"
    assert course_of(replace(queue(with_format), caller_name="Q"), "", 60).windows[0].caller_name == "Q"
