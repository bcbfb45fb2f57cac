"""Passwords and pins of people: kept as argon2id, worked on beside the event loop."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from .. import clock
from ..errors import Problem, Refused, too_many
from .turns import Crowded, FairTurns
from .weakness import weakness

LEAST_LENGTH: Final = 10
STRENGTH: Final = "At least 10 characters (REGISTRAR_PASSWORD_LENGTH), and not one that is guessed first"
"""For the documentation of whatever is a password."""
MAX_PASSWORD: Final = 1_024
"""More is no password but work for us."""
AT_ONCE: Final = 2
"""Each takes 64 MiB and some 50 ms of a core; more at once would only wait for each other."""
CROWDED_SECONDS: Final = 2
"""When those are to come back who find too many waiting, most of them from their own address."""
REMEMBER_SECONDS: Final = 60
MAX_REMEMBERED: Final = 10_000
NOBODYS: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$rNnn0WIOolrw4wBD6McXCg$tSWLwRAYEkkcp5mrNjfjJkHJw5vB91qbchtbS+iSMAQ"
)
"""Opens nothing; checked for an unknown login, so that it takes as long as a known one."""

_hasher: Final = PasswordHasher()


class Passwords:
    """Makes and checks hashes; one object per process, so that only a few are ever at work."""

    def __init__(self, now: Callable[[], float] = clock.epoch_now, least: int = LEAST_LENGTH) -> None:
        """`least`: how many characters a new password needs."""
        self._least = least
        self._checks = FairTurns(AT_ONCE)
        self._hashes = asyncio.Semaphore(1)
        """Its own: who hashes may hold the database, and must not queue behind a flood of logins."""
        self._now = now
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, float] = {}
        """Right passwords of a moment ago -> until when; in the order they came."""

    async def refuse_weak(self, password: str, path: str, about: Iterable[str | None]) -> None:
        """Raises Refused (422) for a password that is too short, or is guessed first; `path` has it.

        `about` are words about its owner.
        """
        problem = await self.weakness(password, about)
        if problem is not None:
            check = "range" if len(password) < self._least else "allowed"
            raise Refused(Problem(422, path, problem, path, check))

    async def weakness(self, password: str, about: Iterable[str | None]) -> str | None:
        """Return what is wrong with a password; None: nothing. It takes some milliseconds of a core."""
        words = [word for word in about if word]
        return await asyncio.to_thread(weakness, password, self._least, words)

    async def hashed(self, password: str) -> str:
        """What is stored of a password."""
        async with self._hashes:
            return await asyncio.to_thread(_hasher.hash, password)

    async def matches(
        self, stored: str | None, password: str, source: str = "", *, known: bool = False
    ) -> bool:
        """Whether `password` is the one `stored` was made of; None: nobody's, which takes as long.

        Sources take turns, and within one those who are `known` from there come first. Raises Refused (429)
        when too many wait, most of them from this source.
        """
        if len(password) > MAX_PASSWORD:
            return False
        try:
            async with self._checks.turn(source, known=known):
                return await asyncio.to_thread(_matches, stored or NOBODYS, password) and stored is not None
        except Crowded:
            raise too_many("Too many logins wait, please try again", CROWDED_SECONDS) from None

    def remembers(self, stored: str | None, password: str, about: str) -> bool:
        """Whether this very password was right a minute ago: for those who send it with each request.

        `about` names whose password it is, and in which state; with another one nothing is remembered.
        What is kept tells nobody the password: it is a HMAC under a key that this process made up.
        """
        return self._remembered.get(self.mark(f"{about}\n{stored}\n{password}"), 0.0) > self._now()

    def remember(self, stored: str | None, password: str, about: str) -> None:
        """Note that the password was right just now."""
        mark = self.mark(f"{about}\n{stored}\n{password}")
        self._remembered.pop(mark, None)
        while len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[mark] = self._now() + REMEMBER_SECONDS

    def mark(self, text: str) -> bytes:
        """What stands for a text with a password in it; it means something in this process alone."""
        return hmac.digest(self._key, _bytes(text), hashlib.sha256)


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(text: str) -> bytes:
    """Also of a text that is none: JSON can hold half a character."""
    return text.encode("utf-8", "surrogatepass")
