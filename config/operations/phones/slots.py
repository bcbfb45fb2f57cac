"""The slot that a phone takes behind a MAC address: some devices hold several phones."""

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...tables import SipPhone, SipPhoneModel
from ..document import NOT_SENT
from .draft import PhoneDraft
from .fields import FIELDS

(MAC,) = (field for field in FIELDS if field.path == "macAddress")

Neighbour = Row[int, int, int | None]
"""Customer, model and slot of another phone behind the same MAC address."""


async def take_slot(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read `macAddress`, and choose the phone's slot behind it; the phone keeps its slot if it can."""
    if draft.stored and not draft.was_sent("macAddress") and not draft.model_changed:
        return
    mac = _mac(draft)
    draft.values |= {"mac": mac, "mac_slot": None, "handset_index": None}
    model = draft.model
    if mac is None or model is None:
        return
    neighbours = await _neighbours(session, mac, draft)
    if _is_foreign(neighbours, model, draft):
        draft.wrong("macAddress", "A phone with the same MAC address already exists", 409, "unique")
        return
    slot = _free_slot({row[2] for row in neighbours}, model, draft, mac)
    if slot is None:
        _full(model, draft)
        return
    draft.values |= {"mac_slot": slot, "handset_index": slot if model.multiple_handsets else None}


def read_handset(draft: PhoneDraft) -> None:
    """Require an address of the handset if the base has several handsets."""
    if draft.model and draft.model.multiple_handsets and not draft.column("handset_address"):
        draft.wrong("handsetAddress", "Handset address is missing", check="required")


def _mac(draft: PhoneDraft) -> str | None:
    sent = draft.sent("macAddress")
    if sent is NOT_SENT:
        stored = draft.column("mac")
        return stored if isinstance(stored, str) else None
    if sent is None or sent == "":
        return None
    checked = draft.refused(MAC.check(sent), MAC.path)
    return checked if isinstance(checked, str) else None


async def _neighbours(session: AsyncSession, mac: str, draft: PhoneDraft) -> list[Neighbour]:
    statement = select(SipPhone.customer_id, SipPhone.model_id, SipPhone.mac_slot).where(SipPhone.mac == mac)
    if draft.stored:
        statement = statement.where(SipPhone.id != draft.stored.id)
    return list(await session.execute(statement))


def _is_foreign(neighbours: list[Neighbour], model: SipPhoneModel, draft: PhoneDraft) -> bool:
    customer = draft.customer.id if draft.customer else None
    return any(row[0] != customer or row[1] != model.id for row in neighbours)


def _free_slot(taken: set[int | None], model: SipPhoneModel, draft: PhoneDraft, mac: str) -> int | None:
    stored = draft.stored
    wanted = list(range(model.extensions))
    if stored and stored.mac == mac and stored.mac_slot in wanted:
        wanted.insert(0, stored.mac_slot)
    return next((slot for slot in wanted if slot not in taken), None)


def _full(model: SipPhoneModel, draft: PhoneDraft) -> None:
    if model.multiple_handsets:
        draft.wrong("handsetIndex", "The device does not have any free positions", 409, "unique")
    elif model.extensions > 1:
        message = "All available slots have been filled, no more phones can share the MAC address"
        draft.wrong("macAddress", message, 403, "unique")
    else:
        draft.wrong("macAddress", "A phone with the same MAC address already exists", 409, "unique")
