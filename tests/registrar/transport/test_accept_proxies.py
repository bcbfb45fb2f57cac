"""registrar/transport/accept.py behind proxies: the PROXY header is the source, or there is no connection."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_network
from typing import Final

import pytest

from registrar.transport.connection import End, Limits
from tests.peers.proxy_headers import binary, checked, head, line, tlv

from .test_accept import Door, Secure, door, says, tls

__all__ = ["tls"]  # a fixture
PROXY: Final = "127.0.0.3"
PHONE: Final = "198.51.100.7"
QUICK: Final = Limits(first_seconds=0.3, unauthenticated_per_source=3)
MESSAGE: Final = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"


def behind(here: Door, is_banned: Callable[[str], bool] | None = None) -> None:
    """Let connections from PROXY begin with a header."""
    here.acceptor._announcing = (ip_network(f"{PROXY}/32"),)
    here.room.table._proxies = (ip_network(f"{PROXY}/32"),)
    here.room.table._is_banned = is_banned


async def say(peer: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(peer, data)


@pytest.mark.parametrize("header", [line(PHONE, 40_000), checked(binary(PHONE, 40_000))], ids=["v1", "v2"])
async def test_a_connection_comes_from_where_its_proxy_says(header: bytes) -> None:
    async with door() as here:
        behind(here)
        with here.connect(source=PROXY) as peer:
            await say(peer, header + MESSAGE)
            assert await says(peer) == b"answer"
            flow = here.made[0].flow
            assert (flow.remote_ip, flow.remote_port) == (PHONE, 40_000)
            assert (flow.local_ip, flow.local_port) == ("192.0.2.200", 5060)
            assert here.made[0].source == PHONE


async def test_a_handshake_follows_the_header(tls: ssl.SSLContext) -> None:
    async with door("tls", tls) as here:
        behind(here)
        with here.connect(source=PROXY) as peer:
            await say(peer, binary("2001:db8::7", 40_000, "2001:db8::1", tlvs=tlv(2, b"sip.example")))
            await Secure(peer).shake_hands()
            await here.until(lambda: here.standing == 1)
            assert here.made[0].flow.remote_ip == "2001:db8::7"


@pytest.mark.parametrize("header", [head(0, 0, b""), b"PROXY UNKNOWN\r\n"], ids=["LOCAL", "UNKNOWN"])
async def test_a_proxy_may_speak_for_itself(header: bytes) -> None:
    async with door() as here:
        behind(here)
        with here.connect(source=PROXY) as peer:
            await say(peer, header + MESSAGE)
            assert await says(peer) == b"answer"
            assert here.made[0].flow.remote_ip == PROXY


@pytest.mark.parametrize("said", [MESSAGE, b"PROXY TCP4 a b 1 2\r\n", line(PHONE, 1)[:-2]], ids=str)
async def test_a_proxy_without_a_header_has_no_connection(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(limits=QUICK) as here:
        behind(here)
        with caplog.at_level(logging.WARNING), here.connect(source=PROXY) as peer:
            await say(peer, said)
            assert await says(peer) == b""
        assert here.room.ended(End.PROXY) == 1
        assert here.heard == []
        assert f"the proxy {PROXY} is closed: " in caplog.text


async def test_a_header_of_a_stranger_is_no_header() -> None:
    """It is read as SIP, which it is not, so the stranger gains nothing."""
    async with door() as here:
        behind(here)
        with here.connect(source="127.0.0.2") as peer:
            await say(peer, line(PHONE, 40_000) + b"\r\n")
            await here.until(lambda: bool(here.heard))
            assert here.made[0].flow.remote_ip == "127.0.0.2"
        with here.connect(source="127.0.0.2") as peer:
            await say(peer, MESSAGE)
            assert await says(peer) == b"answer", "a phone may come without the proxy, too"


async def test_a_banned_address_has_no_connection_through_a_proxy() -> None:
    async with door() as here:
        behind(here, lambda ip: ip == PHONE)
        with here.connect(source=PROXY) as peer:
            await say(peer, line(PHONE, 40_000))
            assert await says(peer) == b""
        assert here.room.ended(End.BANNED) == 1
        with here.connect(source=PROXY) as peer:
            await say(peer, line("198.51.100.8", 40_000) + MESSAGE)
            assert await says(peer) == b"answer"


async def test_the_places_are_those_of_the_address_that_is_named() -> None:
    async with door(limits=QUICK) as here:
        behind(here)
        peers = [here.connect(source=PROXY) for _ in range(5)]
        try:
            for peer in peers[:4]:
                await say(peer, line(PHONE, 40_000))
            await here.until(lambda: here.standing == 3)
            await here.until(lambda: here.room.ended(End.REFUSED) == 1)
            await say(peers[4], line("198.51.100.8", 40_000))
            await here.until(lambda: here.standing == 4)
        finally:
            for peer in peers:
                peer.close()


async def test_the_end_of_the_listener_ends_those_that_wait_for_a_header() -> None:
    async with door(limits=Limits(first_seconds=600.0)) as here:
        behind(here)
        with here.connect(source=PROXY) as peer:
            await here.has_places(1)
            here.acceptor.close()
            assert await says(peer) == b""
            await here.has_places(0)
