"""Measure our server and Kamailio one after the other, transports, calls, API; print all. See `--help`."""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.bench import api, booting, calls, calls_sides, measure, report, sides, transports, waiting
from tests.bench.report import Figures, Scale, SideFigures
from tests.bench.sides import Side

SIDES: Final[dict[str, Callable[[Path, int], contextlib.AbstractContextManager[Side]]]] = {
    "registrar": sides.ours,
    "registrar-limits": sides.limited,
    "registrar-compiled": sides.compiled,
    "kamailio": sides.packaged_kamailio,
    "kamailio-tlsf": sides.tuned_kamailio,
}
WARM_UP_PHONES: Final = 500
"""Registered before memory is read for the first time, so that what is made only once is there."""
SCALE_CALLS: Final = 10_000
ALONE: Final = ("api", "booting", "calls", "waiting")
"""The parts that can be measured alone."""


def main() -> None:
    """Run what the arguments ask for."""
    wanted = _arguments()
    console = Console()
    compared: list[SideFigures] = []
    scales: list[Scale] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tmp = Path(folder)
        for name in wanted.sides:
            console.print(f"[dim]{name} ...")
            compared.append(_side(name, tmp, wanted))
        for phones in wanted.scale:
            console.print(f"[dim]registrar with {phones:,} phones ...")
            scales.append(_scale(phones, tmp, wanted))
        costs, idle = _transports(tmp, wanted, console)
        if wanted.api:
            console.print(f"[dim]config API with {api.PHONES:,} phones ...")
        of_api = api.measure(tmp) if wanted.api else None
        of_calls = calls.measure(tmp, _calls(wanted), console) if wanted.calls else []
        if wanted.waiting:
            console.print(f"[dim]registrar with {waiting.CALLS} calls that wait ...")
        of_waiting = waiting.measure(tmp, wanted.seconds) if wanted.waiting else []
        if wanted.booting:
            console.print(
                f"[dim]registrar with {wanted.boxes:,} phones that start in {booting.SECONDS:g} s ..."
            )
        of_booting = booting.measure(tmp, wanted.boxes, booting.SECONDS) if wanted.booting else None
        figures = Figures(compared, scales, costs, idle, of_api, of_calls, of_waiting, of_booting)
    report.show(figures, console)
    console.print(f"[dim]{report.write(figures)}")


def _calls(wanted: argparse.Namespace) -> calls.Wanted:
    return calls.Wanted(
        sides=wanted.call_sides,
        calls=wanted.call_count,
        in_flight=wanted.in_flight,
        runs=wanted.runs,
        seconds=wanted.seconds,
        held=wanted.held,
    )


def _transports(
    tmp: Path, wanted: argparse.Namespace, console: Console
) -> tuple[dict[str, list[transports.Cost]], transports.Idle | None]:
    costs: dict[str, list[transports.Cost]] = {}
    for name in wanted.transports:
        console.print(f"[dim]{name} over {', '.join(transports.COMPARED)} ...")
        compiled = name == "registrar-compiled"
        costs[name] = transports.compare(
            tmp, wanted.connections, wanted.runs, wanted.in_flight, compiled=compiled
        )
    if not wanted.idle:
        return costs, None
    console.print(f"[dim]registrar with {wanted.idle:,} idle browsers ...")
    return costs, transports.idle(tmp, wanted.idle, wanted.rate, wanted.seconds)


def _side(name: str, tmp: Path, wanted: argparse.Namespace) -> SideFigures:
    with SIDES[name](tmp, wanted.users) as side:
        measure.closed_loop(side, tmp, side.accounts, wanted.users, wanted.in_flight)  # warm-up
        steady = measure.open_loop(side, tmp, side.accounts, wanted.rate, wanted.seconds)
        runs = [
            measure.closed_loop(side, tmp, side.accounts, wanted.users, wanted.in_flight)
            for _ in range(1 if name == "registrar-limits" else wanted.runs)  # its bucket holds one run
        ]
        time.sleep(side.memory_seconds)
        rested = measure.open_loop(side, tmp, side.accounts, wanted.rate, wanted.seconds)
    with SIDES[name](tmp, wanted.bindings + WARM_UP_PHONES) as side:
        occupied = _occupied(side, tmp, wanted)
    return SideFigures(side.name, measure.median(runs), runs, steady, rested, occupied)


