"""The MAC addresses that this server does not give to a redirect service by itself, to be given by hand."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from ..auth import Caller
from ..redirect.outbox import OFF, Outbox, opened
from ..redirect.services import MANUAL
from ..tables import Customer, Redirect
from .customers import listed, visible

MAX_ROWS: Final = 10_000


class ByHand(NamedTuple):
    """A MAC address, and the URL that its vendor is to send it to."""

    mac: str
    url: str
    service: str
    customer: str


async def by_hand(
    session: AsyncSession, caller: Caller, vault: Vault, outbox: Outbox, customer: str | None
) -> Sequence[ByHand]:
    """Return what is to be given by hand: vendors without an interface, and services without an account.

    Raise Refused (403, 404) for the customer.
    """
    scope = await listed(session, caller, customer)
    statement = (
        select(Redirect, Customer.oid)
        .join(Customer, Customer.id == Redirect.customer_id)
        .where(and_(scope, visible(caller)), Redirect.url_enc.is_not(None))
        .order_by(Redirect.service, Redirect.mac)
        .limit(MAX_ROWS)
    )
    rows = await session.execute(statement)
    return [
        ByHand(row.mac, opened(vault, row.url_enc or "", row.mac), row.service, oid)
        for row, oid in rows
        if outbox.state_of(row) in (OFF, MANUAL)
    ]
