"""registrar/rules/forking.py: which answer goes back, and who is cancelled (RFC 3261 section 16.7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.rules.forking import Best, Cancel, Fork, Relay, Step, Unwanted
from tests.every import every


def fork(branches: int, *, is_invite: bool = True, ringing: bool = False) -> Fork:
    made = Fork(is_invite=is_invite)
    assert [made.add() for _ in range(branches)] == list(range(branches))
    if ringing:
        assert [made.provisional(number) for number in range(branches)] == [[]] * branches
    return made


@every(
    ("statuses", "best"),
    [
        pytest.param([486], Best(486, 0), id="one alone"),
        pytest.param([480, 486], Best(486, 1), id="busy tells more than away"),
        pytest.param([404, 480], Best(480, 1), id="away tells more than unknown"),
        pytest.param([408, 480], Best(480, 1), id="away tells more than silence"),
        pytest.param([487, 404], Best(404, 1), id="cancelled tells little"),
        pytest.param([481, 487], Best(487, 1), id="no such call tells less"),
        pytest.param([430, 481], Best(481, 1), id="a failed flow tells least"),
        pytest.param([488, 403], Best(488, 0), id="what could be changed comes before what could not"),
        pytest.param([403, 413], Best(403, 0), id="what is named before what is not"),
        pytest.param([413, 480], Best(413, 0), id="what is not named stands in the middle"),
        pytest.param([503, 404], Best(404, 1), id="the lower class"),
        pytest.param([302, 486], Best(302, 0), id="a redirection before a refusal"),
        pytest.param([302, 603], Best(603, 1), id="6xx before all"),
        pytest.param([500, 604, 486], Best(604, 1), id="any 6xx"),
        pytest.param([486, 486], Best(486, 0), id="the first of equals"),
        pytest.param([401], Best(502, None), id="a challenge is not ours"),
        pytest.param([407], Best(502, None), id="nor is this"),
        pytest.param([503], Best(500, None), id="503 is about the phone, not about us"),
        pytest.param([430, 430], Best(480, None), id="no flow is left"),
        pytest.param([500, 503], Best(500, 0), id="a true 500"),
    ],
)
def test_the_best_answer_goes_back_when_all_have_answered(statuses: list[int], best: Best) -> None:
    on = fork(len(statuses), is_invite=False)
    for number, status in enumerate(statuses[:-1]):
        assert on.final(number, status) == []
        assert on.pending and not on.over
    assert on.final(len(statuses) - 1, statuses[-1]) == [best]
    assert on.over and not on.pending


def test_without_any_branch_nobody_is_there() -> None:
    assert Fork().give_up(480) == [Best(480, None)]
    assert not Fork().pending


def test_a_2xx_goes_back_at_once_and_the_others_are_cancelled() -> None:
    on = fork(3)
    on.provisional(0)
    on.provisional(1)
    assert on.final(1, 200) == [Relay(1), Cancel(0, elsewhere=True)]
    assert on.over and on.pending
    assert on.provisional(2) == [Cancel(2, elsewhere=True)], "the CANCEL had to wait for it (section 9.1)"
    assert on.provisional(2) == [], "once"
    assert on.final(0, 487) == on.final(2, 487) == []
    assert not on.pending


def test_a_2xx_is_relayed_each_time_it_comes() -> None:
    on = fork(1)
    assert on.final(0, 200) == [Relay(0)]
    assert on.final(0, 200) == [Relay(0)]
    assert on.final(0, 486) == [], "nothing takes it back"


def test_a_second_2xx_is_ended_each_time_it_comes() -> None:
    on = fork(2)
    assert on.final(0, 200) == [Relay(0)]
    assert on.final(1, 200) == [Unwanted(1)]
    assert on.final(1, 200) == [Unwanted(1)]
    assert on.final(0, 200) == [Relay(0)]


def test_a_2xx_that_we_refuse_is_ended_each_time_it_comes() -> None:
    on = fork(1)
    assert on.final(0, 200) == [Relay(0)]
    on.disown(0)
    assert on.final(0, 200) == [Unwanted(0)]


def test_a_6xx_cancels_the_others_and_waits_for_them() -> None:
    on = fork(3)
    on.provisional(0)
    assert on.final(1, 603) == [Cancel(0)]
    assert on.final(2, 486) == []
    assert on.final(0, 487) == [Best(603, 1)]


def test_a_2xx_after_a_6xx_goes_back_all_the_same() -> None:
    on = fork(2, ringing=True)
    assert on.final(0, 600) == [Cancel(1)]
    assert on.final(1, 200) == [Relay(1)]
    assert on.final(1, 200) == [Relay(1)]


def test_what_is_no_invite_is_never_cancelled() -> None:
    on = fork(3, is_invite=False, ringing=True)
    assert on.final(0, 603) == []
    assert on.final(1, 200) == [Relay(1)]
    assert on.final(1, 200) == [], "one answer is enough"
    assert on.final(2, 200) == [], "and makes nothing that must be ended"


def test_a_cancel_before_any_answer_waits_for_one() -> None:
    on = fork(2)
    on.provisional(0)
    assert on.give_up(487) == [Cancel(0)]
    assert on.give_up(487) == [], "a CANCEL that is sent again"
    assert on.provisional(1) == [Cancel(1)]
    assert on.final(0, 487) == []
    assert on.final(1, 487) == [Best(487, None)]
    assert on.give_up(487) == []


def test_what_was_answered_before_the_cancel_does_not_count() -> None:
    on = fork(2, ringing=True)
    assert on.final(0, 486) == []
    assert on.give_up(487) == [Cancel(1)]
    assert on.final(1, 480) == [Best(487, None)]


def test_a_2xx_that_crosses_the_cancel_goes_back() -> None:
    """Section 9.1: a CANCEL has no effect on who has answered; the caller ends the call."""
    on = fork(2, ringing=True)
    assert on.give_up(487) == [Cancel(0), Cancel(1)]
    assert on.final(0, 200) == [Relay(0)]
    assert on.final(1, 200) == [Unwanted(1)]


def test_a_cancel_after_the_answer_is_nothing() -> None:
    on = fork(1)
    on.final(0, 200)
    assert on.give_up(487) == []


def test_a_2xx_after_the_end_is_ended() -> None:
    on = fork(1)
    assert on.final(0, 408) == [Best(408, 0)]
    assert on.final(0, 200) == [Unwanted(0)]


def test_timer_c_cancels_who_rings_and_ends_who_is_silent() -> None:
    """Section 16.8: who has said nothing counts as 408; it is cancelled when it says something yet."""
    on = fork(2)
    on.provisional(0)
    assert on.give_up(408) == [Cancel(0)]
    assert on.final(0, 487) == [Best(408, None)]
    assert on.provisional(1) == [Cancel(1)]
    assert on.final(1, 487) == []
    assert on.final(1, 200) == [Unwanted(1)]


def test_timer_c_with_nobody_ringing_answers_at_once() -> None:
    on = fork(2)
    assert on.give_up(408) == [Best(408, None)]
    assert on.over


def test_ended_at_once_nobody_is_waited_for_and_everybody_is_ended_yet() -> None:
    on = fork(3)
    on.provisional(0)
    assert on.give_up(487, at_once=True) == [Cancel(0), Best(487, None)]
    assert on.over and not on.is_settled
    assert on.provisional(1) == [Cancel(1)]
    assert on.final(0, 487) == []
    assert on.final(1, 487) == []
    assert not on.is_settled, "the third may still say anything"
    assert on.final(2, 200) == [Unwanted(2)]


def test_it_is_settled_when_no_way_is_open_any_more() -> None:
    on = fork(2)
    on.provisional(1)
    on.final(0, 200)
    assert not on.is_settled
    on.final(1, 487)
    assert on.is_settled
    on.final(1, 200)
    assert not on.is_settled, "its dialog is to be ended each time it says so"


def test_after_timer_c_it_is_settled_when_the_silent_have_spoken() -> None:
    on = fork(2)
    assert on.give_up(408) == [Best(408, None)]
    on.final(0, 408)
    assert not on.is_settled
    on.final(1, 487)
    assert on.is_settled


def test_what_a_branch_has_said() -> None:
    on = fork(3)
    on.provisional(0)
    on.final(1, 486)
    assert [on.has_heard(number) for number in range(3)] == [True, True, False]


STATUSES = st.sampled_from((180, 200, 302, 401, 404, 430, 480, 486, 487, 503, 603))
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(STATUSES, st.sampled_from((-487, -408)))), max_size=25
)


@given(EVENTS, st.booleans())
def test_one_final_answer_goes_back_whatever_happens(events: list[tuple[int, int]], is_invite: bool) -> None:
    """And a branch is cancelled at most once, only when it has said something, and never after its answer."""
    on = fork(4, is_invite=is_invite)
    steps: list[Step] = []
    for number, status in events:
        if status < 0:
            steps += on.give_up(-status)
        elif status < 200:
            steps += on.provisional(number)
        else:
            steps += on.final(number, status)
    chosen = [step for step in steps if isinstance(step, Best)]
    relayed = {step.branch for step in steps if isinstance(step, Relay)}
    ended = {step.branch for step in steps if isinstance(step, Unwanted)}
    cancelled = [step.branch for step in steps if isinstance(step, Cancel)]
    assert len(chosen) + len(relayed) <= 1
    assert on.over == bool(chosen or relayed)
    assert not relayed & ended
    assert len(set(cancelled)) == len(cancelled)
    assert {number for number, status in events if status == 180} >= set(cancelled)
    assert is_invite or not (cancelled or ended)
    assert all(step.status not in (401, 407, 430, 503) for step in chosen)
