"""The softkeys of a phone, and its side panels as they were bought (`purchaseInfo.sidePanels`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...checks import SHORT_TEXT, as_integer, dialled, is_clean, url
from ...properties import fields_of
from ...tables import (
    Extension,
    Queue,
    SipGroup,
    SipGroupController,
    SipPhone,
    SipPhoneSidePanel,
    SipPhoneSoftkey,
)
from ..audit import parse_oid
from ..products import find_usable
from .draft import PhoneDraft

Pointed = type[Extension] | type[SipPhone] | type[SipGroup] | type[Queue]
POINTERS: Final[Mapping[str, tuple[Pointed, str]]] = {
    "BLF": (Extension, "Extension not found"),
    "DNDOTHER": (SipPhone, "Device not found"),
    "PICKUPGROUP": (SipGroup, "Group not found"),
    "QUEUE": (Queue, "Queue not found"),
}
"""Functions whose value is the id of a row, and the error message if no row has the id."""
PANELS: Final = "purchaseInfo.sidePanels"
PURCHASE: Final = fields_of(SipPhoneSidePanel)
MAX_PANELS_READ: Final = 100
"""More panels than any model has; a longer list is counted, but not read beyond this."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The ids that were sent and that belong to rows of the same customer."""

    existing: frozenset[tuple[str, str]] = frozenset()
    """Function and id."""
    controlled: frozenset[str] = frozenset()
    """Ids of the groups that the phone's extension controls."""


async def read_softkeys(session: AsyncSession, draft: PhoneDraft) -> list[SipPhoneSoftkey] | None:
    """Return the keys to store, without their phone, or None if the stored ones stay.

    After a change of the model the stored keys are checked as if they were sent. Nothing else causes a new
    check: the target of a key may be deleted, and the phone's extension may lose control of a group. A stored
    key may be sent back although the model, which was corrected, allows it no more.
    """
    stored = await _stored_keys(session, draft)
    sent = draft.read_array("softkeys") if draft.was_sent("softkeys") else stored
    if sent is None:
        return None
    known = await _known(session, draft, sent)
    kept = set() if draft.model_changed else {(key["index"], key["function"]) for key in stored or ()}
    keys: list[SipPhoneSoftkey] = []
    used: set[int] = set()
    for name, item in draft.objects_in("softkeys", sent):
        function = item.get("function")
        is_kept = isinstance(function, str) and (as_integer(item.get("index")), function) in kept
        index = _index(draft, name, item.get("index"), used, is_kept=is_kept)
        function = _function(draft, name, function, is_kept=is_kept)
        value = _value(draft, name, function, item.get("value"), known)
        label = _label(draft, name, item.get("label"))
        keys.append(SipPhoneSoftkey(key_index=index, function=function, value=value, label=label))
    return keys


async def _stored_keys(session: AsyncSession, draft: PhoneDraft) -> list[Mapping[str, object]] | None:
    """Return the stored keys as they could be sent, or None if they need not be read."""
    if draft.stored is None or not (draft.was_sent("softkeys") or draft.model_changed):
        return None
    key = SipPhoneSoftkey
    columns = select(key.key_index.label("index"), key.function, key.value, key.label.label("label"))
    rows = await session.execute(columns.where(key.phone_id == draft.stored.id))
    return [dict(row) for row in rows.mappings()]


def _key_count(draft: PhoneDraft) -> int | None:
    """Return how many keys the phone has with its side panels, or None if its model is unknown."""
    if draft.model is None:
        return None
    panels = draft.column("side_panel_count")
    return draft.model.softkeys + (panels if isinstance(panels, int) else 0) * draft.model.panel_softkeys


def _index(draft: PhoneDraft, name: str, sent: object, used: set[int], *, is_kept: bool) -> int | None:
    index = as_integer(sent)
    count = None if is_kept else _key_count(draft)
    if index is None or index < 0:
        draft.wrong(f"{name}.index", "Index is missing", check="required")
        return None
    if count is not None and index >= count:
        message = f"Index is missing: the phone has {count} softkeys with its side panels"
        draft.wrong(f"{name}.index", message, check="range")
    elif index in used:
        draft.wrong(f"{name}.index", "Index is being used by another softkey", check="unique")
    used.add(index)
    return index


def _function(draft: PhoneDraft, name: str, sent: object, *, is_kept: bool) -> str | None:
    if sent is None or sent == "":
        draft.wrong(f"{name}.function", "Function is missing", check="required")
        return None
    capable = draft.model.softkey_capabilities if draft.model and not is_kept else None
    if not isinstance(sent, str) or (capable is not None and sent not in capable):
        draft.wrong(f"{name}.function", "Function type is not valid for this phone model", check="allowed")
        return None
    return sent


def _value(draft: PhoneDraft, name: str, function: str | None, sent: object, known: _Known) -> str | None:
    code = f"{name}.value"
    text = sent if isinstance(sent, str) else None
    if function is not None and function in POINTERS:
        oid = parse_oid(sent)
        _check_pointer(draft, code, function, oid, known)
        return oid
    if function == "SPEEDDIAL":
        text = str(draft.refused(dialled(sent, "Not a valid phone number"), code) or "")
    elif function == "URL":
        draft.refused(url(sent, "URL is invalid, must begin with http: or https:"), code)
    elif not (sent is None or (text is not None and _is_short(text))):
        draft.wrong(code, "Value is not a valid text")
    return text or None


