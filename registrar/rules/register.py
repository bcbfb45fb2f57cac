"""The bindings of a phone after a REGISTER (RFC 3261 section 10.3, RFC 5626 section 6)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import ceil, floor
from typing import Final

from registrar.model import Binding, Epoch, Event, EventKind, IpNetwork, Reason, Snapshot
from registrar.sip import NameAddr, Request, Uri, equivalent, param, parse_uri, quote, unescape, unquote

from .access import TOLD
from .edges import keeps_flows, path_of
from .outbound import OUTBOUND, came_by_proxy, supports

MIN_EXPIRES: Final = 60
DEFAULT_EXPIRES: Final = 3_600
MAX_EXPIRES: Final = 7_200
MAX_CONTACTS: Final = 5
MAX_USER_AGENT: Final = 256
MALFORMED_EXPIRES: Final = 3_600  # RFC 3261 section 10.2
WEBSOCKETS: Final = frozenset({"ws", "wss"})
HEARD: Final = "heard"
"""Event reason: a silent phone is registered again, as one of its requests has arrived."""
PING_ANSWERED: Final = "ping-answered"
"""Event reason: a silent phone is registered again, as it has answered a ping."""

_DIGITS: Final = re.compile(r"[0-9]+")
_Q: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Rejected:
    """The outcome of a REGISTER that is refused and changes nothing."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    why: str = field(default="", compare=False)
    """Text for the phone: what is wrong, and where."""
    label: str = ""
    """The reason as a word of the journal; empty: no journal entry."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The bindings after a REGISTER, and the events for the journal."""

    bindings: tuple[Binding, ...]
    events: tuple[Event, ...]
    touched: frozenset[str] = frozenset()
    """Contacts that this request added or refreshed."""


Outcome = Accepted | Rejected


@dataclass(frozen=True, slots=True)
class Asked:
    """One contact of a REGISTER, after validation."""

    uri: Uri
    expires: int
    """Seconds to grant; 0 removes the binding."""
    q: str
    instance: str
    reg_id: int


