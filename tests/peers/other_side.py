"""The other side of a browser's WebSocket: it registers whoever asks, all else the test says itself."""

import queue
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.patience import limit
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed
from tests.peers.websocket_phone import SIP

ANSWER_SECONDS: Final = limit(10.0)
ECHOED: Final = ("Via", "From", "To", "Call-ID", "CSeq")
HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Message:
    """One SIP message, as far as these tests look into it."""

    start: str
    rows: tuple[tuple[str, str], ...]
    body: str

    @property
    def kind(self) -> str:
        """The method of a request, the status of an answer."""
        first, second, *_ = self.start.split()
        return second if first == "SIP/2.0" else first

    def __getitem__(self, name: str) -> str:
        return next(value for known, value in self.rows if known.lower() == name.lower())


class OtherSide:
    """A server on loopback for one page at a time."""

    def __init__(self, refusal: Sequence[str] = ()) -> None:
        """`refusal` is the answer to each REGISTER in place of a 200: status and reason, then headers."""
        self._refusal = refusal
        self._port = free_port()
        self._server = serve(self._talk, HOST, self._port, subprotocols=[SIP], compression=None)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._connection: ServerConnection | None = None
        self._contact = ""
        self._came: queue.Queue[Message] = queue.Queue()

    @property
    def connected(self) -> bool:
        """Whether a page has ever connected."""
        return self._connection is not None

    @property
    def url(self) -> str:
        """Where the page connects to."""
        return f"ws://{HOST}:{self._port}"

    def expect(self, kind: str) -> Message:
        """The next request of a method or answer of a status; what came before it is thrown away."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                message = self._came.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise PeerFailed(f"the page sent no {kind} within {ANSWER_SECONDS:g} s") from None
            if message.kind == kind:
                return message

    def answer(self, request: Message, status: str, *rows: str) -> None:
        """Answer a request, with headers beside those that every answer has."""
        echoed = dict.fromkeys(ECHOED, "") | {name: value for name, value in request.rows if name in ECHOED}
        if ";tag=" not in echoed["To"]:
            echoed["To"] += ";tag=other"
        self._send(f"SIP/2.0 {status}", *(f"{name}: {value}" for name, value in echoed.items()), *rows)

    def invite(self, caller: str, *rows: str) -> "Call":
        """Call the page without an offer; `caller` is what From names: `"Name" <sip:number@host>`."""
        call = Call(self, f"z9hG4bK{secrets.token_hex(8)}", secrets.token_hex(8), caller, self._contact)
        call.send("INVITE", f"Contact: <sip:other@{HOST}>", *rows)
        return call

    def _send(self, start: str, *rows: str) -> None:
        if self._connection is None:
            raise PeerFailed("no page is connected")
        self._connection.send("\r\n".join([start, *rows, "Content-Length: 0", "", ""]))

    def send_request(self, method: str, uri: str, rows: list[str]) -> None:
        """Send a request, to which the headers belong as they are."""
        self._send(f"{method} {uri} SIP/2.0", *rows)

    def _talk(self, connection: ServerConnection) -> None:
        self._connection = connection
        try:
            for text in connection:
                self._take(text if isinstance(text, str) else text.decode())
        except ConnectionClosed:
            pass

    def _take(self, text: str) -> None:
        message = _read(text)
        if message.kind != "REGISTER":
            self._came.put(message)
            return
        if self._refusal:
            self.answer(message, *self._refusal)
            return
        self._contact = message["Contact"].partition("<")[2].partition(">")[0]
        self.answer(message, "200 OK", f"Contact: {message['Contact']};expires=600")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()


@dataclass(frozen=True)
class Call:
    """A call to the page that it has not answered yet."""

    side: OtherSide
    branch: str
    id: str
    caller: str
    target: str

    def send(self, method: str, *rows: str) -> None:
        """The INVITE itself, or the CANCEL or ACK that goes with it."""
        common = [
            f"Via: SIP/2.0/WS {HOST};branch={self.branch}",
            f"From: {self.caller};tag=caller",
            f"To: <{self.target}>",
            f"Call-ID: {self.id}",
            f"CSeq: 1 {method}",
            "Max-Forwards: 70",
        ]
        self.side.send_request(method, self.target, [*common, *rows])


def _read(text: str) -> Message:
    head, _, body = text.partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Message(start, tuple((name.strip(), value.strip()) for name, _, value in pairs), body)
