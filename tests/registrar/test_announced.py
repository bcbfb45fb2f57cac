"""announced.py on a pair of sockets: the header is taken, and what follows stays where it is."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from registrar.announced import ends_of
from registrar.rules.proxy_header import Ends
from tests.patience import limit
from tests.peers.proxy_headers import binary, checked, head, line, tlv

SECONDS: Final = limit(5.0)
NEXT: Final = b"\x16\x03\x01"
"""How a TLS handshake begins."""
ENDS: Final = Ends("198.51.100.7", 40_000, "192.0.2.200", 5060)
HEADERS: Final = {
    "version 1": (line("198.51.100.7", 40_000), ENDS),
    "version 2": (checked(binary("198.51.100.7", 40_000, tlvs=tlv(2, b"sip.example"))), ENDS),
    "LOCAL": (head(0, 0, b""), None),
}


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@pytest.mark.parametrize("name", HEADERS)
async def test_it_is_read_however_it_was_cut_on_the_way(name: str) -> None:
    header, ends = HEADERS[name]
    for cut in range(len(header) + 1):
        with pair() as (ours, theirs):
            reading = asyncio.create_task(ends_of(ours))
            theirs.sendall(header[:cut])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            theirs.sendall(header[cut:] + NEXT)
            async with asyncio.timeout(SECONDS):
                assert await reading == ends
            assert ours.recv(10) == NEXT


@pytest.mark.parametrize("name", HEADERS)
async def test_a_peer_that_goes_within_it_has_no_connection(name: str) -> None:
    header, _ = HEADERS[name]
    for cut in range(len(header)):
        with pair() as (ours, theirs):
            theirs.sendall(header[:cut])
            theirs.close()
            async with asyncio.timeout(SECONDS):
                with pytest.raises(ConnectionAbortedError):
                    await ends_of(ours)


async def test_other_octets_are_no_header() -> None:
    with pair() as (ours, theirs):
        theirs.sendall(b"OPTIONS sip:a SIP/2.0\r\n\r\n")
        with pytest.raises(ValueError, match="does not begin with a PROXY header"):
            await ends_of(ours)
