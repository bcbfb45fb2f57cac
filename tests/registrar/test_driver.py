"""registrar/driver.py: messages of connections, faults of their framing, and connections that are gone."""

import asyncio
import gc
import logging
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from registrar.driver import Driver
from registrar.errors import MalformedMessage, MessageTooLarge, SipError, UnsupportedVersion
from registrar.handlers.calls.forwarding import Forwarding
from registrar.model import Epoch, Flow, Phone, Snapshot
from registrar.sip import Request, Response, answer, parse, unquote
from registrar.transaction import Key, Layer
from tests.patience import limit
from tests.registrar.handlers.handsets import ANN, BOB, Handset
from tests.registrar.handlers.world import DOMAIN, EDGES, Device, Sent, World

UDP = Flow("udp", "192.0.2.10", 5060, "198.51.100.7", 5060)


class Stage:
    """A driver between a world and a transport that keeps what is sent."""

    def __init__(self, tasks: asyncio.TaskGroup, *phones: Phone) -> None:
        self.world = World(*phones)
        self.world.clock.now = time.time()  # the driver has the true one
        self.flow = self.world.lines.dial("tcp")
        self.sent: list[tuple[Response, Flow]] = []
        self.asked: list[Request] = []
        """The requests that the driver has sent."""
        self.dead: set[int] = set()
        """Connections that take nothing any more."""
        self.finished: list[int] = []
        self.reasons: list[str] = []
        self.silent_places: set[tuple[str, int]] = set()
        self.heard: list[tuple[str, int]] = []
        self.driver = Driver(
            tasks,
            Layer(),
            self.world.metrics,
            b"k" * 32,
            self._send,
            self._finish,
        )
        self.driver.serve_with(self.world.checks, self.world.dispatch, self, self.world.call_history.refused)

    # driver.SignsOfLife

    def stirred(self, ip: str, port: int) -> None:
        self.heard.append((ip, port))

    def ping_answered(self, branch: str, flow: Flow) -> bool:
        return self.world.pings.ping_answered(branch, flow)

    def _send(self, data: bytes, flow: Flow) -> bool:
        if flow.id in self.dead:
            return False
        message = parse(data, exact=True)
        if isinstance(message, Request):
            self.asked.append(message)
        elif isinstance(message, Response):
            self.sent.append((message, flow))
        return True

    def _finish(
        self, _: Request, flow: Flow, phone: Phone, status: int, at: Epoch, seconds: float, why: str
    ) -> None:
        self.finished.append(status)
        self.reasons.append(why)

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
        value = self.world.metrics.registry.get_sample_value(
            "registrar_sip_dropped_total", {"reason": reason}
        )
        return value or 0.0


@asynccontextmanager
async def stage(*phones: Phone) -> AsyncIterator[Stage]:
    """In the end nothing is under way, and nothing was a fault of ours."""
    async with asyncio.timeout(limit(5)), asyncio.TaskGroup() as tasks:
        made = Stage(tasks, *phones)
        yield made
        await made.driver.idle()
        made.driver.close()
    assert made.gauge("registrar_unhandled_exceptions_total") == 0
    assert made.gauge("registrar_tasks_open") == 0


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


# Who is silent


async def test_a_request_over_udp_from_where_nothing_was_heard_is_told_of() -> None:
    async with stage() as on:
        on.driver.receive(options("Content-Length: 0"), UDP)
        assert on.heard == []
        on.silent_places.add((UDP.remote_ip, UDP.remote_port))
        on.driver.receive(options("Content-Length: 0"), replace(UDP, transport="tcp"))
        on.driver.receive(options("Content-Length: 0"), replace(UDP, remote_port=5061))
        assert on.heard == []
        on.driver.receive(options("Content-Length: 0"), UDP)
        assert on.heard == [(UDP.remote_ip, UDP.remote_port)]


class Closed:
    """Limits that let nothing in."""

    def lets_in(self, data: bytes, flow: Flow, fault: SipError | None) -> bool:
        return False

    def is_banned(self, ip: str) -> bool:
        return True


