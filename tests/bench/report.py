"""The figures for a human and for later: a table with the aims beside it, and a JSON file."""

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench import booting, calls_report, waiting
from tests.bench.api import ApiFigures
from tests.bench.booting import Booting
from tests.bench.calls import CallFigures
from tests.bench.measure import Occupied, Rates
from tests.bench.sides import PINNED
from tests.bench.transports import Cost, Idle
from tests.bench.waiting import Waiting

RESULTS: Final = Path("bench-results")
CPU_AIM: Final = 0.4
SPEED_AIM: Final = 2.5
BYTES_AIM: Final = 1_300
GROWTH_AIM: Final = 1.25
TRANSPORT_AIM: Final = 1.6
KILOBYTES_AIM: Final = 60
LAG_AIM_MS: Final = 20
PAGE_GROWTH_AIM: Final = 1.5
VERSIONS: Final = {
    "kamailio": ("kamailio", "-v"),
    "postgresql": ("psql", "--version"),
    "redis": ("redis-server", "--version"),
    "sipp": ("sipp", "-v"),
}


@dataclass(frozen=True)
class SideFigures:
    """All that was measured of one side."""

    name: str
    closed: Rates
    closed_runs: list[Rates]
    steady: Rates
    """So slow that nothing can be batched; phones that registered just before."""
    rested: Rates
    """The same after a pause: whatever the server remembers of a phone for a short time is forgotten."""
    occupied: Occupied


@dataclass(frozen=True)
class Scale:
    """Our side with so many phones in the database, all of them registered."""

    phones: int
    again: Rates
    occupied: Occupied


@dataclass(frozen=True)
class Figures:
    """All that was measured."""

    sides: list[SideFigures]
    scales: list[Scale]
    transports: dict[str, list[Cost]]
    """By side; the first of each is UDP."""
    idle: Idle | None
    api: ApiFigures | None = None
    calls: list[CallFigures] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    booting: Booting | None = None


@dataclass(frozen=True)
class Aim:
    """A figure that was promised, and what came of it."""

    text: str
    value: float
    met: bool


def aims(figures: Figures) -> list[Aim]:
    """Every aim that these figures can be held against."""
    found: list[Aim] = []
    sides = figures.sides
    ours = [side for side in sides if side.name.startswith("registrar")]
    for side in ours:
        found += [aim for other in sides if other not in ours for aim in _against(side, other)]
    for side in ours[:1]:
        size = side.occupied.redis_bytes
        found.append(Aim(f"bytes in Redis for a binding: at most {BYTES_AIM:,}", size, size <= BYTES_AIM))
    found += [*_growth(figures.scales), *_over_transports(figures), *_of_the_api(figures.api)]
    found += [
        Aim(
            f"{_waiting_name(one)}, CPU in % of a core: at most {waiting.CPU_AIM:g}",
            one.cpu,
            one.cpu <= waiting.CPU_AIM,
        )
        for one in figures.waiting
    ]
    promised = [*booting.aims(figures.booting), *calls_report.aims(figures.calls)]
    return [*found, *(Aim(*aim) for aim in promised)]


def _of_the_api(api: ApiFigures | None) -> list[Aim]:
    if api is None:
        return []
    found = [
        Aim(f"API, {row.name}: p95 in ms, at most {row.aim_ms:g}", row.p95_ms, row.p95_ms <= row.aim_ms)
        for row in api.latencies
        if row.aim_ms is not None
    ]
    ratio = api.latencies[0].p50_ms / api.few.p50_ms
    text = f"API, page, {api.phones:,} phones to {api.few_phones:,}: at most {PAGE_GROWTH_AIM}"
    return [*found, Aim(text, ratio, ratio <= PAGE_GROWTH_AIM)]


