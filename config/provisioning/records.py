"""What the database holds about the secrets, and the writes of a first contact.

A read makes a `Grant`, of which the decision is made (`admit`). The writes have the decision's assumptions as
their conditions: of two first contacts, on two nodes, one finds its row changed, and has written nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Update, bindparam, delete, insert, null, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from registrar.model import Change, Epoch, Phone
from registrar.rules.proxies import one_source
from registrar.store.directory_sql import SqlPhones
from registrar.store.vault import Vault

from .. import clock
from ..changes import Noted
from ..noted import note
from ..tables import Customer, Provisioning, ProvisioningFile, ProvisioningLink, SipPhone, SipPhoneModel
from . import secrets
from .admin_password import settled
from .admit import Expectation, Grant, Serve, Way
from .load import Device

ACTIVE: Final = "ACTIVE"
NOTED_SECONDS: Final = timedelta(seconds=10)
"""A phone that loads its files again and again is noted once in this time."""
SPENT: Final = ("first_sha256", "first_enc", "first_until", "session_source", "session_until")
"""The columns of a first secret."""

_row = Provisioning.__table__.c
_phone = SipPhone.__table__.c
_customer = Customer.__table__.c
_model = SipPhoneModel.__table__.c
_link = ProvisioningLink.__table__.c
_file = ProvisioningFile.__table__.c

_BY_SECRET: Final = (
    select(*_row, _phone.oid, _phone.customer_id.label("owner"), _model.writer, _model.legacy_tls)
    .join(SipPhone.__table__, _phone.mac == _row.mac)
    .join(SipPhoneModel.__table__, _model.id == _phone.model_id)
    .where(or_(_row.first_sha256 == bindparam("sha256"), _row.steady_sha256 == bindparam("sha256")))
    .order_by(_phone.handset_index, _phone.mac_slot)
)
_BY_TOKEN: Final = select(_phone.oid, _phone.mac).where(_phone.device_token_sha256 == bindparam("sha256"))
_BY_LINK: Final = (
    select(_phone.oid, _phone.mac, _link.name)
    .join(SipPhone.__table__, _phone.id == _link.phone_id)
    .where(_link.sha256 == bindparam("sha256"), _link.expires_at > bindparam("now"))
)
_EXPECTED: Final = (
    select(*_row, _model.writer, _model.legacy_tls, _customer.state)
    .join(SipPhone.__table__, _phone.mac == _row.mac)
    .join(SipPhoneModel.__table__, _model.id == _phone.model_id)
    .join(Customer.__table__, _customer.id == _phone.customer_id)
    .where(_row.mac == bindparam("mac"), _row.expect_until > bindparam("now"), _row.first_enc.is_not(None))
    .where(_phone.customer_id == _row.customer_id)
    .order_by(_phone.mac_slot)
    .limit(1)
)
_LOCK: Final = text(
    "UPDATE sip_phone SET ip_mode='LOCKED', ip_address=:address, version=version+1, "
    "locked_at=CURRENT_TIMESTAMP, "
    "unlocked_until=NULL, unlock_mode=NULL, unlock_address=NULL "
    "WHERE oid IN :phones AND ip_mode='OPEN' AND ip_policy='PHONE'"
).bindparams(bindparam("phones", expanding=True))
"""The same conditional UPDATE as that of a REGISTER (registrar/store/directory_sql.py)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A phone that may ask without a secret, and what it is told."""

    mac: str
    writer: str
    expectation: Expectation
    first_enc: str
    """Its first secret, sealed: a request that is told nothing shall not take the time of opening it."""
    legacy_tls: bool = False
    """Whether the model knows only TLS 1.0 or 1.1."""


@dataclass(frozen=True, slots=True)
class Served:
    """A configuration that is sent."""

    name: str
    sha256: str
    """Hash of the whole text."""
    masked: str
    """The text without its secrets; empty: it is not kept."""


class Records:
    """Reads and writes the tables of provisioning. Every method raises one of database.STORE_ERRORS."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, vault: Vault) -> None:
        self._reader = reader
        self._writer = writer
        self._vault = vault
        self._phones = SqlPhones(reader, writer, vault)

    async def close(self) -> None:
        """Give the connection of the reader back."""
        await self._phones.close()

    async def grant(self, secret: str) -> Grant | None:
        """Return what a secret opens, or None if it opens nothing."""
        sha256 = secrets.digest(secret)
        if secrets.is_device_token(secret):
            return await self._of_device(sha256)
        async with self._reader.connect() as connection:
            rows = (await connection.execute(_BY_SECRET, {"sha256": sha256})).all()
        if not rows or any(row.owner != row.customer_id for row in rows):
            return None
        row = rows[0]
        return Grant(
            Way.FIRST if row.first_sha256 == sha256 else Way.STEADY,
            row.mac,
            await self._phones_of([one.oid for one in rows]),
            _epoch(row.first_until),
            row.session_source or "",
            _epoch(row.session_until),
            sha256,
            row.writer or "",
            row.legacy_tls,
        )

    async def _of_device(self, sha256: str) -> Grant | None:
        async with self._reader.connect() as connection:
            row = (await connection.execute(_BY_TOKEN, {"sha256": sha256})).first()
        if row is None:
            return None
        return Grant(Way.DEVICE, row.mac or "", await self._phones_of([row.oid]), sha256=sha256)

    async def link(self, secret: str) -> Grant | None:
        """Return what a one-time link opens, or None if it opens nothing."""
        sha256 = secrets.digest(secret)
        asked = {"sha256": sha256, "now": clock.utc_now()}
        async with self._reader.connect() as connection:
            row = (await connection.execute(_BY_LINK, asked)).first()
        if row is None:
            return None
        phones = await self._phones_of([row.oid])
        return Grant(Way.LINK, row.mac or "", phones, sha256=sha256, file=row.name)

    async def _phones_of(self, oids: Sequence[str]) -> tuple[Phone, ...]:
        """Return the phones in this order; none if one of them cannot register."""
        found = {phone.id: phone for phone in await self._phones.select("id", oids)}
        return tuple(found[oid] for oid in oids) if len(found) == len(oids) else ()

    async def take(self, serve: Serve, source: str, session: timedelta) -> Noted | None:
        """Write what a contact changes, and return what to publish.

        Return None, with nothing written, if another contact came first.
        """
        if not serve.writes:
            return Noted()
        async with self._writer.connect() as connection, connection.begin() as transaction:
            if await _taken(connection, serve, source, session):
                return await note(connection, Change(phones=serve.lock))
            await transaction.rollback()
            return None

    async def expected(self, mac: str) -> Expected | None:
        """Return the phone that is expected at a MAC address, or None."""
        asked = {"mac": mac, "now": clock.utc_now()}
        async with self._reader.connect() as connection:
            row = (await connection.execute(_EXPECTED, asked)).first()
        until = None if row is None else _epoch(row.expect_until)
        if row is None or until is None or row.state != ACTIVE or not row.writer:
            return None
        expectation = Expectation(until, row.expect_networks or "", row.expect_source or "")
        return Expected(mac, row.writer, expectation, row.first_enc, row.legacy_tls)

    def first_secret(self, expected: Expected) -> str:
        """Return the secret that an expected phone is told."""
        return self._vault.open(expected.first_enc, expected.mac)

    async def tell(self, expected: Expected, source: str, session: timedelta) -> bool:
        """Note the source that is told where to load from.

        Return False if another one was told first, or if the expectation has ended or was replaced.
        """
        place, now = one_source(source), clock.utc_now()
        ends = min(now + session, clock.utc(expected.expectation.until))
        same = _row.mac == expected.mac, _row.first_enc == expected.first_enc
        statement = (
            update(Provisioning)
            .where(*same, _row.expect_until > now)
            .where(or_(_row.expect_source.is_(None), _row.expect_source == place))
            .values(expect_source=place, expect_until=ends)
        )
        async with self._writer.begin() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def was_sent(self, mac: str, name: str, sha256: str) -> bool:
        """Return whether the last file of this name that a device was sent is this very text."""
        where = _file.mac == mac, _file.name == name, _file.sha256 == sha256
        async with self._reader.connect() as connection:
            return await connection.scalar(select(_file.mac).where(*where)) is not None

    async def note(self, grant: Grant, device: Device, served: Served, now: datetime) -> bool:
        """Note that a device has loaded its configuration. Return False if that was noted a moment ago.

        A phone gets the time only if nothing was saved after its rows were read: then it is later than the
        time of saving, by at least one second.
        """
        if all(_is_noted(device, oid, now) for oid in device.oids):
            return False
        async with self._writer.begin() as connection:
            for oid in device.oids:
                await connection.execute(_loaded(oid, device.saved[oid], now))
            if grant.mac and served.masked:
                await _keep(connection, grant.mac, served, now)
            if device.two_admins and grant.way in (Way.FIRST, Way.STEADY):
                await self._forget_admin(connection, grant.mac, device.two_admins)
        return True

    async def _forget_admin(self, connection: AsyncConnection, mac: str, sealed: str) -> None:
        """Forget the former password of the phone's pages, unless another reset came after the file."""
        same = _row.mac == mac, _row.admin_password_enc == sealed
        values = {"admin_password_enc": settled(sealed, mac, self._vault)}
        await connection.execute(update(Provisioning).where(*same).values(values))


