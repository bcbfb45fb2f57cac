"""What the language says of every torture case (RFC 4475, RFC 5118, and hostile ones)."""

from time import perf_counter

import pytest

from registrar.errors import SipError
from registrar.sip import Request, Response, answer, check, parse

from .cases import CASES, PARSED, RESPONSE, RFC4475, RFC5118, Case

EACH = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
WORST = 0.020
"""Seconds a single message may take, on a slow machine."""


def verdict(data: bytes) -> str | int:
    """PARSED, RESPONSE, or the status of the refusal."""
    try:
        message = parse(data)
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


@EACH
def test_the_verdict_is_the_expected_one(case: Case) -> None:
    assert verdict(case.data) == case.verdict


@EACH
def test_no_message_takes_long(case: Case) -> None:
    best = WORST
    for _ in range(3):
        started = perf_counter()
        verdict(case.data)
        best = min(best, perf_counter() - started)
    assert best < WORST


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
def test_the_wire_says_what_may_be_answered(case: Case) -> None:
    assert case.wire
    assert all(status == 0 or 200 <= status < 700 for status in case.wire)