def _label(draft: PhoneDraft, name: str, sent: object) -> str | None:
    if sent is None or sent == "":
        return None
    if not isinstance(sent, str) or not _is_short(sent):
        draft.wrong(f"{name}.label", "Label is not a valid text")
        return None
    return sent if draft.model and draft.model.softkey_labels else None


def _is_short(text: str) -> bool:
    return len(text) <= SHORT_TEXT and is_clean(text)


def _check_pointer(draft: PhoneDraft, code: str, function: str, oid: str | None, known: _Known) -> None:
    if draft.customer is None:
        return  # the customer is unknown, and that is reported already
    if oid is None or (function, oid) not in known.existing:
        draft.wrong(code, POINTERS[function][1], 404, "exists")
    elif function == "PICKUPGROUP" and oid not in known.controlled and not draft.is_wrong("extension"):
        draft.wrong(code, "The extension has no controller rights on the group", 409, "allowed")


async def _known(session: AsyncSession, draft: PhoneDraft, sent: Iterable[object]) -> _Known:
    wanted: dict[str, set[str]] = {function: set() for function in POINTERS}
    for item in sent:
        function = item.get("function") if isinstance(item, Mapping) else None
        oid = parse_oid(item.get("value")) if isinstance(item, Mapping) else None
        if isinstance(function, str) and function in wanted and oid:
            wanted[function].add(oid)
    if draft.customer is None:
        return _Known()
    existing: set[tuple[str, str]] = set()
    for function, (table, _) in POINTERS.items():
        if wanted[function]:
            owned = table.oid.in_(wanted[function]), table.customer_id == draft.customer.id
            existing |= {(function, oid) for oid in await session.scalars(select(table.oid).where(*owned))}
    return _Known(frozenset(existing), await _controlled(session, draft, wanted["PICKUPGROUP"]))


async def _controlled(session: AsyncSession, draft: PhoneDraft, groups: set[str]) -> frozenset[str]:
    if draft.extension is None or not groups:
        return frozenset()
    statement = (
        select(SipGroup.oid)
        .join(SipGroupController, SipGroupController.group_id == SipGroup.id)
        .where(SipGroup.oid.in_(groups), SipGroupController.extension_id == draft.extension.id)
    )
    return frozenset(await session.scalars(statement))


# Side panels


async def read_panels(session: AsyncSession, draft: PhoneDraft) -> list[SipPhoneSidePanel] | None:
    """Return the panels to store, without their phone, or None if the stored ones stay."""
    if not draft.was_sent(PANELS) and draft.stored and draft.model_changed:
        counted = select(func.count()).where(SipPhoneSidePanel.phone_id == draft.stored.id)
        _check_count(draft, await session.scalar(counted) or 0)
    sent = draft.read_array(PANELS)
    if sent is None:
        return None
    _check_count(draft, len(sent))
    sent = sent[:MAX_PANELS_READ]
    taken = await _taken_serials(session, draft, sent)
    panels: list[SipPhoneSidePanel] = []
    for name, item in draft.objects_in(PANELS, sent):
        panels.append(
            SipPhoneSidePanel(
                position=len(panels),
                serial=_serial(draft, name, item.get("serial"), taken),
                **draft.read_object(name, item, PURCHASE),
                product_id=await _product(session, draft, f"{name}.product", item.get("product")),
            )
        )
    return panels


def _check_count(draft: PhoneDraft, count: int) -> None:
    if draft.model and count > draft.model.max_side_panels:
        message = f"More side panels than the model has room for ({draft.model.max_side_panels})"
        draft.wrong(PANELS, message, check="range")


def _serial(draft: PhoneDraft, name: str, sent: object, taken: set[str]) -> str | None:
    if not isinstance(sent, str) or not 0 < len(sent) <= SHORT_TEXT or not is_clean(sent):
        draft.wrong(f"{name}.serial", "Serial number is missing or invalid", check="required")
        return None
    if sent in taken:
        draft.wrong(
            f"{PANELS}.serial", "Side panel serials need to be unique", 409, "unique", f"{name}.serial"
        )
    taken.add(sent)
    return sent


async def _taken_serials(session: AsyncSession, draft: PhoneDraft, sent: list[object]) -> set[str]:
    serials = [item.get("serial") for item in sent if isinstance(item, Mapping)]
    wanted = {serial for serial in serials if isinstance(serial, str) and is_clean(serial)}
    statement = select(SipPhoneSidePanel.serial).where(SipPhoneSidePanel.serial.in_(wanted))
    if draft.stored:
        statement = statement.where(SipPhoneSidePanel.phone_id != draft.stored.id)
    return set(await session.scalars(statement))


async def _product(session: AsyncSession, draft: PhoneDraft, path: str, sent: object) -> int | None:
    if sent in (None, "") or draft.customer is None:
        return None  # a customer that is unknown is reported already
    product = await find_usable(session, draft.customer, sent)
    if product is None:
        draft.wrong(path, "Product not found", 404, "exists")
    return product
