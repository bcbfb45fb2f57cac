"""Sentences for the operator: why a phone is offline, or how it is online."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from registrar.model import IpMode, Reason
from registrar.rules.routing import SECURE
from registrar.rules.status import REFUSED_AS, LiveStatus

CREDENTIALS: Final = "credentials"
"""A change by a person: a new username and password."""
SETTINGS: Final = "settings"
"""Any other change of a phone by a person."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The configuration that decides whether a phone may register."""

    customer_active: bool = True
    mode: IpMode = IpMode.OPEN
    countries: str = ""
    address: str = ""
    by_domain: bool = False
    """The customer's trusted networks decide, not `ip.*` (decision 3)."""
    tls: bool = False
    """Only TLS and WSS are allowed (`policy.tls`)."""


@dataclass(frozen=True, slots=True)
class Deed:
    """A change of the phone by a person through the API."""

    what: str
    """CREDENTIALS or SETTINGS"""
    by: str
    at: int
    """Epoch seconds."""
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """All facts that a sentence may mention."""

    live: LiveStatus
    rule: Circumstances
    deeds: Sequence[Deed] = ()
    """The newest first."""


Sentence = Callable[[Case], str]

SLACK_SECONDS: Final = 5
"""A binding ends within a second of the change that ends it. The clocks of two machines may differ by
more."""


def diagnose(live: LiveStatus, rule: Circumstances, deeds: Sequence[Deed]) -> str:
    """Return one or two English sentences: the phone's state, since when, why, and what to do about it.

    `deeds` are changes of the phone by people, the newest first.
    """
    case = Case(live, rule, deeds)
    if live.online is None:
        return "Unknown: the store of the live status does not answer."
    if live.online:
        return f"Online since {moment(live.since)}: {_connection(live)}.{_still_refused(case)}"
    head = f"Offline since {moment(live.since)}" if live.since is not None else "Offline"
    if not rule.customer_active:
        return f"{head}: {_BLOCKED}."
    if live.reason is None and live.last_rejected_at is None:
        return f"Never registered (or not within the last 30 days): {_never(case)}."
    if live.since is None:
        head = "Never registered"
    why = _refusal_since(case) or OFFLINE.get(live.reason or "", _for_no_known_reason)(case)
    return f"{head}: {why}.{_reset_since(case)}"


def moment(seconds: int | None) -> str:
    """Return the time as the API writes it."""
    if seconds is None:
        return "an unknown moment"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# How the phone is online


def _connection(live: LiveStatus) -> str:
    over = f" over {live.transport.upper()}" if live.transport else ""
    agent = f" with {live.user_agent}" if live.user_agent else ""
    left = f"; its registration has {live.expires} seconds left" if live.expires is not None else ""
    return f"the phone is registered from {_source(live)}{over}{agent}{left}"


def _source(live: LiveStatus) -> str:
    ip = live.public_ip_address
    if not ip:
        return "an unknown address"
    host = f"[{ip}]" if ":" in ip else ip
    return f"{host}:{live.public_port}" if live.public_port else ip


def _still_refused(case: Case) -> str:
    """Return a sentence about a device that tries the same credentials while this phone is online."""
    live = case.live
    if live.last_rejected_at is None or live.since is None or live.last_rejected_at < live.since:
        return ""
    what = REFUSALS.get(live.last_rejected_reason or "", _refused_somehow)
    return f" Beside it, at {moment(live.last_rejected_at)}, {what(case)}."


# Why the phone is offline

_BLOCKED: Final = (
    "the customer is not active, so none of its phones may register. Set the customer's state to ACTIVE"
)
_CREDENTIALS: Final = "Give the phone the username and password that it has now"


def _never(case: Case) -> str:
    rule = case.rule
    seen = "no REGISTER with its username and password has come in"
    advice = "Check that the phone has exactly these credentials and reaches the registrar's address and port"
    if rule.by_domain:
        return f"{seen}. {advice}, from one of the customer's trusted networks if there are any"
    match rule.mode:
        case IpMode.LOCKED:
            return f"{seen}. {advice}; it is let in from {rule.address} alone"
        case IpMode.ROAMING:
            return f"{seen}. {advice}; it is let in from {rule.countries} alone"
        case IpMode.OPEN:
            return f"{seen}. {advice}; its first registration locks it to the address it comes from"


