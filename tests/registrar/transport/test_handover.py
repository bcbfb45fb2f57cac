"""A datagram for another worker: whose it is, and that a burst arrives whole and in order."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from registrar.handlers.registration.pings import WORKERS
from registrar.metrics import Metrics
from registrar.model import Flow
from registrar.rules import pings
from registrar.telephony import SALTS, Salts
from registrar.transport.handover import LONGEST, Handover, maker
from tests.every import every

BURST = 2_000
"""Far more than the ten datagrams that the kernel keeps."""


def response(via: str, more: str = "") -> bytes:
    return f"SIP/2.0 200 OK\r\n{via}\r\n{more}Call-ID: a\r\n\r\n".encode()


@every(
    ("via", "number"),
    [
        ("Via: SIP/2.0/UDP h:5060;branch=z9hG4bK00aa03;rport", 3),
        ("v:SIP/2.0/UDP h;rport;BRANCH = Z9HG4BKffff10", 16),
        ("Via: SIP/2.0/UDP h:5060\r\n ;branch=z9hG4bKab02", 2),
        ("Via: SIP/2.0/UDP h;branch=z9hG4bKab02, SIP/2.0/UDP p;branch=z9hG4bKab05", 2),
        ("Via: SIP/2.0/UDP h, SIP/2.0/UDP p;branch=z9hG4bKab05", 0),
        ("Via: SIP/2.0/UDP h;branch=z9hG4bK-of-a-phone", 0),
        ("Via: SIP/2.0/UDP h;branch=1234", 0),
        ("Subject: Via: x;branch=z9hG4bKab02", 0),
    ],
)
def test_the_branch_of_the_first_via_names_the_worker(via: str, number: int) -> None:
    assert maker(response(via)) == number


def test_only_responses_are_handed_over() -> None:
    via = "Via: SIP/2.0/UDP h;branch=z9hG4bKab02\r\n"
    assert maker(f"BYE sip:a SIP/2.0\r\n{via}\r\n".encode()) == 0


def test_branches_of_a_worker_name_it() -> None:
    salts, random = Salts(7), Salts()
    drawn = [salts() for _ in range(SALTS + 1)]
    assert {salt[-1] for salt in drawn} == {7}
    assert len(set(drawn)) == SALTS + 1
    assert len({random()[-1] for _ in range(SALTS)}) > 1
    assert {len(salt) for salt in (*drawn, random())} == {8}
    ping = pings.branch(WORKERS * 300 + 7, b"secret")
    for branch in (f"z9hG4bK{drawn[0].hex()}", ping):
        assert maker(response(f"Via: SIP/2.0/UDP h;branch={branch}")) == 7


@pytest.fixture
def boxes() -> Iterator[dict[int, tuple[socket.socket, socket.socket]]]:
    with ExitStack() as stack:
        made = {}
        for number in (1, 2):
            made[number] = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            for one in made[number]:
                stack.enter_context(one).setblocking(False)
        yield made


async def test_a_burst_is_handed_over_whole_and_in_order(
    boxes: dict[int, tuple[socket.socket, socket.socket]],
) -> None:
    outboxes = {number: outbox for number, (_, outbox) in boxes.items()}
    metrics = Metrics()
    one, two = (Handover(number, boxes[number][0], outboxes, metrics) for number in (1, 2))
    heard: list[tuple[int, bytes, str, int]] = []
    one.open(lambda *datagram: heard.append(("wrong",)))  # type: ignore[arg-type]  # any
    two.open(lambda *datagram: heard.append(datagram))
    flow = Flow("udp", "::1", 5060, "2001:db8::7", 40_000, 1)
    sent = [response("Via: SIP/2.0/UDP h;branch=z9hG4bKab02", f"X: {n}\r\n") for n in range(BURST)]
    for data in sent:
        assert one.sibling(data) == 2
        one.pass_on(2, data, flow)
    assert not one.sibling(response("Via: SIP/2.0/UDP h;branch=z9hG4bKab01")), "its own"
    assert not one.sibling(response("Via: SIP/2.0/UDP h;branch=z9hG4bKab03")), "no worker has it"
    assert not one.sibling(sent[0] + b"x" * LONGEST), "it would fill the memory of the sender"
    while len(heard) < BURST:
        await asyncio.sleep(0)
    assert heard == [(1, data, "2001:db8::7", 40_000) for data in sent]
    assert b"registrar_handed_over_total 2000.0" in metrics.exposition()
    one.close()
    two.close()
