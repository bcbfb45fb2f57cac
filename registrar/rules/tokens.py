"""Sealed tokens in SIP headers: data that we write for ourselves and that no other party can read or forge.

A token holds data that no process needs to remember, so any node can serve any request of a call (RFC 3261
section 16.4). Tokens are part of the headers of phones, and a phone behind a router loses messages that do
not fit into one packet. So a token names stored data (a phone, one of its bindings, a call) and contains only
data that is stored nowhere.

Tokens use AES-SIV (RFC 5297). One block of 16 octets is both the authentication tag and the start of the
cipher; AES-GCM needs 12 octets more for a nonce. Equal data gives equal tokens, which reveals no more than
the number beside it. If a token belongs to one call, the Call-ID is bound to it but not repeated in it.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from registrar.model import Binding

KEY_BYTES: Final = 64
"""Two AES-256 keys: one for the authentication tag, one for the cipher."""
SALT_BYTES: Final = 8
MAX_TOKEN: Final = 2_000
MARK: Final = 22
"""Characters that identify a relay permit: its prefix and nearly all of its authentication tag."""
MAX_KEPT: Final = 4_096
"""Number of cached tokens of each kind, sealed or opened."""
PERMIT_SECONDS: Final = 32
"""Maximum time for a request between two nodes: 64*T1."""

PHONE_BYTES: Final = 12
CALL_BYTES: Final = 16
USER_BYTES: Final = 8
SINCE_BYTES: Final = 4
CONTACT_BYTES: Final = 3
INSTANCE_BYTES: Final = 2
_MARKS: Final = CONTACT_BYTES + INSTANCE_BYTES
_ODD_BYTES: Final = PHONE_BYTES + 1
"""Minimum length of a phone id in another form: longer than the ids that we generate."""
_ODD_CALL: Final = b"?"
"""Stands for a call id in another form than ours."""

_SHOWN: Final = b"gr"
_SALTED: Final = b"gr hidden"
_CALLER: Final = 1
_CALL: Final = 2
_SENDER_USER: Final = 4
_RECEIVER_USER: Final = 8
_SECURE: Final = 16
_UNTAGGED: Final = 32
_OF_CALL: Final = "\1"
"""Stands for the part of a relay session's name that is the same for all sessions of its call."""
_WORDY: Final = 128
"""Flag of the long form, for a route that does not fit into the short form."""


@dataclass(frozen=True, slots=True)
class Target:
    """The contact and flow of one phone."""

    phone: str
    contact: str
    """The phone's own Contact URI: the Request-URI of requests to it."""
    transport: str
    node: str
    generation: str
    flow: int
    """Id of the connection in that process; over UDP, id of the listener."""
    ip: str
    port: int
    instance: str = ""
    """`+sip.instance`: identifies the phone after its flow is gone."""
    registered: str = ""
    """The Contact of its binding; empty if there is no known binding, then `contact` is used."""
    path: str = ""
    """The Path of edge proxies to it (rules.edges); empty: there is none."""


@dataclass(frozen=True, slots=True)
class Named:
    """One binding of a phone, as the `gr` of the Contact that its peer sees. Its flow is in the store."""

    phone: str
    contact: bytes
    """`contact_mark` of the Contact for which it was made."""
    instance: bytes
    """`instance_mark` of its `+sip.instance`."""


@dataclass(frozen=True, slots=True)
class RouteToken:
    """The data to rewrite a party's requests inside a dialog: the user part of its Record-Route."""

    call: str
    sender: str
    """Id of the phone that may use the token."""
    receiver: str
    """Id of the phone that its requests go to."""
    from_: str
    """The sender as the receiver knows it, a name-addr without tag (see identity.folded)."""
    to: str
    """The receiver as it knows itself, in the same form."""
    is_caller: bool
    """Whether the sender made the call."""
    media: str = ""
    """The media kinds and permissions of both sides (see rules.legs)."""
    relay: str = ""
    """`<engine> <session>`; empty if media does not go through a relay."""
    origin: str = ""
    """Where an unregistered caller has proved its digest: it may continue from there, and only from there.
    Empty: the sender must be registered on the flow that it uses."""
    contact: str = ""
    """The receiver's Contact, if it is not the registered one (see routing.folded_contact)."""
    way: str = ""
    """The receiver's flow, if no binding has it (see routing.way_of)."""
    secure: bool = False
    """Whether the call was made to a `sips:` URI."""
    untagged: bool = False
    """Whether the callee has no tag in the dialog (RFC 3261 section 12.1.2)."""
    since: int = 0
    """Epoch seconds if the route has no call: valid for a day. 0 with a call: valid as long as the call."""
    shift: str = ""
    """By how much the receiver knows the sender's CSeq numbers as higher ones; empty: by nothing."""


