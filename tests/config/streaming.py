"""A server with the streams of events, its clients, and what they were told."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis

from config import clock
from config.places import HttpLimits, Places
from config.server import HttpServer
from registrar.store import keys
from tests.config.world import World
from tests.patience import limit
from tests.peers.ports import free_port


@dataclass
class Message:
    """One message of a stream."""

    id: str = ""
    event: str = ""
    data: Any = None
    comment: str = ""


@dataclass
class Client:
    """A client of one stream. It keeps what it was told, and the last id, as browsers do."""

    messages: list[Message] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    """Positions in messages without data."""
    last: str = ""
    ended: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def events(self) -> list[Message]:
        return [one for one in self.messages if one.event != "snapshot"]

    @property
    def keys(self) -> list[str]:
        return [one.data["key"] for one in self.events]

    @property
    def snapshot(self) -> list[Any]:
        return [phone for one in self.messages if one.event == "snapshot" for phone in one.data["phones"]]

    async def until(self, count: int, seconds: float = 5) -> list[Message]:
        """Wait until so many events came."""
        async with asyncio.timeout(limit(seconds)):
            while len(self.events) < count:
                self.news.clear()
                await self.news.wait()
        return self.events

    async def until_marked(self) -> None:
        """Wait until the stream has begun."""
        async with asyncio.timeout(limit(5)):
            while not self.last:
                self.news.clear()
                await self.news.wait()

    async def until_ended(self, seconds: float = 5) -> float:
        """Wait for the end of the stream; answers when it came, by time.monotonic()."""
        async with asyncio.timeout(limit(seconds)):
            while not self.ended:
                self.news.clear()
                await self.news.wait()
        return time.monotonic()

    async def listen(self, answer: httpx.Response) -> None:
        """Read messages until the stream or its connection ends."""
        lines: list[str] = []
        with contextlib.suppress(httpx.TransportError):
            async for line in answer.aiter_lines():
                if line:
                    lines.append(line)
                    continue
                self._take(lines)
                lines = []
        self.ended = True
        self.news.set()

    def _take(self, lines: list[str]) -> None:
        message, data = Message(), ""
        for line in lines:
            name, _, value = line.partition(": ")
            if name == "":
                message.comment = value
            elif name == "data":
                data += value
            else:
                assert name in ("id", "event"), line
                setattr(message, name, value)
        self.last = message.id or self.last
        if data:
            message.data = json.loads(data)
            self.messages.append(message)
        elif message.id:
            self.marks.append(message.id)
        self.news.set()


@dataclass
class Site:
    """A running server over a world."""

    world: World
    app: FastAPI
    url: str
    tasks: asyncio.TaskGroup

    @property
    def readers(self) -> int:
        readers: int = self.app.state.parts.hub.readers
        return readers

    @contextlib.asynccontextmanager
    async def stream(self, token: str, query: str = "", last: str = "") -> AsyncIterator[Client]:
        """A client whose stream was accepted."""
        async with self.asked(token, query, last) as answer:
            assert answer.status_code == 200, (await answer.aread()).decode()
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert "content-encoding" not in answer.headers
            client = Client()
            listening = self.tasks.create_task(client.listen(answer))
            try:
                await client.until_marked()
                yield client
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening

    @contextlib.asynccontextmanager
    async def asked(self, token: str, query: str = "", last: str = "") -> AsyncIterator[httpx.Response]:
        """The answer to one request, whatever it is."""
        headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": last} if last else {})
        async with (
            httpx.AsyncClient(base_url=self.url, headers=headers, timeout=limit(30)) as client,
            client.stream("GET", f"/events?{query}") as answer,
        ):
            yield answer

    async def refusal(self, token: str, query: str = "", last: str = "") -> tuple[int, Any, httpx.Headers]:
        """What a request for a stream is refused with."""
        async with self.asked(token, query, last) as answer:
            assert answer.status_code != 200
            return answer.status_code, json.loads(await answer.aread())["error"], answer.headers

    async def until_readers(self, count: int) -> None:
        async with asyncio.timeout(limit(5)):
            while self.readers != count:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(world: World, port: int = 0) -> AsyncIterator[Site]:
    """A server that runs during the block."""
    app, port, stop = world.app(), port or free_port(), asyncio.Event()
    server = HttpServer([("127.0.0.1", port)], app, Places(clock.mono_now, HttpLimits()))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(app.state.parts.hub.run(stop))
        tasks.create_task(server.run(stop))
        await server.started.wait()
        try:
            yield Site(world, app, f"http://127.0.0.1:{port}", tasks)
        finally:
            stop.set()
    await app.state.parts.changes.close()


async def write(redis: Redis, *, customer: str, phone: str = "", **fields: str) -> str:
    """Append an event; answers its id."""
    entry = {"event": "registered", "phone": phone, "customer": customer, "time": "1900000000"} | fields
    return (await write_all(redis, [entry]))[0]


async def write_all(redis: Redis, entries: Iterable[Mapping[str, str]]) -> list[str]:
    """Append events; answers their ids."""
    pipe = redis.pipeline(transaction=False)
    for entry in entries:
        words = [word for pair in entry.items() for word in pair]
        pipe.execute_command("XADD", keys.EVENTS, "*", *words)
    return [str(id) for id in await pipe.execute()]