def _unregistered(_case: Case) -> str:
    return (
        "the phone took its registration back, as phones do that are switched off or logged out. "
        "It comes back by itself when it is switched on"
    )


def _expired(case: Case) -> str:
    return (
        "the phone did not refresh its registration in time; "
        f"it was last heard from {_source(case.live)}{_last_seen(case)}. "
        "Check its power and its network"
    )


def _socket_closed(case: Case) -> str:
    return (
        f"its connection{_over(case)} from {_source(case.live)} was closed and it did not come back. "
        "Check its network, or open the page or program of the softphone again"
    )


def _ping_timeout(case: Case) -> str:
    if case.live.silent:
        return (
            f"it does not answer pings any more at {_source(case.live)} over UDP, where it was last heard "
            f"from{_last_seen(case)}. Its registration stays until {moment(case.live.expires_at)}: calls to "
            "it are tried, and it is online again as soon as it is heard. Check its power and its network"
        )
    if case.live.transport == "udp":
        return (
            f"it does not answer pings any more at {_source(case.live)} over UDP, where it was last heard "
            f"from{_last_seen(case)}. Check its power and its network; it comes back with its next "
            "registration, or at once when it is restarted"
        )
    return (
        f"its connection{_over(case)} from {_source(case.live)} was open, but the phone stopped answering. "
        "Check its network; a computer that sleeps does this too"
    )


def _node_lost(case: Case) -> str:
    node = f" ({case.live.node})" if case.live.node else ""
    return (
        f"the process of the registrar that held its connection{node} is gone. "
        "The phone comes back by itself once it notices; see that the process runs again"
    )


def _revoked(case: Case) -> str:
    deed = _deed_that_ended_it(case)
    if deed is None:
        return (
            "its registration was revoked: its credentials, its extension or its customer changed. "
            f"{_CREDENTIALS}, if they changed"
        )
    if deed.what == CREDENTIALS:
        return f"its credentials were reset {_by(deed)}. {_CREDENTIALS}"
    return f"its registration was revoked when its settings were changed {_by(deed)}"


def _ip_rejected(case: Case) -> str:
    """Return the reason if a change of the rule ended the registration, without a refusal since then."""
    deed = _deed_that_ended_it(case)
    when = f"was changed {_by(deed)}" if deed is not None else "was changed"
    return f"the rule from where it may connect {when}, and {_source(case.live)} {_rule_now(case)}"


def _rule_now(case: Case) -> str:
    rule = case.rule
    if rule.tls and case.live.transport not in SECURE:
        return "came without TLS, which policy.tls requires now. Set the phone's transport to TLS"
    if rule.by_domain:
        return "is in none of the customer's trusted networks"
    match rule.mode:
        case IpMode.LOCKED:
            return f"is not {rule.address}, to which it is locked now. Open it again with ip.mode OPEN"
        case IpMode.ROAMING:
            return f"is not in one of its countries, {rule.countries}. Add the country to ip.countries"
        case IpMode.OPEN:
            return "was not allowed then. It is open now: its next registration locks it to its address"


def _for_no_known_reason(case: Case) -> str:
    return f"{case.live.reason or 'no reason is known'}; it was last heard from {_source(case.live)}"


OFFLINE: Final[Mapping[str, Sentence]] = {
    Reason.UNREGISTERED: _unregistered,
    Reason.EXPIRED: _expired,
    Reason.SOCKET_CLOSED: _socket_closed,
    Reason.PING_TIMEOUT: _ping_timeout,
    Reason.NODE_LOST: _node_lost,
    Reason.REVOKED: _revoked,
    Reason.IP_REJECTED: _ip_rejected,
}
"""`reason` of the status of an offline phone -> its sentence; one row for each."""


# Why the phone was refused


