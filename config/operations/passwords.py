"""Passwords and pins of people: kept as argon2id, worked on beside the event loop."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_PASSWORD: Final = 1_024
"""More is no password but work for us."""
AT_ONCE: Final = 2
"""Each takes 64 MiB and some 50 ms of a core; more at once would only wait for each other."""
NOBODYS: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$rNnn0WIOolrw4wBD6McXCg$tSWLwRAYEkkcp5mrNjfjJkHJw5vB91qbchtbS+iSMAQ"
)
"""Opens nothing; checked for an unknown login, so that it takes as long as a known one."""

_hasher: Final = PasswordHasher()


class Passwords:
    """Makes and checks hashes; one object per process, so that there are never more than two at work."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def hashed(self, password: str) -> str:
        """What is stored of a password."""
        async with self._turns:
            return await asyncio.to_thread(_hasher.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one `stored` was made of; None: nobody's, which takes as long."""
        if len(password) > MAX_PASSWORD:
            return False
        async with self._turns:
            return await asyncio.to_thread(_matches, stored or NOBODYS, password) and stored is not None


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
