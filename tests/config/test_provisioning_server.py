"""Rude clients at the listener for phones, on real sockets: each is answered, or closed in time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from config.changes import Changes
from config.origins import Origins
from config.places import HttpLimits, Places
from config.provisioning.build import phone_files
from config.server import HttpServer
from registrar.metrics import Metrics
from registrar.model import Mono
from tests.config.phones import NAME, armed, new_phone, on
from tests.config.world import World
from tests.peers.ports import free_port

PATIENCE = 120.0


class Listener:
    """The listener for phones on a port of its own, with a clock that a test turns."""

    def __init__(self, world: World, limits: HttpLimits | None = None) -> None:
        self.now = 1_000.0
        self.places = Places(lambda: Mono(self.now), limits or HttpLimits())
        self.port = free_port()
        self._changes = Changes(world.redis)
        self._app = phone_files(
            world.settings.provisioning,
            world.read_engine,
            world.engine,
            world.redis,
            world.vault,
            self._changes,
            Origins(None, lambda: Mono(0)),
            Metrics(),
        )
        self._server = HttpServer([("127.0.0.1", self.port)], self._app, self.places, setting="PROV_HTTP")
        self._stop = asyncio.Event()

    async def __aenter__(self) -> "Listener":
        self._running = asyncio.create_task(self._server.run(self._stop))
        await self._server.started.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._running
        await self._changes.close()
        await self._app.close()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, octets: bytes) -> bytes:
        """What the listener answers to these octets, until it closes."""
        reader, writer = await self.open()
        writer.write(octets)
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def listener(world: World) -> AsyncIterator[Listener]:
    async with Listener(on(world, plain=True)) as running:
        yield running


def get(path: str, version: str = "1.1", host: str = "Host: x\r\n") -> bytes:
    return f"GET {path} HTTP/{version}\r\n{host}Connection: close\r\n\r\n".encode("latin-1")


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(get("/none", "1.0", ""), 404, id="HTTP/1.0 without Host"),
        pytest.param(get("http://x/startup.cfg"), 200, id="absolute form"),
        pytest.param(get("/none", "1.1", ""), 400, id="HTTP/1.1 without Host"),
        pytest.param(get("/p/s/..%2f..%2fsecret.key"), 404, id="encoded slashes"),
        pytest.param(get("/p/s/../../secret.key"), 404, id="dots"),
        pytest.param(get("//p//s//x"), 404, id="double slashes"),
        pytest.param(get("/%00"), 404, id="an encoded NUL"),
        pytest.param(get("/a\0b"), 400, id="a NUL"),
        pytest.param(get("/\xe6\xff"), 400, id="octets that are no ASCII"),
        pytest.param(get("http://other.example/p/s/x"), 404, id="the form for proxies"),
        pytest.param(get("/" + "a" * 2_000), 404, id="a long path"),
        pytest.param(b"PUT /none HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 405, id="PUT"),
        pytest.param(
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="TLS on the plain port"
        ),
    ],
)
async def test_a_rude_request_gets_a_clear_answer(listener: Listener, octets: bytes, status: int) -> None:
    answer = await listener.say(octets)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"\r\nserver:" not in answer.lower()


async def test_a_path_of_64_kib_is_no_file_or_no_request(listener: Listener) -> None:
    try:
        answer = await listener.say(get("/" + "a" * 65_536))
    except ConnectionResetError:  # the rest of the path came after the answer
        answer = b"HTTP/1.1 400 "
    assert answer[:13] in (b"HTTP/1.1 404 ", b"HTTP/1.1 400 "), "it depends on how the octets arrive"
    assert (await listener.say(get("/none"))).startswith(b"HTTP/1.1 404 "), "the listener goes on"


async def test_a_slow_request_and_a_silent_peer_are_closed(listener: Listener) -> None:
    slow, silent = await listener.open(), await listener.open()
    slow[1].write(b"GET /none HT")
    await _until(lambda: len(listener.places) == 2)
    await asyncio.sleep(0.5)  # the listener has looked at both
    listener.now += listener.places.limits.header_seconds
    async with asyncio.timeout(PATIENCE):
        assert (await slow[0].read()).startswith(b"HTTP/1.1 408 ")
        assert await silent[0].read() == b""
    for _, writer in (slow, silent):
        writer.close()


async def test_idle_strangers_do_not_keep_a_phone_out(world: World) -> None:
    world = on(world, plain=True)
    path = await armed(world, await new_phone(world))
    assert path.endswith(NAME)
    async with Listener(world, HttpLimits(total=20, strangers_per_source=8)) as listener:
        idle = [await listener.open() for _ in range(60)]
        await _until(lambda: len(listener.places) <= 20)
        assert (await listener.say(get(path))).startswith(b"HTTP/1.1 200 ")
        for _, writer in idle:
            writer.close()


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)
