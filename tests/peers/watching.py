"""A phone of our own with lamps: it subscribes to others and keeps every NOTIFY; it is strict."""

import asyncio
import secrets
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from tests.patience import limit
from tests.peers import calling_message
from tests.peers.calling_line import LOCAL, Line, open_line, quiet
from tests.peers.calling_message import Message, NotSip, param, read, uri_of
from tests.peers.phone import DEADLINE, Account, Address, Answer, Caller

SPACE: Final = "{urn:ietf:params:xml:ns:dialog-info}"
POLL_SECONDS: Final = 0.005
SOON: Final = 5.0


@dataclass(frozen=True)
class Notify:
    """One NOTIFY that came."""

    at: float
    message: Message

    @property
    def state(self) -> str:
        """Of the subscription."""
        return self.message.header("subscription-state")

    @property
    def cseq(self) -> int:
        return self.message.cseq[0]

    @property
    def version(self) -> int:
        return int(self._root.attrib["version"])

    @property
    def line(self) -> str:
        """The state of its one dialog."""
        (dialog,) = self._root.findall(f"{SPACE}dialog")
        return dialog.findtext(f"{SPACE}state") or ""

    @property
    def _root(self) -> ET.Element:
        return ET.fromstring(self.message.body)


@dataclass
class Lamp:
    """One subscription, as the phone knows it."""

    phone: "WatchingPhone"
    caller: Caller
    uri: str
    package: str
    told: list[Notify] = field(default_factory=list)
    target: str = ""
    """The Contact of the server: where a refresh goes."""
    remote: str = ""
    """The server's address with its tag."""
    status: int = 200
    """How a NOTIFY is answered; 0: not at all."""

    async def ask(self, expires: int = 600, *, phone: "WatchingPhone | None" = None) -> Answer:
        """SUBSCRIBE, or refresh once there is a dialog; with credentials if it is challenged."""
        sender = phone or self.phone
        if phone is not None:
            self.caller.sent_by, self.caller.contact = phone.caller.sent_by, phone.caller.contact
        answer = await sender.exchange(self._request(expires))
        if answer.status == 407 and self.caller.learn(answer):
            uri = self.target or self.uri
            answer = await sender.exchange(self._request(expires, self.caller.credentials("SUBSCRIBE", uri)))
        if answer.status == 200:
            self.target, self.remote = uri_of(answer.header("contact")), answer.header("to")
        return answer

    def _request(self, expires: int, *more: str) -> bytes:
        lines = [f"Contact: <{self.caller.contact}>", f"Event: {self.package}", f"Expires: {expires}", *more]
        request = self.caller.request("SUBSCRIBE", self.target or self.uri, self.uri, lines)
        if self.remote:
            request = request.replace(f"To: <{self.uri}>".encode(), f"To: {self.remote}".encode(), 1)
        return request

    async def until(self, holds: Callable[[Notify], bool], what: str, within: float = SOON) -> Notify:
        """The newest NOTIFY, once it is as it should be."""
        begin = time.monotonic()
        while not self.told or not holds(self.told[-1]):
            assert time.monotonic() - begin < limit(within), f"no NOTIFY: {what}\n{self.phone.trace()}"
            await asyncio.sleep(POLL_SECONDS)
        return self.told[-1]

    async def shows(self, line: str, within: float = SOON) -> Notify:
        """The newest NOTIFY, once the lamp shows that state."""
        return await self.until(lambda one: bool(one.message.body) and one.line == line, line, within)


