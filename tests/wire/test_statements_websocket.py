"""Statements 63, 64, 65 and 68 of docs/rfc.md: SIP over WebSocket (RFC 7118, RFC 6455)."""

import re
from collections.abc import Callable
from contextlib import closing
from typing import Final

import pytest

from tests.peers.phone import Account, Answer, BlockingPhone, Caller, branch_of, parse_answer
from tests.peers.pipe import HungUp
from tests.peers.websocket_phone import WsPipe, invalid_host
from tests.wire.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, frame, upgrade
from tests.wire.registering import on_websockets, phone_on, send, uris
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

ANYBODY: Final = Account("anybody", "", "registrar.localhost")
CALLER: Final = Caller(ANYBODY, ("phone.invalid", 0), transport="WSS")
MAX_MESSAGE: Final = 16_384


def opened(site: Site, transport: str) -> RawWebSocket:
    """A WebSocket whose frames are made by hand."""
    return RawWebSocket.opened(site.listeners[transport], secure=transport == "wss")


def answer(socket: RawWebSocket) -> Answer:
    """The next message, which must be one whole SIP message in one text frame."""
    found = socket.receive()
    assert (found.opcode, found.first & 0x80) == (TEXT, 0x80)
    return parse_answer(found.payload)


# Statement 63


@pytest.mark.parametrize(
    ("protocols", "status"),
    [("sip", 101), ("xmpp, sip", 101), ("sip, xmpp", 101), ("xmpp", 400), (None, 400), ("sipx", 400)],
    ids=["sip", "the second", "the first", "another", "none", "a longer word"],
)
@on_websockets
def test_63_the_subprotocol_is_sip_and_nothing_else(
    transport: str, protocols: str | None, status: int, streams: Site
) -> None:
    """RFC 7118 section 4.1: the client must offer `sip`, and the server must choose it."""
    opening = upgrade(Sec_WebSocket_Protocol=protocols)
    server = streams.listeners[transport]
    with RawWebSocket(server, opening, secure=transport == "wss") as socket:
        told = socket.http()
    assert told.status == status
    assert told.headers.get("sec-websocket-protocol") == ("sip" if status == 101 else None)


@on_websockets
def test_63_a_message_is_one_sip_message_as_text_or_binary(transport: str, streams: Site) -> None:
    """RFC 7118 sections 4.2 and 5: both opcodes, in one frame or in several."""
    with opened(streams, transport) as socket:
        for opcode in (TEXT, BINARY):
            socket.send(frame(opcode, CALLER.options()))
            assert answer(socket).status == 200
        request = CALLER.options()
        middle = len(request) // 2
        socket.send(frame(TEXT, request[:middle], final=False))
        socket.send(frame(CONTINUATION, request[middle:]))
        assert answer(socket).status == 200


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@on_websockets
def test_63_two_messages_in_one_and_one_in_two_are_faults(transport: str, opcode: int, streams: Site) -> None:
    """RFC 7118 section 5: each WebSocket message carries exactly one SIP message."""
    with opened(streams, transport) as socket:
        first, second = CALLER.options(), CALLER.options()
        socket.send(frame(opcode, first + second))
        refused = answer(socket)
        assert (refused.status, branch_of(refused.raw)) == (400, branch_of(first))
        middle = second.index(b"User-Agent")
        socket.send(frame(opcode, second[:middle]))
        socket.send(frame(opcode, second[middle:]))
        refused = answer(socket)
        assert (refused.status, branch_of(refused.raw)) == (400, branch_of(second))
        last = CALLER.options()
        socket.text(last)
        assert branch_of(answer(socket).raw) == branch_of(last), "nobody answered the second half"


@pytest.mark.parametrize(
    ("length", "body", "status"),
    [
        (b"", b"", 200),
        (b"", b"a body", 200),
        (b"Content-Length: 6\r\n", b"a body", 200),
        (b"Content-Length: 7\r\n", b"a body", 400),
        (b"Content-Length: 5\r\n", b"a body", 400),
        (b"Content-Length: 0\r\n", b"a body", 400),
    ],
    ids=["none", "none, a body", "right", "too many", "too few", "zero"],
)
@on_websockets
def test_63_content_length_may_be_absent_and_must_be_right(
    transport: str, length: bytes, body: bytes, status: int, streams: Site
) -> None:
    """RFC 7118 section 5: the frame says how long a message is; the header must not contradict it."""
    with opened(streams, transport) as socket:
        socket.text(CALLER.options().replace(b"Content-Length: 0\r\n", length) + body)
        assert answer(socket).status == status