@dataclass(frozen=True, slots=True)
class Registration:
    """The changes that a REGISTER requests."""

    contacts: tuple[Asked, ...]
    wildcard: bool
    call_id: str
    cseq: int
    path: str = ""
    """The Path of edge proxies that it came by (RFC 3327)."""

    @property
    def binds(self) -> bool:
        """Return whether it adds or refreshes a binding: a first contact in the sense of decision 2."""
        return any(asked.expires > 0 for asked in self.contacts)


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of a REGISTER and the process that received it."""

    transport: str
    public_ip: str
    public_port: int
    local_ip: str
    user_agent: str
    node: str
    generation: str
    secret_version: int
    flow: int = 0
    """Id of the connection; over UDP, id of the listener."""
    one_device: bool = False
    """The phone is one browser: its new binding replaces those from before the page was reloaded."""


def nothing_is_dead(_binding: Binding) -> bool:
    """Return False, for callers that know no connections."""
    return False


def read(
    request: Request, edges: Sequence[IpNetwork] = (), *, by_edge: bool = False
) -> Registration | Rejected:
    """Return the requested changes, or a Rejected if they are invalid for any current bindings.

    `by_edge`: it came from one of `edges`, the edge proxies, whose Path is believed.
    """
    number, _ = request.cseq
    header = request.headers.get("expires")
    if request.wildcard:
        if not (header is not None and _DIGITS.fullmatch(header) and int(header) == 0):
            return _bad_contact("Contact * Needs Expires 0", "Contact: * needs the header Expires: 0")
        return Registration((), True, request.call_id, number)
    path = ""
    if by_edge or "path" in request.headers:
        found = _path(request, edges, by_edge=by_edge)
        if isinstance(found, Rejected):
            return found
        path = found
    if request.crowded:
        return _too_many(request.contact_count, MAX_CONTACTS)
    contacts = []
    outbound = supports(request, OUTBOUND)
    for address in request.contacts:
        asked = _asked(address, header, outbound=outbound)
        if isinstance(asked, Rejected):
            return asked
        contacts.append(asked)
    if outbound and _lacks_flow(path, request) and any(contact.reg_id for contact in contacts):
        why = "the first proxy of this REGISTER does not support outbound (RFC 5626)"
        return Rejected(439, "First Hop Lacks Outbound Support", why=why)
    return Registration(_last_of_each(contacts), False, request.call_id, number, path)


def _lacks_flow(path: str, request: Request) -> bool:
    """Return whether the proxy next to the phone, if there is one, keeps no flow to it."""
    return not keeps_flows(path) if path else came_by_proxy(request)


def _path(request: Request, edges: Sequence[IpNetwork], *, by_edge: bool) -> str | Rejected:
    """Return the Path to store, or a Rejected if it is not believed, is missing, or leads nowhere."""
    if not by_edge:
        return Rejected(403, "Path Not Supported", why=TOLD["edge-proxy"], label="edge-proxy")
    try:
        path = path_of(request, edges)
    except ValueError as error:
        return Rejected(400, "Bad Path", why=str(error), label="bad-path")
    return path or Rejected(403, "Path Missing", why=TOLD["bad-path"], label="bad-path")


def register(
    before: Snapshot,
    asked: Registration,
    origin: Origin,
    now: Epoch,
    is_dead: Callable[[Binding], bool] = nothing_is_dead,
    most: int = MAX_CONTACTS,
) -> Outcome:
    """Return the outcome of `asked` on the bindings `before`: all its changes are made, or none.

    `is_dead` returns whether the connection of a binding is known to be closed. Such a binding is removed
    first if there are more than `most`.
    """
    live = before.live(now)
    if most < MAX_CONTACTS and len([contact for contact in asked.contacts if contact.expires]) > most:
        return _too_many(len(asked.contacts), most)
    if asked.wildcard:
        return _remove_all(before, live, asked, now)
    made: list[Binding] = []
    events = _run_out(before, now)
    removed: set[int] = set()
    for contact in sorted(asked.contacts, key=lambda contact: contact.expires == 0):
        matches = [index for index, binding in enumerate(live) if _replaces(contact, binding, origin)]
        if any(_out_of_order(live[index], asked) for index in matches):
            return _bad_order(asked)
        replaced = [live[index] for index in matches if index not in removed]
        removed.update(matches)
        if contact.expires:
            replaced = replaced or [live[index] for index in matches if _is_at(live[index], contact.uri)]
            binding = _bind(contact, asked, origin, now, replaced)
            made.append(binding)
            event = _event(binding, replaced, now)
            events.extend([event] if event else [])
        else:
            events.extend(
                _ended(binding, EventKind.UNREGISTERED, "unregistered", now) for binding in replaced
            )
    others = [binding for index, binding in enumerate(live) if index not in removed]
    others = _heard_from(others, origin, now, events)
    kept, evicted = _capped(others, len(made), is_dead, most)
    events.extend(_ended(binding, EventKind.LOST, "too-many-contacts", now) for binding in evicted)
    touched = frozenset(binding.contact for binding in made)
    return Accepted((*made, *kept), tuple(events), touched)


def _too_many(count: int, most: int) -> Rejected:
    why = f"Contact: {count} contacts, and a phone may have {most}"
    return Rejected(403, "Too Many Contacts", why=why, label="too-many-contacts")


def expire(before: Snapshot, now: Epoch) -> Accepted:
    """Return the bindings that are live at `now`, and events for the expired ones."""
    return Accepted(before.live(now), tuple(_run_out(before, now)))


def drop(before: Snapshot, gone: list[Binding], kind: EventKind, reason: str, now: Epoch) -> Accepted:
    """Return the bindings that remain at `now` after the live bindings in `gone` end for `reason`."""
    kept = tuple(binding for binding in before.live(now) if binding not in gone)
    return Accepted(kept, (*_run_out(before, now), *(_ended(binding, kind, reason, now) for binding in gone)))


def silence(before: Snapshot, silent: list[Binding], now: Epoch) -> Accepted:
    """Return the live bindings at `now`, with those in `silent` marked as silent.

    Their phones answer no pings, but they stay bound.
    """
    bindings = tuple(
        replace(binding, silent_since=int(now)) if binding in silent else binding
        for binding in before.live(now)
    )
    reason = str(Reason.PING_TIMEOUT)
    events = (_ended(binding, EventKind.LOST, reason, now) for binding in silent)
    return Accepted(bindings, (*_run_out(before, now), *events))


def hear(before: Snapshot, back: list[Binding], reason: str, now: Epoch) -> Accepted:
    """Return the live bindings at `now`; those in `back` are no longer silent, as their phones were heard."""
    bindings = tuple(
        replace(binding, silent_since=0) if binding in back else binding for binding in before.live(now)
    )
    events = (_ended(binding, EventKind.REGISTERED, reason, now) for binding in back)
    return Accepted(bindings, (*_run_out(before, now), *events))


def silent_at(bindings: Sequence[Binding], transport: str, ip: str, port: int) -> list[Binding]:
    """Return the silent bindings from one place; a request from there shows that the phone is back."""
    place = (transport, ip, port)
    return [
        binding
        for binding in bindings
        if binding.silent_since and (binding.transport, binding.public_ip, binding.public_port) == place
    ]


def contact_values(bindings: tuple[Binding, ...], touched: frozenset[str], now: Epoch) -> list[str]:
    """Return the Contact values of a 200: every binding with its remaining time, the request's own first."""
    own_first = sorted(bindings, key=lambda binding: binding.contact not in touched)
    return [_contact_value(binding, now) for binding in own_first]


