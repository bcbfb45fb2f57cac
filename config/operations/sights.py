"""What the readers of event streams may see, and whether their tokens are still good."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from sqlalchemy import Row, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..access import AccessLevel
from ..auth import Caller, Claims, Credentials, ServiceToken
from ..errors import not_found
from ..feed.reader import Reader
from ..feed.told import Own, Sight, Wanted
from ..tables import Customer, Employee, Extension, LoginSession, SipPhone
from .audit import parse_oid
from .customers import DELETED, visible
from .people import Person, find_holders, find_people
from .phones.find import one_of

CHUNK: Final = 500
USER: Final = "u"
"""Begins the id of a SIP user as the SIP side has it; the number of its extension follows."""

SNAPSHOT_ROWS: Final = 200
"""Phones in one message of a snapshot: reading them takes some milliseconds of the event loop."""

Item = TypeVar("Item")
Stamp = Person | str | None
"""What must stay the same as long as a token is good."""

_phone = SipPhone.__table__.c
_extension = Extension.__table__.c
_customer = Customer.__table__.c
_employee = Employee.__table__.c

_session = LoginSession.__table__.c
_IS_OPEN: Final = _session.ended_at.is_(None)

_OWN: Final = (
    select(
        _employee.oid, _extension.id, _extension.oid, _extension.number, _extension.sip_ha1_md5, _phone.oid
    )
    .select_from(Employee.__table__)
    .join(Extension.__table__, _extension.employee_id == _employee.id)
    .outerjoin(SipPhone.__table__, _phone.extension_id == _extension.id)
)
_PHONES: Final = select(_phone.oid, _customer.oid).join(
    Customer.__table__, _customer.id == _phone.customer_id
)
_USERS: Final = select(_extension.id, _customer.oid).join(
    Customer.__table__, _customer.id == _extension.customer_id
)
_STATES: Final = select(_customer.oid, _customer.state)
_SNAPSHOT: Final = (
    select(_phone.id, _phone.oid, _customer.oid, _phone.config_loaded_at, _phone.config_saved_at)
    .join(Customer.__table__, and_(_customer.id == _phone.customer_id, _customer.state != DELETED))
    .where(_phone.id > bindparam("after"))
    .order_by(_phone.id)
    .limit(bindparam("count"))
)


async def sight_of(connection: AsyncConnection, caller: Caller) -> Sight:
    """Return what a caller may see."""
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        return Sight(None)
    if caller.level >= AccessLevel.RESELLER:
        return Sight(frozenset(await connection.scalars(select(Customer.oid).where(visible(caller)))))
    mine = frozenset([caller.customer] if caller.customer else ())
    if caller.level >= AccessLevel.VIEWER:
        return Sight(mine)
    employee = caller.employee or ""
    return Sight(mine, (await own_of(connection, [employee]))[employee])


async def own_of(connection: AsyncConnection, employees: Collection[str]) -> Mapping[str, Own]:
    """Return what belongs to each of these people: their extensions, with phones and SIP users."""
    phones: defaultdict[str, set[str]] = defaultdict(set)
    people: defaultdict[str, set[str]] = defaultdict(set)
    numbers: defaultdict[str, set[str]] = defaultdict(set)
    for chunk in _chunks(employees):
        rows = await connection.execute(_OWN.where(one_of(connection.dialect, _employee.oid, chunk)))
        for employee, id, extension, number, user, phone in rows:
            phones[employee].update(filter(None, (phone, f"{USER}{id}" if user else None)))
            people[employee].add(extension)
            numbers[employee].add(number)
    return {
        one: Own(frozenset(phones[one]), frozenset(people[one]), frozenset(numbers[one])) for one in employees
    }


async def customers_of(connection: AsyncConnection, phones: Collection[str]) -> Mapping[str, str]:
    """Return the customers of those phones and SIP users that exist."""
    users = {int(id[1:]): id for id in phones if id[:1] == USER and id[1:].isdecimal() and len(id) < 20}
    found: dict[str, str] = {}
    for chunk in _chunks([id for id in phones if parse_oid(id)]):
        rows = await connection.execute(_PHONES.where(one_of(connection.dialect, _phone.oid, chunk)))
        found |= dict(rows.all())
    for numbers in _chunks(list(users)):
        rows = await connection.execute(_USERS.where(one_of(connection.dialect, _extension.id, numbers)))
        found |= {users[number]: customer for number, customer in rows}
    return found


async def require_phones(
    connection: AsyncConnection, sight: Sight, phones: Collection[str]
) -> frozenset[str]:
    """Return the ids of phones and SIP users as they are stored.

    Raise Refused (404) if one is unknown, or the caller may not see it.
    """
    wanted = {parse_oid(phone) or phone for phone in phones}
    found = await customers_of(connection, wanted)
    for phone in wanted:
        customer = found.get(phone)
        is_hidden = sight.customers is not None and customer not in sight.customers
        if customer is None or is_hidden or (sight.own is not None and phone not in sight.own.phones):
            raise not_found()
    return frozenset(wanted)


async def snapshot_page(
    connection: AsyncConnection, caller: Caller, sight: Sight, wanted: Wanted, after: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return the next phones that a reader sees and wants, as rows of _SNAPSHOT."""
    statement = _SNAPSHOT.where(visible(caller))
    chosen = wanted.phones or (sight.own.phones if sight.own is not None else None)
    if chosen is not None:
        statement = statement.where(one_of(connection.dialect, _phone.oid, chosen))
    if wanted.customer:
        statement = statement.where(_customer.oid == wanted.customer)
    found = await connection.execute(statement, {"after": after, "count": SNAPSHOT_ROWS})
    return found.all()


