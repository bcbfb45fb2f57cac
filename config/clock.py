"""The one place of the HTTP side that reads the time."""

import time
from datetime import UTC, datetime

from registrar.model import Epoch, Mono


def epoch_now() -> Epoch:
    """Seconds since 1970."""
    return Epoch(time.time())


def mono_now() -> Mono:
    """Seconds of a clock that nobody sets, for how long something takes."""
    return Mono(time.monotonic())


def utc_now() -> datetime:
    """The present moment in UTC, with whole seconds: finer ones are never shown."""
    return datetime.fromtimestamp(int(time.time()), UTC)


def exact_now() -> datetime:
    """The present moment in UTC, for what must be put in order."""
    return datetime.fromtimestamp(time.time(), UTC)


def utc_exact(seconds: float) -> datetime:
    """The moment `seconds` after 1970, with its fraction."""
    return datetime.fromtimestamp(seconds, UTC)


def utc(seconds: float) -> datetime:
    """The moment `seconds` after 1970."""
    return datetime.fromtimestamp(int(seconds), UTC)


def iso(moment: datetime) -> str:
    """The moment as the API writes it: `2026-01-31T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
