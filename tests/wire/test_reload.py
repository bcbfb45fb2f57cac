"""configreload and reboot on two nodes: the NOTIFY comes over the phone's own flow, its answer is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_transactions import Server
from tests.peers.digest import Challenge, authorization
from tests.peers.redis import RedisServer
from tests.wire.callers import Callers
from tests.wire.need import need
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

TRANSPORTS: Final = ("tcp", "tls", "wss")
ACQUAINTED_SECONDS: Final = 1.0
"""Each looks for its neighbours twice a second."""
CHALLENGE: Final = Challenge("phone", "n1", "MD5", "auth", "o1")
_macs = count(1)


@dataclass(frozen=True)
class Nodes:
    """Both of them, and the phones of one test."""

    a: Site
    b: Site
    callers: Callers

    def desk_phone(self, model: str = "snom", **fields: object) -> Handset:
        """A phone whose brand is known, so that its Event is."""
        models = self.b.demo()["models"]
        body = {"sipPhoneModel": models[model], "macAddress": f"000413{next(_macs):06x}"}
        return self.b.new_phone(**(body | fields))


async def ask(site: Site, handset: Handset, deed: str = "configreload") -> tuple[int, dict[str, Any]]:
    """What the API of a node answers; the phones go on meanwhile."""
    reply = await asyncio.to_thread(site.api, "POST", f"/pbx/sipphone/{handset.id}/{deed}")
    return reply.status, reply.body


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """Two nodes with one Redis and one database."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("reload")
    with RedisServer(folder / "redis") as redis:
        shared = {"data_dir": str(folder / "data"), "redis_url": redis.url}
        with Site(folder / "a", transports=TRANSPORTS, **shared) as a:
            second = Site(folder / "b", tenant=a.demo(), transports=TRANSPORTS, **shared)
            with second as b:
                time.sleep(ACQUAINTED_SECONDS)
                yield a, b


@pytest.fixture
async def nodes(sites: tuple[Site, Site]) -> AsyncIterator[Nodes]:
    a, b = sites
    async with Callers(b) as callers:
        yield Nodes(a, b, callers)


def is_for(notify: Server, phone: CallingPhone, event: str) -> None:
    """It is the phone's own address on both sides, and no subscription."""
    request = notify.request
    assert request.uri == phone.contact
    assert request.header("event") == event
    assert request.header("subscription-state") == "terminated"
    assert request.header("to") == f"<{phone.account.uri}>"
    assert request.header("from").partition(";")[0] == f"<{phone.account.uri}>"


@pytest.mark.parametrize("transport", ["udp", *TRANSPORTS])
async def test_a_phone_of_another_node_is_told_over_its_own_flow(nodes: Nodes, transport: str) -> None:
    handset = nodes.desk_phone()
    phone = await nodes.callers.phone(handset, transport, site=nodes.a)
    assert await ask(nodes.b, handset, "reboot") == (200, {"success": True})
    is_for(await phone.asked("NOTIFY"), phone, "check-sync;reboot=true")
    assert len(phone.requests) == 1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_challenge_is_answered_with_the_credentials_of_the_phone(
    nodes: Nodes, transport: str
) -> None:
    handset = nodes.desk_phone()
    phone = await nodes.callers.phone(handset, transport, site=nodes.a)
    phone.automatic["NOTIFY"] = 0
    asked = asyncio.create_task(ask(nodes.b, handset))
    first = await phone.asked("NOTIFY")
    first.respond(
        401, ['WWW-Authenticate: Digest realm="phone", nonce="n1", algorithm=MD5, qop="auth", opaque="o1"']
    )
    again = await phone.news.until(lambda: phone.requests[1] if len(phone.requests) > 1 else None, 60)
    is_for(again, phone, "check-sync;reboot=false")
    value = again.request.header("authorization")
    cnonce = value.partition('cnonce="')[2].partition('"')[0]
    account = handset.account
    proof = authorization(
        CHALLENGE, account.username, account.password, "NOTIFY", phone.contact, cnonce=cnonce
    )
    assert sorted(value.split(", ")) == sorted(proof.split(", "))
    assert again.request.cseq[0] == first.request.cseq[0] + 1
    again.respond(200, [f"Contact: <{phone.contact}>"])
    assert await asked == (200, {"success": True})


async def test_what_a_phone_refuses_and_that_it_is_gone_are_told(nodes: Nodes) -> None:
    handset, generic = nodes.desk_phone(), nodes.desk_phone("generic")
    phone = await nodes.callers.phone(handset, "tcp", site=nodes.b)
    await nodes.callers.phone(generic, "udp", site=nodes.a)
    phone.automatic["NOTIFY"] = 489
    status, body = await ask(nodes.a, handset)
    assert (status, body["error"]["code"]) == (502, "phone_refused")
    assert body["error"]["message"].startswith("The phone answered 489")
    assert (await phone.register(0)).status == 200
    status, body = await ask(nodes.a, handset)
    assert (status, body["error"]["code"]) == (409, "offline")
    status, body = await ask(nodes.a, generic)
    assert (status, body["error"]["code"]) == (409, "not_supported")


async def test_a_fleet_on_two_nodes_is_told_without_a_wait(nodes: Nodes) -> None:
    handsets = [nodes.desk_phone() for _ in range(4)]
    phones = [
        await nodes.callers.phone(handset, "tcp", site=site)
        for handset, site in zip(handsets, (nodes.a, nodes.b) * 2, strict=True)
    ]
    body = {"ids": [handset.id for handset in handsets]}
    reply = await asyncio.to_thread(nodes.a.api, "POST", "/pbx/sipphone/configreload", body)
    assert (reply.status, reply.body["asked"], reply.body["offline"]) == (200, 4, [])
    for phone in phones:
        is_for(await phone.asked("NOTIFY"), phone, "check-sync;reboot=false")
