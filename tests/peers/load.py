"""A steady load of registrations that goes on while servers die, and remembers every promise they made."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.peers.endpoint import Endpoint, Phone
from tests.peers.phone import DEADLINE, Account, Address, Answer


@dataclass(frozen=True)
class Acknowledged:
    """A 200: from now until `expires_at` the server has promised to know this contact."""

    at: float
    username: str
    contact: str
    expires_at: float
    """Epoch seconds, by the expires that the answer grants."""
    seconds: float
    """How long the whole registration took."""


@dataclass(frozen=True)
class Refused:
    """A final answer that promises nothing: not 200, or a 200 that does not list the contact."""

    at: float
    username: str
    status: int
    reason: str


@dataclass(frozen=True)
class TimedOut:
    """No final answer before the deadline: the server has promised nothing, and may still have stored it."""

    at: float
    username: str


@dataclass
class LoadResult:
    """All that happened, in the order in which it ended."""

    started: int = 0
    skipped: int = 0
    """Turns at which every phone still waited for an answer."""
    acknowledged: list[Acknowledged] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    timeouts: list[TimedOut] = field(default_factory=list)

    @property
    def codes(self) -> Counter[int]:
        """How often each final status came; timeouts are not in it."""
        return Counter([200] * len(self.acknowledged) + [refusal.status for refusal in self.refused])

    def promised(self, at: float) -> dict[str, Acknowledged]:
        """The last promise to each phone that is not over at `at`."""
        return {promise.username: promise for promise in self.acknowledged if promise.expires_at > at}


class SteadyLoad:
    """`rate` whole registrations a second over `accounts`, each phone one at a time.

        async with SteadyLoad(accounts, server, rate=100) as load:
            await asyncio.sleep(5)
            await asyncio.to_thread(server.kill9)  # blocking it would stop the load too
            await asyncio.to_thread(server.start)
        assert not load.result.refused

    Leaving the block starts no more registrations and waits for those that are on their way.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        server: Address,
        *,
        rate: float,
        expires: int = 600,
        deadline: float = DEADLINE,
        source: Address = ("127.0.0.1", 0),
        reuse_nonce: bool = False,
    ) -> None:
        self._accounts = accounts
        self._server = server
        self._source = source
        self._rate = rate
        self._expires = expires
        self._deadline = deadline
        self._reuse = reuse_nonce
        self._endpoint: Endpoint | None = None
        self._runner: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.result = LoadResult()

    async def __aenter__(self) -> Self:
        self._endpoint = await Endpoint.open(self._server, self._source)
        self._runner = asyncio.create_task(self._run(self._endpoint))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        try:
            if self._runner is not None:
                if error is not None:
                    self._runner.cancel()
                await asyncio.wait([self._runner])
                if error is None:
                    self._runner.result()
        finally:
            if self._endpoint is not None:
                self._endpoint.close()
                await asyncio.sleep(0)

    async def _run(self, endpoint: Endpoint) -> None:
        idle = [Phone(account, endpoint) for account in self._accounts]
        idle.reverse()  # taken from the end, given back at the front: the phones take turns
        loop = asyncio.get_running_loop()
        begin, turn = loop.time(), 0
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                if idle:
                    self.result.started += 1
                    group.create_task(self._register(idle.pop(), idle))
                else:
                    self.result.skipped += 1
                turn += 1
                await self._pause(begin + turn / self._rate - loop.time())

    async def _pause(self, seconds: float) -> None:
        """Sleep, or return at once when the load is to stop."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self._stopping.wait(), seconds)
            except TimeoutError:
                return
        else:
            await asyncio.sleep(0)

    async def _register(self, phone: Phone, idle: list[Phone]) -> None:
        begin = time.monotonic()
        try:
            answer = await phone.register(self._expires, reuse=self._reuse, deadline=self._deadline)
            self._note(phone, answer, time.monotonic() - begin)
        except TimeoutError:
            self.result.timeouts.append(TimedOut(time.time(), phone.caller.account.username))
        finally:
            idle.insert(0, phone)

    def _note(self, phone: Phone, answer: Answer, seconds: float) -> None:
        caller, now = phone.caller, time.time()
        granted = answer.granted(caller.contact)
        if answer.status == 200 and granted is not None:
            promise = Acknowledged(now, caller.account.username, caller.contact, now + granted, seconds)
            self.result.acknowledged.append(promise)
        else:
            self.result.refused.append(Refused(now, caller.account.username, answer.status, answer.reason))
