"""The history of a phone: its journal from Redis and its audit log from SQL, merged into one list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from config.diagnosis import CREDENTIALS, SETTINGS, Circumstances, Deed
from registrar.model import IpMode

from .. import clock
from ..access import AccessLevel
from ..auth import Caller
from ..errors import not_found
from ..live import Entry
from ..tables import AuditLog, Customer, Employee, SipPhone
from .audit import parse_oid
from .customers import ACTIVE, DELETED, visible
from .phones.find import one_of

DONE: Final[Mapping[str, str]] = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "resetcredentials": "reset",
    "unlock": "unlocked",
    "acceptaddress": "accepted",
    "lock": "locked-again",
    "rearm": "rearmed",
    "expect": "expected",
    "rotate": "rotated",
    "link": "linked",
    "readsecrets": "secrets-read",
    "configreload": "reload-asked",
    "reboot": "reboot-asked",
}
"""Action of the audit log -> name of the event."""
CHANGES_NOTHING: Final = frozenset(
    map(
        DONE.__getitem__,
        ("create", "rearm", "expect", "rotate", "link", "readsecrets", "configreload", "reboot"),
    )
)
"""Events that are no reason why a phone is offline: they have changed nothing that it needs to register."""
IN_THE_JOURNAL: Final = ("first-contact", "read")
"""Actions that are no change through the API: a first contact, which the journal has, and reads."""
MAX_EVENTS: Final = 100
"""The journal holds no more events."""
SIP: Final = "sip"
API: Final = "api"

_phone = SipPhone.__table__.c
_customer = Customer.__table__.c
_audit = AuditLog.__table__.c
_employee = Employee.__table__.c

_WATCHED: Final = select(
    _phone.oid,
    _phone.config_loaded_at,
    _phone.config_saved_at,
    _customer.state,
    _phone.ip_mode,
    _phone.ip_countries,
    _phone.ip_address,
    _phone.ip_policy,
    func.coalesce(_phone.require_tls, _customer.require_tls),
).join(Customer.__table__, and_(_customer.id == _phone.customer_id, _customer.state != DELETED))
"""The columns of a Watched. These statements are built once, as building one costs more than running it."""
_ONE: Final = _WATCHED.where(_phone.oid == bindparam("oid"))
_ONE_OF_OWN: Final = _ONE.where(_customer.oid == bindparam("customer"))
_DEEDS: Final = (
    select(_audit.at, _audit.action, _audit.source_ip, _audit.actor, _audit.actor_level, _employee.name)
    .select_from(AuditLog.__table__)
    .outerjoin(Employee.__table__, _employee.oid == _audit.actor)
    .where(_audit.row_oid == bindparam("oid"), _audit.table_name == SipPhone.__tablename__)
    .where(_audit.action.not_in(IN_THE_JOURNAL))
    .order_by(_audit.row_oid.desc(), _audit.id.desc())
    .limit(MAX_EVENTS)
)


@dataclass(frozen=True, slots=True)
class Watched:
    """The columns of a phone that its status needs."""

    oid: str
    config_loaded: datetime | None
    config_saved: datetime | None
    rule: Circumstances


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of a phone."""

    at: datetime
    event: str
    source: str
    """SIP: what the phone did, or what happened to its registration. API: a change by a caller of the API."""
    reason: str | None = None
    ip: str | None = None
    port: int | None = None
    transport: str | None = None
    user_agent: str | None = None
    count: int = 1
    by: str | None = None
    """Name of the employee, else its level; for a journal entry `api`, or the node that did it."""
    level: str | None = None
    employee: str | None = None


async def find_watched(connection: AsyncConnection, caller: Caller, oid: object) -> Watched:
    """Return one phone. Raise Refused (404) if it is unknown or the caller may not see it."""
    statement, values = _in_sight(_ONE, caller)
    row = (await connection.execute(statement, values | {"oid": parse_oid(oid) or ""})).one_or_none()
    if row is None:
        raise not_found()
    return _watched(row)


async def find_all_watched(
    connection: AsyncConnection, caller: Caller, oids: Iterable[object]
) -> dict[str, Watched]:
    """Return by id the phones that exist and that the caller may see, with one SQL statement."""
    wanted = [parsed for parsed in map(parse_oid, oids) if parsed is not None]
    if not wanted:
        return {}
    statement, values = _in_sight(_WATCHED, caller)
    some = statement.where(one_of(connection.dialect, _phone.oid, wanted))
    return {row[0]: _watched(row) for row in await connection.execute(some, values)}


async def deeds(connection: AsyncConnection, oid: str) -> list[Happening]:
    """Return the last changes to the phone through the API, the newest first."""
    return [
        Happening(
            at, DONE.get(action, action), API, ip=ip or None, by=name or level, level=level, employee=actor
        )
        for at, action, ip, actor, level, name in await connection.execute(_DEEDS, {"oid": oid})
    ]


def _in_sight(
    statement: Select[*tuple[Any, ...]], caller: Caller
) -> tuple[Select[*tuple[Any, ...]], dict[str, str]]:
    """Return the statement limited to phones that the caller may see, and its parameters.

    For one phone and a caller below RESELLER, or for one that may see all, it was built in advance.
    """
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        return statement, {}
    if caller.level < AccessLevel.RESELLER and statement is _ONE:
        return _ONE_OF_OWN, {"customer": caller.customer or ""}
    return statement.where(visible(caller)), {}


def story(journal: Iterable[Entry], deeds: Iterable[Happening], limit: int) -> list[Happening]:
    """Return the newest `limit` events of a journal and of the changes through the API, the newest first.

    Malformed numbers in the journal are ignored.
    """
    events = [*map(_of_journal, journal), *deeds]
    return sorted(events, key=lambda happening: happening.at, reverse=True)[:limit]


def for_diagnosis(happenings: Iterable[Happening]) -> list[Deed]:
    """Return the changes to the phone through the API, in the form that the diagnosis needs."""
    return [
        Deed(
            CREDENTIALS if happening.event == DONE["resetcredentials"] else SETTINGS,
            happening.by or "",
            int(happening.at.timestamp()),
            happening.ip or "",
        )
        for happening in happenings
        if happening.event not in CHANGES_NOTHING
    ]


def _watched(row: Row[*tuple[Any, ...]]) -> Watched:
    oid, loaded, saved, state, mode, countries, address, policy, tls = row
    by_domain = policy == "DOMAIN"
    rule = Circumstances(state == ACTIVE, IpMode(mode), countries or "", address or "", by_domain, bool(tls))
    return Watched(oid, loaded, saved, rule)


def _of_journal(entry: Entry) -> Happening:
    at, get = clock.utc_exact(entry.at_ms / 1_000), entry.fields.get
    texts = {name: get(name) or None for name in ("reason", "ip", "transport", "by")}
    port, count = _number(get("port", "")) or None, _number(get("count", "")) or 1
    agent = get("userAgent") or None
    return Happening(at, get("event", ""), SIP, port=port, user_agent=agent, count=count, **texts)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
