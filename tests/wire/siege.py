"""Peers that mean no good, in a process of their own: what each of them did, and when it was thrown out.

    python -m tests.wire.siege '[{"attack": "nothing", "transport": "tcp", "server": ..., "count": 9}]'

prints one JSON list with a list for each order: the seconds until each connection was closed, null for those
that never were. Every address of loopback that they come from has at most `PER_SOURCE` of them.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Final

import uvloop

from tests.patience import limit
from tests.peers.phone import Address
from tests.peers.process import Process
from tests.peers.stream import trusting
from tests.wire.frames import CONTINUATION, PING, TEXT, frame, upgrade

PER_SOURCE: Final = 50
GIVE_UP_SECONDS: Final = limit(40.0)
SLOWLY_SECONDS: Final = 1.0
SECURE: Final = ("tls", "wss")
WEBSOCKETS: Final = ("ws", "wss")
DEAF_BUFFER: Final = 16_384
DEAF_OCTETS: Final = 4_000_000
"""What a peer asks at most that reads no answer: more than anybody keeps for it."""
ROOT: Final = Path(__file__).parents[2]
REQUEST: Final = (
    b"OPTIONS sip:registrar.localhost SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 192.168.7.9:5060;branch=z9hG4bKsiege;rport\r\n"
    b"Max-Forwards: 70\r\nFrom: <sip:siege@registrar.localhost>;tag=1\r\nTo: <sip:registrar.localhost>\r\n"
    b"Call-ID: siege\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
"""With one octet a second it takes longer than anybody waits for."""
MESSAGE: Final = REQUEST.replace(b"OPTIONS", b"MESSAGE")
"""Only those say it who read no answer."""
LONG_MESSAGE: Final = MESSAGE.replace(b"siege;rport", b"siege" + b"x" * 1_500 + b";rport")
"""Its answer is as long."""
GET: Final = b"GET %s HTTP/1.1\r\nHost: prov.example\r\n\r\n"


@dataclass(frozen=True)
class Order:
    """So many connections that all do the same."""

    attack: str
    transport: str
    server: Address
    count: int
    bare: bool = False
    """Without the handshake that TLS begins with."""
    rate: float = 0.0
    """Connections a second; 0: all at once."""
    path: str = "/000413000000.xml"
    """What is asked for over HTTP."""

    @property
    def tls(self) -> ssl.SSLContext | None:
        return trusting() if self.transport in SECURE and not self.bare else None


# What they say once they are connected


async def nothing(writer: asyncio.StreamWriter) -> None:
    """Neither TLS, nor an upgrade, nor SIP."""


async def slow_request(writer: asyncio.StreamWriter) -> None:
    await _slowly(writer, REQUEST)


async def slow_get(writer: asyncio.StreamWriter) -> None:
    await _slowly(writer, GET % b"/000413000000.xml")


async def slow_upgrade(writer: asyncio.StreamWriter) -> None:
    await _slowly(writer, upgrade())


async def slow_frame(writer: asyncio.StreamWriter) -> None:
    writer.write(upgrade())
    await asyncio.sleep(0.2)
    await _slowly(writer, frame(TEXT, REQUEST))


async def slow_fragments(writer: asyncio.StreamWriter) -> None:
    """Each of them is whole, and the message is not."""
    writer.write(upgrade())
    await asyncio.sleep(0.2)
    for number in count():
        octet = REQUEST[number : number + 1]
        writer.write(frame(CONTINUATION if number else TEXT, octet, final=False) + frame(PING))
        await asyncio.sleep(SLOWLY_SECONDS)


async def first_octet_of_tls(writer: asyncio.StreamWriter) -> None:
    writer.write(hello()[:1])


async def slow_tls(writer: asyncio.StreamWriter) -> None:
    await _slowly(writer, hello(), 0.1)


async def keep_alives(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\r\n\r\n")
        await asyncio.sleep(SLOWLY_SECONDS)


async def ws_keep_alives(writer: asyncio.StreamWriter) -> None:
    writer.write(upgrade())
    while True:
        await asyncio.sleep(SLOWLY_SECONDS)
        writer.write(frame(TEXT, b"\r\n\r\n") + frame(PING))


async def questions(writer: asyncio.StreamWriter) -> None:
    """They are answered, and prove nothing."""
    while True:
        writer.write(REQUEST)
        await asyncio.sleep(SLOWLY_SECONDS)


async def _slowly(writer: asyncio.StreamWriter, data: bytes, seconds: float = SLOWLY_SECONDS) -> None:
    for octet in data:
        writer.write(bytes([octet]))
        await asyncio.sleep(seconds)


def hello() -> bytes:
    """A ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        trusting().wrap_bio(incoming, outgoing, server_hostname="registrar.localhost").do_handshake()
    return outgoing.read()


Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]
TALKS: Final[dict[str, Talk]] = {
    talk.__name__: talk
    for talk in (
        nothing,
        slow_request,
        slow_get,
        slow_upgrade,
        slow_frame,
        slow_fragments,
        first_octet_of_tls,
        slow_tls,
        keep_alives,
        ws_keep_alives,
        questions,
    )
}


