"""A phone while it is created or changed: its columns, and the rows that it will refer to."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import IpMode

from ...checks import Value, Wrong
from ...extras.check import problem
from ...models import WEBRTC
from ...properties import Field, fields_of
from ...tables import Customer, Extension, SipPhone, SipPhoneModel
from ...tables.limits import PhoneKind
from ..audit import parse_oid
from ..draft import NOT_SENT, Document, Draft
from ..products import find_model, find_usable

FIELDS: Final = fields_of(SipPhone)
"""All settings, in the order of the answers."""
OWN: Final = tuple(field for field in FIELDS if not field.dependent)
"""The settings that depend on no other setting but the model: read and checked one by one."""
GROUPS: Final = (
    *"ip ringer volume volume.handset volume.headset volume.handsfree".split(),
    *"codec policy network purchaseInfo".split(),
)
"""Properties that must be objects when they are sent."""
IP: Final = {field.path: field for field in FIELDS if field.path.startswith("ip.")}
IP_COLUMNS: Final = ("ip_mode", "ip_countries", "ip_address")
"""Columns that only the policy PHONE uses."""
NETWORK: Final = {
    field.path: field for field in FIELDS if field.path.startswith("network.") and field.dependent
}
STATIC: Final = ("network.ipAddress", "network.subnet", "network.gateway", "network.dns1")
"""Values that a phone without DHCP must have."""
PHONE_PRODUCT = "PBX_SIP_PHONE"
(MAC,) = (field for field in FIELDS if field.path == "macAddress")


class PhoneDraft(Draft[SipPhone]):
    """A collector of columns and problems; nothing is written before `refuse_problems` returns."""

    def __init__(self, document: Document, customer: Customer | None, stored: SipPhone | None = None) -> None:
        super().__init__(document, stored)
        self.customer = customer
        self.model: SipPhoneModel | None = None
        """The model that the phone will have, or None if an unknown one was sent."""
        self.model_changed = stored is None
        self.extension: Extension | None = None
        """The extension that the phone will have."""

    def value_of(self, field: Field) -> object:
        """Return the value as it was sent, or the stored one if a new model may lack what the old one had."""
        value = super().value_of(field)
        is_limited = self.stored is not None and self.model_changed and isinstance(field.kind, PhoneKind)
        return self.column(field.column) if value is NOT_SENT and is_limited else value

    def checked(self, field: Field, value: object) -> Value | Wrong:
        """Return the value to store, within the limits of the model; a setting that it lacks is ignored."""
        if self._is_kept(field, value):
            kept: Value = getattr(self.stored, field.column)
            return kept
        kind, model = field.kind, self.model
        checked: Value | Wrong = None
        if value is not None and isinstance(kind, PhoneKind) and kind.by_model is not None:
            checked = kind.by_model(value, kind.message.format(field.path), model)
        elif value is not None:
            checked = field.check(value)
        if isinstance(checked, Wrong) or not isinstance(kind, PhoneKind) or kind.of_model is None:
            return checked
        return checked if model is None or kind.of_model(model) else field.default

    def _is_kept(self, field: Field, value: object) -> bool:
        """Return True for a stored value that was sent back, although a corrected model may not allow it."""
        if self.model_changed or value is None or not isinstance(field.kind, PhoneKind):
            return False
        kept: Value = getattr(self.stored, field.column)
        return field.check(value) == kept

    def read(self, field: Field, sent: object) -> object:
        """Return the checked value of a property that was sent; if it is wrong, add its problem."""
        return self.refused(field.check(sent), field.path)


async def read_phone(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read all properties but softkeys and side panels, each after those that it depends on."""
    await _read_references(session, draft)
    _read_settings(draft)
    _read_restriction(draft)
    _read_network(draft)
    if draft.model and draft.model.multiple_handsets and not draft.column("handset_address"):
        draft.wrong("handsetAddress", "Handset address is missing", check="required")
    await _take_slot(session, draft)
    await _read_instance(session, draft)