class WatchingPhone:
    """One phone on one line. Use it as a context: its end closes the line and tells all faults."""

    def __init__(self, account: Account, line: Line) -> None:
        self.account = account
        self.line = line
        self.caller = Caller(account, line.address, transport=line.transport)
        self.lamps: list[Lamp] = []
        self.faults: list[str] = []
        self.messages: list[str] = []
        line.hears, line.ends = self._hear, self._lose
        self._answers: asyncio.Queue[Answer] = asyncio.Queue()

    @classmethod
    async def open(
        cls, account: Account, server: Address, transport: str = "udp", *, source: Address = LOCAL
    ) -> Self:
        """A phone with a line to a server, not registered yet."""
        return cls(account, await open_line(server, transport, source))

    async def register(self, expires: int = 3600) -> Answer:
        steps = self.caller.registration(expires)
        request = next(steps)
        while True:
            try:
                request = steps.send(await self.exchange(request))
            except StopIteration as done:
                answer: Answer = done.value
                return answer

    async def watch(self, user: str, package: str = "dialog", expires: int = 600) -> Lamp:
        """A subscription that was accepted."""
        lamp = self.lamp(user, package)
        answer = await lamp.ask(expires)
        assert answer.status == 200, answer
        return lamp

    def lamp(self, user: str, package: str = "dialog") -> Lamp:
        """A key that has not asked yet."""
        caller = Caller(self.account, self.line.address, transport=self.line.transport)
        caller.contact = self.caller.contact
        lamp = Lamp(self, caller, f"sip:{user}@{self.account.domain}", package)
        self.lamps.append(lamp)
        return lamp

    async def publish(self, user: str, body: str = "", expires: int = 600, *, match: str = "") -> Answer:
        """PUBLISH a document of presence, with credentials if it is challenged."""
        uri = f"sip:{user}@{self.account.domain}"
        lines = ["Event: presence", f"Expires: {expires}"]
        lines += [f"SIP-If-Match: {match}"] if match else []
        lines += ["Content-Type: application/pidf+xml"] if body else []
        caller = Caller(self.account, self.line.address, transport=self.line.transport)
        answer = await self.exchange(caller.request("PUBLISH", uri, uri, lines, body))
        if answer.status == 407 and caller.learn(answer):
            lines.append(caller.credentials("PUBLISH", uri))
            answer = await self.exchange(caller.request("PUBLISH", uri, uri, lines, body))
        return answer

    async def exchange(self, request: bytes) -> Answer:
        """The final answer to a request. Raises TimeoutError."""
        self.messages.append("-> " + request.decode())
        self.line._waiting.clear()
        return await self.line.exchange(request, DEADLINE)

    def _hear(self, raw: bytes) -> None:
        self.messages.append("<- " + raw.decode(errors="replace"))
        try:
            message = read(raw)
        except NotSip as error:
            self.faults.append(f"{error} in {raw!r}")
            return
        self.faults += [f"{fault} [{message.first}]" for fault in calling_message.faults(message)]
        if not message.is_request:
            super(Line, self.line).take(raw)
        elif message.method == "NOTIFY":
            self._hear_notify(message)
        else:
            self._reply(message, 501)

    def _hear_notify(self, message: Message) -> None:
        lamp = next((one for one in self.lamps if one.caller.call_id == message.call_id), None)
        if lamp is None:
            self._reply(message, 481)
            return
        if any(one.cseq == message.cseq[0] for one in lamp.told):
            self._reply(message, lamp.status)  # a retransmission
            return
        if message.uri != lamp.caller.contact:
            self.faults.append(f"the Request-URI is not our Contact [{message.first}]")
        if param(message.header("from"), "tag") not in ("", param(lamp.remote, "tag")) and lamp.remote:
            self.faults.append("a NOTIFY of another dialog")
        lamp.told.append(Notify(time.monotonic(), message))
        if lamp.status:
            self._reply(message, lamp.status)

    def _reply(self, request: Message, status: int) -> None:
        rows = [f"Via: {value}" for value in request.all("via")]
        to = request.header("to")
        to = to if "tag=" in to else f"{to};tag={secrets.token_hex(4)}"
        head = [
            f"SIP/2.0 {status} Said",
            *rows,
            f"From: {request.header('from')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.header('cseq')}",
            "Content-Length: 0",
        ]
        self.line.send(("\r\n".join(head) + "\r\n\r\n").encode())

    def _lose(self, error: ConnectionError) -> None:
        self.messages.append(f"-- {error}")

    def trace(self) -> str:
        """All that went over its line."""
        return "\n".join(self.messages)

    async def close(self) -> None:
        await quiet(self.line)

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
