"""A phone as JSON: one writer for create, get, update, reset and the full list, one for the normal list.

The layout of a response is planned once: a tree of names whose leaves are column positions in the row.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.rules.status import LiveStatus
from registrar.store.vault import Vault

from .. import clock
from ..access import PURCHASE_LEVEL, AccessLevel
from ..deps import Parts
from ..operations.phones.draft import FIELDS
from ..operations.phones.find import (
    LISTED,
    PANEL,
    SOFTKEY,
    STATED,
    UNLOCKED,
    WHOLE,
    Columns,
    Found,
    Values,
)
from .schema import MOMENT, moment, of
from .shown import Json, Shown, nested, shown

log = logging.getLogger(__name__)


def _moment(attribute: str) -> Callable[[LiveStatus], datetime | None]:
    """Return a function that reads epoch seconds as a datetime, for `json_answer`."""
    take = attrgetter(attribute)
    return lambda live: None if take(live) is None else clock.utc(take(live))


STATUS: Final[Sequence[Shown[LiveStatus]]] = (
    shown("online", of("boolean", "null: unknown, the live store is away", example=True)),
    shown("expires", of("integer", "Seconds left; -1 when offline; null: unknown", example=2543)),
    shown("localIpAddress", of("string", example="192.168.1.10"), "local_ip_address"),
    shown("publicIpAddress", of("string", example="192.0.2.7"), "public_ip_address"),
    shown("userAgent", of("string", example="Yealink SIP-T46U 108.86.0.20"), "user_agent"),
    shown("state", of("string", "null: unknown", enum=["registered", "offline"], example="registered")),
    shown("reason", of("string", "Why it is in this state", example="registered")),
    Shown(
        "since",
        of("string", "Since when it is in this state", format="date-time", example=MOMENT["example"]),
        _moment("since"),
    ),
    shown("transport", of("string", example="udp"), optional=True),
    shown("publicPort", of("integer", example=5060), "public_port", optional=True),
    Shown("lastSeen", moment(), _moment("last_seen"), optional=True),
    shown("rttMs", of("number"), "rtt_ms", optional=True),
    Shown("lastRejectedAt", moment(), _moment("last_rejected_at"), optional=True),
    shown("lastRejectedIp", of("string"), "last_rejected_ip", optional=True),
    shown("lastRejectedReason", of("string"), "last_rejected_reason", optional=True),
)
"""The status inside a phone, which leaves out what is optional and has no value."""
COUNTRY: Final = of("string", "Of the public address, by the country file; null: not known", example="DK")
STATUS_ROUTE: Final[Sequence[Shown[LiveStatus]]] = (
    *(Shown(line.path, line.schema, line.value) for line in STATUS),
    Shown("expiresAt", moment("When its registration runs out, or ran out"), _moment("expires_at")),
    shown("node", of("string", "The process that holds it", example="sip-1-5060")),
    shown("generation", of("string", "Which start of that process")),
)
"""The status that its own routes show, with null for values that are missing."""


def status_json(live: LiveStatus, lines: Sequence[Shown[LiveStatus]] = STATUS) -> Json:
    """Return a status with these properties."""
    values = ((line, line.value(live)) for line in lines)  # no path is dotted: a page has 1,000 of these
    return {line.path: value for line, value in values if not (line.optional and value is None)}


def saved_status(live: LiveStatus, loaded: object, saved: object) -> Json:
    """Return the status inside a phone: when it took its settings and they were saved, then the live part."""
    return {"configLoaded": loaded, "configSaved": saved} | status_json(live)


# Phones


@dataclass(frozen=True, slots=True)
class Written:
    """The phone that is being written."""

    phone: Found
    live: LiveStatus
    vault: Vault


Make = Callable[[Written], object]


class Plan:
    """The layout of a JSON object. All columns are taken from the row at once."""

    def __init__(self, parts: Mapping[str, object]) -> None:
        """Take a source for each name: a column position in the row, a function, or a nested layout."""
        self._names = tuple(parts)
        places = [part if isinstance(part, int) else 0 for part in parts.values()]
        self._take = itemgetter(*places, 0)  # with a single position, itemgetter would not return a tuple
        self._made: list[tuple[str, Make]] = []
        """Names whose value is not a column; until it is made, the name holds a placeholder."""
        for name, part in parts.items():
            if isinstance(part, Mapping):
                self._made.append((name, Plan(part).write))
            elif callable(part):
                self._made.append((name, part))

    def write(self, shown: Written) -> Json:
        """Return the object for one phone."""
        answer: Json = dict(zip(self._names, self._take(shown.phone.values), strict=False))
        for name, make in self._made:
            answer[name] = make(shown)
        return answer


def phones_json(
    phones: Sequence[Found], statuses: Sequence[LiveStatus], level: AccessLevel, parts: Parts, *, full: bool
) -> list[Json]:
    """Return all settings of each phone and its live status, or the rows of the normal list.

    Properties that need a higher level than `level` are left out.
    """
    plan = _full_plan(level >= PURCHASE_LEVEL, level >= parts.settings.secrets_level) if full else _LISTED
    until = (_WHOLE_PLACES if full else _LISTED_PLACES)[UNLOCKED]
    return _rows(plan, phones, statuses, parts.vault, until)


def stated_json(phones: Sequence[Found], statuses: Sequence[LiveStatus], parts: Parts) -> list[Json]:
    """Return the rows of the normal list, each with the whole status and the customer."""
    rows = _rows(_STATED, phones, statuses, parts.vault, _LISTED_PLACES[UNLOCKED])
    pairs = zip(rows, statuses, strict=True)
    return [row | {"status": located_status(live, STATUS, parts)} for row, live in pairs]


def located_status(live: LiveStatus, lines: Sequence[Shown[LiveStatus]], parts: Parts) -> Json:
    """Return a status with these properties, and the country of its address."""
    return status_json(live, lines) | {"country": parts.origins.country(live.public_ip_address)}


def _rows(
    plan: Plan, phones: Sequence[Found], statuses: Sequence[LiveStatus], vault: Vault, until: int
) -> list[Json]:
    """Return the object of each phone; `until` is the place of UNLOCKED."""
    pairs = zip(phones, statuses, strict=True)
    return [_unlocked(plan.write(Written(phone, live, vault)), phone.values[until]) for phone, live in pairs]


def _unlocked(phone: Json, until: object) -> Json:
    """Return the object of a phone, with the end of its time if it is unlocked for a time."""
    ip = phone["ip"]
    if until is not None and isinstance(ip, dict):
        ip["unlockedUntil"] = until
    return phone


# Values that are more than a column


def opened(vault: Vault, stored: str, oid: str) -> str | None:
    """Return the password, or None if it cannot be decrypted: one broken row must not fail the whole list."""
    try:
        return vault.open(stored, oid)
    except StoreUnavailable:
        log.error("the stored password of phone %s cannot be opened", oid)
        return None


def _password(shown: Written) -> str | None:
    return opened(shown.vault, str(shown.phone.values[_PASSWORD]), shown.phone.oid)


def _tone(shown: Written) -> object:
    """Return the ringtone; the index of a built-in one becomes a number."""
    value = shown.phone.values[_TONE]
    return int(value) if isinstance(value, str) and len(value) <= 3 else value


def _status(shown: Written) -> Json:
    values = shown.phone.values
    return saved_status(shown.live, values[_LOADED], values[_SAVED])


def _objects(columns: Mapping[str, object], rows: Sequence[Values]) -> list[Json]:
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _when(place: int, plan: Plan) -> Callable[[Written], Json | None]:
    """Return a function for an object that is null if the column is null."""
    return lambda shown: None if shown.phone.values[place] is None else plan.write(shown)


# Plans

_WHOLE_PLACES: Final = {name: place for place, name in enumerate(WHOLE)}
_PASSWORD: Final = _WHOLE_PLACES["password_enc"]
_TONE: Final = _WHOLE_PLACES["ringer_tone"]
_LOADED: Final = _WHOLE_PLACES["config_loaded_at"]
_SAVED: Final = _WHOLE_PLACES["config_saved_at"]
_LISTED_PLACES: Final = {path: place for place, path in enumerate(LISTED)}


@lru_cache(4)
def _full_plan(purchase: bool, secrets: bool) -> Plan:
    columns = {
        "_id": "oid",
        "sipPhoneModel": "model",
        "extension": "extension",
        "customer": "customer",
        "product": "product",
        "handsetIndex": "handset_index",
        "username": "username",
    } | {field.path: field.column for field in FIELDS}
    leaves: Json = {path: _WHOLE_PLACES[column] for path, column in columns.items()} | {
        "softkeys": lambda shown: _objects(SOFTKEY, shown.phone.softkeys),
        "ringer.tone": _tone,
        "purchaseInfo.sidePanels": lambda shown: _objects(PANEL, shown.phone.panels),
    }
    if secrets:
        leaves["password"] = _password
    if not purchase:
        leaves = {path: leaf for path, leaf in leaves.items() if not path.startswith("purchaseInfo.")}
    return Plan(nested(leaves | {"status": _status}))


def _listed_plan(columns: Columns, live: Mapping[str, Make]) -> Plan:
    places = {path: place for place, path in enumerate(columns)}
    parts = nested({path: place for path, place in places.items() if path not in ("id", UNLOCKED)})
    for group in ("extension", "employee"):
        inside = parts.pop(group)
        if isinstance(inside, Mapping):
            parts[group] = _when(places[f"{group}._id"], Plan(inside))
    return Plan({**parts, **live})


_LISTED: Final = _listed_plan(LISTED, {"online": lambda shown: shown.live.online})
_STATED: Final = _listed_plan(STATED, {})
