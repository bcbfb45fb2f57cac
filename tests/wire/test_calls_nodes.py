"""Two nodes with one Redis and one database: phones of one call phones of the other, and one node dies."""

import asyncio
import ctypes
import os
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import pytest

from tests.patience import limit
from tests.peers.calling import CallingPhone
from tests.peers.calling_dialog import joined
from tests.peers.redis import RedisServer
from tests.wire.callers import Callers, Extension, call_events, calls_of, eventually, talk
from tests.wire.need import need, rounds
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

TRANSPORTS: Final = ("tcp", "tls", "ws", "wss")
PAIRS: Final = [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp"), ("tls", "tls"), ("wss", "wss"), ("ws", "wss")]
LOST_SECONDS: Final = 10.0
SWEPT_SECONDS: Final = 5.0
ENDED_SECONDS: Final = 30.0
ETHERNET_IP: Final = 0x0800
SO_ATTACH_FILTER: Final = 26
"""See socket(7)."""
LATE_SECONDS: Final = 33.0
"""The token has run out then."""
CHANGED: Final = ["Call-ID", "CSeq", "method", *["late"] * rounds(0, 1)]
ACQUAINTED_SECONDS: Final = 1.0
"""Each looks for its neighbours twice a second."""


def udp_to(port: int) -> bytes:
    """A program for the kernel's packet filter: it keeps IPv4 datagrams to one UDP port (filter.rst)."""
    steps = [
        (0x30, 0, 0, 9),  # load the protocol
        (0x15, 0, 4, socket.IPPROTO_UDP),  # go on with UDP
        (0xB1, 0, 0, 0),  # the length of the IP header
        (0x48, 0, 0, 2),  # load the port behind it
        (0x15, 0, 1, port),
        (0x06, 0, 0, 0xFFFF),  # keep
        (0x06, 0, 0, 0),  # drop
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


class Sniffer:
    """Hears what goes over loopback to a UDP port, and nothing else: other tests send far more."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        program = ctypes.create_string_buffer(udp_to(port))
        count = len(program) // struct.calcsize("HBBI")
        attached = struct.pack("HP", count, ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)
        self._socket.bind(("lo", ETHERNET_IP))
        self._socket.settimeout(2.0)

    def find(self, *words: bytes) -> bytes:
        """The first datagram with all of these words. Raises TimeoutError."""
        end = time.monotonic() + limit(2)
        while time.monotonic() < end:
            packet = self._socket.recv(65_536)
            udp = packet[(packet[0] & 15) * 4 :]
            if all(one in udp for one in words):
                return udp[8:]
        raise TimeoutError(f"no datagram with {words}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


@dataclass(frozen=True)
class Nodes:
    """Both of them, and the phones of one test."""

    a: Site
    b: Site
    callers: Callers

    async def pair(self, first: str, second: str) -> tuple[CallingPhone, CallingPhone, Extension, Extension]:
        """A phone on node A, one on node B, and their extensions."""
        anna, bert = self.callers.extension(), self.callers.extension()
        a = await self.callers.phone(anna.handset, first, site=self.a)
        b = await self.callers.phone(bert.handset, second, site=self.b)
        return a, b, anna, bert


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """Their processes."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("nodes")
    with RedisServer(folder / "redis") as redis:
        first = Site(folder / "a", transports=TRANSPORTS, data_dir=str(folder / "data"), redis_url=redis.url)
        with first as a:
            second = Site(
                folder / "b",
                tenant=a.demo(),
                transports=TRANSPORTS,
                data_dir=str(folder / "data"),
                redis_url=redis.url,
            )
            with second as b:
                time.sleep(ACQUAINTED_SECONDS)
                yield a, b


@pytest.fixture
async def nodes(sites: tuple[Site, Site]) -> AsyncIterator[Nodes]:
    """The phones are made through the API of node B, which lives longer."""
    a, b = sites
    async with Callers(b) as callers:
        yield Nodes(a, b, callers)


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_phones_of_two_nodes_call_each_other(nodes: Nodes, first: str, second: str) -> None:
    a, b, anna, bert = await nodes.pair(first, second)
    for caller, callee, number in ((a, b, bert.number), (b, a, anna.number)):
        outgoing, incoming = await talk(caller, callee, number)
        assert incoming.invite.body == caller.sdp()
        assert (await outgoing.request("INFO")).status == 200
        assert (await incoming.request("INFO")).status == 200
        assert (await incoming.reinvite(callee.sdp(version=2, direction="sendonly"))).status == 200
        assert (await outgoing.reinvite(caller.sdp(version=2))).status == 200
        assert (await outgoing.bye()).status == 200
        callee.requests.clear()
        caller.requests.clear()
        await eventually(
            lambda one=outgoing: not calls_of(nodes.b, one.dialog.call_id),  # type: ignore[misc]
            "the call is gone",
        )


async def test_the_other_side_hangs_up(nodes: Nodes) -> None:
    a, b, _, bert = await nodes.pair("tcp", "udp")
    outgoing, incoming = await talk(a, b, bert.number)
    assert (await incoming.bye()).status == 200
    await outgoing.asked("BYE")


async def test_a_call_to_the_other_node_is_cancelled(nodes: Nodes) -> None:
    a, b, _, bert = await nodes.pair("tcp", "tls")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    assert (await outgoing.cancel().final(5)).status == 200
    await incoming.cancelled()
    assert (await outgoing.final()).status == 487


async def test_a_refusal_of_the_other_node(nodes: Nodes) -> None:
    a, b, _, bert = await nodes.pair("udp", "tcp")
    outgoing = await a.call(bert.number)
    (await b.incoming()).refuse(486)
    assert (await outgoing.final()).status == 486


async def test_phones_of_one_extension_on_both_nodes(nodes: Nodes) -> None:
    caller = await nodes.callers.phone(nodes.callers.extension().handset, "udp", site=nodes.a)
    called = nodes.callers.extension(3)
    places = ((nodes.a, "tcp"), (nodes.b, "udp"), (nodes.b, "tls"))
    theirs = [
        await nodes.callers.phone(handset, transport, site=site)
        for handset, (site, transport) in zip(called.handsets, places, strict=True)
    ]
    outgoing = await caller.call(called.number)
    rung = [await phone.incoming() for phone in theirs]
    for one in rung:
        one.ring()
    rung[2].answer()
    await outgoing.answered()
    for one in rung[:2]:
        assert any("cause=200" in value for value in (await one.cancelled()).listed("reason"))
    assert (await outgoing.bye()).status == 200


async def test_a_message_to_the_other_node(nodes: Nodes) -> None:
    a, b, anna, bert = await nodes.pair("wss", "udp")
    assert (await a.request("MESSAGE", bert.number, body=b"hello")).status == 200
    assert (await b.asked("MESSAGE")).request.body == b"hello"
    assert (await b.request("MESSAGE", anna.number, body=b"you too")).status == 200
    assert (await a.asked("MESSAGE")).request.body == b"you too"


@pytest.mark.parametrize("user", ["", "nonsense@", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@"])
async def test_nobody_else_passes_for_a_node(nodes: Nodes, user: str) -> None:
    """A request without a valid token is one from outside, whatever its Route says: it is challenged."""
    a, b, _, bert = await nodes.pair("udp", "tcp")
    route = "Route: <sip:{}{}:{};lr>".format(user, *nodes.b.sip)
    stranger = await nodes.callers.connect(nodes.callers.extension().handset, site=nodes.b)
    for target in (bert.number, b.contact):
        answer = await stranger.ask(stranger.outside("INVITE", target, [route])).final(5)
        assert answer.status in (403, 404, 407, 481), answer
    assert b.calls == []
    nodes.callers.told(b.account.username)  # somebody may know where a phone is: it does not help
    assert a.faults == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees what others send")
@pytest.mark.parametrize("changed", CHANGED)
async def test_the_token_between_nodes_is_for_one_request(nodes: Nodes, changed: str) -> None:
    """Who has seen it on its way cannot call with it: it names the request, and 32 s later it is void."""
    a, b, _, bert = await nodes.pair("tcp", "tcp")
    with Sniffer(nodes.b.sip[1]) as sniffer:
        outgoing = await a.call(bert.number)
        (await b.incoming()).refuse(486)
        assert (await outgoing.final()).status == 486
        seen = await asyncio.to_thread(sniffer.find, b"INVITE ", outgoing.invite.request.call_id.encode())
    stranger = await nodes.callers.connect(nodes.callers.extension().handset, site=nodes.b)
    nodes.callers.told(a.account.username)
    nodes.callers.told(b.account.username)
    head, _, body = seen.partition(b"\r\n\r\n")
    via = re.compile(rb"\r\nVia: [^\r]*")
    head = via.sub(b"", head).replace(b" SIP/2.0", f" SIP/2.0\r\nVia: {stranger.via()}".encode(), 1)
    replaced = {
        "Call-ID": (outgoing.invite.request.call_id.encode(), b"another-call"),
        "CSeq": (b"CSeq: 2 INVITE", b"CSeq: 3 INVITE"),
        "method": (b"INVITE", b"MESSAGE"),
        "late": (b"", b""),
    }[changed]
    if changed == "late":
        await asyncio.sleep(LATE_SECONDS)
    assert replaced[0] in head
    answer = await stranger.ask(head.replace(*replaced) + b"\r\n\r\n" + body).final(5)
    assert answer.status in (403, 407, 481)
    assert len(b.calls) == 1
    assert b.requests == []


async def test_what_one_node_tells_the_other_is_no_use_to_a_thief(nodes: Nodes) -> None:
    """A token of a call is good over the flow of its phone only, on any node."""
    a, b, _, bert = await nodes.pair("tcp", "tcp")
    outgoing, incoming = await talk(a, b, bert.number)
    nodes.callers.told(a.account.username)
    for site in (nodes.a, nodes.b):
        thief = await nodes.callers.phone(nodes.callers.extension().handset, "tcp", site=site)
        forged = outgoing.dialog.head("BYE", outgoing.dialog.cseq + 10, thief.via())
        assert (await thief.ask(joined(forged)).final(5)).status == 407
    assert (await incoming.bye()).status == 200


async def test_in_the_end_a_node_is_killed_and_the_other_goes_on(nodes: Nodes) -> None:
    """Its phones on connections are offline within 10 s; calls among the others are not disturbed."""
    a, b, anna, bert = await nodes.pair("tcp", "udp")
    web = nodes.callers.extension()
    browser = await nodes.callers.phone(web.handset, "wss", site=nodes.a)
    first, second = nodes.callers.extension(), nodes.callers.extension()
    c = await nodes.callers.phone(first.handset, "udp", site=nodes.b)
    d = await nodes.callers.phone(second.handset, "tcp", site=nodes.b)
    staying, _ = await talk(c, d, second.number)
    torn, at_b = await talk(a, b, bert.number)
    call_id = torn.dialog.call_id
    await eventually(lambda: len(call_events(nodes.b, call_id)) == 2, "it is written down")
    nodes.a.kill9()
    at = time.monotonic()
    assert (await staying.request("INFO")).status == 200
    assert (await staying.reinvite(c.sdp(version=2))).status == 200
    other, _ = await talk(d, c, first.number)
    assert (await other.bye()).status == 200
    for lost in (anna, web):
        await eventually(
            lambda one=lost.handset: is_offline(nodes.b, one),  # type: ignore[misc]
            "it is offline",
            LOST_SECONDS - (time.monotonic() - at),
        )
        assert nodes.b.status(lost.handset)["reason"] == "node-lost"
        await eventually(
            lambda one=lost.handset: nodes.b.bindings(one) == [],  # type: ignore[misc]
            "its bindings are ended",
            SWEPT_SECONDS,
        )
    assert (await (await c.call(anna.number)).final()).status == 480
    assert (await (await c.call(web.number)).final()).status == 480
    await eventually(lambda: not calls_of(nodes.b, call_id), "the call of both nodes is over", ENDED_SECONDS)
    assert call_events(nodes.b, call_id)[-1]["reason"] == "lost"
    await at_b.asked("BYE")
    assert (await staying.bye()).status == 200
    await asyncio.sleep(0)
    assert browser.calls == []


def is_offline(site: Site, handset: Handset) -> bool:
    """As the API says it."""
    return not site.status(handset)["online"]
