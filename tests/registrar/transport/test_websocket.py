"""registrar/transport/websocket.py: the upgrade, messages, signs of life and ends, before a real client."""

from collections.abc import Sequence
from typing import Final

import pytest
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from registrar.errors import SipError
from registrar.model import Flow
from registrar.sip import MAX_MESSAGE
from registrar.transport.connection import End, Limits
from registrar.transport.connections import FAREWELL_SECONDS, Connections
from registrar.transport.websocket import MAX_FRAGMENTS, MAX_UPGRADE, PINGS_A_SECOND, WebSocketConnection
from tests.every import every

from .pretend import PROXIES, PROXY, THERE, Room, settled

DEFAULTS = Limits()
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""RFC 6455 section 1.3."""
SOUND: Final[dict[str, str]] = {
    "Host": "sip.test",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "sip",
}
MESSAGE: Final = b"OPTIONS sip:acme.test SIP/2.0\r\nContent-Length: 0\r\n\r\n"


class Softphone:
    """A WebSocket client, with nothing between it and the connection of the server."""

    def __init__(
        self,
        *,
        transport: str = "ws",
        ip: str = THERE,
        origins: Sequence[str] = (),
        offers: Sequence[ClientPerMessageDeflateFactory] | None = None,
    ) -> None:
        def make(table: Connections, flow: Flow) -> WebSocketConnection:
            return WebSocketConnection(table, flow, self._receive, origins=origins, proxies=PROXIES)

        self.room = Room()
        self.connection, self.pipe = self.room.open(make, ip, transport)
        self.client = ClientProtocol(
            parse_uri("ws://sip.test/"), subprotocols=[Subprotocol("sip")], extensions=offers, max_size=None
        )
        self.heard: list[bytes] = []
        """The messages that the server took."""
        self.flows: list[Flow] = []

    def _receive(self, data: bytes, flow: Flow, fault: SipError | None) -> None:
        assert fault is None
        self.heard.append(data)
        self.flows.append(flow)

    @classmethod
    async def upgraded(
        cls, transport: str = "ws", offers: Sequence[ClientPerMessageDeflateFactory] | None = None
    ) -> "Softphone":
        """A phone that the server has let in."""
        self = cls(transport=transport, offers=offers)
        self.client.send_request(self.client.connect())
        (response,) = await self.talk()
        assert isinstance(response, Response)
        assert (response.status_code, self.client.state) == (101, State.OPEN), self.client.handshake_exc
        return self

    async def say(self, data: bytes) -> None:
        """Octets in one segment, and all that the server makes of them."""
        self.connection.data_received(data)
        await settled(self.connection)

    async def send(self, *frames: Frame) -> None:
        """Frames in one segment; whatever is wrong with them, they leave so."""
        await self.say(b"".join(frame.serialize(mask=True) for frame in frames))

    async def talk(self) -> list[object]:
        """Exchange all that both have to say; what the client got of it."""
        events: list[object] = []
        while True:
            for data in self.client.data_to_send():
                if data:
                    await self.say(data)
            said = self.pipe.said()
            if not said:
                return events
            self.client.receive_data(said)
            events += self.client.events_received()

    async def texts(self) -> list[bytes]:
        """The messages that the server has sent."""
        return [
            bytes(frame.data)
            for frame in await self.talk()
            if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT
        ]

    async def pongs(self) -> list[bytes]:
        return [
            bytes(frame.data)
            for frame in await self.talk()
            if isinstance(frame, Frame) and frame.opcode is Opcode.PONG
        ]

    async def closed_with(self) -> int | None:
        """The code of the close frame that the server has sent, if it has."""
        await self.talk()
        return self.client.close_rcvd.code if self.client.close_rcvd else None

    def ended(self) -> dict[str, float]:
        """Why the connection ended, now that it is gone."""
        self.pipe.lose()
        assert self.room.left() == {}
        return self.room.ends()


def head(start: str = "GET / HTTP/1.1", **changes: str | None) -> bytes:
    """An upgrade that would be accepted, but for the changes; None leaves a header out."""
    rows = {name: value for name, value in (SOUND | named(changes)).items() if value is not None}
    lines = "".join(f"{name}: {value}\r\n" for name, value in rows.items())
    return f"{start}\r\n{lines}\r\n".encode("iso-8859-1")


def named(changes: dict[str, str | None]) -> dict[str, str | None]:
    """`Sec_WebSocket_Key` as a header's name."""
    return {name.replace("_", "-"): value for name, value in changes.items()}


