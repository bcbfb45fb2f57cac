"""Many clients of GET /events in one process: each is cut off, comes back, and keeps what it was told."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

from redis.asyncio import Redis

from registrar.store import keys
from registrar.store.redis_client import connect
from tests.peers.phone import Address

RETRY_SECONDS = 0.1
READ_OCTETS = 65_536


@dataclass
class Stream:
    """A client of one stream."""

    address: Address
    token: str
    query: str = ""
    last: str = ""
    """The id of the last whole message: it resumes after it."""
    ids: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """Statuses of refusals."""
    cuts: int = 0
    """How often its connection was lost, for whatever reason."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Read, and come back after each loss, until cancelled."""
        while True:
            reading = asyncio.create_task(self._read())
            self._task = reading
            try:
                await reading
            except (OSError, asyncio.IncompleteReadError):
                pass
            except asyncio.CancelledError:
                if not reading.done():
                    reading.cancel()
                if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # it runs in a task
                    raise
            self.cuts += 1
            await asyncio.sleep(RETRY_SECONDS * random.random())

    def cut(self) -> None:
        """Lose the connection in the middle of whatever comes."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self) -> None:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            resume = f"Last-Event-ID: {self.last}\r\n" if self.last else ""
            writer.write(
                f"GET /events?{self.query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                f"Authorization: Bearer {self.token}\r\n{resume}\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            if status != 200:
                self.refused.append(status)
                return
            await self._messages(reader)
        finally:
            writer.transport.abort()

    async def _messages(self, reader: asyncio.StreamReader) -> None:
        text = b""
        while octets := int(await reader.readline() or b"0", 16):
            text += await reader.readexactly(octets)
            await reader.readexactly(2)
            *whole, text = text.split(b"\n\n")
            for message in whole:
                self._take(message)

    def _take(self, message: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in message.split(b"\n") if not line.startswith(b":"))
        self.last = fields.get(b"id", self.last.encode()).decode()
        if b"data" in fields:
            self.ids.append(self.last)
            self.keys.append(fields[b"data"].split(b'"key":"', 1)[1].split(b'"', 1)[0].decode())
        self.begun.set()


@dataclass
class Writer:
    """It appends events as the SIP side does: again if it does not know whether one arrived."""

    url: str
    customer: str
    written: int = 0
    run: int = 0

    async def write(self, count: int, a_second: float) -> None:
        """Append events at this rate."""
        self.run += 1
        redis = connect(self.url)
        try:
            for number in range(count):
                key = f"phone{number % 97}:{self.run}:{number}"
                await self._append(redis, key)
                if number % 50 == 7:  # its author died before it could note that the event is there
                    await self._append(redis, key)
                self.written = number + 1
                await asyncio.sleep(1 / a_second)
        finally:
            await redis.aclose()

    async def _append(self, redis: Redis, key: str) -> None:
        words = ("key", key, "event", "registered", "customer", self.customer, "time", "1900000000")
        while True:
            with contextlib.suppress(OSError, Exception):
                await redis.execute_command("XADD", keys.EVENTS, "*", *words)  # type: ignore[no-untyped-call]  # redis-py
                return
            await asyncio.sleep(0.05)


async def expected(url: str, customer: str) -> list[tuple[str, str]]:
    """Ids and keys of what a reader of this customer is told: each key once."""
    redis = connect(url)
    try:
        entries = await redis.xrange(keys.EVENTS)
    finally:
        await redis.aclose()
    first: dict[str, str] = {}
    for id, fields in entries or ():
        if (fields or {}).get("customer") == customer:
            first.setdefault(str((fields or {})["key"]), str(id))
    return [(id, key) for key, id in first.items()]
