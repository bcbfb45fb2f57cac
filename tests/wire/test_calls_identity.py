"""Who is seen in a call: number and name of the extension, no username, and nothing that a phone claims."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_message import Message, display_of, host_of, uri_of, uri_param, user_of
from tests.wire.callers import Callers, Extension, calls_of, saw, talk

pytestmark = pytest.mark.wire


class Trap(asyncio.DatagramProtocol):
    """A socket to which nobody may send anything."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self.heard.append(data)


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    """Where spoofed headers point to."""
    loop = asyncio.get_running_loop()
    transport, trap = await loop.create_datagram_endpoint(Trap, local_addr=("127.0.0.1", 0))
    yield trap
    transport.close()
    await asyncio.sleep(0)
    assert trap.heard == []


def shows(value: str, whom: Extension, domain: str) -> None:
    """A From or P-Asserted-Identity: the number in the domain, and the name."""
    assert user_of(uri_of(value)) == whom.number
    assert host_of(uri_of(value)) == domain
    assert display_of(value) == whom.name


def is_ours(contact: str, whom: Extension, address: tuple[str, int]) -> None:
    """A Contact as others see it: `<sip:<number>@host:port;gr=token>`, and the host is the server's."""
    uri = uri_of(contact)
    assert user_of(uri) == whom.number
    assert re.match("sip:[^@]+@{}:{}[;]".format(*address), uri), uri
    assert uri_param(uri, "gr")


@pytest.mark.parametrize(("first", "second"), [("udp", "udp"), ("tcp", "tls"), ("wss", "wss")])
async def test_both_see_number_and_name(callers: Callers, first: str, second: str) -> None:
    a, b, anna, bert = await callers.pair(first, second)
    outgoing, incoming = await talk(a, b, bert.number)
    domain = a.account.domain
    shows(incoming.invite.header("from"), anna, domain)
    shows(incoming.invite.header("p-asserted-identity"), anna, domain)
    is_ours(incoming.invite.header("contact"), anna, callers.site.listeners[second])
    for response in outgoing.invite.responses[1:]:
        is_ours(response.header("contact"), bert, callers.site.listeners[first])
    assert (await incoming.request("INFO")).status == 200
    assert (await outgoing.bye()).status == 200
    assert not saw(a, b.account.username)
    assert not saw(b, a.account.username)


CLAIMS = [
    "P-Asserted-Identity: <sip:9999999999@malicious.example>",
    "P-Preferred-Identity: <sip:9999999999@malicious.example>",
    'Remote-Party-ID: "The Bigwig" <sip:9999999999@malicious.example>;party=calling;id-type=subscriber',
    "Diversion: <sip:9999999999@malicious.example>;reason=unconditional",
    "History-Info: <sip:9999999999@malicious.example>;index=1",
    "Reply-To: <sip:9999999999@malicious.example>",
    "Identity: malicious.example",
    "P-Charging-Vector: icid-value=9999999999;orig-ioi=malicious.example",
]


async def test_what_a_caller_claims_to_be_is_dropped(callers: Callers) -> None:
    a, b, anna, bert = await callers.pair()
    outgoing = await a.call(
        bert.number, lines=CLAIMS, sender='"The Bigwig" <sip:9999999999@malicious.example>'
    )
    incoming = await b.incoming()
    shows(incoming.invite.header("from"), anna, a.account.domain)
    shows(incoming.invite.header("p-asserted-identity"), anna, a.account.domain)
    assert not saw(b, "9999999999")
    assert not saw(b, "malicious")
    assert not saw(b, "bigwig")
    incoming.refuse(486)
    assert (await outgoing.final()).status == 486


async def test_what_a_callee_claims_to_be_is_dropped(callers: Callers, trap: Trap) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring(lines=CLAIMS)
    incoming.server.respond(
        200,
        [
            f"Contact: <sip:victim@127.0.0.1:{trap.port}>",
            f"Record-Route: <sip:127.0.0.1:{trap.port};lr>",
            *CLAIMS,
            "Content-Type: application/sdp",
        ],
        b.sdp(),
    )
    answered = await outgoing.answered()
    is_ours(answered.header("contact"), bert, callers.site.sip)
    assert len(answered.listed("record-route")) == 1
    assert (await outgoing.bye()).status == 200
    b.forget("the Request-URI is")  # its Contact was a lie: it is found all the same
    for word in ("9999999999", "malicious", "victim", f":{trap.port}"):
        assert not saw(a, word), word