class Answer:
    """What the server has answered to octets that need not be HTTP."""

    def __init__(self, said: bytes) -> None:
        head, _, body = said.partition(b"\r\n\r\n")
        start, *rows = head.decode().split("\r\n")
        self.status = int(start.split(" ")[1]) if start else 0
        self.headers = Headers([(name, value) for name, _, value in (row.partition(": ") for row in rows)])
        self.rest = body
        self.body = body.decode("utf-8", "replace")


async def answered(phone: Softphone, *pieces: bytes) -> Answer:
    for piece in pieces:
        await phone.say(piece)
    return Answer(phone.pipe.said())


def octets(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


# The upgrade


@every(
    "request_",
    [
        pytest.param(head(), id="as in the RFC"),
        pytest.param(head(Sec_WebSocket_Protocol="chat, sip"), id="sip among others"),
        pytest.param(head(Sec_WebSocket_Protocol="chat\r\nSec-WebSocket-Protocol: sip"), id="in two rows"),
        pytest.param(head("GET /ws/sip?x=1 HTTP/1.1"), id="any path"),
        pytest.param(head(Host="192.0.2.1:8080"), id="any host"),
        pytest.param(head(Host=None), id="no host"),
        pytest.param(head(Connection="keep-alive, Upgrade"), id="keep-alive, as Firefox says"),
        pytest.param(head(Upgrade="WebSocket"), id="another case"),
        pytest.param(head(Origin="https://anywhere.test"), id="any origin"),
        pytest.param(head(Cookie="a=" + "x" * 4_000), id="a large cookie"),
        pytest.param(head(Sec_WebSocket_Extensions="permessage-deflate"), id="an extension is offered"),
    ],
)
@every("split", [False, True], ids=["whole", "octet by octet"])
async def test_it_is_accepted(request_: bytes, split: bool) -> None:
    phone = Softphone()
    answer = await answered(phone, *(octets(request_) if split else [request_]))
    assert (answer.status, answer.body) == (101, "")
    assert answer.headers["Sec-WebSocket-Accept"] == ACCEPT
    assert answer.headers["Sec-WebSocket-Protocol"] == "sip"
    assert "Sec-WebSocket-Extensions" not in answer.headers
    assert not phone.pipe.is_closing() and not phone.pipe.eof
    phone.room.look_after(DEFAULTS.first_seconds)
    assert phone.connection.ended is None


@every(
    ("request_", "status", "headers"),
    [
        pytest.param(head(Sec_WebSocket_Protocol=None), 400, {}, id="no subprotocol"),
        pytest.param(head(Sec_WebSocket_Protocol="chat"), 400, {}, id="another subprotocol"),
        pytest.param(head(Sec_WebSocket_Protocol="SIP"), 400, {}, id="a subprotocol in another case"),
        pytest.param(head(Sec_WebSocket_Protocol="s ip"), 400, {}, id="a subprotocol that is none"),
        pytest.param(head(Sec_WebSocket_Key=None), 400, {}, id="no key"),
        pytest.param(head(Sec_WebSocket_Key="short"), 400, {}, id="a bad key"),
        pytest.param(head(Sec_WebSocket_Key=f"{KEY}\r\nSec-WebSocket-Key: {KEY}"), 400, {}, id="two keys"),
        pytest.param(head(Sec_WebSocket_Version=None), 400, {}, id="no version"),
        *[
            pytest.param(
                head(Sec_WebSocket_Version=version),
                426,
                {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
                id=f"version {version!r}",
            )
            for version in ("8", "0", "14", "", "13, 8", "8\r\nSec-WebSocket-Version: 13")
        ],
        pytest.param(head(Upgrade=None), 426, {"Upgrade": "websocket"}, id="a browser's window"),
        pytest.param(head("HEAD / HTTP/1.1", Upgrade=None), 426, {"Upgrade": "websocket"}, id="HEAD"),
        pytest.param(head(Upgrade="h2c"), 426, {"Upgrade": "websocket"}, id="another upgrade"),
        pytest.param(head(Connection="close"), 426, {"Upgrade": "websocket"}, id="no upgrade of this"),
        pytest.param(head("POST / HTTP/1.1"), 405, {"Allow": "GET"}, id="another method"),
        pytest.param(head("GET / HTTP/1.0"), 505, {}, id="an old HTTP"),
        pytest.param(head(X="x" * 9_000), 431, {}, id="a header too long"),
        pytest.param(head("GET /" + "x" * 9_000 + " HTTP/1.1"), 414, {}, id="a path too long"),
        pytest.param(head(X="y" + "\r\nX: y" * 130), 431, {}, id="too many headers"),
        pytest.param(head(X="y" * 8_000 + ("\r\nX: " + "y" * 8_000) * 4), 431, {}, id="too much of all"),
        pytest.param(head(Origin="https://a.test\r\nOrigin: https://b.test"), 400, {}, id="two origins"),
    ],
)
@every("transport", ["ws", "wss"])
@every("split", [False, True], ids=["whole", "octet by octet"])
async def test_it_is_refused(
    request_: bytes, status: int, headers: dict[str, str], transport: str, split: bool
) -> None:
    phone = Softphone(transport=transport)
    answer = await answered(phone, *(octets(request_) if split else [request_]))
    assert answer.status == status
    assert {name: answer.headers[name] for name in headers} == headers
    assert answer.headers["Connection"] == "close"
    assert answer.body.endswith("\n") and len(answer.body) == int(answer.headers["Content-Length"])
    assert (phone.pipe.eof, phone.pipe.closed) == (transport == "ws", transport == "wss")
    await phone.say(b"whatever comes then")
    phone.room.look_after(FAREWELL_SECONDS)
    assert (phone.pipe.said(), phone.pipe.aborted) == (b"", True)
    assert phone.heard == []
    assert phone.ended() == {"handshake": 1}


async def test_a_window_of_a_browser_is_told_what_this_is() -> None:
    """Who looks because of the certificate shall know that it was accepted."""
    answer = await answered(Softphone(), head(Upgrade=None, Connection=None, Sec_WebSocket_Key=None))
    assert "SIP over WebSocket" in answer.body and "certificate" in answer.body


@every(
    "data",
    [
        pytest.param(b"REGISTER sip:acme.test SIP/2.0\r\n\r\n", id="SIP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
        pytest.param(b"\r\n\r\n", id="empty lines"),
        pytest.param(b"\n" * 70_000, id="very many empty lines"),
        pytest.param(b"GET / HTTP/1.1\nHost: x\n\n", id="bare LF"),
        pytest.param(b"GET /\xff HTTP/1.1\r\n\r\n", id="a path outside ASCII"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", id="a header that is none"),
        pytest.param(head("POST / HTTP/1.1", Content_Length="5") + b"hello", id="a body"),
        pytest.param(head(Transfer_Encoding="chunked"), id="a body in pieces"),
    ],
)
@every("split", [False, True], ids=["whole", "in pieces"])
async def test_what_is_no_http_gets_no_answer_and_its_end(data: bytes, split: bool) -> None:
    phone = Softphone()
    for piece in [data[n : n + 7] for n in range(0, min(len(data), 999), 7)] if split else [data]:
        await phone.say(piece)
    assert (phone.pipe.said(), phone.pipe.eof) == (b"", True)
    phone.room.look_after(FAREWELL_SECONDS)
    assert phone.pipe.aborted
    assert phone.ended() == {"handshake": 1}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"x", id="an octet"),
        pytest.param(b"\r\n", id="an empty line"),
        pytest.param(head(Upgrade=None), id="a second request"),
        pytest.param(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True), id="a close frame"),
        pytest.param(Frame(Opcode.PING, b"x").serialize(mask=True), id="a ping"),
        pytest.param(b"\xff" * 300, id="junk"),
    ],
)
async def test_what_comes_with_a_request_that_is_refused_is_not_read(more: bytes) -> None:
    phone = Softphone()
    answer = await answered(phone, head(Upgrade=None) + more)
    assert (answer.status, len(answer.body)) == (426, int(answer.headers["Content-Length"]))
    assert phone.pipe.eof
    assert phone.ended() == {"handshake": 1}


