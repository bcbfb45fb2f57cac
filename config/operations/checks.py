"""Checks of single values; each check returns the value to store, or a description of the error."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Final
from unicodedata import category
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from ..tables import SHORT_TEXT

LONG_TEXT: Final = 4_000
"""Limit of a note: some screens of text."""
CONFIG_TEXT: Final = 32_000
"""Limit of a piece of a configuration file; the whole request body may have 64 KiB."""
MAX_URL: Final = 2_000
PLACEHOLDERS: Final = ("{displayName}", "{srcPhoneNumber}", "{dgrpName}")
"""The placeholders that the format of a caller's name may contain."""
LOCAL_NAMES: Final = ("local", "localhost", "test")
"""Domain names that no public network has, but companies and tests have (RFC 6761 and 6762)."""
SEPARATORS: Final = ("Zs", "Pd", "Ps", "Pe")
"""Unicode categories: blanks, dashes, opening and closing brackets."""
MAX_NUMBER: Final = 1_000_000_000
"""No setting of a phone is larger; the largest integer of the database is about twice that."""

Value = str | int | float | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Wrong:
    """The reason why a value was refused."""

    message: str
    check: str = "format"


Check = Callable[[object], Value | Wrong]
"""A check gets the value as it was sent; it never gets null."""


def text(message: str, limit: int = SHORT_TEXT, keep: str = "") -> Check:
    """Return a check for text without control characters except those in `keep`; it stores "" as None."""

    def check(value: object) -> Value | Wrong:
        if not isinstance(value, str) or not is_clean(value, keep):
            return Wrong(message)
        if len(value) > limit:
            return Wrong(f"{message}: at most {limit} characters", "range")
        return value or None

    return check


def is_clean(value: str, keep: str = "") -> bool:
    """Return True if a text can be encoded (no lone surrogates) and has no control characters."""
    return not any(category(char) in ("Cc", "Cs") for char in value if char not in keep)


def boolean(message: str) -> Check:
    """Return a check for true, false, 1 or 0."""

    def check(value: object) -> Value | Wrong:
        number = as_integer(value)
        if isinstance(value, bool):
            return value
        return bool(number) if number in (0, 1) else Wrong(message)

    return check


def as_integer(value: object) -> int | None:
    """Return the whole number, or None if the value is not one (true is not; 4.0 is)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_NUMBER:
        return None
    return value


def integer(low: int, high: int, message: str, *, as_text: bool = False) -> Check:
    """Return a check for a whole number from `low` to `high`; `as_text` also allows a string of digits."""

    def check(value: object) -> Value | Wrong:
        if as_text and isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        number = as_integer(value)
        if number is None:
            return Wrong(message)
        return number if low <= number <= high else Wrong(message, "range")

    return check


def one_of(options: tuple[str, ...], message: str) -> Check:
    """Return a check for one of the words in `options`."""

    def check(value: object) -> Value | Wrong:
        return value if isinstance(value, str) and value in options else Wrong(message, "enum")

    return check


def url(message: str) -> Check:
    """Return a check for a web address."""

    def check(value: object) -> Value | Wrong:
        return value if isinstance(value, str) and is_url(value) else Wrong(message)

    return check


def is_url(value: str) -> bool:
    """Return True if the text is an address that begins with http: or https: and names a host."""
    if len(value) > MAX_URL or not is_clean(value) or " " in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def moment(message: str) -> Check:
    """Return a check for a date or a moment in ISO 8601; without a time zone it is UTC."""

    def check(value: object) -> Value | Wrong:
        if not isinstance(value, str) or len(value) > 40:
            return Wrong(message)
        try:
            read = datetime.fromisoformat(value)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
        except (ValueError, OverflowError):
            return Wrong(message)

    return check


def address(value: object) -> str | None:
    """Return an IP address in its shortest form (IPv4-mapped as IPv4), or None if it is not an address."""
    if not isinstance(value, str):
        return None
    try:
        read = ip_address(value.strip(" "))
    except ValueError:
        return None
    if isinstance(read, IPv6Address):
        if read.scope_id is not None:
            return None
        return str(read.ipv4_mapped or read)
    return str(read)


def netmask(value: object) -> str | None:
    """Return an IPv4 mask such as 255.255.255.0, or None if the value is not one."""
    mask = address(value)
    if mask is None or ":" in mask:
        return None
    bits = int.from_bytes(bytes(int(part) for part in mask.split(".")))
    host_part = bits ^ 0xFFFF_FFFF
    return mask if host_part & (host_part + 1) == 0 else None


def email(message: str, limit: int = SHORT_TEXT) -> Check:
    """Return a check for an e-mail address (RFC 5322 and 6531); it does not ask whether the domain exists."""

    def check(value: object) -> Value | Wrong:
        if not isinstance(value, str) or not is_email(value.strip()):
            return Wrong(message)
        return value.strip() if len(value.strip()) <= limit else Wrong(message, "range")

    return check


def is_email(value: str) -> bool:
    """Return True if the text is an e-mail address; a local name, such as localhost, is a domain too."""
    is_local = value.rpartition(".")[2].rpartition("@")[2].lower() in LOCAL_NAMES
    try:  # the library refuses local names, so such a name is checked as a subdomain
        validate_email(
            f"{value}.com" if is_local else value,
            check_deliverability=False,
            globally_deliverable=False,
            strict=True,
        )
    except EmailNotValidError:
        return False
    return is_clean(value)


def dialled(message: str) -> Check:
    """Return a check for a number that a phone can dial; it is stored without blanks, dashes and brackets."""

    def check(value: object) -> Value | Wrong:
        number = bare_number(value) if isinstance(value, str) else None
        return number if is_phone_number(number) else Wrong(message)

    return check


def bare_number(text: str) -> str:
    """Return a number without blanks, dashes and brackets of any kind."""
    return "".join(char for char in text if category(char) not in SEPARATORS)


def is_phone_number(value: object) -> bool:
    """Return True if a phone can dial the value."""
    return isinstance(value, str) and re.fullmatch(r"\+?[0-9*#]{1,20}", value) is not None


def caller_name_format(message: str) -> Check:
    """Return a check for the format of a caller's name: text with no placeholders other than PLACEHOLDERS."""
    plain = text(message)

    def check(value: object) -> Value | Wrong:
        checked = plain(value)
        if isinstance(checked, str) and re.search(r"[{}]", _PLACEHOLDER.sub("", checked)):
            return Wrong(f"{message}: the placeholders are {', '.join(PLACEHOLDERS)}", "enum")
        return checked

    return check


_PLACEHOLDER: Final = re.compile("|".join(re.escape(known) for known in PLACEHOLDERS))
