"""The figures of calls for a human, and the aims that they are held against."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.calls import CallFigures, CallRates

CPU_AIM: Final = 6.0
SETUP_AIM_MS: Final = 20.0
MEMORY_AIM: Final = 1.1
"""Afterwards to before: what an allocator keeps back is no leak."""
MEBIBYTE: Final = 1_048_576


def aims(sides: Sequence[CallFigures]) -> Iterator[tuple[str, float, bool]]:
    """What was promised, what came of it, and whether that is enough."""
    ours = [side for side in sides if side.name.startswith("registrar")]
    for side in ours:
        for other in sides:
            if other not in ours:
                ratio = side.closed.cpu_us / other.closed.cpu_us
                yield (
                    f"{side.name} to {other.name}: CPU of a call, at most {CPU_AIM:g}",
                    ratio,
                    ratio <= CPU_AIM,
                )
        p99 = side.half.p99_ms
        yield (
            f"{side.name}: p99 of the setup of a call in ms, at half load, at most {SETUP_AIM_MS:g}",
            p99,
            p99 <= SETUP_AIM_MS,
        )
        failed = sum(run.failed for run in (*side.closed_runs, *side.known_runs, side.half))
        yield f"{side.name}: failed calls, none", failed, failed == 0
        if side.held:
            first, last = side.held[0], side.held[-1]
            ratio = last.after / first.before
            text = f"{side.name}: memory after {last.calls:,} calls at once to before, at most {MEMORY_AIM:g}"
            yield text, ratio, ratio <= MEMORY_AIM


def show(sides: Sequence[CallFigures], console: Console) -> None:
    """Print the tables."""
    console.print(_rates_table(sides))
    if any(side.held for side in sides):
        console.print(_held_table(sides))


def _rates_table(sides: Sequence[CallFigures]) -> Table:
    table = Table(title="calls: INVITE, 407, INVITE, 180, 200, ACK, BYE, 200", title_justify="left")
    table.add_column("")
    for side in sides:
        table.add_column(side.name, justify="right")
    for title, runs in (
        ("closed loop: a second", [side.closed for side in sides]),
        ("without 407: a second", [side.known for side in sides]),
        ("half load: a second", [side.half for side in sides]),
    ):
        _rows(table, title, runs)
    return table


def _rows(table: Table, title: str, runs: Sequence[CallRates]) -> None:
    def row(name: str, values: Sequence[float], form: str) -> None:
        table.add_row(name, *(format(value, form) for value in values))

    row(title, [run.per_second for run in runs], ",.0f")
    row("  server CPU, us each", [run.cpu_us for run in runs], ",.0f")
    row("  of its core, %", [100 * run.core for run in runs], ",.0f")
    row("  Redis CPU, us each", [run.redis_cpu_us for run in runs], ",.0f")
    row("  INVITE to 200: p50, ms", [run.p50_ms for run in runs], ",.1f")
    row("  p99, ms", [run.p99_ms for run in runs], ",.1f")
    row("  failed", [run.failed for run in runs], ",")


def _held_table(sides: Sequence[CallFigures]) -> Table:
    table = Table(title="calls held at once: memory of the server, MiB", title_justify="left")
    table.add_column("")
    for name in ("calls", "before", "with them", "kB each", "after", "core to hold them, %"):
        table.add_column(name, justify="right")
    for side in sides:
        for number, held in enumerate(side.held, 1):
            sizes = (held.before, held.held, held.after)
            before, there, after = (f"{size / MEBIBYTE:,.1f}" for size in sizes)
            each = f"{(held.held - held.before) / held.calls / 1_000:,.1f}"
            row = (f"{held.calls:,}", before, there, each, after, f"{100 * held.core:,.1f}")
            table.add_row(f"{side.name}, round {number}", *row)
    return table
