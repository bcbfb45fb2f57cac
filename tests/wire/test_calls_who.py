"""Who may call: only who proves who it is, from where it may be, and inside its own customer."""

import asyncio
import json
import time
from contextlib import closing
from typing import Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_message import param
from tests.peers.phone import Account, parse_answer
from tests.peers.pipe import UdpPipe
from tests.peers.ports import free_port
from tests.wire.callers import Callers, is_served, talk
from tests.wire.site import Handset

pytestmark = pytest.mark.wire

FLOOD: Final = 2_000
FEW: Final = 300
ELSEWHERE: Final = ("127.0.0.2", 0)
NOBODY: Final = "2999"
SILENCE_SECONDS: Final = 2.5
"""Timer G would have sent a refusal again three times in it."""
OUTSIDE: Final = ["INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH"]
ABOUT: Final = {
    "SUBSCRIBE": ["Event: presence", "Expires: 600"],
    "REFER": ["Refer-To: <sip:2999@example>"],
    "PUBLISH": ["Event: presence", "Expires: 600"],
}


def invite(phone: CallingPhone, to: str, method: str = "INVITE") -> bytes:
    """A request without credentials."""
    return phone.outside(method, to, ABOUT.get(method, ()))


@pytest.mark.parametrize("transport", ["udp", "tcp", "wss"])
@pytest.mark.parametrize("method", OUTSIDE)
async def test_a_request_outside_a_dialog_is_challenged_once(
    callers: Callers, method: str, transport: str
) -> None:
    called = callers.extension()
    b = await callers.phone(called.handset, transport)
    a = await callers.connect(callers.extension().handset, transport)
    kept = callers.site.metric("registrar_transactions_open")
    outside = a.ask(invite(a, called.number, method))
    challenge = await outside.final(5)
    assert challenge.status == 407
    assert parse_answer(challenge.raw).challenges[0].realm == a.account.domain
    assert challenge.header("contact") == ""
    assert callers.site.metric("registrar_transactions_open") <= kept
    assert b.calls == []
    assert b.requests == []


async def test_a_challenge_that_nobody_acknowledges_is_not_sent_again(callers: Callers) -> None:
    """RFC 3261 section 26.3.2.4: one 407, without the usual retransmissions."""
    called = callers.extension()
    with closing(UdpPipe(callers.site.sip)) as pipe:
        phone = await callers.connect(called.handset)
        pipe.send(
            invite(phone, called.number).replace(b":%d;" % phone.line.address[1], b":%d;" % pipe.address[1])
        )
        first = await asyncio.to_thread(pipe.receive, 5.0)
        assert first is not None
        assert parse_answer(first).status == 407
        assert await asyncio.to_thread(pipe.receive, SILENCE_SECONDS) is None


async def test_a_flood_without_credentials_costs_one_answer_each(callers: Callers) -> None:
    called = callers.extension()
    b = await callers.phone(called.handset)
    phone = await callers.connect(callers.extension().handset)
    kept, answered = (
        callers.site.metric("registrar_transactions_open"),
        callers.site.metric("registrar_sip_responses_total", method="INVITE", code="407"),
    )
    requests = [invite(phone, called.number) for _ in range(FLOOD)]
    asked = [phone.ask(request) for request in requests[:1]]
    for number, request in enumerate(requests[1:]):
        asked.append(phone.ask(request))
        if number % 20 == 0:
            await asyncio.sleep(0.01)
    for one in asked:
        assert (await one.final(30)).status == 407
    sent_again = sum(len(one.responses) - 1 for one in asked)
    answers = callers.site.metric("registrar_sip_responses_total", method="INVITE", code="407") - answered
    asked_again = len([1 for _, raw in phone.sent if raw.startswith(b"INVITE")]) - FLOOD
    assert answers <= FLOOD + asked_again, "one answer to each that came"
    assert sent_again <= asked_again
    assert callers.site.metric("registrar_transactions_open") <= kept
    assert b.calls == []


