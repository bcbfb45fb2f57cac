"""A phone of our own that calls and is called, over any transport; it is strict, and remembers every octet.

What it receives is checked against RFC 3261 as it comes: each fault is kept, and the end of its block fails
with all of them and the messages themselves.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from tests.peers import calling_message
from tests.peers.calling_dialog import Dialog, Key, joined
from tests.peers.calling_line import LOCAL, Line, UdpLine, open_line, quiet
from tests.peers.calling_message import Message, NotSip, read
from tests.peers.calling_session import SOON, Incoming, Outgoing, Session, fresh_branch, sdp, web_sdp
from tests.peers.calling_transactions import Client, News, Server
from tests.peers.phone import Account, Address, Answer, Caller, parse_answer

ALLOW: Final = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, REFER, NOTIFY, MESSAGE, SUBSCRIBE, OPTIONS"
ACK_GRACE: Final = 1.0
"""So long the end of a phone waits for an ACK that may still be on its way."""
CONTACTED: Final = ("INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY")
"""Requests, and 2xx to requests, that carry a Contact."""
DIALOGLESS: Final = ("OPTIONS", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "INFO", "NOTIFY")
SUCCESSES: Final = {"REFER": 202}
"""What is answered automatically where it is not 200."""


class CallingPhone:
    """One phone on a line of its own. Use it as a context: its end closes the line and tells all faults."""

    def __init__(
        self, account: Account, line: Line, server: Address, *, instance: str = "", name: str = ""
    ) -> None:
        self.caller = Caller(account, line.address, transport=line.transport, instance=instance)
        self.account = account
        self.line = line
        self.name = name
        """What it calls itself; nobody need believe it."""
        self.media_port = secrets.randbelow(10_000) * 2 + 40_000
        self.reliable = line.transport != "UDP"
        self.sent: list[tuple[float, bytes]] = []
        self.received: list[tuple[float, Message]] = []
        self.faults: list[str] = []
        self.automatic: dict[str, int] = {}
        """How requests of a method are answered, 0 for not at all; 2xx is the default."""
        self.misses: Callable[[Message], bool] = lambda _: False
        """Which messages get lost on their way to it."""
        self.calls: list[Incoming] = []
        self.requests: list[Server] = []
        """Every other request that came."""
        self.news = News()
        self._server = server
        self._clients: dict[tuple[str, str], Client] = {}
        self._servers: dict[tuple[str, str, str], Server] = {}
        self._sessions: dict[Key, Session] = {}
        self._outgoings: dict[str, Outgoing] = {}
        """By the branch of their INVITE."""
        line.hears, line.ends = self._hear, self._lose

    @classmethod
    async def open(
        cls,
        account: Account,
        server: Address,
        transport: str = "udp",
        *,
        source: Address = LOCAL,
        instance: str = "",
        name: str = "",
    ) -> Self:
        """A phone with a line to a server, not registered yet. Raises OSError."""
        line = await open_line(server, transport, source)
        return cls(account, line, server, instance=instance, name=name)

    # What it says

    @property
    def contact(self) -> str:
        """Its URI."""
        return self.caller.contact

    @property
    def octets(self) -> bytes:
        """All that it ever received."""
        return b"\n".join(message.raw for _, message in self.received)

    def sdp(self, *, user: str = "-", version: int = 1, direction: str = "sendrecv") -> bytes:
        """What it says about its sound: as a browser over a WebSocket, else as a desk phone."""
        make = web_sdp if self.line.transport in ("WS", "WSS") else sdp
        return make(self.media_port, user=user, version=version, direction=direction)

    def via(self, branch: str = "") -> str:
        """A Via of ours."""
        return f"{self.caller.sent_by};branch={branch or fresh_branch()};rport"

    def about(self, method: str) -> list[str]:
        """What we add to a request or a 2xx of a method."""
        lines = [f"Allow: {ALLOW}"] if method == "INVITE" else []
        return [f"Contact: <{self.contact}>", *lines] if method in CONTACTED else lines

    def say(self, message: bytes) -> None:
        """Send raw bytes and wait for nothing."""
        self.sent.append((time.monotonic(), message))
        self.line.send(message)

    def ask(self, request: bytes) -> Client:
        """Send a request, whose responses its transaction gets."""
        client = Client(request, self.say, reliable=self.reliable)
        self._clients[client.request.branch, client.request.method] = client
        return client

    async def register(
        self, expires: int | None = 3600, *, contact: str | None = None, lines: Sequence[str] = ()
    ) -> Answer:
        """A whole registration: the final answer. Raises TimeoutError, ConnectionError."""
        first = self.caller.register(expires, contact=contact, extra=lines)
        answer = parse_answer((await self.ask(first).final(SOON)).raw)
        if answer.status != 401 or not self.caller.learn(answer):
            return answer
        proof = self.caller.credentials("REGISTER", f"sip:{self.account.domain}")
        again = self.caller.register(expires, contact=contact, extra=[*lines, proof])
        return parse_answer((await self.ask(again).final(SOON)).raw)

    def outside(
        self,
        method: str,
        to: str,
        lines: Sequence[str] = (),
        body: bytes = b"",
        *,
        call_id: str = "",
        number: int = 1,
        sender: str = "",
        tag: str = "",
    ) -> bytes:
        """A request that begins something: `to` is a URI, or a number of our domain."""
        uri = self.uri(to)
        display = f'"{self.name}" ' if self.name else ""
        given = {line.partition(":")[0].lower() for line in lines}
        about = [line for line in self.about(method) if line.partition(":")[0].lower() not in given]
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: {self.via()}",
            *([] if "max-forwards" in given else ["Max-Forwards: 70"]),
            f"From: {sender or f'{display}<{self.account.uri}>'};tag={tag or secrets.token_hex(4)}",
            f"To: <{uri}>",
            f"Call-ID: {call_id or secrets.token_hex(12)}",
            f"CSeq: {number} {method}",
            *about,
            *lines,
        ]
        if body and "content-type" not in given:
            head.append("Content-Type: application/sdp" if method == "INVITE" else "Content-Type: text/plain")
        return joined(head, body)

    def uri(self, to: str) -> str:
        """What is dialled."""
        return to if to.startswith(("sip:", "sips:", "tel:", "urn:")) else f"sip:{to}@{self.account.domain}"

    async def send(
        self,
        method: str,
        to: str,
        lines: Sequence[str] = (),
        body: bytes = b"",
        *,
        sender: str = "",
        within: float = SOON,
    ) -> tuple[Client, Message | None]:
        """Send it until it is not challenged any more: the last transaction, and the challenge before it.

        The transaction may have no response yet.
        """
        first = self.ask(self.outside(method, to, lines, body, sender=sender))
        self._open_call(first)
        response = await first.find(lambda response: response.status >= 100, within, "response")
        if response.status == 100:
            return first, None
        if response.status not in (401, 407) or not self.caller.learn(parse_answer(response.raw)):
            return first, None
        return self.ask_again(first, lines, body, sender=sender), response

    def ask_again(
        self, first: Client, lines: Sequence[str] = (), body: bytes = b"", *, sender: str = ""
    ) -> Client:
        """The request of a transaction once more, with credentials for the challenge that was learnt."""
        asked = first.request
        proof = self.caller.credentials(asked.method, asked.uri)
        again = self.outside(
            asked.method,
            asked.uri,
            [*lines, proof],
            body,
            call_id=asked.call_id,
            number=asked.cseq[0] + 1,
            sender=sender,
            tag=asked.from_tag,
        )
        client = self.ask(again)
        self._open_call(client)
        return client

    async def request(
        self, method: str, to: str, lines: Sequence[str] = (), body: bytes = b"", within: float = SOON
    ) -> Message:
        """The final response to a request outside any dialog, once it was not challenged any more."""
        client, _ = await self.send(method, to, lines, body, within=within)
        return await client.final(within)

    async def call(
        self,
        to: str,
        body: bytes | None = None,
        lines: Sequence[str] = (),
        *,
        sender: str = "",
        within: float = SOON,
    ) -> Outgoing:
        """Call somebody: the INVITE has left, with credentials when it was challenged."""
        said = self.sdp() if body is None else body
        client, challenge = await self.send("INVITE", to, lines, said, sender=sender, within=within)
        outgoing = self._outgoing(client)
        outgoing.challenge = challenge
        return outgoing

    def _open_call(self, client: Client) -> None:
        """Each INVITE of ours outside a dialog has its call before a response can come."""
        if client.is_invite:
            self._outgoings[client.request.branch] = Outgoing(self, client)

    def _outgoing(self, client: Client) -> Outgoing:
        return self._outgoings[client.request.branch]

    def keep(self, session: Session, dialog: Dialog) -> None:
        """Requests in that dialog are for that session from now on."""
        self._sessions[dialog.key] = session

    def adopt(self, session: Session, before: "CallingPhone") -> None:
        """Go on with a call of the same phone over another line; its Contact is the old one still."""
        for key in [key for key, one in before._sessions.items() if one is session]:
            self._sessions[key] = session
        self.caller.contact = before.contact
        session.phone = self

    # What it hears

    async def incoming(self, within: float = SOON, *, nth: int = 0) -> Incoming:
        """The first call to it, or a later one. Raises TimeoutError."""
        try:
            return await self.news.until(lambda: self.calls[nth] if len(self.calls) > nth else None, within)
        except TimeoutError:
            raise TimeoutError(f"nobody called within {within:g} s\n{self.trace()}") from None

    async def asked(self, method: str, within: float = SOON, *, dialog: Dialog | None = None) -> Server:
        """The first request of that method, of that dialog when it is given. Raises TimeoutError."""

        def look() -> Server | None:
            of = [server for server in self.requests if server.request.method == method]
            mine = [one for one in of if dialog is None or _key(one.request) == dialog.key]
            return mine[0] if mine else None

        try:
            return await self.news.until(look, within)
        except TimeoutError:
            raise TimeoutError(f"no {method} within {within:g} s\n{self.trace()}") from None

    def _hear(self, raw: bytes) -> None:
        try:
            message = read(raw)
        except NotSip as error:
            self.faults.append(f"{error} in {raw!r}")
            return
        if self.misses(message):
            return
        self.received.append((time.monotonic(), message))
        for fault in calling_message.faults(message):
            self._blame(message, fault)
        if message.is_request:
            self._hear_request(message)
        else:
            self._hear_response(message)
        self.news.tell()

    def _blame(self, message: Message, fault: str) -> None:
        self.faults.append(f"{fault} [{message.first}]")

    def _lose(self, error: ConnectionError) -> None:
        for client in self._clients.values():
            client.fail(error)
        self.news.tell()

    def _hear_response(self, response: Message) -> None:
        client = self._clients.get((response.branch, response.method))
        if client is None:
            self._blame(response, "a response to nothing")
            return
        for fault in client.faults(response):
            self._blame(response, fault)
        client.take(response)
        outgoing = self._outgoings.get(response.branch)
        if outgoing is not None and response.method == "INVITE":
            outgoing.took(response)
            if 200 <= response.status < 300 and outgoing.acks:
                outgoing.acknowledge(client, outgoing.dialogs[response.to_tag])
        elif response.method in ("INVITE", "UPDATE") and 200 <= response.status < 300:
            self._refresh(client, response)

    def _refresh(self, client: Client, response: Message) -> None:
        """A 2xx to a re-INVITE or an UPDATE of ours: the other side may have moved."""
        asked = client.request
        session = self._sessions.get((asked.call_id, asked.from_tag, asked.to_tag))
        if session is None:
            return
        dialog = next(d for d in self._dialogs(session) if d.remote_tag == asked.to_tag)
        if response.contact:
            dialog.target = response.contact
        if response.method == "INVITE" and session.acks:
            session.acknowledge(client, dialog)

    @staticmethod
    def _dialogs(session: Session) -> list[Dialog]:
        return list(session.dialogs.values()) if isinstance(session, Outgoing) else [session.dialog]

    def _hear_request(self, request: Message) -> None:
        kind = "INVITE" if request.method == "ACK" else request.method
        server = self._servers.get((request.branch, request.sent_by, kind))
        match request.method:
            case "ACK":
                self._hear_ack(request, server)
            case "CANCEL" if server is None:
                self._hear_cancel(request)
            case _ if server is not None:
                if self.reliable:
                    self._blame(request, "a request came twice over a connection")
                server.again()
            case _ if request.to_tag:
                self._hear_inside(request)
            case _:
                self._hear_outside(request)

    def _serve(self, request: Message) -> Server:
        server = Server(request, self.say, secrets.token_hex(5), self._server, reliable=self.reliable)
        self._servers[request.branch, request.sent_by, request.method] = server
        return server

    def _hear_ack(self, ack: Message, refused: Server | None) -> None:
        """By its branch of a refused INVITE, by its dialog and number of a 2xx."""
        invites = [one for one in self._servers.values() if one.request.method == "INVITE"]
        taken = [
            one
            for one in invites
            if (one.request.call_id, one.request.cseq[0], one.request.to_tag or one.tag)
            == (ack.call_id, ack.cseq[0], ack.to_tag)
            and 200 <= one.status < 300
        ]
        found = refused or next(iter(taken), None)
        if found is None or found.status < 200 or (found is refused and found.status < 300):
            self._blame(ack, f"an ACK for nothing (branch known: {refused is not None})")
            return
        if found is not refused:
            session = self._sessions.get(_key(ack))
            if session is None:
                self._blame(ack, "an ACK in no dialog")
            else:
                for fault in session.dialog.faults(ack, self.contact):
                    self._blame(ack, fault)
        found.acknowledged.set()

    def _hear_cancel(self, cancel: Message) -> None:
        invite = self._servers.get((cancel.branch, cancel.sent_by, "INVITE"))
        own = self._serve(cancel)
        if invite is None:
            self._blame(cancel, "a CANCEL for nothing")
            own.respond(481)
            return
        asked = invite.request
        for name in ("uri", "call_id", "from_tag"):
            if getattr(cancel, name) != getattr(asked, name):
                self._blame(cancel, f"{name} is not that of the INVITE")
        if cancel.cseq[0] != asked.cseq[0]:
            self._blame(cancel, "CSeq is not that of the INVITE")
        invite.cancel = cancel
        own.respond(200)
        if invite.status < 200 and self.automatic.get("CANCEL", 200):
            invite.respond(487)

    def _hear_outside(self, request: Message) -> None:
        if request.uri != self.contact:
            self._blame(request, f"the Request-URI is not our Contact {self.contact}")
        ongoing = [one.request for one in self._servers.values()]
        twin = any(
            (one.call_id, one.cseq, one.from_tag) == (request.call_id, request.cseq, request.from_tag)
            for one in ongoing
        )
        server = self._serve(request)
        if twin:  # section 8.2.2.2
            self._blame(request, "the same request came by two ways")
            server.respond(482)
        elif request.method == "INVITE":
            server.respond(100)
            self.calls.append(Incoming(self, server))
        elif request.method in DIALOGLESS:
            self._answer(server)
        else:
            self._blame(request, f"a {request.method} outside of any dialog")
            server.respond(481)

    def _hear_inside(self, request: Message) -> None:
        session = self._sessions.get(_key(request))
        server = self._serve(request)
        if session is None:
            self._blame(request, "a dialog that we do not know")
            server.respond(481)
            return
        dialog = next(d for d in self._dialogs(session) if d.key == _key(request))
        for fault in dialog.faults(request, self.contact):
            self._blame(request, fault)
        dialog.remote_cseq = max(dialog.remote_cseq, request.cseq[0])
        if request.method in ("INVITE", "UPDATE") and request.contact:
            dialog.target = request.contact
        self._answer(server)

    def _answer(self, server: Server) -> None:
        """As `automatic` says, else with success."""
        method = server.request.method
        self.requests.append(server)
        status = self.automatic.get(method, SUCCESSES.get(method, 200))
        if not status:
            return
        accepted = status < 300
        offered = method == "INVITE" or (method == "UPDATE" and server.request.body)
        body = self.sdp(version=2) if accepted and offered else b""
        typed = ["Content-Type: application/sdp"] if body else []
        server.respond(status, [*(self.about(method) if accepted else []), *typed], body)

    # Its end

    def trace(self) -> str:
        """All that went over its line, in order."""
        rows = [(at, "<-", message.raw) for at, message in self.received]
        rows += [(at, "->", raw) for at, raw in self.sent]
        begin = min((at for at, *_ in rows), default=0.0)
        texts = [
            f"{arrow} {at - begin:.3f} s {self.account.username} {self.line.transport}\n"
            + raw.decode("utf-8", "replace").replace("\r\n", "\n")
            for at, arrow, raw in sorted(rows)
        ]
        return "\n".join(texts)

    def turn_to(self, server: Address) -> None:
        """Speak with another server from now on; over UDP alone."""
        assert isinstance(self.line, UdpLine)
        self._server = server
        self.line.turn_to(server)

    def vanish(self) -> None:
        """Lose power."""
        self.line.vanish()

    def reset(self) -> None:
        """Lose the connection by a reset: its port is free at once."""
        self.line.reset()

    def forget(self, fault: str) -> None:
        """Faults with these words were expected."""
        self.faults = [one for one in self.faults if fault not in one]

    async def close(self) -> None:
        """Wait a little for what is still on its way, and close the line."""
        begin = time.monotonic()
        while self._unacknowledged() and time.monotonic() - begin < ACK_GRACE and self.line.lost is None:
            await asyncio.sleep(0.01)
        if self.line.lost is None:
            self.faults += [
                f"no ACK for {one.status} [{one.request.first}]" for one in self._unacknowledged()
            ]
        for client in self._clients.values():
            client.close()
        for server in self._servers.values():
            server.close()
        await quiet(self.line)

    def _unacknowledged(self) -> list[Server]:
        return [one for one in self._servers.values() if one.awaits_ack]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        if error is not None:
            error.add_note(self.trace())
        elif self.faults:
            raise AssertionError("\n".join([*self.faults, "", self.trace()]))


def _key(request: Message) -> Key:
    """Of the dialog of a request that came, as its receiver knows it."""
    return request.call_id, request.to_tag, request.from_tag
