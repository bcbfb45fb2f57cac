"""A stranger who floods the server with datagrams of one kind, in a process of its own.

    python -m tests.wire.flood '{"kind": "wrong", "server": [...], "rate": 2000, "seconds": 10, ...}'

prints how many datagrams it sent. It reads what it is answered and throws it away.
"""

import json
import random
import secrets
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.peers.phone import Account, Address, Answer, Caller, branch_of, final_answer
from tests.peers.process import Process

SOURCES: Final = 20
STEP_SECONDS: Final = 0.01
ROOT: Final = Path(__file__).parents[2]
KINDS: Final = (
    "register",
    "wrong",
    "replayed",
    "names",
    "contacts",
    "invite",
    "options",
    "garbage",
    "responses",
    "tokens",
    "large",
    "fragments",
)
CONTACTS: Final = 120
LARGE: Final = 60_000


@dataclass(frozen=True)
class Order:
    """What to send where, and how fast."""

    kind: str
    server: Address
    rate: int
    seconds: float
    username: str
    """Of a phone that exists."""
    password: str
    domain: str
    block: int
    """127.<block>.0.0/16 is where it comes from."""
    sources: int = SOURCES


class Source:
    """One socket of the stranger, with the challenge it was given."""

    def __init__(self, order: Order, number: int) -> None:
        self.order = order
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((f"127.{order.block}.{7 + number // 250}.{number % 250 + 1}", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 2**20)
        self.caller = self.named(order.username, "w" * 32)
        self.captured = b""

    def named(self, username: str, password: str) -> Caller:
        return Caller(Account(username, password, self.order.domain), self.socket.getsockname()[:2])

    def ask(self, request: bytes) -> Answer:
        """Send, and wait for the answer."""
        self.socket.settimeout(5.0)
        for _ in range(20):
            self.socket.sendto(request, self.order.server)
            try:
                answer = final_answer(self.socket.recv(65_535), branch_of(request))
            except TimeoutError:
                continue
            if answer is not None:
                return answer
        raise TimeoutError("no answer before the flood")

    def drain(self) -> None:
        try:
            while True:
                self.socket.recv(65_535, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return


# What is sent: each maker is asked once for each datagram


def register(source: Source) -> bytes:
    return source.caller.register()


def wrong(source: Source) -> bytes:
    return source.caller.register(extra=[source.caller.credentials("REGISTER", f"sip:{source.order.domain}")])


def replayed(source: Source) -> bytes:
    branch = b"z9hG4bK" + secrets.token_hex(8).encode()
    return source.captured.replace(branch_of(source.captured), branch)


def names(source: Source) -> bytes:
    request = wrong(source)
    return request.replace(source.order.username.encode(), secrets.token_hex(16).encode())


def contacts(source: Source) -> bytes:
    many = ", ".join(f"<sip:c{number}@192.0.2.1>" for number in range(CONTACTS))
    return source.caller.register(contact=many)


def invite(source: Source) -> bytes:
    uri = f"sip:200@{source.order.domain}"
    return source.caller.request("INVITE", uri, uri, [f"Contact: <{source.caller.contact}>"])


def options(source: Source) -> bytes:
    return source.caller.options()


def garbage(source: Source) -> bytes:
    return random.randbytes(400)


def responses(source: Source) -> bytes:
    request = source.caller.register()
    return b"SIP/2.0 200 OK\r\n" + request.partition(b"\r\n")[2]


def tokens(source: Source) -> bytes:
    uri = f"sip:200@{source.order.domain}"
    route = f"Route: <sip:r{secrets.token_urlsafe(400)}@{source.order.server[0]}:{source.order.server[1]};lr>"
    return source.caller.request("BYE", uri, f"{uri}>;tag=a<", [route]).replace(b">;tag=a<>", b">;tag=a")


def large(source: Source) -> bytes:
    return source.caller.request("MESSAGE", f"sip:200@{source.order.domain}", "sip:x@y.test", (), "x" * LARGE)


def fragments(source: Source) -> bytes:
    request = wrong(source)
    cut = random.randrange(1, len(request) - 1)
    return request[:cut] if random.random() < 0.5 else request[cut:]


MAKERS: Final[dict[str, Callable[[Source], bytes]]] = {
    maker.__name__: maker
    for maker in (
        register, wrong, replayed, names, contacts, invite,
        options, garbage, responses, tokens, large, fragments,
    )
}  # fmt: skip


def flood(order: Order) -> int:
    """Send; the number of datagrams that left."""
    sources = [Source(order, number) for number in range(order.sources)]
    for source in sources:
        _prepare(source)
    selector = selectors.DefaultSelector()
    for source in sources:
        source.socket.setblocking(False)
        selector.register(source.socket, selectors.EVENT_READ, source)
    sent = 0
    begin = time.monotonic()
    for due in _steps(begin, order):
        while sent < due:
            source = sources[sent % order.sources]
            try:
                source.socket.sendto(MAKERS[order.kind](source), order.server)
            except BlockingIOError:
                break
            sent += 1
        for key, _ in selector.select(0):
            key.data.drain()
    return sent


def _steps(begin: float, order: Order) -> Iterator[float]:
    """How many must have left by now, each hundredth of a second."""
    while (passed := time.monotonic() - begin) < order.seconds:
        yield passed * order.rate
        time.sleep(STEP_SECONDS)


def _prepare(source: Source) -> None:
    """Get a challenge, and where it is asked for a right answer to replay."""
    assert source.caller.learn(source.ask(source.caller.register()))
    if source.order.kind == "replayed":
        owner = source.named(source.order.username, source.order.password)
        assert owner.learn(source.ask(owner.register()))
        line = owner.credentials("REGISTER", f"sip:{source.order.domain}")
        source.captured = owner.register(extra=[line])
        source.ask(source.captured)


class Flood(Process):
    """The program; it gives way to everybody else, who are measured."""

    def __init__(self, tmp: Path, order: Order) -> None:
        argv = ["nice", "-n", "5", sys.executable, "-m", "tests.wire.flood", json.dumps(asdict(order))]
        super().__init__(f"flood-{order.kind}", argv, tmp, environment={"PYTHONPATH": str(ROOT)})
        self._order = order

    def over(self) -> int:
        """Wait for its end: how many datagrams it sent."""
        assert self.wait(60 + 6 * self._order.seconds) == 0, self.last_lines()
        return int(self.out.read_text())


def main() -> None:
    order = Order(**json.loads(sys.argv[1]))
    print(flood(Order(**{**asdict(order), "server": tuple(order.server)})))


if __name__ == "__main__":
    main()