async def test_a_wrong_password_does_not_ring(callers: Callers) -> None:
    a, called = callers.extension(), callers.extension()
    b = await callers.phone(called.handset)
    forger = Handset(a.handset.id, Account(a.handset.account.username, "x" * 32, a.handset.account.domain))
    phone = await callers.connect(forger)
    assert (await (await phone.call(called.number)).final()).status == 407
    assert b.calls == []


async def test_an_unknown_number_is_told_only_to_who_is_known(callers: Callers) -> None:
    a = await callers.phone(callers.extension().handset)
    outgoing = await a.call(NOBODY)
    assert outgoing.challenge is not None
    assert outgoing.challenge.status == 407
    assert (await outgoing.final()).status == 404


async def test_an_extension_without_a_phone_that_is_there(callers: Callers) -> None:
    a = await callers.phone(callers.extension().handset)
    for called in (callers.extension(), callers.extension(phones=0)):
        assert (await (await a.call(called.number)).final()).status == 480


async def test_a_number_without_a_phone_is_given_up_at_once(callers: Callers) -> None:
    """No phone registers for it, so its change is announced as one of the dial plan alone."""
    a, bert = await callers.phone(callers.extension().handset), callers.extension(phones=0)
    assert (await (await a.call(bert.number)).final()).status == 480
    path = f"/pbx/extension/{bert.id}"
    assert callers.site.api("PATCH", path, {"number": f"9{bert.number}"}).status == 200
    await asyncio.sleep(1)
    assert (await (await a.call(bert.number)).final()).status == 404


