"""Two nodes that send to each other over TLS, with certificates that follow from the secret key."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final

import pytest

from tests.peers.ports import free_port
from tests.peers.redis import RedisServer
from tests.peers.stream import trusting
from tests.wire.callers import Callers, eventually, talk
from tests.wire.need import need
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

TRANSPORTS: Final = ("tcp", "tls")
LINKED: Final = "SIP over TLS to the node at"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """Two processes that take no UDP of each other: their addresses for that lead nowhere."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("nodes-tls")
    with RedisServer(folder / "redis") as redis:

        def site(name: str, tenant: dict[str, object] | None = None) -> Site:
            node = f"127.0.0.1:{free_port()}"
            return Site(
                folder / name,
                tenant=tenant,
                transports=TRANSPORTS,
                redis_url=redis.url,
                node_tls=node,
                data_dir=str(folder / "data"),
                node_sip="127.0.0.1:9",
            )

        with site("a") as a, site("b", a.demo()) as b:
            within(10, lambda: LINKED in a.log_text and LINKED in b.log_text, "both are connected")
            time.sleep(0.5)  # the next look at the connections
            yield a, b


@pytest.fixture
async def callers(sites: tuple[Site, Site]) -> AsyncIterator[Callers]:
    async with Callers(sites[0]) as made:
        yield made


@pytest.mark.parametrize("scheme", ["sip", "sips"])
async def test_a_call_crosses_nodes_over_tls(sites: tuple[Site, Site], callers: Callers, scheme: str) -> None:
    anna, bert = callers.extension(), callers.extension()
    a = await callers.phone(anna.handset, "tls", site=sites[0])
    b = await callers.phone(bert.handset, "tls", site=sites[1])
    outgoing, incoming = await talk(a, b, f"{scheme}:{bert.number}@{a.account.domain}")
    assert all(row.startswith(f"<{scheme}:") for row in incoming.invite.listed("record-route"))
    assert (await incoming.request("INFO")).status == 200
    assert (await outgoing.bye()).status == 200


async def test_another_node_has_no_limit(sites: tuple[Site, Site], callers: Callers) -> None:
    """A stranger may send 60 messages at once, and its connection is closed then."""
    anna, bert = callers.extension(), callers.extension()
    a = await callers.phone(anna.handset, "tls", site=sites[0])
    b = await callers.phone(bert.handset, "tls", site=sites[1])
    outgoing, _ = await talk(a, b, bert.number)
    seen = sites[0].log_text.count(LINKED)
    asked = await asyncio.gather(*[outgoing.request("INFO") for _ in range(150)])
    assert {answer.status for answer in asked} == {200}
    assert sites[0].log_text.count(LINKED) == seen, "the connection of the nodes stays"
    assert (await outgoing.bye()).status == 200


async def test_sips_does_not_reach_a_phone_without_tls(sites: tuple[Site, Site], callers: Callers) -> None:
    anna, bert = callers.extension(), callers.extension()
    a = await callers.phone(anna.handset, "tls", site=sites[0])
    await callers.phone(bert.handset, "tcp", site=sites[1])
    outgoing = await a.call(f"sips:{bert.number}@{a.account.domain}")
    assert (await outgoing.final()).status == 480


def test_a_stranger_gets_no_connection(sites: tuple[Site, Site]) -> None:
    """Without a certificate of the authority a handshake ends, and nothing is answered."""
    host, port = sites[0].settings["node_tls"].split(":")
    context = trusting()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    heard = b""
    with (
        suppress(ssl.SSLError, OSError),
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="x") as tls,  # with TLS 1.3 it is told afterwards
    ):
        tls.sendall(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        heard = tls.recv(100)
    assert heard == b""


async def test_a_node_that_comes_back_is_connected_again(sites: tuple[Site, Site], callers: Callers) -> None:
    a, b = sites
    seen = a.log_text.count(LINKED)
    b.restart()
    await eventually(lambda: a.log_text.count(LINKED) > seen and LINKED in b.log, "connected again")
    anna, bert = callers.extension(), callers.extension()
    calling = await callers.phone(anna.handset, "tcp", site=a)
    called = await callers.phone(bert.handset, "tcp", site=b)
    outgoing, _ = await talk(calling, called, bert.number)
    assert (await outgoing.bye()).status == 200
