"""Creating, changing and deleting phone models, which all customers share, and their pictures."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .. import pictures
from ..checks import as_integer
from ..errors import not_found, refused
from ..extras.check import problem
from ..models import FUNCTIONS, GENERIC, WEBRTC
from ..models.functions import WRITTEN
from ..properties import fields_of
from ..saved import IN_FILES, note_saved
from ..tables import Picture, SipPhone, SipPhoneModel
from ..tables.models import RANGES
from .audit import Work, new_oid, parse_oid
from .draft import NOT_SENT, Columns, Document, Draft
from .listing import only
from .phones.saved import of_model

WHAT: Final = "SIP phone model"
GROUPS: Final = ("capabilities", "ranges", "ranges.volume", *(f"ranges.volume.{part}" for part in (
    "handset", "headset", "handsfree"
)))  # fmt: skip
"""Properties that must be objects when they are sent."""
MAX_LEVEL: Final = 100
"""Limit of a volume, above and below 0: vendors count steps or dB."""
MAX_TONE: Final = 999
"""The kind of a phone's tone has at most three digits."""
ModelDraft = Draft[SipPhoneModel]


async def lock_model(session: AsyncSession, oid: object) -> SipPhoneModel:
    """Return the model, locked against other writers. Raise Refused (404)."""
    statement = select(SipPhoneModel).where(SipPhoneModel.oid == (parse_oid(oid) or ""))
    (model,) = await only(session, statement.with_for_update(), WHAT)
    return model


async def create_model(work: Work, document: Document) -> SipPhoneModel:
    """Create a model and return it. Raise Refused with all problems of the document."""
    columns = await _columns(work.session, Draft(document))
    model = SipPhoneModel(oid=new_oid(), **columns)
    await work.create(model)
    return model


async def update_model(work: Work, oid: object, document: Document) -> SipPhoneModel:
    """Change the properties that were sent. The phones of the model keep all their settings.

    If another service redirects them, or their file has another name or URL, the services are told.
    """
    model = await lock_model(work.session, oid)
    columns = await _columns(work.session, Draft(document, model))
    picture, redirected = model.picture_oid, _redirected(model)
    written = [getattr(model, name) for name in IN_FILES]
    for name, value in columns.items():
        setattr(model, name, value)
    await work.update(model)
    await _drop_unused(work.session, picture)
    if [getattr(model, name) for name in IN_FILES] != written:
        await note_saved(work.session, of_model(model))
    if _redirected(model) != redirected:
        macs = select(SipPhone.mac).where(SipPhone.model_id == model.id, SipPhone.mac.is_not(None))
        await work.settle(*await work.session.scalars(macs))
    return model


def _redirected(model: SipPhoneModel) -> tuple[object, ...]:
    """Return what decides which service is told about the phones of a model, and which URL."""
    return model.redirect_service, model.writer, model.legacy_tls


async def delete_model(work: Work, oid: object) -> None:
    """Delete a model. Raise Refused (409) if a phone has it, or if the program itself needs it."""
    model = await lock_model(work.session, oid)
    if model.oid in (GENERIC, WEBRTC):
        raise refused("id", "The model is needed for devices and browsers", "allowed")
    if await _phones(work.session, model) > 0:
        raise refused("id", "Phones have this model", "allowed")
    before = model.picture_oid
    await work.delete(model)
    await _drop_unused(work.session, before)


# Pictures


async def find_picture(session: AsyncSession, oid: object) -> bytes:
    """Return a picture that the program brought, or that was uploaded. Raise Refused (404)."""
    wanted = parse_oid(oid) or ""
    drawn = pictures.drawings().get(wanted)
    content = drawn or await session.scalar(select(Picture.content).where(Picture.oid == wanted))
    if content is None:
        raise not_found("Picture")
    return content


async def set_picture(work: Work, oid: object, content: bytes) -> SipPhoneModel:
    """Give a model an uploaded picture. Raise Refused: 404, and 422 for anything but such a PNG."""
    model = await lock_model(work.session, oid)
    if not pictures.is_picture(content):
        side = pictures.SIDE
        raise refused("picture", f"The picture must be a PNG of {side} x {side} pixels", "format", 422)
    before, model.picture_oid = model.picture_oid, pictures.content_oid(content)
    await work.session.merge(Picture(oid=model.picture_oid, content=content))
    await work.update(model)
    await _drop_unused(work.session, before)
    return model


async def _drop_unused(session: AsyncSession, oid: str | None) -> None:
    """Delete an uploaded picture that no model has any more."""
    used = select(SipPhoneModel.id).where(SipPhoneModel.picture_oid == oid)
    if oid is not None and await session.scalar(used.limit(1)) is None:
        await session.execute(delete(Picture).where(Picture.oid == oid))


# Reading a body


async def _columns(session: AsyncSession, draft: ModelDraft) -> Columns:
    """Return the columns to write. Raise Refused with all problems."""
    draft.require_objects(GROUPS)
    draft.read_fields(fields_of(SipPhoneModel))
    for path, column in RANGES.items():
        _read_range(draft, path, column)
    _read_functions(draft)
    await _read_picture(session, draft)
    _check_provisioning(draft)
    _check_template(draft)
    await _check_name(session, draft)
    await _check_phones(session, draft)
    draft.refuse_problems()
    return draft.values


