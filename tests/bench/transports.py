"""What a registration costs over each transport, and what a browser that only keeps its connection costs.

One load generator speaks all transports, so that what it costs is the same on each: phones of asyncio, each
with a connection of its own that it keeps, `in_flight` of them registering at any moment.
"""

import asyncio
import os
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from tests.bench import sides
from tests.bench.sides import LOAD_CORE, Side
from tests.peers.endpoint import Phone
from tests.peers.load import ConnectedPhone, Transport, opening
from tests.peers.phone import Account
from tests.peers.process import PeerFailed
from tests.peers.registrar import RegistrarServer

COMPARED: Final[tuple[Transport, ...]] = ("udp", "tcp", "tls", "wss")
SOURCES: Final = tuple(f"127.0.0.{number}" for number in range(2, 34))
"""So many addresses that no limit of one address is reached."""
CONNECTING: Final = 32
EXPIRES: Final = 3_600
SETTLE_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Cost:
    """Registrations over one transport."""

    transport: str
    per_second: float
    cpu_us: float
    """User and system time of the server for one registration: REGISTER, 401, REGISTER with digest, 200."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Idle:
    """Browsers that are registered and do nothing."""

    connections: int
    kilobytes: float
    """Resident memory of the server for each."""
    connected_per_second: float
    """How fast they came: TLS handshake, upgrade, registration."""
    lag_p99_ms: float
    """The upper end of the bucket that 99 of 100 readings of the event loop's lag lie in, under `rate`."""
    rate: float
    p99_ms: float
    """Of the registrations that went on meanwhile."""


def compare(tmp: Path, phones: int, runs: int, in_flight: int, compiled: bool) -> list[Cost]:
    """The median of `runs` for each transport, in turns, on one server."""
    with _side(tmp, phones, compiled) as side, on_the_load_core():
        fleets = dict.fromkeys(COMPARED, side.accounts[:phones])
        found: dict[str, list[Cost]] = {transport: [] for transport in COMPARED}
        for transport, accounts in fleets.items():
            found[transport] = uvloop.run(_runs(side, transport, accounts, runs, in_flight))
        return [_median(costs) for costs in found.values()]


def idle(tmp: Path, connections: int, rate: float, seconds: float) -> Idle:
    """`connections` registered browsers on one process, and `rate` registrations a second over them."""
    with _side(tmp, connections, compiled=False) as side, on_the_load_core():
        return uvloop.run(_idle(side, rate, seconds))


@contextmanager
def _side(tmp: Path, phones: int, compiled: bool) -> Iterator[Side]:
    make = sides.compiled if compiled else sides.ours
    with make(tmp, phones, transports=("tcp", "tls", "wss"), addresses=SOURCES) as side:
        yield side


@contextmanager
def on_the_load_core() -> Iterator[None]:
    """This process is the load generator: it leaves the server's core alone."""
    before = os.sched_getaffinity(0)
    if LOAD_CORE:
        os.sched_setaffinity(0, {int(LOAD_CORE)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _fleet(side: Side, transport: Transport, accounts: Sequence[Account]) -> list[Phone]:
    """Phones that have their connections and are registered for the first time."""
    server = _server(side).listeners[transport]
    turn = asyncio.Semaphore(CONNECTING)
    shared = {}
    if transport == "udp":
        for source in SOURCES:
            shared[source] = await opening("udp", server, (source, 0))()
    phones: list[Phone] = []
    for number, account in enumerate(accounts):
        source = SOURCES[number % len(SOURCES)]
        if transport == "udp":
            phones.append(Phone(account, shared[source]))
        else:
            phones.append(ConnectedPhone(account, transport, opening(transport, server, (source, 0))))

    async def first(phone: Phone) -> None:
        async with turn:
            await _register(phone)

    await asyncio.gather(*map(first, phones))
    return phones


async def _runs(
    side: Side, transport: Transport, accounts: Sequence[Account], runs: int, in_flight: int
) -> list[Cost]:
    phones = await _fleet(side, transport, accounts)
    try:
        await _closed_loop(side, transport, phones, in_flight)  # warm-up
        return [await _closed_loop(side, transport, phones, in_flight) for _ in range(runs)]
    finally:
        await _hang_up(phones)


async def _closed_loop(side: Side, transport: str, phones: list[Phone], in_flight: int) -> Cost:
    """Every phone registers four times."""
    waiting = [phone for _ in range(4) for phone in phones]
    waiting.reverse()
    seconds: list[float] = []

    async def work() -> None:
        while waiting:
            seconds.append(await _register(waiting.pop()))

    cpu, begin = side.server.cpu_seconds(), time.monotonic()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    took, cpu = time.monotonic() - begin, side.server.cpu_seconds() - cpu
    count = len(seconds)
    return Cost(transport, count / took, cpu / count * 1e6, *_percentiles(seconds))


async def _idle(side: Side, rate: float, seconds: float) -> Idle:
    before, begin = side.server.resident_bytes(), time.monotonic()
    phones = await _fleet(side, "wss", side.accounts)
    took = time.monotonic() - begin
    await asyncio.sleep(SETTLE_SECONDS)
    grown = side.server.resident_bytes() - before
    lag = _Lag(_server(side))
    latencies: list[float] = []
    async with asyncio.TaskGroup() as tasks:

        async def note(phone: Phone) -> None:
            latencies.append(await _register(phone))

        for number in range(round(rate * seconds)):
            tasks.create_task(note(phones[number % len(phones)]))
            await asyncio.sleep(max(0.0, begin + took + SETTLE_SECONDS + number / rate - time.monotonic()))
    count = len(phones)
    result = Idle(count, grown / 1024 / count, count / took, lag.p99_ms(), rate, _percentiles(latencies)[1])
    await _hang_up(phones)
    return result


class _Lag:
    """The histogram of the event loop's lag since now, from /metrics."""

    def __init__(self, server: RegistrarServer) -> None:
        self._server = server
        self._before = self._read()

    def p99_ms(self) -> float:
        counts = {upper: count - self._before[upper] for upper, count in self._read().items()}
        total = counts[float("inf")]
        if not total:
            raise PeerFailed("the event loop's lag was not measured")
        return min(upper for upper, count in counts.items() if count >= 0.99 * total) * 1e3

    def _read(self) -> dict[float, float]:
        text = self._server.api("GET", "/metrics", token="").body
        rows = re.findall(r'^registrar_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)
        return {float(upper): float(count) for upper, count in rows}


async def _register(phone: Phone) -> float:
    """One whole registration, challenge and all: how long it took."""
    begin = time.monotonic()
    answer = await phone.register(EXPIRES)
    if answer.status != 200:
        raise PeerFailed(f"a registration got {answer.status} {answer.reason}")
    return time.monotonic() - begin


async def _hang_up(phones: Sequence[Phone]) -> None:
    await asyncio.gather(*(phone.close() for phone in phones if isinstance(phone, ConnectedPhone)))


def _server(side: Side) -> RegistrarServer:
    if not isinstance(side.server, RegistrarServer):
        raise PeerFailed(f"{side.name} is not ours")
    return side.server


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49] * 1e3, cuts[98] * 1e3


def _median(costs: Sequence[Cost]) -> Cost:
    middle = statistics.median_low([cost.cpu_us for cost in costs])
    return next(cost for cost in costs if cost.cpu_us == middle)
