"""The wishes of people as properties of a body: DND and forwards, which are only in Redis."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from registrar.rules.features import ReservedWords

from ..properties import DIALLED, FLAG, Field
from .draft import NOT_SENT, Draft, Row

FIELDS: Final = (
    Field("dnd", "dnd", FLAG, "Do not disturb: no call rings at this person", default=False),
    Field("cfu", "cfu", DIALLED, "Number to which each call goes"),
    Field("cfb", "cfb", DIALLED, "Number to which a call goes while the person is busy"),
    Field("cfnr", "cfnr", DIALLED, "Number to which a call goes that was not answered"),
)
ROW_FIELDS: Final = (
    replace(FIELDS[0], kind=FLAG.as_text or FLAG, about=f"{FIELDS[0].about} (1 or 0)"),
    *FIELDS[1:],
)


def read_wishes(draft: Draft[Row], reserved: ReservedWords, fields: Sequence[Field]) -> dict[str, str]:
    """Return the wishes that were sent, as Redis has them. Add a problem for each that is wrong.

    A number may be inside or outside of the dial plan. It is no emergency number and no feature code.
    """
    wishes = {}
    for field in fields:
        value = draft.value_of(field)
        if value is NOT_SENT:
            continue
        checked = None if value is None else draft.refused(field.check(value), field.path)
        wishes[field.column] = "1" if checked is True else str(checked or "")
        refusal = reserved.refusal(str(checked)) if isinstance(checked, str) else ""
        if refusal:
            draft.wrong(field.path, refusal, check="allowed")
    return wishes
