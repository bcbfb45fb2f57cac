"""The rows of one device as plain values (`view`): accounts, keys with their targets, and the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from ..settings import ProvisioningSettings
from ..tables import (
    Customer,
    Extension,
    Provisioning,
    Queue,
    SipGroup,
    SipPhone,
    SipPhoneModel,
    SipPhoneSoftkey,
)
from .admin_password import AdminPassword, read_admin
from .view import (
    Account,
    Display,
    Handset,
    Key,
    Levels,
    Network,
    Provisioned,
    Server,
    Services,
    Sound,
    place,
)
from .vlan import had_vlan

Pointed = type[Extension] | type[SipGroup] | type[Queue]
POINTERS: Final[Mapping[str, tuple[Pointed, str]]] = {
    "BLF": (Extension, "the extension does not exist any more"),
    "PICKUPGROUP": (SipGroup, "the group does not exist any more"),
    "QUEUE": (Queue, "the queue does not exist any more"),
}
"""Functions whose value is the id of a row with a number, and the problem if there is no such row."""
DEVICE: Final = "DNDOTHER"
NO_DEVICE: Final = "the device does not exist any more, or has no extension"


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it is stored at one moment."""

    phone: Provisioned
    oids: tuple[str, ...]
    """Ids of its phones, in the order of their accounts."""
    saved: Mapping[str, datetime | None]
    """Phone -> when its configuration was saved last."""
    loaded: Mapping[str, datetime | None]
    """Phone -> when it loaded its configuration last."""
    opened_by: frozenset[str | None]
    """Hashes of the secrets that open it. They are read after the accounts (decision 102)."""
    two_admins: str = ""
    """The sealed text that also has the former password of its pages; empty: it has the present one."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """One phone with the rows that it refers to."""

    phone: SipPhone
    model: SipPhoneModel
    customer: Customer
    extension: Extension | None


async def load(
    session: AsyncSession, vault: Vault, oids: Sequence[str], settings: ProvisioningSettings, secret: str = ""
) -> Device | None:
    """Return the device with these phones, or None if one of them does not exist.

    Its files name the URL with `secret`, by default the steady one. Raise StoreUnavailable if a password
    cannot be decrypted.
    """
    rows = await _rows(session, oids)
    if len(rows) != len(oids) or not rows:
        return None
    first = rows[0]
    row = await session.get(Provisioning, first.phone.mac) if first.phone.mac else None
    if row is not None and row.customer_id != first.phone.customer_id:
        row = None
    settings = settings.told(legacy_tls=first.model.legacy_tls)
    steady = vault.open(row.steady_enc, row.mac) if row is not None else ""
    admin = read_admin(row, vault) if row is not None else AdminPassword("")
    return Device(
        _provisioned(
            rows,
            tuple(_handset(one, vault) for one in rows),
            _server(settings, secret or steady),
            await _keys(session, first),
            admin.password,
            settings,
            was_in_vlan=row is not None and await had_vlan(session, row.mac, first.model.writer or ""),
        ),
        tuple(one.phone.oid for one in rows),
        {one.phone.oid: one.phone.config_saved_at for one in rows},
        {one.phone.oid: one.phone.config_loaded_at for one in rows},
        _opened_by(rows, row),
        row.admin_password_enc if row is not None and admin.former else "",
    )


def _opened_by(rows: Sequence[_Whole], row: Provisioning | None) -> frozenset[str | None]:
    own = () if row is None else (row.first_sha256, row.steady_sha256)
    return frozenset((*own, *(one.phone.device_token_sha256 for one in rows)))


async def find_device(
    session: AsyncSession, vault: Vault, oid: str, settings: ProvisioningSettings
) -> Device | None:
    """Return the device that a phone belongs to, with all phones of its MAC address, or None."""
    found = await session.scalar(select(SipPhone).where(SipPhone.oid == oid))
    if found is None:
        return None
    oids = [oid]
    if found.mac is not None:
        same = SipPhone.mac == found.mac, SipPhone.customer_id == found.customer_id
        oids = list(await session.scalars(select(SipPhone.oid).where(*same)))
    return await load(session, vault, oids, settings)


async def _rows(session: AsyncSession, oids: Sequence[str]) -> list[_Whole]:
    statement = (
        select(SipPhone, SipPhoneModel, Customer, Extension)
        .join(SipPhoneModel, SipPhoneModel.id == SipPhone.model_id)
        .join(Customer, Customer.id == SipPhone.customer_id)
        .outerjoin(Extension, Extension.id == SipPhone.extension_id)
        .where(SipPhone.oid.in_(oids))
        .order_by(SipPhone.handset_index, SipPhone.mac_slot, SipPhone.id)
    )
    return [
        _Whole(phone, model, customer, extension)
        for phone, model, customer, extension in await session.execute(statement)
    ]


def _handset(one: _Whole, vault: Vault) -> Handset:
    phone = one.phone
    account = Account(
        phone.username,
        vault.open(phone.password_enc, phone.oid),
        one.customer.sip_domain or "",
        one.extension.name if one.extension else "",
        one.extension.number if one.extension else "",
    )
    index = phone.handset_index if phone.handset_index is not None else phone.mac_slot
    return Handset(index or 0, account, phone.handset_address)


def _server(settings: ProvisioningSettings, secret: str) -> Server:
    return Server(
        settings.sip_host,
        settings.sip_port,
        settings.sip_transport,
        settings.prefix(secret),
        settings.expires,
        settings.ntp,
        settings.timezone,
        settings.language,
        f"{settings.base}/ca.pem" if settings.authority is not None else "",
    )


def _provisioned(
    rows: Sequence[_Whole],
    handsets: tuple[Handset, ...],
    server: Server,
    keys: tuple[Key, ...],
    admin: str,
    settings: ProvisioningSettings,
    *,
    was_in_vlan: bool,
) -> Provisioned:
    phone, model = rows[0].phone, rows[0].model
    return Provisioned(
        mac=phone.mac or "",
        brand=model.brand,
        model=model.model,
        writer=model.writer or "",
        handsets=handsets,
        server=server,
        extensions=model.extensions,
        serial=phone.serial or "",
        softkeys=model.softkeys,
        panel_softkeys=model.panel_softkeys,
        panel=phone.side_panel,
        panels=phone.side_panel_count or 0,
        keys=keys,
        call_waiting=phone.call_waiting,
        blind_transfer=phone.softkey_blf_blind_transfer,
        headset_button=phone.headset_button,
        dhsg=phone.dhsg,
        hd_audio=phone.codec_hd,
        video=phone.codec_video,
        sound=_sound(phone),
        display=_display(phone),
        network=_network(phone, had_vlan=was_in_vlan),
        services=Services(settings.features, **settings.services),
        admin_password=admin,
        extra=model.configuration_template or "",
        custom=phone.custom_config or "",
    )


def _sound(phone: SipPhone) -> Sound:
    return Sound(
        phone.ringer_volume,
        phone.ringer_tone,
        Levels(phone.vol_handset_mic, phone.vol_handset_speaker),
        Levels(phone.vol_headset_mic, phone.vol_headset_speaker),
        Levels(phone.vol_handsfree_mic, phone.vol_handsfree_speaker),
    )


def _display(phone: SipPhone) -> Display:
    return Display(
        phone.display_brightness,
        phone.display_brightness_idle,
        phone.display_background,
        phone.display_font_color,
    )


def _network(phone: SipPhone, *, had_vlan: bool) -> Network:
    return Network(
        dhcp=phone.net_dhcp,
        address=phone.net_ip,
        mask=phone.net_subnet,
        gateway=phone.net_gateway,
        dns1=phone.net_dns1,
        dns2=phone.net_dns2,
        vlan_id=phone.vlan_id,
        vlan_priority=phone.vlan_priority,
        had_vlan=had_vlan,
    )


# Keys


async def _keys(session: AsyncSession, one: _Whole) -> tuple[Key, ...]:
    """Return the keys of a phone, with numbers in the place of ids."""
    stored = list(
        await session.scalars(
            select(SipPhoneSoftkey)
            .where(SipPhoneSoftkey.phone_id == one.phone.id)
            .order_by(SipPhoneSoftkey.key_index)
        )
    )
    numbers = await _numbers(session, one.customer.id, stored)
    return tuple(_key(key, one.model, numbers) for key in stored)


def _key(stored: SipPhoneSoftkey, model: SipPhoneModel, numbers: Mapping[tuple[str, str], str]) -> Key:
    panel, index = place(stored.key_index, model.softkeys, model.panel_softkeys)
    value, problem = stored.value or "", ""
    if stored.function in POINTERS or stored.function == DEVICE:
        value = numbers.get((stored.function, value), "")
        problem = "" if value else _problem(stored.function)
    return Key(index, stored.function, panel, value, stored.label or "", problem)


def _problem(function: str) -> str:
    return NO_DEVICE if function == DEVICE else POINTERS[function][1]


async def _numbers(
    session: AsyncSession, customer: int, keys: Sequence[SipPhoneSoftkey]
) -> dict[tuple[str, str], str]:
    """Return the numbers of the rows that keys point to, by function and id. They are the customer's own."""
    found: dict[tuple[str, str], str] = {}
    for function, (table, _) in POINTERS.items():
        wanted = _values(keys, function)
        if wanted:
            statement = select(table.oid, table.number).where(
                table.oid.in_(wanted), table.customer_id == customer
            )
            found |= {(function, oid): number for oid, number in await session.execute(statement)}
    wanted = _values(keys, DEVICE)
    if wanted:
        statement = (
            select(SipPhone.oid, Extension.number)
            .join(Extension, Extension.id == SipPhone.extension_id)
            .where(SipPhone.oid.in_(wanted), SipPhone.customer_id == customer)
        )
        found |= {(DEVICE, oid): number for oid, number in await session.execute(statement)}
    return found


def _values(keys: Sequence[SipPhoneSoftkey], function: str) -> list[str]:
    return [key.value for key in keys if key.function == function and key.value]
