"""registrar/transport/udp.py: datagrams in, datagrams back by the socket they came to (decision 17)."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from registrar.model import Flow
from registrar.transport import local
from registrar.transport.udp import UdpListener
from tests.every import every
from tests.patience import limit

REGISTER = b"REGISTER sip:acme.test SIP/2.0\r\n\r\n"
COOKIE = b"\x21\x12\xa4\x42"


class Site:
    """One listener with what it heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Flow]] = []
        self.keep_alives = 0
        self.listener = UdpListener(lambda data, flow: self.heard.append((data, flow)), self._alive, 3)

    def _alive(self, host: str, port: int) -> None:
        assert (host.rpartition(":")[2], port > 0) == ("127.0.0.1", True)
        self.keep_alives += 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(limit(2)):
            while len(self.heard) + self.keep_alives < count:
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def listening(host: str = "127.0.0.1") -> AsyncIterator[Site]:
    site = Site()
    await site.listener.open(host, 0)
    try:
        yield site
    finally:
        site.listener.close()
        await asyncio.sleep(0)


@contextlib.contextmanager
def peer(host: str = "127.0.0.1"):  # type: ignore[no-untyped-def]
    """A phone's socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.bind((host, 0))
        opened.settimeout(limit(2))
        yield opened


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\r\n\r\n", id="two line ends"),
        pytest.param(b"\r\n", id="one line end"),
        pytest.param(b"\x00", id="a NUL"),
        pytest.param(b"\x00\x00\x00\x00", id="four NULs"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\x01\x00\x00" + COOKIE + b"t" * 12, id="a STUN request"),
        pytest.param(b"\x01\x01\x00\x08" + COOKIE + b"t" * 20, id="a STUN answer"),
    ],
)
async def test_a_keep_alive_is_counted_and_never_answered(data: bytes) -> None:
    async with listening() as site:
        with peer() as phone:
            phone.sendto(data, ("127.0.0.1", site.listener.port))
            phone.sendto(REGISTER, ("127.0.0.1", site.listener.port))
            await site.until(2)
            assert site.keep_alives == 1
            assert [heard for heard, _ in site.heard] == [REGISTER]
            phone.setblocking(False)
            with pytest.raises(BlockingIOError):
                phone.recv(100)


async def test_line_ends_before_a_message_are_taken_off() -> None:
    async with listening() as site:
        with peer() as phone:
            phone.sendto(b"\r\n\r\n" + REGISTER, ("127.0.0.1", site.listener.port))
            await site.until(1)
            assert site.heard[0][0] == REGISTER


async def test_a_flow_says_where_a_datagram_came_from_and_to() -> None:
    async with listening() as site:
        with peer("127.0.0.5") as phone:
            phone.sendto(REGISTER, ("127.0.0.1", site.listener.port))
            await site.until(1)
            port = phone.getsockname()[1]
            assert site.heard[0][1] == Flow("udp", "127.0.0.1", site.listener.port, "127.0.0.5", port, 3)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_a_wildcard_is_never_the_local_address(host: str) -> None:
    async with listening(host) as site:
        with peer("127.0.0.5") as phone:
            phone.sendto(REGISTER, ("127.0.0.1", site.listener.port))
            await site.until(1)
            flow = site.heard[0][1]
            assert (flow.local_ip, flow.remote_ip) == (local.towards("127.0.0.5"), "127.0.0.5")
            assert flow.local_ip.startswith("127.")


async def test_a_mapped_peer_is_folded_and_answered() -> None:
    async with listening("::") as site:
        with peer() as phone:
            phone.sendto(REGISTER, ("127.0.0.1", site.listener.port))
            await site.until(1)
            flow = site.heard[0][1]
            assert flow.remote_ip == "127.0.0.1"
            site.listener.send(b"answer", flow)
            data, source = await asyncio.to_thread(phone.recvfrom, 100)
            assert (data, source) == (b"answer", ("127.0.0.1", site.listener.port))


async def test_a_peer_of_ipv6_is_answered() -> None:
    async with listening("::") as site:
        with peer("::1") as phone:
            phone.sendto(REGISTER, ("::1", site.listener.port))
            await site.until(1)
            flow = site.heard[0][1]
            assert (flow.remote_ip, flow.local_ip) == ("::1", "::1")
            site.listener.send(b"answer", flow)
            data, source = await asyncio.to_thread(phone.recvfrom, 100)
            assert (data, source[:2]) == (b"answer", ("::1", site.listener.port))


async def test_an_answer_leaves_by_the_socket_its_request_came_to() -> None:
    async with listening() as one, listening() as other:
        with peer() as phone:
            phone.sendto(REGISTER, ("127.0.0.1", other.listener.port))
            await other.until(1)
            other.listener.send(b"answer", other.heard[0][1])
            _, source = await asyncio.to_thread(phone.recvfrom, 100)
            assert source == ("127.0.0.1", other.listener.port)
            assert one.heard == []


async def test_what_is_for_a_phone_behind_an_edge_goes_to_the_edge() -> None:
    async with listening() as site:
        with peer() as edge:
            host, port = edge.getsockname()
            flow = replace(site.listener.flow_to("127.0.0.9", 9), hop_ip=host, hop_port=port)
            site.listener.send(b"answer", flow)
            assert await asyncio.to_thread(edge.recv, 100) == b"answer"


async def test_the_largest_datagram_is_heard_whole() -> None:
    async with listening() as site:
        with peer() as phone:
            phone.sendto(b"x" * 65_507, ("127.0.0.1", site.listener.port))
            await site.until(1)
            assert len(site.heard[0][0]) == 65_507


async def test_a_peer_that_is_not_there_any_more_stops_nothing() -> None:
    async with listening() as site:
        with peer() as gone:
            port = gone.getsockname()[1]
        for _ in range(5):
            site.listener.send(b"answer", Flow("udp", "127.0.0.1", site.listener.port, "127.0.0.1", port, 3))
            await asyncio.sleep(0.01)
        with peer() as phone:
            phone.sendto(REGISTER, ("127.0.0.1", site.listener.port))
            await site.until(1)
        assert len(site.heard) == 1


@pytest.mark.parametrize(
    ("address", "port"),
    [
        pytest.param("127.0.0.1", 0, id="no port"),
        pytest.param("255.255.255.255", 5060, id="the broadcast address"),
        pytest.param("0.0.0.0", 9, id="no address"),
    ],
)
async def test_what_cannot_be_sent_stops_nothing(address: str, port: int) -> None:
    async with listening() as site:
        site.listener.send(b"answer", Flow("udp", "127.0.0.1", site.listener.port, address, port, 3))
        await asyncio.sleep(0.01)
        with peer() as phone:
            phone.sendto(REGISTER, ("127.0.0.1", site.listener.port))
            await site.until(1)
        assert len(site.heard) == 1


async def test_a_closed_listener_says_nothing() -> None:
    async with listening() as site:
        site.listener.close()
        site.listener.send(b"answer", Flow("udp", "127.0.0.1", 1, "127.0.0.1", 9, 3))


async def test_a_port_that_is_taken_is_told() -> None:
    async with listening() as site:
        with pytest.raises(OSError, match="in use"):
            await Site().listener.open("127.0.0.1", site.listener.port)


async def test_the_kernel_keeps_what_the_loop_has_no_time_for() -> None:
    async with listening() as site:
        with peer() as phone:
            for _ in range(300):
                phone.sendto(REGISTER + b"x" * 500, ("127.0.0.1", site.listener.port))
            await site.until(300)
        assert len(site.heard) == 300


@every(
    ("host", "ours"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("::1", True, id="loopback of IPv6"),
        pytest.param("192.0.2.1", False, id="an address for documents"),
        pytest.param("0.0.0.0", False, id="no address"),
        pytest.param("::", False, id="no address of IPv6"),
        pytest.param("224.0.0.1", False, id="a group"),
        pytest.param("acme.test", False, id="a name"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_which_addresses_are_ours(host: str, ours: bool) -> None:
    local.forget()
    assert local.is_local(host) is ours


def test_the_way_to_a_peer_has_an_address_of_ours() -> None:
    local.forget()
    assert local.towards("127.0.0.1") == "127.0.0.1"
    assert local.towards("::1") == "::1"