# Tokens


async def look_again(connection: AsyncConnection, readers: Sequence[Reader]) -> None:
    """End the readers whose token is void, and update what the others may see."""
    now_valid = await stamps(connection, {reader.token for reader in readers})
    for reader in readers:
        if now_valid[reader.token] != reader.stamp:
            reader.end()
    living = [reader for reader in readers if not reader.over]
    personal = {reader.caller.employee or "" for reader in living if reader.sight.own is not None}
    own = await own_of(connection, personal)
    resellers = {reader.caller for reader in living if reader.caller.level == AccessLevel.RESELLER}
    sights = {caller: await sight_of(connection, caller) for caller in resellers}
    for reader in living:
        if reader.sight.own is not None:
            reader.sight = replace(reader.sight, own=own[reader.caller.employee or ""])
        reader.sight = sights.get(reader.caller, reader.sight)


async def stamps(connection: AsyncConnection, tokens: Collection[Credentials]) -> Mapping[Credentials, Stamp]:
    """Return for each token what must stay the same while it is used.

    That is its person, else the state of its customer, else nothing. A void token has nothing, too.
    """
    claims = [token for token in tokens if isinstance(token, Claims)]
    people: dict[str, Person] = {}
    for chunk in _chunks({token.employee for token in claims if token.employee}):
        people |= await find_people(connection, chunk)
    holders: dict[str, Person] = {}
    for chunk in _chunks({token.sha256 for token in tokens if isinstance(token, ServiceToken)}):
        holders |= await find_holders(connection, chunk)
    states: dict[str, str] = {}
    for chunk in _chunks({token.customer for token in claims if token.customer and not token.employee}):
        rows = await connection.execute(_STATES.where(one_of(connection.dialect, _customer.oid, chunk)))
        states |= dict(rows.all())

    open_sessions: set[str] = set()
    for chunk in _chunks({token.session for token in claims if token.session}):
        wanted = one_of(connection.dialect, _session.oid, chunk)
        open_sessions |= set(await connection.scalars(select(_session.oid).where(wanted, _IS_OPEN)))

    def stamp(token: Credentials) -> Stamp:
        if isinstance(token, Claims):
            if token.session and token.session not in open_sessions:
                return None
            return people.get(token.employee) if token.employee else states.get(token.customer or "")
        return holders.get(token.sha256) if isinstance(token, ServiceToken) else None

    return {token: stamp(token) for token in tokens}


def _chunks(items: Collection[Item]) -> Iterator[list[Item]]:
    listed = list(items)
    return (listed[start : start + CHUNK] for start in range(0, len(listed), CHUNK))
