"""The live status of a phone: the written fields and their interpretation (docs/redis.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registrar.model import Binding, Epoch, Reason

CONNECTED_TRANSPORTS = frozenset({"tcp", "tls", "ws", "wss"})


REFUSED_AS = {
    "ip-locked": Reason.IP_REJECTED,
    "country-refused": Reason.IP_REJECTED,
    "country-unknown": Reason.IP_REJECTED,
    "no-country-file": Reason.IP_REJECTED,
    "proxy-address": Reason.IP_REJECTED,
    "untrusted-network": Reason.IP_REJECTED,
    "networks-missing": Reason.IP_REJECTED,
    "not-secure": Reason.IP_REJECTED,
    "customer-inactive": Reason.REVOKED,
}
"""Refusal -> the reason why an offline phone stays offline; any other refusal is only recorded."""


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The status of a phone now. `online` is None if the store did not answer, so the status is unknown."""

    online: bool | None = False
    expires: int | None = -1
    """Seconds left; -1 if offline, None if unknown."""
    local_ip_address: str | None = None
    public_ip_address: str | None = None
    public_port: int | None = None
    user_agent: str | None = None
    transport: str | None = None
    node: str | None = None
    generation: str | None = None
    """The generation of `node`; each start of the node is a new one."""
    expires_at: int | None = None
    """Epoch seconds at which the last binding expires or expired."""
    state: str | None = "offline"
    reason: str | None = None
    """None if the phone has never registered, or not within the last 30 days."""
    since: int | None = None
    """Epoch seconds at which `state` began."""
    last_seen: int | None = None
    rtt_ms: float | None = None
    last_rejected_at: int | None = None
    last_rejected_ip: str | None = None
    last_rejected_reason: str | None = None
    silent: bool = False
    """Offline but still bound over UDP: it answers no pings. It gets calls, and is online once heard."""
    wrong_passwords: int | None = None
    """Number of wrong passwords since `wrong_passwords_since`, with gaps of less than an hour."""
    wrong_passwords_since: int | None = None


UNKNOWN = LiveStatus(online=None, expires=None, state=None)
"""The status while Redis is unavailable: an unknown status is never reported as offline."""


def live_status(fields: Mapping[str, str], leases: Mapping[str, str], now: Epoch) -> LiveStatus:
    """Return the status at `now` from the status hash `fields`.

    `leases` maps the names of the live nodes to their generations. A phone on a connection (TCP, TLS,
    WebSocket) is online only while the process that holds its connection is alive.
    """
    if not fields:
        return LiveStatus()
    expires_at = _int(fields, "expiresAt") or 0
    said_online = fields.get("online") == "1"
    expired = expires_at <= now
    lost = node_is_gone(fields, leases)
    online = said_online and not expired and not lost
    reason = fields.get("reason") or None
    since = _int(fields, "since")
    if said_online and not online:  # the sweep has not updated the hash yet; report the actual status
        reason = str(Reason.EXPIRED if expired else Reason.NODE_LOST)
        since = expires_at if expired else int(now)
    return LiveStatus(
        online=online,
        expires=max(1, round(expires_at - now)) if online else -1,
        local_ip_address=fields.get("localIpAddress") or None,
        public_ip_address=fields.get("publicIpAddress") or None,
        public_port=_int(fields, "publicPort"),
        user_agent=fields.get("userAgent") or None,
        transport=fields.get("transport") or None,
        node=fields.get("node") or None,
        generation=fields.get("generation") or None,
        expires_at=expires_at or None,
        state="registered" if online else "offline",
        reason=reason,
        since=since,
        last_seen=_int(fields, "lastSeen"),
        rtt_ms=_float(fields, "rttMs"),
        last_rejected_at=_int(fields, "lastRejectedAt"),
        last_rejected_ip=fields.get("lastRejectedIp") or None,
        last_rejected_reason=fields.get("lastRejectedReason") or None,
        silent=not said_online and not expired and _fell_silent(fields),
        wrong_passwords=_int(fields, "wrongPasswords"),
        wrong_passwords_since=_int(fields, "wrongPasswordsSince"),
    )


def needed_lease(fields: Mapping[str, str]) -> str | None:
    """Return the name of the node whose lease decides about this phone, or None if no lease does."""
    if fields.get("online") == "1" and fields.get("transport") in CONNECTED_TRANSPORTS:
        return fields.get("node")
    return None


def newest(bindings: Sequence[Binding]) -> Binding:
    """Return the binding that the status shows: the one refreshed last."""
    return max(bindings, key=lambda binding: (binding.refreshed_at, binding.expires_at))


def online_fields(bindings: Sequence[Binding], since: int) -> dict[str, str]:
    """Return the status fields of a phone with live `bindings`: the newest one and the latest expiry."""
    shown = newest(bindings)
    return {
        "online": "1",
        "expiresAt": str(max(binding.expires_at for binding in bindings)),
        "userAgent": shown.user_agent,
        "localIpAddress": shown.local_ip,
        "publicIpAddress": shown.public_ip,
        "publicPort": str(shown.public_port),
        "transport": shown.transport,
        "node": shown.node,
        "generation": shown.generation,
        "state": "registered",
        "reason": str(Reason.REGISTERED),
        "since": str(since),
        "lastSeen": str(shown.refreshed_at),
    }


def refreshed_fields(bindings: Sequence[Binding]) -> dict[str, str]:
    """Return the status fields that a refresh without other changes updates."""
    return {
        "expiresAt": str(max(binding.expires_at for binding in bindings)),
        "lastSeen": str(newest(bindings).refreshed_at),
    }


def silent_fields(bindings: Sequence[Binding], since: Epoch) -> dict[str, str]:
    """Return the status fields of a phone whose live `bindings` are all silent, with address and expiry."""
    return online_fields(bindings, 0) | offline_fields(Reason.PING_TIMEOUT, since)


def offline_fields(reason: Reason, now: Epoch) -> dict[str, str]:
    """Return the status fields of a phone that has lost its last binding; its address fields remain."""
    return {"online": "0", "state": "offline", "reason": str(reason), "since": str(int(now))}


def rejected_fields(ip: str, reason: str, now: Epoch, *, online: bool) -> dict[str, str]:
    """Return the status fields of a refusal; they leave an online status online (decision 15)."""
    fields = {"lastRejectedAt": str(int(now)), "lastRejectedIp": ip, "lastRejectedReason": reason}
    why = REFUSED_AS.get(reason)
    if not online and why is not None:  # it was offline before: `since` does not change
        fields |= {"online": "0", "state": "offline", "reason": str(why)}
    return fields


def node_is_gone(fields: Mapping[str, str], leases: Mapping[str, str]) -> bool:
    """Return whether the phone is on a connection of a process that has no lease."""
    node = needed_lease(fields)
    return node is not None and leases.get(node) != fields.get("generation")


def _fell_silent(fields: Mapping[str, str]) -> bool:
    return fields.get("reason") == Reason.PING_TIMEOUT and fields.get("transport") == "udp"


def _int(fields: Mapping[str, str], name: str) -> int | None:
    value = fields.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None


def _float(fields: Mapping[str, str], name: str) -> float | None:
    try:
        return float(fields[name])
    except (KeyError, ValueError):
        return None