async def test_another_node_has_no_limit() -> None:
    async with stage() as on:
        on.driver._limits = Closed()
        on.driver.receive(options("Content-Length: 0"), on.flow)
        assert on.statuses == []
        on.driver.receive_from_node(options("Content-Length: 0"), on.flow)
        assert on.statuses == [200]


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
        assert on.gauge("registrar_transactions_open") == 0
        on.driver.receive(options("Content-Length: 0"), on.flow)
        assert on.statuses == [status, 200]


@pytest.mark.parametrize(
    ("flow", "agent"),
    [
        pytest.param(UDP, "192.0.2.10", id="IPv4"),
        pytest.param(replace(UDP, local_ip="2001:db8::10"), "[2001:db8::10]", id="IPv6"),
    ],
)
async def test_a_fault_is_answered_with_what_is_wrong_and_where(flow: Flow, agent: str) -> None:
    async with stage() as on:
        on.driver.receive(options("Max-Forwards: many"), flow)
        ((response, _),) = on.sent
        assert response.status == 400
        assert response.headers.get("warning") == f'399 {agent} "bad Max-Forwards"'


async def test_why_a_phone_was_refused_is_told_to_the_log() -> None:
    async with stage(replace(ANN, active=False)) as on:
        device = Device(on.world, ANN)
        await on.register(device)
        await on.driver.idle()
        ((response, _),) = on.sent
        assert response.headers.get("warning") == '399 192.0.2.10 "the customer of this phone is not active"'
        assert (on.finished, on.reasons) == ([403], ["the customer of this phone is not active"])


async def test_what_a_peer_wrote_cannot_end_a_warning() -> None:
    async with stage() as on:
        on.driver.receive(options('Contact: <sip:"\t\x7f">'), UDP)
        ((response, _),) = on.sent
        value = response.headers.get("warning") or ""
        assert value.startswith("399 192.0.2.10 ") and unquote(value.split(" ", 2)[2]) != value
        assert value.isprintable()


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
    "via",
    [
        "SIP/2.0/UDP",
        'SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1;x="',
        "SIP/2.0/UDP 10.0.0.7:99999;branch=z9hG4bK1",
        "SIP/2.0/UDP [::1::2];branch=z9hG4bK1",
    ],
)
async def test_a_via_that_cannot_be_read_is_answered_as_it_came(via: str) -> None:
    """The answer goes to where the datagram came from; silence would leave everybody in the dark."""
    async with stage() as on:
        on.driver.receive(options().replace(b"SIP/2.0/TCP 10.0.0.7;branch=z9hG4bK1", via.encode()), UDP)
        ((response, flow),) = on.sent
        assert (response.status, flow) == (400, UDP)
        assert response.headers.all("via") == [via]


async def test_what_is_dropped_is_one_line_and_one_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "registrar.driver")
    async with stage() as on:
        on.driver.receive(b"(nonsense)", UDP)
        on.driver.receive(options(method="ACK"), UDP)
        on.driver.receive(options().replace(b"Via", b"X-Via"), UDP)
        on.driver.receive(b"SIP/2.0 200 OK\r\n" + options().partition(b"\r\n")[2], UDP)
        assert on.sent == []
        lines = [
            (record.getMessage(), vars(record)["drop"], vars(record)["source"])
            for record in caplog.records
            if record.name == "registrar.driver"
        ]
        assert lines == [
            ("dropped: message", "unreadable", "198.51.100.7:5060"),
            ("dropped: ACK", "ack", "198.51.100.7:5060"),
            ("dropped: OPTIONS", "malformed", "198.51.100.7:5060"),
            ("dropped: message", "response", "198.51.100.7:5060"),
        ]
        assert [on.dropped(reason) for _, reason, _ in lines] == [1, 1, 1, 1]
        assert all(vars(record)["reason"] for record in caplog.records)


# Answers to addresses that may be forged


def tiny(number: int = 0) -> bytes:
    """The least that gets an answer, and one that is many times as large."""
    return f"A {number:03} SIP/2.0\r\nv:SIP/2.0/UDP a\r\n\r\n".encode()


async def test_a_source_of_datagrams_gets_little_more_than_it_sent() -> None:
    async with stage() as on:
        sent = 0
        for number in range(200):
            on.driver.receive(tiny(number), UDP)
            sent += len(tiny(number))
        got = sum(len(bytes(response)) for response, _ in on.sent)
        assert got <= 2 * sent + 2_000
        warned = ["warning" in response.headers for response, _ in on.sent]
        assert warned == sorted(warned, reverse=True) and warned[0] and not warned[-1], (
            "first the Warning goes"
        )
        assert on.dropped("amplification") == 200 - len(on.sent) > 0


