"""The view that one party of a call gets of the other: a number and a name, never a username or address.

Both parties see our own address in Contact and Record-Route. Claims of a phone about itself are dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Flow, Phone, is_phone_name
from registrar.sip import Headers, NameAddr, Request, Response, parse_name_addr, quote

from .headers import CHARGING, CHARGING_LENGTH, KEPT_BACK, KEPT_BACK_PRIVATE, WITHHELD, WITHHELD_PRIVATE

MAX_FORWARDS: Final = 70
ANONYMOUS: Final = "anonymous"
MAX_USERS: Final = 4_096
"""Number of users whose escaped form is cached."""
SIP: Final = "sip"
SIPS: Final = "sips"

ANONYMOUS_HOST: Final = "anonymous.invalid"
WITHHELD_IDENTITY: Final = f'"Anonymous" <sip:{ANONYMOUS}@{ANONYMOUS_HOST}>'
"""The From that the callee sees if the caller withholds its identity (RFC 3323 section 4.1.1.3)."""

_UNRESERVED: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,;?/"
)

AS_SHOWN: Final = "p"
"""In a token: the name-addr of a phone as others see it, with name and number."""
AS_WITHHELD: Final = "a"
"""In a token: the name-addr of a phone that withholds its identity."""
_BY_NAME: Final = "u"
_BY_NUMBER: Final = "n"

_UNTOUCHED: Final = frozenset({"via", "call-id", "cseq", "from", "to"})
"""Headers that identify the dialog or the transaction."""

TRANSPORT_PARAM: Final = {"udp": "", "tcp": ";transport=tcp", "tls": ";transport=tls"}
WEBSOCKET_PARAM: Final = ";transport=ws"  # RFC 7118 section 5.2: over TLS too


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as other users see it."""

    number: str
    name: str
    domain: str

    @property
    def user(self) -> str:
        """Return the user part of the URI for this person."""
        return escape(self.number) or ANONYMOUS

    def __str__(self) -> str:
        display = f"{quote(self.name)} " if self.name else ""
        return f"{display}<sip:{self.user}@{self.domain}>"


@dataclass(frozen=True, slots=True)
class PresentedHeaders:
    """The data about the sender that the receiver of one message sees."""

    from_: str
    """The sender as a name-addr without tag."""
    to: str
    """The receiver as it knows itself, as a name-addr without tag."""
    place: str
    """Our address for the receiver: `host:port` and transport parameter."""
    contact: str
    """The user part of our Contact."""
    gr: str
    """The `gr` token of our Contact; it identifies the sender."""
    secret: str
    """The sender's username if the receiver must not see it, else empty."""
    route: str = ""
    """The token of our Record-Route; empty: no Record-Route is added."""
    asserted: bool = False
    """Whether P-Asserted-Identity is added."""
    is_private: bool = False
    """Whether the sender withholds its identity."""
    scheme: str = SIP
    """Scheme of our Contact and Record-Route: `sips` if RFC 3261 sections 8.1.1.8, 26.2.2 require it."""

    def contact_header(self) -> str:
        """Return the Contact that leads back to the sender."""
        place = self.place if self.scheme == SIP else without_tls(self.place)
        return f"<{self.scheme}:{self.contact}@{place};gr={self.gr}>"

    def record_route(self) -> str:
        """Return the Record-Route that makes the receiver send its own requests to us."""
        place = self.place if self.scheme == SIP else without_tls(self.place)
        return f"<{self.scheme}:{self.route}@{place};lr>"


def identity_of(phone: Phone) -> Identity:
    """Return a phone as others see it: its extension, or the username of a SIP user without an extension."""
    number = phone.extension or (phone.username if phone.is_user else "")
    return Identity(number, phone.name, phone.domain)


def secret_of(phone: Phone | None) -> str:
    """Return the username that no other phone may see, or an empty text.

    Only a generated username is secret, not a name that a person chose.
    """
    return phone.username if phone is not None and is_phone_name(phone.username) else ""