def _occupied(side: Side, tmp: Path, wanted: argparse.Namespace) -> measure.Occupied:
    warm_up, phones = side.accounts[:WARM_UP_PHONES], side.accounts[WARM_UP_PHONES:]
    return measure.occupied(side, tmp, phones, warm_up, wanted.in_flight)


def _scale(phones: int, tmp: Path, wanted: argparse.Namespace) -> Scale:
    with sides.ours(tmp, phones + WARM_UP_PHONES) as side:
        occupied = _occupied(side, tmp, wanted)
        registered = side.accounts[WARM_UP_PHONES :: max(1, phones // SCALE_CALLS)]
        runs = [
            measure.closed_loop(side, tmp, registered, SCALE_CALLS, wanted.in_flight)
            for _ in range(wanted.runs)
        ]
    return Scale(phones, measure.median(runs), occupied)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000, help="phones, and registrations in a run")
    parser.add_argument("--in-flight", type=int, default=50, help="registrations at any moment (closed loop)")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the median counts")
    parser.add_argument("--rate", type=float, default=100, help="registrations a second (slow and steady)")
    parser.add_argument("--seconds", type=float, default=20, help="length of the slow and steady run")
    parser.add_argument("--bindings", type=int, default=20_000, help="phones registered to weigh one")
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=list(SIDES), help="who is measured")
    parser.add_argument(
        "--scale", nargs="*", type=int, default=[1_000, 100_000], help="our side with so many phones"
    )
    parser.add_argument(
        "--transports",
        nargs="*",
        choices=("registrar", "registrar-compiled"),
        default=["registrar", "registrar-compiled"],
        help="whose UDP, TCP, TLS and WSS are compared",
    )
    parser.add_argument("--connections", type=int, default=500, help="phones of that comparison")
    parser.add_argument("--idle", type=int, default=5_000, help="browsers that only keep their connection")
    parser.add_argument(
        "--api", action=argparse.BooleanOptionalAction, help="the config API alone; --no-api: all else"
    )
    parser.add_argument(
        "--calls", action=argparse.BooleanOptionalAction, help="calls alone; --no-calls: all else"
    )
    parser.add_argument(
        "--waiting",
        action=argparse.BooleanOptionalAction,
        help="calls that wait in a queue alone; --no-waiting: all else",
    )
    parser.add_argument(
        "--booting",
        action=argparse.BooleanOptionalAction,
        help="phones that start and load their files alone; --no-booting: all else",
    )
    parser.add_argument("--boxes", type=int, default=booting.PHONES, help="phones that start")
    parser.add_argument(
        "--call-sides",
        nargs="*",
        choices=calls_sides.SIDES,
        default=list(calls_sides.SIDES),
        help="whose calls",
    )
    parser.add_argument("--call-count", type=int, default=5_000, help="calls of a run")
    parser.add_argument("--held", type=int, default=2_000, help="calls at once, on our side")
    return _alone(parser.parse_args())


def _alone(wanted: argparse.Namespace) -> argparse.Namespace:
    """`--api`, `--booting`, `--calls` or `--waiting`: nothing but what was named."""
    if any(getattr(wanted, name) for name in ALONE):
        wanted.sides, wanted.scale, wanted.transports, wanted.idle = [], [], [], 0
        for name in ALONE:
            setattr(wanted, name, getattr(wanted, name) is True)
    for name in ALONE:
        setattr(wanted, name, getattr(wanted, name) is not False)
    return wanted


if __name__ == "__main__":
    main()
