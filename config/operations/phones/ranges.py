"""Settings whose limits depend on the model of the phone."""

import re
from collections.abc import Callable

from ...tables import SipPhoneModel
from ..checks import Value, Wrong, as_integer

ModelCheck = Callable[[object, SipPhoneModel | None], Value | Wrong]
"""A check gets the value as sent (never null), and the model if it is known."""


def level(column: str, invalid: str, outside: str) -> ModelCheck:
    """Return a check for a whole number in the model's range for `column`; without a range it stores None."""

    def check(value: object, model: SipPhoneModel | None) -> Value | Wrong:
        number = as_integer(value)
        if number is None:
            return Wrong(invalid)
        if model is None:
            return number
        low, high = getattr(model, f"{column}_min"), getattr(model, f"{column}_max")
        if low is None or high is None:
            return None
        return number if low <= number <= high else Wrong(outside, "range")

    return check


def ringtone(message: str) -> ModelCheck:
    """Return a check for the index of a built-in tone, or the id of a custom one if the model can play it."""

    def check(value: object, model: SipPhoneModel | None) -> Value | Wrong:
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

    return check


def panel_count(message: str) -> ModelCheck:
    """Return a check for the number of side panels, at most the model's; if it takes none, it stores None."""

    def check(value: object, model: SipPhoneModel | None) -> Value | Wrong:
        number = as_integer(value)
        if number is None:
            return Wrong(message)
        room = None if model is None else model.max_side_panels
        if room == 0:
            return None
        return number if number >= 0 and (room is None or number <= room) else Wrong(message, "range")

    return check