async def test_a_phone_that_has_left_is_not_called(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    assert (await b.register(0)).status == 200
    assert (await (await a.call(bert.number)).final()).status == 480
    assert b.calls == []


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
async def test_a_locked_phone_calls_from_nowhere_else(callers: Callers, method: str) -> None:
    a, b, anna, bert = await callers.pair()
    stranger = await callers.connect(anna.handset, source=ELSEWHERE)
    assert (await stranger.request(method, bert.number, body=b"v=0\r\n")).status == 403
    assert b.calls == []
    status = callers.site.status_hash(anna.handset)
    assert (status["lastRejectedIp"], status["online"]) == (ELSEWHERE[0], "1")
    outgoing, _ = await talk(a, b, bert.number)
    assert (await outgoing.bye()).status == 200


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
async def test_an_open_phone_is_locked_by_a_call(callers: Callers, method: str) -> None:
    anna = callers.extension()
    assert callers.site.phone(anna.handset)["ip"]["mode"] == "OPEN"
    a = await callers.connect(anna.handset)
    assert (await a.request(method, NOBODY, body=b"hello")).status == 404
    ip = callers.site.phone(anna.handset)["ip"]
    assert (ip["mode"], ip["address"]) == ("LOCKED", "127.0.0.1")
    elsewhere = await callers.connect(anna.handset, source=ELSEWHERE)
    assert (await elsewhere.register()).status == 403


async def test_another_customer_has_other_numbers(callers: Callers) -> None:
    customer, domain = callers.customer()
    await asyncio.to_thread(is_served, callers.site, domain)
    theirs = callers.extension(customer=customer, domain=domain)
    b = await callers.phone(theirs.handset)
    a = await callers.phone(callers.extension().handset)
    callers.told(theirs.handset.account.username)
    for dialled in (theirs.number, f"sip:{theirs.number}@{domain}", theirs.handset.account.username):
        assert (await (await a.call(dialled)).final()).status == 404
    assert b.calls == []


async def test_a_blocked_customer_calls_nobody(callers: Callers) -> None:
    customer, domain = callers.customer()
    await asyncio.to_thread(is_served, callers.site, domain)
    anna = callers.extension(customer=customer, domain=domain)
    bert = callers.extension(customer=customer, domain=domain)
    a, b = await callers.phone(anna.handset), await callers.phone(bert.handset)
    outgoing, _ = await talk(a, b, bert.number)
    assert (await outgoing.bye()).status == 200
    reply = callers.site.api("PUT", f"/customer/{customer}", {"state": "BLOCKED"})
    assert reply.status == 200, reply
    await asyncio.sleep(1)
    assert (await (await a.call(bert.number)).final()).status == 403
    assert len(b.calls) == 1


async def test_credentials_are_used_once(callers: Callers) -> None:
    """An INVITE that somebody has recorded rings nobody, from wherever it comes and however it is changed."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    (await b.incoming()).refuse(486)
    assert (await outgoing.final()).status == 486
    recorded = outgoing.invite.request.raw
    old = outgoing.invite.request.branch.encode()
    assert (await a.ask(recorded.replace(old, b"z9hG4bKreplayed")).final(5)).status in (407, 482)
    other = recorded.replace(old, b"z9hG4bKreplayed2").replace(
        outgoing.invite.request.call_id.encode(), b"another-call"
    )
    replayed = await a.ask(other).final(5)
    assert replayed.status == 407
    assert param(f";{replayed.header('proxy-authenticate')}".replace(", ", ";"), "stale") == "true"
    assert len(b.calls) == 1


async def test_a_new_call_with_the_same_nonce(callers: Callers) -> None:
    """Section 22.1: a nonce that was accepted may be used again, with a higher count."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    (await b.incoming()).refuse(486)
    assert (await outgoing.final()).status == 486
    uri = a.uri(bert.number)
    again = a.ask(a.outside("INVITE", bert.number, [a.caller.credentials("INVITE", uri)]))
    (await b.incoming(nth=1)).refuse(603)
    assert (await again.final(5)).status == 603


async def test_a_phone_that_expired_is_not_called(callers: Callers) -> None:
    """D13: what Redis still has of it is read with the clock in hand."""
    a, b, _, bert = await callers.pair()
    rows = callers.site.bindings(bert.handset)
    (row,) = rows
    past = json.dumps([[row[0], int(time.time()) - 1, *row[2:]]], separators=(",", ":"))
    callers.site.redis("hset", f"registrar:loc:{{{bert.handset.id}}}", "b", f"'{past}'")
    assert (await (await a.call(bert.number)).final()).status == 480
    assert b.calls == []


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
async def test_a_flood_for_nothing_leaves_nothing(callers: Callers, method: str) -> None:
    """B14: ACK is never answered, CANCEL by one 481; neither is kept."""
    called = callers.extension()
    b = await callers.phone(called.handset)
    kept = callers.site.metric("registrar_transactions_open")
    with closing(UdpPipe(callers.site.sip)) as pipe:
        phone = await callers.connect(callers.extension().handset)
        here, there = b":%d;" % phone.line.address[1], b":%d;" % pipe.address[1]
        answers = 0
        for _ in range(FEW):
            pipe.send(phone.outside(method, called.number).replace(here, there))
            if method == "CANCEL":
                raw = await asyncio.to_thread(pipe.receive, 5.0)
                assert raw is not None
                assert parse_answer(raw).status == 481
                answers += 1
        assert await asyncio.to_thread(pipe.receive, 1.0) is None
        assert answers == (FEW if method == "CANCEL" else 0)
    assert callers.site.metric("registrar_transactions_open") <= kept
    assert b.calls == []


async def test_who_takes_over_a_port_takes_no_calls(callers: Callers) -> None:
    """D9: the connection is gone, and another client has its address and port within the grace."""
    a, bert = await callers.phone(callers.extension().handset), callers.extension()
    source = ("127.0.0.1", free_port())
    b = await callers.phone(bert.handset, "tcp", source=source)
    b.reset()
    await asyncio.sleep(0.2)
    stranger = await callers.connect(callers.extension().handset, "tcp", source=source)
    assert (await (await a.call(bert.number)).final()).status == 480
    assert stranger.calls == []


async def test_a_call_goes_where_the_phone_is_and_not_where_it_says(callers: Callers) -> None:
    """D2: the flow of the registration decides, never the Contact."""
    a, bert = await callers.phone(callers.extension().handset), callers.extension()
    with closing(UdpPipe(("127.0.0.1", 9))) as trap:
        b = await callers.connect(bert.handset)
        b.caller.contact = f"sip:{bert.number}@127.0.0.1:{trap.address[1]}"
        assert (await b.register()).status == 200
        outgoing, incoming = await talk(a, b, bert.number)
        assert incoming.invite.uri == b.contact
        assert (await outgoing.bye()).status == 200
        assert trap.receive(0.2) is None