@dataclass(frozen=True, slots=True)
class RelayPermit:
    """A relay permit: another node may send one request over its own flow. It is the user part of a Route."""

    target: Target
    """The target without Contact and instance; the request contains them."""
    caller: str
    """Id of the phone that sent the request."""
    cseq: str
    """CSeq number and method of the request."""
    issued: int
    """Epoch seconds at which it was issued."""
    mark: str = ""
    """Identifies the permit, as each is valid once. It is not part of the sealed data."""


@dataclass(frozen=True, slots=True)
class SubscriptionToken:
    """A subscription at this service: the user part of our Contact in its dialog."""

    id: str


@dataclass(frozen=True, slots=True)
class DialogHandle:
    """The data to send a request to one party for the other. It is stored with the call, to end it."""

    target: Target
    from_: str
    to: str


_TARGET: Final = attrgetter(*(field.name for field in fields(Target)))
_ROUTE: Final = attrgetter(*(field.name for field in fields(RouteToken)))
_TEXT_NAMES: Final = ("media", "from_", "to", "relay", "origin", "contact", "way", "shift")
_TEXTS: Final = attrgetter(*_TEXT_NAMES)
_PLACE_NAMES: Final = ("transport", "node", "generation", "flow", "ip", "port")
_PERMIT: Final = attrgetter("phone", *_PLACE_NAMES)
_TARGET_FIELDS: Final = len(fields(Target))
_ROUTE_FIELDS: Final = len(fields(RouteToken))
_TEXT_FIELDS: Final = len(_TEXT_NAMES)
_PLACES: Final = len(_PLACE_NAMES)
"""Number of fields for a hop's flow. Fields that a newer version appends to any of these are ignored."""
_dump: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_K = TypeVar("_K")
_V = TypeVar("_V")


