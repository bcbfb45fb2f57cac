"""Calls between registered UDP phones, without media: as fast as they go, at half of that, and many held."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.bench.calls_sides import SIDES, CallSide
from tests.bench.sides import LOAD_CORE
from tests.peers import procfs
from tests.peers.process import PeerFailed
from tests.peers.sipp_calls import Callers, CallPace, Credentials, run_calls

WARM_UP: Final = 1_000
WARM_UP_RATE: Final = 100.0
"""Slow, so that everybody who is called is read from the database without a queue."""
REST_SECONDS: Final = 6.0
"""Between two runs: Kamailio keeps a transaction for 5 s."""
HELD_RATE: Final = 100.0
"""Calls a second that begin, and end, when many are held."""
HELD_SECONDS: Final = 15.0
"""So long nothing happens but that they are held."""
LINGER_SECONDS: Final = 40.0
"""Longer than any transaction stays after its end (64 times T1, 32 s)."""
STEADY_LIMIT: Final = 1_000
"""Calls a second at which two sipp on one core still keep an even pace."""
FAILED_LIMIT: Final = 0.01
"""A run with more failed calls than this share says nothing about the rest."""
HELD_ROUNDS: Final = 2
"""What is made only once is there after the first; what the second adds is lost."""


@dataclass(frozen=True)
class CallRates:
    """What calls cost: INVITE, 180, 200, ACK, BYE, 200, and before it INVITE, 407, ACK unless told."""

    calls: int
    per_second: float
    cpu_us: float
    """User and system time of the server for one call."""
    core: float
    """The share of its core that the server used: 1 is all of it."""
    redis_cpu_us: float
    p50_ms: float
    p99_ms: float
    """From the INVITE with credentials to the 200."""
    retransmitted: int
    failed: int


@dataclass(frozen=True)
class Held:
    """Resident memory of the server around calls that all stand at once."""

    calls: int
    before: int
    held: int
    after: int
    core: float
    """The share of a core that it takes to hold them."""


@dataclass(frozen=True)
class CallFigures:
    """All that was measured of the calls of one side."""

    name: str
    closed: CallRates
    closed_runs: list[CallRates]
    known: CallRates
    """Without 407: the INVITE comes with the nonce of the registration."""
    known_runs: list[CallRates]
    half: CallRates
    """At half the rate of `closed`, but never faster than STEADY_LIMIT."""
    held: list[Held]


@dataclass(frozen=True)
class Wanted:
    """How much is to be measured."""

    sides: Sequence[str]
    calls: int
    in_flight: int
    runs: int
    seconds: float
    held: int
    """Calls at once; of our plain program alone, for Kamailio keeps nothing of a call that was answered."""


def measure(tmp: Path, wanted: Wanted, console: Console) -> list[CallFigures]:
    """Every side, one after the other."""
    found = []
    for name in wanted.sides:
        console.print(f"[dim]calls: {name} ...")
        held = wanted.held if name == "registrar" else 0
        with SIDES[name](tmp) as side:
            found.append(_figures(side, tmp, wanted, held))
    return found


def _figures(side: CallSide, tmp: Path, wanted: Wanted, held: int) -> CallFigures:
    _run(side, tmp, CallPace(WARM_UP, rate=WARM_UP_RATE))
    closed_runs = [_run(side, tmp, CallPace(wanted.calls, wanted.in_flight)) for _ in range(wanted.runs)]
    closed = median(closed_runs)
    known_runs = [
        _run(side, tmp, CallPace(wanted.calls, wanted.in_flight, credentials=Credentials.KNOWN))
        for _ in range(wanted.runs)
    ]
    rate = min(STEADY_LIMIT, max(1, round(closed.per_second / 2)))
    half = _run(side, tmp, CallPace(round(rate * wanted.seconds), rate=rate))
    rounds = [_held(side, tmp, held) for _ in range(HELD_ROUNDS if held else 0)]
    return CallFigures(side.name, closed, closed_runs, median(known_runs), known_runs, half, rounds)


def median(runs: Sequence[CallRates]) -> CallRates:
    """The run with the median CPU time of an odd number of runs, whole: its figures belong together."""
    middle = statistics.median_low([run.cpu_us for run in runs])
    return next(run for run in runs if run.cpu_us == middle)


def _run(side: CallSide, tmp: Path, pace: CallPace) -> CallRates:
    if pace.credentials is Credentials.KNOWN:
        side.register()
    time.sleep(REST_SECONDS)
    cpu, redis_cpu = side.server.cpu_seconds(), _redis_seconds(side)
    result = run_calls(tmp, side.callers, side.callees.extensions, pace, cores=LOAD_CORE)
    cpu, redis_cpu = side.server.cpu_seconds() - cpu, _redis_seconds(side) - redis_cpu
    if result.failed > FAILED_LIMIT * pace.calls:
        raise PeerFailed(
            f"{side.name}: {result.failed} of {pace.calls} calls failed, answers {result.codes}\n"
            f"{result.errors}"
        )
    return CallRates(
        calls=result.succeeded,
        per_second=result.per_second,
        cpu_us=cpu / result.succeeded * 1e6,
        core=cpu / result.seconds,
        redis_cpu_us=redis_cpu / result.succeeded * 1e6,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        retransmitted=result.retransmitted,
        failed=result.failed,
    )


def _redis_seconds(side: CallSide) -> float:
    return 0.0 if side.redis is None else procfs.cpu_seconds([side.redis.pid])


def _held(side: CallSide, tmp: Path, calls: int) -> Held:
    """All calls stand for HELD_SECONDS and a little more, then end as they began."""
    before = side.server.resident_bytes()
    begin = calls / HELD_RATE
    pace = CallPace(calls, calls, rate=HELD_RATE, talk=begin + HELD_SECONDS + 5)
    with Callers(tmp, side.callers, side.callees.extensions, pace, cores=LOAD_CORE) as callers:
        time.sleep(begin + 3)
        cpu = side.server.cpu_seconds()
        time.sleep(HELD_SECONDS)
        cpu = side.server.cpu_seconds() - cpu
        held = side.server.resident_bytes()
        result = callers.result()
    if result.failed:
        raise PeerFailed(f"{side.name}: {result.failed} of {calls} held calls failed\n{result.errors}")
    time.sleep(LINGER_SECONDS)
    return Held(calls, before, held, side.server.resident_bytes(), cpu / HELD_SECONDS)
