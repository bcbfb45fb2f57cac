"""What no phone would send: every torture case on every transport, random damage, messages too large."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pytest

from registrar.errors import SipError
from registrar.sip import Framer, Request, check, parse
from tests.every import every
from tests.peers.phone import Caller
from tests.peers.registrar import TRANSPORTS
from tests.torture.build import End
from tests.torture.cases import CASES, RFC4475, Case
from tests.torture.files import VERDICTS
from tests.torture.files import cases as raw_cases
from tests.wire.conftest import Report
from tests.wire.line import Line
from tests.wire.need import rounds
from tests.wire.site import Site
from tests.wire.trial import TOO_BIG, Trial, conduct, line

pytestmark = pytest.mark.wire

MUTATIONS: Final = 1_000
BROKEN_CONNECTIONS: Final = 200
SEED: Final = 3261
MAX_MESSAGE: Final = 16_384
EVERY: Final = ("udp", *TRANSPORTS)
ISSUE: Final = ("udp", "tcp", "ws")
RAW: Final = raw_cases()


@dataclass(frozen=True)
class Session:
    """Some cases on one transport."""

    trials: dict[str, Trial]
    errors: float
    """How many messages the server counted as broken meanwhile."""


Sessions = Callable[[str], Session]


@pytest.fixture(scope="module")
def sessions(streams: Site) -> Sessions:
    """All cases sent over one transport, and what came of each."""
    known: dict[str, Session] = {}

    def on(transport: str) -> Session:
        if transport not in known:
            known[transport] = session(streams, transport, CASES)
        return known[transport]

    return on


def session(site: Site, transport: str, cases: tuple[Case, ...]) -> Session:
    before = site.metric("registrar_sip_parse_errors_total")
    trials = conduct(site, transport, cases)
    return Session(trials, site.metric("registrar_sip_parse_errors_total") - before)


@every("name", [case.name for case in CASES])
@pytest.mark.parametrize("transport", EVERY)
def test_each_case_is_answered_as_it_deserves(transport: str, name: str, sessions: Sessions) -> None:
    seen = sessions(transport).trials[name]
    assert seen.fault == ""
    if transport.startswith("ws") and seen.end == End.CLOSED:
        assert seen.code == TOO_BIG


@pytest.mark.parametrize("transport", EVERY)
def test_exactly_what_the_language_refuses_is_counted(transport: str, sessions: Sessions) -> None:
    assert sessions(transport).errors == sum(refused(case, transport) for case in CASES)


def refused(case: Case, transport: str) -> bool:
    """Whether the language refuses a message, as the metric counts it."""
    if transport == "udp" and not case.data.strip(b"\r\n\0"):
        return False  # a keep-alive
    if transport.startswith("ws") and len(case.data) > MAX_MESSAGE:
        return False  # the frame was refused, and never read
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


def score(seen: dict[str, dict[str, Trial]], names: Sequence[str]) -> tuple[str, list[str]]:
    """`UDP 49/49, TCP 49/49, WS 49/49`, and what was not as it should be."""
    faults = {
        transport: [f"{transport} {name}: {trials[name].fault}" for name in names if trials[name].fault]
        for transport, trials in seen.items()
    }
    right = [f"{transport.upper()} {len(names) - len(faults[transport])}/{len(names)}" for transport in seen]
    return ", ".join(right), [fault for some in faults.values() for fault in some]


def test_the_49_of_rfc_4475_on_three_transports(sessions: Sessions, report: Report) -> None:
    seen = {transport: sessions(transport).trials for transport in ISSUE}
    result, faults = score(seen, [case.name for case in RFC4475])
    report(result)
    assert faults == []
    assert result == "UDP 49/49, TCP 49/49, WS 49/49"


if RAW:

    def test_the_files_of_rfc_4475_themselves(streams: Site, report: Report) -> None:
        seen = {transport: session(streams, transport, RAW) for transport in ISSUE}
        result, faults = score({transport: one.trials for transport, one in seen.items()}, list(VERDICTS))
        report(f"as published: {result}")
        assert faults == []
        assert result == "UDP 49/49, TCP 49/49, WS 49/49"
        for transport, one in seen.items():
            assert one.errors == sum(refused(case, transport) for case in RAW), transport


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param(
            "<sip:%00@h.example>, <sip:%00%00@h.example>",
            {"sip:%00@h.example", "sip:%00%00@h.example"},
            id="escnull",
        ),
        pytest.param("sip:+15550100@gw.example;newparam", {"sip:+15550100@gw.example"}, id="cparam01"),
        pytest.param(
            "<sip:+15550100@gw.example;newparam>", {"sip:+15550100@gw.example;newparam"}, id="cparam02"
        ),
        pytest.param(
            "<sip:a@h.example?Route=%3Csip:x.example%3E>",
            {"sip:a@h.example?Route=%3Csip:x.example%3E"},
            id="regescrt",
        ),
    ],
)
def test_what_the_valid_ones_register(value: str, stored: set[str], transport: str, streams: Site) -> None:
    """What RFC 4475 says of these, with the credentials that its own messages do not carry."""
    handset = streams.new_phone()
    with line(streams, transport) as opened:
        caller = Caller(handset.account, opened.address, transport=transport.upper())
        assert caller.learn(opened.ask(caller.register(contact=value)))
        credentials = caller.credentials("REGISTER", f"sip:{handset.account.domain}")
        answer = opened.ask(caller.register(contact=value, extra=[credentials]))
    assert answer.status == 200
    assert streams.contacts(handset) == stored
    assert answer.header("route") == ""
    for uri in stored:
        assert answer.granted(uri) or any(uri in shown for shown in answer.all("contact"))


def test_a_message_of_one_octet_too_many_is_too_large(streams: Site) -> None:
    with Line(streams.sip) as opened:
        for size, status in ((MAX_MESSAGE, 200), (MAX_MESSAGE + 1, 513)):
            probe = opened.next_probe()
            head = probe.replace(b"Content-Length: 0", b"Content-Length: 00000")
            body = size - len(head)
            request = head.replace(b"Length: 00000", b"Length: %05d" % body) + b"x" * body
            assert len(request) == size
            assert opened.ask(request).status == status


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
def test_random_damage_kills_nothing(seed: int, streams: Site) -> None:
    chance, handset = random.Random(seed), streams.new_phone()
    with Line(streams.sip) as udp:
        caller = Caller(handset.account, udp.address)
        challenge = udp.ask(caller.register())
        assert caller.learn(challenge)
        for number in range(MUTATIONS):
            credentials = caller.credentials("REGISTER", f"sip:{handset.account.domain}")
            sound = caller.register(extra=[credentials])
            udp.send(_mutated(chance, sound))
            if number % 20 == 19:
                udp.alive()
    assert streams.metric("registrar_unhandled_exceptions_total") == 0, f"seed {seed}"
    assert streams.health("ready") == 200


@pytest.mark.parametrize("seed", [SEED + number for number in range(rounds(1, 10))])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_random_damage_on_connections_kills_nothing(transport: str, seed: int, streams: Site) -> None:
    """Each on a connection of its own: most of them end it."""
    chance, handset = random.Random(seed), streams.new_phone()
    with line(streams, transport) as first:
        caller = Caller(handset.account, first.address, transport=transport.upper())
        assert caller.learn(first.ask(caller.register()))
    for number in range(BROKEN_CONNECTIONS):
        credentials = caller.credentials("REGISTER", f"sip:{handset.account.domain}")
        sound = caller.register(extra=[credentials])
        with line(streams, transport) as opened:
            opened.send(_mutated(chance, sound))
        if number % 20 == 19:
            with line(streams, transport) as control:
                control.alive()
    assert streams.metric("registrar_unhandled_exceptions_total") == 0, f"seed {seed}"
    assert streams.health("ready") == 200


def test_nothing_of_it_was_unhandled(streams: Site, sessions: Sessions) -> None:
    for transport in EVERY:
        assert len(sessions(transport).trials) == len(CASES)
    assert streams.metric("registrar_unhandled_exceptions_total") == 0
    assert streams.metric("registrar_sip_responses_total", code="500") == 0
    assert "Traceback" not in streams.log_text