async def test_of_what_is_too_large_no_more_goes_back_than_came() -> None:
    async with stage() as on:
        on.driver.receive(options(body=b"x" * 17_000), UDP)
        on.driver.receive(tiny() + b"x" * 17_000, UDP)
        assert on.statuses == [513, 513]


async def test_other_sources_and_connections_do_not_pay_for_it() -> None:
    async with stage() as on:
        for number in range(200):
            on.driver.receive(tiny(number), UDP)
        on.sent.clear()
        on.driver.receive(tiny(), replace(UDP, remote_ip="198.51.100.8"))
        on.driver.receive(tiny().replace(b"\r\n\r\n", b"\r\nl:0\r\n\r\n"), on.flow)
        assert on.statuses == [400, 400]


async def test_who_has_proved_who_it_is_gets_whole_answers() -> None:
    async with stage(replace(ANN, active=False)) as on:
        for number in range(200):
            on.driver.receive(tiny(number), UDP)
        on.sent.clear()
        on.flow = UDP
        await on.register(Device(on.world, ANN))
        await on.driver.idle()
        assert on.statuses == [403] and "warning" in on.sent[0][0].headers


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


class DigestCheck:
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
        gate = DigestCheck(on.world)
        await on.register(Device(on.world))
        while not gate.reached:
            await asyncio.sleep(0)
        assert on.gauge("registrar_transactions_open") == 1
        on.driver.closed(on.flow)
        assert on.gauge("registrar_transactions_open") == 0
        gate.open()
        await on.driver.idle()
        assert on.sent == []
        assert on.finished == [200]


async def test_another_connection_is_answered() -> None:
    async with stage() as on:
        gate = DigestCheck(on.world)
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


# INVITEs that are there


class Calls:
    """Ann calls Bob through the driver; what the handlers send is kept by the world's wire."""

    def __init__(self, on: Stage) -> None:
        self.on = on
        self.ann = Handset(on.world, ANN)
        self.bob = Handset(on.world, BOB, port=5070)
        self.invite = b""

    async def ring(self, method: str = "INVITE") -> Sent:
        """Bob's phone has got the INVITE, or whatever it is."""
        await self.prepare(method)
        self.on.driver.receive(self.invite, self.ann.flow)
        await self.on.driver.idle()
        (sent,) = self.on.world.wire.take()
        return sent

    async def prepare(self, method: str = "INVITE") -> None:
        """Bob is there, and Ann has a nonce."""
        await self.bob.register()
        await self.prepare_alone(method)

    async def prepare_alone(self, method: str = "INVITE") -> None:
        """Ann has a nonce."""
        bare = self.ann.request(method, f"sip:201@{DOMAIN}")
        self.on.driver.receive(bytes(bare), self.ann.flow)
        (challenge, _) = self.on.sent.pop()
        assert challenge.status == 407
        value = challenge.headers.get("proxy-authenticate") or ""
        realm, nonce = (value.partition(f'{name}="')[2].partition('"')[0] for name in ("realm", "nonce"))
        proof = self.ann.credentials(method, realm, nonce)
        self.invite = bytes(self.ann.request(method, f"sip:201@{DOMAIN}", more=(proof,)))

    def cancel(self) -> bytes:
        head = self.invite.partition(b"\r\nProxy-Authorization")[0]
        lines = [line for line in head.split(b"\r\n") if not line.startswith((b"Contact", b"Max-"))]
        text = b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])
        return text.replace(b"INVITE sip", b"CANCEL sip").replace(b" INVITE\r\n", b" CANCEL\r\n")


async def test_an_invite_rings_is_answered_and_forgotten() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        on.driver.receive(calls.invite, calls.ann.flow)
        await on.driver.idle()
        assert on.world.wire.sent == [], "a retransmission is another one to nobody"
        await calls.bob.reply(sent, 180)
        await calls.bob.reply(sent, 200)
        assert [status for status in on.statuses if status != 100] == [180, 200]
        assert on.finished == [200]