def scheme_of(uri: str) -> str:
    """Return the scheme of our own URIs in a message to this Request-URI."""
    return SIPS if uri[:5].lower() == "sips:" else SIP


def without_tls(place: str) -> str:
    """Return a place without `;transport=tls`, for a `sips:` URI.

    The scheme already requires TLS (RFC 3261 section 26.2.2).
    """
    return place.removesuffix(TRANSPORT_PARAM["tls"])


def place(flow: Flow, public_host: str) -> str:
    """Return our address for the peer at the other end of `flow`, with the transport as a parameter."""
    host = public_host or flow.local_ip
    if ":" in host:
        host = f"[{host}]"
    return f"{host}:{flow.local_port}{TRANSPORT_PARAM.get(flow.transport, WEBSOCKET_PARAM)}"


def plain(address: NameAddr) -> str:
    """Return a name-addr without header parameters; each message has its own tag."""
    return str(NameAddr(address.uri, (), address.display))


def folded(address: str, phone: Phone | None) -> str:
    """Return the shortest text for a name-addr in a token that also names `phone`.

    The display name is not part of the dialog's identity (RFC 3261 section 12.1.1), so it is left out.
    """
    text = address[address.rfind("<") :]
    if phone is not None:
        if text == f"<sip:{phone.username}@{phone.domain}>":
            return _BY_NAME
        if text == _by_number(phone.extension, phone.domain):
            return _BY_NUMBER
    return text


def unfolded(text: str, phone: Phone | None) -> str:
    """Return the name-addr of a text from `folded`; an anonymous one if the phone no longer exists."""
    if len(text) != 1:
        return text
    if text == AS_WITHHELD:
        return WITHHELD_IDENTITY
    if phone is None:
        return f"<sip:{ANONYMOUS}@{ANONYMOUS_HOST}>"
    if text == AS_SHOWN:
        number = phone.extension or (phone.username if phone.is_user else "")
        return _as_shown(number, phone.name, phone.domain)
    if text == _BY_NUMBER:
        return _by_number(phone.extension, phone.domain)
    return f"<sip:{phone.username}@{phone.domain}>"


@lru_cache(1_024)
def _as_shown(number: str, name: str, domain: str) -> str:
    return str(Identity(number, name, domain))


@lru_cache(1_024)
def _by_number(number: str, domain: str) -> str:
    return f"<sip:{escape(number) or ANONYMOUS}@{domain}>"


@lru_cache(MAX_USERS)
def escape(user: str) -> str:
    """Return `user` escaped for the user part of a URI (RFC 3261 section 25.1)."""
    return "".join(
        character if character in _UNRESERVED else "".join(f"%{octet:02X}" for octet in character.encode())
        for character in user
    )


def shown_request(
    request: Request,
    uri: str,
    via: str,
    presented: PresentedHeaders,
    body: bytes,
    is_here: Callable[[str], bool],
    extra: tuple[tuple[str, str], ...] = (),
) -> Request:
    """Return `request` for the other party, with `uri` as its Request-URI and our `via` as topmost Via.

    `is_here` returns whether a host is a name or address of this service: a Refer-To that leads to us is
    rewritten so that the receiver can reach us by it. `extra` replaces or adds headers.
    """
    replaced = {name.lower() for name, _ in extra}
    withheld = WITHHELD_PRIVATE if presented.is_private else WITHHELD
    headers = Headers([("via", "Via", via)])
    rows = headers.rows
    for key, name, value in request.headers.rows:
        if key == "from":
            value = _tagged(presented.from_, request.from_.tag)
        elif key == "to":
            value = _tagged(presented.to, request.to.tag)
        elif (
            key in withheld or key in replaced or _names(presented, key) or key[:CHARGING_LENGTH] == CHARGING
        ):
            continue
        elif key == "refer-to":
            value = _refer_to(value, presented, is_here)
        elif key == "referred-by":
            value = presented.from_
        rows.append((key, name, _without(presented, key, value)))
    rows.append(("max-forwards", "Max-Forwards", str(hops_left(request) - 1)))
    if presented.route:
        rows.append(("record-route", "Record-Route", presented.record_route()))
    if "contact" in request.headers:
        rows.append(("contact", "Contact", presented.contact_header()))
    if presented.asserted:
        rows.append(("p-asserted-identity", "P-Asserted-Identity", presented.from_))
    rows.extend((name.lower(), name, value) for name, value in extra)
    rows.append(("content-length", "Content-Length", str(len(body))))
    return Request(request.method, uri, headers, body)


