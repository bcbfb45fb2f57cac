"""The rows that a phone refers to, and its slot behind a MAC address: some devices hold several phones."""

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...models import WEBRTC
from ...tables import Extension, SipPhone, SipPhoneModel
from ..draft import NOT_SENT
from ..ids import parse_oid
from ..products import find_model, find_usable
from .draft import FIELDS, PhoneDraft

PHONE_PRODUCT = "PBX_SIP_PHONE"
(MAC,) = (field for field in FIELDS if field.path == "macAddress")

Neighbour = Row[int, int, int | None]
"""Customer, model and slot of another phone behind the same MAC address."""


async def read_references(session: AsyncSession, draft: PhoneDraft) -> None:
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


async def read_instance(session: AsyncSession, draft: PhoneDraft) -> None:
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


async def take_slot(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read `macAddress`, and choose the phone's slot behind it; the phone keeps its slot if it can."""
    if draft.stored and not draft.was_sent("macAddress") and not draft.model_changed:
        return
    sent = draft.sent("macAddress")
    mac = draft.column("mac") if sent is NOT_SENT else None if sent in (None, "") else draft.read(MAC, sent)
    draft.values |= {"mac": mac, "mac_slot": None, "handset_index": None}
    model = draft.model
    if mac is None or model is None:
        return
    neighbours = await _neighbours(session, mac, draft)
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


def read_handset(draft: PhoneDraft) -> None:
    """Require an address of the handset if the base has several handsets."""
    if draft.model and draft.model.multiple_handsets and not draft.column("handset_address"):
        draft.wrong("handsetAddress", "Handset address is missing", check="required")


async def _neighbours(session: AsyncSession, mac: object, draft: PhoneDraft) -> list[Neighbour]:
    statement = select(SipPhone.customer_id, SipPhone.model_id, SipPhone.mac_slot).where(SipPhone.mac == mac)
    if draft.stored:
        statement = statement.where(SipPhone.id != draft.stored.id)
    return list(await session.execute(statement))


def _free_slot(taken: set[int | None], model: SipPhoneModel, draft: PhoneDraft, mac: object) -> int | None:
    stored = draft.stored
    wanted = list(range(model.extensions))
    if stored and stored.mac == mac and stored.mac_slot in wanted:
        wanted.insert(0, stored.mac_slot)
    return next((slot for slot in wanted if slot not in taken), None)
