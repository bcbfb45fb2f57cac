"""The redirect outbox: what the services are to know is written in the transaction that changes the phones.

The worker tells the services later, so a request of the API never waits for them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from .. import clock
from ..tables import Customer, Redirect, SipPhone, SipPhoneModel
from .services import MANUAL, VENDORS, service_for

OFF, PENDING, REGISTERED = "off", "pending", "registered"
FOREIGN, FAILED = "foreign", "failed"
STATES: Final = (OFF, PENDING, REGISTERED, FOREIGN, FAILED, MANUAL)
"""`off` is never stored: a row waits, and its service has no account."""
ACTIVE: Final = "ACTIVE"
"""The state of a customer whose phones load their configuration."""
AT_ONCE: Final = 20
"""Phones that are settled in one transaction: other writers must not wait for long."""


class UrlOf(Protocol):
    """A function that knows where a phone loads its configuration from."""

    async def __call__(
        self, session: AsyncSession, vault: Vault, phone: SipPhone, *, is_sent: bool
    ) -> str | None:
        """Return the whole URL for a phone with a MAC address, with a secret that opens it once.

        `is_sent`: a service will be told it, so make a secret for a phone that has none yet. Return None
        without a secret that is still good: the services keep what they know.
        """


@dataclass(frozen=True, slots=True)
class Shown:
    """The redirection of a phone as the API shows it."""

    service: str
    state: str
    error: str | None


class Outbox:
    """Writes what the redirect services are to know. It asks none of them."""

    def __init__(self, enabled: Collection[str] = (), url_of: UrlOf | None = None) -> None:
        """Create the outbox; `enabled` are the services that have an account."""
        self._enabled = frozenset(enabled)
        self._url_of = url_of

    async def settle(self, session: AsyncSession, vault: Vault, *macs: str | None) -> None:
        """Bring the rows of MAC addresses in line with the phones that have them now.

        Call this in the transaction that has created, changed or deleted phones, or made a secret.
        """
        for mac in sorted({mac for mac in macs if mac}):
            await self._settle(session, vault, mac)

    async def unsettled(self, session: AsyncSession, after: int) -> list[tuple[int, str]]:
        """Return the ids and MAC addresses of phones behind an id that a service could know and does not.

        They are from before this outbox, or from before its service had an account. At most `AT_ONCE`, in the
        order of their ids. There are none without a listener for phones.
        """
        told = [
            vendor for vendor in VENDORS if service_for(vendor, self._enabled) in (*self._enabled, MANUAL)
        ]
        if self._url_of is None:
            return []
        rows = await session.execute(
            select(SipPhone.id, SipPhone.mac)
            .join(SipPhoneModel, SipPhoneModel.id == SipPhone.model_id)
            .join(Customer, Customer.id == SipPhone.customer_id)
            .where(SipPhone.id > after, SipPhone.mac.is_not(None), Customer.state == ACTIVE)
            .where(SipPhoneModel.redirect_service.in_(told), SipPhoneModel.writer.is_not(None))
            .where(~exists().where(Redirect.mac == SipPhone.mac))
            .order_by(SipPhone.id)
            .limit(AT_ONCE)
        )
        return [(id, mac or "") for id, mac in rows]

    async def macs_of(self, session: AsyncSession, customer: int) -> list[str]:
        """Return the MAC addresses of a customer that the services are to know."""
        return list(await session.scalars(select(Redirect.mac).where(Redirect.customer_id == customer)))

    async def shown(self, session: AsyncSession, phone: SipPhone) -> Shown | None:
        """Return the redirection of a phone, or None without a MAC address or a service of its vendor."""
        model = await session.get(SipPhoneModel, phone.model_id)
        service = service_for(model.redirect_service if model else None, self._enabled)
        if service is None or phone.mac is None:
            return None
        found = select(Redirect).where(Redirect.mac == phone.mac, Redirect.service == service)
        row = await session.scalar(found)
        if row is None:
            return Shown(service, OFF, None)
        return Shown(service, self.state_of(row), row.last_error)

    def state_of(self, row: Redirect) -> str:
        """Return the state of a row: one that waits for a service without an account is off."""
        return OFF if row.state == PENDING and row.service not in self._enabled else row.state

    async def retry(self, session: AsyncSession, mac: str) -> int:
        """Ask the services again for a MAC address that was foreign or failed. Return how many are asked."""
        again = update(Redirect).where(Redirect.mac == mac, Redirect.state.in_((FOREIGN, FAILED)))
        values = {"state": PENDING, "tries": 0, "next_at": clock.exact_now()}
        revision = {"revision": Redirect.revision + 1}
        rows = await session.scalars(again.values(values | revision).returning(Redirect.id))
        return len(rows.all())

    async def _settle(self, session: AsyncSession, vault: Vault, mac: str) -> None:
        found = await session.scalars(select(Redirect).where(Redirect.mac == mac).with_for_update())
        rows = {row.service: row for row in found}
        phone, service = await self._phone(session, mac)
        for name, row in rows.items():
            if name != service:
                await _leave(session, row)
        if phone is None or service is None or self._url_of is None:
            return
        is_sent = service == MANUAL or service in self._enabled
        url = await self._url_of(session, vault, phone, is_sent=is_sent)
        if url is not None:
            _want(session, vault, rows.get(service), phone, service, url)
            await session.flush()

    async def _phone(self, session: AsyncSession, mac: str) -> tuple[SipPhone | None, str | None]:
        """Return the first phone with a MAC address, and the service of its model."""
        statement = (
            select(SipPhone, SipPhoneModel)
            .join(SipPhoneModel, SipPhoneModel.id == SipPhone.model_id)
            .where(SipPhone.mac == mac)
            .order_by(SipPhone.mac_slot)
            .limit(1)
        )
        row = (await session.execute(statement)).first()
        if row is None:
            return None, None
        phone, model = row
        return phone, service_for(model.redirect_service, self._enabled)


def opened(vault: Vault, url_enc: str, mac: str) -> str:
    """Return the URL that was sealed for a MAC address. Raise StoreUnavailable for another key."""
    return vault.open(url_enc, _owner(mac))


def _owner(mac: str) -> str:
    return f"redirect {mac}"


def _want(
    session: AsyncSession, vault: Vault, row: Redirect | None, phone: SipPhone, service: str, url: str
) -> None:
    """Let a service send a MAC address to a URL. A row that wants it already stays as it is."""
    mac = phone.mac or ""
    if row is None:
        row = Redirect(mac=mac, service=service, was_sent=False, revision=0)
        session.add(row)
    elif row.url_enc is not None and opened(vault, row.url_enc, mac) == url:
        row.customer_id = phone.customer_id
        return
    row.customer_id = phone.customer_id
    row.url_enc = vault.seal(url, _owner(mac))
    _begin(row, MANUAL if service == MANUAL else PENDING)


async def _leave(session: AsyncSession, row: Redirect) -> None:
    """Let a service forget a MAC address; if it does not know it by us, the row goes at once."""
    if not row.was_sent or row.state == FOREIGN:
        await session.delete(row)
        await session.flush()
    elif row.url_enc is not None:
        row.url_enc = None
        _begin(row, PENDING)


def _begin(row: Redirect, state: str) -> None:
    row.state, row.tries, row.last_error = state, 0, None
    row.next_at = clock.exact_now()
    row.revision = row.revision + 1
