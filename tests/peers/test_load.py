"""The steady load against a stand-in that goes away and comes back."""

import asyncio
import re

from tests.peers.endpoint import Endpoint, Phone
from tests.peers.load import SteadyLoad
from tests.peers.phone import Account
from tests.peers.ports import free_port

ECHOED = re.compile(r"(?im)^(?:via|from|to|call-id|cseq|contact):.*$")
ACCOUNTS = [Account(f"phone{number}", "secret", "example.org") for number in range(10)]


class StandIn(asyncio.DatagramProtocol):
    """Challenges what has no credentials and grants everything else ten minutes."""

    def __init__(self, status: str = "200 OK") -> None:
        self._status = status
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", port))

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        text = data.decode()
        lines = [line.rstrip() for line in ECHOED.findall(text)]
        if "\r\nAuthorization: Digest" in text:
            lines = [f"{line};expires=600" if line.startswith("Contact") else line for line in lines]
            lines.insert(0, f"SIP/2.0 {self._status}")
        else:
            lines.insert(0, "SIP/2.0 401 Unauthorized")
            lines.append('WWW-Authenticate: Digest realm="example.org", nonce="n", qop="auth"')
        if self._transport is not None:
            self._transport.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), addr)

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
        await asyncio.sleep(0)


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