async def talk(order: Order, source: str) -> float | None:
    """Connect, talk, and read until the end: the seconds until then."""
    reader, writer = await asyncio.open_connection(*order.server, ssl=order.tls, local_addr=(source, 0))
    began = time.monotonic()
    talking = asyncio.ensure_future(TALKS[order.attack](writer))
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            with contextlib.suppress(ConnectionError):
                while await reader.read(65_536):
                    pass
        return time.monotonic() - began
    except TimeoutError:
        return None
    finally:
        talking.cancel()
        writer.close()


# Others


async def deaf(order: Order, source: str, request: bytes = LONG_MESSAGE) -> float | None:
    """Ask and ask, and never read an answer: the seconds until it is noticed that nobody listens either."""
    plain = _socket(source)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        plain.setsockopt(socket.SOL_SOCKET, option, DEAF_BUFFER)
    await asyncio.get_running_loop().sock_connect(plain, order.server)
    name = "registrar.localhost" if order.tls else None
    reader, writer = await asyncio.open_connection(
        sock=plain, ssl=order.tls, server_hostname=name, limit=1_024
    )
    limit_reading = getattr(writer.transport, "set_read_buffer_limits", None)
    if limit_reading is not None:  # TLS would read a quarter of a megabyte for nobody
        limit_reading(high=1_024)
    if order.transport in WEBSOCKETS:
        writer.write(upgrade())
        await reader.readuntil(b"\r\n\r\n")
        request = frame(TEXT, request)
    began = time.monotonic()
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            for _ in range(0, DEAF_OCTETS, len(request)):
                writer.write(request)
                await writer.drain()
                await asyncio.sleep(0)
            return None  # it would have listened for ever
    except ConnectionError:
        pass
    except TimeoutError:
        return None
    finally:
        writer.transport.abort()
    return time.monotonic() - began


async def chatty(order: Order, source: str) -> float | None:
    """The same with many short requests."""
    return await deaf(order, source, MESSAGE)


async def deaf_get(order: Order, source: str) -> float | None:
    """The same of HTTP."""
    return await deaf(order, source, GET % order.path.encode())


async def come_and_go(order: Order, source: str) -> float | None:
    """Connect and close."""
    opened = _socket(source)
    began = time.monotonic()
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await asyncio.get_running_loop().sock_connect(opened, order.server)
    except (OSError, TimeoutError):
        return None
    finally:
        opened.close()
    return time.monotonic() - began


def _socket(source: str) -> socket.socket:
    opened = socket.socket()
    opened.setblocking(False)
    opened.bind((source, 0))
    return opened


# All of them


async def carry_out(order: Order, sources: Iterator[str]) -> list[float | None]:
    """Every connection of an order."""
    others = {"deaf": deaf, "chatty": chatty, "deaf_get": deaf_get, "come_and_go": come_and_go}
    attack = others.get(order.attack, talk)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    tasks = []
    for number in range(order.count):
        if order.rate:
            await asyncio.sleep(max(0.0, begin + number / order.rate - loop.time()))
        tasks.append(asyncio.create_task(_tried(attack(order, next(sources)))))
    return list(await asyncio.gather(*tasks))


async def _tried(attack: Awaitable[float | None]) -> float | None:
    """Nobody let it in: it was closed at once."""
    try:
        return await attack
    except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
        return 0.0


def _sources() -> Iterator[str]:
    for number in count():
        host = number // PER_SOURCE
        yield f"127.0.{100 + host // 250}.{1 + host % 250}"


async def carry_out_all(orders: list[Order]) -> list[list[float | None]]:
    """All at once."""
    sources = _sources()
    return list(await asyncio.gather(*(carry_out(order, sources) for order in orders)))


class Siege(Process):
    """The program; it gives way to everybody else, who are measured."""

    def __init__(self, tmp: Path, orders: list[Order]) -> None:
        text = json.dumps([asdict(order) for order in orders])
        argv = ["nice", "-n", "10", sys.executable, "-m", "tests.wire.siege", text]
        super().__init__("siege", argv, tmp, environment={"PYTHONPATH": str(ROOT)})

    def over(self, within: float = 2 * GIVE_UP_SECONDS) -> list[list[float | None]]:
        """What each order came to."""
        assert self.wait(within) == 0, self.last_lines()
        found: list[list[float | None]] = json.loads(self.out.read_text())
        return found


def main() -> None:
    orders = [Order(**order) for order in json.loads(sys.argv[1])]
    orders = [Order(**{**asdict(order), "server": tuple(order.server)}) for order in orders]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(carry_out_all(orders))))


if __name__ == "__main__":
    main()
