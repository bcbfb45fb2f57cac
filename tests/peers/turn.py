"""A TURN client (RFC 8656, RFC 6062) that asks for what it should not get, and a pipe through its relay."""

import base64
import contextlib
import hashlib
import hmac
import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Final, Self

from tests.peers.phone import Address
from tests.peers.process import PeerFailed

COOKIE: Final = 0x2112A442
ALLOCATE, CREATE_PERMISSION, CHANNEL_BIND, CONNECT, SEND, DATA = 0x003, 0x008, 0x009, 0x00A, 0x016, 0x017
SUCCESS: Final = 0x100
ERROR: Final = 0x110
USERNAME, INTEGRITY, ERROR_CODE, CHANNEL, PEER, PAYLOAD, REALM, NONCE, RELAYED, FAMILY, TRANSPORT = (
    0x006, 0x008, 0x009, 0x00C, 0x012, 0x013, 0x014, 0x015, 0x016, 0x017, 0x019
)  # fmt: skip
UDP, TCP = 17, 6
OF_IPV6: Final = b"\x02\0\0\0"
ASK_SECONDS: Final = 2.0
ASK_TIMES: Final = 10
FIRST_CHANNEL: Final = 0x4000

Attributes = list[tuple[int, bytes]]


@dataclass(frozen=True)
class Answer:
    """What the server says: 0 for yes, else the code of its refusal."""

    code: int
    attributes: dict[int, bytes]
    transaction: bytes


