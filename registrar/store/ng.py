"""The ng protocol of rtpengine: a cookie and a bencoded dictionary in a UDP datagram, both ways.

rtpengine answers a command with a known cookie as it did before. So a lost command is sent again under the
same cookie, and every new command has a new cookie.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from registrar.errors import StoreUnavailable

Encodable: TypeAlias = "int | str | bytes | Sequence[Encodable] | Mapping[str, Encodable]"
Decoded: TypeAlias = "int | bytes | list[Decoded] | dict[bytes, Decoded]"

SEND_AT_SECONDS: Final = (0.1, 0.2, 0.4, 0.4)
"""How long each datagram of a command waits for the answer."""
CONNECT_SECONDS: Final = 1.0
"""Includes the lookup of the host name."""
MAX_OUTSTANDING: Final = 1_000
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 20


def encode(value: Encodable) -> bytes:
    """Return the value in bencode, which requires that the keys of a dictionary are sorted."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, Mapping):
        rows = sorted((key.encode(), item) for key, item in value.items())
        return b"d%se" % b"".join(encode(key) + encode(item) for key, item in rows)
    return b"l%se" % b"".join(map(encode, value))


def decode(data: bytes) -> Decoded:
    """Return the value in the bencoded data. Raises ValueError for any other data."""
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} octets behind the end")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Decoded, int]:
    """Return the value that begins at `at`, and the offset of its end."""
    match data[at : at + 1]:
        case b"i":
            return _number(data, at + 1, b"e")
        case b"l":
            return _list(data, at + 1, depth + 1)
        case b"d":
            return _dictionary(data, at + 1, depth + 1)
        case _:
            return _string(data, at)


def _number(data: bytes, at: int, end: bytes) -> tuple[int, int]:
    stop = data.find(end, at, at + MAX_DIGITS + 1)
    digits = data[at:stop] if stop >= 0 else b""
    if not digits.removeprefix(b"-").isdigit():
        raise ValueError(f"no number at octet {at}")
    return int(digits), stop + 1


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    length, start = _number(data, at, b":")
    if not 0 <= length <= len(data) - start:
        raise ValueError(f"a string of {length} octets at octet {at}")
    return data[start : start + length], start + length


def _list(data: bytes, at: int, depth: int) -> tuple[list[Decoded], int]:
    if depth > MAX_DEPTH:
        raise ValueError(f"over {MAX_DEPTH} levels")
    items: list[Decoded] = []
    while data[at : at + 1] != b"e":
        item, at = _value(data, at, depth)
        items.append(item)
    return items, at + 1


def _dictionary(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Decoded], int]:
    items, at = _list(data, at, depth)
    keys = [key for key in items[::2] if isinstance(key, bytes)]
    if len(keys) * 2 != len(items):
        raise ValueError(f"a dictionary with a key that is no string, or without a value, before octet {at}")
    return dict(zip(keys, items[1::2], strict=True)), at


class Ng:
    """Commands to one engine. The socket is opened for the first command, and again after any fault."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()
        self._prefix = secrets.token_hex(4)
        self._sent = 0

    async def command(self, name: str, **arguments: Encodable) -> dict[bytes, Decoded]:
        """Return the engine's answer. Raises StoreUnavailable if it does not answer."""
        wire = await self._connected()
        self._sent += 1
        cookie = f"{self._prefix}_{self._sent}".encode()
        named = {key.replace("_", "-"): value for key, value in arguments.items()}
        return await wire.ask(cookie, encode({"command": name, **named}))

    def close(self) -> None:
        """Close the socket; commands that wait for an answer fail."""
        if self._wire is not None:
            self._wire.close("closed")
            self._wire = None

    async def _connected(self) -> "_Wire":
        async with self._connecting:
            if self._wire is None or self._wire.closed:
                loop = asyncio.get_running_loop()
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        _, self._wire = await loop.create_datagram_endpoint(_Wire, remote_addr=self._address)
                except (OSError, TimeoutError, UnicodeError) as error:  # UnicodeError: not a host name
                    raise StoreUnavailable(f"media engine: {error or 'no address in time'}") from None
            return self._wire


class _Wire(asyncio.DatagramProtocol):
    """One socket, and the commands that wait for an answer, by cookie."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: dict[bytes, asyncio.Future[dict[bytes, Decoded]]] = {}

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # UDP
        self._transport = transport

    async def ask(self, cookie: bytes, command: bytes) -> dict[bytes, Decoded]:
        """Send the command until its answer arrives, and return that. Raises StoreUnavailable."""
        if len(self._waiting) >= MAX_OUTSTANDING:
            raise StoreUnavailable("media engine: too many commands without an answer")
        answer: asyncio.Future[dict[bytes, Decoded]] = asyncio.get_running_loop().create_future()
        self._waiting[cookie] = answer
        try:
            for seconds in SEND_AT_SECONDS:
                if self._transport is None or self._transport.is_closing():
                    break
                self._transport.sendto(cookie + b" " + command)
                done, _ = await asyncio.wait({answer}, timeout=seconds)
                if done:
                    return answer.result()
        finally:
            del self._waiting[cookie]
            answer.cancel()
        raise StoreUnavailable("media engine: no answer")

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Resolve the command with this cookie.

        Drop an answer that no command waits for or that cannot be read.
        """
        cookie, _, body = data.partition(b" ")
        answer = self._waiting.get(cookie)
        if answer is None or answer.done():
            return
        try:
            value = decode(body)
        except ValueError:
            return
        if isinstance(value, dict):
            answer.set_result(value)

    def error_received(self, exc: Exception) -> None:
        """Close the socket after an ICMP or send error. The next command opens another socket."""
        self.close(str(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def close(self, reason: str) -> None:
        """Close the socket; commands that wait for an answer get StoreUnavailable."""
        if self._transport is not None:
            self._transport.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(StoreUnavailable(f"media engine: {reason}"))
