"""Bans: which addresses and phones are shut out, why, and until when.

A *ban* is enforced here: of an address by dropping its messages before they are read, of a phone by the
access rule. A *hold* is the record of a hold of the budget of wrong passwords (rules/guesses), which enforces
it itself.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from registrar.model import Epoch, IpNetwork

ENDLESS: Final = 0
"""`until` of a ban without an end."""
MAX_BANS: Final = 10_000
"""Maximum number of bans that the store keeps; of the automatic ones, those that end first give way."""
MAX_WHY: Final = 200
ID_BYTES: Final = 12
AUTOMATIC: Final = "automatic"
"""`by` of a ban that no person has made."""


class Kind(StrEnum):
    """How a ban is enforced."""

    BAN = "ban"
    HOLD = "hold"


class Why(StrEnum):
    """The reasons of automatic bans."""

    WRONG_PASSWORDS = "wrong-passwords"
    MANY_NAMES = "many-names"
    GUESSING = "guessing"
    """Passwords were tried although the source was held."""


@dataclass(frozen=True, slots=True)
class Ban:
    """One ban or hold."""

    id: str
    kind: Kind
    address: str
    """The network that is shut out, an address in short; empty: everywhere, for a ban of a phone."""
    phone: str
    """Id of the phone that is shut out; empty: every phone from that address."""
    customer: str
    """Id of the customer of the phone; empty without a phone."""
    why: str
    by: str
    since: int
    until: int
    """Epoch seconds; ENDLESS: it has no end."""
    mark: str = ""
    """Mark of the account of a hold (rules.guesses.Guesser)."""

    @property
    def is_automatic(self) -> bool:
        """Return whether no person has made it."""
        return self.by == AUTOMATIC

    def has_ended(self, now: Epoch) -> bool:
        """Return whether its time is over."""
        return self.until != ENDLESS and self.until <= now


def automatic(
    kind: Kind,
    address: str,
    why: str,
    since: Epoch,
    until: Epoch,
    *,
    phone: str = "",
    customer: str = "",
    mark: str = "",
) -> Ban:
    """Return a ban that no person has made. It has the same id each time, so there is one at most."""
    name = f"{kind} {address} {mark}".encode()
    id = blake2b(name, digest_size=ID_BYTES).hexdigest()
    return Ban(id, kind, address, phone, customer, why, AUTOMATIC, int(since), int(until), mark)


def dump(ban: Ban) -> str:
    """Return a ban as text for the store."""
    return json.dumps(asdict(ban), separators=(",", ":"))


@lru_cache(2 * MAX_BANS)
def load(text: str) -> Ban | None:
    """Return the ban in a text of the store, or None if it cannot be read.

    A newer version may have written it: fields that are not known are left out. All bans are read again after
    each change, so most texts have been read before.
    """
    try:
        told = json.loads(text)
        known = {one.name: told[one.name] for one in fields(Ban) if one.name in told}
        ban = Ban(**(known | {"kind": Kind(known["kind"])}))
        network_of(ban)
    except (ValueError, TypeError, KeyError):
        return None
    return ban if isinstance(ban.since, int) and isinstance(ban.until, int) else None


def network_of(ban: Ban) -> IpNetwork | None:
    """Return the network of a ban, or None if it is for every address. Raises ValueError."""
    return _network(ban.address) if ban.address else None


@lru_cache(2 * MAX_BANS)
def _network(address: str) -> IpNetwork:
    return ip_network(address)


class Barred:
    """The bans that a process enforces, found by address and by phone."""

    def __init__(self) -> None:
        self.any_address = False
        """Whether an address is banned; public, because it is asked for each message of a stranger."""
        self.any_phone = False
        self._networks: dict[tuple[int, int], dict[int, int]] = {}
        """(IP version, bits to cut off) -> first bits of the network -> until."""
        self._phones: dict[str, list[tuple[IpNetwork | None, int]]] = {}

    def set(self, bans: Iterable[Ban]) -> None:
        """Enforce these bans, and no others."""
        self._networks, self._phones = {}, {}
        for ban in bans:
            if ban.kind is Kind.BAN:
                self._add(ban)
        self.any_address, self.any_phone = bool(self._networks), bool(self._phones)

    def has_address(self, ip: str, now: Epoch) -> bool:
        """Return whether an address is banned for every phone."""
        address = _address(ip)
        if address is None:
            return False
        version, number = address.version, int(address)
        for (of_version, cut), networks in self._networks.items():
            if of_version == version:
                until = networks.get(number >> cut)
                if until is not None and (until == ENDLESS or until > now):
                    return True
        return False

    def has_phone(self, phone: str, ip: str, now: Epoch) -> bool:
        """Return whether a phone is banned, everywhere or at this address."""
        found = self._phones.get(phone)
        if found is None:
            return False
        address = _address(ip)
        return any(
            (until == ENDLESS or until > now) and _covers(network, address) for network, until in found
        )

    def _add(self, ban: Ban) -> None:
        network = network_of(ban)
        if ban.phone:
            self._phones.setdefault(ban.phone, []).append((network, ban.until))
        elif network is not None:
            cut = network.max_prefixlen - network.prefixlen
            same = self._networks.setdefault((network.version, cut), {})
            first = int(network.network_address) >> cut
            known = same.get(first)
            same[first] = ban.until if known is None else _longer(known, ban.until)


def _longer(one: int, other: int) -> int:
    return ENDLESS if ENDLESS in (one, other) else max(one, other)


def _covers(network: IpNetwork | None, address: IPv4Address | IPv6Address | None) -> bool:
    if network is None:
        return True
    return address is not None and address.version == network.version and address in network


def _address(ip: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(ip.partition("%")[0])
    except ValueError:
        return None
