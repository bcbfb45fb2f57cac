"""Peers that mean no good: each is thrown out in its time, and nobody else notices."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.peers.phone import UdpPhone
from tests.peers.pipe import HungUp
from tests.peers.process import Process
from tests.peers.registrar import COMMAND
from tests.peers.stream import TcpPipe, trusting
from tests.wire.conftest import Report
from tests.wire.connected import STREAMS, ConnectedPhone, NotUpgraded, connect, registered
from tests.wire.fleet import RATE, Fleet
from tests.wire.frames import RawWebSocket, upgrade
from tests.wire.need import need, rounds
from tests.wire.siege import SECURE, Order, Siege, hello
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

P99_SECONDS: Final = 0.1
BUSY: Final = 3.0
CALM_SECONDS: Final = 1.5
GAUGE_SECONDS: Final = 0.2
COME_SECONDS: Final = rounds(1, 8)
"""In this time all of them come."""
LATE_SECONDS: Final = 1.0
"""So much later than its limit a connection may be closed."""
FIRST_SECONDS: Final = 5.0
MESSAGE_SECONDS: Final = 8.0
STUCK_SECONDS: Final = 10.0
UNAUTHENTICATED_SECONDS: Final = 20.0
PER_SOURCE: Final = 256
BACK_SECONDS: Final = 8.0
"""Memory is given back every five seconds."""
MEMORY: Final = 16 * 1024 * 1024
FILES: Final = 2
LINES_A_SECOND: Final = 1.0


# What a process uses, and what it says


@dataclass(frozen=True)
class Usage:
    """What a server holds of its machine, and has written, at one moment."""

    at: float
    """Wall clock."""
    files: int
    memory: int
    lines: int
    """Of its log, without those that tell of an ordinary registration."""

    @classmethod
    def of(cls, site: Site) -> "Usage":
        lines = [line for line in site.log_text.splitlines() if '"REGISTER 200"' not in line]
        return cls(time.time(), files(site), memory(site), len(lines))


def files(site: Site) -> int:
    """The file descriptors it has open."""
    return len(os.listdir(f"/proc/{site.pid}/fd"))


def memory(site: Site) -> int:
    """The memory it holds, without that of its Redis."""
    pages = int(Path(f"/proc/{site.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_as_before(site: Site, before: Usage) -> None:
    """Files and memory are back, and the log has not been flooded."""
    within(BACK_SECONDS, lambda: files(site) <= before.files + FILES, "the file descriptors are back")
    within(BACK_SECONDS, lambda: memory(site) <= before.memory + MEMORY, "the memory is back")
    now = Usage.of(site)
    assert now.lines - before.lines <= LINES_A_SECOND * (now.at - before.at), site.log[-2000:]
    assert "Traceback" not in site.log_text
    assert site.metric("unhandled_exceptions_total") == 0


@dataclass(frozen=True)
class Calm:
    """Ordinary phones, and how soon they were answered while nobody misbehaved."""

    fleet: Fleet
    p99: float

    @classmethod
    def of(cls, fleet: Fleet) -> "Calm":
        """Everybody has a connection; from now on it is measured."""
        within(20, lambda: fleet.acknowledged > fleet.size, "everybody is there")
        since = time.time()
        time.sleep(CALM_SECONDS)
        return cls(fleet, fleet.p99(since, time.time()))

    def nobody_notices(self, since: float, report: Report) -> None:
        """All that was asked since then was answered, and soon; on a machine that is busy, not much later."""
        until = time.time()
        answered, p99 = self.fleet.answered(since, until), self.fleet.p99(since, until)
        slowest = max((one.seconds for one in answered), default=0.0)
        took = f"p99 {1000 * p99:.0f} ms (before: {1000 * self.p99:.0f}), slowest {1000 * slowest:.0f} ms"
        report(f"{len(answered)} registrations of others in {until - since:.1f} s: {took}")
        assert len(answered) > (until - since) * RATE / 2, "they register all the time"
        assert self.fleet.failures == []
        assert p99 <= max(P99_SECONDS, BUSY * self.p99)


def ends(site: Site) -> Counter[str]:
    """How often a connection has ended, by reason."""
    reasons = (
        "silent",
        "slow",
        "unauthenticated",
        "stuck",
        "handshake",
        "refused",
        "malformed",
        "policy",
        "peer",
    )
    return Counter({reason: int(site.metric("conn_closed_total", reason=reason)) for reason in reasons})


class Gauge:
    """Looks at two figures of a server again and again, in a thread of its own."""

    NAMES: Final = {
        "asked": 'sip_rx_total{method="MESSAGE",',
        "stuck": 'conn_closed_total{reason="stuck"}',
    }

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: dict[str, list[tuple[float, float]]] = {name: [] for name in self.NAMES}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def grew(self, name: str) -> tuple[float, float]:
        """How much it is now, and when it was first seen to be so much."""
        seen = self._seen[name]
        value = seen[-1][1]
        return value, next(at for at, found in seen if found == value)

    def _run(self) -> None:
        while not self._stop.wait(GAUGE_SECONDS):
            lines = self._site.api("GET", "/metrics", token="").body.splitlines()
            for name, prefix in self.NAMES.items():
                found = sum(float(line.split()[-1]) for line in lines if line.startswith(prefix))
                self._seen[name].append((time.monotonic(), found))

    def __enter__(self) -> "Gauge":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


# Another server, to be looked at meanwhile


PROXY: Final = "127.0.0.3"
PROXIES: Final = f"{PROXY}/32,127.0.0.4/32"
NOBODY: Final = "127.0.0.2"
"""No proxy of ours."""
ORIGINS: Final = "https://phone.example, https://other.example:8443"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server behind proxies, for pages of two origins."""
    need("redis-cli")
    with Site(
        tmp_path_factory.mktemp("guarded"),
        transports=STREAMS,
        trusted_proxies=PROXIES,
        ws_origins=ORIGINS,
    ) as site:
        site.demo()
        yield site


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
def begun(guarded: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """All of them have begun; other tests run while they waste their time."""
    folder = tmp_path_factory.mktemp("besieged")
    with Site(folder, transports=STREAMS) as site, Fleet(site) as fleet:
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
        with Gauge(site) as gauge, Siege(folder, orders) as siege:
            yield Besieged(site, calm, before, ended, siege, gauge)


@pytest.fixture(scope="module")
def besieged(begun: Besieged) -> Besieged:
    """The same, when all is over."""
    if not begun.results:
        begun.results = begun.siege.over()
    return begun


# Meanwhile: who may come at all


def opening(*headers: tuple[str, str]) -> bytes:
    """An upgrade with more headers."""
    head = upgrade().removesuffix(b"\r\n\r\n").decode()
    return "\r\n".join([head, *(f"{name}: {value}" for name, value in headers), "", ""]).encode()


XFF: Final = "X-Forwarded-For"
FORWARDED: Final[dict[str, tuple[list[tuple[str, str]], str]]] = {
    "one address": ([(XFF, "192.0.2.1")], "192.0.2.1"),
    "blanks around": ([(XFF, "  192.0.2.1  ")], "192.0.2.1"),
    "another case": ([("x-forwarded-FOR", "192.0.2.1")], "192.0.2.1"),
    "the rightmost counts": ([(XFF, "198.51.100.1, 192.0.2.1")], "192.0.2.1"),
    "a claim of the client": ([(XFF, "127.0.0.1, 192.0.2.1")], "192.0.2.1"),
    "junk of the client": ([(XFF, "junk, 192.0.2.1")], "192.0.2.1"),
    "nothing of the client": ([(XFF, ", 192.0.2.1")], "192.0.2.1"),
    "over a proxy": ([(XFF, "192.0.2.1, 127.0.0.4")], "192.0.2.1"),
    "over all proxies": ([(XFF, "192.0.2.1, 127.0.0.4,127.0.0.3")], "192.0.2.1"),
    "a folded proxy": ([(XFF, "192.0.2.1, ::ffff:127.0.0.4")], "192.0.2.1"),
    "two rows": ([(XFF, "198.51.100.1"), (XFF, "192.0.2.1")], "192.0.2.1"),
    "folded": ([(XFF, "::ffff:192.0.2.1")], "192.0.2.1"),
    "IPv6": ([(XFF, "2001:db8::1")], "2001:db8::1"),
    "sixteen": ([(XFF, ",".join(["192.0.2.9"] * 15 + ["192.0.2.1"]))], "192.0.2.1"),
    "beside Forwarded": ([(XFF, "192.0.2.1"), ("Forwarded", "for=192.0.2.8")], "192.0.2.1"),
}
"""What a proxy of ours says, and where the phone then is."""
UNCLEAR: Final[dict[str, str]] = {
    "junk": "junk",
    "unknown": "unknown",
    "a port": "192.0.2.1:5060",
    "brackets": "[2001:db8::1]",
    "brackets and port": "[2001:db8::1]:443",
    "a zone": "2001:db8::1%eth0",
    "three numbers": "192.0.2",
    "too large": "192.0.2.256",
    "leading zeros": "192.0.02.1",
    "hexadecimal": "0xc0000201",
    "a number": "3221225985",
    "a network": "192.0.2.0/24",
    "nothing at the end": "192.0.2.1,",
    "a semicolon": "192.0.2.1;198.51.100.1",
    "a blank between": "192.0.2.1 198.51.100.1",
    "quotes": '"192.0.2.1"',
    "seventeen": ",".join(["192.0.2.1"] * 17),
    "junk behind a proxy": "junk, 127.0.0.4",
}
"""What a proxy of ours cannot have meant."""


@pytest.mark.parametrize("variant", FORWARDED)
def test_a_proxy_of_ours_says_where_a_phone_is(variant: str, guarded: Site) -> None:
    headers, address = FORWARDED[variant]
    handset = guarded.new_phone()
    with ConnectedPhone(
        handset.account, guarded.wss, "wss", source=(PROXY, 0), opening=opening(*headers)
    ) as phone:
        assert phone.register().status == 200
        assert guarded.status(handset)["publicIpAddress"] == address
        assert guarded.phone(handset)["ip"] == {"mode": "LOCKED", "countries": "", "address": address}


@pytest.mark.parametrize("variant", UNCLEAR)
def test_what_a_proxy_of_ours_cannot_mean_is_refused(variant: str, guarded: Site) -> None:
    for transport in ("ws", "wss"):
        with RawWebSocket(
            guarded.listeners[transport],
            opening((XFF, UNCLEAR[variant])),
            secure=transport == "wss",
            source=(PROXY, 0),
        ) as refused:
            assert refused.http().status == 400
            assert refused.ended(2.0)


@pytest.mark.parametrize(
    "headers",
    [[], [(XFF, "")], [(XFF, "127.0.0.4")], [("X-Real-IP", "192.0.2.1")], [("Forwarded", "for=192.0.2.1")]],
    ids=["no word", "nothing", "another proxy", "X-Real-IP", "Forwarded"],
)
def test_nobody_is_locked_to_a_proxy(headers: list[tuple[str, str]], guarded: Site) -> None:
    handset = guarded.new_phone()
    with ConnectedPhone(
        handset.account, guarded.wss, "wss", source=(PROXY, 0), opening=opening(*headers)
    ) as phone:
        assert phone.register().status == 403
    assert guarded.phone(handset)["ip"]["mode"] == "OPEN"
    assert guarded.status(handset)["lastRejectedReason"] == "proxy-address"


@pytest.mark.parametrize("value", ["192.0.2.1", "junk", f"192.0.2.1, {PROXY}", ",".join(["192.0.2.1"] * 17)])
def test_what_anybody_else_says_is_not_heard(value: str, guarded: Site) -> None:
    handset = guarded.new_phone()
    with ConnectedPhone(
        handset.account, guarded.wss, "wss", source=(NOBODY, 0), opening=opening((XFF, value))
    ) as phone:
        assert phone.register().status == 200
    assert guarded.phone(handset)["ip"]["address"] == NOBODY
    assert guarded.status(handset)["publicIpAddress"] == NOBODY


ALLOWED: Final[dict[str, list[tuple[str, str]]]] = {
    "none": [],
    "the first": [("Origin", "https://phone.example")],
    "the second": [("Origin", "https://other.example:8443")],
}
STRANGE: Final[dict[str, tuple[list[str], int]]] = {
    "another": (["https://evil.example"], 403),
    "null": (["null"], 403),
    "empty": ([""], 403),
    "a longer name": (["https://phone.example.evil.example"], 403),
    "a subdomain": (["https://a.phone.example"], 403),
    "a path": (["https://phone.example/"], 403),
    "a port": (["https://phone.example:443"], 403),
    "no port": (["https://other.example"], 403),
    "http": (["http://phone.example"], 403),
    "both": (["https://phone.example, https://other.example:8443"], 403),
    "two of them": (["https://phone.example", "https://phone.example"], 400),
}


@pytest.mark.parametrize("variant", ALLOWED)
def test_pages_of_our_origins_may_connect(variant: str, guarded: Site) -> None:
    handset = guarded.new_phone()
    with ConnectedPhone(handset.account, guarded.wss, "wss", opening=opening(*ALLOWED[variant])) as phone:
        assert phone.register().status == 200


@pytest.mark.parametrize("variant", STRANGE)
def test_pages_of_other_origins_may_not(variant: str, guarded: Site) -> None:
    values, status = STRANGE[variant]
    with pytest.raises(NotUpgraded) as refused:
        handset = guarded.new_phone()
        headers = [("Origin", value) for value in values]
        ConnectedPhone(handset.account, guarded.wss, "wss", opening=opening(*headers))
    assert refused.value.status == status


def test_without_a_list_any_page_may_connect(begun: Besieged) -> None:
    handset = begun.site.new_phone()
    headers = ("Origin", "https://evil.example")
    with ConnectedPhone(handset.account, begun.site.wss, "wss", opening=opening(headers)) as phone:
        assert phone.register().status == 200


# Meanwhile: how many may come from one address


@contextmanager
def crowd(site: Site, source: str, count: int) -> Iterator[list[TcpPipe]]:
    """So many connections that say nothing."""
    with ExitStack() as stack:
        pipes = []
        for _ in range(count):
            pipe = TcpPipe(site.tcp, (source, 0))
            stack.callback(pipe.close)
            pipes.append(pipe)
        yield pipes


def is_closed(pipe: TcpPipe, within_seconds: float) -> bool:
    try:
        while pipe.read(within_seconds) is not None:
            pass
    except HungUp:
        return True
    return False


def test_an_address_has_so_many_places_for_strangers(guarded: Site) -> None:
    source = "127.0.0.50"
    handset, late = guarded.new_phone(), guarded.new_phone()
    refused = guarded.metric("conn_closed_total", reason="refused")
    with registered(guarded, handset, "tcp", source=(source, 0)), crowd(guarded, source, PER_SOURCE) as pipes:
        assert not is_closed(pipes[-1], 0.1), "who has proved an identity takes no place"
        with crowd(guarded, source, 2) as more:
            assert all(is_closed(pipe, 1.0) for pipe in more)
        assert guarded.metric("conn_closed_total", reason="refused") == refused + 2
        with registered(guarded, late, "tcp", source=("127.0.0.51", 0)):
            assert guarded.status(late)["online"] is True, "other addresses have theirs"
        left = guarded.metric("conn_closed_total", reason="peer")
        pipes[0].close()
        within(1, lambda: guarded.metric("conn_closed_total", reason="peer") > left, "it is noticed")
        with connect(guarded, handset, "tcp", source=(source, 0)) as again:
            assert again.register().status == 200, "a place that was left is free"


def test_behind_a_proxy_the_places_are_those_of_the_address_it_names(guarded: Site) -> None:
    def come(address: str) -> RawWebSocket:
        return RawWebSocket(guarded.ws, opening((XFF, address)), source=(PROXY, 0))

    with ExitStack() as stack:
        crowd = [stack.enter_context(come("192.0.2.77")) for _ in range(PER_SOURCE)]
        assert {one.http().status for one in crowd} == {101}
        assert stack.enter_context(come("192.0.2.77")).ended(1.0), "one too many"
        assert stack.enter_context(come("192.0.2.78")).http().status == 101
        crowd[0].close()
        time.sleep(0.2)
        assert stack.enter_context(come("192.0.2.77")).http().status == 101


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


def test_garbage_is_closed_or_ignored(guarded: Site, report: Report) -> None:
    before, began = Usage.of(guarded), time.monotonic()
    with ExitStack() as stack:
        pipes: list[tuple[str, bool, TcpPipe]] = []
        for transport, bare in [(name, False) for name in STREAMS] + [(name, True) for name in SECURE]:
            for number, (name, data) in enumerate(GARBAGE.items()):
                tls = trusting() if transport in SECURE and not bare else None
                pipe = TcpPipe(guarded.listeners[transport], (f"127.0.2.{1 + number}", 0), tls)
                stack.callback(pipe.close)
                pipe.send(data)
                pipes.append((f"{name} over {transport}", transport in STREAMS_OF_SIP and not bare, pipe))
        _garbage_over_udp(guarded)
        deadline = began + MESSAGE_SECONDS + LATE_SECONDS
        found = [(what, is_sip, _heard(pipe, deadline)) for what, is_sip, pipe in pipes]
    assert [what for what, _, said in found if said is None] == [], "they are still connected"
    assert [what for what, is_sip, said in found if is_sip and said] == [], "what is no SIP got an answer"
    report(f"{len(found)} connections with garbage were closed within {time.monotonic() - began:.1f} s")
    is_as_before(guarded, before)
    handset = guarded.new_phone()
    for transport in STREAMS:
        with registered(guarded, handset, transport):
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
    assert waste.seconds - LATE_SECONDS / 2 <= min(took)
    assert max(took) <= waste.seconds + LATE_SECONDS


def test_who_does_not_read_is_thrown_out(besieged: Besieged, report: Report) -> None:
    """Ten seconds after the last of its requests that we have read."""
    assert None not in [one for waste in DEAF for one in besieged.seconds(waste)]
    asked, last_asked = besieged.gauge.grew("asked")
    stuck, last_stuck = besieged.gauge.grew("stuck")
    report(f"{asked:.0f} requests, {stuck:.0f} closed {last_stuck - last_asked:.1f} s after the last one")
    assert stuck == sum(waste.count * len(waste.transports) for waste in DEAF)
    assert last_stuck - last_asked <= STUCK_SECONDS + LATE_SECONDS


def test_it_is_counted_why_they_were_thrown_out(besieged: Besieged) -> None:
    expected: Counter[str] = Counter()
    for waste in WASTES:
        expected[waste.reason] += waste.count * len(waste.transports)
    found = ends(besieged.site) - besieged.ends
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
COME_IN_SECONDS: Final = 0.5
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
