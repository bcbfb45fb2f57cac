"""What we write into SIP headers for ourselves to read again: sealed, so that nobody else reads or makes it.

A token says what no process need remember: any node serves any request of a call (RFC 3261 section 16.4). It
stands in headers of phones, and a phone behind a router loses what does not fit into one packet: so it names
what is stored (a phone, one of its bindings, a call) and carries only what is stored nowhere.

It is AES-SIV (RFC 5297): one block of 16 octets is both the proof and the start of the cipher, where AES-GCM
needs 12 more of salt. What is sealed twice is the same twice, which tells nobody more than the number beside
it. The Call-ID, where a token belongs to one call, is bound to it and not repeated in it.
"""

import base64
import binascii
import json
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from registrar.model import Binding

KEY_BYTES: Final = 64
"""Two keys of AES-256: one for the proof, one for the cipher."""
SALT_BYTES: Final = 8
MAX_TOKEN: Final = 2_000
MARK: Final = 22
"""So much of a leave tells it from any other: its prefix and nearly all of its proof."""
MAX_KEPT: Final = 4_096
"""Tokens of each kind that need not be sealed, or opened, once more."""
HOP_SECONDS: Final = 32
"""How long a request may be on its way between two nodes: 64*T1."""

PHONE_BYTES: Final = 12
CALL_BYTES: Final = 16
USER_BYTES: Final = 8
SINCE_BYTES: Final = 4
CONTACT_BYTES: Final = 3
INSTANCE_BYTES: Final = 2
_MARKS: Final = CONTACT_BYTES + INSTANCE_BYTES
_ODD_BYTES: Final = PHONE_BYTES + 1
"""An id that is none of ours takes more than one of ours."""
_ODD_CALL: Final = b"?"
"""No id of a call of ours."""

_SHOWN: Final = b"gr"
_SALTED: Final = b"gr hidden"
_CALLER: Final = 1
_CALL: Final = 2
_SENDER_USER: Final = 4
_RECEIVER_USER: Final = 8
_SECURE: Final = 16
_UNTAGGED: Final = 32
_OF_CALL: Final = "\1"
"""In the name of a relay's session: what is the same for all sessions of its call."""
_WORDY: Final = 128
"""What does not fit into the short form is written out."""


@dataclass(frozen=True, slots=True)
class Target:
    """The way to one phone."""

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
    registered: str = ""
    """The Contact of the binding that it is; empty: `contact`, if it is any."""


@dataclass(frozen=True, slots=True)
class Named:
    """One binding of a phone: the `gr` of the Contact that its peer is shown. Where it is, is stored."""

    phone: str
    contact: bytes
    """`contact_mark` of the Contact it was made with."""
    instance: bytes
    """`instance_mark` of its `+sip.instance`."""


@dataclass(frozen=True, slots=True)
class Leg:
    """What a party's requests inside a dialog are turned into: the user of the Record-Route it was given."""

    call: str
    sender: str
    """Id of the phone that may use it."""
    receiver: str
    """Id of the phone that its requests go to."""
    from_: str
    """The sender as the receiver knows it: a name-addr without tag (see identity.folded)."""
    to: str
    """The receiver as it knows itself, likewise."""
    is_caller: bool
    """Whether the sender made the call."""
    media: str = ""
    """See rules.legs: what both sides speak and may use."""
    relay: str = ""
    """`<engine> <session>`, empty when no relay is between them."""
    origin: str = ""
    """Where a caller that was registered nowhere has proved its digest: it may go on from there, and only
    there. Empty: the sender must be registered on the flow it uses."""
    contact: str = ""
    """How the receiver calls itself, when that is not how it is registered (see routing.folded_contact)."""
    way: str = ""
    """The receiver's flow, when no binding has it (see routing.way_of)."""
    secure: bool = False
    """Whether the call was made to a `sips:` URI."""
    untagged: bool = False
    """Whether the dialog has no tag of its callee (RFC 3261 section 12.1.2)."""
    since: int = 0
    """Epoch seconds, of what is no call: it is good for a day. With a call 0: it is good as long as that."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Leave for another node to send one request over a flow of its own: the user of its Route."""

    target: Target
    """Without the Contact and the instance, which the request says itself."""
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
_TEXTS: Final = attrgetter("media", "from_", "to", "relay", "origin", "contact", "way")
_HOP: Final = attrgetter("phone", "transport", "node", "generation", "flow", "ip", "port")
_TARGET_FIELDS: Final = len(fields(Target))
_LEG_FIELDS: Final = len(fields(Leg))
_TEXT_FIELDS: Final = 7
_PLACES: Final = 6
"""Where a hop goes to. What a newer version appends to any of these is not read here, and does no harm."""
_dump: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_K = TypeVar("_K")
_V = TypeVar("_V")


