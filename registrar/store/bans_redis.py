"""Bans in Redis: one hash of at most MAX_BANS, with a version (docs/redis.md, decision 105)."""

from contextlib import suppress
from typing import Final, NamedTuple

from registrar.errors import StoreUnavailable
from registrar.ports import Clock
from registrar.rules.bans import ENDLESS, MAX_BANS, Ban, Kind, dump, load

from . import keys
from .outbox import words
from .script_runner import Runner
from .scripts import LIFT_BAN, PUT_BAN, RESTORE_BANS

BY_HAND: Final = 1_000
"""Room for bans of people when there are as many automatic ones as fit."""
VERSION: Final = "version"
KEYS: Final = (keys.BANS, keys.BAN_ENDS)
BEGUN: Final = "banned"
LIFTED: Final = "unbanned"


class Known(NamedTuple):
    """What was read at once."""

    version: int
    """0: Redis knows of no bans, and may have lost them."""
    bans: tuple[Ban, ...]


class RedisBans:
    """The bans that all processes share; each method raises StoreUnavailable."""

    def __init__(self, runner: Runner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock

    async def version(self) -> int:
        """Return how often the bans have changed; 0 if Redis knows of none."""
        return int(_text(await self._runner.ask("HGET", keys.BANS, VERSION)) or 0)

    async def all(self) -> Known:
        """Return all bans that have not ended, the newest first."""
        answer = await self._runner.ask("HGETALL", keys.BANS)
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        fields = {_text(name): _text(value) for name, value in pairs}
        version, now = int(fields.pop(VERSION, "0")), self._clock()
        found = [ban for ban in map(load, fields.values()) if ban is not None and not ban.has_ended(now)]
        return Known(version, tuple(sorted(found, key=lambda ban: (-ban.since, ban.id))))

    async def put(self, ban: Ban) -> bool:
        """Write a ban, and return False if there is no room for it. A new one is an event."""
        room = MAX_BANS if ban.is_automatic else MAX_BANS + BY_HAND
        about = (ban.id, dump(ban), _end(ban), f"{self._clock():.3f}", room, keys.BAN_NEWS)
        done = int(await self._runner.run(PUT_BAN, KEYS, *about))
        if done == 1:
            await self._tell(BEGUN, ban, ban.by)
        return done > 0

    async def lift(self, ban: Ban, by: str) -> bool:
        """Remove a ban before its end, and return False if it was gone.

        A source or an account that was held because of wrong passwords gets a new budget.
        """
        if ban.is_automatic:
            await self._forget_guesses(ban)
        if not int(await self._runner.run(LIFT_BAN, KEYS, ban.id, keys.BAN_NEWS)):
            return False
        await self._tell(LIFTED, ban, by)
        return True

    async def restore(self, known: Known) -> bool:
        """Write bans that Redis has lost, unless its version is newer; return whether they were written."""
        rows = [(ban.id, dump(ban), _end(ban)) for ban in known.bans]
        flat = [word for row in rows for word in row]
        return bool(int(await self._runner.run(RESTORE_BANS, KEYS, known.version + 1, keys.BAN_NEWS, *flat)))

    async def _forget_guesses(self, ban: Ban) -> None:
        if ban.kind is Kind.HOLD and ban.mark:
            await self._runner.ask("DEL", keys.wrong_account("sip", ban.address, ban.mark))
        else:
            await self._runner.ask("DEL", keys.wrong("sip", ban.address))

    async def _tell(self, event: str, ban: Ban, by: str) -> None:
        fields: dict[str, str | int] = {
            "event": event,
            "time": int(self._clock()),
            "ban": ban.id,
            "ip": ban.address,
            "phone": ban.phone,
            "customer": ban.customer,
            "reason": ban.why,
            "until": ban.until,
            "by": by,
        }
        with suppress(StoreUnavailable):  # the ban itself is written
            await self._runner.ask(
                "XADD", keys.EVENTS, "MAXLEN", "~", keys.EVENTS_LENGTH, "*", *words(fields)
            )


def _end(ban: Ban) -> str:
    return "+inf" if ban.until == ENDLESS else str(ban.until)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.decode() if isinstance(value, bytes) else str(value)