async def test_an_invite_that_is_refused_before_there_is_a_call_is_a_past_call() -> None:
    async with stage(ANN) as on:  # no phone of Bob
        calls = Calls(on)
        await calls.prepare_alone()
        on.driver.receive(calls.invite, calls.ann.flow)
        await on.driver.idle()
        (past,) = on.world.history.past
        assert (past.ending.status, past.ending.why, past.call.dialled) == (404, on.reasons[-1], "201")
        assert past.call.caller.phone == ANN.id and 0 <= time.time() - past.call.started_at < limit(5)


async def test_the_answer_of_a_phone_has_its_reason_in_the_log_and_no_second_row() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 486, reason="Busy Here")
        assert (on.finished, on.reasons) == ([486], ["Busy Here"])
        (past,) = on.world.history.past
        assert (past.ending.status, past.ending.why, past.call.call_id) == (486, "Busy Here", "call-1")


async def test_a_challenge_is_no_past_call() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        await calls.ring()
        on.driver.receive(calls.invite.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"), calls.ann.flow)
        await on.driver.idle()
        assert on.statuses[-1] == 407 and on.world.history.past == []


async def test_a_cancel_from_where_the_invite_came_is_answered_and_carried_out() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 180)
        on.sent.clear()
        on.driver.receive(calls.cancel(), calls.ann.flow)
        ((response, flow),) = on.sent
        assert (response.status, response.cseq[1], flow) == (200, "CANCEL", calls.ann.flow)
        assert on.world.wire.methods == ["CANCEL"]
        await calls.bob.reply(sent, 487)
        assert on.statuses == [200, 487]
        assert on.finished == [487]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_cancel_right_behind_its_invite_finds_it(transport: str) -> None:
    """Nothing is known of the caller yet: its directory is cold (pjsip/pjproject#302)."""
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        calls.ann = Handset(on.world, ANN, transport=transport)
        await calls.prepare()
        on.driver.receive(calls.invite, calls.ann.flow)
        on.driver.receive(calls.cancel(), calls.ann.flow)
        assert on.statuses == [200] and on.sent[0][0].cseq[1] == "CANCEL"
        await on.driver.idle()
        assert on.statuses == [200, 487]
        assert on.world.wire.sent == [] and len(on.world.calls) == 0
        assert on.finished == [487]


async def test_an_invite_that_comes_again_before_it_is_known_is_one_invite() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        await calls.prepare()
        on.driver.receive(calls.invite, calls.ann.flow)
        on.driver.receive(calls.invite, calls.ann.flow)
        assert on.dropped("twin") == 1
        await on.driver.idle()
        assert on.world.wire.methods == ["INVITE"]


async def test_an_invite_from_elsewhere_does_not_stand_in_for_another() -> None:
    """Whoever guesses a branch keeps nobody from calling, and cancels nothing."""
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        await calls.prepare()
        elsewhere = replace(calls.ann.flow, remote_ip="203.0.113.9")
        on.driver.receive(calls.invite.replace(b'response="', b'response="0'), elsewhere)
        on.driver.receive(calls.invite, calls.ann.flow)
        on.driver.receive(calls.cancel(), calls.ann.flow)
        on.driver.receive(calls.cancel(), elsewhere)
        await on.driver.idle()
        assert on.world.wire.methods == ["INVITE"]
        assert sorted(on.statuses) == [200, 407, 481]
        on.driver.receive(calls.cancel(), calls.ann.flow)
        assert on.statuses[-1] == 200


async def test_of_an_invite_that_is_refused_nothing_is_kept() -> None:
    async with stage(replace(ANN, password="q" * 32), BOB) as on:
        calls = Calls(on)
        await calls.prepare()
        on.driver.receive(calls.invite, calls.ann.flow)
        await on.driver.idle()
        assert on.statuses == [407]
        on.driver.receive(calls.cancel(), calls.ann.flow)
        assert on.statuses == [407, 481]


@pytest.mark.parametrize("other", ["port", "address", "connection"])
async def test_a_cancel_from_elsewhere_is_of_nothing(other: str) -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 180)
        on.sent.clear()
        ann = calls.ann.flow
        flow = {
            "port": replace(ann, remote_port=4444),
            "address": replace(ann, remote_ip="203.0.113.9"),
            "connection": on.flow,
        }[other]
        on.driver.receive(calls.cancel(), flow)
        assert on.statuses == [481]
        assert on.world.wire.sent == []
        await calls.bob.reply(sent, 486)
        assert on.statuses == [481, 486]