def _read_settings(draft: PhoneDraft) -> None:
    """Check every setting that was sent, and put its value or its problem into the draft."""
    draft.require_objects(GROUPS)
    draft.read_fields(OWN)
    _check_extra_lines(draft)
    if draft.model and draft.model.requires_serial and not draft.column("serial"):
        draft.wrong("serial", "Serial number is missing", check="required")


def _check_extra_lines(draft: PhoneDraft) -> None:
    """Refuse a `customConfig` that the phone could not use. One that is stored may be sent back."""
    text, writer = draft.values.get("custom_config"), draft.model and draft.model.writer
    if not isinstance(text, str) or not writer or (draft.stored and draft.stored.custom_config == text):
        return
    if reason := problem(writer, text):
        draft.wrong("customConfig", f"customConfig: {reason}")


# Addresses


def _read_restriction(draft: PhoneDraft) -> None:
    """Read `ip.*`: the mode and the values it needs. On a change, properties that were not sent stay."""
    if draft.stored and not any(draft.was_sent(path) for path in IP):
        return
    mode, countries = draft.given("ip.mode"), draft.sent("ip.countries")
    mode = draft.column("ip_mode", str(IpMode.OPEN)) if mode is None else draft.read(IP["ip.mode"], mode)
    if countries is NOT_SENT:
        countries = draft.column("ip_countries", "")
    else:
        countries = draft.read(IP["ip.countries"], "" if countries is None else countries)
    draft.values |= {"ip_mode": mode} if mode is not None else {}
    draft.values |= {"ip_countries": countries} if countries is not None else {}
    _read_address(draft, mode)
    if mode == IpMode.ROAMING and not draft.column("ip_countries", "") and not draft.is_wrong("ip.countries"):
        draft.wrong("ip.mode", "ROAMING mode requires countries to be specified", 409, "required")
    policy, stored = draft.given("ip.policy"), draft.stored
    if policy is not None:
        draft.values["ip_policy"] = draft.read(IP["ip.policy"], policy)
    elif stored is None or any(draft.column(name) != getattr(stored, name) for name in IP_COLUMNS):
        draft.values["ip_policy"] = "PHONE"  # a change of the others without a policy chooses this one


def _read_address(draft: PhoneDraft, mode: object) -> None:
    sent = draft.sent("ip.address")
    kept: object = None
    if sent is NOT_SENT:
        kept = None if mode == IpMode.OPEN and draft.was_sent("ip.mode") else draft.column("ip_address")
    elif sent not in (None, ""):
        kept = draft.read(IP["ip.address"], sent)
        if kept is None:
            return
    if mode == IpMode.LOCKED and kept is None:
        draft.wrong("ip.address", "IP address is missing, LOCKED mode requires one", check="required")
    draft.values["ip_address"] = kept


def _read_network(draft: PhoneDraft) -> None:
    """Read `network.*` except the VLAN. Without DHCP the four static values are required."""
    if draft.stored and not any(draft.was_sent(path) for path in NETWORK):
        return
    sent = draft.given("network.dhcp")
    dhcp = draft.column("net_dhcp", True) if sent is None else draft.read(NETWORK["network.dhcp"], sent)
    draft.values |= {"net_dhcp": dhcp} if dhcp is not None else {}
    for path, field in NETWORK.items():
        if path == "network.dhcp":
            continue
        sent = draft.sent(path)
        is_empty = sent in (NOT_SENT, None, "")
        checked = draft.column(field.column) if sent is NOT_SENT else None if is_empty else field.check(sent)
        value = None if isinstance(checked, Wrong) else checked
        if path in STATIC and dhcp is False and value is None:
            draft.wrong(path, field.kind.message, check="required" if is_empty else "format")
        elif path not in STATIC:
            value = draft.refused(checked, path)
        draft.values[field.column] = value


# References, and the slot behind a MAC address: some devices hold several phones


