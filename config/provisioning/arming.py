"""What staff does with the secrets of a device: arm it, expect it, rotate them; and the state of a device.

rearm    a new first secret, for a phone that is new or was reset; it waits some days, and is used once
expect   the same, and for an hour the phone may ask without any secret for where to load from
rotate   new secrets of both kinds: what the phone has opens nothing any more
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from .. import clock
from ..errors import refused
from ..operations.audit import Work
from ..operations.phones.write import TABLE, lock_phone
from ..settings import ProvisioningSettings
from ..tables import Provisioning, ProvisioningFile, SipPhone, SipPhoneModel
from . import secrets
from .admin_password import make_admin
from .files import config_name
from .render import WRITERS

EXPECT_MINUTES: Final = 60


class State(StrEnum):
    """How far the provisioning of a phone is."""

    OFF = "off"
    """This service has no listener for phones."""
    UNSUPPORTED = "unsupported"
    """The model has no files, or the phone has no MAC address."""
    NEW = "new"
    """It has no secret yet."""
    ARMED = "armed"
    """Its first secret waits for it."""
    LOADING = "loading"
    """Its first secret was used a moment ago, and the same address may use it again."""
    CLOSED = "closed"
    """Its first secret was not used in time."""
    CONFIGURED = "configured"
    """It has loaded its configuration, and its first secret is spent."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The provisioning of one phone, as the API shows it."""

    state: State
    armed_until: datetime | None = None
    expected_until: datetime | None = None
    expected_networks: tuple[str, ...] = ()
    url: str | None = None
    """The whole URL with the first secret: only in the answer to the action that made the secret."""


@dataclass(frozen=True, slots=True)
class Writer:
    """How the files of a phone are made, and where it loads them."""

    name: str
    model: str
    """Name of the model: files may be named after it."""
    legacy_tls: bool
    """Whether it knows only TLS 1.0 or 1.1."""


@dataclass(frozen=True, slots=True)
class Armed:
    """A device after an action."""

    phone: SipPhone
    url: str | None
    """The URL with the first secret; None: no secret was made."""


async def standing(session: AsyncSession, phone: SipPhone, settings: ProvisioningSettings) -> Standing:
    """Return the provisioning of a phone."""
    if not settings.is_on:
        return Standing(State.OFF)
    if await writer_of(session, phone) is None:
        return Standing(State.UNSUPPORTED)
    row = await row_of(session, phone)
    if row is None:
        return Standing(State.NEW)
    now = clock.utc_now()
    is_expected = row.expect_until is not None and row.expect_until > now
    networks = tuple((row.expect_networks or "").split(",")) if row.expect_networks else ()
    return Standing(
        _state(row, now),
        row.first_until if row.session_until is None else row.session_until,
        row.expect_until if is_expected else None,
        networks if is_expected else (),
    )


def _state(row: Provisioning, now: datetime) -> State:
    if row.session_until is not None:
        return State.LOADING if now < row.session_until else State.CONFIGURED
    if row.first_until is None:
        return State.CONFIGURED
    return State.ARMED if now < row.first_until else State.CLOSED


async def rearm(work: Work, oid: object, settings: ProvisioningSettings) -> Armed:
    """Make a new first secret. Raise Refused: 404, and 409 for a phone that cannot be provisioned."""
    phone, writer = await _provisionable(work, oid, settings)
    row = await arm(work.session, work.vault, phone, settings)
    await work.settle(phone.mac)
    work.record("rearm", TABLE, phone.oid)
    return Armed(phone, url_of(row, phone, writer, work.vault, settings))


async def expect(work: Work, oid: object, networks: str, settings: ProvisioningSettings) -> Armed:
    """Make a new first secret, and let the phone ask for it without a secret. Raise Refused as `rearm`."""
    phone, writer = await _provisionable(work, oid, settings)
    row = await arm(work.session, work.vault, phone, settings)
    row.expect_until = clock.utc_now() + timedelta(minutes=EXPECT_MINUTES)
    row.expect_networks = networks or None
    await work.settle(phone.mac)
    work.record("expect", TABLE, phone.oid)
    return Armed(phone, url_of(row, phone, writer, work.vault, settings))