def _over_transports(figures: Figures) -> list[Aim]:
    found: list[Aim] = []
    for side, (udp, *others) in figures.transports.items():
        for cost in others:
            ratio = cost.cpu_us / udp.cpu_us
            text = f"{side}, {cost.transport} to UDP: CPU of a registration, at most {TRANSPORT_AIM}"
            found.append(Aim(text, ratio, ratio <= TRANSPORT_AIM))
    idle = figures.idle
    if idle is not None:
        text = f"{idle.connections:,} idle browsers, kilobytes each: at most {KILOBYTES_AIM}"
        found.append(Aim(text, idle.kilobytes, idle.kilobytes <= KILOBYTES_AIM))
        text = f"  lag of the event loop, p99 in ms: at most {LAG_AIM_MS}"
        found.append(Aim(text, idle.lag_p99_ms, idle.lag_p99_ms <= LAG_AIM_MS))
    return found


def _against(side: SideFigures, other: SideFigures) -> list[Aim]:
    cpu = side.closed.cpu_us / other.closed.cpu_us
    speed = side.closed.per_second / other.closed.per_second
    names = f"{side.name} to {other.name}"
    return [
        Aim(f"{names}: CPU of a registration, at most {CPU_AIM}", cpu, cpu <= CPU_AIM),
        Aim(f"{names}: registrations a second, at least {SPEED_AIM}", speed, speed >= SPEED_AIM),
    ]


def _growth(scales: list[Scale]) -> list[Aim]:
    if len(scales) < 2:
        return []
    small, large = scales[0], scales[-1]
    ratios = {
        "CPU of a registration": large.again.cpu_us / small.again.cpu_us,
        "bytes in Redis for a binding": large.occupied.redis_bytes / small.occupied.redis_bytes,
        "memory of the server for a binding": large.occupied.resident_bytes / small.occupied.resident_bytes,
    }
    return [
        Aim(
            f"{name}, {large.phones:,} phones to {small.phones:,}: at most {GROWTH_AIM}",
            ratio,
            ratio <= GROWTH_AIM,
        )
        for name, ratio in ratios.items()
    ]


def show(figures: Figures, console: Console) -> None:
    """Print the tables and the aims."""
    if figures.sides:
        console.print(_sides_table(figures.sides))
    if figures.scales:
        console.print(_scales_table(figures.scales))
    if figures.transports:
        console.print(_transports_table(figures.transports))
    if figures.idle is not None:
        console.print(_idle_table(figures.idle))
    if figures.api is not None:
        console.print(_api_table(figures.api))
    if figures.calls:
        calls_report.show(figures.calls, console)
    for one in figures.waiting:
        text = f"{_waiting_name(one)}: server {one.cpu:.1f} %, Redis {one.redis:.1f} %"
        console.print(f"{text}; server without calls {one.at_rest:.1f} %", highlight=False)
    if figures.booting is not None:
        console.print(booting.text(figures.booting), highlight=False, soft_wrap=True)
    for aim in aims(figures):
        verdict = "met    " if aim.met else "NOT MET"
        console.print(f"{verdict}  {aim.value:10,.2f}   {aim.text}", highlight=False, soft_wrap=True)


def _waiting_name(one: Waiting) -> str:
    return f"{one.calls} calls wait for {one.agents} busy agents ({one.strategy})"


def _sides_table(sides: list[SideFigures]) -> Table:
    table = Table(title="REGISTER, 401, REGISTER with digest, 200", title_justify="left")
    table.add_column("")
    for side in sides:
        table.add_column(side.name, justify="right")

    def row(name: str, values: list[float], form: str) -> None:
        table.add_row(name, *(format(value, form) for value in values))

    row("closed loop: a second", [side.closed.per_second for side in sides], ",.0f")
    row("  server CPU, us each", [side.closed.cpu_us for side in sides], ",.0f")
    row("  Redis CPU, us each", [side.closed.redis_cpu_us for side in sides], ",.0f")
    row("  p50, ms", [side.closed.p50_ms for side in sides], ",.1f")
    row("  p99, ms", [side.closed.p99_ms for side in sides], ",.1f")
    row("first registrations: a second", [side.occupied.first.per_second for side in sides], ",.0f")
    row("  server CPU, us each", [side.occupied.first.cpu_us for side in sides], ",.0f")
    for title, runs in (
        ("slow and steady: a second", [side.steady for side in sides]),
        ("the same after a pause: a second", [side.rested for side in sides]),
    ):
        row(title, [run.per_second for run in runs], ",.0f")
        row("  server CPU, us each", [run.cpu_us for run in runs], ",.0f")
        row("  Redis CPU, us each", [run.redis_cpu_us for run in runs], ",.0f")
        row("  p50, ms", [run.p50_ms for run in runs], ",.2f")
        row("  p99, ms", [run.p99_ms for run in runs], ",.2f")
    row("bytes in Redis for a binding", [side.occupied.redis_bytes for side in sides], ",.0f")
    row("bytes in the server for a binding", [side.occupied.resident_bytes for side in sides], ",.0f")
    return table


