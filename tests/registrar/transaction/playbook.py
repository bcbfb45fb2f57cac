"""A layer with a clock turned by hand, and words for what it does."""

from typing import assert_never

from registrar.model import Flow, Mono
from registrar.sip import Request, Response, answer, parse
from registrar.transaction import (
    Action,
    Answered,
    Deliver,
    Ended,
    Failed,
    Key,
    Layer,
    Send,
    TimedOut,
    Timers,
)

T1 = 0.5
T2 = 4.0
T4 = 5.0
TICK = 1 / 1024
"""A moment that adds up without rounding."""
BRANCH = "z9hG4bKnashds8"

Seen = list[tuple[float, str]]
"""What happened, with the second at which it did."""


def flow(transport: str = "udp", port: int = 40_000, number: int = 7) -> Flow:
    return Flow(transport, "192.0.2.1", 5060, "198.51.100.9", port, number)


def request(
    method: str,
    *,
    branch: str = BRANCH,
    sent_by: str = "10.0.0.7:5060",
    call_id: str = "a84b4c76e66710",
    cseq: int = 1,
    to_tag: str = "",
    more: str = "",
) -> Request:
    """A request as a phone writes it; without a branch it is one of RFC 2543."""
    written = f";branch={branch}" if branch else ""
    text = (
        f"{method} sip:bob@example.org SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {sent_by}{written}\r\n"
        "Max-Forwards: 70\r\n"
        "From: Alice <sip:alice@example.org>;tag=1928301774\r\n"
        f"To: Bob <sip:bob@example.org>{';tag=' + to_tag if to_tag else ''}\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        f"{more}Content-Length: 0\r\n\r\n"
    )
    message = parse(text.encode())
    assert isinstance(message, Request)
    return message


def response(to: Request, status: int, to_tag: str = "b") -> Response:
    """An answer as it comes off the wire."""
    message = parse(bytes(answer(to, status, "Word", to_tag="" if status == 100 else to_tag)))
    assert isinstance(message, Response)
    return message


def words(action: Action) -> str:
    """An action in two words."""
    match action:
        case Send(data=data):
            first = data.split(b" ", 2)
            return f"send {(first[1] if first[0] == b'SIP/2.0' else first[0]).decode()}"
        case Deliver(request=ack):
            return f"deliver {ack.method}"
        case Answered(response=got):
            return f"answered {got.status}"
        case TimedOut():
            return "timed out"
        case Failed():
            return "failed"
        case Ended():
            return "ended"
        case _:
            assert_never(action)


def said(actions: list[Action] | None) -> list[str] | None:
    """Actions in words; None stays None."""
    return None if actions is None else [words(action) for action in actions]


class Playbook:
    """One layer. Each verb does what the driver would do; `wait` lets the time pass and every timer fire."""

    def __init__(self, transport: str = "udp", timers: Timers | None = None, limit: int = 200_000) -> None:
        self.layer = Layer(timers or Timers(), limit)
        self.flow = flow(transport)
        self.over: dict[Key, Flow] = {}
        self.now = Mono(0.0)
        self.requests: dict[Key, Request] = {}

    def comes(self, message: Request) -> list[str] | None:
        """A request comes from the wire."""
        return said(self.layer.absorb(message, self.flow, self.now))

    def accept(self, message: Request) -> Key:
        """A new request comes from the wire and is let in."""
        assert self.layer.absorb(message, self.flow, self.now) is None
        key = self.layer.accept(message, self.flow, self.now)
        assert key is not None
        self.requests[key] = message
        return key

    def respond(self, key: Key, status: int, to_tag: str = "b") -> list[str] | None:
        """Our handler answers."""
        return said(self.layer.respond(key, response(self.requests[key], status, to_tag), self.now))

    def ask(self, message: Request) -> Key:
        """We send a request."""
        key, actions = self.layer.request(message, self.flow, self.now)
        assert actions == [Send(bytes(message), self.flow, key)]
        self.over[key] = self.flow
        self.requests[key] = message
        return key

    def answered(self, key: Key, status: int, to_tag: str = "b") -> list[str] | None:
        """The other side answers our request."""
        way, made = self.over.get(key, self.flow), response(self.requests[key], status, to_tag)
        return said(self.layer.receive(made, way, self.now))

    def fails(self, key: Key) -> list[str] | None:
        """The transport could not send."""
        return said(self.layer.failed(key, self.now))

    def wait(self, seconds: float) -> Seen:
        """The time passes."""
        until = self.now + seconds
        seen: Seen = []
        while (due := self.layer.deadline()) is not None and due <= until:
            assert due >= self.now
            self.now = due
            seen += [(due, words(action)) for action in self.layer.tick(due)]
        self.now = Mono(until)
        return seen

    @property
    def empty(self) -> bool:
        """Whether nothing is left, of any kind."""
        return len(self.layer) == 0 and self.layer.deadline() is None