async def test_where_a_caller_says_that_it_is_has_no_effect(callers: Callers, trap: Trap) -> None:
    """Contact, Route and Record-Route lead nowhere: not the call, and not what belongs to it."""
    a, b, _, bert = await callers.pair()
    lines = [
        f"Contact: <sip:victim@127.0.0.1:{trap.port}>",
        f"Route: <sip:127.0.0.1:{trap.port};lr>",
        f"Record-Route: <sip:127.0.0.1:{trap.port};lr>",
        f"Path: <sip:127.0.0.1:{trap.port};lr>",
    ]
    outgoing = await a.call(bert.number, lines=lines)
    incoming = await b.incoming()
    incoming.answer()
    await outgoing.answered()
    assert not saw(b, "victim")
    assert not saw(b, f":{trap.port}")
    said = incoming.begin("INFO")
    assert (await said.final(5)).status == 200
    a.forget("the Request-URI is")  # its Contact was a lie: it is found all the same
    assert (await incoming.bye()).status == 200
    a.forget("the Request-URI is")
    assert len(methods(a)) == 2


def methods(phone: CallingPhone) -> list[str]:
    """The requests that came in its calls."""
    return [one.request.method for one in phone.requests]


async def test_a_target_with_headers_in_it_gets_none_of_them(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    target = f"sip:{bert.number}@{a.account.domain}?Route=%3Csip:malicious.example%3E&Subject=very-evil"
    outgoing = await a.call(target)
    status = (await outgoing.invite.find(lambda one: one.status >= 100, 5, "answer")).status
    if status >= 400:
        return  # a Request-URI may not hold headers (RFC 3261 section 19.1.1)
    (await b.incoming()).refuse(486)
    assert (await outgoing.final()).status == 486
    assert not saw(b, "malicious")
    assert not saw(b, "very-evil")


async def test_names_in_other_headers_and_in_the_sdp_are_hidden(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    name, other = a.account.username, b.account.username
    lines = [f"Subject: {name}", f"Organization: x-{name}", f"User-Agent: phone/{name}", f"X-Me: {name}"]
    outgoing = await a.call(bert.number, a.sdp(user=name), lines)
    incoming = await b.incoming()
    assert incoming.invite.body.startswith(b"v=0\r\no=")
    assert incoming.invite.body.partition(b"s=")[2] == a.sdp().partition(b"s=")[2]
    incoming.ring(lines=[f"Server: phone/{other}", f"X-Me: {other}"])
    incoming.answer(b.sdp(user=other), [f"Server: phone/{other}", f"X-Me: <sip:{other}@x>"])
    await outgoing.answered()
    info = [f"X-Me: {name}", "Content-Type: application/x"]
    assert (await outgoing.request("INFO", info, f"I am {name}".encode())).status in (200, 415)
    assert (await outgoing.bye()).status == 200
    assert not saw(b, name)
    assert not saw(a, other)


async def test_a_refusal_hides_the_name_too(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    name = b.account.username
    incoming.refuse(486, [f'Warning: 399 {name} "{name}"', f"Contact: <{b.contact}>"], reason=f"Busy {name}")
    assert (await outgoing.final()).status == 486
    assert not saw(a, name)


async def test_a_redirection_hides_the_name_too(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    (await b.incoming()).refuse(302, [f"Contact: <{b.contact}>"])
    assert (await outgoing.final()).status >= 300
    assert not saw(a, b.account.username)


async def test_a_challenge_of_a_callee_never_reaches_the_caller(callers: Callers) -> None:
    """C11: the caller would answer it with a digest of its own password."""
    a, b, _, bert = await callers.pair()
    realm = a.account.domain
    for status, name in ((407, "Proxy-Authenticate"), (401, "WWW-Authenticate")):
        before = len(b.calls)
        outgoing = await a.call(bert.number)
        challenge = f'{name}: Digest realm="{realm}", nonce="chosen", algorithm=MD5, qop="auth"'
        (await b.incoming(nth=before)).refuse(status, [challenge])
        final = await outgoing.final()
        assert final.status >= 400
        assert final.status not in (401, 407)
        assert not saw(a, "chosen")
    assert all(not has_credentials(message) for _, message in b.received)


def has_credentials(message: Message) -> bool:
    """Whether somebody answered a challenge in it."""
    return message.method != "REGISTER" and bool(
        message.all("authorization") + message.all("proxy-authorization")
    )


@pytest.mark.parametrize("refers", ["caller", "callee"])
async def test_who_refers_is_not_believed_either(callers: Callers, refers: str) -> None:
    a, b, anna, bert = await callers.pair()
    outgoing, incoming = await talk(a, b, bert.number)
    session, referred, who = (outgoing, b, anna) if refers == "caller" else (incoming, a, bert)
    target = f"sip:2999@{a.account.domain}"
    lines = [f"Refer-To: <{target}>", 'Referred-By: "The Bigwig" <sip:9999999999@malicious.example>']
    assert (await session.request("REFER", lines)).status == 202
    refer = (await referred.asked("REFER")).request
    assert user_of(uri_of(refer.header("refer-to"))) == "2999"
    if refer.header("referred-by"):
        assert user_of(uri_of(refer.header("referred-by"))) == who.number
    assert not saw(referred, "malicious")
    assert not saw(referred, "9999999999")
    assert (await (await referred.call(uri_of(refer.header("refer-to")))).final()).status == 404
    assert (await session.bye()).status == 200


async def test_a_name_dialled_is_not_told_to_others(callers: Callers) -> None:
    """A caller may know the username of a phone it calls; what it hears back is what it said itself."""
    a, b, anna, bert = await callers.pair()
    outgoing = await a.call(bert.handset.account.username)
    incoming = await b.incoming()
    shows(incoming.invite.header("from"), anna, a.account.domain)
    incoming.answer()
    answered = await outgoing.answered()
    is_ours(answered.header("contact"), bert, callers.site.sip)
    assert b.account.username.encode() not in answered.raw.partition(b"To:")[0]
    assert (await outgoing.bye()).status == 200
    callers.told(b.account.username)


COMMANDS = [
    "Alert-Info: <http://malicious.example/9999999999>",
    "Call-Info: <http://malicious.example/9999999999>;answer-after=0",
    "Answer-Mode: Auto;require",
    "Priv-Answer-Mode: Auto",
    "P-Auto-Answer: normal",
    "P-Charging-Of-Tomorrow: 9999999999",
    "Geolocation: <cid:9999999999@malicious.example>",
]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_what_commands_a_phone_passes_in_no_direction(callers: Callers, transport: str) -> None:
    """docs/headers.md; what nobody has said anything about passes."""
    a, b, _, bert = await callers.pair(transport)
    outgoing = await a.call(bert.number, lines=[*COMMANDS, "X-Their-Own: this"])
    incoming = await b.incoming()
    incoming.ring(lines=[*COMMANDS, "X-Their-Own: that"])
    ringing = await outgoing.provisional(180)
    for message, value in ((incoming.invite, "this"), (ringing, "that")):
        assert message.header("x-their-own") == value
        names = [line.partition(":")[0].lower() for line in COMMANDS]
        assert [name for name in names if message.header(name)] == []
    assert not saw(a, "malicious") and not saw(b, "malicious")
    incoming.refuse(486, COMMANDS)
    assert (await outgoing.final()).status == 486
    assert not saw(a, "answer-mode")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_caller_may_withhold_its_identity(callers: Callers, transport: str) -> None:
    """RFC 3323, RFC 3325: nothing of it in the whole call; the record of the call names it."""
    a, b, anna, bert = await callers.pair(transport)
    outgoing = await a.call(bert.number, lines=["Privacy: id", "User-Agent: Hers"])
    incoming = await b.incoming()
    shown = incoming.invite.header("from")
    assert (uri_of(shown), display_of(shown)) == ("sip:anonymous@anonymous.invalid", "Anonymous")
    assert not incoming.invite.header("p-asserted-identity")
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    (call,) = calls_of(callers.site, outgoing.invite.request.call_id)
    assert (call["callerNumber"], call["callerName"]) == (anna.number, anna.name)
    assert (await incoming.request("INFO")).status == 200
    assert (await outgoing.bye()).status == 200
    assert not saw(b, anna.name) and not saw(b, "Hers")
    assert not saw(b, f"sip:{anna.number}@")


async def test_a_redirection_is_followed_to_numbers_of_the_customer_alone(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    other = callers.extension()
    c = await callers.phone(other.handset)
    domain = a.account.domain
    for contacts in (
        [f"<sip:{other.number}@{domain}>", "<sip:1@malicious.example>"],
        ["<sip:1@malicious.example>"],
        [],
    ):
        before = len(b.calls)
        outgoing = await a.call(bert.number)
        (await b.incoming(nth=before)).refuse(302, [f"Contact: {contact}" for contact in contacts])
        final = await outgoing.final()
        assert final.status == 480, final
        assert final.header("contact") == ""
        assert "redirects" in final.header("warning")
    outgoing = await a.call(bert.number)
    (await b.incoming(nth=3)).refuse(302, [f"Contact: <sip:{other.number}@{domain}>"])
    incoming = await c.incoming()
    assert f"<sip:{bert.number}@{domain}>;reason=deflection;counter=1" in incoming.invite.header("diversion")
    incoming.answer()
    assert f"<sip:{other.number}@" in (await outgoing.answered()).header("p-asserted-identity")
    await incoming.acknowledged()
    assert (await outgoing.bye()).status == 200
    assert c.calls[1:] == []
    assert not saw(a, "malicious")
