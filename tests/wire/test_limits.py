"""Peers that mean no good: each is thrown out in its time, and nobody else notices."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.patience import SOAK, limit
from tests.peers.phone import UdpPhone
from tests.peers.pipe import HungUp
from tests.peers.process import Process
from tests.peers.registrar import COMMAND
from tests.peers.stream import TcpPipe, trusting
from tests.wire.conftest import Report
from tests.wire.connected import STREAMS, registered
from tests.wire.fleet import Calm, Fleet
from tests.wire.need import rounds
from tests.wire.siege import SECURE, Order, Siege, hello
from tests.wire.site import Site, within
from tests.wire.usage import Gauge, Usage, ends, files, is_as_before, memory

pytestmark = pytest.mark.wire

COME_SECONDS: Final = rounds(2, 8)
"""In this time all of them come."""
LATE_SECONDS: Final = 1.0
"""So much later than its limit a connection may be closed."""
EARLIEST: Final = 0.9 if SOAK else 0.5
"""So much of its limit a connection may stay open; a busy machine notes late when it was opened."""
FIRST_SECONDS: Final = 5.0
MESSAGE_SECONDS: Final = 8.0
STUCK_SECONDS: Final = 10.0
UNAUTHENTICATED_SECONDS: Final = 20.0


# All at once: peers that waste time


@dataclass(frozen=True)
class Waste:
    """A way to waste time, how long it may go on, and what operators then read."""

    attack: str
    seconds: float
    reason: str
    transports: tuple[str, ...] = STREAMS
    bare: bool = False
    count: int = rounds(5, 50)


STREAMS_OF_SIP: Final = ("tcp", "tls")
WASTES: Final = [
    Waste("nothing", FIRST_SECONDS, "silent"),
    Waste("nothing", FIRST_SECONDS, "handshake", SECURE, bare=True),
    Waste("first_octet_of_tls", FIRST_SECONDS, "handshake", SECURE, bare=True),
    Waste("slow_tls", FIRST_SECONDS, "handshake", SECURE, bare=True),
    Waste("slow_upgrade", FIRST_SECONDS, "silent", ("ws", "wss")),
    Waste("slow_request", MESSAGE_SECONDS, "slow", STREAMS_OF_SIP),
    Waste("slow_frame", MESSAGE_SECONDS, "slow", ("ws", "wss")),
    Waste("slow_fragments", MESSAGE_SECONDS, "slow", ("ws", "wss")),
    Waste("keep_alives", UNAUTHENTICATED_SECONDS, "unauthenticated", STREAMS_OF_SIP),
    Waste("ws_keep_alives", UNAUTHENTICATED_SECONDS, "unauthenticated", ("ws", "wss")),
    Waste("questions", UNAUTHENTICATED_SECONDS, "unauthenticated", STREAMS_OF_SIP),
    Waste("deaf", STUCK_SECONDS, "stuck", count=rounds(10, 120)),
    Waste("chatty", STUCK_SECONDS, "stuck", count=rounds(3, 5)),
]
GAUGED: Final = {
    "asked": 'registrar_sip_requests_total{method="MESSAGE",',
    "stuck": 'registrar_connections_closed_total{reason="stuck"}',
}
"""Only the deaf say MESSAGE."""
DEAF: Final = tuple(waste for waste in WASTES if waste.reason == "stuck")


def name_of(waste: Waste) -> str:
    return f"{waste.attack}{', before TLS' if waste.bare else ''}"


@dataclass
class Besieged:
    """A server, ordinary phones on it, and what was done to it."""

    site: Site
    calm: Calm
    before: Usage
    ends: Counter[str]
    siege: Siege
    gauge: Gauge
    results: list[list[float | None]] = field(default_factory=list)
    over: Usage | None = None

    def seconds(self, waste: Waste) -> list[float | None]:
        """How long each connection that wasted time so was open."""
        size = len(waste.transports)
        start = sum(len(other.transports) for other in WASTES[: WASTES.index(waste)])
        return [one for result in self.results[start : start + size] for one in result]


@pytest.fixture(scope="module", autouse=True)
def begun(streams: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """All of them have begun; garbage goes to the other server while they waste their time.

    Strangers who say much are closed by their bucket before any other limit is reached, so it is off.
    """
    folder = tmp_path_factory.mktemp("besieged")
    with Site(folder, transports=STREAMS, limits="off") as site, Fleet(site) as fleet:
        calm = Calm.of(fleet)
        orders = [
            Order(
                waste.attack,
                transport,
                site.listeners[transport],
                waste.count,
                bare=waste.bare,
                rate=waste.count / COME_SECONDS,
            )
            for waste in WASTES
            for transport in waste.transports
        ]
        before, ended = Usage.of(site), ends(site)
        with Gauge(site, **GAUGED) as gauge, Siege(folder, orders) as siege:
            yield Besieged(site, calm, before, ended, siege, gauge)


@pytest.fixture(scope="module")
def besieged(begun: Besieged) -> Besieged:
    """The same, when all is over."""
    if not begun.results:
        begun.results = begun.siege.over()
    return begun


# Meanwhile: garbage


NOISE: Final = random.Random(4475)
GARBAGE: Final[dict[str, bytes]] = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: registrar.localhost\r\n\r\n",
    "HTTP without an end": b"GET / HTTP/1.1\r\nHost: registrar.localhost\r\n",
    "TLS": hello(),
    "SIP without an end": b"REGISTER sip:registrar.localhost SIP/2.0\r\nContent-Length: 0\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO registrar.localhost\r\n",
    "a NUL": b"\0",
    "many NULs": bytes(20_000),
    "a letter": b"A",
    "many letters": b"A" * 20_000,
    "a proxy's word": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "STUN": bytes.fromhex("000100002112a442") + bytes(12),
    "noise": NOISE.randbytes(100),
    "much noise": NOISE.randbytes(20_000),
}


def test_garbage_is_closed_or_ignored(streams: Site, report: Report) -> None:
    before, began = Usage.of(streams), time.monotonic()
    with ExitStack() as stack:
        pipes: list[tuple[str, bool, TcpPipe]] = []
        for transport, bare in [(name, False) for name in STREAMS] + [(name, True) for name in SECURE]:
            for number, (name, data) in enumerate(GARBAGE.items()):
                tls = trusting() if transport in SECURE and not bare else None
                pipe = TcpPipe(streams.listeners[transport], (f"127.0.2.{1 + number}", 0), tls)
                stack.callback(pipe.close)
                pipe.send(data)
                pipes.append((f"{name} over {transport}", transport in STREAMS_OF_SIP and not bare, pipe))
        _garbage_over_udp(streams)
        deadline = began + limit(MESSAGE_SECONDS + LATE_SECONDS)
        found = [(what, is_sip, _heard(pipe, deadline)) for what, is_sip, pipe in pipes]
    assert [what for what, _, said in found if said is None] == [], "they are still connected"
    assert [what for what, is_sip, said in found if is_sip and said] == [], "what is no SIP got an answer"
    report(f"{len(found)} connections with garbage were closed within {time.monotonic() - began:.1f} s")
    is_as_before(streams, before)
    handset = streams.new_phone()
    for transport in STREAMS:
        with registered(streams, handset, transport):
            pass


def _heard(pipe: TcpPipe, deadline: float) -> bytes | None:
    """All that the server says until it hangs up; None: it does not."""
    said = b""
    try:
        while (left := deadline - time.monotonic()) > 0:
            said += pipe.read(left) or b""
    except HungUp:
        return said
    return None


def _garbage_over_udp(site: Site) -> None:
    handset = site.new_phone()
    with UdpPhone(handset.account, site.sip) as phone:
        for data in GARBAGE.values():
            phone.send(data)
        assert phone.register().status == 200


# When it is over


@pytest.mark.parametrize("waste", [waste for waste in WASTES if waste not in DEAF], ids=name_of)
def test_who_wastes_time_is_thrown_out_in_his(waste: Waste, besieged: Besieged, report: Report) -> None:
    seconds = besieged.seconds(waste)
    assert len(seconds) == waste.count * len(waste.transports)
    took = [one for one in seconds if one is not None]
    assert len(took) == len(seconds), f"{len(seconds) - len(took)} were never closed"
    report(f"{len(took)} closed after {min(took):.2f} to {max(took):.2f} s")
    assert waste.seconds * EARLIEST <= min(took)
    assert max(took) <= limit(waste.seconds + LATE_SECONDS)


def test_who_does_not_read_is_thrown_out(besieged: Besieged, report: Report) -> None:
    """Ten seconds after the last of its requests that we have read."""
    assert None not in [one for waste in DEAF for one in besieged.seconds(waste)]
    asked, last_asked = besieged.gauge.grew("asked")
    stuck, last_stuck = besieged.gauge.grew("stuck")
    report(f"{asked:.0f} requests, {stuck:.0f} closed {last_stuck - last_asked:.1f} s after the last one")
    there = sum(waste.count * len(waste.transports) for waste in DEAF)
    # The others had no digest in time, because a busy machine takes long to fill them; the soak wants all.
    assert stuck == there if SOAK else stuck <= there
    if stuck:
        assert last_stuck - last_asked <= limit(STUCK_SECONDS + LATE_SECONDS)


def test_it_is_counted_why_they_were_thrown_out(besieged: Besieged) -> None:
    expected: Counter[str] = Counter()
    for waste in WASTES:
        expected[waste.reason] += waste.count * len(waste.transports)
    found = ends(besieged.site) - besieged.ends
    late = expected["stuck"] - found["stuck"]  # closed before: they had no digest in time
    assert late == 0 if SOAK else late >= 0
    expected.update({"unauthenticated": late, "stuck": -late})
    assert {reason: found[reason] for reason in expected} == expected


def test_nobody_else_notices_them(besieged: Besieged, report: Report) -> None:
    besieged.calm.nobody_notices(besieged.before.at, report)


def test_nothing_of_them_is_left(besieged: Besieged, report: Report) -> None:
    report(f"{(memory(besieged.site) - besieged.before.memory) / 1e6:+.1f} MB at first")
    is_as_before(besieged.site, besieged.before)
    report(f"{(memory(besieged.site) - besieged.before.memory) / 1e6:+.1f} MB in the end")


# A thousand connections a second


FLOOD_SECONDS: Final = rounds(3, 15)
FLOOD_RATE: Final = 1_000
COME_IN_SECONDS: Final = limit(0.5)
"""So long a phone may take that comes while others come and go."""


@pytest.mark.parametrize("transport", ["tcp", "wss"])
def test_a_thousand_come_and_go_each_second(
    transport: str, besieged: Besieged, tmp_path: Path, report: Report
) -> None:
    site = besieged.site
    handset, before = site.new_phone(), Usage.of(site)
    order = Order(
        "come_and_go",
        transport,
        site.listeners[transport],
        count=FLOOD_SECONDS * FLOOD_RATE,
        rate=FLOOD_RATE,
    )
    with Siege(tmp_path, [order]) as siege:
        time.sleep(FLOOD_SECONDS * 0.7)
        came = time.monotonic()
        with registered(site, handset, transport):
            took = time.monotonic() - came
        (seconds,) = siege.over()
    report(f"{len(seconds)} came and went; a phone that came meanwhile was online after {1000 * took:.0f} ms")
    assert len(seconds) == FLOOD_SECONDS * FLOOD_RATE
    assert None not in seconds
    assert took <= COME_IN_SECONDS
    besieged.calm.nobody_notices(before.at, report)
    is_as_before(site, before)


# Fewer file descriptors than connections


class Narrow(Site):
    """A server that may open few files."""

    FILES: Final = 640
    SPARE: Final = 512
    """What connections leave to everything else."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp, transports=STREAMS)
        argv = ["prlimit", f"--nofile={self.FILES}:{self.FILES}", str(COMMAND), "serve"]
        self._process = Process("registrar", argv, self._folder, environment=self.environment)


