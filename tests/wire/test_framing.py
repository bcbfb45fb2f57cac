"""Attacks on the framing of streams over real sockets: splits, lies about lengths, bombs, control bytes."""

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.patience import SOAK, limit
from tests.peers import procfs
from tests.peers.phone import parse_answer
from tests.peers.pipe import Address, HungUp
from tests.peers.stream import KEEP_ALIVE, Messages, TcpPhone, trusting
from tests.torture.build import request
from tests.torture.cases import CASES
from tests.torture.hostile import BOMBS, sized
from tests.wire.conftest import Report
from tests.wire.line import Line, TcpLine
from tests.wire.need import rounds
from tests.wire.site import Site
from tests.wire.trial import line

pytestmark = pytest.mark.wire

MAX_MESSAGE: Final = 16_384
FIN_SECONDS: Final = 0.1
PAUSE_SECONDS: Final = 0.004
"""Between two pieces, so that the server reads them one by one."""
AT_ONCE: Final = 48
BOMB_SECONDS: Final = 0.005
BOMBS_SENT: Final = rounds(40, 100)
LAG_SECONDS: Final = 0.02
TRIES: Final = 4
TOKEN: Final = b"!%'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz~"

BY_NAME: Final = {case.name: case for case in CASES}
SOUND: Final = request("OPTIONS")


def numbered(number: int, *lines: str, method: str = "OPTIONS", body: bytes = b"") -> bytes:
    """A sound request that its answer can be told by."""
    return request(method, *lines, f"CSeq: {number} {method}", body=body, without="CSeq")


# Splits


@dataclass(frozen=True)
class Stream:
    """What is sent, and what then comes, however it was cut."""

    name: str
    data: bytes
    statuses: tuple[int, ...]
    closed: bool = False
    pongs: int = 0


STREAMS: Final = (
    Stream("a request", request("REGISTER", "Contact: <sip:ann@198.51.100.7>", body=b"\r\n\r\nx"), (401,)),
    Stream("a long request", BY_NAME["longreq"].data, (407,)),
    Stream("two requests, a ping between", b"\r\n" + SOUND + KEEP_ALIVE + SOUND, (401, 401), pongs=1),
    Stream("folded headers", BY_NAME["wsinv"].data, (481,)),
    Stream("no length", BY_NAME["length-missing"].data, (400,), closed=True),
    Stream("a negative length", BY_NAME["ncl"].data, (400,), closed=True),
    Stream("a length of 2^31", BY_NAME["length-2^31"].data, (513,), closed=True),
    Stream("line feeds only", SOUND.replace(b"\r\n", b"\n") + b"\r\n\r\n", (), closed=True),
    Stream("a line feed in a value", request("OPTIONS", "Subject: a\nb"), (400,)),
)


@dataclass(frozen=True)
class Outcome:
    statuses: tuple[int, ...]
    closed: bool
    pongs: int


async def outcome(
    server: Address, stream: Stream, pieces: list[bytes], *, secure: bool, pause: float = PAUSE_SECONDS
) -> Outcome:
    """What comes when the stream is sent in these pieces, over a connection of its own."""
    tls = {"ssl": trusting(), "server_hostname": server[0]} if secure else {}
    reader, writer = await asyncio.open_connection(*server, **tls)  # type: ignore[arg-type]  # both or none
    messages, closed = Messages(), False
    found: list[bytes] = []
    try:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause)
            if reader.at_eof() or writer.is_closing():
                break
            writer.write(piece)
        async with asyncio.timeout(limit(5)):
            while len(found) < len(stream.statuses) or messages.pongs < stream.pongs or stream.closed:
                data = await reader.read(65_536)
                found += messages.feed(data)
                if not data:
                    closed = True
                    break
    except ConnectionError:
        closed = True
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn
    return Outcome(tuple(parse_answer(raw).status for raw in found), closed, messages.pongs)


async def wrong_cuts(server: Address, step: int, *, secure: bool) -> tuple[int, list[str]]:
    """Every stream cut in two at every `step`th place: how many cuts, and which had another outcome."""
    cuts = [(stream, at) for stream in STREAMS for at in range(1, len(stream.data), step)]
    waiting, wrong = iter(cuts), list[str]()

    async def work() -> None:
        for stream, at in waiting:
            pieces = [stream.data[:at], stream.data[at:]]
            got = await outcome(server, stream, pieces, secure=secure)
            if got != Outcome(stream.statuses, stream.closed, stream.pongs):
                wrong.append(f"{stream.name} cut at {at}: {got}")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return len(cuts), wrong


async def test_every_split_has_the_same_verdict(streams: Site, report: Report) -> None:
    step = rounds(5, 1)
    count, wrong = await wrong_cuts(streams.tcp, step, secure=False)
    report(f"{count:,} split points over TCP, {len(wrong)} with another verdict")
    assert wrong == []
    assert count >= 4_000 // step


