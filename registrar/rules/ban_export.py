"""Banned addresses in the words of programs that close the door before us: nftables and fail2ban."""

from collections.abc import Collection, Container, Iterable
from typing import Final

from registrar.model import Epoch, IpNetwork

from .bans import ENDLESS, Ban, Kind, network_of

TABLE: Final = "registrar"
JAIL: Final = "registrar"
FORMATS: Final = ("nftables", "fail2ban")


def export(format: str, bans: Iterable[Ban], now: Epoch) -> str:
    """Return the banned addresses in one of FORMATS. Bans of phones and holds are not among them."""
    found = _addresses(bans, now)
    return _nftables(found) if format == "nftables" else _fail2ban(found)


def _addresses(bans: Iterable[Ban], now: Epoch) -> dict[IpNetwork, int]:
    """Return the banned networks that are in no other one, and for how many seconds; ENDLESS: for good."""
    left: dict[IpNetwork, int] = {}
    for ban in bans:
        network = network_of(ban)
        if ban.kind is Kind.BAN and not ban.phone and network is not None and not ban.has_ended(now):
            seconds = ENDLESS if ban.until == ENDLESS else max(1, round(ban.until - now))
            known = left.get(network)
            left[network] = ENDLESS if ENDLESS in (known, seconds) else max(known or 0, seconds)
    lengths = {(one.version, one.prefixlen) for one in left}
    return {one: left[one] for one in left if not _is_inside_any(one, left, lengths)}


def _is_inside_any(one: IpNetwork, left: Container[IpNetwork], lengths: Collection[tuple[int, int]]) -> bool:
    """Return whether a network is a part of another one: intervals of nftables may not overlap.

    It is asked for each length that there is, because the time for all pairs of bans grows too fast.
    """
    shorter = [bits for version, bits in lengths if version == one.version and bits < one.prefixlen]
    return any(one.supernet(new_prefix=bits) in left for bits in shorter)


def _nftables(found: dict[IpNetwork, int]) -> str:
    """Return a script for `nft -f -` that replaces what an earlier one has made."""
    sets = "".join(_set(version, found) for version in (4, 6))
    return (
        f"add table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{sets}"
        "  chain input {\n    type filter hook input priority -10; policy accept;\n"
        "    ip saddr @banned4 drop\n    ip6 saddr @banned6 drop\n  }\n}\n"
    )


def _set(version: int, found: dict[IpNetwork, int]) -> str:
    words = [_element(one, seconds) for one, seconds in found.items() if one.version == version]
    elements = f"    elements = {{ {', '.join(words)} }}\n" if words else ""
    return f"  set banned{version} {{\n    type ipv{version}_addr; flags interval, timeout;\n{elements}  }}\n"


def _element(network: IpNetwork, seconds: int) -> str:
    return _short(network) + (f" timeout {seconds}s" if seconds != ENDLESS else "")


def _fail2ban(found: dict[IpNetwork, int]) -> str:
    """Return the commands that ban them in the jail of deploy/fail2ban; its own time ends them."""
    return "".join(f"fail2ban-client set {JAIL} banip {_short(network)}\n" for network in found)


def _short(network: IpNetwork) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)
