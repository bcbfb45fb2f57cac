"""Trusted networks: from where the SIP users and devices of a customer may register (decision 3)."""

import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.rules.access import network as parse_network

from .. import clock
from ..errors import Problem, Refused
from ..tables import Customer, TrustedNetwork
from .audit import Actor, record
from .checks import Check, Value, Wrong
from .ids import new_oid

TABLE: Final = TrustedNetwork.__tablename__
MAX_NETWORKS: Final = 500
"""Limit of networks of one customer: the SIP side reads all of them with each of its users."""
CIDR: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?")

Columns = Mapping[str, Value]
"""Checked values by column; the network itself is in `network_as_sent` only."""


def network_check(message: str) -> Check:
    """Return a check for a network in CIDR form; host bits are ignored (D33), and a /0 is refused."""

    def check(value: object) -> Value | Wrong:
        text = value.strip(" ") if isinstance(value, str) else ""
        if CIDR.fullmatch(text) is None:
            return Wrong(message)
        try:
            parsed = parse_network(text)
        except ValueError:
            return Wrong(message)
        return text if parsed.prefixlen else Wrong(f"{message}: it must not be every address", "range")

    return check


async def create_network(
    session: AsyncSession, actor: Actor, customer: Customer, columns: Columns
) -> TrustedNetwork:
    """Add a network to a customer that is locked against other writers, and return it.

    Raise Refused (409) if the customer has this network already, or has too many.
    """
    counted = select(func.count(TrustedNetwork.id)).where(TrustedNetwork.customer_id == customer.id)
    if (await session.scalar(counted) or 0) >= MAX_NETWORKS:
        message = f"There are {MAX_NETWORKS} networks already"
        raise Refused(Problem(409, "network", message, "network", "range"))
    network = TrustedNetwork(oid=new_oid(), customer_id=customer.id)
    await _write(session, network, columns)
    session.add(network)
    return await _changed(session, actor, "create", customer, network)


async def update_network(
    session: AsyncSession, actor: Actor, customer: Customer, network: TrustedNetwork, columns: Columns
) -> Change:
    """Change the columns in `columns`; return what changed. Raise Refused (409) if the network is taken."""
    await _write(session, network, columns)
    network.updated_at = clock.utc_now()
    await _changed(session, actor, "update", customer, network)
    return Change(customer=customer.oid)


async def delete_network(
    session: AsyncSession, actor: Actor, customer: Customer, network: TrustedNetwork
) -> Change:
    """Delete the network; return what changed. Without networks users may register from anywhere."""
    await session.delete(network)
    await _changed(session, actor, "delete", customer, network)
    return Change(customer=customer.oid)


async def _write(session: AsyncSession, network: TrustedNetwork, columns: Columns) -> None:
    sent = columns.get("network_as_sent")
    if isinstance(sent, str):
        canonical = str(parse_network(sent))
        await _refuse_taken(session, network, canonical)
        network.network, network.network_as_sent = canonical, sent
    if "description" in columns:
        description = columns["description"]
        network.description = description if isinstance(description, str) else None


async def _refuse_taken(session: AsyncSession, network: TrustedNetwork, canonical: str) -> None:
    statement = select(TrustedNetwork.oid).where(
        TrustedNetwork.customer_id == network.customer_id,
        TrustedNetwork.network == canonical,
        TrustedNetwork.oid != network.oid,
    )
    if await session.scalar(statement) is not None:
        message = f"The network {canonical} is there already"
        raise Refused(Problem(409, "network", message, "network", "unique"))


async def _changed(
    session: AsyncSession, actor: Actor, action: str, customer: Customer, network: TrustedNetwork
) -> TrustedNetwork:
    """Record the change and increment the customer's version: `phone_v1` shows networks with every user."""
    customer.version += 1
    record(session, actor, action, TABLE, network.oid)
    await session.flush()
    return network