class Seal:
    """Makes and reads tokens with one key, the same on all nodes."""

    def __init__(self, key: bytes, relays: str = "") -> None:
        """`relays` begins the names of all sessions at the media relay; the id of the call follows."""
        self._cipher = AESSIV(key)
        self._relays = relays
        # A phone is shown to many, and a token comes back with each request of its call.
        self._shown: dict[Target, str] = {}
        self._read_legs: dict[tuple[str, str], Leg] = {}
        self._read_targets: dict[str, Named] = {}

    def target(self, target: Target, salt: bytes = b"") -> str:
        """For a URI parameter: parameters are compared without case, so it has none (base32).

        A phone is shown alike to everybody, as its number is (RFC 5627); with a `salt` nobody knows it again.
        """
        shown = self._shown.get(target) if not salt else None
        if shown is None:
            contact = contact_mark(target.registered or target.contact)
            named = _short_phone(target.phone) + contact + instance_mark(target.instance)
            sealed = self._cipher.encrypt(named + salt, [_SALTED if salt else _SHOWN])
            shown = base64.b32encode(sealed).decode().rstrip("=").lower()
            if not salt:
                _keep(self._shown, target, shown)
        return shown

    def leg(self, leg: Leg, call_id: str) -> str:
        """For the user of a URI, good in requests with this Call-ID only."""
        return "r" + _text(self._cipher.encrypt(_packed(leg, self._relays), [b"leg", call_id.encode()]))

    def hop(self, hop: Hop, call_id: str, salt: bytes) -> str:
        """For the user of a URI, good for this one request for `HOP_SECONDS`; no other one has its `salt`."""
        fields = (_HOP(hop.target), hop.caller, hop.cseq, hop.issued, salt.hex())
        return "h" + _text(self._cipher.encrypt(_dump(fields).encode(), [b"hop", call_id.encode()]))

    def read_target(self, token: str) -> Named | None:
        """The binding that a `gr` names; None: it is not ours."""
        known = self._read_targets.get(token)
        if known is not None:
            return known
        if len(token) > MAX_TOKEN:
            return None
        try:
            sealed = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        except (binascii.Error, ValueError):
            return None
        found = self._open(sealed, [_SHOWN])
        if found is None:
            found = self._open(sealed, [_SALTED])
            if found is None:
                return None
            found = found[:-SALT_BYTES]
        marks = found[-_MARKS:]
        named = Named(_long_phone(found[:-_MARKS]), marks[:CONTACT_BYTES], marks[CONTACT_BYTES:])
        _keep(self._read_targets, token, named)
        return named

    def read_leg(self, token: str, call_id: str) -> Leg | None:
        """The leg in the user of a Route; None: it is not ours, or of another call."""
        known = self._read_legs.get((token, call_id))
        if known is not None:
            return known
        found = self._read("r", b"leg", token, call_id)
        if found is None:
            return None
        leg = _unpacked(found, self._relays)
        _keep(self._read_legs, (token, call_id), leg)
        return leg

    def read_hop(self, token: str, call_id: str, cseq: str, now: float) -> Hop | None:
        """The leave in the user of a Route; None: it is not ours, of another request, or too old."""
        found = self._read("h", b"hop", token, call_id)
        if found is None:
            return None
        (phone, *place), caller, named, issued, *_ = json.loads(found)
        if named != cseq or not -HOP_SECONDS <= now - issued < HOP_SECONDS:
            return None
        return Hop(Target(phone, "", *place[:_PLACES]), caller, named, issued, token[:MARK])

    def _read(self, prefix: str, kind: bytes, token: str, call_id: str) -> bytes | None:
        if not token.startswith(prefix) or len(token) > MAX_TOKEN:
            return None
        text = token[len(prefix) :]
        if "+" in text or "/" in text:  # which the decoder takes, too: a leave has one way to be written
            return None
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return self._open(sealed, [kind, call_id.encode()])

    def _open(self, sealed: bytes, context: list[bytes]) -> bytes | None:
        try:
            return self._cipher.decrypt(sealed, context)
        except (InvalidTag, ValueError):
            return None


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
        binding.contact,
    )


@lru_cache(MAX_KEPT)
def contact_mark(contact: str) -> bytes:
    """What tells one binding of a phone from its others: it has five at most."""
    return blake2b(contact.encode("utf-8", "replace"), digest_size=CONTACT_BYTES).digest()


