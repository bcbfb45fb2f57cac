"""Calls through trouble: a phone that is killed, a connection that is reset, a BYE that does not arrive."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_session import Incoming
from tests.wire.callers import Callers, Extension, call_events, eventually
from tests.wire.site import Site

pytestmark = pytest.mark.wire

WAIT_SECONDS: Final = 60.0
ROOM_SECONDS: Final = 8.0
"""For a machine that does other things, too."""
CLOSED_SECONDS: Final = 12.0
RINGING_SECONDS: Final = 24.0


@pytest.fixture(scope="module")
def pinging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """As it is out of the box: each phone over UDP is pinged every 30 s."""
    with Site(tmp_path_factory.mktemp("pinging"), transports=("tcp",), ping_seconds="30") as site:
        yield site


@pytest.fixture
async def phones(pinging: Site) -> AsyncIterator[Callers]:
    async with Callers(pinging) as callers:
        yield callers


async def back(callers: Callers, whose: Extension, before: CallingPhone, call: Incoming) -> CallingPhone:
    """The phone has a new connection, registers as the same program, and knows its call."""
    again = await callers.connect(whose.handset, "tcp")
    again.caller.call_id, again.caller.cseq = before.caller.call_id, before.caller.cseq
    assert (await again.register()).status == 200
    again.adopt(call, before)
    return again


@pytest.mark.parametrize("seconds", [0, 14], ids=["within its grace", "after it"])
async def test_a_bye_that_meets_a_closed_connection_arrives_when_the_phone_is_back(
    callers: Callers, seconds: int
) -> None:
    a, bert = await callers.phone(callers.extension().handset), callers.extension()
    b = await callers.phone(bert.handset, "tcp")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    b.reset()
    await asyncio.sleep(0.2)
    assert (await outgoing.bye()).status in (200, 480)
    await asyncio.sleep(seconds)
    again = await back(callers, bert, b, incoming)
    await again.asked("BYE", WAIT_SECONDS)
    await eventually(lambda: call_events(callers.site, outgoing.dialog.call_id)[-1:], "it is over")
    assert call_events(callers.site, outgoing.dialog.call_id)[-1]["reason"] == "hung-up"


async def test_a_party_whose_connection_is_seen_to_close_ends_the_call(callers: Callers) -> None:
    outgoing, _, a, b = await callers.talking("udp", "tcp")
    b.reset()
    began = time.monotonic()
    await a.asked("BYE", WAIT_SECONDS)
    assert 8.0 < time.monotonic() - began < CLOSED_SECONDS + ROOM_SECONDS
    await eventually(
        lambda: call_events(callers.site, outgoing.dialog.call_id)[-1]["reason"] == "lost", "it is lost"
    )


@pytest.mark.soak  # it rings for longer than the pings of a silent phone take
async def test_a_caller_over_udp_may_ring_for_as_long_as_it_lives(phones: Callers) -> None:
    async with asyncio.TaskGroup() as calls:
        calls.create_task(_killed_while_it_rings(phones))
        calls.create_task(_rings_and_lives(phones))


async def _killed_while_it_rings(phones: Callers) -> None:
    anna, bert = phones.extension(), phones.extension()
    a, b = await phones.phone(anna.handset), await phones.phone(bert.handset, "tcp")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    call_id = outgoing.invite.request.call_id
    await asyncio.sleep(2)
    a.vanish()
    began = time.monotonic()
    await incoming.cancelled(WAIT_SECONDS)
    assert time.monotonic() - began < RINGING_SECONDS + ROOM_SECONDS
    await eventually(lambda: call_events(phones.site, call_id)[-1]["event"] == "call-ended", "it is over")
    assert call_events(phones.site, call_id)[-1]["reason"] == "lost"


async def _rings_and_lives(phones: Callers) -> None:
    anna, bert = phones.extension(), phones.extension()
    a, b = await phones.phone(anna.handset), await phones.phone(bert.handset, "tcp")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await asyncio.sleep(RINGING_SECONDS + 6)
    pings = [one for one in a.requests if one.request.method == "OPTIONS"]
    assert len(pings) > 3, "it is asked often while somebody rings for its sake"
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    assert (await outgoing.bye()).status == 200
