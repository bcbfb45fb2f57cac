"""The live status of a phone, as a phone and as its own routes show it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from registrar.rules.status import LiveStatus

from .. import clock
from .schema import MOMENT, of
from .schema import moment as a_moment
from .shown import Json, Shown, shown


def moment(seconds: int | None) -> datetime | None:
    """Return epoch seconds as a datetime, for `json_answer`."""
    return None if seconds is None else clock.utc(seconds)


def _moment(attribute: str) -> Callable[[LiveStatus], object]:
    take = attrgetter(attribute)
    return lambda live: moment(take(live))


STATUS: Final[Sequence[Shown[LiveStatus]]] = (
    shown("online", of("boolean", "null: unknown, the live store is away", example=True)),
    shown("expires", of("integer", "Seconds left; -1 when offline; null: unknown", example=2543)),
    shown("localIpAddress", of("string", example="192.168.1.10"), "local_ip_address"),
    shown("publicIpAddress", of("string", example="192.0.2.7"), "public_ip_address"),
    shown("userAgent", of("string", example="Yealink SIP-T46U 108.86.0.20"), "user_agent"),
    shown("state", of("string", "null: unknown", enum=["registered", "offline", None], example="registered")),
    shown("reason", of("string", "Why it is in this state", example="registered")),
    Shown(
        "since",
        of("string", "Since when it is in this state", format="date-time", example=MOMENT["example"]),
        _moment("since"),
    ),
    shown("transport", of("string", example="udp"), optional=True),
    shown("publicPort", of("integer", example=5060), "public_port", optional=True),
    Shown("lastSeen", a_moment(), _moment("last_seen"), optional=True),
    shown("rttMs", of("number"), "rtt_ms", optional=True),
    Shown("lastRejectedAt", a_moment(), _moment("last_rejected_at"), optional=True),
    shown("lastRejectedIp", of("string"), "last_rejected_ip", optional=True),
    shown("lastRejectedReason", of("string"), "last_rejected_reason", optional=True),
)
"""The status inside a phone, which leaves out what is optional and has no value."""
WHOLE: Final[Sequence[Shown[LiveStatus]]] = (
    *(Shown(line.path, line.schema, line.value) for line in STATUS),
    Shown("expiresAt", a_moment("When its registration runs out, or ran out"), _moment("expires_at")),
    shown("node", of("string", "The process that holds it", example="sip-1-5060")),
    shown("generation", of("string", "Which start of that process")),
)
"""The status that its own routes show, with null for values that are missing."""


def status_json(live: LiveStatus, lines: Sequence[Shown[LiveStatus]] = STATUS) -> Json:
    """Return a status with these properties."""
    values = ((line, line.value(live)) for line in lines)  # no path is dotted: a page has 1,000 of these
    return {line.path: value for line, value in values if not (line.optional and value is None)}