class TokenCodec:
    """The maker and reader of tokens, with keys that are the same on all nodes."""

    def __init__(self, key: bytes, relays: str = "") -> None:
        """Set the key; `relays` is the prefix of all media relay session names, before the id of the call."""
        self._cipher = AESSIV(key)
        self._others: tuple[AESSIV, ...] = ()
        self._relays = relays
        # The same phone is shown to many peers, and a token returns with each request of its call.
        self._shown: dict[Target, str] = {}
        self._read_routes: dict[tuple[str, str], RouteToken] = {}
        self._read_targets: dict[str, Named] = {}

    def rekey(self, keys: Sequence[bytes]) -> None:
        """Make tokens with the first of these keys from now on, and read those of all of them."""
        self._cipher, *others = map(AESSIV, keys)
        self._others = tuple(others)
        self._shown.clear()  # tokens of the key of before must not be made for longer than it is kept

    def target(self, target: Target, salt: bytes = b"") -> str:
        """Return the token of a target, for a URI parameter.

        Parameters are compared without case, so it is base32. All peers get the same token for a phone, like
        its number (RFC 5627). With a `salt` no peer can recognize the phone.
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

    def route(self, route: RouteToken, call_id: str) -> str:
        """Return the token of a route, for the user part of a URI. It is valid only with this Call-ID."""
        return "r" + _text(self._cipher.encrypt(_packed(route, self._relays), [b"leg", call_id.encode()]))

    def permit(self, permit: RelayPermit, call_id: str, salt: bytes) -> str:
        """Return the token of a relay permit, for the user part of a URI.

        It is valid for this one request for `PERMIT_SECONDS`. Each permit has its own `salt`.
        """
        fields = (_PERMIT(permit.target), permit.caller, permit.cseq, permit.issued, salt.hex())
        return "h" + _text(self._cipher.encrypt(_dump(fields).encode(), [b"hop", call_id.encode()]))

    def read_target(self, token: str) -> Named | None:
        """Return the binding that a `gr` names, or None if it is not one of our tokens."""
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

    def read_route(self, token: str, call_id: str) -> RouteToken | None:
        """Return the route in the user part of a Route, or None if it is not ours or is for another call."""
        known = self._read_routes.get((token, call_id))
        if known is not None:
            return known
        found = self._read("r", b"leg", token, call_id)
        if found is None:
            return None
        route = _unpacked(found, self._relays)
        _keep(self._read_routes, (token, call_id), route)
        return route

    def read_permit(self, token: str, call_id: str, cseq: str, now: float) -> RelayPermit | None:
        """Return the relay permit in the user part of a Route.

        Return None if it is not our token, is for another request, or is too old or from the future.
        """
        found = self._read("h", b"hop", token, call_id)
        if found is None:
            return None
        (phone, *place), caller, named, issued, *_ = json.loads(found)
        if named != cseq or not -PERMIT_SECONDS <= now - issued < PERMIT_SECONDS:
            return None
        return RelayPermit(Target(phone, "", *place[:_PLACES]), caller, named, issued, token[:MARK])

    def subscription(self, id: str, call_id: str) -> str:
        """Return the token of a subscription, for the user part of a URI. It is valid with this Call-ID.

        `id` has 32 hex digits.
        """
        return "s" + _text(self._cipher.encrypt(bytes.fromhex(id), [b"subscription", call_id.encode()]))

    def read_subscription(self, token: str, call_id: str) -> SubscriptionToken | None:
        """Return the subscription in the user part of a Request-URI, or None if it is not our token."""
        found = self._read("s", b"subscription", token, call_id)
        return SubscriptionToken(found.hex()) if found is not None else None

    def _read(self, prefix: str, kind: bytes, token: str, call_id: str) -> bytes | None:
        if not token.startswith(prefix) or len(token) > MAX_TOKEN:
            return None
        text = token[len(prefix) :]
        if "+" in text or "/" in text:  # the decoder accepts these, too, but a permit has one spelling only
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
            return self._opened_by_others(sealed, context) if self._others else None

    def _opened_by_others(self, sealed: bytes, context: list[bytes]) -> bytes | None:
        for cipher in self._others:
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(sealed, context)
        return None


def target_of(phone: str, binding: Binding) -> Target:
    """Return the target for one binding of a phone."""
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
        binding.path,
    )


@lru_cache(MAX_KEPT)
def contact_mark(contact: str) -> bytes:
    """Return a short hash of a Contact. It distinguishes the bindings of one phone, at most five."""
    return blake2b(contact.encode("utf-8", "replace"), digest_size=CONTACT_BYTES).digest()


@lru_cache(MAX_KEPT)
def instance_mark(instance: str) -> bytes:
    """Return a short hash of a `+sip.instance`; zeros if it is empty."""
    if not instance:
        return bytes(INSTANCE_BYTES)
    return blake2b(instance.encode("utf-8", "replace"), digest_size=INSTANCE_BYTES).digest()


def octets(text: str) -> int:
    """Return the number of octets of a text in a token."""
    return len(text.encode("utf-8", "replace"))


def dump_handle(handle: DialogHandle) -> str:
    """Return a handle as text, for the store of the call."""
    return _dump((_TARGET(handle.target), handle.from_, handle.to))


def read_handle(text: str) -> DialogHandle | None:
    """Return the handle of a text from `dump_handle`, or None for any other text."""
    try:
        target, from_, to, *_ = json.loads(text)
        return DialogHandle(Target(*target[:_TARGET_FIELDS]), from_, to)
    except (ValueError, TypeError):
        return None


def _packed(route: RouteToken, relays: str) -> bytes:
    """Return a route as bytes: flags, sender, receiver, the call or `since`, and the texts.

    The last texts are usually empty and are cut off.
    """
    sender, receiver, call = _short_phone(route.sender), _short_phone(route.receiver), _short_call(route.call)
    text = "\0".join(_TEXTS(route))
    is_odd = len(sender) > PHONE_BYTES or len(receiver) > PHONE_BYTES or call == _ODD_CALL
    if is_odd or text.count("\0") != _TEXT_FIELDS - 1 or _OF_CALL in text:
        return bytes([_WORDY]) + _dump(_ROUTE(route)).encode("utf-8", "surrogatepass")
    if route.relay and call:
        text = text.replace(relays + route.call, _OF_CALL)
    flags = route.is_caller * _CALLER + route.secure * _SECURE + route.untagged * _UNTAGGED
    flags += (len(sender) == USER_BYTES) * _SENDER_USER + (len(receiver) == USER_BYTES) * _RECEIVER_USER
    if call:
        flags += _CALL
    else:
        call = route.since.to_bytes(SINCE_BYTES)
    texts = text.rstrip("\0").encode("utf-8", "surrogatepass")
    return b"".join((bytes([flags]), sender, receiver, call, texts))


def _unpacked(data: bytes, relays: str) -> RouteToken:
    """Return the route of bytes from `_packed`."""
    flags = data[0]
    if flags & _WORDY:
        return RouteToken(*json.loads(data[1:].decode("utf-8", "surrogatepass"))[:_ROUTE_FIELDS])
    at = 1 + (USER_BYTES if flags & _SENDER_USER else PHONE_BYTES)
    receiver = at + (USER_BYTES if flags & _RECEIVER_USER else PHONE_BYTES)
    end = receiver + (CALL_BYTES if flags & _CALL else SINCE_BYTES)
    texts = data[end:].decode("utf-8", "surrogatepass").split("\0")
    media, from_, to, relay, origin, contact, way, shift = (texts + [""] * _TEXT_FIELDS)[:_TEXT_FIELDS]
    call = data[receiver:end].hex() if flags & _CALL else ""
    return RouteToken(
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
        shift,
    )


@lru_cache(MAX_KEPT)
def _short_phone(id: str) -> bytes:
    """Return the id of a phone in 12 octets, of a SIP user in 8. Any other id is longer than both."""
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
    """Return the id of a call in 16 octets; empty if there is no call."""
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
