"""One connection to Redis; all commands of one turn of the event loop leave in one write.

redis-py spends about ten times as much on a command that travels alone (tests/bench shows both). The scripts
of the location are in the path of every REGISTER, so they use this connection. All else uses redis-py.
"""

import asyncio
import contextlib
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import hiredis

from registrar.collectors import Durations
from registrar.errors import StoreUnavailable

from .redis_url import parse_url
from .sentinels import Sentinels

ANSWER_SECONDS: Final = 0.4
"""A command that Redis has not answered by then has failed."""
MERCY_SECONDS: Final = 0.02
"""Before giving up, read the socket once more: if our event loop was late, the answer may already be
there."""
LINGER_SECONDS: Final = 0.005
"""How long a command that only tidies up may wait to leave with others: alone it costs far more."""
DRAIN_SECONDS: Final = 0.5
CONNECT_SECONDS: Final = 2.0
RETRY_SECONDS: Final[tuple[float, ...]] = (0.05, 0.1, 0.2, 0.5)
MAX_WAITING: Final = 20_000
"""Limit of commands that wait for an answer; further commands fail."""
ELSEWHERE: Final = ("READONLY ", "LOADING ", "MASTERDOWN ", "NOREPLICAS ")
"""Begin the answers of a server that takes no writes: it became a replica, has just started, or is cut off
from its replicas. If another one takes them, only a new connection finds it."""

log = logging.getLogger(__name__)
Argument = bytes | str | int


