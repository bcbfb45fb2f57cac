"""Phones of two families, and early offers: what the engine makes of them is heard on both sides."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_session import Incoming, Outgoing
from tests.peers.netns import Namespace
from tests.peers.ports import free_port
from tests.peers.rtp import RtpParty, assert_talk
from tests.peers.rtpengine import Rtpengine
from tests.wire.callers import Callers
from tests.wire.need import need, need_namespace
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

OLD, NEW = "10.77.0.1", "fd77::1"
"""Addresses of the engine, and of phones, in both families."""
SETUP = re.compile(rb"a=setup:(\w+)")
PAYLOADS = re.compile(rb"m=audio [0-9]+ [^ ]+ ([0-9 ]+)")


@pytest.fixture(scope="module")
def network() -> Iterator[Namespace]:
    need("rtpengine", "redis-cli")
    need_namespace()
    with Namespace(OLD, NEW) as network, network.entered():
        yield network


@pytest.fixture(scope="module")
def engine(network: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    with Rtpengine(
        tmp_path_factory.mktemp("engine"), network.address, options=(f"--interface={NEW}",)
    ) as engine:
        yield engine


@pytest.fixture(scope="module")
def server(engine: Rtpengine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    places = {transport: ("127.0.0.1", free_port("127.0.0.1")) for transport in ("udp", "ws")}
    site = Site(
        tmp_path_factory.mktemp("site"),
        transports=(),
        arguments=("serve",),
        rtpengine=engine.name,
        ping_seconds="0",
        sip_udp="{}:{}".format(*places["udp"]),
        sip_ws="{}:{}".format(*places["ws"]),
    )
    site.sip = places["udp"]
    site.listeners = dict(places)
    with site:
        yield site


@pytest.fixture
async def callers(server: Site, engine: Rtpengine) -> AsyncIterator[Callers]:
    async with Callers(server) as callers:
        yield callers
    within(5.0, lambda: engine.sessions() == [], "no session is left in the relay")


async def test_phones_on_ipv6_and_ipv4_hear_each_other(callers: Callers) -> None:
    """The family of each is that of its description; where none is known yet, that of its SIP."""
    with RtpParty(NEW, 440) as young, RtpParty(OLD, 700) as old:
        a, b, one, other = await callers.pair()
        first, second = await _connected(a, b, other.number, young, old)
        again = await second.reinvite(old.sdp())
        assert again.status == 200
        second.acknowledge(second.invites[-1])
        offered = (await first.asked("INVITE")).request.body
        assert b"IN IP6 " in offered and b"IN IP4 " not in offered
        assert (await first.bye()).status == 200
        back, _ = await _connected(b, a, one.number, old, young)
        assert (await back.bye()).status == 200


async def _connected(
    a: CallingPhone, b: CallingPhone, number: str, one: RtpParty, other: RtpParty
) -> tuple[Outgoing, Incoming]:
    """A calls B with the media of `one`, B answers with that of `other`, and they hear each other."""
    before = len(b.calls)
    outgoing = await a.call(number, one.sdp())
    incoming = await b.incoming(nth=before)
    other.follow(incoming.invite.body)
    incoming.answer(other.sdp())
    one.follow((await outgoing.answered()).body)
    await incoming.acknowledged()
    for party in (one, other):
        assert party.remote is not None
        assert (":" in party.remote[0]) is (":" in party.address[0])
    await asyncio.to_thread(assert_talk, one, other)
    return outgoing, incoming


async def test_a_desk_phone_answers_the_early_offer_of_a_browser_in_its_prack(callers: Callers) -> None:
    """RFC 3262 section 5; a browser takes no answer that could be an offer (RFC 5763 section 5)."""
    web, desk, page, _ = await callers.pair("ws", "udp")
    outgoing = await desk.call(page.number, b"", ["Supported: 100rel"])
    incoming = await web.incoming()
    incoming.ring(183, body=web.sdp(), sequence=1)
    early = await outgoing.provisional(183)
    assert b"RTP/AVP " in early.body
    rack = f"RAck: {early.header('rseq')} {early.header('cseq')}"
    acknowledged = await outgoing.request("PRACK", [rack], desk.sdp())
    assert acknowledged.status == 200
    told = (await incoming.asked("PRACK")).request.body
    assert SETUP.findall(told)[0] in (b"active", b"passive")
    assert set(PAYLOADS.findall(told)[0].split()) <= {b"111", b"8", b"0", b"126"}
    incoming.answer(b"")
    assert (await outgoing.answered()).body == b""
    assert (await outgoing.bye()).status == 200


async def test_a_browser_answers_the_early_offer_of_a_desk_phone_in_its_prack(callers: Callers) -> None:
    desk, web, called, _ = await callers.pair("udp", "ws")
    outgoing = await web.call(called.number, b"", ["Supported: 100rel"])
    incoming = await desk.incoming()
    incoming.ring(183, body=desk.sdp(), sequence=1)
    early = await outgoing.provisional(183)
    assert SETUP.findall(early.body) == [b"actpass"]
    rack = f"RAck: {early.header('rseq')} {early.header('cseq')}"
    answer = web.sdp().replace(b"actpass", b"active").replace(b" 111 8 0 126", b" 8 0")
    assert (await outgoing.request("PRACK", [rack], answer)).status == 200
    told = (await incoming.asked("PRACK")).request.body
    assert set(PAYLOADS.findall(told)[0].split()) <= {b"8", b"0", b"101"}
    incoming.answer()
    assert (await outgoing.answered()).body == early.body, "what was agreed, and no new offer"
    assert (await outgoing.bye()).status == 200