def _ip_locked(case: Case) -> str:
    refused = f"the phone's address {case.live.last_rejected_ip} was refused because the phone"
    match case.rule.mode:
        case IpMode.LOCKED if case.rule.address == case.live.last_rejected_ip:
            return f"{refused} was locked to another one. It is locked to this one now: its next try gets in"
        case IpMode.LOCKED:
            return f"{refused} is locked to {case.rule.address}. Open it again with ip.mode OPEN"
        case IpMode.OPEN:
            return f"{refused} was locked to another one. It is open now: its next registration locks it"
        case IpMode.ROAMING:
            return f"{refused} was locked to another one. It may roam now, in {case.rule.countries}"


def _country_refused(case: Case) -> str:
    return (
        f"the phone's address {case.live.last_rejected_ip} was refused because its country is not one of "
        f"{case.rule.countries or 'its countries'}. Add the country to ip.countries"
    )


def _country_unknown(case: Case) -> str:
    return (
        f"the phone's address {case.live.last_rejected_ip} was refused because its country is unknown "
        "(private addresses have none). Use ip.mode LOCKED or OPEN for this phone"
    )


def _no_country_file(case: Case) -> str:
    return (
        f"the phone's address {case.live.last_rejected_ip} was refused because the phone may roam in "
        f"{case.rule.countries or 'some countries'} and the registrar has no country file. "
        "Give it one (REGISTRAR_GEOIP_DATABASE)"
    )


def _proxy_address(case: Case) -> str:
    return (
        f"it came from {case.live.last_rejected_ip}, a proxy of the registrar's own to which no phone is "
        "locked. See that the proxy tells the phone's address (X-Forwarded-For)"
    )


def _untrusted_network(case: Case) -> str:
    return (
        f"the phone's address {case.live.last_rejected_ip} was refused because it is in none of the "
        "customer's trusted networks. Add its network to them"
    )


def _customer_inactive(case: Case) -> str:
    return (
        f"it was refused at {moment(case.live.last_rejected_at)} because its customer was not active. "
        "The customer is active now: the phone gets in with its next try"
    )


def _other_cluster(case: Case) -> str:
    return (
        f"it was refused when it came from {case.live.last_rejected_ip} because it belongs to another PBX "
        "cluster than this registrar. Send it to the other one, or change pbxCluster"
    )


def _not_yours(case: Case) -> str:
    return (
        f"it was refused when it came from {case.live.last_rejected_ip} because it asked for an address that "
        "is not its own. Its SIP user must be its username or the number of its extension, at its own domain"
    )


def _foreign_uri(case: Case) -> str:
    return (
        f"it was refused when it came from {case.live.last_rejected_ip} because its digest, made with the "
        "right password, names another host than this registrar. Set its SIP server or domain to this one's"
    )


def _no_extension(case: Case) -> str:
    return (
        f"a call of it was refused from {case.live.last_rejected_ip} because it has no extension. "
        "Give it one, so that it can call and be called"
    )


def _banned(case: Case) -> str:
    return (
        f"a request from {case.live.last_rejected_ip} was refused because the phone is banned. Find out "
        "why on the page Security of the board, and lift the ban there"
    )


def _not_secure(case: Case) -> str:
    return (
        f"a request from {case.live.last_rejected_ip} was refused because it came without TLS, and the phone "
        "or its customer requires it (policy.tls). Set the phone's transport to TLS"
    )


def _weak_digest(case: Case) -> str:
    return (
        f"the right password from {case.live.last_rejected_ip} was refused because it was proved by MD5, and "
        "the phone or its customer requires SHA-256 (policy.sha256). Update the phone, or end the policy"
    )


def _networks_missing(case: Case) -> str:
    return (
        f"the phone's address {case.live.last_rejected_ip} was refused because users of the customer must "
        "come from a trusted network (policy.networks), and the customer has none. Add its networks"
    )


def _too_many_contacts(case: Case) -> str:
    return (
        f"a REGISTER from {case.live.last_rejected_ip} was refused because it names more contacts than one "
        "phone may have. Let each device register with an account of its own"
    )


def _edge_proxy(case: Case) -> str:
    return (
        f"a REGISTER from {case.live.last_rejected_ip} was refused because it came through a proxy that "
        "wants to stay between (Path), and is no edge proxy of this service. Let the phone register without "
        "it, or name it in REGISTRAR_EDGES"
    )


