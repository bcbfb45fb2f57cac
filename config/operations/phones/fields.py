"""Settings that depend on no other setting but the model: read and checked one by one."""

from typing import Final

from ...properties import fields_of
from ...tables import SipPhone
from ..draft import read_fields
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


def read_settings(draft: PhoneDraft) -> None:
    """Check every setting that was sent, and put its value or its problem into the draft."""
    for group in draft.document.misshapen(GROUPS):
        draft.wrong(group, f"{group} must be an object")
    read_fields(draft, OWN)
    if draft.model and draft.model.requires_serial and not draft.column("serial"):
        draft.wrong("serial", "Serial number is missing", check="required")