def test_with_few_file_descriptors_datagrams_redis_and_the_api_still_work(
    tmp_path: Path, report: Report, besieged: Besieged
) -> None:
    with Narrow(tmp_path) as site, Fleet(site, transports=("udp",)) as fleet:
        calm, before = Calm.of(fleet), Usage.of(site)
        count = rounds(1_000, 5_000)
        order = Order("nothing", "tcp", site.tcp, count, rate=1_000)
        with Siege(tmp_path, [order]) as siege:
            within(5, lambda: files(site) >= before.files + Narrow.FILES - Narrow.SPARE, "no place is left")
            handset = site.new_phone()
            with UdpPhone(handset.account, site.sip) as phone:
                assert phone.register(60).status == 200
            assert site.status(handset)["online"] is True
            site.redis("client", "kill", "type", "normal")
            within(2, site.ready, "Redis is found again")
            (seconds,) = siege.over()
        ended = ends(site)
        report(
            f"{count} came: {ended['refused']} were refused, {ended['silent']} were let in and said nothing"
        )
        assert None not in seconds
        assert ended["refused"] + ended["silent"] == count
        assert ended["silent"] >= Narrow.FILES - Narrow.SPARE
        came = time.monotonic()
        with registered(site, site.new_phone(), "tcp"):
            report(f"a phone is let in {1000 * (time.monotonic() - came):.0f} ms later")
        calm.nobody_notices(before.at, report)
        is_as_before(site, before)
