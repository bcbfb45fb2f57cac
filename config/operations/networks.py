"""Trusted networks: from where the SIP users and devices of a customer may register (decision 3).

Each change increments the customer's version, because the view `phone_v1` shows networks with every user.
"""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.rules.access import network as parse_network

from ..errors import refused
from ..tables import Customer, TrustedNetwork
from .audit import Work
from .draft import Columns
from .ids import new_oid

MAX_NETWORKS: Final = 500
"""Limit of networks of one customer: the SIP side reads all of them with each of its users."""


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
