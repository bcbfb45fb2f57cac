"""A phone while it is created or changed: its columns, and the rows that it will refer to."""

from collections.abc import Mapping
from typing import Final

from ...checks import Value, Wrong
from ...properties import Field, fields_of
from ...tables import Customer, Extension, SipPhone, SipPhoneModel
from ...tables.limits import PhoneKind
from ..draft import NOT_SENT, Document, Draft

FIELDS: Final = fields_of(SipPhone)
"""All settings, in the order of the answers."""
OWN: Final = tuple(field for field in FIELDS if not field.dependent)
"""The settings that depend on no other setting but the model: read and checked one by one."""
GROUPS: Final = tuple(
    "ip ringer volume volume.handset volume.headset volume.handsfree codec network purchaseInfo".split()
)
"""Properties that must be objects when they are sent."""


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
        kind, model = field.kind, self.model
        checked: Value | Wrong = None
        if value is not None and isinstance(kind, PhoneKind) and kind.by_model is not None:
            checked = kind.by_model(value, kind.message.format(field.path), model)
        elif value is not None:
            checked = field.check(value)
        if isinstance(checked, Wrong) or not isinstance(kind, PhoneKind) or kind.of_model is None:
            return checked
        return checked if model is None or kind.of_model(model) else field.default

    def read(self, field: Field, sent: object) -> object:
        """Return the checked value of a property that was sent; if it is wrong, add its problem."""
        return self.refused(field.check(sent), field.path)


def read_settings(draft: PhoneDraft) -> None:
    """Check every setting that was sent, and put its value or its problem into the draft."""
    for group in GROUPS:
        if draft.given(group) is not None and not isinstance(draft.given(group), Mapping):
            draft.wrong(group, f"{group} must be an object")
    draft.read_fields(OWN)
    if draft.model and draft.model.requires_serial and not draft.column("serial"):
        draft.wrong("serial", "Serial number is missing", check="required")
