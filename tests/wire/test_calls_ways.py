"""Requests of a call that come in other ways than most phones send them, over UDP, TCP and WebSocket."""

import pytest

from tests.peers.calling_dialog import Dialog, joined
from tests.peers.calling_message import Message
from tests.peers.calling_session import Incoming, Outgoing, Session
from tests.peers.phone import parse_answer
from tests.wire.callers import Callers, talk

pytestmark = pytest.mark.wire

WAYS = [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp"), ("wss", "wss")]


# The ACK of a 2xx with the branch of its INVITE (RFC 6026 section 7.1)


@pytest.mark.parametrize(("first", "second"), WAYS)
async def test_an_ack_with_the_branch_of_its_invite_arrives(
    callers: Callers, first: str, second: str
) -> None:
    a, b, _, called = await callers.pair(first, second)
    outgoing = await a.call(called.number)
    incoming = await b.incoming()
    outgoing.acks = False
    incoming.answer()
    await outgoing.answered()
    acknowledge(outgoing, outgoing.invite.request)
    await incoming.acknowledged()
    again = outgoing.begin("INVITE", body=a.sdp(version=2))
    assert (await again.final(5)).status == 200
    acknowledge(outgoing, again.request)
    server = await incoming.asked("INVITE")
    await b.news.until(lambda: server.acknowledged.is_set(), 5)
    assert (await outgoing.bye()).status == 200


def acknowledge(session: Session, invite: Message) -> None:
    """The ACK of a 2xx, in the words of a phone that takes the Via of its INVITE for it."""
    session.phone.say(joined(session.dialog.head("ACK", invite.cseq[0], invite.header("via"))))


# Another way than the dialog's: a large request goes by TCP (RFC 3261 section 18.1.1), or a NAT is between


async def proven(session: Session, method: str, lines: list[str] | None = None, body: bytes = b"") -> Message:
    """A request that is challenged, and once more with credentials."""
    said = lines or []
    first = await session.begin(method, said, body).final(5)
    assert first.status == 407, first
    phone = session.phone
    assert phone.caller.learn(parse_answer(first.raw))
    proof = phone.caller.credentials(method, session.dialog.target)
    client = session.begin(method, [*said, proof], body)
    if method == "INVITE":
        session.invites.append(client)
    return await client.final(5)


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize(
    ("registered", "later"),
    [("udp", "tcp"), ("tcp", "tcp"), ("udp", "udp"), ("udp", "wss"), ("tls", "tcp")],
)
async def test_a_call_goes_on_another_way_for_who_proves_himself(
    callers: Callers, registered: str, later: str, side: str
) -> None:
    a, b = callers.extension(), callers.extension()
    mine, other = (a, b) if side == "caller" else (b, a)
    own = await callers.phone(mine.handset, registered)
    peer = await callers.phone(other.handset, "udp")
    phones = (own, peer) if side == "caller" else (peer, own)
    outgoing, incoming = await talk(*phones, b.number)
    session: Outgoing | Incoming = outgoing if side == "caller" else incoming
    moved = await callers.connect(mine.handset, later)
    moved.adopt(session, own)
    assert (await proven(session, "INVITE", body=own.sdp(version=2, direction="sendonly"))).status == 200
    assert (await session.request("INFO")).status == 200, "it is the dialog's flow now"
    assert (await session.request("UPDATE", body=own.sdp(version=3))).status == 200
    assert (await session.bye()).status == 200
    methods = [server.request.method for server in peer.requests]
    assert methods == ["INVITE", "INFO", "UPDATE", "BYE"]


async def test_the_digest_of_another_phone_is_refused(callers: Callers) -> None:
    outgoing, incoming, a, b = await callers.talking()
    thief = await callers.phone(callers.extension().handset, "tcp")
    callers.told(a.account.username)  # it stands in what the thief has stolen
    dialog = outgoing.dialog
    first = await thief.ask(joined(dialog.head("BYE", dialog.cseq + 1, thief.via()))).final(5)
    assert first.status == 407 and thief.caller.learn(parse_answer(first.raw))
    head = dialog.head("BYE", dialog.cseq + 2, thief.via())
    proof = thief.caller.credentials("BYE", dialog.target)
    assert (await thief.ask(joined([*head, proof])).final(5)).status == 403
    assert b.requests == []
    assert (await incoming.bye()).status == 200


# Strict routers, and Routes of ours (RFC 3261 section 16.4)


@pytest.mark.parametrize(("first", "second"), WAYS)
@pytest.mark.parametrize("lr", [True, False], ids=["lr", "no lr"])
async def test_what_a_strict_router_made_of_a_request_is_undone(
    callers: Callers, first: str, second: str, lr: bool
) -> None:
    outgoing, incoming, _, _ = await callers.talking(first, second)
    for session in (outgoing, incoming):
        strict(session.dialog, lr=lr)
        assert (await session.request("INFO")).status == 200
    assert (await incoming.bye()).status == 200
    await outgoing.asked("BYE")


def strict(dialog: Dialog, *, lr: bool) -> None:
    """Our URI is the Request-URI, and the other side's the last Route."""
    (route,) = dialog.routes
    ours = route.strip("<>")
    dialog.routes, dialog.target = (f"<{dialog.target}>",), ours if lr else ours.removesuffix(";lr")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_routes_of_ours_before_that_of_the_dialog_are_passed(callers: Callers, transport: str) -> None:
    outgoing, _, a, b = await callers.talking(transport, "udp")
    host, port = callers.site.listeners[transport]
    before = (f"<sip:{host}:{port};lr>, <sip:{a.account.domain};lr>", f"<sip:{host}:{port}>")
    outgoing.dialog.routes = (*before, *outgoing.dialog.routes)
    assert (await outgoing.request("INFO")).status == 200
    assert (await outgoing.bye()).status == 200
    assert [server.request.method for server in b.requests] == ["INFO", "BYE"]
