"""Which devices phones are: the phones that share a MAC address, and the model that they have."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ...auth import Caller
from ...tables import Customer, SipPhone, SipPhoneModel
from ..audit import parse_oid
from ..customers import visible
from .find import one_of


class Reloadable(NamedTuple):
    """What is known of a phone that shall load its configuration."""

    oid: str
    mac: str | None
    customer: int
    writer: str | None
    listens: bool
    """`sipConfigReload` of its model."""
    brand: str
    model: str


_phone = SipPhone.__table__.c
_PHONES: Final = (
    select(
        SipPhone.oid,
        SipPhone.mac,
        SipPhone.customer_id,
        SipPhoneModel.writer,
        SipPhoneModel.sip_config_reload,
        SipPhoneModel.brand_name,
        SipPhoneModel.model,
    )
    .select_from(SipPhone)
    .join(SipPhoneModel, SipPhoneModel.id == SipPhone.model_id)
    .join(Customer, Customer.id == SipPhone.customer_id)
)
"""The columns of a Reloadable in their order."""


async def find_reloadable(
    session: AsyncSession, caller: Caller, oids: Iterable[object]
) -> dict[str, Reloadable]:
    """Return by id the phones that exist and that the caller may see."""
    wanted = [parsed for parsed in map(parse_oid, oids) if parsed is not None]
    some = _PHONES.where(one_of(session.get_bind().dialect, _phone.oid, wanted), visible(caller))
    return {row[0]: Reloadable._make(row) for row in await session.execute(some)}


async def find_siblings(session: AsyncSession, phones: Iterable[Reloadable]) -> dict[str, tuple[str, ...]]:
    """Return for each of these phones the ids of all phones of its device, itself first."""
    wanted = list(phones)
    places = {(phone.customer, phone.mac) for phone in wanted if phone.mac is not None}
    macs = one_of(session.get_bind().dialect, _phone.mac, sorted({mac for _, mac in places if mac}))
    found: dict[tuple[int, str | None], list[str]] = {}
    statement = select(SipPhone.customer_id, SipPhone.mac, SipPhone.oid).where(macs).order_by(SipPhone.id)
    for customer, mac, oid in await session.execute(statement) if places else ():
        found.setdefault((customer, mac), []).append(oid)
    return {
        phone.oid: (
            phone.oid,
            *(oid for oid in found.get((phone.customer, phone.mac), ()) if oid != phone.oid),
        )
        for phone in wanted
    }
