"""Phones that call each other in a world without sockets: what they say, and what they hear."""

from dataclasses import dataclass, replace
from itertools import count

from registrar.errors import MediaRefused, StoreUnavailable
from registrar.model import Flow, LegKind, Phone
from registrar.sip import Credentials, Request, Response, answer, check, expected, ha1, parse, parse_name_addr
from registrar.transaction import TableFull

from .world import DOMAIN, HOME, Device, Incoming, Sent, World, phone, read_response

_numbers = count(1)

SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
WEB_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=fingerprint:x\r\n"
)
SDP_TYPE = "Content-Type: application/sdp"

ANN = replace(phone("a", extension="200"), name="Ann")
BOB = replace(phone("b", extension="201"), name="Bob")
CAT = replace(phone("c", extension="202"), name="Cat")
RIVAL = phone("r", extension="203", customer="rival", domain="rival.test")


class Handset:
    """A phone on one flow."""

    def __init__(
        self,
        world: World,
        account: Phone,
        *,
        transport: str = "udp",
        port: int = 5060,
        instance: str = "",
        reg_id: int = 0,
    ) -> None:
        self.world = world
        self.account = account
        self.flow = (
            Flow("udp", "192.0.2.10", 5060, HOME, port) if transport == "udp" else world.lines.dial(transport)
        )
        self.contact = f"sip:{account.username}@10.0.0.7:{self.flow.remote_port}"
        about = f';+sip.instance="<{instance}>"' if instance else ""
        self._about = f"{about};reg-id={reg_id}" if reg_id else about
        self._tag = f"tag-{account.id}"
        self.cseq = 0
        self._registrations = Device(world, account)
        self.crowd: TableFull | None = None
        """Raised instead of a transaction that counts for its customer."""

    async def register(self, expires: int = 3_600, call_id: str = "") -> "Handset":
        """`call_id`: that of a program that has registered before; else this is a new one."""
        device = self._registrations
        device.flow = self.flow
        device.contact = f"<{self.contact}>{self._about}"
        number = next(_numbers)
        device.call_id = call_id or f"reg-{number}"
        device.cseq = max(device.cseq, number)
        device.to = f"sip:{self.account.extension or self.account.username}@{DOMAIN}"
        device.more = ("Supported: outbound",)
        answer = await device.register(expires)
        if answer.status == 401:  # the nonce is too old
            device.take(answer)
            answer = await device.register(expires)
        assert answer.status == 200, answer
        return self

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        from_: str = "",
        call_id: str = "call-1",
        more: tuple[str, ...] = (),
        body: bytes = b"",
    ) -> Request:
        self.cseq += 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.flow.transport.upper()} 10.0.0.7;branch=z9hG4bK{next(_numbers)};rport",
            f"From: {from_ or f'<sip:{self.account.username}@{DOMAIN}>;tag={self._tag}'}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <{self.contact}>",
            "Max-Forwards: 70",
            *more,
            f"Content-Length: {len(body)}",
        ]
        made = parse(("\r\n".join(lines) + "\r\n\r\n").encode() + body, exact=True)
        assert isinstance(made, Request)
        check(made)
        made.via = made.via.stamped(self.flow.remote_ip, self.flow.remote_port)
        return made

    async def ask(self, request: Request) -> Incoming:
        return await self.world.ask(Incoming(request, self.flow))

    async def call(
        self, user: str = "201", method: str = "INVITE", *, cancelled: bool = False, **said: object
    ) -> Incoming:
        """With credentials, which a first try has been challenged for."""
        uri = user if user.startswith(("sip:", "sips:", "tel:", "urn:")) else f"sip:{user}@{DOMAIN}"
        bare = await self.ask(self.request(method, uri, **said))  # type: ignore[arg-type]  # as `request` takes them
        assert bare.statuses == [407], bare.statuses
        value = dict(bare.answers[0].headers)["Proxy-Authenticate"]
        realm, nonce = (value.partition(f'{name}="')[2].partition('"')[0] for name in ("realm", "nonce"))
        said["more"] = (*said.get("more", ()), self.credentials(method, realm, nonce))  # type: ignore[misc]
        request = self.request(method, uri, **said)  # type: ignore[arg-type]  # as `request` takes them
        incoming = Incoming(request, self.flow, is_cancelled=cancelled, crowd=self.crowd)
        return await self.world.ask(incoming)

    def credentials(self, method: str, realm: str, nonce: str) -> str:
        name, password = self.account.username, self.account.password
        bare = Credentials(name, realm, nonce, f"sip:{DOMAIN}", "", "MD5", "c", "auth", "00000001")
        response = expected(bare, method, ha1(name, realm, password, "MD5"))
        return (
            f'Proxy-Authorization: Digest username="{name}", realm="{realm}", nonce="{nonce}", '
            f'uri="{bare.uri}", response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"'
        )

    async def reply(
        self,
        sent: Sent,
        status: int,
        *headers: tuple[str, str],
        reason: str = "",
        tag: str = "",
        body: bytes = b"",
        typed: bool = True,
    ) -> Response:
        """Answer a request that came; `typed`: with the type of a description, if there is a body."""
        rows = (("Contact", f"<{self.contact}>"), *headers)
        return await self.reply_bare(sent, status, *rows, reason=reason, tag=tag, body=body, typed=typed)

    async def reply_bare(
        self,
        sent: Sent,
        status: int,
        *headers: tuple[str, str],
        reason: str = "",
        tag: str = "",
        body: bytes = b"",
        typed: bool = True,
    ) -> Response:
        """The same with no header but these."""
        rows = list(headers)
        if body and typed:
            rows.append(("Content-Type", "application/sdp"))
        made = answer(sent.request, status, reason, rows, to_tag=tag or self._tag, body=body)
        response = read_response(made)
        assert sent.asker is not None and sent.key is not None
        sent.asker.receive_response(sent.key, response)
        await self.world.settle()
        return response

    async def take(self, sent: Sent, *headers: tuple[str, str], body: bytes = b"") -> "Dialog":
        """Answer an INVITE with 200: what it then knows of the call."""
        await self.reply(sent, 200, *headers, body=body)
        asked = sent.request
        return Dialog(
            self,
            str(asked.contacts[0].uri),
            asked.headers.all("record-route"),
            f"{asked.headers.get('to')};tag={self._tag}",
            asked.headers.get("from") or "",
            asked.call_id,
        )

    def dialog(self, incoming: Incoming) -> "Dialog":
        """What the caller knows of the call when it was answered."""
        response = incoming.responses[-1]
        assert response.status == 200
        contact = parse_name_addr(response.headers.get("contact") or "")
        return Dialog(
            self,
            str(contact.uri),
            response.headers.all("record-route"),
            response.headers.get("from") or "",
            response.headers.get("to") or "",
            response.call_id,
        )


