"""The steady load against a stand-in that goes away and comes back."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.peers.endpoint import Endpoint, Phone
from tests.peers.load import SteadyLoad, Transport
from tests.peers.phone import Account
from tests.peers.ports import free_port
from tests.peers.stand_in import StandIn, serving

ACCOUNTS = [Account(f"phone{number}", "secret", "example.org") for number in range(10)]


async def test_a_phone_registers_and_reads_what_it_was_granted() -> None:
    server, port = StandIn(), free_port()
    await server.start(port)
    try:
        async with await Endpoint.open(("127.0.0.1", port)) as endpoint:
            phone = Phone(ACCOUNTS[0], endpoint)
            answer = await phone.register()
            assert (answer.status, answer.granted(phone.caller.contact)) == (200, 600)
            assert phone.caller.cseq == 2
    finally:
        await server.stop()


async def test_the_load_outlives_the_server() -> None:
    port = free_port()
    first, second = StandIn(), StandIn()
    await first.start(port)
    async with SteadyLoad(ACCOUNTS, ("127.0.0.1", port), rate=100, deadline=8) as load:
        await asyncio.sleep(0.2)
        await first.stop()
        promised = len(load.result.acknowledged)
        await asyncio.sleep(0.3)
        await second.start(port)
        await asyncio.sleep(0.4)
    await second.stop()
    assert 0 < promised < len(load.result.acknowledged)
    assert load.result.codes == {200: load.result.started}
    assert not load.result.timeouts
    assert load.result.skipped > 0, "every phone waited while the server was away"


async def test_a_refusal_promises_nothing() -> None:
    port = free_port()
    server = StandIn("503 Service Unavailable")
    await server.start(port)
    async with SteadyLoad(ACCOUNTS[:1], ("127.0.0.1", port), rate=50) as load:
        await asyncio.sleep(0.1)
    await server.stop()
    assert set(load.result.codes) == {503}
    assert not load.result.acknowledged


async def test_nobody_there_is_a_timeout() -> None:
    async with SteadyLoad(ACCOUNTS[:1], ("127.0.0.1", free_port()), rate=50, deadline=0.2) as load:
        await asyncio.sleep(0.1)
    assert len(load.result.timeouts) == load.result.started == 1


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_phones_on_connections_come_back(transport: Transport, tmp_path: Path) -> None:
    port, serve = free_port(), serving(tmp_path)[transport]
    server = ("127.0.0.1", port)
    async with (
        AsyncExitStack() as outliving,
        SteadyLoad(ACCOUNTS, server, rate=50, deadline=8, transport=transport) as load,
    ):
        async with serve(port):
            await asyncio.sleep(0.3)
            promised = len(load.result.acknowledged)
        await asyncio.sleep(0.3)
        await outliving.enter_async_context(serve(port))
        await asyncio.sleep(0.5)
    assert 0 < promised < len(load.result.acknowledged)
    assert load.result.codes == {200: load.result.started}
    assert not load.result.timeouts