async def test_what_comes_with_a_request_that_is_accepted_is_read_after_it() -> None:
    """A client should wait for the answer (RFC 6455 section 4.1); one that does not loses nothing by it."""
    phone = Softphone()
    early = Frame(Opcode.PING, b"early").serialize(mask=True) + Frame(Opcode.TEXT, MESSAGE).serialize(
        mask=True
    )
    answer = await answered(phone, head() + early)
    assert answer.status == 101
    assert answer.rest == Frame(Opcode.PONG, b"early").serialize(mask=False)
    assert phone.heard == [MESSAGE]


async def test_what_comes_with_an_upgrade_may_be_a_breach() -> None:
    phone = Softphone()
    pings = Frame(Opcode.PING, b"").serialize(mask=True) * (PINGS_A_SECOND + 1)
    answer = await answered(phone, head() + pings)
    assert answer.status == 101, "first of all"
    assert answer.rest.endswith(Frame(Opcode.CLOSE, b"\x03\xf0too many pings").serialize(mask=False))
    assert phone.ended() == {"policy": 1}


@pytest.mark.parametrize(("more", "status"), [(0, 101), (1, 431)])
@pytest.mark.parametrize("size", [1, 1_000, 50_000])
async def test_an_upgrade_has_its_size(more: int, status: int, size: int) -> None:
    rows = [f"X: {'x' * 4_000}"] * 8
    missing = MAX_UPGRADE - len(head(X="\r\n".join(rows))) + more
    rows[0] += "x" * (missing + len("X: "))
    data = head(**{"X": "\r\n".join(rows)[3:]})
    assert len(data) == MAX_UPGRADE + more
    phone = Softphone()
    answer = await answered(phone, *(data[n : n + size] for n in range(0, len(data), size)))
    assert (answer.status, phone.pipe.eof) == (status, status == 431)


