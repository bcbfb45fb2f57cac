"""Guessers: strangers who try passwords over any transport, and the addresses that tests may spend."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from tests.peers.endpoint import Exchanges
from tests.peers.phone import Account, Address, Answer, Caller

WRONG: Final = "w" * 32
TOO_MANY: Final = '"too many wrong passwords"'


def addresses(block: int) -> Iterator[Address]:
    """Addresses of loopback that belong to one test module: a budget that it spends is its own."""
    for number in count(1):
        yield (f"127.{block}.{number // 250}.{1 + number % 250}", 0)


class Guesser:
    """Tries passwords over one socket, each with a challenge of its own, and counts the answers."""

    def __init__(self, endpoint: Exchanges, domain: str) -> None:
        self._endpoint = endpoint
        self._domain = domain
        self.answers: Counter[int] = Counter()
        self.last: Answer | None = None

    async def guess(self, username: str, password: str = WRONG) -> int:
        """One guess: the status of its answer. What is no user of a URI stands in the credentials alone."""
        account = Account(username if username.isalnum() else "stranger", password, self._domain)
        caller = Caller(account, self._endpoint.address, transport=self._endpoint.transport)
        challenge = await self._endpoint.exchange(caller.register())
        assert caller.learn(challenge), challenge
        line = caller.credentials("REGISTER", f"sip:{self._domain}")
        escaped = username.replace('"', '\\"')
        line = line.replace(f'username="{account.username}"', f'username="{escaped}"')
        self.last = await self._endpoint.exchange(caller.register(extra=[line]))
        self.answers[self.last.status] += 1
        return self.last.status

    async def guess_all(self, usernames: Sequence[str], at_once: int = 8) -> None:
        """One guess for each name, `at_once` at a time."""
        left = iter(usernames)

        async def some() -> None:
            for username in left:
                await self.guess(username)

        await asyncio.gather(*[some() for _ in range(at_once)])