def _read_range(draft: ModelDraft, path: str, column: str) -> None:
    """Read a range, `{"min": 0, "max": 15}`, or null if the model lacks the setting."""
    sent = draft.sent(path)
    if sent is NOT_SENT:
        return
    is_tone = column == "ringer_tone"
    low, high = (0, MAX_TONE) if is_tone else (-MAX_LEVEL, MAX_LEVEL)
    ends = (None, None) if sent is None else _ends(sent, low, high)
    if ends is None or (is_tone and ends[0]):
        start = "0" if is_tone else f"{low}"
        draft.wrong(path, f"{path} must be null, or have min and max from {start} to {high}", check="range")
        return
    draft.values |= {} if is_tone else {f"{column}_min": ends[0]}
    draft.values[f"{column}_max"] = ends[1]


def _ends(sent: object, low: int, high: int) -> tuple[int, int] | None:
    """Return the ends of a range that was sent, or None if they are not two numbers in this order."""
    if not isinstance(sent, Mapping):
        return None
    start, end = as_integer(sent.get("min")), as_integer(sent.get("max"))
    if start is None or end is None or not low <= start <= end <= high:
        return None
    return start, end


def _read_functions(draft: ModelDraft) -> None:
    sent = draft.read_array("softkeyCapabilities")
    if sent is None:
        return
    if all(function in FUNCTIONS for function in sent):
        draft.values["softkey_capabilities"] = [function for function in FUNCTIONS if function in sent]
    else:
        message = f"softkeyCapabilities may have these functions: {', '.join(FUNCTIONS)}"
        draft.wrong("softkeyCapabilities", message, check="enum")


async def _read_picture(session: AsyncSession, draft: ModelDraft) -> None:
    sent = draft.sent("picture")
    if sent is NOT_SENT:
        return
    oid = parse_oid(sent)
    is_there = oid in pictures.drawings()
    if oid is not None and not is_there:
        is_there = await session.scalar(select(Picture.oid).where(Picture.oid == oid)) is not None
    if is_there or sent in (None, ""):
        draft.values["picture_oid"] = oid
    else:
        draft.wrong("picture", "Picture not found", 404, "exists")


def _check_provisioning(draft: ModelDraft) -> None:
    """Refuse capabilities without what they need, and functions that the writer cannot write."""
    for path, column, needed, name in (
        ("capabilities.provision", "provision", "writer", "writer"),
        ("capabilities.macRedirect", "mac_redirect", "redirect_service", "redirectService"),
    ):
        is_lacking = draft.column(needed) is None and not draft.is_wrong(name)
        if draft.column(column, False) and is_lacking:
            draft.wrong(path, f"{path} needs {name}", check="required")
    writer, functions = draft.column("writer"), draft.column("softkey_capabilities")
    if not isinstance(writer, str) or not isinstance(functions, list):
        return
    lacking = [function for function in functions if function not in WRITTEN.get(writer, ())]
    if lacking:
        message = f"The writer {writer} has no key for {', '.join(lacking)}"
        draft.wrong("softkeyCapabilities", message, check="allowed")


def _check_template(draft: ModelDraft) -> None:
    """Refuse extra lines that the writer cannot use; those that are stored may stay with their writer."""
    writer, text = draft.column("writer"), draft.column("configuration_template")
    is_new = any(name in draft.values for name in ("writer", "configuration_template"))
    if not is_new or not isinstance(writer, str) or not isinstance(text, str) or draft.is_wrong("writer"):
        return
    stored = draft.stored
    if stored is not None and (stored.writer, stored.configuration_template) == (writer, text):
        return
    if reason := problem(writer, text):
        draft.wrong("configurationTemplate", f"configurationTemplate: {reason}")


async def _check_name(session: AsyncSession, draft: ModelDraft) -> None:
    """Refuse the name of another model of the brand."""
    named = {"brand": draft.column("brand"), "model": draft.column("model")}
    other = await session.scalar(select(SipPhoneModel.id).filter_by(**named))
    if other is not None and (draft.stored is None or other != draft.stored.id):
        draft.wrong("model", "A model of this brand and name exists already", 409, "unique")


async def _check_phones(session: AsyncSession, draft: ModelDraft) -> None:
    """Refuse a change that would take the place behind a MAC address from phones that have one."""
    model = draft.stored
    if model is None:
        return
    changed = draft.column("multiple_handsets") != model.multiple_handsets
    if changed and await _phones(session, model, SipPhone.mac.is_not(None)):
        message = "Phones with a MAC address have this model"
        draft.wrong("capabilities.multipleHandsets", message, 409, "allowed")
    extensions = draft.column("extensions")
    if isinstance(extensions, int) and await _phones(session, model, SipPhone.mac_slot >= extensions):
        draft.wrong("extensions", "More phones share a MAC address already", 409, "allowed")


async def _phones(session: AsyncSession, model: SipPhoneModel, *which: ColumnElement[bool]) -> int:
    """Return how many phones have the model."""
    counted = select(func.count(SipPhone.id)).where(SipPhone.model_id == model.id, *which)
    return await session.scalar(counted) or 0