EDGE = Flow("udp", "192.0.2.10", 5060, "192.0.2.201", 5060)


def by_edge(asked: Request, flow: Flow) -> bytes:
    """A request as an edge passes it on, with its own Via before that of the phone."""
    via = str(asked.via.stamped(flow.remote_ip, flow.remote_port))
    asked.headers.replace("via", f"SIP/2.0/UDP 192.0.2.201;branch=z9hG4bKedge{asked.cseq[0]}, {via}")
    return bytes(asked)


async def test_a_request_by_an_edge_is_from_the_phone_and_is_answered_by_the_edge() -> None:
    async with stage(ANN) as on:
        on.driver._edges = EDGES
        ann = Handset(on.world, ANN)
        invite = by_edge(ann.request("INVITE", f"sip:201@{DOMAIN}"), ann.flow)
        on.driver.receive(invite, EDGE)
        ((response, flow),) = on.sent
        assert response.status == 407
        assert (flow.remote_ip, flow.remote_port) == (ann.flow.remote_ip, ann.flow.remote_port)
        assert (flow.hop_ip, flow.hop_port) == ("192.0.2.201", 5060)
        on.driver.receive(invite.replace(b"received=", b"received=x"), EDGE)
        assert on.statuses == [407, 400]
        assert on.sent[-1][1] == EDGE


async def test_a_banned_phone_behind_an_edge_gets_no_answer() -> None:
    class Banning:
        def lets_in(self, data: bytes, flow: Flow, fault: SipError | None) -> bool:
            return True

        def is_banned(self, ip: str) -> bool:
            return ip != "192.0.2.201"

    async with stage(ANN) as on:
        on.driver._edges, on.driver._limits = EDGES, Banning()
        ann = Handset(on.world, ANN)
        on.driver.receive(by_edge(ann.request("INVITE", f"sip:201@{DOMAIN}"), ann.flow), EDGE)
        assert on.statuses == []
        on.driver.receive(bytes(ann.request("INVITE", f"sip:201@{DOMAIN}")), EDGE)
        assert on.statuses == [407], "the edge itself is not banned"


async def test_a_cancel_of_an_edge_has_no_via_of_the_phone() -> None:
    """RFC 3261 section 9.1: it is made hop by hop."""
    async with stage(ANN, BOB) as on:
        on.driver._edges = EDGES
        calls = Calls(on)
        await calls.bob.register()
        ann = calls.ann
        on.driver.receive(by_edge(ann.request("INVITE", f"sip:201@{DOMAIN}"), ann.flow), EDGE)
        value = on.sent.pop()[0].headers.get("proxy-authenticate") or ""
        realm, nonce = (value.partition(f'{name}="')[2].partition('"')[0] for name in ("realm", "nonce"))
        proof = ann.credentials("INVITE", realm, nonce)
        recorded = "Record-Route: <sip:192.0.2.201;lr>"
        invite = ann.request("INVITE", f"sip:201@{DOMAIN}", more=(proof, recorded))
        on.driver.receive(by_edge(invite, ann.flow), EDGE)
        await on.driver.idle()
        (sent,) = on.world.wire.take()
        await calls.bob.reply(sent, 180)
        assert on.sent[-1][0].status == 180
        assert on.sent[-1][0].headers.all("record-route")[1:] == ["<sip:192.0.2.201;lr>"]
        hop = (invite.headers.get("via") or "").partition(", ")[0]
        calls.invite = bytes(invite).replace((invite.headers.get("via") or "").encode(), hop.encode())
        on.driver.receive(calls.cancel(), replace(EDGE, remote_ip="192.0.2.202"))
        assert on.statuses[-1] == 481, "another edge has no such call"
        on.driver.receive(calls.cancel(), EDGE)
        assert on.statuses[-1] == 200
        assert on.world.wire.methods == ["CANCEL"]


async def test_a_2xx_that_comes_again_goes_back_again() -> None:
    """Also when nothing else is left of the call's beginning."""
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 200)
        before = on.sent[-1][0]
        await calls.bob.reply(sent, 200)
        assert bytes(on.sent[-1][0]) == bytes(before) and len(on.statuses) >= 2
        assert on.statuses[-2:] == [200, 200]
        assert on.finished == [200]


