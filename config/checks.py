"""Checks of single values; each check returns the value to store, or a description of the error."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final
from unicodedata import category
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from registrar.model import IpNetwork, is_phone_name
from registrar.rules.access import network as parse_network

from .countries import COUNTRIES

SHORT_TEXT: Final = 255
LONG_TEXT: Final = 4_000
"""Limit of a note: some screens of text."""
CONFIG_TEXT: Final = 32_000
"""Limit of a piece of a configuration file; the whole request body may have 64 KiB."""
MAX_URL: Final = 2_000
MAX_PASSWORD: Final = 1_024
"""Limit of a password; a longer one only costs computing time."""
STRENGTH: Final = "At least 10 characters (REGISTRAR_PASSWORD_LENGTH), and not one that is guessed first"
"""Text for the API documentation of each password."""
MAX_RESTRICTION: Final = 1_000
"""The column's length; room for some thirty networks."""
MAX_DOMAIN: Final = 253
MAX_DIALLED: Final = 20
PLACEHOLDERS: Final = ("{displayName}", "{srcPhoneNumber}", "{dgrpName}")
"""The placeholders that the format of a caller's name may contain."""
LOCAL_NAMES: Final = ("local", "localhost", "test")
"""Domain names that no public network has, but companies and tests have (RFC 6761 and 6762)."""
SEPARATORS: Final = ("Zs", "Pd", "Ps", "Pe")
"""Unicode categories: blanks, dashes, opening and closing brackets."""
MAX_NUMBER: Final = 1_000_000_000
"""No setting of a phone is larger; the largest integer of the database is about twice that."""
MAX_PRICE: Final = 9_999_999_999.99
"""The column has ten digits before the point."""
FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}
"""The spellings of a flag that is sent as text, in lower case."""
NOBODYS_LOGIN: Final = ""
"""A login that no employee has."""

_PLACEHOLDER: Final = re.compile("|".join(re.escape(known) for known in PLACEHOLDERS))
_SIP_USER: Final = re.compile(r"[A-Za-z0-9._~+-]{1,64}")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_CIDR: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?")
_DIALLED: Final = rf"\+?[0-9*#]{{1,{MAX_DIALLED}}}"

Value = str | int | float | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Wrong:
    """The reason why a value was refused."""

    message: str
    check: str = "format"


Check = Callable[[object, str], Value | Wrong]
"""A check gets the value as it was sent, never null, and the message of a Wrong."""

# Texts


def text(limit: int = SHORT_TEXT, keep: str = "") -> Check:
    """Return a check for text without control characters except those in `keep`; it stores "" as None."""

    def check(value: object, message: str) -> Value | Wrong:
        if not isinstance(value, str) or not is_clean(value, keep):
            return Wrong(message)
        if len(value) > limit:
            return Wrong(f"{message}: at most {limit} characters", "range")
        return value or None

    return check


def is_clean(value: str, keep: str = "") -> bool:
    """Return True if a text can be encoded (no lone surrogates) and has no control characters."""
    return not any(category(char) in ("Cc", "Cs") for char in value if char not in keep)


def one_of(options: tuple[str, ...]) -> Check:
    """Return a check for one of the words in `options`."""

    def check(value: object, message: str) -> Value | Wrong:
        return value if isinstance(value, str) and value in options else Wrong(message, "enum")

    return check


def spelled(pattern: str, clean: Callable[[str], str] = str, store: Callable[[str], str] = str) -> Check:
    """Return a check for a text that, after `clean`, matches the pattern; `store` makes what is stored."""

    def check(value: object, message: str) -> Value | Wrong:
        text = clean(value) if isinstance(value, str) else ""
        return store(text) if re.fullmatch(pattern, text) else Wrong(message)

    return check


code_word: Final = spelled(r"[A-Z][A-Z0-9_]{0,31}")
"""Check a short word in upper case."""
brand: Final = spelled(r"[A-Z][A-Z0-9_]{0,15}")
"""Check the name of a brand in upper case."""


def caller_name_format(value: object, message: str) -> Value | Wrong:
    """Check the format of a caller's name: text with no placeholders other than PLACEHOLDERS."""
    checked = text()(value, message)
    if isinstance(checked, str) and re.search(r"[{}]", _PLACEHOLDER.sub("", checked)):
        return Wrong(f"{message}: the placeholders are {', '.join(PLACEHOLDERS)}", "enum")
    return checked


def password(value: object, message: str) -> Value | Wrong:
    """Check a text that can be a password; its strength is checked when it is written."""
    if not isinstance(value, str) or not is_clean(value):
        return Wrong(message)
    return value if 0 < len(value) <= MAX_PASSWORD else Wrong(message, "range")


def moment(value: object, message: str) -> Value | Wrong:
    """Check a date or a moment in ISO 8601; without a time zone it is UTC."""
    if not isinstance(value, str) or len(value) > 40:
        return Wrong(message)
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        return Wrong(message)


# Flags and numbers


def boolean(value: object, message: str) -> Value | Wrong:
    """Check true, false, 1 or 0."""
    number = as_integer(value)
    if isinstance(value, bool):
        return value
    return bool(number) if number in (0, 1) else Wrong(message)


def flag(value: object, message: str) -> Value | Wrong:
    """Check one of the texts in FLAGS."""
    read = FLAGS.get(value.lower()) if isinstance(value, str) else None
    return Wrong(message, "enum") if read is None else read