async def rotate(work: Work, oid: object, settings: ProvisioningSettings) -> Armed:
    """Make new secrets of both kinds. Raise Refused as `rearm`."""
    phone, writer = await _provisionable(work, oid, settings)
    row = await arm(work.session, work.vault, phone, settings)
    set_steady(row, work.vault)
    await work.settle(phone.mac)
    work.record("rotate", TABLE, phone.oid)
    return Armed(phone, url_of(row, phone, writer, work.vault, settings))


async def redirect(work: Work, oid: object) -> Armed:
    """Ask the redirect service again. Raise Refused: 404, and 409 if it has refused nothing."""
    phone, _ = await lock_phone(work.session, work.caller, oid)
    if phone.mac is None or not await work.outbox.retry(work.session, phone.mac):
        raise refused("redirect", "No redirect service has refused the phone", "exists")
    work.record("redirect", TABLE, phone.oid)
    return Armed(phone, None)


async def arm(
    session: AsyncSession, vault: Vault, phone: SipPhone, settings: ProvisioningSettings
) -> Provisioning:
    """Give the MAC address of a phone a new first secret, and all its secrets if it has none yet.

    A row of another customer, who had the MAC address before, gets new secrets and loses its files.
    """
    row = await session.get(Provisioning, phone.mac, with_for_update=True)
    if row is None:
        row = Provisioning(mac=phone.mac)
        session.add(row)
    if row.customer_id != phone.customer_id:
        row.customer_id = phone.customer_id
        set_steady(row, vault)
        make_admin(row, vault)
        await session.execute(delete(ProvisioningFile).where(ProvisioningFile.mac == row.mac))
    secret = secrets.new_secret()
    row.first_sha256, row.first_enc = secrets.digest(secret), vault.seal(secret, row.mac)
    row.first_until = clock.utc_now() + timedelta(days=settings.open_days)
    row.session_source = row.session_until = None
    row.expect_until = row.expect_networks = row.expect_source = None
    await session.flush()
    return row


def set_steady(row: Provisioning, vault: Vault) -> None:
    """Make a new steady secret: the former one opens nothing any more."""
    secret = secrets.new_secret()
    row.steady_sha256, row.steady_enc = secrets.digest(secret), vault.seal(secret, row.mac)


def url_of(
    row: Provisioning, phone: SipPhone, writer: Writer, vault: Vault, settings: ProvisioningSettings
) -> str:
    """Return the whole URL of the configuration with the first secret."""
    secret = vault.open(row.first_enc or "", row.mac)
    prefix = settings.told(legacy_tls=writer.legacy_tls).prefix(secret)
    return prefix + config_name(writer.name, phone.mac or "", writer.model)


async def _provisionable(work: Work, oid: object, settings: ProvisioningSettings) -> tuple[SipPhone, Writer]:
    """Return a phone, locked, with the writer of its files. Raise Refused (404, 409)."""
    phone, _ = await lock_phone(work.session, work.caller, oid)
    if not settings.is_on:
        message = "This service has no listener for phones: REGISTRAR_PROV_HTTPS and REGISTRAR_PROV_URL"
        raise refused("provisioning", message, "allowed")
    if phone.mac is None:
        raise refused("macAddress", "The phone has no MAC address, so its files have no name", "required")
    writer = await writer_of(work.session, phone)
    if writer is None:
        raise refused("sipPhoneModel", "No configuration is written for phones of this model", "allowed")
    others = select(SipPhone.id).where(SipPhone.mac == phone.mac, SipPhone.customer_id != phone.customer_id)
    if await work.session.scalar(others.limit(1)) is not None:
        raise refused("macAddress", "A phone of another customer has the same MAC address", "unique")
    return phone, writer


async def writer_of(session: AsyncSession, phone: SipPhone) -> Writer | None:
    """Return the writer of a phone's files, or None if it has none."""
    model = await session.get(SipPhoneModel, phone.model_id)
    writer = None if model is None else model.writer
    if model is None or writer is None or writer not in WRITERS or phone.mac is None:
        return None
    return Writer(writer, model.model, model.legacy_tls)


async def row_of(session: AsyncSession, phone: SipPhone) -> Provisioning | None:
    """Return the secrets of a phone, or None if it has none."""
    if phone.mac is None:
        return None
    row: Provisioning | None = await session.get(Provisioning, phone.mac)
    return row if row is not None and row.customer_id == phone.customer_id else None
