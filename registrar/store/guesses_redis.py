"""Budget of wrong passwords in Redis, shared by all processes (docs/redis.md)."""

from itertools import count
from typing import Final, Literal

from registrar.model import Epoch
from registrar.ports import Clock
from registrar.rules.guesses import (
    GOOD_SECONDS,
    HOLD_SECONDS,
    MAX_GOOD,
    PER_ACCOUNT,
    PER_SOURCE,
    WINDOW_SECONDS,
    Guesser,
    Taken,
)

from . import keys
from .script_runner import Runner
from .scripts import GIVE_BACK, GOOD, TAKE

Kind = Literal["sip", "api"]
LIMITS: Final = (PER_ACCOUNT, PER_SOURCE, WINDOW_SECONDS, HOLD_SECONDS, GOOD_SECONDS)


TRIED: Final = "tried"
"""First word of a message about one wrong password."""


class RedisGuesses:
    """Budget in Redis; implements ports.Guesses and ports.Spraying."""

    def __init__(self, runner: Runner, clock: Clock, kind: Kind, process: str) -> None:
        """Create the budget of one `kind`: passwords of phones and of people have separate budgets.

        `process` names this process.
        """
        self._runner = runner
        self._clock = clock
        self._kind: Kind = kind
        self._process = process
        self._serial = count()

    async def take(self, who: Guesser) -> Taken:
        """See ports.Guesses."""
        entry = f"{self._process}-{next(self._serial)}"
        account, source, good = await self._runner.run(
            TAKE,
            (*self._logs(who), keys.good(self._kind, who.source)),
            f"{self._clock():.6f}",
            entry,
            who.mark,
            *LIMITS,
            keys.GUESSES,
            f"{self._kind} {who.source}",
        )
        taken = Taken(Epoch(float(account)), Epoch(float(source)))
        return taken if taken.is_held(self._clock()) else Taken(entry=entry, good=int(good) == 1)

    def give_back(self, who: Guesser, taken: Taken) -> None:
        """See ports.Guesses."""
        self._runner.tell(
            GIVE_BACK,
            self._logs(who),
            taken.entry,
            who.mark,
            PER_ACCOUNT,
            PER_SOURCE,
            HOLD_SECONDS,
            keys.GUESSES,
            f"{self._kind} {who.source}",
        )

    def good(self, who: Guesser) -> None:
        """See ports.Guesses."""
        now = f"{self._clock():.0f}"
        self._runner.tell(GOOD, (keys.good(self._kind, who.source),), now, who.mark, GOOD_SECONDS, MAX_GOOD)

    async def goods(self, source: str) -> frozenset[str]:
        """See ports.Guesses."""
        since = f"{self._clock() - GOOD_SECONDS:.0f}"
        marks = await self._runner.ask("ZRANGEBYSCORE", keys.good(self._kind, source), since, "+inf")
        return frozenset(mark.decode() if isinstance(mark, bytes) else mark for mark in marks)

    async def is_good(self, who: Guesser) -> bool:
        """See ports.Spraying."""
        at = await self._runner.ask("ZSCORE", keys.good(self._kind, who.source), who.mark)
        return at is not None and float(at) > self._clock() - GOOD_SECONDS

    def tried(self, mark: str) -> None:
        """See ports.Spraying."""
        self._runner.command("PUBLISH", keys.GUESSES, f"{TRIED} {mark} {self._process}")

    def _logs(self, who: Guesser) -> tuple[str, str]:
        return (
            keys.wrong(self._kind, who.source),
            keys.wrong_account(self._kind, who.source, who.mark),
        )


def read_try(text: str, process: str) -> str:
    """Return the mark of the account for which another process had a wrong password; empty if none."""
    words = text.split()
    return words[1] if len(words) == 3 and words[0] == TRIED and words[2] != process else ""


def read_hold(text: str) -> tuple[str, str | Guesser, Epoch] | None:
    """Return the kind, the source or (source, account), and the end of a hold that a message announces.

    Return None if the message announces no hold.
    """
    words = text.split()
    try:
        until = Epoch(float(words[-1]))
    except (ValueError, IndexError):
        return None
    match words[:-1]:
        case [kind, source]:
            return kind, source, until
        case [kind, source, mark]:
            return kind, Guesser(source, mark), until
    return None
