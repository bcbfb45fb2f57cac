"""Parameters that depend on no other parameter: like the fields of the JSON dialect, but sent as text."""

from typing import Final

from ..operations import checks
from ..operations.checks import Value, Wrong
from ..operations.extensions import MAX_NUMBER, number_check
from ..operations.fields import Field, email, text

FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}
"""The spellings of a flag, in lower case."""

__all__ = ["caller_name_format", "dialled", "email", "extension_number", "flag", "text", "whole"]


def flag(path: str, column: str, about: str) -> Field:
    """Return a field for 1 or 0, 0 by default."""
    message = f"{path} must be 1 or 0"

    def check(value: object) -> Value | Wrong:
        read = FLAGS.get(value.lower()) if isinstance(value, str) else None
        return Wrong(message, "enum") if read is None else read

    return Field(path, column, "integer", check, f"{about} (1 or 0)", default=False)


def whole(
    path: str,
    column: str,
    low: int,
    high: int,
    about: str,
    *,
    default: int | None = None,
    required: bool = False,
) -> Field:
    """Return a field for a whole number from `low` to `high`."""
    message = f"{path} must be a number from {low} to {high}"
    check = checks.integer(low, high, message, as_text=True)
    return Field(path, column, "integer", check, about, default=default, required=required)


def dialled(path: str, column: str, about: str) -> Field:
    """Return a field for a number that a phone can dial."""
    return Field(path, column, "string", checks.dialled(f"{path} is not a valid phone number"), about)


def extension_number() -> Field:
    """Return a field for a number of the dial plan."""
    message = f"extensionNumber must be digits, * or #, at most {MAX_NUMBER}"
    about = "Unique among the users, groups and queues of the domain"
    return Field("extensionNumber", "number", "string", number_check(message), about, required=True)


def caller_name_format() -> Field:
    """Return the field for the format in which a group or a queue shows the caller."""
    check = checks.caller_name_format("callerNameFormat is not a valid text")
    about = "How the caller is shown: text, {displayName}, {srcPhoneNumber} and {dgrpName}"
    return Field("callerNameFormat", "caller_name_format", "string", check, about)
