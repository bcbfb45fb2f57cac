"""Customers: which of them a caller may see, and how they and their trusted networks are changed.

The users and devices of a customer may register from its trusted networks only (decision 3). Each change of
one increments the customer's version, because the view `phone_v1` shows networks with every user.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.rules.access import network as parse_network

from .. import clock
from ..access import AccessLevel
from ..auth import Caller
from ..errors import Problem, Refused, not_found, not_your_customer, refused
from ..properties import fields_of
from ..saved import note_saved
from ..tables import (
    Customer,
    Employee,
    EmployeeToken,
    Extension,
    Queue,
    SipGroup,
    SipPhone,
    TrustedNetwork,
    Webhook,
)
from .audit import Work, new_oid, parse_oid
from .draft import Columns
from .listing import only
from .phones.saved import of_customer

ALL: Final = "all"
"""The word for all customers in the query of a list."""
ACTIVE: Final = "ACTIVE"
DELETED: Final = "DELETED"
POLICIES: Final = ("require_tls", "require_srtp", "require_sha256", "require_networks", "max_contacts")
SIP_QUOTAS: Final = (
    *("max_calls", "max_call_rate", "max_phone_calls", "max_extension_calls", "max_transactions"),
)
QUOTAS: Final = (*SIP_QUOTAS, "max_phones", "max_logins", "max_webhooks", "max_streams")
ON_THE_SIP_SIDE: Final = ("state", "sip_domain", *POLICIES, *SIP_QUOTAS)
"""Columns that the view `phone_v1` shows."""
TREE_LOCK: Final = 7_225_202
"""Number of the PostgreSQL advisory lock; the request that holds it may move customers to another parent."""

Owned = TypeVar("Owned", Extension, SipGroup, Queue, SipPhone, Webhook)
MAX_NETWORKS: Final = 500
"""Limit of networks of one customer: the SIP side reads all of them with each of its users."""


def visible(caller: Caller) -> ColumnElement[bool]:
    """Return the condition on `Customer` under which the caller may see what belongs to it.

    Rows of a deleted customer are never visible.
    """
    return and_(Customer.state != DELETED, _in_sight(caller))


def _in_sight(caller: Caller) -> ColumnElement[bool]:
    """Return the condition on `Customer` under which the caller may know that it exists, deleted or not."""
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        return true()
    own = Customer.oid == caller.customer
    if caller.level < AccessLevel.RESELLER:
        return own
    # UNION, not UNION ALL: if the parents form a cycle, the recursion still ends.
    tree = select(Customer.id).where(own).cte("tree", recursive=True)
    below = select(Customer.id).join(tree, Customer.parent_customer_id == tree.c.id)
    return Customer.id.in_(select(tree.union(below).c.id))


def above(customer: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition on `Customer` that selects the one `customer` describes, and all its parents."""
    chain = select(Customer.id, Customer.parent_customer_id).where(customer).cte(recursive=True)
    parents = select(Customer.id, Customer.parent_customer_id).join(
        chain, Customer.id == chain.c.parent_customer_id
    )
    return Customer.id.in_(select(chain.union(parents).c.id))


def missing_customer(*, is_named: bool = True) -> Problem:
    """Return the problem: the customer is unknown or not active, or the request does not say which one."""
    if is_named:
        return Problem(404, "customer", "Customer not found or not active", "customer", "exists")
    return Problem(
        404, "customer", "Specify `customer`: this token is not tied to one", "customer", "required"
    )


async def find_customer(session: AsyncSession, caller: Caller, wanted: object) -> Customer | None:
    """Return the active customer with the id `wanted`, by default the caller's own, or None if not found.

    Raise Refused (403) if the caller may not see the customer, whether it exists or not.
    """
    wanted = caller.customer if wanted is None else wanted
    statement = select(Customer).where(Customer.oid == (parse_oid(wanted) or ""), _in_sight(caller))
    customer: Customer | None = await session.scalar(statement)
    if customer is None and caller.level < AccessLevel.RESELLER_ADMIN:
        raise not_your_customer()
    return customer if customer and customer.state == ACTIVE else None


