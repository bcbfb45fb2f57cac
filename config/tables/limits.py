"""The kinds of values that depend on a phone's model, which limits or lacks some of the settings."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields

from sqlalchemy import Integer, String

from ..checks import Value, Wrong, as_integer
from ..properties import Kind
from .base import OID_LENGTH
from .models import SipPhoneModel

ModelCheck = Callable[[object, str, SipPhoneModel | None], Value | Wrong]
"""A check gets the value as sent (never null), the message, and the model if it is known."""


@dataclass(frozen=True, slots=True)
class PhoneKind(Kind):
    """The values of a setting that the phone's model may limit or lack."""

    of_model: Callable[[SipPhoneModel], bool] | None = None
    """Return whether the model has the setting; if it lacks the setting, the value sent is ignored."""
    by_model: ModelCheck | None = None
    """The check against the model's ranges; the setting is checked again if the model changes."""


def if_model(has: Callable[[SipPhoneModel], bool], kind: Kind) -> PhoneKind:
    """Return the kind of a setting that a model may lack."""
    return PhoneKind(**{one.name: getattr(kind, one.name) for one in fields(kind)}, of_model=has)


def _ranged(by_model: ModelCheck, message: str) -> PhoneKind:
    def check(value: object, message: str) -> Value | Wrong:
        return by_model(value, message, None)

    return PhoneKind("integer", Integer(), check, message, by_model=by_model)


def level(column: str, message: str, outside: str = "") -> PhoneKind:
    """Return the kind of a whole number in the model's range for `column`; without a range it stores None."""

    def check(value: object, message: str, model: SipPhoneModel | None) -> Value | Wrong:
        number = as_integer(value)
        if number is None:
            return Wrong(message)
        if model is None:
            return number
        low, high = getattr(model, f"{column}_min"), getattr(model, f"{column}_max")
        if low is None or high is None:
            return None
        return number if low <= number <= high else Wrong(outside or message, "range")

    return _ranged(check, message)


def _tone(value: object, message: str, model: SipPhoneModel | None) -> Value | Wrong:
    """Check the index of a built-in tone, or the id of a custom one if the model can play it."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{24}", value):
        custom = model is None or model.custom_ringtones
        return value.lower() if custom else Wrong(message, "allowed")
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value):
        value = int(value)
    number = as_integer(value)
    if number is None:
        return Wrong(message)
    if model is None:
        return str(number)
    if model.ringer_tone_max is None:
        return None
    return str(number) if 0 <= number <= model.ringer_tone_max else Wrong(message, "range")


def _panels(value: object, message: str, model: SipPhoneModel | None) -> Value | Wrong:
    """Check a number of side panels, at most the model's; if it takes none, store None."""
    number = as_integer(value)
    if number is None:
        return Wrong(message)
    room = None if model is None else model.max_side_panels
    if room == 0:
        return None
    return number if number >= 0 and (room is None or number <= room) else Wrong(message, "range")


PANEL_COUNT = _ranged(_panels, "{} must be a number from 0 to what the model has room for")
TONE = PhoneKind(
    "string",
    String(OID_LENGTH),
    lambda value, message: _tone(value, message, None),
    "Ringtone is outside the valid range",
    by_model=_tone,
)
