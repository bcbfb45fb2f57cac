"""The two sides of a call of a calling phone, and what either side does in it."""

import asyncio
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tests.patience import limit
from tests.peers.calling_dialog import Dialog, joined
from tests.peers.calling_message import Message, display_of, uri_of, user_of
from tests.peers.calling_transactions import Client, Server, acknowledgement

if TYPE_CHECKING:
    from tests.peers.calling import CallingPhone

SOON: Final = 5.0
"""Seconds that anything may take which nobody is meant to wait for."""
SDP: Final = "Content-Type: application/sdp"


def sdp(port: int = 40_000, *, user: str = "-", version: int = 1, direction: str = "sendrecv") -> bytes:
    """What a plain phone says about its sound; nobody listens on that port."""
    lines = [
        "v=0", f"o={user} 4711 {version} IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
        f"m=audio {port} RTP/AVP 8 0 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", f"a={direction}",
    ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines).encode()


def web_sdp(port: int = 9, *, user: str = "-", version: int = 1, direction: str = "sendrecv") -> bytes:
    """What a browser says about its sound, in short."""
    print_of = ":".join(["A7"] * 32)
    lines = [
        "v=0", f"o={user} 4711 {version} IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        f"m=audio {port} UDP/TLS/RTP/SAVPF 111 8 0 126", "c=IN IP4 127.0.0.1", "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=candidate:1 1 udp 2122260223 127.0.0.1 {port} typ host", "a=ice-ufrag:aB3d",
        "a=ice-pwd:0123456789abcdefghijklmn", f"a=fingerprint:sha-256 {print_of}", "a=setup:actpass",
        "a=mid:0", f"a={direction}", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2", "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000", "a=rtpmap:126 telephone-event/8000",
    ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines).encode()


class Session:
    """One side of a dialog. Its number of the dialog is there once both sides have a tag."""

    def __init__(self, phone: "CallingPhone", dialog: Dialog | None = None) -> None:
        self.phone = phone
        self._dialog = dialog
        self.invites: list[Client] = []
        """INVITEs of ours in it: each 2xx to one of them gets its ACK, also when it comes again."""
        self.acks = True
        """Whether 2xx are acknowledged at all."""

    @property
    def dialog(self) -> Dialog:
        assert self._dialog is not None, "there is no dialog yet"
        return self._dialog

    @dialog.setter
    def dialog(self, dialog: Dialog) -> None:
        self._dialog = dialog
        self.phone.keep(self, dialog)

    def begin(self, method: str, lines: Sequence[str] = (), body: bytes = b"") -> Client:
        """Send a request in the dialog."""
        head = self.dialog.head(method, self.dialog.number(), self.phone.via())
        return self.phone.ask(joined([*head, *self.phone.about(method), *_typed(lines, body)], body))

    async def request(
        self, method: str, lines: Sequence[str] = (), body: bytes = b"", within: float = SOON
    ) -> Message:
        """The final response to a request in the dialog."""
        return await self.begin(method, lines, body).final(within)

    async def bye(self, within: float = SOON) -> Message:
        """Hang up."""
        return await self.request("BYE", within=within)

    async def reinvite(self, body: bytes = b"", lines: Sequence[str] = (), within: float = SOON) -> Message:
        """Another INVITE in the call; its ACK is sent."""
        client = self.begin("INVITE", lines, body)
        self.invites.append(client)
        return await client.final(within)

    async def asked(self, method: str, within: float = SOON) -> Server:
        """The first request of that method that came in the dialog."""
        return await self.phone.asked(method, within, dialog=self.dialog)

    def acknowledge(self, client: Client, dialog: Dialog | None = None, body: bytes = b"") -> None:
        """The ACK of a 2xx: a request of its own (section 13.2.2.4)."""
        head = (dialog or self.dialog).head("ACK", client.request.cseq[0], self.phone.via())
        self.phone.say(joined([*head, *_typed([], body)], body))