# Statements 64 and 65


@pytest.mark.parametrize("via", ["WS", "WSS"])
@on_websockets
def test_64_a_phone_without_an_address_is_known_by_its_connection(
    transport: str, via: str, streams: Site, device: Handset
) -> None:
    """RFC 7118 section 5: Via and Contact name a host that does not exist; the connection is the way."""
    with phone_on(streams, transport, device.account) as other:
        pipe = other.pipe
        host = invalid_host()
        phone = BlockingPhone(Caller(device.account, host, transport=via), pipe)
        told = phone.register()
        assert told.status == 200
        port = pipe.address[1]
        assert re.match(rf"SIP/2.0/{via} {re.escape(host[0])};", told.header("via"))
        assert f";received=127.0.0.1;rport={port}" in told.header("via")
        assert host[0] in told.header("contact")
        status = streams.status_hash(device)
        assert (status["transport"], status["publicIpAddress"], status["publicPort"]) == (
            transport,
            "127.0.0.1",
            str(port),
        )
        assert status.get("localIpAddress", "") == ""
        assert streams.status(device)["localIpAddress"] is None


@pytest.mark.parametrize(
    "uri",
    [
        "sip:a@abc.invalid;transport=ws",
        "sips:a@abc.invalid;transport=ws",
        "sip:a@abc.invalid;transport=wss",
        "sip:a@abc.invalid",
    ],
)
@on_websockets
def test_65_the_scheme_and_transport_of_a_contact_are_its_own(
    transport: str, uri: str, streams: Site, device: Handset
) -> None:
    """RFC 7118 section 5.2: `transport=ws` also over TLS; nothing is made of it, and sips is not assumed."""
    with phone_on(streams, transport, device.account) as phone:
        assert uris(send(phone, f"Contact: <{uri}>")).keys() == {uri}
        assert streams.status_hash(device)["transport"] == transport
        assert streams.contacts(device) == {uri}


# Statement 68


def _says_goodbye(socket: RawWebSocket) -> None:
    socket.send(frame(CLOSE, (1000).to_bytes(2)))


def _goes_away(socket: RawWebSocket) -> None:
    socket.send(frame(CLOSE, (1001).to_bytes(2) + b"the page was left"))


def _sends_no_mask(socket: RawWebSocket) -> None:
    socket.send(frame(TEXT, CALLER.options(), mask=None))


def _sends_an_unknown_opcode(socket: RawWebSocket) -> None:
    socket.send(frame(0x3, b"x"))


def _sends_reserved_bits(socket: RawWebSocket) -> None:
    socket.send(frame(TEXT, CALLER.options(), reserved=0x40))


def _sends_no_utf8(socket: RawWebSocket) -> None:
    socket.text(CALLER.options().replace(b"tests.peers", b"\xff\xfe"))


def _sends_too_much(socket: RawWebSocket) -> None:
    socket.text(CALLER.options() + b"x" * MAX_MESSAGE)


def _pings_too_often(socket: RawWebSocket) -> None:
    socket.send(frame(PING, b"x") * 40)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        pytest.param(_says_goodbye, 1000, id="goodbye"),
        pytest.param(_goes_away, 1001, id="going away"),
        pytest.param(_sends_no_mask, 1002, id="no mask"),
        pytest.param(_sends_an_unknown_opcode, 1002, id="an unknown opcode"),
        pytest.param(_sends_reserved_bits, 1002, id="reserved bits"),
        pytest.param(_sends_no_utf8, 1007, id="text that is not UTF-8"),
        pytest.param(_pings_too_often, 1008, id="too many pings"),
        pytest.param(_sends_too_much, 1009, id="too long a message"),
    ],
)
@on_websockets
def test_68_the_close_code_says_why(
    transport: str, act: Callable[[RawWebSocket], None], code: int, streams: Site
) -> None:
    """RFC 6455 section 7.4.1; nothing of what was wrong is answered as SIP."""
    with opened(streams, transport) as socket:
        act(socket)
        frames, said = socket.until_closed()
        assert said == code
        assert all(seen.opcode == PONG for seen in frames)
        assert socket.ended()


def test_68_a_server_that_stops_goes_away(spare: Site) -> None:
    """RFC 6455 section 7.4.1: 1001."""
    try:
        with closing(WsPipe(spare.ws)) as pipe:
            pipe.send(CALLER.options())
            assert pipe.receive(5) is not None
            assert spare.stop() == 0
            with pytest.raises(HungUp) as end:
                pipe.receive(5)
            assert end.value.code == 1001
    finally:
        spare.restart()
