"""How long things may take: ringing, phones that are not there, sessions that nobody refreshes (RFC 4028)."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from tests.patience import limit
from tests.wire.callers import Callers, call_events, call_keys, calls_of, eventually, talk
from tests.wire.need import rounds
from tests.wire.site import Site

pytestmark = pytest.mark.wire

RING_SECONDS: Final = 3
LATE_SECONDS: Final = limit(2.5)
SESSION: Final = "1800"
BRIEF: Final = 90
"""The shortest session that RFC 4028 allows."""
RUN_OUT: dict[str, float] = {}
"""Call-IDs of calls whose timer nobody refreshes, and when they began."""
SWEEP_SECONDS: Final = 15.0
IN_FULL: Final = rounds(False, True)
"""What takes half a minute and more is for make soak; tests/registrar/handlers has it with a turned clock."""


@pytest.fixture(scope="module")
def impatient(switchboard: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A process beside the shared one, with the same phones, at which nothing rings for long."""
    with Site(
        tmp_path_factory.mktemp("impatient"),
        tenant=switchboard.demo(),
        transports=("tcp", "tls", "wss"),
        data_dir=switchboard.settings["data_dir"],
        ring_seconds=str(RING_SECONDS),
    ) as site:
        yield site


@pytest.fixture
async def hasty(impatient: Site) -> AsyncIterator[Callers]:
    """Phones of it."""
    async with Callers(impatient) as callers:
        yield callers


if IN_FULL:

    async def test_a_session_that_nobody_refreshes_is_begun(callers: Callers) -> None:
        """The last test looks at what became of it: its phones lose their power here."""
        a, b, _, bert = await callers.pair()
        outgoing = await a.call(bert.number, lines=["Supported: timer", f"Session-Expires: {BRIEF}"])
        incoming = await b.incoming()
        incoming.answer(lines=["Require: timer", f"Session-Expires: {BRIEF};refresher=uac"])
        await outgoing.answered()
        await incoming.acknowledged()
        RUN_OUT[outgoing.invite.request.call_id] = time.monotonic()


@pytest.mark.parametrize("status", [180, 183])
async def test_a_callee_that_never_answers(hasty: Callers, status: int) -> None:
    """Timer C: the phone is cancelled, and the caller told 408 (section 16.8)."""
    a, b, _, bert = await hasty.pair()
    begin = time.monotonic()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring(status)
    await outgoing.provisional(status)
    await incoming.cancelled(RING_SECONDS + LATE_SECONDS)
    assert (await outgoing.final()).status == 408
    assert RING_SECONDS - 0.5 < time.monotonic() - begin < RING_SECONDS + LATE_SECONDS
    await eventually(lambda: not calls_of(hasty.site, incoming.invite.call_id), "the call is gone")
    events = call_events(hasty.site, incoming.invite.call_id)
    assert (events[-1]["event"], events[-1]["reason"], events[-1]["status"]) == (
        "call-ended",
        "no-answer",
        "408",
    )


if IN_FULL:

    async def test_a_callee_that_ignores_the_cancel(hasty: Callers) -> None:
        """The caller does not wait for it: its 408 comes some time after, and nothing is left."""
        a, b, _, bert = await hasty.pair()
        b.automatic["CANCEL"] = 0
        outgoing = await a.call(bert.number)
        incoming = await b.incoming()
        incoming.ring()
        assert (await outgoing.final(RING_SECONDS + 35)).status == 408
        await incoming.cancelled()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_callee_that_is_not_there(hasty: Callers, transport: str) -> None:
    """It is registered, and silent: no longer than anything may ring."""
    a, b, _, bert = await hasty.pair("udp", transport)
    b.misses = lambda message: message.is_request
    outgoing = await a.call(bert.number)
    assert (await outgoing.final(RING_SECONDS + LATE_SECONDS)).status in (408, 480)


async def test_a_callee_whose_connection_is_gone(hasty: Callers) -> None:
    a, b, _, bert = await hasty.pair("udp", "tcp")
    b.vanish()
    await asyncio.sleep(0.2)
    begin = time.monotonic()
    assert (await (await a.call(bert.number)).final()).status == 480
    assert time.monotonic() - begin < limit(1)


