"""Requests in a call: both sides' find their way, a stranger's do not, a token is good for one call."""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_dialog import Dialog, joined
from tests.peers.calling_message import Message, uri_of, user_of
from tests.peers.calling_session import Incoming, Outgoing, sdp
from tests.wire.callers import Callers, calls_of, eventually, saw, stranger, talk

pytestmark = pytest.mark.wire

KINDS = [("udp", "udp"), ("tcp", "udp"), ("udp", "tls"), ("wss", "wss")]


@pytest.mark.parametrize(("first", "second"), KINDS)
async def test_everything_that_belongs_to_a_call_passes_both_ways(
    callers: Callers, first: str, second: str
) -> None:
    outgoing, incoming, a, b = await callers.talking(first, second)
    for session, other in ((outgoing, b), (incoming, a)):
        for method, lines, body in (
            ("INFO", ["Content-Type: application/dtmf-relay"], b"Signal=5\r\nDuration=160\r\n"),
            ("MESSAGE", ["Content-Type: text/plain"], b"hello"),
            ("UPDATE", [], session.phone.sdp(version=3)),
            ("OPTIONS", [], b""),
            ("NOTIFY", ["Event: talk", "Subscription-State: active"], b""),
        ):
            assert (await session.request(method, lines, body)).status == 200
            (came,) = [one.request for one in other.requests if one.request.method == method]
            assert came.body == body
            assert came.header("max-forwards") == "69"
    assert (await outgoing.bye()).status == 200


@pytest.mark.parametrize(("first", "second"), KINDS)
async def test_hold_and_resume_from_both_sides(callers: Callers, first: str, second: str) -> None:
    outgoing, incoming, a, b = await callers.talking(first, second)
    for session, phone, other in ((outgoing, a, b), (incoming, b, a)):
        for version, direction in ((2, "sendonly"), (3, "sendrecv")):
            offer = phone.sdp(version=version, direction=direction)
            answered = await session.reinvite(offer)
            assert (answered.status, answered.body) == (200, other.sdp(version=2))
            came = [one for one in other.requests if one.request.method == "INVITE"][-1]
            assert came.request.body == offer
            await eventually(lambda one=came: not one.awaits_ack, "it is acknowledged")  # type: ignore[misc]
    assert (await incoming.bye()).status == 200


async def test_a_hold_that_is_refused_leaves_the_call(callers: Callers) -> None:
    outgoing, incoming, _, b = await callers.talking()
    b.automatic["INVITE"] = 491
    assert (await outgoing.reinvite(sdp(direction="sendonly"))).status == 491
    b.automatic["INVITE"] = 488
    assert (await outgoing.reinvite(sdp(direction="sendonly"))).status == 488
    assert calls_of(callers.site, outgoing.dialog.call_id)
    assert (await incoming.bye()).status == 200


async def test_a_bye_that_is_refused_is_told(callers: Callers) -> None:
    outgoing, incoming, _, b = await callers.talking()
    b.automatic["BYE"] = 481
    assert (await outgoing.bye()).status == 481
    await eventually(
        lambda: not calls_of(callers.site, incoming.dialog.call_id), "the call is over all the same"
    )


async def test_a_provisional_answer_is_acknowledged(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number, lines=["Supported: 100rel"])
    incoming = await b.incoming()
    assert "100rel" in incoming.invite.listed("supported")
    incoming.ring(183, body=b.sdp(), sequence=41)
    rung = await outgoing.provisional(183)
    assert (rung.header("rseq"), rung.listed("require")) == ("41", ["100rel"])
    assert (await outgoing.prack(rung)).status == 200
    assert (await incoming.asked("PRACK")).request.header("rack").split()[0] == "41"
    assert (await outgoing.request("UPDATE", body=sdp(version=2))).status == 200
    incoming.answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200


# Who may

Wrong = Callable[[Dialog], Dialog]


def same(dialog: Dialog) -> Dialog:
    return stranger(dialog)