async def test_what_comes_with_an_upgrade_may_be_its_end() -> None:
    phone = Softphone()
    answer = await answered(phone, head() + Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    assert answer.status == 101
    assert phone.pipe.closed
    assert phone.ended() == {"peer": 1}


async def test_an_upgrade_has_its_time_however_slowly_it_comes() -> None:
    phone = Softphone()
    data = head()
    for n in range(100):
        await phone.say(data[n : n + 1])
        phone.room.look_after(DEFAULTS.first_seconds / 101)
    assert phone.connection.ended is None
    phone.room.look_after(DEFAULTS.first_seconds)
    assert phone.pipe.closed
    assert phone.ended() == {"silent": 1}


# Pages and proxies


@every(
    ("allowed", "origin", "status"),
    [
        pytest.param((), None, 101, id="any, none"),
        pytest.param((), "https://evil.test", 101, id="any, one"),
        pytest.param((), "null", 101, id="any, null"),
        pytest.param(("https://a.test",), "https://a.test", 101, id="the one"),
        pytest.param(("https://a.test", "https://b.test"), "https://b.test", 101, id="one of two"),
        pytest.param(("https://a.test",), None, 101, id="no browser"),
        pytest.param(("https://a.test",), "https://evil.test", 403, id="another"),
        pytest.param(("https://a.test",), "http://a.test", 403, id="another scheme"),
        pytest.param(("https://a.test",), "https://a.test:8443", 403, id="another port"),
        pytest.param(("https://a.test",), "https://a.test.evil.test", 403, id="a longer name"),
        pytest.param(("https://a.test",), "null", 403, id="a file"),
        pytest.param(("https://a.test",), "", 403, id="an empty one"),
    ],
)
async def test_pages_of_an_origin(allowed: tuple[str, ...], origin: str | None, status: int) -> None:
    phone = Softphone(origins=allowed)
    assert (await answered(phone, head(Origin=origin))).status == status
    assert phone.pipe.eof is (status == 403)


@every(
    ("peer", "forwarded", "source"),
    [
        pytest.param(THERE, None, THERE, id="nobody between"),
        pytest.param(THERE, "192.0.2.77", THERE, id="a peer whom nobody trusts"),
        pytest.param(THERE, "no address", THERE, id="a peer whom nobody trusts, junk"),
        pytest.param(THERE, "1," * 4_000, THERE, id="a peer whom nobody trusts, very much"),
        pytest.param(PROXY, None, PROXY, id="a proxy that says nothing"),
        pytest.param(PROXY, "192.0.2.77", "192.0.2.77", id="a proxy"),
        pytest.param(PROXY, "10.0.0.1, 192.0.2.77", "192.0.2.77", id="the rightmost"),
        pytest.param(PROXY, "192.0.2.77, 203.0.113.5", "192.0.2.77", id="behind two proxies"),
        pytest.param(PROXY, "10.0.0.1\r\nX-Forwarded-For: 192.0.2.77", "192.0.2.77", id="in two rows"),
        pytest.param(PROXY, "::ffff:192.0.2.77", "192.0.2.77", id="mapped"),
        pytest.param(PROXY, "2001:db9::7", "2001:db9::7", id="IPv6"),
        pytest.param("2001:db8::1", "192.0.2.77", "192.0.2.77", id="a proxy of IPv6"),
        pytest.param(PROXY, "unknown", None, id="a proxy that does not know"),
        pytest.param(PROXY, "192.0.2.77:1234", None, id="a port"),
        pytest.param(PROXY, "192.0.2.77,", None, id="an empty place"),
        pytest.param(PROXY, ",".join(["203.0.113.5"] * 17), None, id="too many"),
    ],
)
async def test_where_a_connection_comes_from(peer: str, forwarded: str | None, source: str | None) -> None:
    phone = Softphone(ip=peer)
    answer = await answered(phone, head(X_Forwarded_For=forwarded))
    assert answer.status == (101 if source else 400)
    if source:
        await phone.send(Frame(Opcode.TEXT, MESSAGE))
        assert [flow.remote_ip for flow in phone.flows] == [source]
        assert (phone.connection.flow.remote_ip, phone.connection.source) == (source, source)
    assert phone.ended() == {"peer" if source else "handshake": 1}


async def test_who_has_too_many_behind_a_proxy_is_refused() -> None:
    phone = Softphone(ip=PROXY)
    for _ in range(DEFAULTS.unauthenticated_per_source):
        assert phone.room.table.admit(THERE)
    await phone.say(head(X_Forwarded_For=THERE))
    assert phone.pipe.closed
    await phone.send(Frame(Opcode.TEXT, MESSAGE))
    assert phone.heard == []
    phone.pipe.lose()
    assert phone.room.ends() == {"refused": 1}


# Messages


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("transport", ["ws", "wss"])
async def test_a_message_is_heard(opcode: Opcode, transport: str) -> None:
    phone = await Softphone.upgraded(transport=transport)
    await phone.send(Frame(opcode, MESSAGE))
    await phone.send(Frame(opcode, MESSAGE), Frame(opcode, b"another"))
    assert phone.heard == [MESSAGE, MESSAGE, b"another"]
    assert {flow.transport for flow in phone.flows} == {transport}


async def test_a_message_is_heard_however_it_was_split_on_the_way() -> None:
    phone = await Softphone.upgraded()
    for piece in octets(Frame(Opcode.TEXT, MESSAGE).serialize(mask=True) * 2):
        await phone.say(piece)
    assert phone.heard == [MESSAGE, MESSAGE]
    assert "_partial" not in phone.room.left()


def fragments(count: int, data: bytes = MESSAGE, opcode: Opcode = Opcode.TEXT) -> list[Frame]:
    """`data` in so many frames."""
    parts = [data[n * len(data) // count : (n + 1) * len(data) // count] for n in range(count)]
    return [
        Frame(opcode if n == 0 else Opcode.CONT, part, fin=n == count - 1) for n, part in enumerate(parts)
    ]


@pytest.mark.parametrize("count", [2, 3, MAX_FRAGMENTS])
async def test_a_message_in_fragments_is_one(count: int) -> None:
    phone = await Softphone.upgraded()
    for frame in fragments(count):
        assert phone.heard == []
        await phone.send(frame)
        phone.room.clock.pass_(0.1)
        await phone.send(Frame(Opcode.PING, b"between"), Frame(Opcode.PONG, b"unasked"))
    assert phone.heard == [MESSAGE]
    await phone.send(*fragments(2))
    assert phone.heard == [MESSAGE, MESSAGE]


async def test_a_character_may_be_split_over_fragments() -> None:
    phone = await Softphone.upgraded()
    await phone.send(Frame(Opcode.TEXT, b"J\xc3", fin=False), Frame(Opcode.CONT, b"\xb6rg"))
    assert phone.heard == ["Jörg".encode()]


async def test_binary_need_not_be_text() -> None:
    phone = await Softphone.upgraded()
    await phone.send(Frame(Opcode.BINARY, b"\xff\xfe"))
    await phone.send(*fragments(3, b"\xff\xfe\xfd", Opcode.BINARY))
    assert phone.heard == [b"\xff\xfe", b"\xff\xfe\xfd"]


@pytest.mark.parametrize("count", [1, 2, 60])
async def test_the_largest_message_is_heard(count: int) -> None:
    phone = await Softphone.upgraded()
    await phone.send(*fragments(count, b"x" * MAX_MESSAGE))
    await settled(phone.connection)
    assert phone.heard == [b"x" * MAX_MESSAGE]


def with_rsv1(frame: Frame) -> bytes:
    data = bytearray(frame.serialize(mask=True))
    data[0] |= 0x40
    return bytes(data)


TOO_BIG = [frame.serialize(mask=True) for frame in fragments(2, b"x" * (MAX_MESSAGE + 1))]


@every(
    ("data", "code", "end"),
    [
        pytest.param(Frame(Opcode.TEXT, b"\xff").serialize(mask=True), 1007, End.MALFORMED, id="no UTF-8"),
        pytest.param(
            b"".join(frame.serialize(mask=True) for frame in fragments(3, b"a\xffb")),
            1007,
            End.MALFORMED,
            id="no UTF-8, in pieces",
        ),
        pytest.param(
            Frame(Opcode.TEXT, b"x" * (MAX_MESSAGE + 1)).serialize(mask=True),
            1009,
            End.MALFORMED,
            id="too big",
        ),
        pytest.param(b"".join(TOO_BIG), 1009, End.MALFORMED, id="too big, in pieces"),
        pytest.param(
            b"\x81\xff" + (2**63 - 1).to_bytes(8), 1009, End.MALFORMED, id="the largest, and only its head"
        ),
        pytest.param(Frame(Opcode.TEXT, MESSAGE).serialize(mask=False), 1002, End.MALFORMED, id="not masked"),
        pytest.param(with_rsv1(Frame(Opcode.TEXT, MESSAGE)), 1002, End.MALFORMED, id="compressed"),
        pytest.param(b"\x83\x80\x00\x00\x00\x00", 1002, End.MALFORMED, id="a frame of no kind"),
        pytest.param(
            Frame(Opcode.CONT, b"x").serialize(mask=True), 1002, End.MALFORMED, id="an end of nothing"
        ),
        pytest.param(
            b"".join(frame.serialize(mask=True) for frame in fragments(MAX_FRAGMENTS + 1)),
            1008,
            End.POLICY,
            id="too many fragments",
        ),
        pytest.param(
            Frame(Opcode.PING, b"").serialize(mask=True) * (PINGS_A_SECOND + 1), 1008, End.POLICY, id="pings"
        ),
        pytest.param(
            Frame(Opcode.PING, b"").serialize(mask=True) * 2_000, 1008, End.POLICY, id="very many pings"
        ),
    ],
)
@every("transport", ["ws", "wss"])
@every("after", ["nothing", "a message", "empty lines"])
async def test_a_breach_is_the_end(data: bytes, code: int, end: End, transport: str, after: str) -> None:
    """Nothing after it is read (RFC 6455 section 7.1.7), and nothing of it reaches anybody."""
    phone = await Softphone.upgraded(transport=transport)
    frames = {
        "nothing": b"",
        "a message": Frame(Opcode.TEXT, MESSAGE).serialize(mask=True),
        "empty lines": Frame(Opcode.TEXT, b"\r\n\r\n").serialize(mask=True),
    }
    await phone.say(data + frames[after])
    await settled(phone.connection)
    assert await phone.closed_with() == code
    assert (phone.heard, phone.connection.ended) == ([], end)
    assert (phone.pipe.eof, phone.pipe.closed) == (transport == "ws", transport == "wss")
    phone.connection.send(b"late")
    phone.connection.ping()
    await phone.send(Frame(Opcode.TEXT, MESSAGE))
    phone.room.look_after(FAREWELL_SECONDS)
    assert (phone.pipe.said(), phone.pipe.aborted, phone.heard) == (b"", True, [])
    assert phone.ended() == {str(end): 1}


async def test_what_came_before_a_breach_is_heard() -> None:
    phone = await Softphone.upgraded()
    await phone.say(
        Frame(Opcode.TEXT, MESSAGE).serialize(mask=True) + Frame(Opcode.TEXT, b"x").serialize(mask=False)
    )
    assert (phone.heard, await phone.closed_with()) == ([MESSAGE], CloseCode.PROTOCOL_ERROR)


async def test_an_answer_is_one_message_of_text() -> None:
    phone = await Softphone.upgraded()
    phone.room.table.send("SIP/2.0 200 Jörg\r\n\r\n".encode(), phone.connection.flow)
    (frame,) = await phone.talk()
    assert isinstance(frame, Frame)
    assert (frame.opcode, frame.fin, frame.rsv1) == (Opcode.TEXT, True, False)
    assert bytes(frame.data) == "SIP/2.0 200 Jörg\r\n\r\n".encode()


async def test_nothing_is_sent_before_the_upgrade() -> None:
    phone = Softphone()
    phone.connection.send(b"too early")
    phone.connection.ping()
    assert phone.pipe.said() == b""
    assert (await answered(phone, head())).status == 101
    phone.connection.send(MESSAGE)
    assert phone.pipe.said() == Frame(Opcode.TEXT, MESSAGE).serialize(mask=False)


async def test_no_message_is_ever_compressed() -> None:
    phone = await Softphone.upgraded(offers=[ClientPerMessageDeflateFactory()])
    assert phone.client.extensions == []
    phone.client.send_text(MESSAGE)
    await phone.talk()
    assert phone.heard == [MESSAGE]


async def test_a_message_in_fragments_has_its_time() -> None:
    phone = await Softphone.upgraded()
    phone.room.table.authenticated(phone.connection.flow.id)
    for frame in fragments(9)[:7]:
        await phone.send(frame)
        phone.room.look_after(DEFAULTS.message_seconds / 8)
    assert phone.connection.ended is None
    phone.room.look_after(DEFAULTS.message_seconds / 8)
    assert phone.connection.ended is End.SLOW
    assert await phone.closed_with() == CloseCode.POLICY_VIOLATION
    assert phone.ended() == {"slow": 1}


@pytest.mark.parametrize("count", [1, 2, 6, 7, len(MESSAGE) + 5])
async def test_a_frame_has_its_time(count: int) -> None:
    phone = await Softphone.upgraded()
    phone.room.table.authenticated(phone.connection.flow.id)
    data = Frame(Opcode.TEXT, MESSAGE).serialize(mask=True)
    assert count < len(data)
    await phone.say(data[:count])
    phone.room.look_after(DEFAULTS.message_seconds - 0.001)
    assert phone.connection.ended is None
    phone.room.look_after(0.001)
    assert phone.connection.ended is End.SLOW


async def test_a_frame_that_is_completed_in_time_may_be_followed_by_another() -> None:
    phone = await Softphone.upgraded()
    phone.room.table.authenticated(phone.connection.flow.id)
    data = Frame(Opcode.TEXT, MESSAGE).serialize(mask=True)
    await phone.say(data[:20])
    for _ in range(10):
        phone.room.look_after(DEFAULTS.message_seconds - 0.001)
        await phone.say(data[20:] + data[:20])
    assert len(phone.heard) == 10
    assert phone.connection.ended is None
    await phone.say(data[20:])
    phone.room.look_after(DEFAULTS.message_seconds)
    assert phone.connection.ended is None


# Signs of life


async def test_pings_are_answered() -> None:
    phone = await Softphone.upgraded()
    for _ in range(5):
        phone.room.clock.pass_(1)
        await phone.send(*(Frame(Opcode.PING, b"%d" % n) for n in range(PINGS_A_SECOND)))
        assert await phone.pongs() == [b"%d" % n for n in range(PINGS_A_SECOND)]
    assert phone.connection.ended is None


async def test_very_many_pings_have_no_pongs() -> None:
    phone = await Softphone.upgraded()
    await phone.send(*[Frame(Opcode.PING, b"x" * 100)] * 2_000)
    assert len(phone.pipe.said()) < 2 * PINGS_A_SECOND * 102
    assert phone.connection.ended is End.POLICY


async def test_the_server_pings_and_takes_an_answer() -> None:
    phone = await Softphone.upgraded()
    phone.room.table.authenticated(phone.connection.flow.id)
    for _ in range(5):
        phone.room.look_after(DEFAULTS.ping_seconds)
        (frame,) = await phone.talk()
        assert isinstance(frame, Frame) and frame.opcode is Opcode.PING
        phone.room.look_after(DEFAULTS.pong_seconds)
    assert phone.connection.ended is None
    phone.room.look_after(DEFAULTS.ping_seconds - DEFAULTS.pong_seconds)
    phone.room.look_after(DEFAULTS.pong_seconds)
    assert phone.pipe.aborted
    assert phone.ended() == {"ping-timeout": 1}


@every(
    ("data", "answers"),
    [
        pytest.param(b"\r\n\r\n", [b"\r\n"], id="the ping of RFC 5626"),
        pytest.param(b"\r\n", [], id="its pong"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n", [], id="a line end of another kind"),
    ],
)
@every("opcode", [Opcode.TEXT, Opcode.BINARY])
async def test_keep_alives_of_streams_are_understood(
    data: bytes, answers: list[bytes], opcode: Opcode
) -> None:
    phone = await Softphone.upgraded()
    await phone.send(Frame(opcode, data))
    assert (await phone.texts(), phone.heard) == (answers, [])
    await phone.send(*fragments(2, data, opcode))
    assert (await phone.texts(), phone.heard) == (answers, [])


# The end


async def test_a_peer_that_closes_is_answered_and_let_go() -> None:
    phone = await Softphone.upgraded()
    phone.client.send_close(1000, "bye")
    assert await phone.closed_with() == 1000
    assert (phone.pipe.closed, phone.pipe.eof, phone.connection.ended) == (True, False, End.PEER)
    await phone.say(b"whatever comes then")
    phone.connection.send(b"late")
    phone.connection.ping()
    assert phone.pipe.said() == b""
    assert phone.ended() == {"peer": 1}


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe9going away", b"\x0b\xb8", b"\x13\x87own"])
async def test_any_close_frame_is_echoed(payload: bytes) -> None:
    phone = await Softphone.upgraded()
    await phone.send(Frame(Opcode.CLOSE, payload))
    (frame,) = await phone.talk()
    assert isinstance(frame, Frame)
    assert (frame.opcode, bytes(frame.data)) == (Opcode.CLOSE, payload)
    assert phone.pipe.closed


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        pytest.param(b"\x03", 1002, id="half a code"),
        pytest.param((1005).to_bytes(2), 1002, id="a code that is never sent"),
        pytest.param(b"\x03\xe8\xff", 1007, id="a reason that is no UTF-8"),
    ],
)
async def test_a_close_frame_may_be_a_breach(payload: bytes, code: int) -> None:
    phone = await Softphone.upgraded()
    await phone.send(Frame(Opcode.CLOSE, payload))
    assert await phone.closed_with() == code
    assert phone.ended() == {"malformed": 1}


@pytest.mark.parametrize("last", [MESSAGE, b"\r\n\r\n"], ids=["a message", "the ping of RFC 5626"])
async def test_what_a_peer_says_right_before_it_closes_is_heard(last: bytes) -> None:
    """A page that is left says goodbye so: what comes after its last message cannot be answered."""
    phone = await Softphone.upgraded()
    await phone.send(Frame(Opcode.TEXT, last), Frame(Opcode.CLOSE, b"\x03\xe9"))
    assert phone.heard == [MESSAGE] * (last is MESSAGE)
    assert await phone.closed_with() == 1001
    assert phone.ended() == {"peer": 1}


@pytest.mark.parametrize(
    ("end", "code", "waits"),
    [
        pytest.param(End.SHUTDOWN, 1001, True, id="the server stops"),
        pytest.param(End.REVOKED, 1008, True, id="revoked"),
        pytest.param(End.POLICY, 1008, True, id="too many connections of a phone"),
        pytest.param(End.REFUSED, 1008, True, id="too many of a source"),
        pytest.param(End.UNAUTHENTICATED, 1008, False, id="no identity"),
        pytest.param(End.SLOW, 1008, False, id="slow"),
    ],
)
async def test_the_server_says_why_it_closes(end: End, code: int, waits: bool) -> None:
    phone = await Softphone.upgraded()
    phone.connection.close(end)
    assert phone.pipe.closed is not waits
    phone.connection.send(b"late")
    assert await phone.closed_with() == code
    assert phone.client.close_rcvd is not None
    assert phone.client.close_rcvd.reason == str(end)
    assert phone.pipe.closed, "the peer has answered"
    assert phone.ended() == {str(end): 1}


async def test_a_peer_that_does_not_answer_a_close_has_little_time() -> None:
    phone = await Softphone.upgraded()
    phone.connection.close(End.REVOKED)
    await phone.send(Frame(Opcode.TEXT, MESSAGE), Frame(Opcode.PING, b"x"))
    phone.room.look_after(FAREWELL_SECONDS - 0.001)
    assert (phone.heard, phone.pipe.is_closing()) == ([], False)
    phone.room.look_after(0.001)
    assert phone.pipe.aborted
    assert phone.ended() == {"revoked": 1}


async def test_a_breach_after_the_servers_close_is_only_its_end() -> None:
    phone = await Softphone.upgraded()
    phone.connection.close(End.REVOKED)
    await phone.say(b"\xff" * 100)
    await phone.say(b"\xff" * 100)
    assert phone.pipe.eof
    assert phone.ended() == {"revoked": 1}


async def test_a_connection_is_closed_before_its_upgrade_without_a_word() -> None:
    phone = Softphone()
    phone.connection.close(End.SHUTDOWN)
    assert (phone.pipe.said(), phone.pipe.closed) == (b"", True)
    await phone.say(head())
    assert phone.pipe.said() == b""
    assert phone.ended() == {"shutdown": 1}


async def test_a_connection_that_is_gone_says_nothing() -> None:
    phone = await Softphone.upgraded()
    phone.pipe.lose()
    phone.connection.send(b"late")
    phone.connection.ping()
    phone.connection.close(End.REVOKED)
    assert phone.pipe.said() == b""


async def test_a_peer_that_does_not_read_is_stuck_here_too() -> None:
    phone = await Softphone.upgraded()
    phone.pipe.stalled = True
    for _ in range(30):
        phone.connection.send(b"x" * 10_000)
    assert phone.pipe.aborted
    assert phone.ended() == {"stuck": 1}
