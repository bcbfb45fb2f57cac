"""Lines for bytes that no phone would send, and for answers that nobody awaits: UDP, TCP, TLS, ws and wss."""

import time
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from tests.patience import limit
from tests.peers.phone import Address, Answer, parse_answer
from tests.peers.pipe import HungUp, Pipe, UdpPipe
from tests.peers.stream import TcpPipe, trusting
from tests.peers.websocket_phone import WsPipe

ANSWER_SECONDS: Final = limit(5.0)
PROBE: Final = """\
OPTIONS sip:{host}:{port} SIP/2.0\r
Via: SIP/2.0/{transport} {here}:{source};branch=z9hG4bKprobe{number};rport\r
Max-Forwards: 70\r
From: <sip:probe@{here}>;tag=probe\r
To: <sip:{host}:{port}>\r
Call-ID: probe{number}\r
CSeq: {number} OPTIONS\r
Content-Length: 0\r
\r
"""

P = TypeVar("P", bound=Pipe)


class AnyLine(Generic[P]):
    """Sends bytes to one server and gives back what comes."""

    def __init__(self, pipe: P, server: Address, transport: str) -> None:
        self.pipe = pipe
        self._server = server
        self._transport = transport
        self._probes = 0

    @property
    def address(self) -> Address:
        return self.pipe.address

    def send(self, data: bytes) -> None:
        self.pipe.send(data)

    def receive(self, within: float = ANSWER_SECONDS) -> bytes | None:
        """The next message, None when there is none in time. Raises HungUp."""
        return self.pipe.receive(within)

    def ask(self, data: bytes) -> Answer:
        """Send once and return the answer."""
        self.send(data)
        raw = self.receive()
        assert raw is not None, f"no answer to {data[:200]!r}"
        return parse_answer(raw)

    def answers_within(self, seconds: float) -> list[Answer]:
        """All answers that come in this time."""
        answers: list[Answer] = []
        deadline = time.monotonic() + seconds
        while raw := self.receive(max(0.001, deadline - time.monotonic())):
            answers.append(parse_answer(raw))
        return answers

    def answers_until_probed(self, data: bytes) -> list[Answer]:
        """All answers to `data` that come before the answer to an OPTIONS sent after it."""
        self.send(data)
        self.send(self.next_probe())
        return self._until_probe()

    def answers_until_closed(self, within: float = ANSWER_SECONDS) -> tuple[list[Answer], HungUp | None]:
        """All answers that come, and how the server hung up; None: it did not in this time."""
        answers: list[Answer] = []
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            try:
                raw = self.receive(left)
            except HungUp as end:
                return answers, end
            if raw is not None:
                answers.append(parse_answer(raw))
        return answers, None

    def alive(self) -> list[Answer]:
        """Send an OPTIONS and wait for its 200; whatever came before it is the result."""
        self.send(self.next_probe())
        return self._until_probe()

    def next_probe(self) -> bytes:
        self._probes += 1
        here, source = self.address
        host, port = self._server
        return PROBE.format(
            host=host, port=port, transport=self._transport, here=here, source=source, number=self._probes
        ).encode()

    def _until_probe(self) -> list[Answer]:
        mine = f"probe{self._probes}"
        others: list[Answer] = []
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            raw = self.receive(max(0.01, deadline - time.monotonic()))
            if raw is None:
                break
            answer = parse_answer(raw)
            if answer.header("call-id") == mine:
                assert answer.status == 200, raw
                return others
            others.append(answer)
        raise AssertionError("the server does not answer OPTIONS any more")

    def close(self) -> None:
        self.pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Line(AnyLine[UdpPipe]):
    """One UDP socket."""

    def __init__(self, server: Address, source: Address = ("127.0.0.1", 0)) -> None:
        super().__init__(UdpPipe(server, source), server, "UDP")


class TcpLine(AnyLine[TcpPipe]):
    """One TCP connection, or with `secure` one of TLS."""

    def __init__(self, server: Address, source: Address = ("127.0.0.1", 0), *, secure: bool = False) -> None:
        pipe = TcpPipe(server, source, trusting() if secure else None)
        super().__init__(pipe, server, "TLS" if secure else "TCP")


class WsLine(AnyLine[WsPipe]):
    """One WebSocket, or with `secure` one over TLS; the frames are made by a library."""

    def __init__(self, server: Address, source: Address = ("127.0.0.1", 0), *, secure: bool = False) -> None:
        super().__init__(WsPipe(server, secure=secure, source=source), server, "WSS" if secure else "WS")
