"""The networks from which a person may call the API: `ipRestriction`, separated by commas."""

from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from registrar.model import IpNetwork
from registrar.rules.access import network

from .checks import Check, Value, Wrong, address

MAX_RESTRICTION: Final = 1_000
"""The column's length; room for some thirty networks."""


def restriction_check(message: str) -> Check:
    """Return a check for addresses and networks separated by commas, stored without blanks."""

    def check(value: object) -> Value | Wrong:
        if not isinstance(value, str) or len(value) > MAX_RESTRICTION:
            return Wrong(message)
        parts = [part.strip(" ") for part in value.split(",")]
        try:
            _networks(",".join(parts))
        except ValueError:
            return Wrong(message)
        return ",".join(parts)

    return check


def allows(restriction: str | None, source: str) -> bool:
    """Return True if a person with this restriction may call from the address `source`."""
    if not restriction:
        return True
    folded = address(source)
    if folded is None:
        return False
    parsed = ip_address(folded)
    return any(parsed in one for one in _networks(restriction) if one.version == parsed.version)


@lru_cache(1_024)
def _networks(restriction: str) -> tuple[IpNetwork, ...]:
    """Return the networks. Raise ValueError if the text is malformed or has a zone."""
    if "%" in restriction:
        raise ValueError("a zone means something on one machine only")
    return tuple(network(part) for part in restriction.split(","))
