"""What the language says of every torture case (RFC 4475, RFC 5118, and hostile ones)."""

import sys
from collections import Counter
from time import thread_time
from types import FrameType
from typing import Final

from registrar.errors import SipError
from registrar.sip import MAX_MESSAGE, Framer, Request, Response, answer, check, parse
from tests.every import every

from . import files
from .build import End
from .cases import CASES, PARSED, RESPONSE, RFC4475, RFC5118, SILENCE, Case

FILES = files.cases()
EACH = every(
    "case", (*CASES, *FILES), ids=[*(case.name for case in CASES), *(f"{case.name}.dat" for case in FILES)]
)
WORST = 0.020
"""Seconds a single message may take, on a slow machine."""

MOST_CALLS: Final = 400
"""A sound REGISTER takes 60."""
MOST_BUILTINS: Final = 1_000


def verdict(data: bytes, *, exact: bool = False) -> str | int:
    """PARSED, RESPONSE, or the status of the refusal."""
    try:
        message = parse(data, exact=exact)
        if isinstance(message, Response):
            return RESPONSE
        assert isinstance(message, Request)
        check(message)
    except SipError as error:
        return error.status
    return PARSED


def test_every_category_of_the_rfcs_is_here_once() -> None:
    assert len(RFC4475) == len({case.name for case in RFC4475}) == 49
    assert len(RFC5118) == len({case.name for case in RFC5118}) == 12
    assert len(CASES) == len({case.name for case in CASES})
    assert files.VERDICTS.keys() == {case.name for case in RFC4475}


@EACH
def test_the_verdict_is_the_expected_one(case: Case) -> None:
    assert verdict(case.data) == case.verdict


@EACH
def test_a_stream_goes_on_breaks_or_waits_as_the_table_says(case: Case) -> None:
    framer = Framer()
    frames = framer.feed(case.data)
    ends = {(True, False): End.CLOSED, (False, True): End.WAITS, (False, False): End.STAYS}
    assert ends[framer.broken, framer.partial] is case.stream.end
    assert len(frames) == len(case.stream.answers)


@EACH
def test_one_message_of_a_websocket_gets_what_the_table_says(case: Case) -> None:
    (answers,) = case.ws.answers
    assert case.ws.end is (End.STAYS if len(case.data) <= MAX_MESSAGE else End.CLOSED)
    match verdict(case.data, exact=True):
        case int(status):
            assert answers & {status, SILENCE}
        case kind:
            assert kind == RESPONSE or answers - {400}


@EACH
def test_no_message_takes_long(case: Case) -> None:
    best = WORST
    for _ in range(3):
        started = thread_time()
        verdict(case.data)
        best = min(best, thread_time() - started)
    assert best < WORST


@EACH
def test_no_message_costs_many_calls(case: Case) -> None:
    """Nobody has been asked who it is when these are spent."""
    python, builtins = calls(case.data)
    assert python <= MOST_CALLS
    assert builtins <= MOST_BUILTINS


def calls(data: bytes) -> tuple[int, int]:
    """Calls of functions in Python and in C until the verdict."""
    counted: Counter[str] = Counter()

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        counted[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        verdict(data)
    finally:
        sys.setprofile(before)
    return counted["call"], counted["c_call"]


@EACH
def test_an_answer_can_be_made_of_whatever_could_be_read(case: Case) -> None:
    try:
        message = parse(case.data)
    except SipError:
        return
    if isinstance(message, Request):
        made = parse(bytes(answer(message, 400, to_tag="ours")))
        assert isinstance(made, Response)
        assert made.status == 400
        assert made.headers.all("via") == message.headers.all("via")


@EACH
def test_what_was_parsed_is_parsed_again_from_its_own_bytes(case: Case) -> None:
    if case.verdict in (PARSED, RESPONSE):
        message = parse(case.data)
        again = parse(bytes(message))
        assert bytes(again) == bytes(message)
        assert again.headers == message.headers
        assert again.body == message.body


@EACH
def test_the_table_says_what_may_be_answered(case: Case) -> None:
    for statuses in (case.wire, *case.stream.answers, *case.ws.answers):
        assert statuses
        assert all(status == SILENCE or 200 <= status < 700 for status in statuses)