@lru_cache(MAX_KEPT)
def instance_mark(instance: str) -> bytes:
    """The same for its `+sip.instance`; zeros without one."""
    if not instance:
        return bytes(INSTANCE_BYTES)
    return blake2b(instance.encode("utf-8", "replace"), digest_size=INSTANCE_BYTES).digest()


def octets(text: str) -> int:
    """How much of a token a text takes."""
    return len(text.encode("utf-8", "replace"))


def dump_line(line: Line) -> str:
    """A line as text, for the store that keeps the call."""
    return _dump((_TARGET(line.target), line.from_, line.to))


def read_line(text: str) -> Line | None:
    """What `dump_line` made; None: it is something else."""
    try:
        target, from_, to, *_ = json.loads(text)
        return Line(Target(*target[:_TARGET_FIELDS]), from_, to)
    except (ValueError, TypeError):
        return None


def _packed(leg: Leg, relays: str) -> bytes:
    """Flags, sender, receiver, the call or the moment, and the texts, of which the last are mostly empty."""
    sender, receiver, call = _short_phone(leg.sender), _short_phone(leg.receiver), _short_call(leg.call)
    text = "\0".join(_TEXTS(leg))
    is_odd = len(sender) > PHONE_BYTES or len(receiver) > PHONE_BYTES or call == _ODD_CALL
    if is_odd or text.count("\0") != _TEXT_FIELDS - 1 or _OF_CALL in text:
        return bytes([_WORDY]) + _dump(_LEG(leg)).encode("utf-8", "surrogatepass")
    if leg.relay and call:
        text = text.replace(relays + leg.call, _OF_CALL)
    flags = leg.is_caller * _CALLER + leg.secure * _SECURE + leg.untagged * _UNTAGGED
    flags += (len(sender) == USER_BYTES) * _SENDER_USER + (len(receiver) == USER_BYTES) * _RECEIVER_USER
    if call:
        flags += _CALL
    else:
        call = leg.since.to_bytes(SINCE_BYTES)
    texts = text.rstrip("\0").encode("utf-8", "surrogatepass")
    return b"".join((bytes([flags]), sender, receiver, call, texts))


def _unpacked(data: bytes, relays: str) -> Leg:
    """What `_packed` made."""
    flags = data[0]
    if flags & _WORDY:
        return Leg(*json.loads(data[1:].decode("utf-8", "surrogatepass"))[:_LEG_FIELDS])
    at = 1 + (USER_BYTES if flags & _SENDER_USER else PHONE_BYTES)
    receiver = at + (USER_BYTES if flags & _RECEIVER_USER else PHONE_BYTES)
    end = receiver + (CALL_BYTES if flags & _CALL else SINCE_BYTES)
    texts = data[end:].decode("utf-8", "surrogatepass").split("\0")
    media, from_, to, relay, origin, contact, way = (texts + [""] * _TEXT_FIELDS)[:_TEXT_FIELDS]
    call = data[receiver:end].hex() if flags & _CALL else ""
    return Leg(
        call,
        _long_phone(data[1:at]),
        _long_phone(data[at:receiver]),
        from_,
        to,
        bool(flags & _CALLER),
        media,
        relay.replace(_OF_CALL, relays + call),
        origin,
        contact,
        way,
        bool(flags & _SECURE),
        bool(flags & _UNTAGGED),
        0 if flags & _CALL else int.from_bytes(data[receiver:end]),
    )


@lru_cache(MAX_KEPT)
def _short_phone(id: str) -> bytes:
    """The id of a phone in 12 octets, of a SIP user in 8; whatever else it may be is longer than both."""
    try:
        short = int(id[1:]).to_bytes(USER_BYTES) if id[:1] == "u" else bytes.fromhex(id)
    except (ValueError, OverflowError):
        short = b""
    if len(short) in (USER_BYTES, PHONE_BYTES) and _long_phone(short) == id:
        return short
    return id.encode("utf-8", "surrogatepass").rjust(_ODD_BYTES, b"\0")


def _long_phone(short: bytes) -> str:
    if len(short) == PHONE_BYTES:
        return short.hex()
    if len(short) == USER_BYTES:
        return f"u{int.from_bytes(short)}"
    return short.lstrip(b"\0").decode("utf-8", "surrogatepass")


def _short_call(id: str) -> bytes:
    """The id of a call in 16 octets, empty without one."""
    try:
        short = bytes.fromhex(id)
    except ValueError:
        return _ODD_CALL
    return short if short.hex() == id and len(short) in (0, CALL_BYTES) else _ODD_CALL


def _keep(known: dict[_K, _V], key: _K, value: _V) -> None:
    known[key] = value
    if len(known) > MAX_KEPT:
        del known[next(iter(known))]


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")