def flipped(text: str, place: int) -> str:
    """One bit of one character is another one."""
    old = text[place]
    new = chr(ord(old) ^ 1) if (chr(ord(old) ^ 1)).isalnum() else ("A" if old != "A" else "B")
    return text[:place] + new + text[place + 1 :]


def token(dialog: Dialog) -> str:
    """That in our Record-Route."""
    return user_of(uri_of(dialog.routes[0]))


def bent(place: float) -> Wrong:
    """A token with one bit changed at that part of its length."""

    def change(dialog: Dialog) -> Dialog:
        old = token(dialog)
        new = flipped(old, int(place * (len(old) - 1)))
        assert new != old
        return stranger(dialog, routes=(dialog.routes[0].replace(old, new),))

    return change


def other_call(dialog: Dialog) -> Dialog:
    """A token that is good, in another Call-ID."""
    return stranger(dialog, call_id="another-call")


def no_route(dialog: Dialog) -> Dialog:
    return stranger(dialog, routes=())


def route_elsewhere(dialog: Dialog) -> Dialog:
    return stranger(dialog, routes=("<sip:127.0.0.1:9;lr>",))


WRONG = [
    pytest.param(bent(0.02), id="a bit of the token, at its begin"),
    pytest.param(bent(0.5), id="a bit of the token"),
    pytest.param(bent(0.9), id="a bit of the token, near its end"),
    pytest.param(other_call, id="another Call-ID"),
    pytest.param(lambda one: stranger(one, routes=("<sip:nonsense@127.0.0.1;lr>",)), id="no token of ours"),
]


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "REFER"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_token_is_no_dialog(callers: Callers, wrong: Wrong, method: str) -> None:
    outgoing, incoming, a, b = await callers.talking()
    kept = callers.site.metric("registrar_transactions_open")
    forged = wrong(outgoing.dialog)
    refer = ["Refer-To: <sip:2999@x>"] if method == "REFER" else []
    head = [*forged.head(method, forged.cseq + 1, a.via()), *a.about(method), *refer]
    answer = await a.ask(joined(head)).final(5)
    assert answer.status == 481
    assert not answer.all("proxy-authenticate")
    assert callers.site.metric("registrar_transactions_open") <= kept
    assert b.requests == []
    assert (await incoming.bye()).status == 200


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "MESSAGE", "SUBSCRIBE"])
async def test_a_forged_to_tag_is_no_dialog(callers: Callers, method: str) -> None:
    """C13: nothing but a To-tag says that it belongs to something."""
    a, b, _, bert = await callers.pair()
    forged = a.outside(method, bert.number, ["Event: presence"] if method == "SUBSCRIBE" else [])
    forged = forged.replace(
        f"To: <{a.uri(bert.number)}>".encode(), f"To: <{a.uri(bert.number)}>;tag=1".encode()
    )
    assert (await a.ask(forged).final(5)).status == 481
    assert b.requests == []
    assert b.calls == []


async def test_a_dialog_without_our_route_is_none(callers: Callers) -> None:
    outgoing, incoming, a, b = await callers.talking()
    for wrong in (no_route, route_elsewhere):
        forged = wrong(outgoing.dialog)
        answer = await a.ask(joined(forged.head("BYE", forged.cseq + 1, a.via()))).final(5)
        assert answer.status in (403, 404, 481)
    assert b.requests == []
    assert (await incoming.bye()).status == 200


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("side", ["caller", "callee"])
async def test_a_token_over_the_line_of_somebody_else_is_challenged(
    callers: Callers, transport: str, side: str
) -> None:
    """Who has seen a message of the call cannot end it: neither another phone, nor one that is nobody."""
    outgoing, incoming, a, b = await callers.talking()
    session: Outgoing | Incoming = outgoing if side == "caller" else incoming
    dialog = session.dialog
    callers.told(session.phone.account.username)  # it stands in what the thieves have stolen
    known = await callers.phone(callers.extension().handset, transport)
    nobody = await callers.connect(callers.extension().handset, transport)
    for thief in (known, nobody):
        for method in ("BYE", "INFO", "INVITE"):
            head = [*dialog.head(method, dialog.cseq + 10, thief.via()), *thief.about(method)]
            assert (await thief.ask(joined(head)).final(5)).status == 407
    assert a.requests == []
    assert b.requests == []
    assert (await session.bye()).status == 200


