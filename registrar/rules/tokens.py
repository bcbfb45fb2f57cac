"""What we write into SIP headers for ourselves to read again: sealed, so that nobody else reads or makes it.

A token says what no process need remember: any node serves any request of a call (RFC 3261 section 16.4).
It is AES-GCM over JSON; the Call-ID, where it belongs to one call, is bound to it and not repeated in it.
"""

import base64
import binascii
import json
from dataclasses import astuple, dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registrar.model import Binding

KEY_BYTES: Final = 32
SALT_BYTES: Final = 12
MAX_TOKEN: Final = 1_500
HOP_SECONDS: Final = 32
"""How long a request may be on its way between two nodes: 64*T1."""


@dataclass(frozen=True, slots=True)
class Target:
    """The way to one phone: the `gr` of the Contact that its peer is shown."""

    phone: str
    contact: str
    """The URI the phone calls itself by: the Request-URI of whatever goes to it."""
    transport: str
    node: str
    generation: str
    flow: int
    """Which connection of that process; over UDP which listener."""
    ip: str
    port: int
    instance: str = ""
    """`+sip.instance`: finds the phone again when the flow is gone."""


@dataclass(frozen=True, slots=True)
class Leg:
    """What a party's requests inside a dialog are turned into: the user of the Record-Route it was given."""

    call: str
    sender: str
    """Id of the phone that may use it."""
    receiver: str
    """Id of the phone that its requests go to."""
    from_: str
    """The sender as the receiver knows it: a name-addr without tag."""
    to: str
    """The receiver as it knows itself."""
    is_caller: bool
    """Whether the sender made the call."""
    media: str = ""
    """See rules.legs: what both sides speak and may use."""
    relay: str = ""
    """`<engine> <session>`, empty when no relay is between them."""
    origin: str = ""
    """`ip:port` from which the caller proved its digest over UDP: as good as being registered there."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Leave for another node to send one request over a flow of its own: the user of its Route."""

    target: Target
    caller: str
    """Id of the phone whose request it is."""
    cseq: str
    """Number and method of the request."""
    issued: int
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class Line:
    """How to say something to one party of a call in the other's name: kept with the call, to end it."""

    target: Target
    from_: str
    to: str


Token = Target | Leg | Hop | Line


class Seal:
    """Makes and reads tokens with one key, the same on all nodes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def target(self, target: Target, salt: bytes) -> str:
        """For a URI parameter: parameters are compared without case, so it has none (base32)."""
        sealed = self._seal("gr", target, "", salt)
        return base64.b32encode(sealed).decode().rstrip("=").lower()

    def leg(self, leg: Leg, call_id: str, salt: bytes) -> str:
        """For the user of a URI, good in requests with this Call-ID only."""
        return "r" + _text(self._seal("leg", leg, call_id, salt))

    def hop(self, hop: Hop, call_id: str, salt: bytes) -> str:
        """For the user of a URI, good for this one request for `HOP_SECONDS`."""
        return "h" + _text(self._seal("hop", hop, call_id, salt))

    def line(self, line: Line, call_id: str, salt: bytes) -> str:
        """For the store."""
        return _text(self._seal("line", line, call_id, salt))

    def read_target(self, token: str) -> Target | None:
        """The target in a `gr`; None: it is not ours."""
        if len(token) > MAX_TOKEN:
            return None
        try:
            sealed = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        except (binascii.Error, ValueError):
            return None
        fields = self._open("gr", sealed, "")
        return None if fields is None else Target(*fields)

    def read_leg(self, token: str, call_id: str) -> Leg | None:
        """The leg in the user of a Route; None: it is not ours, or of another call."""
        fields = self._read("r", "leg", token, call_id)
        return None if fields is None else Leg(*fields)

    def read_hop(self, token: str, call_id: str, cseq: str, now: float) -> Hop | None:
        """The leave in the user of a Route; None: it is not ours, of another request, or too old."""
        fields = self._read("h", "hop", token, call_id)
        if fields is None:
            return None
        target, caller, named, issued = fields
        if named != cseq or not -HOP_SECONDS <= now - issued < HOP_SECONDS:
            return None
        return Hop(Target(*target), caller, named, issued)

    def read_line(self, token: str, call_id: str) -> Line | None:
        """What `line` sealed; None: it was not ours."""
        fields = self._read("", "line", token, call_id)
        if fields is None:
            return None
        target, from_, to = fields
        return Line(Target(*target), from_, to)

    def _seal(self, kind: str, token: Token, context: str, salt: bytes) -> bytes:
        text = json.dumps(astuple(token), separators=(",", ":"), ensure_ascii=False).encode()
        return salt + self._cipher.encrypt(salt, text, f"{kind} {context}".encode())

    def _read(self, prefix: str, kind: str, token: str, call_id: str) -> list[Any] | None:
        if not token.startswith(prefix) or len(token) > MAX_TOKEN:
            return None
        text = token[len(prefix) :]
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return self._open(kind, sealed, call_id)

    def _open(self, kind: str, sealed: bytes, context: str) -> list[Any] | None:
        salt, text = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
        try:
            fields: list[Any] = json.loads(self._cipher.decrypt(salt, text, f"{kind} {context}".encode()))
        except (InvalidTag, ValueError):
            return None
        return fields


def target_of(phone: str, binding: Binding) -> Target:
    """The way to a phone by one of its bindings."""
    return Target(
        phone,
        binding.contact,
        binding.transport,
        binding.node,
        binding.generation,
        binding.flow,
        binding.public_ip,
        binding.public_port,
        binding.instance,
    )


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")
