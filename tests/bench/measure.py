"""One measurement of a side: registrations as fast as they go, at a steady rate, and what they occupy."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.sides import LOAD_CORE, Side
from tests.peers import procfs
from tests.peers.phone import Account
from tests.peers.process import PeerFailed
from tests.peers.sipp import Pace, run_sipp

RUN_SECONDS: Final = 300.0
SETTLE_SECONDS: Final = 20.0
SETTLE_STEP: Final = 0.25
STEADY_READINGS: Final = 4


@dataclass(frozen=True)
class Rates:
    """What registrations cost: each is REGISTER, 401, REGISTER with digest, 200."""

    registrations: int
    per_second: float
    cpu_us: float
    """User and system time of the server for one registration."""
    redis_cpu_us: float
    p50_ms: float
    p99_ms: float
    retransmitted: int


@dataclass(frozen=True)
class Occupied:
    """What one binding occupies."""

    bindings: int
    redis_bytes: float
    resident_bytes: float
    first: Rates
    """What it cost to register these phones for the first time."""


def closed_loop(side: Side, tmp: Path, accounts: Sequence[Account], calls: int, in_flight: int) -> Rates:
    """`calls` registrations, `in_flight` of them at any moment."""
    return _rates(side, tmp, accounts, _pace(side, calls, in_flight=in_flight))


def open_loop(side: Side, tmp: Path, accounts: Sequence[Account], rate: float, seconds: float) -> Rates:
    """`rate` registrations a second, each on its own: nothing can be batched."""
    return _rates(side, tmp, accounts, _pace(side, round(rate * seconds), rate=rate))


def median(runs: Sequence[Rates]) -> Rates:
    """The run with the median CPU time of an odd number of runs, whole: its figures belong together."""
    middle = statistics.median_low([run.cpu_us for run in runs])
    return next(run for run in runs if run.cpu_us == middle)


def occupied(
    side: Side, tmp: Path, phones: Sequence[Account], warm_up: Sequence[Account], in_flight: int
) -> Occupied:
    """Register `phones` once each, and say by how much the server and its Redis grew for each."""
    closed_loop(side, tmp, warm_up, len(warm_up), in_flight)
    side.drop_streams()
    redis_before, resident_before = redis_bytes(side), side.server.resident_bytes()
    first = closed_loop(side, tmp, phones, len(phones), in_flight)
    side.drop_streams()
    redis_after, resident_after = redis_bytes(side), side.server.resident_bytes()
    count = len(phones)
    return Occupied(
        count, (redis_after - redis_before) / count, (resident_after - resident_before) / count, first
    )


def redis_bytes(side: Side) -> int:
    """`used_memory` without the buffers of clients and of the append-only file, when it has come to rest."""
    deadline = time.monotonic() + SETTLE_SECONDS
    readings: list[int] = []
    while len(readings) < STEADY_READINGS or len(set(readings[-STEADY_READINGS:])) > 1:
        if time.monotonic() > deadline:
            break
        memory = side.redis.info("memory")
        buffers = ("mem_clients_normal", "mem_clients_slaves", "mem_aof_buffer")
        readings.append(int(memory["used_memory"]) - sum(int(memory[name]) for name in buffers))
        time.sleep(SETTLE_STEP)
    return readings[-1]


def _pace(side: Side, calls: int, *, in_flight: int = 1_000, rate: float | None = None) -> Pace:
    return Pace(calls, in_flight, rate, local_port=side.port, timeout=RUN_SECONDS, cores=LOAD_CORE)


def _rates(side: Side, tmp: Path, accounts: Sequence[Account], pace: Pace) -> Rates:
    cpu, redis_cpu = side.server.cpu_seconds(), procfs.cpu_seconds([side.redis.pid])
    result = run_sipp(tmp, side.server.sip, accounts, pace)
    cpu, redis_cpu = side.server.cpu_seconds() - cpu, procfs.cpu_seconds([side.redis.pid]) - redis_cpu
    if result.succeeded != pace.calls:
        raise PeerFailed(
            f"{side.name}: {result.succeeded} of {pace.calls} registered, answers {result.codes}"
        )
    return Rates(
        registrations=result.succeeded,
        per_second=result.per_second,
        cpu_us=cpu / result.succeeded * 1e6,
        redis_cpu_us=redis_cpu / result.succeeded * 1e6,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        retransmitted=result.retransmitted,
    )