async def test_the_other_side_cannot_use_ones_own_token(callers: Callers) -> None:
    """Each side's token names that side: the caller's is refused from the callee's line."""
    outgoing, incoming, a, b = await callers.talking()
    callers.told(a.account.username)  # it stands in what B uses here
    forged = outgoing.dialog.head("BYE", outgoing.dialog.cseq + 10, b.via())
    assert (await b.ask(joined(forged)).final(5)).status == 407
    assert a.requests == []
    assert b.requests == []
    assert (await incoming.bye()).status == 200


async def test_a_phone_that_left_has_no_call(callers: Callers) -> None:
    outgoing, _, a, b = await callers.talking()
    assert (await a.register(0)).status == 200
    assert (await outgoing.bye()).status == 407
    assert b.requests == []
    assert (await a.register()).status == 200
    assert (await outgoing.bye()).status == 200


async def test_an_ack_may_carry_the_credentials_of_its_invite(callers: Callers) -> None:
    """Statement 32 (section 22.1): they are taken as they are, and go no further."""
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    outgoing.acks = False
    incoming = await b.incoming()
    incoming.answer()
    await outgoing.answered()
    proof = outgoing.invite.request.header("proxy-authorization")
    number = outgoing.invite.request.cseq[0]
    ack = [*outgoing.dialog.head("ACK", number, a.via()), f"Proxy-Authorization: {proof}"]
    a.say(joined(ack))
    await incoming.acknowledged()
    outgoing.acks = True
    assert (await outgoing.bye()).status == 200


async def test_in_dialog_requests_are_never_challenged(callers: Callers) -> None:
    outgoing, incoming, a, b = await callers.talking()
    for session in (outgoing, incoming):
        assert (await session.request("INFO")).status == 200
    assert (await incoming.bye()).status == 200
    for phone in (a, b):
        challenged = [
            message
            for _, message in phone.received
            if message.status in (401, 407) and message.method in ("INFO", "BYE", "ACK", "CANCEL")
        ]
        assert challenged == []


@pytest.mark.parametrize("transport", ["tcp", "wss"])
async def test_a_phone_that_reconnects_keeps_its_call(callers: Callers, transport: str) -> None:
    """The flow of the token is gone: the binding with the same instance is looked up, and learnt."""
    a, bert = await callers.phone(callers.extension().handset, transport), callers.extension()
    instance = "00000000-0000-4000-8000-0000000000d1"
    b = await callers.phone(bert.handset, transport, instance=instance)
    outgoing, incoming = await talk(a, b, bert.number)
    b.vanish()
    again = await callers.phone(bert.handset, transport, instance=instance)
    again.adopt(incoming, b)
    assert (await outgoing.request("INFO")).status == 200
    assert (await incoming.request("INFO")).status == 200
    assert (await incoming.bye()).status == 200
    assert [one.request.method for one in a.requests] == ["INFO", "BYE"]


# Transfer


async def progress(transferred: Outgoing | Incoming, code: str) -> Message:
    """The NOTIFY that tells how the transfer went (RFC 3515)."""
    lines = ["Event: refer", "Subscription-State: terminated;reason=noresource"]
    typed = [*lines, "Content-Type: message/sipfrag;version=2.0"]
    return await transferred.request("NOTIFY", typed, f"SIP/2.0 {code}\r\n".encode())


