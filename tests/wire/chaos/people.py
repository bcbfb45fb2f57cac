"""The phones of the chaos table, written into a database once for all rows."""

import os
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar

from tests.peers.load import Transport
from tests.wire.site import Handset, Site

SMALL: Final = os.environ.get("CHAOS") == "small"
"""A tenth of the traffic, for a machine that others use: too few samples to see one in 10,000."""
Size = TypeVar("Size")


def sized(small: Size, large: Size) -> Size:
    """Return what fits the size of this run."""
    return small if SMALL else large


NODES: Final = ("a", "b")
CONNECTED: Final[tuple[Transport, ...]] = ("tcp", "tls", "wss")
REFRESHERS: Final = sized(4, 20)
"""Phones over UDP at each node that register again and again; half of them are ROAMING in COUNTRY."""
EACH: Final = sized(1, 2)
"""Phones at each node on connections of each transport."""
ONCE: Final = sized(10, 120)
"""Phones that register once and are silent then: nothing else brings a lost binding back."""
TOGGLERS: Final = sized(2, 6)
NEVER: Final = sized(2, 6)
PAIRS: Final = (("a", "b"), ("b", "a"), *sized((), (("a", "a"), ("b", "b"))))
"""The nodes of the callers and of those that they call."""
COUNTRY: Final = "DK"
_numbers = count(7001)


@dataclass(frozen=True)
class Pair:
    """A phone that calls the number of another one."""

    caller: Handset
    callee: Handset
    number: str
    nodes: tuple[str, str]


@dataclass(frozen=True)
class People:
    """All phones, by what they do."""

    tenant: dict[str, Any]
    refreshers: dict[str, list[Handset]]
    """By node."""
    connected: dict[tuple[str, Transport], list[Handset]]
    once: list[Handset]
    togglers: list[Handset]
    never: list[Handset]
    """They exist, and register nowhere."""
    pairs: list[Pair]


def settle(site: Site) -> People:
    """Make all of them by the API of a site."""
    return People(
        site.demo(),
        {node: _refreshers(site) for node in NODES},
        {(node, transport): _phones(site, EACH) for node in NODES for transport in CONNECTED},
        _phones(site, ONCE),
        _phones(site, TOGGLERS),
        _phones(site, NEVER),
        [_pair(site, nodes) for nodes in PAIRS],
    )


def _phones(site: Site, number: int) -> list[Handset]:
    return [site.new_phone() for _ in range(number)]


def _refreshers(site: Site) -> list[Handset]:
    found = _phones(site, REFRESHERS)
    for handset in found[::2]:
        site.patch(handset, ip={"mode": "ROAMING", "countries": COUNTRY})
    return found


def _pair(site: Site, nodes: tuple[str, str]) -> Pair:
    numbers = [str(next(_numbers)) for _ in nodes]
    caller, callee = (_phone_of(site, number) for number in numbers)
    return Pair(caller, callee, numbers[1], nodes)


def _phone_of(site: Site, number: str) -> Handset:
    made = site.api("POST", "/pbx/extension", {"number": number, "name": f"Person {number}"})
    assert made.status == 200, made
    return site.new_phone(extension=made.body["_id"])