async def require_customer(session: AsyncSession, caller: Caller, wanted: object) -> Customer:
    """Return the customer as `find_customer` does, but raise Refused (404) if it does not exist."""
    customer = await find_customer(session, caller, wanted)
    if customer is None:
        raise Refused(missing_customer(is_named=is_named(caller, wanted)))
    return customer


def is_named(caller: Caller, wanted: object) -> bool:
    """Return True if it is clear which customer is meant."""
    return wanted is not None or caller.customer is not None


async def one_or_all(session: AsyncSession, caller: Caller, wanted: object) -> Customer | None:
    """Return the customer whose rows a list has, by default the caller's own, or None for all in sight.

    `all` names all customers that the caller may see; below RESELLER that is its own one. A token that is not
    tied to a customer and may see all customers lists all. Raise Refused as `require_customer` does.
    """
    if wanted == ALL:
        wanted = None
        if caller.level >= AccessLevel.RESELLER:
            return None
    if not is_named(caller, wanted) and caller.level >= AccessLevel.RESELLER_ADMIN:
        return None
    return await require_customer(session, caller, wanted)


async def listed(session: AsyncSession, caller: Caller, wanted: object) -> ColumnElement[bool]:
    """Return the condition on `Customer` for a list, as `one_or_all` chooses it."""
    customer = await one_or_all(session, caller, wanted)
    return visible(caller) if customer is None else Customer.id == customer.id


async def ids_in_sight(session: AsyncSession, caller: Caller, customer: Customer | None) -> list[str]:
    """Return the ids of the customers whose rows a list has: `customer`, or all that the caller may see."""
    if customer is not None:
        return [customer.oid]
    return list(await session.scalars(select(Customer.oid).where(visible(caller)).order_by(Customer.id)))


def sight_of(caller: Caller, customer: Customer | None) -> tuple[str, str | None]:
    """Return a name for the customers whose rows a list has; callers with the same name see the same ones."""
    if customer is not None:
        return "one", customer.oid
    return ("all", None) if caller.level >= AccessLevel.RESELLER_ADMIN else ("below", caller.customer)


async def require_sight(session: AsyncSession, caller: Caller, customer: str, what: str) -> None:
    """Raise Refused (404: `what` is not found) if the caller may not see what belongs to this customer."""
    statement = select(Customer.id).where(Customer.oid == customer, visible(caller))
    if await session.scalar(statement) is None:
        raise not_found(what)


async def lock_owned(
    session: AsyncSession, caller: Caller, table: type[Owned], oid: object, what: str
) -> tuple[Owned, Customer]:
    """Return a row that belongs to a customer, locked against other writers, and that customer.

    Raise Refused (404: `what` is not found) if the id is unknown or malformed, or the caller may not see it.
    """
    statement: Select[Owned, Customer] = (
        select(table, Customer)
        .join(Customer, Customer.id == table.customer_id)
        .where(table.oid == (parse_oid(oid) or ""), visible(caller))
        .with_for_update(of=table)
    )
    return await only(session, statement, what)


async def keys_of(
    session: AsyncSession, customer: Customer, table: type[Owned] | type[Employee], sent: Iterable[object]
) -> dict[str, int]:
    """Return those of the ids `sent` that belong to rows of this customer: id -> primary key."""
    wanted = {oid for item in sent if (oid := parse_oid(item))}
    statement = select(table.oid, table.id).where(table.oid.in_(wanted), table.customer_id == customer.id)
    return dict((await session.execute(statement)).all())


async def lock_customer(session: AsyncSession, caller: Caller, oid: object) -> Customer:
    """Return the customer, active or not, locked against other writers; raise Refused (404) if unknown."""
    statement = select(Customer).where(Customer.oid == (parse_oid(oid) or ""), visible(caller))
    return (await only(session, statement.with_for_update(of=Customer), "Customer"))[0]


