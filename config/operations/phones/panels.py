"""The side panels of a phone, as they were bought (`purchaseInfo.sidePanels`)."""

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ... import checks
from ...checks import SHORT_TEXT
from ...properties import fields_of
from ...tables import SipPhoneSidePanel
from ..draft import objects_in, read_array, read_object
from ..products import find_usable
from .draft import PhoneDraft

PATH = "purchaseInfo.sidePanels"
PURCHASE = fields_of(SipPhoneSidePanel)
MAX_PANELS_READ = 100
"""More panels than any model has; a longer list is counted, but not read beyond this."""


async def read_panels(session: AsyncSession, draft: PhoneDraft) -> list[SipPhoneSidePanel] | None:
    """Return the panels to store, without their phone, or None if the stored ones stay."""
    if not draft.was_sent(PATH) and draft.stored and draft.model_changed:
        _check_count(draft, await _count(session, draft.stored.id))
    sent = read_array(draft, PATH)
    if sent is None:
        return None
    _check_count(draft, len(sent))
    return await _read(session, draft, sent[:MAX_PANELS_READ])


async def _read(session: AsyncSession, draft: PhoneDraft, sent: list[object]) -> list[SipPhoneSidePanel]:
    taken = await _taken_serials(session, draft, sent)
    panels: list[SipPhoneSidePanel] = []
    for name, item in objects_in(draft, PATH, sent):
        panels.append(
            SipPhoneSidePanel(
                position=len(panels),
                serial=_serial(draft, name, item.get("serial"), taken),
                **read_object(draft, name, item, PURCHASE),
                product_id=await _product(session, draft, f"{name}.product", item.get("product")),
            )
        )
    return panels


def _check_count(draft: PhoneDraft, count: int) -> None:
    if draft.model and count > draft.model.max_side_panels:
        message = f"More side panels than the model has room for ({draft.model.max_side_panels})"
        draft.wrong(PATH, message, check="range")


def _serial(draft: PhoneDraft, name: str, sent: object, taken: set[str]) -> str | None:
    if not isinstance(sent, str) or not 0 < len(sent) <= SHORT_TEXT or not checks.is_clean(sent):
        draft.wrong(f"{name}.serial", "Serial number is missing or invalid", check="required")
        return None
    if sent in taken:
        draft.wrong(f"{PATH}.serial", "Side panel serials need to be unique", 409, "unique", f"{name}.serial")
    taken.add(sent)
    return sent


async def _taken_serials(session: AsyncSession, draft: PhoneDraft, sent: list[object]) -> set[str]:
    serials = [item.get("serial") for item in sent if isinstance(item, Mapping)]
    wanted = {serial for serial in serials if isinstance(serial, str) and checks.is_clean(serial)}
    statement = select(SipPhoneSidePanel.serial).where(SipPhoneSidePanel.serial.in_(wanted))
    if draft.stored:
        statement = statement.where(SipPhoneSidePanel.phone_id != draft.stored.id)
    return set(await session.scalars(statement))


async def _product(session: AsyncSession, draft: PhoneDraft, path: str, sent: object) -> int | None:
    if sent is None or sent == "":
        return None
    if draft.customer is None:
        return None  # the customer is unknown, and that is reported already
    product = await find_usable(session, draft.customer, sent)
    if product is None:
        draft.wrong(path, "Product not found", 404, "exists")
    return product


async def _count(session: AsyncSession, phone: int) -> int:
    statement = select(func.count()).where(SipPhoneSidePanel.phone_id == phone)
    return await session.scalar(statement) or 0
