"""The only module of the HTTP side that reads the time. The wall clock is that of the whole process."""

import time
from datetime import UTC, datetime
from typing import Final

from registrar.model import Epoch, Mono
from registrar.store.wall_clock import wall_clock

exactly: Final = time.perf_counter
"""Seconds of a clock for short durations. It is no Python function: each SQL statement calls it twice."""


def epoch_now() -> Epoch:
    """Return the seconds since 1970."""
    return wall_clock()


def mono_now() -> Mono:
    """Return the seconds of a monotonic clock, to measure durations."""
    return Mono(time.monotonic())


def utc_now() -> datetime:
    """Return the present time in UTC, in whole seconds; fractions are never shown."""
    return datetime.fromtimestamp(int(wall_clock()), UTC)


def exact_now() -> datetime:
    """Return the present time in UTC with its fraction, for values that must be sorted."""
    return datetime.fromtimestamp(wall_clock(), UTC)


def utc_exact(seconds: float) -> datetime:
    """Return the time `seconds` after 1970 in UTC, with its fraction."""
    return datetime.fromtimestamp(seconds, UTC)


def utc(seconds: float) -> datetime:
    """Return the time `seconds` after 1970 in UTC, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def iso(moment: datetime) -> str:
    """Return the time as the API writes it: `2026-01-31T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
