"""rules/history.py: what became of a call, for itself and for each of its people."""

from dataclasses import replace

import pytest

from registrar.model import Call, CallResult, CallState, Cause, Ending, Party, PastCall
from registrar.rules.history import Part, Side, cause_of, parts_of, result_of
from tests.every import every

CALL = Call(
    id="0" * 32,
    call_id="c@host",
    customer="acme",
    domain="acme.test",
    caller=Party("id-a", "200", "Anna", person="anna"),
    callee=Party("", "201", "Bert", person="bert"),
    state=CallState.RINGING,
    started_at=1_000.0,
)
GROUP = replace(CALL, callee=Party("", "600", "Sales"), via="600", via_name="Sales")


def past(cause: Cause, status: int = 0, call: Call = CALL, rung: tuple[str, ...] = ()) -> PastCall:
    return PastCall(call, Ending(cause, 1_010.0, status), rung)


@every(
    ("cause", "status", "result"),
    [
        (Cause.BUSY, 486, CallResult.BUSY),
        (Cause.DECLINED, 603, CallResult.DECLINED),
        (Cause.NO_ANSWER, 408, CallResult.NO_ANSWER),
        (Cause.CANCELLED, 487, CallResult.CANCELLED),
        (Cause.UNREACHABLE, 480, CallResult.UNREACHABLE),
        (Cause.LOST, 480, CallResult.LOST),
        (Cause.API, 487, CallResult.ENDED),
        (Cause.FAILED, 404, CallResult.NOT_FOUND),
        (Cause.FAILED, 403, CallResult.FORBIDDEN),
        (Cause.FAILED, 503, CallResult.FAILED),
    ],
)
def test_the_cause_says_what_became_of_a_call_that_was_not_answered(
    cause: Cause, status: int, result: CallResult
) -> None:
    assert result_of(past(cause, status)) is result


@pytest.mark.parametrize("cause", [Cause.HUNG_UP, Cause.LOST, Cause.API])
def test_an_answered_call_stays_answered(cause: Cause) -> None:
    assert result_of(past(cause, call=replace(CALL, answered_at=1_004.0))) is CallResult.ANSWERED


def test_a_group_that_rang_in_vain_differs_from_one_that_could_not_be_reached() -> None:
    rang = past(Cause.UNREACHABLE, 480, GROUP, ("bert", "cat"))
    assert result_of(rang) is CallResult.NO_ANSWER
    assert result_of(past(Cause.UNREACHABLE, 480, GROUP)) is CallResult.UNREACHABLE


def test_a_status_without_a_word_of_its_own_has_failed() -> None:
    assert (cause_of(486), cause_of(0), cause_of(500)) == (Cause.BUSY, Cause.CANCELLED, Cause.FAILED)


def test_others_at_whom_a_call_rang_see_that_it_was_answered_elsewhere() -> None:
    answered = replace(GROUP, callee=Party("id-b", "201", "Bert", person="bert"), answered_at=1_004.0)
    assert list(parts_of(past(Cause.HUNG_UP, 0, answered, ("bert", "cat", "dora")))) == [
        Part("anna", Side.CALLER, CallResult.ANSWERED),
        Part("bert", Side.CALLEE, CallResult.ANSWERED),
        Part("cat", Side.CALLEE, CallResult.ELSEWHERE),
        Part("dora", Side.CALLEE, CallResult.ELSEWHERE),
    ]


def test_everyone_at_whom_it_rang_has_missed_a_call_that_was_not_answered() -> None:
    assert list(parts_of(past(Cause.UNREACHABLE, 480, GROUP, ("bert", "cat", "bert")))) == [
        Part("anna", Side.CALLER, CallResult.NO_ANSWER),
        Part("bert", Side.CALLEE, CallResult.NO_ANSWER),
        Part("cat", Side.CALLEE, CallResult.NO_ANSWER),
    ]


def test_a_feature_code_is_no_call_to_a_person() -> None:
    dialled = replace(past(Cause.UNREACHABLE, 480), result=CallResult.FEATURE)
    assert list(parts_of(dialled)) == [Part("anna", Side.CALLER, CallResult.FEATURE)]
