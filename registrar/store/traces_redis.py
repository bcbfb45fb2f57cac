"""Traces of wrong passwords in the status and the journal of a phone (docs/redis.md)."""

from typing import Final

from registrar.model import EventKind, WrongPasswords

from . import keys, refusals_redis
from .script_runner import Runner
from .scripts import WRONG

REASON: Final = "wrong-password"
SERIES_SECONDS: Final = 3_600
"""After this time without a wrong password the next one begins a new count."""
JOURNAL_SECONDS: Final = 3_600
"""The journal gets one entry in this time, with a count."""


class RedisTraces:
    """Traces in Redis; implements ports.Traces."""

    def __init__(self, runner: Runner, *, people: bool = False) -> None:
        """Create the traces of phones, or with `people` those of people who log in to the API.

        People have no status, and no entry in the stream of phones.
        """
        self._runner = runner
        self._people = people

    async def wrong_passwords(self, wrong: WrongPasswords) -> None:
        """See ports.Traces."""
        words: list[str | int] = [
            "event", EventKind.REJECTED, "reason", REASON, "time", wrong.at,
            "ip", wrong.ip, "port", wrong.port, "transport", wrong.transport,
            "userAgent", wrong.user_agent, "by", "",
        ]  # fmt: skip
        count = await self._runner.run(
            WRONG,
            self._keys(wrong.phone),
            *(wrong.at, wrong.ip, REASON, wrong.count, SERIES_SECONDS, JOURNAL_SECONDS, keys.STATUS_SECONDS),
            *words,
        )
        if self._people:
            return
        if wrong.customer:
            refusals_redis.note(
                self._runner,
                *(wrong.customer, wrong.phone, wrong.ip, REASON, wrong.at),
                count=wrong.count,
                wrong=True,
            )
        if count:
            about = ("phone", wrong.phone, "customer", wrong.customer, "count", count)
            self._runner.command("XADD", keys.EVENTS, "MAXLEN", "~", keys.EVENTS_LENGTH, "*", *about, *words)

    def _keys(self, id: str) -> tuple[str, str]:
        if self._people:
            return keys.login(id), keys.login_journal(id)
        return keys.status(id), keys.journal(id)
