"""Two nodes behind a real Kamailio: phones that know only the edge register, call, and are called."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.kamailio_edge import KamailioEdge
from tests.peers.phone import Account, Address
from tests.peers.redis import RedisServer
from tests.wire.callers import Callers, Extension, talk
from tests.wire.need import need
from tests.wire.site import Site

pytestmark = [pytest.mark.wire, pytest.mark.xdist_group("proxies")]

EDGE: Final = "127.0.0.5"
ACQUAINTED_SECONDS: Final = 1.0
SUPPORTED: Final = "Supported: path, outbound"
INSTANCE: Final = "00000000-0000-1000-8000-000a95a0e128"


class Edged:
    """Two nodes, the edge before them, and the phones of one test behind it."""

    def __init__(self, sites: tuple[Site, Site], edge: KamailioEdge, callers: Callers) -> None:
        self.a, self.b = sites
        self.edge = edge
        self.callers = callers

    async def connect(self, account: Account, transport: str, source: Address) -> CallingPhone:
        phone = await CallingPhone.open(account, self.edge.sip, transport, source=source)
        self.callers._phones.append(phone)
        return phone

    async def phone(
        self, transport: str, source: Address = ("127.0.0.1", 0)
    ) -> tuple[CallingPhone, Extension]:
        """A phone that is registered by the edge, and its number."""
        extension = self.callers.extension()
        phone = await self.connect(extension.handset.account, transport, source)
        assert (await phone.register()).status == 200
        return phone, extension


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tuple[Site, Site], KamailioEdge]]:
    """Two nodes that believe EDGE, and Kamailio there."""
    need("redis-server", "redis-cli", "kamailio")
    folder = tmp_path_factory.mktemp("edge")
    with RedisServer(folder / "redis") as redis:
        data, edges = str(folder / "data"), f"{EDGE}/32"
        with (
            Site(folder / "a", data_dir=data, redis_url=redis.url, edges=edges) as a,
            Site(folder / "b", tenant=a.demo(), data_dir=data, redis_url=redis.url, edges=edges) as b,
            KamailioEdge(folder, EDGE, [a.sip, b.sip]) as edge,
        ):
            time.sleep(ACQUAINTED_SECONDS)
            yield (a, b), edge


@pytest.fixture
async def edged(servers: tuple[tuple[Site, Site], KamailioEdge]) -> AsyncIterator[Edged]:
    sites, edge = servers
    async with Callers(sites[1]) as callers:
        yield Edged(sites, edge, callers)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_behind_the_edge_is_where_it_is(edged: Edged, transport: str) -> None:
    extension, source = edged.callers.extension(), ("127.0.0.91", 0)
    phone = await edged.connect(extension.handset.account, transport, source)
    contact = f'<{phone.contact}>;+sip.instance="<urn:uuid:{INSTANCE}>";reg-id=1'
    answer = await phone.register(contact=contact, lines=[SUPPORTED])
    assert answer.status == 200
    assert answer.header("require") == "outbound"
    assert answer.header("path").startswith(f"<sip:{EDGE}:{edged.edge.sip[1]}")
    for site in (edged.a, edged.b):
        shown = site.status(extension.handset)
        assert (shown["online"], shown["publicIpAddress"]) == (True, source[0])
        assert shown["publicPort"] == phone.line.address[1]
    assert edged.b.phone(extension.handset)["ip"]["address"] == source[0], "not locked to the edge"
    assert edged.b.journal(extension.handset)[-1]["ip"] == source[0]
    assert (await phone.register(contact=contact)).header("path") == "", "only for those who know Path"
    assert (await phone.register(0)).status == 200
    assert not edged.a.status(extension.handset)["online"]


async def test_another_place_behind_the_edge_is_another_place(edged: Edged) -> None:
    phone, extension = await edged.phone("udp", ("127.0.0.91", 0))
    await phone.close()
    elsewhere = await edged.connect(extension.handset.account, "udp", ("127.0.0.92", 0))
    assert (await elsewhere.register()).status == 403
    assert edged.b.status(extension.handset)["lastRejectedReason"] == "ip-locked"


@pytest.mark.parametrize(
    ("first", "second"), [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp"), ("tcp", "tcp")]
)
async def test_phones_behind_the_edge_call_each_other(edged: Edged, first: str, second: str) -> None:
    """Each request goes to the other node: neither knows more than the store and its tokens."""
    a, anna = await edged.phone(first)
    b, bert = await edged.phone(second)
    for caller, callee, number in ((a, b, bert.number), (b, a, anna.number)):
        outgoing, incoming = await talk(caller, callee, number)
        assert (await outgoing.request("INFO")).status == 200
        assert (await incoming.request("INFO")).status == 200
        assert (await incoming.reinvite(callee.sdp(version=2))).status == 200
        assert (await outgoing.bye()).status == 200
        callee.requests.clear()
        caller.requests.clear()


async def test_a_phone_behind_the_edge_and_one_without(edged: Edged) -> None:
    a, anna = await edged.phone("tcp")
    bert = edged.callers.extension()
    b = await edged.callers.phone(bert.handset, site=edged.a)
    outgoing, incoming = await talk(a, b, bert.number)
    assert (await incoming.bye()).status == 200
    await outgoing.asked("BYE")
    outgoing, incoming = await talk(b, a, anna.number)
    assert (await incoming.bye()).status == 200
    await outgoing.asked("BYE")


async def test_a_call_by_the_edge_is_cancelled_or_refused(edged: Edged) -> None:
    a, _ = await edged.phone("udp")
    b, bert = await edged.phone("tcp")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    assert (await outgoing.cancel().final(5)).status == 200
    await incoming.cancelled()
    assert (await outgoing.final()).status == 487
    outgoing = await a.call(bert.number)
    (await b.incoming(nth=1)).refuse(486)
    assert (await outgoing.final()).status == 486


async def test_a_flow_that_is_gone_ends_a_call_at_once(edged: Edged) -> None:
    """The edge says 430, and no other flow is left: RFC 5626 section 5.3.1."""
    a, _ = await edged.phone("udp")
    b, bert = await edged.phone("tcp")
    b.line.vanish()
    outgoing = await a.call(bert.number)
    assert (await outgoing.final()).status in (430, 480)


async def test_a_path_of_anyone_else_is_not_believed(edged: Edged) -> None:
    extension = edged.callers.extension()
    phone = await edged.callers.connect(extension.handset, site=edged.a)
    answer = await phone.register(lines=[SUPPORTED, f"Path: <sip:{EDGE}:{edged.edge.sip[1]};lr;ob>"])
    assert (answer.status, answer.reason) == (403, "Path Not Supported")
    assert not edged.a.status(extension.handset)["online"]
