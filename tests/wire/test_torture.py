"""What no phone would send: every torture case over a real socket, random damage, and messages too large."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.peers.phone import Answer, Caller
from tests.torture.cases import CASES, SILENCE, Case
from tests.wire.line import Line
from tests.wire.need import rounds
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

SILENCE_SECONDS: Final = 0.5
MUTATIONS: Final = 1_000
SEED: Final = 3261
MAX_MESSAGE: Final = 16_384


@dataclass
class Trial:
    """One case on a socket of its own."""

    case: Case
    line: Line
    answers: list[Answer] = field(default_factory=list)
    lived: str = "was not asked"
    """Empty when OPTIONS was answered before and after it."""


@pytest.fixture(scope="module")
def trials(site: Site) -> Iterator[dict[str, Trial]]:
    """All cases sent, one after the other; then, after the longest time allowed, what came back."""
    made = {case.name: Trial(case, Line(site.sip)) for case in CASES}
    try:
        for trial in made.values():
            _send(trial)
        for number, trial in enumerate(made.values()):
            trial.answers += trial.line.answers_within(SILENCE_SECONDS if number == 0 else 0.001)
        yield made
    finally:
        for trial in made.values():
            trial.line.close()


def _send(trial: Trial) -> None:
    try:
        trial.line.alive()
        trial.answers += trial.line.answers_until_probed(trial.case.data)
        trial.lived = ""
    except AssertionError as silence:
        trial.lived = str(silence)


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_each_case_is_answered_as_it_deserves(name: str, trials: dict[str, Trial]) -> None:
    trial = trials[name]
    assert trial.lived == ""
    assert len(trial.answers) <= 1, [answer.raw for answer in trial.answers]
    got = trial.answers[0].status if trial.answers else SILENCE
    assert got in trial.case.wire


def test_a_message_of_one_octet_too_many_is_too_large(site: Site) -> None:
    with Line(site.sip) as line:
        for size, status in ((MAX_MESSAGE, 200), (MAX_MESSAGE + 1, 513)):
            probe = line.next_probe()
            head = probe.replace(b"Content-Length: 0", b"Content-Length: 00000")
            body = size - len(head)
            request = head.replace(b"Length: 00000", b"Length: %05d" % body) + b"x" * body
            assert len(request) == size
            assert line.ask(request).status == status


def _mutated(chance: random.Random, data: bytes) -> bytes:
    """`data` with a few of its octets changed, removed, repeated or moved."""
    text = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at, length = chance.randrange(len(text)), chance.randint(1, 20)
        piece = bytes(text[at : at + length])
        match chance.randrange(6):
            case 0:
                text[at] = chance.randrange(256)
            case 1:
                del text[at : at + length]
            case 2:
                text[at:at] = piece * chance.randint(1, 40)
            case 3:
                text[at:at] = bytes(chance.randrange(256) for _ in range(length))
            case 4:
                del text[at : at + length]
                place = chance.randrange(len(text) + 1)
                text[place:place] = piece
            case _:
                text[at:at] = chance.choice(
                    (b"\r\n", b"\r\n\r\n", b"\0", b",", b";", b'"', b"<", b"%00", b" ")
                )
        text = text or bytearray(b"x")
    return bytes(text)


@pytest.mark.parametrize("seed", [SEED + number for number in range(rounds(1, 20))])
def test_random_damage_kills_nothing(seed: int, site: Site, handset: Handset) -> None:
    chance = random.Random(seed)
    with Line(site.sip) as line:
        caller = Caller(handset.account, line.address)
        challenge = line.ask(caller.register())
        assert caller.learn(challenge)
        for number in range(MUTATIONS):
            credentials = caller.credentials("REGISTER", f"sip:{handset.account.domain}")
            sound = caller.register(extra=[credentials])
            line.send(_mutated(chance, sound))
            if number % 20 == 19:
                line.alive()
    assert site.metric("unhandled_exceptions_total") == 0, f"seed {seed}"
    assert site.health("ready") == 200


def test_nothing_of_it_was_unhandled(site: Site, trials: dict[str, Trial]) -> None:
    assert len(trials) == len(CASES)
    assert site.metric("unhandled_exceptions_total") == 0
    assert site.metric("sip_resp_total", code="500") == 0
    assert "Traceback" not in site.log_text