async def test_records_of_tls_are_no_borders_either(streams: Site, report: Report) -> None:
    count, wrong = await wrong_cuts(streams.tls, rounds(13, 1), secure=True)
    report(f"{count:,} split points over TLS, {len(wrong)} with another verdict")
    assert wrong == []


@pytest.mark.parametrize("stream", STREAMS, ids=[stream.name for stream in STREAMS])
async def test_octet_by_octet_is_the_same(stream: Stream, streams: Site) -> None:
    size = 1 + len(stream.data) // 1_500  # whoever takes eight seconds for a message is cut off
    pieces = [stream.data[start : start + size] for start in range(0, len(stream.data), size)]
    got = await outcome(streams.tcp, stream, pieces, secure=False, pause=0.0002)
    assert got == Outcome(stream.statuses, stream.closed, stream.pongs)


# One after the other


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_hundred_requests_in_one_write_are_answered_in_order(transport: str, streams: Site) -> None:
    methods = ("OPTIONS", "REGISTER", "MESSAGE", "DANCE")
    sent = [numbered(n, method=methods[n % 4], body=b"x" * (n % 7)) for n in range(100)]
    with line(streams, transport) as opened:
        opened.send(b"".join(sent))
        answers = [parse_answer(opened.receive() or b"") for _ in sent]
    assert [answer.header("cseq") for answer in answers] == [f"{n} {methods[n % 4]}" for n in range(100)]
    assert {answer.status for answer in answers} == {401, 407, 501}


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_refreshes_in_one_write_are_served_in_order(transport: str, streams: Site) -> None:
    account = streams.new_phone().account
    with TcpPhone(account, streams.listeners[transport], secure=transport == "tls") as phone:
        assert phone.register().status == 200
        uri, caller = f"sip:{account.domain}", phone.caller
        sent = [caller.register(60 + n, extra=[caller.credentials("REGISTER", uri)]) for n in range(20)]
        phone.send(b"".join(sent))
        answers = [parse_answer(phone.pipe.receive(5.0) or b"") for _ in sent]
    assert [answer.status for answer in answers] == [200] * 20
    assert [answer.granted(caller.contact) for answer in answers] == [60 + n for n in range(20)]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize(
    ("pieces", "pongs"),
    [
        pytest.param([KEEP_ALIVE], 1, id="one"),
        pytest.param([b"\r", b"\n\r", b"\n"], 1, id="in pieces"),
        pytest.param([KEEP_ALIVE * 100], 100, id="a hundred"),
        pytest.param([b"\r\n" + SOUND + b"\r\n" + SOUND], 0, id="single empty lines"),
        pytest.param([SOUND + KEEP_ALIVE + SOUND], 1, id="between requests"),
    ],
)
def test_two_empty_lines_are_answered_with_one(
    transport: str, pieces: list[bytes], pongs: int, streams: Site
) -> None:
    server = streams.listeners[transport]
    with TcpLine(server, secure=transport == "tls") as opened:
        opened.alive()
        for piece in pieces:
            opened.send(piece)
            time.sleep(PAUSE_SECONDS)
        opened.alive()
        assert opened.pipe.pongs == pongs


# Lengths


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        pytest.param("length-missing", BY_NAME["length-missing"].data, 400, id="no length"),
        pytest.param(
            "gigabyte", request("OPTIONS", "l: 1073741824", without="Content-Length"), 513, id="1 GiB"
        ),
        pytest.param("16385", sized(MAX_MESSAGE + 1), 513, id="one octet too many"),
        pytest.param("megabyte", sized(1 << 20), 513, id="1 MiB"),
    ],
)
def test_a_broken_stream_gets_its_answer_and_then_the_end(
    transport: str, name: str, data: bytes, status: int, streams: Site
) -> None:
    best = float("inf")
    for _ in range(TRIES):
        with line(streams, transport) as opened:
            try:
                opened.send(data)
            except HungUp:
                assert name == "megabyte", "only who has more to say than anybody reads is cut off"
            answer = parse_answer(opened.receive() or b"")
            answered = time.monotonic()
            assert answer.status == status
            rest, end = opened.answers_until_closed(2.0)
            assert (rest, end is None) == ([], False)
            best = min(best, time.monotonic() - answered)
        if best <= FIN_SECONDS:
            return
    pytest.fail(f"the connection ended {best:.3f} s after the answer")


def test_a_declared_length_takes_no_memory(streams: Site) -> None:
    head = request("OPTIONS", "l: 15000", without="Content-Length")
    opened = [TcpLine(streams.tcp, (f"127.0.4.{number // 50 + 1}", 0)) for number in range(400)]
    try:
        opened[0].alive()
        before = procfs.resident_bytes(streams.pids)
        for one in opened:
            one.send(head)
        streams.metric("registrar_connections_open")
        declared = procfs.resident_bytes(streams.pids) - before
        for one in opened:
            one.send(b"x" * 14_999)
        opened[0].send(b"x")
        assert parse_answer(opened[0].receive() or b"").status == 401
        sent = procfs.resident_bytes(streams.pids) - before
    finally:
        for one in opened:
            one.close()
    assert declared < 4 << 20, "nothing is kept for octets that did not come"
    assert sent < len(opened) * 2 * MAX_MESSAGE + (4 << 20)


