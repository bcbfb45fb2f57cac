"""A steady load of registrations that goes on while servers die, and remembers every promise they made."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self

from websockets.exceptions import InvalidHandshake

from tests.peers.endpoint import Endpoint, Exchanges, Phone
from tests.peers.phone import DEADLINE, Account, Address, Answer
from tests.peers.stream import StreamEndpoint
from tests.peers.websocket_phone import WebSocketEndpoint

AGAIN_SECONDS: Final = 0.2
"""A phone that could not connect, or whose connection broke, waits so long."""

Transport = Literal["udp", "tcp", "tls", "ws", "wss"]
Open = Callable[[], Awaitable[Exchanges]]


def opening(transport: Transport, server: Address, source: Address = ("127.0.0.1", 0)) -> Open:
    """How an endpoint of that transport is opened. It raises OSError, or InvalidHandshake on ws and wss."""
    match transport:
        case "udp":
            return partial(Endpoint.open, server, source)
        case "tcp" | "tls":
            return partial(StreamEndpoint.open, server, secure=transport == "tls", source=source)
        case "ws" | "wss":
            return partial(WebSocketEndpoint.open, server, secure=transport == "wss", source=source)


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


class ConnectedPhone(Phone):
    """A phone with a connection of its own, made when it is needed and made again when it was lost."""

    def __init__(self, account: Account, transport: Transport, open: Open) -> None:
        super().__init__(account, Exchanges(transport.upper()), instance=str(uuid.uuid4()))
        self._open = open
        self._connected = False

    async def register(
        self, expires: int | None = 3600, *, reuse: bool = False, deadline: float = DEADLINE
    ) -> Answer:
        """As `Phone.register`, over a new connection when there is none or it breaks. Raises TimeoutError."""
        until = time.monotonic() + deadline
        while (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._connect()
                    return await super().register(expires, reuse=reuse, deadline=deadline)
            except TimeoutError:
                break
            except (OSError, EOFError, InvalidHandshake):
                await asyncio.sleep(AGAIN_SECONDS)
        raise TimeoutError(f"not registered within {deadline:g} s")

    @property
    def connected(self) -> bool:
        """Whether its connection is open, as far as it knows."""
        return self._connected and self._endpoint.lost is None

    async def _connect(self) -> None:
        if not self.connected:
            self.move(await self._open())
            self._connected = True

    async def close(self) -> None:
        """Hang up."""
        if self._connected:
            async with self._endpoint:
                self._connected = False


class SteadyLoad:
    """`rate` whole registrations a second over `accounts`, each phone one at a time.

    Over UDP all phones share one socket; on any other transport each has a connection of its own, which it
    keeps, and makes again when it breaks.

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
        transport: Transport = "udp",
    ) -> None:
        self._accounts = accounts
        self._transport = transport
        self._open = opening(transport, server, source)
        self._rate = rate
        self._expires = expires
        self._deadline = deadline
        self._reuse = reuse_nonce
        self._shared: Exchanges | None = None
        self._phones: list[Phone] = []
        self._runner: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.result = LoadResult()

    async def __aenter__(self) -> Self:
        if self._transport == "udp":
            shared = self._shared = await self._open()
            self._phones = [Phone(account, shared) for account in self._accounts]
        else:
            self._phones = [
                ConnectedPhone(account, self._transport, self._open) for account in self._accounts
            ]
        self._runner = asyncio.create_task(self._run())
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
            connected = [phone for phone in self._phones if isinstance(phone, ConnectedPhone)]
            await asyncio.gather(*[phone.close() for phone in connected])
            if self._shared is not None:
                async with self._shared:
                    self._shared = None

    def reached_at(self, username: str) -> str:
        """The contact under which a phone can be reached now; empty while it has no connection."""
        phone = next(one for one in self._phones if one.caller.account.username == username)
        gone = isinstance(phone, ConnectedPhone) and not phone.connected
        return "" if gone else phone.caller.contact

    async def _run(self) -> None:
        idle = list(self._phones)
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