def as_integer(value: object) -> int | None:
    """Return the whole number, or None if the value is not one (true is not; 4.0 is)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_NUMBER:
        return None
    return value


def integer(low: int, high: int, *, as_text: bool = False) -> Check:
    """Return a check for a whole number from `low` to `high`; `as_text` also allows a string of digits."""

    def check(value: object, message: str) -> Value | Wrong:
        if as_text and isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        number = as_integer(value)
        if number is None:
            return Wrong(message)
        return number if low <= number <= high else Wrong(message, "range")

    return check


def price(value: object, message: str) -> Value | Wrong:
    """Check a number that is not negative and has at most two decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_PRICE:
        return Wrong(message, "range")
    read = float(value)
    return read if math.isclose(read, round(read, 2), rel_tol=1e-15) else Wrong(message)


# Numbers of phones, and names


def bare_number(text: str) -> str:
    """Return a number without blanks, dashes and brackets of any kind."""
    return "".join(char for char in text if category(char) not in SEPARATORS)


dialled: Final = spelled(_DIALLED, clean=bare_number)
"""Check a number that a phone can dial; it is stored without blanks, dashes and brackets."""
dial_plan_number: Final = spelled(rf"[0-9*#]{{1,{MAX_DIALLED}}}", clean=bare_number)
"""Check a number of the dial plan: digits, * and #; blanks, dashes and brackets are removed."""


def sip_user(value: object, message: str) -> Value | Wrong:
    """Check the name of a SIP user; a name that looks like a phone's username is refused."""
    if not isinstance(value, str) or _SIP_USER.fullmatch(value) is None:
        return Wrong(message)
    return Wrong(f"{message}: it looks like a phone's") if is_phone_name(value) else value


# Addresses


def url(value: object, message: str) -> Value | Wrong:
    """Check a web address that begins with http: or https: and names a host."""
    if not isinstance(value, str) or len(value) > MAX_URL or not is_clean(value) or " " in value:
        return Wrong(message)
    try:
        parts = urlsplit(value)
    except ValueError:
        return Wrong(message)
    return value if parts.scheme in ("http", "https") and parts.hostname else Wrong(message)


host_name: Final = spelled(
    rf"(?=.{{1,{MAX_DOMAIN}}}$)(?!(?:.*\.)?[0-9]+$)(?:{_LABEL}\.)*{_LABEL}", clean=str.lower
)
"""Check a host name, which is stored in lower case; an IP address is refused."""


def ip(value: object, message: str) -> Value | Wrong:
    """Check an IP address, which is stored in its shortest form."""
    return address(value) or Wrong(message)


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


def netmask(value: object, message: str) -> Value | Wrong:
    """Check an IPv4 mask such as 255.255.255.0."""
    mask = address(value)
    if mask is None or ":" in mask:
        return Wrong(message)
    bits = int.from_bytes(bytes(int(part) for part in mask.split(".")))
    host_part = bits ^ 0xFFFF_FFFF
    return mask if host_part & (host_part + 1) == 0 else Wrong(message)


def countries(value: object, message: str) -> Value | Wrong:
    """Check country codes separated by commas, which are stored in upper case, each once."""
    if not isinstance(value, str):
        return Wrong(message)
    codes = [code.strip(" ").upper() for code in value.split(",") if code.strip(" ")]
    unknown = [code for code in codes if code not in COUNTRIES]
    if unknown:
        return Wrong(f"Country code {unknown[0][:8]!r} is not valid", "enum")
    return ",".join(dict.fromkeys(codes))


def cidr(value: object, message: str) -> Value | Wrong:
    """Check a network in CIDR form; host bits are ignored (D33), and a /0 is refused."""
    text = value.strip(" ") if isinstance(value, str) else ""
    if _CIDR.fullmatch(text) is None:
        return Wrong(message)
    try:
        parsed = parse_network(text)
    except ValueError:
        return Wrong(message)
    return text if parsed.prefixlen else Wrong(f"{message}: it must not be every address", "range")


def restriction(value: object, message: str) -> Value | Wrong:
    """Check addresses and networks separated by commas, which are stored without blanks."""
    if not isinstance(value, str) or len(value) > MAX_RESTRICTION:
        return Wrong(message)
    parts = ",".join(part.strip(" ") for part in value.split(","))
    try:
        networks(parts)
    except ValueError:
        return Wrong(message)
    return parts


@lru_cache(1_024)
def networks(restriction: str) -> tuple[IpNetwork, ...]:
    """Return the networks of a restriction. Raise ValueError if the text is malformed or has a zone."""
    if "%" in restriction:
        raise ValueError("a zone means something on one machine only")
    return tuple(parse_network(part) for part in restriction.split(","))


bare_mac: Final = spelled(r"[0-9A-Fa-f]{12}", store=str.upper)
"""Check a MAC address of 12 digits, which is stored in capitals."""
mac: Final = spelled(
    r"([0-9A-Fa-f]{2})([:-]?)([0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2}",
    store=lambda text: re.sub("[:-]", "", text).upper(),
)
"""Check a MAC address with colons, dashes or neither; it is stored as 12 capital digits."""


def email(value: object, message: str) -> Value | Wrong:
    """Check an e-mail address (RFC 5322 and 6531); whether its domain exists is not asked."""
    text = value.strip() if isinstance(value, str) else ""
    if not is_email(text):
        return Wrong(message)
    return text if len(text) <= SHORT_TEXT else Wrong(message, "range")


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


def login(value: object, message: str) -> Value | Wrong:
    """Check the e-mail address of a login, which is stored in lower case.

    No accepted address has a colon, which HTTP Basic could not send: only a quoted local part may have one,
    and quoted local parts are refused.
    """
    email = as_login(value) if isinstance(value, str) and is_clean(value) else NOBODYS_LOGIN
    return email if is_email(email) else Wrong(message)


def as_login(text: str) -> str:
    """Return the login as it is stored, or NOBODYS_LOGIN if no employee can have it."""
    email = text.strip().lower()
    return email if len(email) <= SHORT_TEXT and is_clean(email) else NOBODYS_LOGIN
