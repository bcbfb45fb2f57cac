"""Settings that depend on no other setting but the model: read and checked one by one."""

from typing import Final

from ...checks import Wrong
from ...properties import Field, fields_of
from ...tables import SipPhone
from ...tables.limits import PhoneKind
from ..document import NOT_SENT
from .draft import PhoneDraft

FIELDS: Final = fields_of(SipPhone)
"""All settings, in the order of the answers."""
OWN: Final = tuple(field for field in FIELDS if not field.dependent)
"""The settings that are read here."""
GROUPS: Final = (
    "ip",
    "ringer",
    "volume",
    "volume.handset",
    "volume.headset",
    "volume.handsfree",
    "codec",
    "network",
    "purchaseInfo",
)
"""Properties that must be objects when they are sent."""


def read_fields(draft: PhoneDraft) -> None:
    """Check every setting that was sent, and put its value or its problem into the draft."""
    for group in draft.document.misshapen(GROUPS):
        draft.wrong(group, f"{group} must be an object")
    for field in OWN:
        _read(field, draft)
    if draft.model and draft.model.requires_serial and not draft.column("serial"):
        draft.wrong("serial", "Serial number is missing", check="required")


def _read(field: Field, draft: PhoneDraft) -> None:
    value = draft.sent(field.path)
    if value is None or (value == "" and field.kind.type == "string"):
        value = NOT_SENT if field.default is not None else None
    if value is NOT_SENT and draft.stored and draft.model_changed and isinstance(field.kind, PhoneKind):
        value = draft.column(field.column)  # a new model may lack what the old one had
    if value is NOT_SENT:
        if draft.stored is None:
            draft.values[field.column] = field.default
        return
    _store(field, value, draft)


def _store(field: Field, value: object, draft: PhoneDraft) -> None:
    kind, model = field.kind, draft.model
    if value is None:
        checked = None
    elif isinstance(kind, PhoneKind) and kind.by_model is not None:
        checked = kind.by_model(value, kind.message.format(field.path), model)
    else:
        checked = field.check(value)
    if isinstance(checked, Wrong):
        draft.wrong(field.path, checked.message, check=checked.check)
        return
    lacking = isinstance(kind, PhoneKind) and kind.of_model and model and not kind.of_model(model)
    draft.values[field.column] = field.default if lacking else checked