async def test_an_ack_with_the_branch_of_its_invite_ends_here() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 200)
        answered = list(on.statuses)
        on.driver.receive(calls.cancel().replace(b"CANCEL", b"ACK"), calls.ann.flow)
        assert on.statuses == answered and on.world.wire.sent == []
        assert len(on.world.calls) == 1


async def test_a_cancel_from_elsewhere_after_the_answer_is_of_nothing() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 200)
        on.driver.receive(calls.cancel(), on.flow)
        assert on.statuses[-1] == 481


async def test_a_cancel_after_the_answer_changes_nothing() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 200)
        on.driver.receive(calls.cancel(), calls.ann.flow)
        assert on.statuses[-1] == 200 and on.sent[-1][0].cseq[1] == "CANCEL"
        assert on.world.wire.sent == []
        assert len(on.world.calls) == 1


async def test_a_caller_whose_connection_closes_is_gone() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        calls.ann = Handset(on.world, ANN, transport="tcp")
        sent = await calls.ring()
        await calls.bob.reply(sent, 180)
        on.driver.closed(calls.ann.flow)
        assert on.world.wire.methods == ["CANCEL"]
        await calls.bob.reply(sent, 487)
        assert len(on.world.calls) == 0
        assert on.gauge("registrar_transactions_open") == 0


@asynccontextmanager
async def nothing_stays_of(on: Stage, sent: Sent) -> AsyncIterator[None]:
    """When the block is over what was particular to the request is gone, though nobody looks for rings."""
    assert isinstance(sent.asker, Forwarding)
    left = weakref.ref(sent.asker.rewriter)
    gc.disable()
    try:
        yield
        sent.asker = None
        on.world.wire.forget_all()
        await on.driver.idle()
        await asyncio.sleep(0)
        assert left() is None
    finally:
        gc.enable()


async def test_of_a_caller_that_hangs_up_its_connection_while_it_rings_nothing_stays() -> None:
    """No ring of objects: an INVITE and the end of its connection cost too little for one."""
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        calls.ann = Handset(on.world, ANN, transport="tcp")
        sent = await calls.ring()
        await calls.bob.reply(sent, 180)
        async with nothing_stays_of(on, sent):
            on.driver.closed(calls.ann.flow)
            await calls.bob.reply(sent, 487)


async def test_of_a_message_that_nobody_answers_nothing_stays() -> None:
    """It gets no 408 (RFC 4320), so no answer of ours lets go of it."""
    async with stage(ANN, BOB) as on:
        sent = await Calls(on).ring("MESSAGE")
        async with nothing_stays_of(on, sent):
            assert sent.asker is not None and sent.key is not None
            sent.asker.request_failed(sent.key, timed_out=True)


async def test_a_caller_that_is_gone_before_anybody_is_called_rings_nobody() -> None:
    """Its connection closes while the store is asked: who serves the INVITE hears of it when it begins."""
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        calls.ann = Handset(on.world, ANN, transport="tcp")
        location = on.world.location
        asked = location.load

        async def load(phones: Sequence[str]) -> list[Snapshot]:
            if BOB.id in phones and calls.invite:
                on.driver.closed(calls.ann.flow)
            return await asked(phones)

        location.load = load  # type: ignore[method-assign]  # for this moment alone
        with pytest.raises(ValueError, match="not enough values"):
            await calls.ring()
        assert on.world.wire.sent == [] and len(on.world.calls) == 0


async def test_while_stopping_only_what_ends_something_is_served() -> None:
    async with stage(ANN, BOB) as on:
        calls = Calls(on)
        sent = await calls.ring()
        await calls.bob.reply(sent, 180)
        on.driver.draining = True
        on.sent.clear()
        on.driver.receive(options(method="INVITE"), on.flow)
        on.driver.receive(calls.cancel(), calls.ann.flow)
        assert on.statuses == [503, 200]
        await calls.bob.reply(sent, 487)


# Requests of ours


class Listener:
    """Implements handlers.network.ClientTransactionUser."""

    def __init__(self) -> None:
        self.heard: list[int | str] = []

    def receive_response(self, key: Key, response: Response) -> None:
        self.heard.append(response.status)

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        self.heard.append("timed out" if timed_out else "failed")