class Wire:
    """Connection that reconnects by itself.

    While it is not open, every command fails at once with StoreUnavailable.
    """

    def __init__(self, url: str, on_connect: Callable[[], Awaitable[None]] | None = None) -> None:
        """Create a closed connection.

        `on_connect` runs after each (re)connection, before other callers may use it. Raises
        ConfigurationError.
        """
        address = self._address = parse_url(url)
        self._tls = address.tls_context()
        self._sentinels = Sentinels(address) if address.sentinels else None
        self._on_connect = on_connect
        self._transport: asyncio.WriteTransport | None = None
        self._protocol: _Protocol | None = None
        self._waiting: deque[tuple[asyncio.Future[Any] | None, float]] = deque()
        self._now: Callable[[], float] = lambda: 0.0
        """The time of the loop that connects; every command reads it."""
        self._out: list[bytes] = []
        self._answered = 0
        self._soon = False
        """Whether queued commands leave with the next turn of the loop."""
        self._later: asyncio.TimerHandle | None = None
        self._reader = hiredis.Reader()
        self._watch: asyncio.TimerHandle | None = None
        self._broken = asyncio.Event()
        self._refusal = ""
        """The answer of a server that takes no writes."""
        self.why = "not connected yet"
        """The text of the last fault."""
        self.up = False
        self.opened = asyncio.Event()
        """Set once the connection has been open."""
        self.took = Durations()
        """From each command to its answer."""
        self.errors = 0
        """How many error answers came to commands without a waiting caller."""

    async def run(self) -> None:
        """Keep the connection until cancelled; each loss and each return is one line in the log."""
        if self._sentinels is None:
            await self._keep()
            return
        watch = asyncio.create_task(self._sentinels.watch(self._leave))
        try:
            await self._keep()
        finally:
            watch.cancel()

    async def _leave(self) -> None:
        self._drop("another server has become the master")

    async def _keep(self) -> None:
        delays = iter(RETRY_SECONDS)
        told = ""
        while True:
            try:
                await self._connect()
            except (OSError, TimeoutError, StoreUnavailable, hiredis.HiredisError) as error:
                self._drop(_reason(error))
                if told != self.why:
                    log.warning("Redis is away: %s", self.why)
                    told = self.why
                await asyncio.sleep(next(delays, RETRY_SECONDS[-1]))
                continue
            if told:
                log.warning("Redis is back")
            delays, told = iter(RETRY_SECONDS), ""
            await self._broken.wait()
            log.warning("Redis is away: %s", self.why)
            told = self.why

    def close(self) -> None:
        """Close the connection: queued commands are still sent, commands that wait for an answer fail."""
        self.flush()
        self._drop("closing")

    async def drain(self) -> None:
        """Wait until all commands are answered, for at most `DRAIN_SECONDS`."""
        end = self._now() + DRAIN_SECONDS
        while self.up and (self._waiting or self._out) and self._now() < end:
            self.flush()
            await asyncio.sleep(0.001)

    def send(self, *arguments: Argument) -> asyncio.Future[Any]:
        """Queue one command, and return a future for its answer.

        Raises StoreUnavailable if the connection is not open, or too many commands wait. The future raises
        StoreUnavailable if the connection is lost, or for an error answer of Redis, whose text comes first.
        """
        if not self.up:
            raise StoreUnavailable(self.why)
        return self._queue(arguments)

    def tell(self, *arguments: Argument, linger: bool = False) -> None:
        """Queue one command without waiting for its answer; errors are counted.

        With `linger` its effect is not waited for either: it leaves within `LINGER_SECONDS`, with other
        commands. Raises StoreUnavailable like `send`.
        """
        if not self.up:
            raise StoreUnavailable(self.why)
        if len(self._waiting) >= MAX_WAITING:
            raise _full()
        self._write(arguments, linger=linger)
        self._waiting.append((None, self._now()))
        self._watch_answers()

    def _queue(self, arguments: tuple[Argument, ...]) -> asyncio.Future[Any]:
        if len(self._waiting) >= MAX_WAITING:
            raise _full()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._write(arguments)
        self._waiting.append((future, self._now()))
        self._watch_answers()
        return future

    def _watch_answers(self) -> None:
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._look)

    def _write(self, arguments: tuple[Argument, ...], *, linger: bool = False) -> None:
        if linger and not self._soon and self._later is None:
            self._later = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.flush)
        elif not linger and not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self.flush)
        # The stub of hiredis has a tuple of one item; the function takes any number.
        self._out.append(hiredis.pack_command(arguments))  # type: ignore[arg-type]

    def flush(self) -> None:
        """Write the queued commands before the next turn of the loop begins."""
        self._soon = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._transport is not None and self._out:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def received(self, data: bytes) -> None:
        """Give each answer in the bytes from Redis to its command, in order."""
        try:
            self._reader.feed(data)
            took, now = self.took, self._now()
            while (answer := self._reader.gets()) is not False:
                future, begun = self._waiting.popleft()
                self._answered += 1
                took.counts[bisect_left(took.bounds, now - begun)] += 1  # took.add() without the call
                took.total += now - begun
                self._resolve(future, answer)
        except (hiredis.ProtocolError, IndexError) as error:
            self._drop(f"not Redis: {error}")
        if self._refusal:
            self._drop(self._refusal)

    def lost(self, error: Exception | None) -> None:
        """Drop the connection after its transport was lost."""
        self._drop(str(error) if error else "connection closed")

    def _resolve(self, future: asyncio.Future[Any] | None, answer: object) -> None:
        failed = isinstance(answer, hiredis.ReplyError)
        if failed and str(answer).startswith(ELSEWHERE):
            self._refusal = str(answer)
        if future is None:
            self.errors += failed
        elif not future.done():  # a cancelled caller must not shift the other answers
            if failed:
                future.set_exception(StoreUnavailable(str(answer)))
            else:
                future.set_result(answer)

    def _look(self) -> None:
        """Check whether the oldest command has waited too long."""
        loop = asyncio.get_running_loop()
        self._watch = None
        if not self._waiting:
            return
        left = ANSWER_SECONDS - (self._now() - self._waiting[0][1])
        if left > 0:
            self._watch = loop.call_later(left, self._look)
        else:
            self._watch = loop.call_later(MERCY_SECONDS, self._condemn, self._answered)

    def _condemn(self, answered: int) -> None:
        """Drop the connection, unless an answer came since the count `answered`.

        The count decides, because in compiled code a tuple in a queue has no identity to compare.
        """
        self._watch = None
        if self._waiting and self._answered == answered:
            self._drop(f"no answer within {ANSWER_SECONDS} s")
        else:
            self._look()

    async def _connect(self) -> None:
        self._reader = hiredis.Reader()
        self._broken.clear()
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._refusal = ""
        protocol = self._protocol = _Protocol(self)
        async with asyncio.timeout(CONNECT_SECONDS):
            self._transport = await self._reach(protocol)
            await self._greet()
            if self._on_connect is not None:
                await self._on_connect()
        if self._broken.is_set():
            raise StoreUnavailable(self.why)
        self.up = True
        self.opened.set()

    async def _reach(self, protocol: "_Protocol") -> asyncio.WriteTransport:
        """Return an open transport to the server that takes writes."""
        address, loop = self._address, asyncio.get_running_loop()
        if address.path:
            local, _ = await loop.create_unix_connection(lambda: protocol, address.path)
            return local
        host, port = address.host, address.port
        if self._sentinels is not None:
            host, port = await self._sentinels.master()
        transport, _ = await loop.create_connection(lambda: protocol, host, port, ssl=self._tls)
        if self._broken.is_set():  # meanwhile the sentinels have named another one
            transport.close()
            raise StoreUnavailable(self.why)
        return transport

    async def _greet(self) -> None:
        address = self._address
        if address.password:
            user = (address.username,) if address.username else ()
            await self._queue(("AUTH", *user, address.password))
        if address.database:
            await self._queue(("SELECT", address.database))
        await self._queue(("CLIENT", "SETNAME", "registrar"))
        await self._queue(("PING",))
        if self._sentinels is not None and (await self._queue(("ROLE",)))[0] != b"master":
            raise StoreUnavailable("the server that the sentinels name is a replica")

    def early(self, *arguments: Argument) -> asyncio.Future[Any]:
        """Queue one command like `send`, for `on_connect`, before the connection is open to other callers."""
        return self._queue(arguments)

    def _drop(self, why: str) -> None:
        self.up = False
        self.why = why
        if self._protocol is not None:
            self._protocol.wire = None
        transport, self._transport = self._transport, None
        if transport is not None:
            with contextlib.suppress(Exception):  # a broken transport may raise again
                transport.close()
        self._out.clear()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if future is not None and not future.done():
                future.set_exception(StoreUnavailable(why))
        self._broken.set()


def _reason(error: BaseException) -> str:
    """Return why there is no connection. What Redis or we have said needs no name of a class."""
    return str(error) if isinstance(error, StoreUnavailable) else f"{type(error).__name__}: {error}"


def _full() -> StoreUnavailable:
    return StoreUnavailable(f"{MAX_WAITING} commands wait for Redis")


class _Protocol(asyncio.Protocol):
    """Protocol of one connection; it has no wire once the wire has dropped it."""

    def __init__(self, wire: Wire) -> None:
        self.wire: Wire | None = wire

    def data_received(self, data: bytes) -> None:
        if self.wire is not None:
            self.wire.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.wire is not None:
            self.wire.lost(error)
