"""Two baresip, phones that other people wrote, call each other: both hear the other one's tone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.peers.baresip_calling import BaresipCaller
from tests.wire.callers import Callers, Extension, call_keys
from tests.wire.need import in_soak, need_module
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

A, B, C = 440.0, 1000.0, 700.0
SILENCE: Final = 100.0
Trio = tuple[BaresipCaller, BaresipCaller, BaresipCaller, list[Extension]]


@pytest.fixture(params=["udp", in_soak("tcp"), "tls"])
def three(request: pytest.FixtureRequest, switchboard: Site, tmp_path: Path) -> Iterator[Trio]:
    """Three of them, each with an extension and a tone of its own."""
    need_module("baresip")
    callers = Callers(switchboard)
    whose = [callers.extension() for _ in range(3)]
    transport: str = request.param
    phones = [
        BaresipCaller(
            tmp_path,
            one.handset.account,
            switchboard.listeners[transport],
            transport=transport,
            tone=tone,
        )
        for one, tone in zip(whose, (A, B, C), strict=True)
    ]
    with phones[0] as a, phones[1] as b, phones[2] as c:
        yield a, b, c, whose
    within(5, lambda: not call_keys(switchboard), "no call is left")


def uri(extension: Extension) -> str:
    """What is dialled."""
    return f"sip:{extension.number}@{extension.handset.account.domain}"


def hears(phone: BaresipCaller, call: int, tone: float) -> None:
    """One tone, loud, and none of the others; a busy machine may tear the first seconds of it."""

    def is_clear() -> bool:
        sound = phone.heard(call, A, B, C)
        return sound.level > 1_000 and sound.shares[tone] > 0.9

    within(2, is_clear, f"{tone} Hz, {phone.output[-3_000:]}")


def connect(a: BaresipCaller, b: BaresipCaller, number: Extension) -> tuple[int, int]:
    """A calls B, who answers."""
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(a.call, uri(number))
        there = b.wait_incoming()
        b.answer(there)
        return calling.result(), there


def test_both_hear_each_other_and_hold_and_resume(three: Trio) -> None:
    a, b, c, whose = three
    call, there = connect(a, b, whose[1])
    hears(a, call, B)
    hears(b, there, A)
    a.hold(call)
    within(3, lambda: b.state(there) == "held", "B is on hold")
    within(4, lambda: b.heard(there, A).level < SILENCE, "and hears nothing")
    a.resume(call)
    within(3, lambda: b.state(there) == "established", "B is not on hold any more")
    hears(b, there, A)
    b.hang_up(there)
    within(3, lambda: a.state(call) == "closed", "A knows that it is over")
    assert c.output


def test_blind_transfer(three: Trio) -> None:
    """B sends A to C: A and C hear each other."""
    a, b, c, whose = three
    _, there = connect(a, b, whose[1])
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(b.transfer, there, uri(whose[2]))
        rung = c.wait_incoming()
        c.answer(rung)
        sent.result()
    new = a.wait_incoming()
    hears(a, new, C)
    hears(c, rung, A)
    c.hang_up(rung)
    within(3, lambda: a.state(new) == "closed", "A knows that it is over")
    within(3, lambda: b.state(there) == "closed", "B has left")


def test_attended_transfer(three: Trio) -> None:
    """A talks to B and to C, and leaves them to each other."""
    a, b, c, whose = three
    first, with_b = connect(a, b, whose[1])
    a.hold(first)
    second, with_c = connect(a, c, whose[2])
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(a.attended_transfer, first, second)
        rung = c.wait_incoming()
        c.answer(rung)
        sent.result()
    new = b.wait_incoming()
    hears(b, new, C)
    hears(c, rung, B)
    b.hang_up(new)
    within(3, lambda: c.state(rung) == "closed", "C knows that it is over")
    within(3, lambda: a.state(first) == "closed", "A has left")
    for phone, call in ((a, second), (b, with_b), (c, with_c)):
        if phone.state(call) != "closed":
            phone.hang_up(call)
