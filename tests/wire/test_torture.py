"""What no phone would send: every torture case on every transport, random damage, messages too large."""

import random
from collections.abc import Callable
from typing import Final

import pytest

from registrar.errors import SipError
from registrar.sip import Framer, Request, check, parse
from tests.peers.phone import Caller
from tests.peers.registrar import TRANSPORTS
from tests.torture.build import End
from tests.torture.cases import CASES, RFC4475, Case
from tests.torture.files import cases as raw_cases
from tests.wire import trial
from tests.wire.conftest import Report
from tests.wire.line import Line
from tests.wire.need import rounds
from tests.wire.site import Handset, Site
from tests.wire.trial import Trial, conduct

pytestmark = pytest.mark.wire

MUTATIONS: Final = 1_000
SEED: Final = 3261
MAX_MESSAGE: Final = 16_384
EVERY: Final = ("udp", *TRANSPORTS)
ISSUE: Final = ("udp", "tcp", "ws")
RAW: Final = raw_cases()

Trials = Callable[[str], dict[str, Trial]]


@pytest.fixture(scope="module")
def trials(streams: Site) -> Trials:
    """All cases sent over one transport, and what came of each."""
    known: dict[str, dict[str, Trial]] = {}

    def on(transport: str) -> dict[str, Trial]:
        if transport not in known:
            known[transport] = conduct(streams, transport, CASES)
        return known[transport]

    return on


@pytest.mark.parametrize("name", [case.name for case in CASES])
@pytest.mark.parametrize("transport", EVERY)
def test_each_case_is_answered_as_it_deserves(transport: str, name: str, trials: Trials) -> None:
    seen = trials(transport)[name]
    assert seen.fault == ""
    if transport.startswith("ws") and seen.end == End.CLOSED:
        assert seen.code == trial.TOO_BIG


def refused(case: Case, transport: str) -> bool:
    """Whether the language refuses a message, as the metric counts it."""
    stream = transport in ("tcp", "tls")
    framer = Framer()
    frames = framer.feed(case.data) if stream else []
    if stream and (framer.broken or not frames):
        return framer.broken
    try:
        message = parse(frames[0].data if stream else case.data, exact=transport != "udp")
        if isinstance(message, Request):
            check(message)
        _ = message.via, message.cseq
    except SipError:
        return True
    return False


def score(site: Site, cases: tuple[Case, ...]) -> tuple[str, list[str]]:
    """`UDP 49/49, TCP 49/49, WS 49/49`, and what was not as it should be."""
    right: list[str] = []
    faults: list[str] = []
    for transport in ISSUE:
        before = site.metric("sip_parse_error_total")
        seen = conduct(site, transport, cases)
        errors = site.metric("sip_parse_error_total") - before
        wrong = [f"{transport} {name}: {one.fault}" for name, one in seen.items() if one.fault]
        right.append(f"{transport.upper()} {len(seen) - len(wrong)}/{len(cases)}")
        faults += wrong
        wanted = sum(refused(case, transport) for case in cases)
        if errors != wanted:
            faults.append(f"{transport}: {errors:g} parse errors counted, not {wanted}")
    return ", ".join(right), faults


def test_the_49_of_rfc_4475_on_three_transports(streams: Site, report: Report) -> None:
    assert len(RFC4475) == 49
    line, faults = score(streams, RFC4475)
    report(line)
    assert faults == []
    assert line == "UDP 49/49, TCP 49/49, WS 49/49"


if RAW:

    def test_the_files_of_rfc_4475_themselves(streams: Site, report: Report) -> None:
        line, faults = score(streams, RAW)
        report(f"as published: {line}")
        assert faults == []
        assert line == "UDP 49/49, TCP 49/49, WS 49/49"


def test_a_message_of_one_octet_too_many_is_too_large(streams: Site) -> None:
    with Line(streams.sip) as line:
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


def test_nothing_of_it_was_unhandled(streams: Site, trials: Trials) -> None:
    for transport in EVERY:
        assert len(trials(transport)) == len(CASES)
    assert streams.metric("unhandled_exceptions_total") == 0
    assert streams.metric("sip_resp_total", code="500") == 0
    assert "Traceback" not in streams.log_text