def ours(method: str = "MESSAGE", branch: str = "z9hG4bKours") -> Request:
    lines = options(method=method).decode().replace("z9hG4bK1", branch).replace("\r\n\r\n", "\r\n")
    made = parse((lines + "Content-Length: 0\r\n\r\n").encode())
    assert isinstance(made, Request)
    return made


async def test_who_asks_hears_each_answer_and_only_one_final_one() -> None:
    async with stage() as on:
        asker, request = Listener(), ours()
        on.driver.request(request, on.flow, asker)
        assert [asked.method for asked in on.asked] == ["MESSAGE"]
        for status in (180, 200, 200):
            on.driver.receive(bytes(answer(request, status, to_tag="x")), on.flow)
        assert asker.heard == [180, 200]


async def test_a_challenge_from_elsewhere_is_dropped_and_told_in_the_metrics() -> None:
    """Its answer would have a digest of the phone's password (decision 102)."""
    async with stage() as on:
        asker, request = Listener(), ours("NOTIFY")
        on.driver.request(request, UDP, asker)
        challenge = bytes(answer(request, 401, to_tag="x"))
        on.driver.receive(challenge, replace(UDP, remote_ip="198.51.100.66"))
        assert asker.heard == []
        on.driver.receive(challenge, UDP)
        assert asker.heard == [401]
        assert on.dropped("response_elsewhere") == 1


async def test_who_invites_hears_a_2xx_each_time() -> None:
    async with stage() as on:
        asker, request = Listener(), ours("INVITE")
        on.driver.request(request, on.flow, asker)
        for status in (180, 200, 200):
            on.driver.receive(bytes(answer(request, status, to_tag="x")), on.flow)
        assert asker.heard == [180, 200, 200]


async def test_another_may_listen_from_now_on_and_read_what_was_sent() -> None:
    async with stage() as on:
        asker, other, request = Listener(), Listener(), ours("INVITE")
        key = on.driver.request(request, on.flow, asker)
        on.driver.receive(bytes(answer(request, 200, to_tag="x")), on.flow)
        on.driver.entrust(key, other)
        on.driver.receive(bytes(answer(request, 200, to_tag="y")), on.flow)
        assert (asker.heard, other.heard) == ([200], [200])
        assert bytes(on.driver.original(key) or request) == bytes(request)
        on.driver.entrust(key, None)
        on.driver.receive(bytes(answer(request, 200, to_tag="z")), on.flow)
        assert (asker.heard, other.heard) == ([200], [200])
        on.driver.forget(key)
        assert on.driver.original(key) is None
        on.driver.entrust(key, other)  # too late: nobody waits any more
        on.driver.receive(bytes(answer(request, 200, to_tag="z")), on.flow)
        assert other.heard == [200]


async def test_who_forgets_a_request_hears_nothing_more() -> None:
    async with stage() as on:
        asker, request = Listener(), ours("INVITE")
        key = on.driver.request(request, on.flow, asker)
        on.driver.forget(key)
        on.driver.receive(bytes(answer(request, 200, to_tag="x")), on.flow)
        assert asker.heard == []
        assert on.dropped("response") == 1


async def test_a_request_that_cannot_be_sent_has_failed_in_the_next_turn() -> None:
    """Whoever asked must know its key first."""
    async with stage() as on:
        on.dead.add(on.flow.id)
        asker = Listener()
        on.driver.request(ours(), on.flow, asker)
        assert asker.heard == []
        await asyncio.sleep(0)
        assert asker.heard == ["failed"]


async def test_a_request_on_a_connection_that_closes_has_failed() -> None:
    async with stage() as on:
        asker = Listener()
        on.driver.request(ours("INVITE"), on.flow, asker)
        on.driver.closed(on.flow)
        assert asker.heard == ["failed"]


async def test_nobody_need_wait_for_a_request() -> None:
    async with stage() as on:
        request = ours("BYE")
        on.driver.request(request, on.flow, None)
        on.driver.receive(bytes(answer(request, 200, to_tag="x")), on.flow)
        on.driver.send(ours("ACK"), on.flow)
        assert [asked.method for asked in on.asked] == ["BYE", "ACK"]
