"""What became of a call, for its history: one word for the call, and one for each of its people."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from registrar.model import CallResult, Cause, PastCall

CAUSES: Final = {
    486: Cause.BUSY,
    600: Cause.BUSY,
    603: Cause.DECLINED,
    408: Cause.NO_ANSWER,
    480: Cause.UNREACHABLE,
    430: Cause.UNREACHABLE,
    487: Cause.CANCELLED,
    0: Cause.CANCELLED,
}
_BY_STATUS: Final = {
    403: CallResult.FORBIDDEN,
    404: CallResult.NOT_FOUND,
    484: CallResult.NOT_FOUND,
    604: CallResult.NOT_FOUND,
}
_BY_CAUSE: Final = {
    Cause.NO_ANSWER: CallResult.NO_ANSWER,
    Cause.BUSY: CallResult.BUSY,
    Cause.DECLINED: CallResult.DECLINED,
    Cause.CANCELLED: CallResult.CANCELLED,
    Cause.UNREACHABLE: CallResult.UNREACHABLE,
    Cause.LOST: CallResult.LOST,
    Cause.API: CallResult.ENDED,
}
MISSED: Final = frozenset(
    {
        CallResult.NO_ANSWER,
        CallResult.BUSY,
        CallResult.CANCELLED,
        CallResult.UNREACHABLE,
        CallResult.LOST,
        CallResult.ENDED,
    }
)
"""Results of a call that a person has missed. A call that the person declined is not one of them."""


class Side(StrEnum):
    """The side of a call on which a person was."""

    CALLER = "caller"
    CALLEE = "callee"


class Part(NamedTuple):
    """The part of one person in a call."""

    person: str
    """Id of the extension."""
    side: Side
    result: CallResult


def cause_of(status: int) -> Cause:
    """Return why a call ended that got this final answer; 0: the caller has gone."""
    return CAUSES.get(status, Cause.FAILED)


def result_of(past: PastCall) -> CallResult:
    """Return what became of a call.

    A call that was answered stays answered, however it ended. A group or queue that rang in vain ends with
    480, as does a phone that cannot be reached: here they differ.
    """
    if past.result is not None:
        return past.result
    call, ending = past.call, past.ending
    if call.answered_at:
        return CallResult.ANSWERED
    if ending.cause is Cause.UNREACHABLE and call.via and past.rung:
        return CallResult.NO_ANSWER
    if ending.cause in _BY_CAUSE:
        return _BY_CAUSE[ending.cause]
    return _BY_STATUS.get(ending.status, CallResult.FAILED)


def parts_of(past: PastCall) -> Iterator[Part]:
    """Yield the part of each person in a call, each person once on each side."""
    call, result = past.call, result_of(past)
    if call.caller.person:
        yield Part(call.caller.person, Side.CALLER, result)
    if result is CallResult.FEATURE:
        return
    if call.callee.person:
        yield Part(call.callee.person, Side.CALLEE, result)
    others = CallResult.ELSEWHERE if result is CallResult.ANSWERED else result
    for person in dict.fromkeys(past.rung):
        if person and person != call.callee.person:
            yield Part(person, Side.CALLEE, others)
