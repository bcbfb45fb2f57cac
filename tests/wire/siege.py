"""Peers that mean no good, in a process of their own: what each of them did, and when it was thrown out.

    python -m tests.wire.siege '{"attacks": [...], "addresses": {"tcp": ["127.0.0.1", 5060], ...}}'

prints one JSON list with one list for each attack: the seconds until each of its connections was closed,
null for those that never were. Every source address has at most `PER_SOURCE` connections.
"""

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any, Final

import uvloop

from tests.peers.phone import Address
from tests.peers.stream import trusting
from tests.wire.frames import CONTINUATION, PING, TEXT, frame, upgrade

PER_SOURCE: Final = 100
GIVE_UP_SECONDS: Final = 30.0
SLOWLY_SECONDS: Final = 1.0
SECURE: Final = ("tls", "wss")
REGISTER: Final = (
    b"REGISTER sip:registrar.localhost SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 192.168.7.9:5060;branch=z9hG4bKslow;rport\r\n"
    b"Max-Forwards: 70\r\nFrom: <sip:slow@registrar.localhost>;tag=1\r\nTo: <sip:slow@registrar.localhost>\r\n"
    b"Call-ID: slow\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
)
"""It has more octets than anybody waits for, one a second."""

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


# What they say once they are connected


async def nothing(_writer: asyncio.StreamWriter) -> None:
    """Neither TLS, nor an upgrade, nor SIP."""


async def a_register(writer: asyncio.StreamWriter) -> None:
    await _slowly(writer, REGISTER)


async def an_upgrade(writer: asyncio.StreamWriter) -> None:
    await _slowly(writer, upgrade())


async def a_frame(writer: asyncio.StreamWriter) -> None:
    writer.write(upgrade())
    await asyncio.sleep(0.5)
    await _slowly(writer, frame(TEXT, REGISTER))


async def fragments(writer: asyncio.StreamWriter) -> None:
    """Each of them is whole, and the message is not."""
    writer.write(upgrade())
    await asyncio.sleep(0.5)
    for number in count():
        octet = REGISTER[number : number + 1]
        writer.write(frame(CONTINUATION if number else TEXT, octet, final=False))
        await asyncio.sleep(SLOWLY_SECONDS)


async def one_octet_of_tls(writer: asyncio.StreamWriter) -> None:
    writer.write(hello()[:1])


async def slow_tls(writer: asyncio.StreamWriter) -> None:
    await _slowly(writer, hello(), 0.2)


async def keep_alives(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\r\n\r\n")
        await asyncio.sleep(SLOWLY_SECONDS)


async def ws_keep_alives(writer: asyncio.StreamWriter) -> None:
    writer.write(upgrade())
    while True:
        await asyncio.sleep(SLOWLY_SECONDS)
        writer.write(frame(TEXT, b"\r\n\r\n") + frame(PING))


async def strangers_questions(writer: asyncio.StreamWriter) -> None:
    """They are answered, and prove nothing."""
    while True:
        writer.write(REGISTER)
        await asyncio.sleep(SLOWLY_SECONDS)


async def _slowly(writer: asyncio.StreamWriter, data: bytes, seconds: float = SLOWLY_SECONDS) -> None:
    for octet in data:
        writer.write(bytes([octet]))
        await asyncio.sleep(seconds)


def hello() -> bytes:
    """A ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with_it = trusting().wrap_bio(incoming, outgoing, server_hostname="registrar.localhost")
    try:
        with_it.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


TALKS: Final[dict[str, Talk]] = {
    talk.__name__: talk
    for talk in (
        nothing,
        a_register,
        an_upgrade,
        a_frame,
        fragments,
        one_octet_of_tls,
        slow_tls,
        keep_alives,
        ws_keep_alives,
        strangers_questions,
    )
}


# How long it goes on


async def besiege(server: Address, talk: Talk, source: str, tls: ssl.SSLContext | None) -> float | None:
    """Connect, talk, and wait for the end: the seconds until then."""
    reader, writer = await asyncio.open_connection(*server, ssl=tls, local_addr=(source, 0))
    began = time.monotonic()
    talking = asyncio.ensure_future(talk(writer))
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while await reader.read(65_536):
                pass
    except ConnectionError:
        pass
    except TimeoutError:
        return None
    finally:
        took = time.monotonic() - began
        talking.cancel()
        writer.close()
    return took


async def run(attacks: list[dict[str, Any]], addresses: dict[str, Address]) -> list[list[float | None]]:
    """All attacks at once."""
    sources = _sources()
    trusted = trusting()

    async def attack(one: dict[str, Any]) -> list[float | None]:
        transport = one["transport"]
        tls = trusted if transport in SECURE and not one.get("bare") else None
        server = addresses[transport]
        work = [
            besiege((server[0], server[1]), TALKS[one["talk"]], next(sources), tls) for _ in range(one["count"])
        ]
        return list(await asyncio.gather(*work))

    return list(await asyncio.gather(*map(attack, attacks)))


def _sources() -> Iterator[str]:
    for number in count():
        host = number // PER_SOURCE
        yield f"127.0.{100 + host // 250}.{1 + host % 250}"


def main() -> None:
    order = json.loads(sys.argv[1])
    addresses = {name: (host, port) for name, (host, port) in order["addresses"].items()}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(order["attacks"], addresses))))


if __name__ == "__main__":
    main()