def _scales_table(scales: list[Scale]) -> Table:
    table = Table(title="registrar, by the number of phones", title_justify="left")
    table.add_column("phones", justify="right")
    for name in (
        "a second",
        "server CPU, us each",
        "first time, us each",
        "Redis, bytes each",
        "server, bytes each",
    ):
        table.add_column(name, justify="right")
    for scale in scales:
        table.add_row(
            f"{scale.phones:,}",
            f"{scale.again.per_second:,.0f}",
            f"{scale.again.cpu_us:,.0f}",
            f"{scale.occupied.first.cpu_us:,.0f}",
            f"{scale.occupied.redis_bytes:,.0f}",
            f"{scale.occupied.resident_bytes:,.0f}",
        )
    return table


def _transports_table(transports: dict[str, list[Cost]]) -> Table:
    table = Table(title="by transport: one load generator, connections that are kept", title_justify="left")
    table.add_column("")
    for name in ("transport", "a second", "server CPU, us each", "to UDP", "p50, ms", "p99, ms"):
        table.add_column(name, justify="right")
    for side, costs in transports.items():
        for cost in costs:
            table.add_row(
                side,
                cost.transport,
                f"{cost.per_second:,.0f}",
                f"{cost.cpu_us:,.0f}",
                f"{cost.cpu_us / costs[0].cpu_us:.2f}",
                f"{cost.p50_ms:,.1f}",
                f"{cost.p99_ms:,.1f}",
            )
    return table


def _idle_table(idle: Idle) -> Table:
    table = Table(title="browsers that only keep their connection (WSS)", title_justify="left")
    for name in ("connections", "kilobytes each", "connected a second", "loop lag p99, ms", "p99, ms"):
        table.add_column(name, justify="right")
    table.add_row(
        f"{idle.connections:,}",
        f"{idle.kilobytes:,.1f}",
        f"{idle.connected_per_second:,.0f}",
        f"{idle.lag_p99_ms:,.0f} at {idle.rate:,.0f}/s",
        f"{idle.p99_ms:,.1f}",
    )
    return table


def _api_table(api: ApiFigures) -> Table:
    title = f"config API, one process, PostgreSQL with {api.phones:,} phones, {api.online:,} online"
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False)
    table.add_column("(a page is full=true)", no_wrap=True)
    for name in ("a second", "p50, ms", "p95", "p99", "CPU, ms", "kB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in (*api.latencies, api.few):
        times = (row.p50_ms, row.p95_ms, row.p99_ms, row.cpu_ms)
        table.add_row(
            row.name,
            f"{row.per_second:,.0f}",
            *(f"{value:,.1f}" for value in times),
            f"{row.kilobytes:,.0f}",
        )
    ratio = api.latencies[0].p50_ms / api.rows_alone_ms
    rows = f"the rows of the page alone, by asyncpg: {api.rows_alone_ms:.1f} ms"
    table.caption = f"{rows}; the whole page takes {ratio:.1f} times that"
    return table


def write(figures: Figures) -> Path:
    """Everything as JSON in bench-results/, with what is needed to read it in a year."""
    now = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "date": now.isoformat(timespec="seconds"),
        "command": ["python", "-m", "tests.bench", *sys.argv[1:]],
        "machine": _machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(*VERSIONS[name]) for name in VERSIONS},
        },
        "cores": "server on core 0, sipp and Redis on core 1" if PINNED else "not pinned: one core only",
        **asdict(figures),
        "aims": [asdict(aim) for aim in aims(figures)],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def _machine() -> dict[str, str | int]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "arch": platform.machine(),
    }


def _version(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), "")