async def _read_references(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read `sipPhoneModel`, `extension` and `product`; each must exist."""
    await _read_model(session, draft)
    await _read_extension(session, draft)
    customer = draft.customer
    if customer is None:
        return  # the customer is unknown, and that is reported already

    async def find(sent: object) -> int | None:
        return await find_usable(session, customer, sent, PHONE_PRODUCT)

    await draft.read_reference("product", "product_id", find, "Product")


async def _read_model(session: AsyncSession, draft: PhoneDraft) -> None:
    sent = draft.sent("sipPhoneModel")
    if draft.stored and sent is NOT_SENT:
        draft.model = await session.get(SipPhoneModel, draft.stored.model_id)
        return
    draft.model = await find_model(session, sent)
    if draft.model is None:
        draft.wrong("sipPhoneModel", "SIP phone model not found or invalid", 404, "exists")
        return
    draft.model_changed = draft.stored is None or draft.stored.model_id != draft.model.id
    draft.values["model_id"] = draft.model.id


async def _read_extension(session: AsyncSession, draft: PhoneDraft) -> None:
    stored, customer = draft.stored, draft.customer
    if customer is None:
        return  # the customer is unknown, and that is reported already
    if not draft.was_sent("extension") and stored and stored.extension_id:
        draft.extension = await session.get(Extension, stored.extension_id)

    async def find(sent: object) -> int | None:
        own = Extension.oid == (parse_oid(sent) or ""), Extension.customer_id == customer.id
        draft.extension = await session.scalar(select(Extension).where(*own))
        return draft.extension.id if draft.extension else None

    await draft.read_reference("extension", "extension_id", find, "Extension")


async def _read_instance(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read the WebRTC instance; a phone with one is a WebRTC phone.

    Only one phone of an extension may have a given instance.
    """
    instance = draft.column("instance_id")
    model = draft.model.oid if draft.model else None
    draft.values["webrtc"] = instance is not None or model == WEBRTC
    if instance is None or draft.extension is None:
        return
    statement = select(SipPhone.id).where(
        SipPhone.extension_id == draft.extension.id, SipPhone.instance_id == instance
    )
    owner = await session.scalar(statement)
    if owner is not None and (draft.stored is None or owner != draft.stored.id):
        message = "Another phone of the extension belongs to this instance"
        draft.wrong("instanceId", message, 409, "unique")


async def _take_slot(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read `macAddress`, and choose the phone's slot behind it; the phone keeps its slot if it can."""
    if draft.stored and not draft.was_sent("macAddress") and not draft.model_changed:
        return
    sent = draft.sent("macAddress")
    mac = draft.column("mac") if sent is NOT_SENT else None if sent in (None, "") else draft.read(MAC, sent)
    draft.values |= {"mac": mac, "mac_slot": None, "handset_index": None}
    model = draft.model
    if mac is None or model is None:
        return
    statement = select(SipPhone.customer_id, SipPhone.model_id, SipPhone.mac_slot).where(SipPhone.mac == mac)
    if draft.stored:
        statement = statement.where(SipPhone.id != draft.stored.id)
    neighbours = list(await session.execute(statement))
    customer = draft.customer.id if draft.customer else None
    is_foreign = any(row[0] != customer or row[1] != model.id for row in neighbours)
    slot = None if is_foreign else _free_slot({row[2] for row in neighbours}, model, draft, mac)
    if slot is not None:
        draft.values |= {"mac_slot": slot, "handset_index": slot if model.multiple_handsets else None}
    elif model.multiple_handsets and not is_foreign:
        draft.wrong("handsetIndex", "The device does not have any free positions", 409, "unique")
    elif model.extensions > 1 and not is_foreign:
        message = "All available slots have been filled, no more phones can share the MAC address"
        draft.wrong("macAddress", message, 403, "unique")
    else:
        draft.wrong("macAddress", "A phone with the same MAC address already exists", 409, "unique")


def _free_slot(taken: set[int | None], model: SipPhoneModel, draft: PhoneDraft, mac: object) -> int | None:
    stored = draft.stored
    wanted = list(range(model.extensions))
    if stored and stored.mac == mac and stored.mac_slot in wanted:
        wanted.insert(0, stored.mac_slot)
    return next((slot for slot in wanted if slot not in taken), None)
