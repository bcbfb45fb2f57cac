"""What is remembered of wrong passwords, in the status and the journal of a phone (docs/redis.md)."""

from typing import Final

from registrar.model import EventKind, WrongPasswords

from . import keys
from .script_runner import Runner
from .scripts import WRONG

REASON: Final = "wrong-password"
SERIES_SECONDS: Final = 3_600
"""After so long without a wrong password the next one begins a new count."""
JOURNAL_SECONDS: Final = 3_600
"""The journal has one entry in this time, with a count."""


class RedisTraces:
    """Implements ports.Traces."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def wrong_passwords(self, wrong: WrongPasswords) -> None:
        """See ports.Traces."""
        words: list[str | int] = [
            "event", EventKind.REJECTED, "reason", REASON, "time", wrong.at,
            "ip", wrong.ip, "port", wrong.port, "transport", wrong.transport,
            "userAgent", wrong.user_agent, "by", "",
        ]  # fmt: skip
        count = await self._runner.run(
            WRONG,
            (keys.status(wrong.phone), keys.journal(wrong.phone)),
            *(wrong.at, wrong.ip, REASON, wrong.count, SERIES_SECONDS, JOURNAL_SECONDS, keys.STATUS_SECONDS),
            *words,
        )
        if count:
            about = ("phone", wrong.phone, "customer", wrong.customer, "count", count)
            self._runner.command("XADD", keys.EVENTS, "MAXLEN", "~", keys.EVENTS_LENGTH, "*", *about, *words)