async def test_a_call_that_is_taken_rings_no_more(hasty: Callers) -> None:
    a, b, _, bert = await hasty.pair()
    outgoing, incoming = await talk(a, b, bert.number)
    await asyncio.sleep(RING_SECONDS + 0.5)
    assert incoming.server.cancel is None
    assert b.requests == []
    assert (await outgoing.bye()).status == 200


# Session timers


async def test_a_caller_with_timers_calls_a_phone_without(callers: Callers) -> None:
    """Section 8.2: the proxy asks for it, and lets the caller refresh when the callee knows nothing of it."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number, lines=["Supported: timer"])
    incoming = await b.incoming()
    assert incoming.invite.header("session-expires").partition(";")[0] == SESSION
    assert "timer" in incoming.invite.listed("supported")
    incoming.answer()
    answered = await outgoing.answered()
    assert answered.header("session-expires").replace(" ", "") == f"{SESSION};refresher=uac"
    assert "timer" in answered.listed("require")
    assert (await outgoing.bye()).status == 200


async def test_two_phones_with_timers_agree(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number, lines=["Supported: timer", "Session-Expires: 600", "Min-SE: 120"])
    incoming = await b.incoming()
    assert incoming.invite.header("session-expires") == "600"
    assert incoming.invite.header("min-se") == "120"
    said = ["Session-Expires: 600;refresher=uas", "Supported: timer", "Require: timer"]
    incoming.answer(lines=said)
    answered = await outgoing.answered()
    assert answered.header("session-expires") == "600;refresher=uas"
    refreshed = await incoming.request("UPDATE", ["Supported: timer", "Session-Expires: 600;refresher=uac"])
    assert refreshed.status == 200
    assert (await outgoing.bye()).status == 200


async def test_a_phone_without_timers_gets_none(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.answer()
    answered = await outgoing.answered()
    assert answered.header("session-expires") == ""
    assert answered.header("require") == ""
    assert (await outgoing.bye()).status == 200


async def test_a_session_that_is_too_brief(callers: Callers) -> None:
    """Section 8.1: 422 with the least that we take; the phone asks again with that."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number, lines=["Supported: timer", "Session-Expires: 60"])
    refused = await outgoing.final()
    assert (refused.status, refused.header("min-se")) == (422, str(BRIEF))
    assert b.calls == []
    outgoing = await a.call(
        bert.number, lines=["Supported: timer", f"Session-Expires: {BRIEF}", f"Min-SE: {BRIEF}"]
    )
    incoming = await b.incoming()
    assert incoming.invite.header("session-expires") == str(BRIEF)
    incoming.refuse(486)
    assert (await outgoing.final()).status == 486


async def test_a_phone_that_wants_a_longer_session_is_passed_on(callers: Callers) -> None:
    """A callee's own 422 reaches the caller with its Min-SE."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number, lines=["Supported: timer", "Session-Expires: 120"])
    (await b.incoming()).refuse(422, ["Min-SE: 1200"])
    refused = await outgoing.final()
    assert (refused.status, refused.header("min-se")) == (422, "1200")


if IN_FULL:

    async def test_in_the_end_a_session_that_nobody_refreshed_is_lost(switchboard: Site) -> None:
        """The call ended by itself when its time was over, and says so."""
        assert RUN_OUT
        for call_id, began in RUN_OUT.items():
            left = began + BRIEF - time.monotonic()
            if left > 5:
                assert calls_of(switchboard, call_id), "it is there until then"
            await asyncio.sleep(max(0.0, left))
            await eventually(
                lambda one=call_id: not calls_of(switchboard, one),  # type: ignore[misc]
                "the call is over",
                SWEEP_SECONDS,
            )
            events = call_events(switchboard, call_id)
            assert [event["event"] for event in events] == ["call-started", "call-answered", "call-ended"]
            assert events[-1]["reason"] == "lost"


async def test_in_the_end_no_call_is_left(switchboard: Site) -> None:
    """Of all that the tests of calls have made, and left lying about."""
    await eventually(lambda: not call_keys(switchboard), "no call is left", 40)
