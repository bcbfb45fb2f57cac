"""Passwords and pins of people: their strength, and their hashes.

They are stored as argon2id hashes, which are computed outside the event loop.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from .. import clock
from ..checks import MAX_PASSWORD as MAX_PASSWORD
from ..errors import refused, too_many
from .turns import Crowded, FairTurns

LEAST_LENGTH: Final = 10
AT_ONCE: Final = 2
"""Checks that run at the same time. Each takes 64 MiB and some 50 ms of a core; more would only wait."""
CROWDED_SECONDS: Final = 2
"""Retry-After of a refused login, if too many wait and most of them are from its source."""
REMEMBER_SECONDS: Final = 60
MAX_REMEMBERED: Final = 10_000
NOBODYS: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$rNnn0WIOolrw4wBD6McXCg$tSWLwRAYEkkcp5mrNjfjJkHJw5vB91qbchtbS+iSMAQ"
)
"""A hash that no password matches; an unknown login is checked against it, to take as long as a known one."""

LEAST_SCORE: Final = 2
"""The lowest accepted score of zxcvbn: below it, a million guesses are enough to find the password."""
JUDGED: Final = 16
"""Characters that are judged at once: the estimator takes seconds for a long text of odd characters."""
MAX_ABOUT: Final = 64
WORDS: Final = re.compile(r"\w{3,}")
COMMON: Final = 10_000
DIGITS: Final = "0123456789"
MAX_DIGITS: Final = 4

_hasher: Final = PasswordHasher()


class Passwords:
    """Hashing and verification of passwords; one object per process limits how many run at the same time."""

    def __init__(self, now: Callable[[], float] = clock.epoch_now, least: int = LEAST_LENGTH) -> None:
        """Take `least`, the number of characters that a new password needs."""
        self._least = least
        self._checks = FairTurns(AT_ONCE)
        self._hashes = asyncio.Semaphore(1)
        """A separate limit: a request that hashes may hold the database, so it must not wait for logins."""
        self._now = now
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, float] = {}
        """Passwords that were right a moment ago -> until when they are remembered; oldest first."""

    async def refuse_weak(self, password: str, path: str, about: Iterable[str | None]) -> None:
        """Raise Refused (422) if the password is too short or easy to guess; `path` is its property.

        `about` are words about its owner.
        """
        problem = await self.weakness(password, about)
        if problem is not None:
            check = "range" if len(password) < self._least else "allowed"
            raise refused(path, problem, check, 422)

    async def weakness(self, password: str, about: Iterable[str | None]) -> str | None:
        """Return what is wrong with a password, or None; this takes some milliseconds of a core."""
        words = [word for word in about if word]
        return await asyncio.to_thread(weakness, password, self._least, words)

    async def hashed(self, password: str) -> str:
        """Return the hash of a password, as it is stored."""
        async with self._hashes:
            return await asyncio.to_thread(_hasher.hash, password)

    async def matches(
        self, stored: str | None, password: str, source: str = "", *, known: bool = False
    ) -> bool:
        """Return True if `password` matches the hash `stored`; without `stored`, return False equally late.

        Sources take turns; within a source, requests whose login is `known` from there come first. Raise
        Refused (429) if too many wait, most of them from this source.
        """
        if len(password) > MAX_PASSWORD:
            return False
        try:
            async with self._checks.turn(source, known=known):
                return await asyncio.to_thread(_matches, stored or NOBODYS, password) and stored is not None
        except Crowded:
            raise too_many("Too many logins wait, please try again", CROWDED_SECONDS) from None

    def remembers(self, stored: str | None, password: str, about: str) -> bool:
        """Return True if this password was right within the last minute, for clients that send it each time.

        `about` names its owner and the owner's state; after a change of either nothing is remembered. The
        password cannot be recovered from the stored value: it is an HMAC under a random key of this process.
        """
        return self._remembered.get(self.mark(f"{about}\n{stored}\n{password}"), 0.0) > self._now()

    def remember(self, stored: str | None, password: str, about: str) -> None:
        """Remember for REMEMBER_SECONDS that the password was right."""
        mark = self.mark(f"{about}\n{stored}\n{password}")
        self._remembered.pop(mark, None)
        while len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[mark] = self._now() + REMEMBER_SECONDS

    def mark(self, text: str) -> bytes:
        """Return an HMAC of a text with a password in it; it can only be compared within this process."""
        return hmac.digest(self._key, _bytes(text), hashlib.sha256)


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(text: str) -> bytes:
    """Return the bytes of a text, even of one with lone surrogates, which JSON can hold."""
    return text.encode("utf-8", "surrogatepass")


# Strength


def weakness(password: str, least: int, about: Iterable[str] = ()) -> str | None:
    """Return what is wrong with a password, or None.

    `about` are words that a guesser would try first: the owner's name, number and address.
    """
    if len(password) < least:
        return f"The password needs at least {least} characters"
    short = [word[:MAX_ABOUT] for word in about]
    # The words and their parts, such as the local part of an address.
    words = [piece for word in short for piece in (word, word.partition("@")[0], *WORDS.findall(word))]
    parts = {password[:JUDGED], password[-JUDGED:]}
    if any(zxcvbn(part, user_inputs=words)["score"] >= LEAST_SCORE for part in parts):
        return None
    return "The password is one of those that are guessed first: use several words, or random characters"


def common_passwords(about: Iterable[str] = ()) -> Iterator[str]:
    """Yield the first guesses of an attacker: words about the owner, common passwords, and short numbers."""
    yield from dict.fromkeys(word for word in about if word)
    yield from islice(FREQUENCY_LISTS["passwords"], COMMON)
    for length in range(1, MAX_DIGITS + 1):
        yield from map("".join, product(DIGITS, repeat=length))