def _is_noted(device: Device, oid: str, now: datetime) -> bool:
    saved, loaded = device.saved[oid], device.loaded[oid]
    return loaded is not None and (saved is None or loaded > saved) and loaded > now - NOTED_SECONDS


def _loaded(oid: str, saved: datetime | None, now: datetime) -> Update:
    at = now if saved is None else max(now, saved + timedelta(seconds=1))
    unchanged = _phone.config_saved_at.is_(None) if saved is None else _phone.config_saved_at == saved
    return (
        update(SipPhone)
        .where(_phone.oid == oid, unchanged)
        .values(config_loaded_at=at, updated_at=_phone.updated_at)
    )


async def _keep(connection: AsyncConnection, mac: str, served: Served, now: datetime) -> None:
    """Keep the file without its secrets, to show later what would change."""
    row = {"text_masked": served.masked, "sha256": served.sha256, "served_at": now}
    where = _file.mac == mac, _file.name == served.name
    done = await connection.execute(update(ProvisioningFile).where(*where).values(row))
    if done.rowcount == 0 and await connection.scalar(select(_row.mac).where(_row.mac == mac)):
        await connection.execute(insert(ProvisioningFile).values(mac=mac, name=served.name, **row))


async def _taken(connection: AsyncConnection, serve: Serve, source: str, session: timedelta) -> bool:
    grant = serve.grant
    same = _row.mac == grant.mac
    if serve.spends:
        done = await connection.execute(delete(ProvisioningLink).where(_link.sha256 == grant.sha256))
        if done.rowcount != 1:
            return False
    if serve.begins:
        begun = {"session_source": one_source(source), "session_until": clock.utc_now() + session}
        unused = same, _row.first_sha256 == grant.sha256, _row.session_until.is_(None)
        done = await connection.execute(update(Provisioning).where(*unused).values(begun))
        if done.rowcount != 1:
            return False
    if serve.lock:
        done = await connection.execute(_LOCK, {"phones": list(serve.lock), "address": source})
        if done.rowcount != len(serve.lock):
            return False
    if serve.ends_first:
        spent = dict.fromkeys(SPENT, null())
        used = same, _row.steady_sha256 == grant.sha256, _row.session_until.is_not(None)
        await connection.execute(update(Provisioning).where(*used).values(spent))
    return True


def _epoch(moment: datetime | None) -> Epoch | None:
    return None if moment is None else Epoch(moment.timestamp())
