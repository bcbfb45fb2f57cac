"""The networks from which a person may call the API: `ipRestriction`, separated by commas."""

from ipaddress import ip_address

from ..checks import address, networks


def allows(restriction: str | None, source: str) -> bool:
    """Return True if a person with this restriction may call from the address `source`."""
    if not restriction:
        return True
    folded = address(source)
    if folded is None:
        return False
    parsed = ip_address(folded)
    return any(parsed in one for one in networks(restriction) if one.version == parsed.version)
