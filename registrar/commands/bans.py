"""`registrar bans`: lists the bans, or prints them for a packet filter."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Final

from config import clock
from registrar.errors import ConfigurationError, StoreUnavailable
from registrar.rules.ban_export import FORMATS, export
from registrar.rules.bans import ENDLESS, Ban
from registrar.store.bans_redis import RedisBans
from registrar.store.short_connection import connected

from .installation import Installation

SHOWN: Final = ("table", "json", *FORMATS)


async def show(installation: Installation, format: str) -> None:
    """Print the bans in one of SHOWN. Raise ConfigurationError for another word, or if Redis is away."""
    if format not in SHOWN:
        raise ConfigurationError(f"--format: {format!r} is none of {', '.join(SHOWN)}")
    try:
        async with connected(installation.redis_url) as runner:
            bans = (await RedisBans(runner, clock.epoch_now).all()).bans
    except (TimeoutError, StoreUnavailable) as error:
        raise ConfigurationError(f"the bans could not be read: {error or 'Redis is away'}") from error
    if format == "json":
        print(json.dumps([asdict(ban) for ban in bans]))
    elif format in FORMATS:
        print(export(format, bans, clock.epoch_now()), end="")
    else:
        _print_lines(bans)


def _print_lines(bans: Iterable[Ban]) -> None:
    for ban in bans:
        until = "for good" if ban.until == ENDLESS else f"until {_local(ban.until)}"
        words = (ban.id, ban.kind, ban.address or "everywhere", ban.phone or "every phone", until)
        print("  ".join((*words, ban.why, f"by {ban.by} {_local(ban.since)}")))


def _local(at: int) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