def _bad_path(case: Case) -> str:
    return (
        f"a REGISTER from {case.live.last_rejected_ip} was refused because the edge proxy before it "
        "added no Path, or one that leads nowhere. The Warning of the answer says what is wrong with it"
    )


def _bad_contact(case: Case) -> str:
    return (
        f"a REGISTER from {case.live.last_rejected_ip} was refused because its Contact cannot be used. "
        "The Warning of the 400 says what is wrong with it; check the phone's own address and its settings"
    )


def _cseq_out_of_order(case: Case) -> str:
    return (
        f"a REGISTER from {case.live.last_rejected_ip} was refused because its CSeq is not higher than that "
        "of the one before it. Restart the phone; if it happens again, update its firmware"
    )


def _wrong_password(case: Case) -> str:
    live = case.live
    times = ""
    if (live.wrong_passwords or 0) > 1:
        times = f", {live.wrong_passwords} times since {moment(live.wrong_passwords_since)}"
    return (
        f"wrong password from {live.last_rejected_ip}{times}. If this is the phone, give it the username and "
        "password it has now; if it is not, someone is guessing passwords"
    )


def _refused_somehow(case: Case) -> str:
    return f"it was refused from {case.live.last_rejected_ip} ({case.live.last_rejected_reason})"


REFUSALS: Final[Mapping[str, Sentence]] = {
    "ip-locked": _ip_locked,
    "country-refused": _country_refused,
    "country-unknown": _country_unknown,
    "no-country-file": _no_country_file,
    "proxy-address": _proxy_address,
    "untrusted-network": _untrusted_network,
    "customer-inactive": _customer_inactive,
    "other-cluster": _other_cluster,
    "not-yours": _not_yours,
    "foreign-uri": _foreign_uri,
    "no-extension": _no_extension,
    "banned": _banned,
    "edge-proxy": _edge_proxy,
    "bad-path": _bad_path,
    "too-many-contacts": _too_many_contacts,
    "not-secure": _not_secure,
    "weak-digest": _weak_digest,
    "networks-missing": _networks_missing,
    "bad-contact": _bad_contact,
    "cseq-out-of-order": _cseq_out_of_order,
    "wrong-password": _wrong_password,
}
"""Reason of a refusal -> its sentence; one row for each."""


def _refusal_since(case: Case) -> str | None:
    """Return the sentence for the last refusal if it came after the phone went offline, else None.

    Such a refusal is why the phone stays offline. If both are in the same second, the status decides: a
    refusal of an offline phone becomes its reason.
    """
    live = case.live
    at, why = live.last_rejected_at, live.last_rejected_reason or ""
    if at is None:
        return None
    if live.since is not None and (at < live.since or (at == live.since and live.reason != _reason_of(why))):
        return None
    return REFUSALS.get(why, _refused_somehow)(case)


def _reason_of(refusal: str) -> str | None:
    why = REFUSED_AS.get(refusal)
    return None if why is None else str(why)


def _reset_since(case: Case) -> str:
    """Return a sentence about credentials that were reset after the last event, or empty.

    The phone may not have tried the new ones yet, so this is added to what was wrong before.
    """
    live = case.live
    newest = max(live.since or 0, live.last_rejected_at or 0)
    deed = next((deed for deed in case.deeds if deed.what == CREDENTIALS), None)
    if deed is None or deed.at <= newest:
        return ""
    return f" Since then its credentials were reset {_by(deed)}. {_CREDENTIALS}."


# Parts of sentences


def _deed_that_ended_it(case: Case) -> Deed | None:
    """Return the change that a person made when the phone went offline, within SLACK_SECONDS, or None."""
    since = case.live.since
    if since is None:
        return None
    return next((deed for deed in case.deeds if abs(since - deed.at) <= SLACK_SECONDS), None)


def _by(deed: Deed) -> str:
    place = f" from {deed.ip}" if deed.ip else ""
    return f"by {deed.by}{place} at {moment(deed.at)}"


def _over(case: Case) -> str:
    return f" over {case.live.transport.upper()}" if case.live.transport else ""


def _last_seen(case: Case) -> str:
    return f" at {moment(case.live.last_seen)}" if case.live.last_seen is not None else ""
