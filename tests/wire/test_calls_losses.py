"""UDP loses what it likes: nothing is done twice, and nothing is forgotten."""

import asyncio
import time

import pytest

from tests.peers.calling_message import Message
from tests.wire.callers import Callers, talk

pytestmark = pytest.mark.wire


class First:
    """Loses the first message of a kind."""

    def __init__(self, method: str, status: int = 0, times: int = 1) -> None:
        self.lost = 0
        self._method, self._status, self._times = method, status, times

    def __call__(self, message: Message) -> bool:
        if (message.method, message.status) != (self._method, self._status) or self.lost >= self._times:
            return False
        self.lost += 1
        return True


async def test_trying_comes_at_once(callers: Callers) -> None:
    """Also while the phone that is called has said nothing; the phone's own 100 stays with us."""
    a, b, _, bert = await callers.pair()
    b.misses = lambda message: message.method == "INVITE"
    outgoing = await a.call(bert.number)
    await outgoing.provisional(100)
    assert not outgoing.invite.has_final
    assert (await outgoing.cancel().final(5)).status == 200
    b.misses = lambda _: False
    await (await b.incoming()).cancelled()
    assert (await outgoing.final()).status == 487


async def test_an_invite_that_comes_again_is_no_second_call(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    for _ in range(3):
        a.say(outgoing.invite.request.raw)
    incoming.ring()
    await outgoing.provisional(180)
    a.say(outgoing.invite.request.raw)
    await asyncio.sleep(0.3)
    assert outgoing.statuses.count(180) >= 2, "the last response is sent again"
    incoming.answer()
    await outgoing.answered()
    assert len(b.calls) == 1
    assert incoming.server.copies == 0
    assert (await outgoing.bye()).status == 200


async def test_an_invite_that_is_lost_is_sent_again_to_the_phone(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    b.misses = First("INVITE", times=2)
    outgoing, incoming = await talk(a, b, bert.number)
    assert len(b.calls) == 1
    assert (await incoming.bye()).status == 200
    await outgoing.asked("BYE")


async def test_an_answer_that_is_lost_comes_again_from_the_phone(callers: Callers) -> None:
    """The 2xx is the phones' own business: sent by the callee until it has the ACK (section 13.3.1.4)."""
    a, b, _, bert = await callers.pair()
    a.misses = First("INVITE", 200)
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.answer()
    begin = time.monotonic()
    await outgoing.answered()
    assert time.monotonic() - begin > 0.4
    await incoming.acknowledged()
    assert (await outgoing.bye()).status == 200


async def test_an_ack_that_is_lost_brings_the_answer_again(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    b.misses = First("ACK")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    assert outgoing.invite.copies >= 1
    assert len([1 for _, raw in a.sent if raw.startswith(b"ACK")]) >= 3, "of the 407, and of each 200"
    assert (await outgoing.bye()).status == 200


async def test_a_refusal_is_sent_again_until_it_is_acknowledged(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    a.misses = First("INVITE", 486, times=2)
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.refuse(486)
    assert (await outgoing.final()).status == 486
    await incoming.acknowledged()
    assert incoming.server.copies == 0


async def test_the_ack_of_a_refusal_is_our_own(callers: Callers) -> None:
    """Hop by hop (section 17.1.1.3): the phone has it though the caller has not heard of the refusal."""
    a, b, _, bert = await callers.pair()
    a.misses = lambda message: message.status == 486
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.refuse(486)
    await incoming.acknowledged()
    a.misses = lambda _: False
    assert (await outgoing.final()).status == 486


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_bye_that_is_lost_is_sent_again(callers: Callers, lost: str) -> None:
    outgoing, incoming, a, b = await callers.talking()
    if lost == "request":
        b.misses = First("BYE")
    else:
        a.misses = First("BYE", 200)
    assert (await outgoing.bye()).status == 200
    await incoming.asked("BYE")
    assert len([one for one in b.requests if one.request.method == "BYE"]) == 1
