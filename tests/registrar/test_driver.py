"""registrar/driver.py: messages of connections, faults of their framing, and connections that are gone."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from registrar.driver import Driver
from registrar.errors import MalformedMessage, MessageTooLarge, SipError, UnsupportedVersion
from registrar.model import Epoch, Flow, Phone
from registrar.sip import Request, Response, parse
from registrar.transaction import Layer
from tests.registrar.handlers.world import DOMAIN, Device, World

UDP = Flow("udp", "192.0.2.10", 5060, "198.51.100.7", 5060)


class Stage:
    """A driver between a world and a transport that keeps what is sent."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.world = World()
        self.world.clock.now = time.time()  # the driver has the true one
        self.flow = self.world.lines.dial("tcp")
        self.sent: list[tuple[Response, Flow]] = []
        self.finished: list[int] = []
        self.driver = Driver(
            tasks,
            Layer(),
            self.world.screen,
            self.world.metrics,
            b"k" * 32,
            self._send,
            self._finish,
            self.world.pings.answered,
        )
        self.driver.serve_with(self.world.dispatch)

    def _send(self, data: bytes, flow: Flow) -> bool:
        message = parse(data, exact=True)
        assert isinstance(message, Response)
        self.sent.append((message, flow))
        return True

    def _finish(self, _: Request, flow: Flow, phone: Phone, status: int, at: Epoch, seconds: float) -> None:
        self.finished.append(status)

    @property
    def statuses(self) -> list[int]:
        return [response.status for response, _ in self.sent]

    async def register(self, device: Device) -> None:
        """A REGISTER with a right digest is on its way."""
        self.driver.receive(bytes(device.build(600)), self.flow)
        challenge = self.sent.pop()[0]
        _, _, rest = (challenge.headers.get("www-authenticate") or "").partition('nonce="')
        device.nonce = rest.partition('"')[0]
        device.cseq += 1
        self.driver.receive(bytes(device.build(600)), self.flow)
        await asyncio.sleep(0)

    def gauge(self, name: str) -> float:
        return self.world.metrics.registry.get_sample_value(name) or 0.0

    def dropped(self, reason: str) -> float:
        value = self.world.metrics.registry.get_sample_value("sip_drop_total", {"reason": reason})
        return value or 0.0


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """In the end nothing is under way, and nothing was a fault of ours."""
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        made = Stage(tasks)
        yield made
        await made.driver.idle()
        made.driver.close()
    assert made.gauge("unhandled_exceptions_total") == 0
    assert made.gauge("tasks_open") == 0


def options(*more: str, method: str = "OPTIONS", body: bytes = b"") -> bytes:
    lines = [
        f"{method} sip:{DOMAIN} SIP/2.0",
        "Via: SIP/2.0/TCP 10.0.0.7;branch=z9hG4bK1",
        f"From: <sip:200@{DOMAIN}>;tag=a",
        f"To: <sip:200@{DOMAIN}>",
        "Call-ID: c",
        f"CSeq: 1 {method}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


# Faults of the framing


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param(MalformedMessage("Content-Length is missing"), 400, id="malformed"),
        pytest.param(MessageTooLarge("99999 octets"), 513, id="too large"),
        pytest.param(UnsupportedVersion("SIP/3.0"), 505, id="another version"),
    ],
)
async def test_a_fault_is_answered_and_what_came_is_not_served(fault: SipError, status: int) -> None:
    async with stage() as on:
        on.driver.receive(options("Content-Length: 0"), on.flow, fault)
        ((response, flow),) = on.sent
        assert (response.status, flow) == (status, on.flow)
        assert response.headers.get("call-id") == "c"
        assert ";received=198.51.100.7" in (response.headers.get("via") or "")
        assert on.gauge("transactions_open") == 0
        on.driver.receive(options("Content-Length: 0"), on.flow)
        assert on.statuses == [status, 200]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"\x16\x03\x01", "", id="TLS"),
        pytest.param(b"x" * 8_192, "", id="no line"),
        pytest.param(b"OPTIONS sip:a SIP/2.0\r\n\r\n", "malformed", id="no Via"),
        pytest.param(options(method="ACK"), "ack", id="an ACK"),
        pytest.param(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a\r\n\r\n", "", id="a response"),
    ],
)
async def test_a_fault_that_cannot_be_answered_is_counted(data: bytes, reason: str) -> None:
    async with stage() as on:
        on.driver.receive(data, on.flow, MalformedMessage("no SIP"))
        assert on.sent == []
        assert not reason or on.dropped(reason) == 1


async def test_a_fault_is_no_proof_of_identity() -> None:
    """What was cut off may end in the middle of its credentials: nothing of it counts."""
    async with stage() as on:
        device = Device(on.world)
        await on.register(device)
        await on.driver.idle()
        assert on.finished == [200]
        device.cseq += 1
        on.driver.receive(bytes(device.build(600)), on.flow, MessageTooLarge("99999 octets"))
        assert on.statuses == [200, 513]
        assert on.finished == [200]


@pytest.mark.parametrize(
    ("flow", "status"),
    [
        pytest.param(UDP, 200, id="cut off from a datagram"),
        pytest.param(Flow("ws", "192.0.2.10", 80, "198.51.100.7", 9, 9), 400, id="a fault of a frame"),
        pytest.param(Flow("wss", "192.0.2.10", 443, "198.51.100.7", 9, 9), 400, id="a fault of a frame, TLS"),
    ],
)
async def test_what_is_longer_than_it_says_is(flow: Flow, status: int) -> None:
    async with stage() as on:
        on.driver.receive(options("Content-Length: 2", body=b"abcd"), flow)
        assert on.statuses == [status]


# Connections that are gone


class Gate:
    """Somewhere on its way a request waits until it is let on."""

    def __init__(self, world: World) -> None:
        self._open = asyncio.Event()
        self.reached = False
        world.location.before_commit = self._wait

    async def _wait(self) -> None:
        self.reached = True
        await self._open.wait()

    def open(self) -> None:
        self._open.set()


async def test_what_is_under_way_on_a_connection_that_closes_is_answered_to_nobody() -> None:
    async with stage() as on:
        gate = Gate(on.world)
        await on.register(Device(on.world))
        while not gate.reached:
            await asyncio.sleep(0)
        assert on.gauge("transactions_open") == 1
        on.driver.closed(on.flow)
        assert on.gauge("transactions_open") == 0
        gate.open()
        await on.driver.idle()
        assert on.sent == []
        assert on.finished == [200]


async def test_another_connection_is_answered() -> None:
    async with stage() as on:
        gate = Gate(on.world)
        await on.register(Device(on.world))
        while not gate.reached:
            await asyncio.sleep(0)
        on.driver.closed(on.world.lines.dial("tcp"))
        on.driver.closed(UDP)
        gate.open()
        await on.driver.idle()
        assert [(response.status, flow) for response, flow in on.sent] == [(200, on.flow)]


async def test_a_connection_may_close_twice_and_a_message_may_come_after_it() -> None:
    async with stage() as on:
        on.driver.closed(on.flow)
        on.driver.closed(on.flow)
        on.driver.receive(options("Content-Length: 0"), on.flow)
        assert on.statuses == [200], "the transport knows that nobody is there"