class Outgoing(Session):
    """A call that this phone makes."""

    def __init__(self, phone: "CallingPhone", invite: Client, challenge: Message | None = None) -> None:
        super().__init__(phone)
        self.invite = invite
        self.challenge = challenge
        """The 407 before it; None when there was none."""
        self.dialogs: dict[str, Dialog] = {}
        """By the tag of the other side: several phones may ring."""
        self.invites.append(invite)

    def took(self, response: Message) -> None:
        """A response to the INVITE."""
        if 100 < response.status < 300 and response.to_tag and response.contact:
            known = self.dialogs.get(response.to_tag)
            if known is None:
                known = self.dialogs[response.to_tag] = Dialog.of_caller(self.invite.request, response)
                self.phone.keep(self, known)
            elif response.status >= 200:  # section 12.2.1.2 and 13.2.2.4: the route set is that of the 2xx
                fresh = Dialog.of_caller(self.invite.request, response)
                known.target, known.routes = fresh.target, fresh.routes
            if response.status >= 200 or self._dialog is None:
                self._dialog = known

    @property
    def statuses(self) -> list[int]:
        """Of all responses so far."""
        return [response.status for response in self.invite.responses]

    async def provisional(self, status: int = 180, within: float = SOON) -> Message:
        """The first response with that status."""
        return await self.invite.find(lambda response: response.status == status, within, str(status))

    async def final(self, within: float = SOON) -> Message:
        """The final response."""
        return await self.invite.final(within)

    async def answered(self, within: float = SOON) -> Message:
        """The 2xx; anything else fails."""
        response = await self.final(within)
        assert response.status == 200, f"{response}\n{self.phone.trace()}"
        return response

    def cancel(self, lines: Sequence[str] = ()) -> Client:
        """Give up."""
        return self.phone.ask(self.cancellation(lines))

    def cancellation(self, lines: Sequence[str] = ()) -> bytes:
        """The CANCEL (section 9.1): the INVITE's own Via, Route and number."""
        asked = self.invite.request
        head = acknowledgement(asked, asked).decode().replace("ACK", "CANCEL").split("\r\n")[:-3]
        return joined([*head, *lines])

    async def prack(self, response: Message, within: float = SOON) -> Message:
        """Acknowledge a provisional response (RFC 3262)."""
        number = f"{response.header('rseq')} {response.header('cseq')}"
        return await self.request("PRACK", [f"RAck: {number}"], within=within)


class Incoming(Session):
    """A call to this phone."""

    def __init__(self, phone: "CallingPhone", server: Server) -> None:
        super().__init__(phone)
        self.server = server

    @property
    def invite(self) -> Message:
        return self.server.request

    @property
    def number(self) -> str:
        """Who calls."""
        return user_of(uri_of(self.invite.header("from")))

    @property
    def name(self) -> str:
        return display_of(self.invite.header("from"))

    def ring(
        self, status: int = 180, lines: Sequence[str] = (), body: bytes = b"", *, sequence: int = 0
    ) -> None:
        """Say that it rings; with `sequence` so that it is acknowledged by PRACK."""
        self._tag()
        reliable = ["Require: 100rel", f"RSeq: {sequence}"] if sequence else []
        about = [f"Contact: <{self.phone.contact}>", *reliable]
        self.server.respond(status, [*about, *_typed(lines, body)], body)

    def answer(self, body: bytes | None = None, lines: Sequence[str] = ()) -> None:
        """Take the call."""
        self._tag()
        said = self.phone.sdp() if body is None else body
        self.server.respond(200, [*self.phone.about("INVITE"), *_typed(lines, said)], said)

    def refuse(self, status: int, lines: Sequence[str] = (), *, reason: str = "") -> None:
        """Any final answer that does not take it."""
        self.server.respond(status, lines, reason=reason)

    async def acknowledged(self, within: float = SOON) -> None:
        """Until the ACK has come. Raises TimeoutError."""
        async with asyncio.timeout(limit(within)):
            await self.server.acknowledged.wait()

    async def cancelled(self, within: float = SOON) -> Message:
        """The CANCEL; our 487 has been sent then."""
        return await self.phone.news.until(lambda: self.server.cancel, within)

    def _tag(self) -> None:
        if self._dialog is None:
            self.dialog = Dialog.of_callee(self.invite, self.server.tag)


def _typed(lines: Sequence[str], body: bytes) -> list[str]:
    given = any(line.lower().startswith("content-type") for line in lines)
    return [*lines, *([SDP] if body and not given else [])]


def fresh_branch() -> str:
    """A branch that nobody can guess."""
    return f"z9hG4bK{secrets.token_hex(10)}"