@dataclass
class Dialog:
    """One side of a call (RFC 3261 section 12)."""

    handset: Handset
    uri: str
    routes: list[str]
    local: str
    remote: str
    call_id: str

    def request(self, method: str, *more: str, body: bytes = b"") -> Request:
        routes = [f"Route: {route}" for route in self.routes]
        more = (*more, SDP_TYPE) if body else more
        return self.handset.request(
            method,
            self.uri,
            to=self.remote,
            from_=self.local,
            call_id=self.call_id,
            more=(*routes, *more),
            body=body,
        )

    async def send(self, method: str, *more: str, body: bytes = b"") -> Incoming:
        return await self.handset.ask(self.request(method, *more, body=body))


class Relay:
    """Implements ports.Media: keeps what it was asked, and marks what it made."""

    configured = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        """Command, session, kind of the other leg of an offer, from-tag, to-tag, engine."""
        self.families: list[str] = []
        """Which family each offer was to have, where another one than its own."""
        self.bodies: list[bytes] = []
        """The descriptions it was given."""
        self.deleted: list[tuple[str, str]] = []
        self.refuses: set[str] = set()
        self.away = False

    async def offer(
        self,
        session: str,
        sdp: bytes,
        *,
        from_tag: str,
        to_tag: str,
        to: LegKind,
        engine: str,
        family: str = "",
    ) -> tuple[bytes, str]:
        self.asked.append(("offer", session, str(to), from_tag, to_tag, engine))
        self.families.append(f" {family}" if family else "")
        self.bodies.append(sdp)
        self._mind("offer")
        return (WEB_SDP if to is LegKind.WEBRTC else SDP) + b"a=relayed\r\n", engine or "e1"

    async def answer(self, session: str, sdp: bytes, *, from_tag: str, to_tag: str, engine: str) -> bytes:
        self.asked.append(("answer", session, from_tag, to_tag, engine))
        self.bodies.append(sdp)
        self._mind("answer")
        return sdp + b"a=relayed\r\n"

    def delete(self, session: str, engine: str) -> None:
        self.deleted.append((session, engine))

    def _mind(self, command: str) -> None:
        if self.away:
            raise StoreUnavailable("no engine answers")
        if command in self.refuses:
            raise MediaRefused("the engine does not take it")


async def pair(world: World, **said: object) -> tuple[Handset, Handset, Incoming, Sent]:
    """Ann calls Bob, and it rings there."""
    ann, bob = await Handset(world, ANN).register(), await Handset(world, BOB, port=5070).register()
    incoming = await ann.call(**said)  # type: ignore[arg-type]  # as `call` takes them
    (sent,) = world.wire.take()
    return ann, bob, incoming, sent


async def talk(world: World) -> tuple[Dialog, Dialog]:
    """Ann and Bob are in a call: her side and his."""
    ann, bob, incoming, sent = await pair(world)
    his = await bob.take(sent)
    return ann.dialog(incoming), his
