"""What we write into SIP headers for ourselves to read again: sealed, so that nobody else reads or makes it.

A token says what no process need remember: any node serves any request of a call (RFC 3261 section 16.4).
It is AES-GCM over JSON; the Call-ID, where it belongs to one call, is bound to it and not repeated in it.
"""

import base64
import binascii
import json
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registrar.model import Binding

KEY_BYTES: Final = 32
SALT_BYTES: Final = 12
MAX_TOKEN: Final = 1_500
MARK: Final = 1 + SALT_BYTES * 4 // 3
"""So much of a leave is its prefix and its salt."""
MAX_KEPT: Final = 4_096
"""Tokens of each kind that need not be sealed, or opened, once more."""
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
    """Where a caller that was registered nowhere has proved its digest: it may go on from there, and only
    there. Empty: the sender must be registered on the flow it uses."""


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
    mark: str = ""
    """Tells one leave from another, as each is good once; no part of what is sealed."""


@dataclass(frozen=True, slots=True)
class Line:
    """How to say something to one party of a call in the other's name: kept with the call, to end it."""

    target: Target
    from_: str
    to: str


_TARGET: Final = attrgetter(*(field.name for field in fields(Target)))
_LEG: Final = attrgetter(*(field.name for field in fields(Leg)))
_dump: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_K = TypeVar("_K")
_V = TypeVar("_V")


class Seal:
    """Makes and reads tokens with one key, the same on all nodes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        # A phone is shown to many, and a token comes back with each request of its call.
        self._shown: dict[Target, str] = {}
        self._read_legs: dict[tuple[str, str], Leg] = {}
        self._read_targets: dict[str, Target] = {}

    def target(self, target: Target, salt: bytes) -> str:
        """For a URI parameter: parameters are compared without case, so it has none (base32)."""
        shown = self._shown.get(target)
        if shown is None:
            sealed = self._seal("gr", _TARGET(target), "", salt)
            shown = base64.b32encode(sealed).decode().rstrip("=").lower()
            _keep(self._shown, target, shown)
        return shown

    def leg(self, leg: Leg, call_id: str, salt: bytes) -> str:
        """For the user of a URI, good in requests with this Call-ID only."""
        return "r" + _text(self._seal("leg", _LEG(leg), call_id, salt))

    def hop(self, hop: Hop, call_id: str, salt: bytes) -> str:
        """For the user of a URI, good for this one request for `HOP_SECONDS`."""
        fields = (_TARGET(hop.target), hop.caller, hop.cseq, hop.issued)
        return "h" + _text(self._seal("hop", fields, call_id, salt))

    def read_target(self, token: str) -> Target | None:
        """The target in a `gr`; None: it is not ours."""
        known = self._read_targets.get(token)
        if known is not None:
            return known
        if len(token) > MAX_TOKEN:
            return None
        try:
            sealed = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        except (binascii.Error, ValueError):
            return None
        found = self._open("gr", sealed, "")
        if found is None:
            return None
        target = Target(*found)
        _keep(self._read_targets, token, target)
        return target

    def read_leg(self, token: str, call_id: str) -> Leg | None:
        """The leg in the user of a Route; None: it is not ours, or of another call."""
        known = self._read_legs.get((token, call_id))
        if known is not None:
            return known
        fields = self._read("r", "leg", token, call_id)
        if fields is None:
            return None
        leg = Leg(*fields)
        _keep(self._read_legs, (token, call_id), leg)
        return leg

    def read_hop(self, token: str, call_id: str, cseq: str, now: float) -> Hop | None:
        """The leave in the user of a Route; None: it is not ours, of another request, or too old."""
        fields = self._read("h", "hop", token, call_id)
        if fields is None:
            return None
        target, caller, named, issued = fields
        if named != cseq or not -HOP_SECONDS <= now - issued < HOP_SECONDS:
            return None
        return Hop(Target(*target), caller, named, issued, token[:MARK])

    def _seal(self, kind: str, fields: tuple[Any, ...], context: str, salt: bytes) -> bytes:
        text = _dump(fields).encode()
        return salt + self._cipher.encrypt(salt, text, f"{kind} {context}".encode())

    def _read(self, prefix: str, kind: str, token: str, call_id: str) -> list[Any] | None:
        if not token.startswith(prefix) or len(token) > MAX_TOKEN:
            return None
        text = token[len(prefix) :]
        if "+" in text or "/" in text:  # which the decoder takes, too: a leave has one way to be written
            return None
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


def octets(text: str) -> int:
    """How much of a token a text takes."""
    return len(_dump(text).encode())


def dump_line(line: Line) -> str:
    """A line as text, for the store that keeps the call."""
    return _dump((_TARGET(line.target), line.from_, line.to))


def read_line(text: str) -> Line | None:
    """What `dump_line` made; None: it is something else."""
    try:
        target, from_, to = json.loads(text)
        return Line(Target(*target), from_, to)
    except (ValueError, TypeError):
        return None


def _keep(known: dict[_K, _V], key: _K, value: _V) -> None:
    known[key] = value
    if len(known) > MAX_KEPT:
        del known[next(iter(known))]


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")