async def lock_tree(session: AsyncSession) -> None:
    """Keep other transactions from moving a customer until this one ends; SQLite has one writer anyway.

    Two moves at the same time could make a cycle that neither of them sees.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TREE_LOCK})


async def find_reseller(session: AsyncSession, caller: Caller, sent: object) -> Customer | None:
    """Return the reseller, locked against deletion until the transaction ends, or None if not found.

    A caller at level RESELLER may name its own customer, regardless of that customer's `isReseller`.
    """
    is_one: ColumnElement[bool] = Customer.is_reseller.is_(True)
    if caller.level == AccessLevel.RESELLER:
        is_one = or_(is_one, Customer.oid == caller.customer)
    statement = (
        select(Customer)
        .where(Customer.oid == (parse_oid(sent) or ""), is_one, visible(caller))
        .with_for_update(read=True, of=Customer)
    )
    found: Customer | None = await session.scalar(statement)
    return found


async def create_customer(work: Work, _owner: object, columns: Columns) -> tuple[Customer, Change]:
    """Create a customer; return it and what changed. Raise Refused (409) if the SIP domain is taken."""
    await _refuse_taken_domain(work.session, columns.get("sip_domain"))
    customer = Customer(oid=new_oid(), **columns)
    await work.create(customer)
    return customer, Change(customer=customer.oid)


async def update_customer(work: Work, _owner: object, customer: Customer, columns: Columns) -> Change:
    """Change the columns in `columns` and return what changed for the SIP side.

    The caller has locked the customer, and also the tree if the customer gets a parent. Raise Refused (409)
    for a domain that is taken or that SIP users registered with, for the state of the caller's own customer,
    for a parent that is below the customer, and for a reseller that has customers.
    """
    new = {name: value for name, value in columns.items() if getattr(customer, name) != value}
    if "sip_domain" in new:
        # The password hashes of SIP users contain the domain (decision 1).
        counted = select(func.count()).where(
            Extension.customer_id == customer.id, Extension.sip_ha1_md5.is_not(None)
        )
        if users := await work.session.scalar(counted):
            raise refused("sipDomain", f"{users} SIP users register with this domain", "allowed")
        await _refuse_taken_domain(work.session, new["sip_domain"])
    _refuse_terms(work.caller, customer, new)
    if "state" in new:
        _refuse_own(work.caller, customer, "state", "You cannot change the state of your own customer")
    if new.get("parent_customer_id") is not None:
        parents = above(Customer.id == new["parent_customer_id"])
        circle = select(Customer.id).where(parents, Customer.id == customer.id)
        if await work.session.scalar(circle) is not None:
            message = "The reseller is the customer itself, or below it"
            raise refused("parentReseller", message, "allowed")
    if new.get("is_reseller") is False:
        await _refuse_children(work.session, customer, "isReseller", "The reseller has customers")
    for name, value in new.items():
        setattr(customer, name, value)
    shown = any(name in new for name in ON_THE_SIP_SIDE)
    if shown:
        customer.version += 1
    await work.update(customer)
    if "sip_domain" in new:
        await note_saved(work.session, of_customer(customer))
    return Change(customer=customer.oid) if shown else Change()


async def delete_customer(work: Work, _owner: object, customer: Customer) -> Change:
    """Mark a locked customer as deleted, and return what changed for the SIP side.

    Free its domain, its MAC addresses and its logins, void the tokens of its people, and delete its webhooks
    with what waits for them. Raise Refused (409) for the caller's own customer, and for a reseller that has
    customers.
    """
    _refuse_own(work.caller, customer, "id", "You cannot delete your own customer")
    await _refuse_children(work.session, customer, "id", "The reseller has customers: delete them first")
    customer.state, customer.sip_domain = DELETED, None
    customer.version += 1
    customer.updated_at = now = clock.utc_now()
    phones = update(SipPhone).where(SipPhone.customer_id == customer.id, SipPhone.mac.is_not(None))
    await work.session.execute(phones.values(mac=None, mac_slot=None, updated_at=now))
    await work.settle(*await work.outbox.macs_of(work.session, customer.id))
    await work.session.execute(delete(Webhook).where(Webhook.customer_id == customer.id))
    people = select(Employee.id).where(Employee.customer_id == customer.id)
    tokens = update(EmployeeToken).where(
        EmployeeToken.employee_id.in_(people), EmployeeToken.revoked_at.is_(None)
    )
    await work.session.execute(tokens.values(revoked_at=now, updated_at=now))
    await work.session.execute(
        update(Employee)
        .where(Employee.customer_id == customer.id)
        .values(state=DELETED, login_email=None, version=Employee.version + 1, updated_at=now)
    )
    work.record("delete", Customer.__tablename__, customer.oid)
    await work.session.flush()
    return Change(customer=customer.oid)


async def _refuse_taken_domain(session: AsyncSession, domain: object) -> None:
    statement = select(Customer.id).where(Customer.sip_domain == domain)
    if isinstance(domain, str) and await session.scalar(statement) is not None:
        raise refused("sipDomain", f"The domain {domain} belongs to a customer already", "unique")


async def _refuse_children(session: AsyncSession, customer: Customer, code: str, message: str) -> None:
    statement = select(func.count()).where(
        Customer.parent_customer_id == customer.id, Customer.state != DELETED
    )
    if await session.scalar(statement):
        raise refused(code, message, "allowed")


def _refuse_own(caller: Caller, customer: Customer, code: str, message: str) -> None:
    if caller.level < AccessLevel.RESELLER_ADMIN and customer.oid == caller.customer:
        raise refused(code, message, "allowed")


def _refuse_terms(caller: Caller, customer: Customer, new: Columns) -> None:
    """Refuse changes of policies by people of a customer, and of quotas by a reseller for itself."""
    paths = {field.column: field.path for field in fields_of(Customer)}
    if caller.level < AccessLevel.RESELLER:
        for column in (*POLICIES, *QUOTAS):
            if column in new:
                raise refused(
                    paths[column], "Only a reseller changes the policies of a customer", "allowed", 403
                )
    for column in QUOTAS:
        if column in new:
            _refuse_own(caller, customer, paths[column], "You cannot change the quotas of your own customer")


# Trusted networks


async def create_network(work: Work, customer: Customer, columns: Columns) -> tuple[TrustedNetwork, Change]:
    """Add a network to a customer that is locked against other writers; return it and what changed.

    Raise Refused (409) if the customer has this network already, or has too many.
    """
    counted = select(func.count(TrustedNetwork.id)).where(TrustedNetwork.customer_id == customer.id)
    if (await work.session.scalar(counted) or 0) >= MAX_NETWORKS:
        raise refused("network", f"There are {MAX_NETWORKS} networks already", "range")
    network = TrustedNetwork(oid=new_oid(), customer_id=customer.id)
    await _write(work.session, network, columns)
    customer.version += 1
    await work.create(network)
    return network, Change(customer=customer.oid)


async def update_network(work: Work, customer: Customer, network: TrustedNetwork, columns: Columns) -> Change:
    """Change the columns in `columns`; return what changed. Raise Refused (409) if the network is taken."""
    await _write(work.session, network, columns)
    customer.version += 1
    await work.update(network)
    return Change(customer=customer.oid)


async def delete_network(work: Work, customer: Customer, network: TrustedNetwork) -> Change:
    """Delete the network; return what changed. Without networks users may register from anywhere."""
    customer.version += 1
    await work.delete(network)
    return Change(customer=customer.oid)


async def _write(session: AsyncSession, network: TrustedNetwork, columns: Columns) -> None:
    sent = columns.get("network_as_sent")
    if isinstance(sent, str):
        canonical = str(parse_network(sent))
        taken = select(TrustedNetwork.oid).where(
            TrustedNetwork.customer_id == network.customer_id,
            TrustedNetwork.network == canonical,
            TrustedNetwork.oid != network.oid,
        )
        if await session.scalar(taken) is not None:
            raise refused("network", f"The network {canonical} is there already", "unique")
        network.network, network.network_as_sent = canonical, sent
    if "description" in columns:
        description = columns["description"]
        network.description = description if isinstance(description, str) else None
