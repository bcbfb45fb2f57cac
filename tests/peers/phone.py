"""A small phone of our own: the messages it says, and a phone that blocks until they are answered."""

import re
import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from tests.peers.digest import Challenge, authorization, parse_challenge
from tests.peers.pipe import MAX_DATAGRAM as MAX_DATAGRAM
from tests.peers.pipe import Address as Address
from tests.peers.pipe import Pipe, UdpPipe

T1: Final = 0.5
T2: Final = 4.0
DEADLINE: Final = 64 * T1
"""Timers of RFC 3261 section 17.1.2: first retransmission, longest distance, the end (Timer F)."""
STALE_TRIES: Final = 4
"""So often a nonce may be stale: a server may be killed again and again before its answer leaves."""
COMPACT: Final = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}
BRANCH: Final = re.compile(rb"branch=([^;,\s]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Account:
    """What a phone needs to register."""

    username: str
    password: str = field(repr=False)
    domain: str

    @property
    def uri(self) -> str:
        return f"sip:{self.username}@{self.domain}"


@dataclass(frozen=True)
class Answer:
    """A response as it came."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    """Names in small letters, compact ones written out."""
    raw: bytes

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name.lower()]

    def header(self, name: str) -> str:
        """The first value of that name, empty when there is none."""
        return next(iter(self.all(name)), "")

    @property
    def challenges(self) -> list[Challenge]:
        values = self.all("www-authenticate") + self.all("proxy-authenticate")
        return [challenge for value in values if (challenge := parse_challenge(value))]

    def granted(self, contact: str) -> int | None:
        """The seconds that this answer grants `contact`; None when it does not list it."""
        for value in self.all("contact"):
            if match := re.search(rf"<{re.escape(contact)}>[^,]*?;expires=(\d+)", value, re.IGNORECASE):
                return int(match[1])
        return None


def parse_answer(raw: bytes) -> Answer:
    """The response in `raw`. Raises ValueError when it is none."""
    head = raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    first, *lines = head.split("\r\n")
    version, _, rest = first.partition(" ")
    code, _, reason = rest.partition(" ")
    if version != "SIP/2.0" or not code.isdecimal():
        raise ValueError(f"not a response: {first!r}")
    split = [line.partition(":") for line in lines]
    headers = [(name.strip().lower(), value.strip()) for name, _, value in split]
    return Answer(int(code), reason, tuple((COMPACT.get(name, name), value) for name, value in headers), raw)


def branch_of(message: bytes) -> bytes:
    """The branch of the topmost Via: what joins an answer to its request."""
    match = BRANCH.search(message)
    return match[1] if match else b""


def retransmissions(deadline: float) -> Iterator[float]:
    """How long to wait after each sending of a request, until the deadline is reached."""
    wait, left = T1, deadline
    while left > 0:
        yield min(wait, left)
        left -= wait
        wait = min(2 * wait, T2)


class Caller:
    """What one phone says: it numbers its requests and answers challenges, and knows no socket."""

    def __init__(
        self,
        account: Account,
        address: Address,
        *,
        transport: str = "UDP",
        user_agent: str = "tests.peers",
        call_id: str = "",
        instance: str = "",
    ) -> None:
        """`address` is what we call ourselves; port 0 is left out. `instance` is a UUID."""
        self.account = account
        self.call_id = call_id or secrets.token_hex(12)
        self.cseq = 0
        self.contact = ""
        """Its URI."""
        self.sent_by = ""
        """How its Vias begin."""
        self._transport = transport
        self._about = f';+sip.instance="<urn:uuid:{instance}>"' if instance else ""
        self.move(address)
        self._tag = secrets.token_hex(4)
        self._user_agent = user_agent
        self._header = "Authorization"
        self._challenge: Challenge | None = None
        self._counts: dict[str, int] = {}

    def move(self, address: Address) -> None:
        """Speak from another address, as after a new connection."""
        host, port = address
        here = f"[{host}]" if ":" in host else host
        here += f":{port}" if port else ""
        self.contact = f"sip:{self.account.username or 'nobody'}@{here}"
        if self._transport != "UDP":  # RFC 7118 section 5.2: `ws` also over TLS
            self.contact += f";transport={self._transport.lower().replace('wss', 'ws')}"
        self.sent_by = f"SIP/2.0/{self._transport} {here}"

    def register(
        self, expires: int | None = 3600, *, contact: str | None = None, extra: Sequence[str] = ()
    ) -> bytes:
        """A REGISTER for our contact, or for the given value of Contact; `extra` are whole header lines."""
        value = f"<{self.contact}>{self._about}" if contact is None else contact
        lines = [f"Contact: {value}"] if value else []
        lines += [] if expires is None else [f"Expires: {expires}"]
        return self.request("REGISTER", f"sip:{self.account.domain}", self.account.uri, [*lines, *extra])

    def options(self, target: str = "", *, extra: Sequence[str] = ()) -> bytes:
        """An OPTIONS to the domain, or to `target`."""
        uri = target or f"sip:{self.account.domain}"
        return self.request("OPTIONS", uri, uri, extra)

    def request(self, method: str, uri: str, to: str, lines: Sequence[str] = (), body: str = "") -> bytes:
        """Any request, with the next CSeq and a branch of its own."""
        self.cseq += 1
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: {self.sent_by};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <{self.account.uri}>;tag={self._tag}",
            f"To: <{to}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"User-Agent: {self._user_agent}",
            *lines,
            f"Content-Length: {len(body.encode())}",
        ]
        return ("\r\n".join(head) + "\r\n\r\n" + body).encode()

    def learn(self, answer: Answer) -> bool:
        """Keep the first challenge of `answer` that we can compute; False when it has none."""
        self._challenge = next((offer for offer in answer.challenges if offer.known), self._challenge)
        self._header = "Proxy-Authorization" if answer.status == 407 else "Authorization"
        return self._challenge in answer.challenges

    def credentials(self, method: str, uri: str) -> str:
        """The header line that answers the challenge kept; its nonce count rises with each call."""
        if self._challenge is None:
            raise ValueError("no challenge was learnt")
        self._counts[self._challenge.nonce] = count = self._counts.get(self._challenge.nonce, 0) + 1
        account = self.account
        value = authorization(self._challenge, account.username, account.password, method, uri, count=count)
        return f"{self._header}: {value}"

    def registration(
        self, expires: int | None = 3600, *, contact: str | None = None, reuse: bool = False
    ) -> Generator[bytes, Answer, Answer]:
        """A whole registration: yields requests, takes their answers, returns the last answer.

        `reuse` starts with the challenge kept. A stale nonce is asked again, any other 401 is final.
        """
        uri = f"sip:{self.account.domain}"
        authorized = [self.credentials("REGISTER", uri)] if reuse and self._challenge else []
        answer = yield self.register(expires, contact=contact, extra=authorized)
        for _ in range(STALE_TRIES):
            stale = any(challenge.stale for challenge in answer.challenges)
            if answer.status != 401 or (authorized and not stale) or not self.learn(answer):
                break
            authorized = [self.credentials("REGISTER", uri)]
            answer = yield self.register(expires, contact=contact, extra=authorized)
        return answer


class BlockingPhone:
    """A phone that blocks: one request at a time. Where messages get lost it sends them again (RFC 3261)."""

    retransmits = False

    def __init__(self, caller: Caller, pipe: Pipe) -> None:
        self.caller = caller
        self.pipe = pipe
        self.sent: list[bytes] = []
        """Every request as it went over the wire, without retransmissions; tests replay them."""

    def register(
        self,
        expires: int | None = 3600,
        *,
        contact: str | None = None,
        reuse: bool = False,
        deadline: float = DEADLINE,
    ) -> Answer:
        """A whole registration: the final answer, whatever its status. Raises TimeoutError, HungUp."""
        steps = self.caller.registration(expires, contact=contact, reuse=reuse)
        request = next(steps)
        while True:
            try:
                request = steps.send(self.exchange(request, deadline))
            except StopIteration as done:
                return final(done)

    def exchange(self, request: bytes, deadline: float = DEADLINE) -> Answer:
        """Send, and return the final answer. Raises HungUp, TimeoutError when none came in time."""
        self.sent.append(request)
        for wait in retransmissions(deadline) if self.retransmits else (deadline,):
            self.send(request)
            if answer := self._await(branch_of(request), time.monotonic() + wait):
                return answer
        raise TimeoutError(f"no final answer within {deadline:g} s")

    def send(self, message: bytes) -> None:
        """Send raw bytes and wait for nothing."""
        self.pipe.send(message)

    def _await(self, branch: bytes, until: float) -> Answer | None:
        while (left := until - time.monotonic()) > 0:
            raw = self.pipe.receive(left)
            if raw is None:
                return None
            if answer := final_answer(raw, branch):
                return answer
        return None

    def close(self) -> None:
        self.pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class UdpPhone(BlockingPhone):
    """A phone with a UDP socket of its own."""

    retransmits = True

    def __init__(
        self,
        account: Account,
        server: Address,
        *,
        source: Address = ("127.0.0.1", 0),
        user_agent: str = "phone",
    ) -> None:
        pipe = UdpPipe(server, source)
        super().__init__(Caller(account, pipe.address, user_agent=user_agent), pipe)


def final_answer(raw: bytes, branch: bytes) -> Answer | None:
    """The final answer in `raw` to the request with that branch, if it is one."""
    if not raw.startswith(b"SIP/2.0 ") or branch_of(raw) != branch:
        return None
    answer = parse_answer(raw)
    return answer if answer.status >= 200 else None


def final(done: StopIteration) -> Answer:
    """What a `registration` returned, with its type."""
    if not isinstance(done.value, Answer):
        raise TypeError(f"a registration ends with an answer, not with {done.value!r}")
    return done.value