class TurnClient:
    """One client with one allocation, over UDP or TCP, with credentials made of the server's secret."""

    def __init__(
        self, server: Address, secret: str, *, tcp: bool = False, phone: str = "phone", source: str = ""
    ) -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        if source:
            self._socket.bind((source, 0))
        self._socket.settimeout(ASK_SECONDS)
        self._socket.connect(server)
        self._tcp = tcp
        self._username = f"{int(time.time()) + 600}:{phone}"
        digest = hmac.digest(secret.encode(), self._username.encode(), "sha1")
        self._password = base64.b64encode(digest).decode()
        self._realm = self._nonce = b""

    def allocate(self, *, transport: int = UDP, ipv6: bool = False) -> Answer:
        """Ask for a relay."""
        wanted: Attributes = [(TRANSPORT, bytes([transport, 0, 0, 0]))]
        return self.ask(ALLOCATE, wanted + ([(FAMILY, OF_IPV6)] if ipv6 else []))

    def permit(self, peer: str) -> int:
        """Ask to exchange datagrams with an address; the code of the answer, 0 for yes."""
        return self._about(CREATE_PERMISSION, peer)

    def bind(self, peer: str, port: int = 9, channel: int = FIRST_CHANNEL) -> int:
        """Ask for a channel to an address."""
        return self._about(CHANNEL_BIND, peer, port, [(CHANNEL, struct.pack("!HH", channel, 0))])

    def connect(self, peer: str, port: int) -> int:
        """Ask for a TCP connection to an address (RFC 6062)."""
        return self._about(CONNECT, peer, port)

    def send(self, peer: str, port: int, data: bytes) -> None:
        """Send data to an address, allowed or not; nothing is answered."""
        transaction = os.urandom(12)
        attributes = [(PEER, _xored(peer, port, transaction)), (PAYLOAD, data)]
        self._socket.sendall(_message(SEND, transaction, attributes))

    def ask(self, method: int, attributes: Attributes) -> Answer:
        """One request, with credentials as soon as the server has named its realm."""
        transaction = os.urandom(12)
        for _ in range(2):
            answer = self._exchange(method, transaction, attributes)
            if answer.code not in (401, 438):
                return answer
            self._realm, self._nonce = answer.attributes[REALM], answer.attributes[NONCE]
            transaction = os.urandom(12)
        return answer

    def _about(self, method: int, peer: str, port: int = 9, more: Attributes | None = None) -> int:
        for _ in range(2):  # the address is mixed with the transaction, which a stale nonce changes
            transaction = os.urandom(12)
            wanted = [(PEER, _xored(peer, port, transaction)), *(more or [])]
            answer = self._exchange(method, transaction, wanted)
            if answer.code != 438:
                break
            self._nonce = answer.attributes[NONCE]
        return answer.code

    def _exchange(self, method: int, transaction: bytes, attributes: Attributes) -> Answer:
        request = self._signed(method, transaction, attributes)
        for _ in range(1 if self._tcp else ASK_TIMES):
            self._socket.sendall(request)
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                while True:
                    answer = self._receive()
                    if answer is not None and answer.transaction == transaction:
                        return answer
        raise PeerFailed(f"the TURN server does not answer {method:#x}")

    def _signed(self, method: int, transaction: bytes, attributes: Attributes) -> bytes:
        if not self._realm:
            return _message(method, transaction, attributes)
        who = [(USERNAME, self._username.encode()), (REALM, self._realm), (NONCE, self._nonce)]
        unsigned = _message(method, transaction, [*attributes, *who])
        secret = b":".join([self._username.encode(), self._realm, self._password.encode()])
        key = hashlib.md5(secret).digest()
        longer = unsigned[:2] + struct.pack("!H", len(unsigned) - 20 + 24) + unsigned[4:]
        return longer + _attribute(INTEGRITY, hmac.digest(key, longer, "sha1"))

    def _receive(self) -> Answer | None:
        data = self._whole() if self._tcp else self._socket.recv(2_048)
        kind, length, _ = struct.unpack("!HHI", data[:8])
        if kind & SUCCESS == 0:
            return None  # an indication
        attributes = dict(_attributes(data[20 : 20 + length]))
        error = attributes.get(ERROR_CODE, bytes(4))
        return Answer(error[2] * 100 + error[3], attributes, data[8:20])

    def _whole(self) -> bytes:
        head = self._exactly(20)
        return head + self._exactly(int.from_bytes(head[2:4], "big"))

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._socket.recv(length - len(data))
            if not more:
                raise PeerFailed("the TURN server hung up")
            data += more
        return data

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Pipe:
    """A socket beside the client: what comes to it leaves by the relay for one peer, and back."""

    def __init__(self, client: TurnClient, host: str, channel: int = FIRST_CHANNEL) -> None:
        """The channel must be bound; from now on the client is the pipe's."""
        self._outer = client._socket
        self._channel = channel
        self._inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._inner.bind((host, 0))
        self._party: Address | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    @property
    def address(self) -> Address:
        """Where the party sends its sound to."""
        host, port = self._inner.getsockname()
        return host, port

    def _carry(self) -> None:
        while not self._ending.is_set():
            for ready in select.select([self._inner, self._outer], [], [], 0.1)[0]:
                with contextlib.suppress(ConnectionError):
                    data, source = ready.recvfrom(2_048)
                    if ready is self._inner:
                        self._party = source
                        self._outer.send(struct.pack("!HH", self._channel, len(data)) + data)
                    elif data[:2] == struct.pack("!H", self._channel) and self._party is not None:
                        length = int.from_bytes(data[2:4], "big")
                        self._inner.sendto(data[4 : 4 + length], self._party)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._inner.close()


def relayed(answer: Answer) -> Address:
    """The address of a relay: IPv4."""
    _, port, host = struct.unpack("!HHI", answer.attributes[RELAYED])
    return str(IPv4Address(host ^ COOKIE)), port ^ COOKIE >> 16


def _xored(peer: str, port: int, transaction: bytes) -> bytes:
    """XOR-PEER-ADDRESS (RFC 8489 section 14.2)."""
    address: IPv4Address | IPv6Address = ip_address(peer)
    mask = struct.pack("!I", COOKIE) + transaction
    host = bytes(a ^ b for a, b in zip(address.packed, mask, strict=False))
    return struct.pack("!HH", 1 if address.version == 4 else 2, port ^ COOKIE >> 16) + host


def _message(kind: int, transaction: bytes, attributes: Attributes) -> bytes:
    body = b"".join(_attribute(*attribute) for attribute in attributes)
    return struct.pack("!HHI", kind, len(body), COOKIE) + transaction + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _attributes(body: bytes) -> Attributes:
    found: Attributes = []
    while len(body) >= 4:
        kind, length = struct.unpack("!HH", body[:4])
        found.append((kind, body[4 : 4 + length]))
        body = body[4 + length + -length % 4 :]
    return found
