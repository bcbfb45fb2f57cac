"""One UDP socket for bytes that no phone would send, and for answers that nobody awaits."""

import socket
import time
from types import TracebackType
from typing import Final, Self

from tests.peers.phone import MAX_DATAGRAM, Address, Answer, parse_answer

ANSWER_SECONDS: Final = 5.0
PROBE: Final = """\
OPTIONS sip:{host}:{port} SIP/2.0\r
Via: SIP/2.0/UDP {here}:{source};branch=z9hG4bKprobe{number};rport\r
Max-Forwards: 70\r
From: <sip:probe@{here}>;tag=probe\r
To: <sip:{host}:{port}>\r
Call-ID: probe{number}\r
CSeq: {number} OPTIONS\r
Content-Length: 0\r
\r
"""


class Line:
    """Sends datagrams to one server and gives back what comes."""

    def __init__(self, server: Address, source: Address = ("127.0.0.1", 0)) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(source)
        self._server = server
        self._probes = 0

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._server)

    def receive(self, within: float = ANSWER_SECONDS) -> bytes | None:
        """The next datagram, None when there is none in time."""
        self._socket.settimeout(within)
        try:
            return self._socket.recv(MAX_DATAGRAM)
        except TimeoutError:
            return None

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

    def alive(self) -> list[Answer]:
        """Send an OPTIONS and wait for its 200; whatever came before it is the result."""
        self.send(self.next_probe())
        return self._until_probe()

    def next_probe(self) -> bytes:
        self._probes += 1
        here, source = self.address
        host, port = self._server
        return PROBE.format(host=host, port=port, here=here, source=source, number=self._probes).encode()

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
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
