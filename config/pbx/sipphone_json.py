"""A phone as JSON: one writer for create, get, update, reset and the full list, one for the normal list.

The layout of a response is planned once: a tree of names whose leaves are column positions in the row.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.rules.status import LiveStatus
from registrar.store.vault import Vault

from ..access import PURCHASE_LEVEL, AccessLevel
from ..operations.phones.fields import FIELDS
from ..operations.phones.find import LISTED, PANEL, SOFTKEY, WHOLE, Found, Values
from .shown import Json
from .status import status_json

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reader:
    """The reader of the JSON; properties that need a higher level are left out."""

    level: AccessLevel
    secrets_level: AccessLevel
    vault: Vault


@dataclass(frozen=True, slots=True)
class Shown:
    """The phone that is being written."""

    phone: Found
    live: LiveStatus
    vault: Vault


Make = Callable[[Shown], object]
Leaf = int | Make
"""A column position in the row, or a function that makes the value."""


class Plan:
    """The layout of a JSON object: a source for each name. All columns are taken from the row at once."""

    def __init__(self, parts: Mapping[str, "Leaf | Plan"]) -> None:
        self._names = tuple(parts)
        places = [part if isinstance(part, int) else 0 for part in parts.values()]
        self._take = itemgetter(*places, 0)  # with a single position, itemgetter would not return a tuple
        self._made: list[tuple[str, Make]] = []
        """Names whose value is not a column; until it is made, the name holds a placeholder."""
        for name, part in parts.items():
            if isinstance(part, Plan):
                self._made.append((name, part.write))
            elif not isinstance(part, int):
                self._made.append((name, part))

    def write(self, shown: Shown) -> Json:
        """Return the object for one phone."""
        answer: Json = dict(zip(self._names, self._take(shown.phone.values), strict=False))
        for name, make in self._made:
            answer[name] = make(shown)
        return answer


def full_phones(phones: Sequence[Found], statuses: Sequence[LiveStatus], reader: Reader) -> list[Json]:
    """Return all settings of each phone and its live status."""
    plan = _full_plan(reader.level >= PURCHASE_LEVEL, reader.level >= reader.secrets_level)
    return _written(plan, phones, statuses, reader.vault)


def listed_phones(phones: Sequence[Found], statuses: Sequence[LiveStatus], reader: Reader) -> list[Json]:
    """Return the rows of the normal list."""
    return _written(_LISTED, phones, statuses, reader.vault)


def _written(plan: Plan, phones: Sequence[Found], statuses: Sequence[LiveStatus], vault: Vault) -> list[Json]:
    return [plan.write(Shown(phone, live, vault)) for phone, live in zip(phones, statuses, strict=True)]


# Values that are more than a column


def _password(shown: Shown) -> str | None:
    """Return the password, or None if it cannot be decrypted: one broken row must not fail the whole list."""
    phone = shown.phone
    try:
        return shown.vault.open(str(phone.values[_PASSWORD]), phone.oid)
    except StoreUnavailable:
        log.error("the stored password of phone %s cannot be opened", phone.oid)
        return None


def _tone(shown: Shown) -> object:
    """Return the ringtone; the index of a built-in one becomes a number."""
    value = shown.phone.values[_TONE]
    return int(value) if isinstance(value, str) and len(value) <= 3 else value


def _status(shown: Shown) -> Json:
    values = shown.phone.values
    saved: Json = {"configLoaded": values[_LOADED], "configSaved": values[_SAVED]}
    return saved | status_json(shown.live)


def _softkeys(shown: Shown) -> list[Json]:
    return _objects(SOFTKEY, shown.phone.softkeys)


def _panels(shown: Shown) -> list[Json]:
    return _objects(PANEL, shown.phone.panels)


def _objects(columns: Mapping[str, object], rows: Sequence[Values]) -> list[Json]:
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _when(place: int, plan: Plan) -> Callable[[Shown], Json | None]:
    """Return a function for an object that is null if the column is null."""
    return lambda shown: None if shown.phone.values[place] is None else plan.write(shown)


# Plans

_WHOLE_PLACES: Final = {name: place for place, name in enumerate(WHOLE)}
_PASSWORD: Final = _WHOLE_PLACES["password_enc"]
_TONE: Final = _WHOLE_PLACES["ringer_tone"]
_LOADED: Final = _WHOLE_PLACES["config_loaded_at"]
_SAVED: Final = _WHOLE_PLACES["config_saved_at"]

Leaves = Mapping[str, Leaf]
"""Dotted name -> leaf."""


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
    leaves: dict[str, Leaf] = {path: _WHOLE_PLACES[column] for path, column in columns.items()}
    leaves |= {"softkeys": _softkeys, "ringer.tone": _tone, "purchaseInfo.sidePanels": _panels}
    if secrets:
        leaves["password"] = _password
    if not purchase:
        leaves = {path: leaf for path, leaf in leaves.items() if not path.startswith("purchaseInfo.")}
    return _plan(leaves | {"status": _status})


def _plan(leaves: Leaves) -> Plan:
    """Return a plan in which dotted names are nested plans."""
    parts: dict[str, Leaf | Plan] = {}
    for path, leaf in leaves.items():
        head, _, rest = path.partition(".")
        if not rest:
            parts[head] = leaf
        elif head not in parts:
            prefix = f"{head}."
            inner = {name.removeprefix(prefix): leaves[name] for name in leaves if name.startswith(prefix)}
            parts[head] = _plan(inner)
    return Plan(parts)


def _listed_plan() -> Plan:
    leaves: dict[str, Leaf] = {path: place for place, path in enumerate(LISTED) if path != "id"}
    for group in ("extension", "employee"):  # null if the phone has none
        prefix = f"{group}."
        inside = {path: leaves.pop(path) for path in list(leaves) if path.startswith(prefix)}
        names = {path.removeprefix(prefix): leaf for path, leaf in inside.items()}
        leaves[group] = _when(list(LISTED).index(f"{group}._id"), Plan(names))
    return _plan(leaves | {"online": lambda shown: shown.live.online})


_LISTED: Final = _listed_plan()