def test_what_is_no_sip_is_closed_without_an_answer(streams: Site) -> None:
    wrong = [octet for octet in range(256) if octet not in TOKEN + b"\r"]
    for octet in wrong:
        with TcpLine(streams.tcp) as opened:
            opened.send(bytes([octet]))
            assert opened.answers_until_closed(2.0)[1] is not None, hex(octet)
            assert opened.pipe.rest == b"", hex(octet)


# Control bytes


def placed(byte: int) -> Iterator[tuple[str, bytes, bool]]:
    """A request with that byte in each of four places, and whether it may stand there."""
    printable = bytes([*range(32, 127), *range(128, 256)])
    places = (
        ("before the colon", b"Contact", b": <sip:a@h>", b"\t " + TOKEN),
        ("in a value", b"Subject: a", b"b", b"\t" + printable),
        ("in quotes", b'Contact: "a', b'" <sip:a@h>', b"\t" + printable.translate(None, b'"\\')),
        ("a quoted pair", b'Contact: "a\\', b'" <sip:a@h>', bytes(set(range(256)) - {10, 13})),
    )
    for place, before, after, allowed in places:
        yield place, before + bytes([byte]) + after, byte in allowed


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws"])
def test_each_byte_in_four_places(transport: str, streams: Site) -> None:
    """One connection for all: a request at fault does not break the stream that it came by."""
    matrix = [(byte, *row) for byte in range(256) for row in placed(byte)]
    wrong: list[str] = []
    with line(streams, transport) as opened:
        opened.alive()
        for number, (byte, place, header, allowed) in enumerate(matrix):
            data = numbered(number, method="REGISTER")[:-2] + header + b"\r\n\r\n"
            opened.send(data)
            answer = parse_answer(opened.receive() or b"")
            assert answer.header("cseq") == f"{number} REGISTER", (hex(byte), place)
            if answer.status != (401 if allowed else 400):
                wrong.append(f"{byte:#x} {place}: {answer.status}")
        opened.alive()
    assert len(matrix) == 1_024
    assert wrong == []


# Bombs


def test_bombs_cost_little_and_stop_nobody(streams: Site, report: Report) -> None:
    worst: dict[str, float] = {}
    with Line(streams.sip) as udp:
        for case in BOMBS:
            before = streams.cpu_seconds()
            for number in range(BOMBS_SENT):
                udp.send(case.data)
                if number % 20 == 19:
                    udp.alive()
            worst[case.name] = (streams.cpu_seconds() - before) / BOMBS_SENT
    name = max(worst, key=lambda name: worst[name])
    report(f"the worst of {len(BOMBS)} header bombs, {name}: {worst[name] * 1e3:.2f} ms of CPU a message")
    assert worst[name] <= BOMB_SECONDS


if SOAK:

    def test_the_loop_goes_on_under_bombs(streams: Site, report: Report) -> None:
        lags = [_worst_lag(streams, lambda: _bombard(streams, 2.0))]
        while min(lags) > LAG_SECONDS and len(lags) < TRIES:  # other programs take their time, too
            lags.append(_worst_lag(streams, lambda: _bombard(streams, 2.0)))
        report(f"loop lag under header bombs: p99 at most {min(lags) * 1e3:g} ms")
        assert min(lags) <= LAG_SECONDS


def _bombard(site: Site, seconds: float) -> None:
    """Every bomb that leaves a stream standing, again and again, 100 in a row."""
    bombs = [case.data for case in BOMBS if case.stream.end == "stays open"]
    until = time.monotonic() + seconds
    with TcpLine(site.tcp) as opened:
        for bomb in itertools.cycle(bombs):
            opened.send(bomb * 100)
            opened.alive()
            if time.monotonic() > until:
                return


def _worst_lag(site: Site, work: Callable[[], None]) -> float:
    """The upper bound of the bucket that holds the 99th percentile of the loop's lag during `work`."""
    before = _buckets(site)
    work()
    after = _buckets(site)
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = counts[float("inf")]
    assert total >= 10, "the loop was looked at too seldom"
    return min(bound for bound, count in counts.items() if count >= 0.99 * total)


def _buckets(site: Site) -> dict[float, float]:
    text = site.api("GET", "/metrics", token="").body
    rows = re.findall(r'^registrar_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    return {float(bound): float(count) for bound, count in rows}


# In the end


def test_nothing_of_it_was_unhandled(streams: Site) -> None:
    assert streams.metric("registrar_unhandled_exceptions_total") == 0
    assert "Traceback" not in streams.log_text
    assert streams.health("ready") == 200