def printable(text: str, limit: int) -> str:
    """Return text of a peer in a form that other systems can show.

    It has no control characters and at most `limit` characters.
    """
    return _UNPRINTABLE.sub("", text[:limit])


def local_address(request: Request) -> str:
    """Return the address of a phone behind its NAT: from its Contact, else from its Via, else empty (D38)."""
    for address in request.contacts[:1]:
        literal = _literal(address.uri.host)
        if literal is not None:
            return str(literal)
    return str(_literal(request.via.host) or "")


def _last_of_each(contacts: list[Asked]) -> tuple[Asked, ...]:
    """Return the contacts without duplicates: if a URI occurs twice in one request, the last one counts."""
    return tuple(
        contact
        for position, contact in enumerate(contacts)
        if not any(equivalent(contact.uri, later.uri) for later in contacts[position + 1 :])
    )


def _asked(address: NameAddr, header: str | None, *, outbound: bool) -> Asked | Rejected:
    uri = address.uri
    if uri.is_sip and not _dialable(uri.host_key):
        return _bad_contact("Bad Contact", f"Contact: no phone can be reached at {uri.host}")
    q = param(address.params, "q") or ""
    if q and not _Q.fullmatch(q):
        return _bad_contact("Bad Contact q", f"Contact: q is {q[:20]}, and must be from 0 to 1")
    expires = _granted(param(address.params, "expires"), header)
    if isinstance(expires, Rejected):
        return expires
    instance = printable(unquote(param(address.params, "+sip.instance") or "").strip("<>"), 128)
    reg_id = param(address.params, "reg-id") or ""
    known_flow = outbound and bool(instance) and _DIGITS.fullmatch(reg_id) is not None and len(reg_id) < 10
    return Asked(uri, expires, q, instance, int(reg_id) if known_flow else 0)


def _granted(parameter: str | None, header: str | None) -> int | Rejected:
    """Return the seconds to grant, or a Rejected if they are too few (section 10.3 step 7).

    The parameter takes precedence over the header. An absent or malformed value counts as one hour.
    """
    text = parameter if parameter is not None else header
    if text is None:
        return DEFAULT_EXPIRES
    digits = text.lstrip("0")[:20] or "0"
    seconds = int(digits) if text.isascii() and text.isdigit() else MALFORMED_EXPIRES
    if 0 < seconds < MIN_EXPIRES:
        why = f"Expires: {seconds} seconds, and {MIN_EXPIRES} are the least"
        return Rejected(423, "Interval Too Brief", (("Min-Expires", str(MIN_EXPIRES)),), why=why)
    return min(seconds, MAX_EXPIRES)


@lru_cache(1_024)
def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address of a literal host, or None for a host name."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