def shown_response(
    asked: Request,
    response: Response,
    presented: PresentedHeaders,
    body: bytes,
    extra: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Return `response` for the sender of `asked`, with that request's Via, From, To, Call-ID and CSeq.

    The Contacts of a redirection are dropped. Those that the sender may see are in `extra`
    (rules.redirection).
    """
    replaced = {name.lower() for name, _ in extra}
    kept_back = KEPT_BACK_PRIVATE if presented.is_private else KEPT_BACK
    rows = [("via", "Via", value) for value in asked.headers.all("via")]
    for key, name in (("from", "From"), ("to", "To"), ("call-id", "Call-ID"), ("cseq", "CSeq")):
        value = asked.headers.get(key) or ""
        if key == "to" and asked.to.tag is None:
            value = _tagged(value, response.to.tag)
        rows.append((key, name, value))
    if presented.route:
        rows.append(("record-route", "Record-Route", presented.record_route()))
    if "contact" in response.headers and not 300 <= response.status < 400:
        rows.append(("contact", "Contact", presented.contact_header()))
    if presented.asserted:
        rows.append(("p-asserted-identity", "P-Asserted-Identity", presented.from_))
    for key, name, value in response.headers.rows:
        if key in kept_back or key in replaced or _names(presented, key) or key[:CHARGING_LENGTH] == CHARGING:
            continue
        rows.append((key, name, _without(presented, key, value)))
    rows.extend((name.lower(), name, value) for name, value in extra)
    rows.append(("content-length", "Content-Length", str(len(body))))
    reason = (
        response.reason.replace(presented.secret, presented.contact) if presented.secret else response.reason
    )
    return Response(response.status, reason, Headers(rows), body)


def hops_left(request: Request) -> int:
    """Return the Max-Forwards of a request; 70 if it is absent (section 16.6 step 3)."""
    value = request.headers.get("max-forwards")
    return int(value) if value is not None else MAX_FORWARDS


def _tagged(address: str, tag: str | None) -> str:
    return f"{address};tag={tag}" if tag else address


def _without(presented: PresentedHeaders, key: str, value: str) -> str:
    """Return a value with the sender's secret username replaced; dialog headers stay unchanged."""
    if not presented.secret or presented.secret not in value or key in _UNTOUCHED:
        return value
    return value.replace(presented.secret, presented.contact)


def _names(presented: PresentedHeaders, header: str) -> bool:
    """Return whether the name of a header contains the sender's secret username."""
    return bool(presented.secret) and presented.secret in header


def _refer_to(value: str, presented: PresentedHeaders, is_here: Callable[[str], bool]) -> str:
    """Return a Refer-To to one of our users with our address for the receiver as its host.

    Any other value is returned unchanged.
    """
    try:
        address = parse_name_addr(value)
    except MalformedMessage:
        return value
    uri = address.uri
    if not uri.is_sip or not is_here(uri.host_key):
        return value
    gr = "".join(f";{name}={given}" for name, given in uri.params if name == "gr")
    headers = f"?{uri.headers}" if uri.headers is not None else ""
    user = f"{uri.user}@" if uri.user is not None else ""
    display = f"{address.display} " if address.display else ""
    place = presented.place if presented.scheme == SIP else without_tls(presented.place)
    return f"{display}<{presented.scheme}:{user}{place}{gr}{headers}>"
