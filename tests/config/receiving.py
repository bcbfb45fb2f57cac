"""A web server that is told events, with the faults that a test wants; and the job that tells it."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from config.access import AccessLevel
from config.operations import sights
from config.webhooks.courier import Courier
from config.webhooks.deliverer import Deliverer
from config.webhooks.sender import Sender
from registrar.model import Epoch
from tests.config.streaming import write_all
from tests.config.world import Json, World
from tests.patience import limit

PHONE, OTHER = "aa" * 12, "bb" * 12
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass
class Message:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes
    target: str
    at: float = field(default_factory=time.time)
    """When it came."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        key: str = self.json["data"]["key"]
        return key

    def is_signed(self, secret: str, now: float | None = None) -> bool:
        """Whether the signature is right, by the text of Standard Webhooks, without its library."""
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        id, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = hmac.new(key, f"{id}.{at}.".encode() + self.body, hashlib.sha256).digest()
        given = self.headers["webhook-signature"].split(" ")
        return abs(int(at) - (now or self.at)) < 60 and f"v1,{base64.b64encode(signed).decode()}" in given


@dataclass
class Receiver:
    """A web server on loopback. It accepts what comes, unless `answers` says something else."""

    port: int = 0
    received: list[Message] = field(default_factory=list)
    """Every request, also those that it did not accept."""
    accepted: list[Message] = field(default_factory=list)
    answers: Callable[[Message], Awaitable[int]] | None = None
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def until(self, count: int, seconds: float = 5) -> list[Message]:
        """Wait until so many messages were accepted."""
        await self._until(lambda: len(self.accepted) >= count, seconds)
        return self.accepted

    async def until_received(self, count: int, seconds: float = 5) -> list[Message]:
        """Wait until so many requests came."""
        await self._until(lambda: len(self.received) >= count, seconds)
        return self.received

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(limit(seconds)):
            while not holds():
                self.news.clear()
                await self.news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.writers.append(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._answer(reader, writer)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        message = Message(headers, body, first)
        self.received.append(message)
        self.news.set()
        status = await self.answers(message) if self.answers else 204
        if 200 <= status < 300:
            self.accepted.append(message)
            self.news.set()
        location = "Location: http://127.0.0.1:1/\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A web server for the length of the block."""
    here = Receiver()
    server = await asyncio.start_server(here.serve, "127.0.0.1", 0)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()
        for writer in here.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@dataclass
class Clock:
    """The time of the job: the real one, and what a test adds."""

    ahead: float = 0.0

    def __call__(self) -> Epoch:
        return Epoch(time.time() + self.ahead)


def job(world: World, now: Callable[[], Epoch] | None = None, owner: str = "one") -> Deliverer:
    """The job as a process has it; it looks more often than in production."""

    async def customers_of(phones: Any) -> Any:
        async with world.read_engine.connect() as connection:
            return await sights.customers_of(connection, phones)

    now = now or Clock()
    courier = Courier(world.vault, Sender(LOOPBACK), now)
    parts = (world.engine, world.read_engine, world.redis, courier, customers_of)
    return Deliverer(*parts, now, owner, look_seconds=0.02)


@contextlib.asynccontextmanager
async def delivering(*jobs: Deliverer) -> AsyncIterator[None]:
    """The jobs run during the block."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for one in jobs:
            tasks.create_task(one.run(stop))
        try:
            yield
        finally:
            stop.set()


async def hook(world: World, url: str, customer: str = "acme", **body: Any) -> Json:
    """A webhook that was made by the API; with its secret."""
    (made,) = await hooks(world, [url], customer, **body)
    return made


async def hooks(world: World, urls: Iterable[str], customer: str = "acme", **body: Any) -> list[Json]:
    """Webhooks that were made by the API; with their secrets."""
    async with world.client(AccessLevel.OWNER, customer) as api:
        answers = [await api.post("/webhook", json={"url": url, **body}) for url in urls]
    assert {answer.status_code for answer in answers} == {200}, answers[-1].text
    return [answer.json() for answer in answers]


async def shown(world: World, made: Json, path: str = "") -> Json:
    """A webhook, or what is below its path, as its owner sees it."""
    async with world.client(AccessLevel.ADMIN, None) as api:
        answer = await api.get(f"/webhook/{made['_id']}{path}")
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


async def events(world: World, *keys: str, phone: str = PHONE, of: str = "acme", **fields: str) -> None:
    """Events of a phone of a customer, told in this order."""
    about = {"event": "registered", "phone": phone, "customer": world.ids[of], "time": "1900000000"}
    await write_all(world.redis, [about | {"key": key} | fields for key in keys])


async def events_of_many(world: World, count: int, of: str = "acme", **fields: str) -> None:
    """One event each of so many phones: they are sent beside each other."""
    about = {"event": "registered", "customer": world.ids[of], "time": "1900000000"} | fields
    await write_all(
        world.redis,
        [about | {"key": f"{of}{number}", "phone": f"{number:024x}"} for number in range(count)],
    )