@pytest.mark.parametrize("kind", ["udp", "tcp", "wss"])
async def test_blind_transfer(callers: Callers, kind: str) -> None:
    """B sends A on to C: A calls whom the Refer-To names, C sees A, and B hears how it went."""
    outgoing, incoming, a, b = await callers.talking(kind, kind)
    carl = callers.extension()
    c = await callers.phone(carl.handset, kind)
    lines = [f"Refer-To: <{b.uri(carl.number)}>", f"Referred-By: <{b.account.uri}>"]
    assert (await incoming.request("REFER", lines)).status == 202
    refer = (await outgoing.asked("REFER")).request
    new, there = await talk(a, c, uri_of(refer.header("refer-to")))
    assert (await progress(outgoing, "200 OK")).status == 200
    assert (await b.asked("NOTIFY")).request.body == b"SIP/2.0 200 OK\r\n"
    assert (await incoming.bye()).status == 200
    assert (await there.bye()).status == 200
    await new.asked("BYE")
    assert not saw(a, b.account.username)


@pytest.mark.parametrize("kind", ["udp", "tls", "wss"])
async def test_attended_transfer(callers: Callers, kind: str) -> None:
    """A talks to B and to C, and joins them: B calls C's Contact as A knew it, with Replaces (RFC 3891)."""
    a, b, _, bert = await callers.pair(kind, kind)
    carl = callers.extension()
    c = await callers.phone(carl.handset, kind)
    first, _ = await talk(a, b, bert.number)
    second, consulted = await talk(a, c, carl.number)
    with_c = second.dialog
    replaces = f"{with_c.call_id};to-tag={with_c.remote_tag};from-tag={with_c.local_tag}"
    target = f"<{with_c.target}?Replaces={quote(replaces, safe='')}>"
    assert (await first.request("REFER", [f"Refer-To: {target}"])).status == 202
    there = next(one for one in b.requests if one.request.method == "REFER").request
    uri, _, headers = uri_of(there.header("refer-to")).partition("?")
    assert headers.lower().startswith("replaces=")
    joining = await b.call(uri, lines=[f"Replaces: {replaces}"])
    rung = await c.incoming(nth=1)
    assert rung.invite.header("replaces") == replaces
    assert (consulted.dialog.call_id, consulted.dialog.local_tag, consulted.dialog.remote_tag) == (
        with_c.call_id,
        with_c.remote_tag,
        with_c.local_tag,
    ), "what Replaces names is C's own dialog"
    assert rung.number == bert.number
    rung.answer()
    await joining.answered()
    assert (await consulted.bye()).status == 200
    await second.asked("BYE")
    assert (await first.bye()).status == 200
    assert (await joining.bye()).status == 200


async def test_calls_beside_each_other_do_not_mix(callers: Callers) -> None:
    """Ten calls between two phones, each ended by the other side in another order."""
    a, b, _, bert = await callers.pair("tcp", "udp")
    calls = [await talk(a, b, bert.number) for _ in range(10)]
    for number, (outgoing, incoming) in enumerate(reversed(calls)):
        session: Outgoing | Incoming = outgoing if number % 2 else incoming
        assert (await session.bye()).status == 200
    ended = {one.request.call_id for phone in (a, b) for one in phone.requests}
    assert len(ended) == 10
    await eventually(
        lambda: not any(calls_of(callers.site, call_id) for call_id in ended), "none of them is left"
    )


async def test_what_is_said_twice_is_passed_twice_and_numbered_by_the_phones(callers: Callers) -> None:
    """A proxy keeps no CSeq: an old one is the business of who receives it."""
    outgoing, incoming, a, b = await callers.talking()
    assert (await outgoing.request("INFO")).status == 200
    old = outgoing.dialog.head("INFO", outgoing.dialog.cseq, a.via())
    b.automatic["INFO"] = 500
    assert (await a.ask(joined(old)).final(5)).status == 500
    b.forget("CSeq ")
    assert isinstance(b, CallingPhone)
    await asyncio.sleep(0)
    assert (await incoming.bye()).status == 200