@lru_cache(1_024)
def _dialable(host: str) -> bool:
    address = _literal(host)
    if address is None:
        return True
    return not (address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255")


def _same(binding: Binding, contact: Asked) -> bool:
    """Return whether a binding and a contact are the same (docs/decisions.md).

    Their URIs are equal (section 19.1.4), or instance and reg-id are (RFC 5626). A removal without reg-id
    compares the URI only, as the instance may have a newer Contact.
    """
    is_key = bool(contact.instance) and bool(contact.expires or contact.reg_id)
    if is_key and (binding.instance, binding.reg_id) == (contact.instance, contact.reg_id):
        return True
    return _is_at(binding, contact.uri)


def _replaces(contact: Asked, binding: Binding, origin: Origin) -> bool:
    if _same(binding, contact):
        return True
    if not origin.one_device or not contact.expires or binding.transport not in WEBSOCKETS:
        return False
    other_flow = contact.instance and contact.instance == binding.instance
    return not other_flow  # RFC 5626 section 4.2: the instance may have a second flow on purpose


def _is_at(binding: Binding, uri: Uri) -> bool:
    return equivalent(parse_uri(binding.contact), uri)


def _out_of_order(binding: Binding, asked: Registration) -> bool:
    return binding.call_id == asked.call_id and asked.cseq <= binding.cseq


def _bad_contact(reason: str, why: str) -> Rejected:
    return Rejected(400, reason, why=why, label="bad-contact")


def _bad_order(asked: Registration) -> Rejected:
    """Return the refusal for a REGISTER that is older than one with the same Call-ID.

    See section 10.3 steps 6 and 7.
    """
    why = f"CSeq: {asked.cseq} is not higher than that of an earlier REGISTER with this Call-ID"
    return Rejected(400, "CSeq Out Of Order", why=why, label="cseq-out-of-order")


def _bind(
    contact: Asked, asked: Registration, origin: Origin, now: Epoch, replaced: list[Binding]
) -> Binding:
    return Binding(
        contact=str(contact.uri),
        expires_at=floor(now + contact.expires + 0.5),  # `_seconds_left` rounds in the other direction
        call_id=asked.call_id,
        cseq=asked.cseq,
        q=contact.q,
        instance=contact.instance,
        reg_id=contact.reg_id,
        user_agent=origin.user_agent,
        local_ip=origin.local_ip,
        public_ip=origin.public_ip,
        public_port=origin.public_port,
        transport=origin.transport,
        node=origin.node,
        generation=origin.generation,
        registered_at=min((binding.registered_at for binding in replaced), default=int(now)),
        refreshed_at=int(now),
        secret_version=origin.secret_version,
        flow=origin.flow,
        path=asked.path,
    )


def _heard_from(others: list[Binding], origin: Origin, now: Epoch, events: list[Event]) -> list[Binding]:
    """Return `others` without the silent mark on bindings from the same place as the REGISTER.

    Any REGISTER from there, over any node, shows that the phone is back. Append the events to `events`.
    """
    silent = silent_at(others, origin.transport, origin.public_ip, origin.public_port)
    if not silent:
        return others
    events.extend(_ended(binding, EventKind.REGISTERED, HEARD, now) for binding in silent)
    return [replace(binding, silent_since=0) if binding in silent else binding for binding in others]


def _event(binding: Binding, replaced: list[Binding], now: Epoch) -> Event | None:
    """Return the event for a new binding, or None for a refresh without changes.

    Another address, transport or user agent is a move. A phone that was silent is registered again.
    """
    same = [old for old in replaced if _whereabouts(old) == _whereabouts(binding)]
    if same and not all(old.silent_since for old in same):
        return None
    kind = EventKind.MOVED if replaced and not same else EventKind.REGISTERED
    return _ended(binding, kind, str(kind), now)


def _whereabouts(binding: Binding) -> tuple[str, str, str]:
    return binding.public_ip, binding.transport, binding.user_agent


def _ended(binding: Binding, kind: EventKind, reason: str, now: Epoch) -> Event:
    return Event(
        kind,
        reason,
        int(now),
        binding.public_ip,
        binding.public_port,
        binding.transport,
        binding.user_agent,
    )


def _run_out(before: Snapshot, now: Epoch) -> list[Event]:
    return [
        _ended(binding, EventKind.EXPIRED, "expired", now)
        for binding in before.bindings
        if binding.expires_at <= now
    ]


def _remove_all(before: Snapshot, live: tuple[Binding, ...], asked: Registration, now: Epoch) -> Outcome:
    if any(_out_of_order(binding, asked) for binding in live):
        return _bad_order(asked)
    ended = (_ended(binding, EventKind.UNREGISTERED, "unregistered", now) for binding in live)
    return Accepted((), (*_run_out(before, now), *ended))


def _capped(
    others: list[Binding], made: int, is_dead: Callable[[Binding], bool], most: int
) -> tuple[list[Binding], list[Binding]]:
    """Return the bindings that are kept and those that exceed `most`; `made` are already counted.

    Bindings on closed connections are removed first, then silent ones, then those refreshed longest ago. A
    binding of this request is never removed.
    """
    newest_first = sorted(
        others, key=lambda binding: (is_dead(binding), binding.silent_since > 0, -binding.refreshed_at)
    )
    room = most - made
    return newest_first[:room], newest_first[room:]


def _contact_value(binding: Binding, now: Epoch) -> str:
    instance = ";+sip.instance=" + quote(f"<{binding.instance}>") if binding.instance else ""
    reg_id = f";reg-id={binding.reg_id}" if binding.reg_id else ""
    q = f";q={binding.q}" if binding.q else ""
    return f"<{binding.contact}>{q}{instance}{reg_id};expires={_seconds_left(binding, now)}"


def _seconds_left(binding: Binding, now: Epoch) -> int:
    """Return the seconds left, at least 1.

    At the time of the grant this is exactly the granted value, for any fraction of a second.
    """
    return max(1, ceil(binding.expires_at - now - 0.5))


def names_phone(to: Uri, username: str, extension: str) -> bool:
    """Return whether the user part of To is the username or extension of the authenticated phone (D15)."""
    user = unescape(to.user or "")
    return bool(user) and user in (username, extension)
