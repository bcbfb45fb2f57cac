"""The rule for where a phone may connect from: customer state and the phone's `ip.mode` (decision 2)."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Allow, Decision, Deny, Flow, IpMode, IpNetwork, Phone

from .routing import SECURE

_MAPPED_BITS = 96

WEAK_DIGEST: Final = "weak-digest"
TOLD: Final[Mapping[str, str]] = {
    "banned": "this phone is banned, from {ip} or from everywhere",
    "customer-inactive": "the customer of this phone is not active",
    "other-cluster": "this phone belongs to another PBX cluster",
    "untrusted-network": "{ip} is in none of the trusted networks of this phone's customer",
    "ip-locked": "this phone is locked to another address than {ip}: set its ip.mode to OPEN to let it in",
    "proxy-address": "{ip} is a proxy of this service, and no phone is locked to it",
    "no-country-file": "this phone may roam in some countries, and this service has no country file",
    "country-unknown": "this phone may roam in some countries, and the country of {ip} is unknown",
    "country-refused": "{ip} is in none of the countries of this phone: add its country to ip.countries",
    "not-yours": "To must name this phone itself, by its username or extension, and Request-URI its domain",
    "foreign-uri": "the digest is right, but its uri names another host than this service",
    "no-extension": "this phone has no extension, so it neither calls nor is called",
    "edge-proxy": "Path: this proxy is no edge of this service (REGISTRAR_EDGES); register without it",
    "bad-path": "Path: the edge proxy in front of this service must add one, with its address, lr and UDP",
    "not-secure": "this phone may be used over TLS or WSS only: change its transport",
    WEAK_DIGEST: "this phone must prove its password by SHA-256, and has used MD5",
    "networks-missing": "users of this customer must come from a trusted network, and it has none",
    "too-many-contacts": "Contact: a REGISTER names more contacts than a phone may have",
}
"""Reason of a Deny -> text of the Warning that the phone gets; one row for each reason."""


class Access:
    """The access rule with the settings that the operator chose for all phones."""

    def __init__(
        self,
        country: Callable[[str], str | None],
        *,
        proxies: Sequence[IpNetwork] = (),
        ipv6_prefix: int = 64,
        cluster: int | None = None,
        banned: Callable[[str, str], bool] | None = None,
    ) -> None:
        """Store the settings; `country` returns the country of an address (store/geoip.py).

        `banned` returns whether a phone is banned at an address; None: there are no bans.
        """
        self._banned = banned
        self._country = country
        self._proxies = tuple(proxies)
        self._ipv6_prefix = ipv6_prefix
        self._cluster = cluster

    def decide(self, phone: Phone, address: str, transport: str, *, first_contact: bool) -> Decision:
        """Return Allow if `phone` may be served from `address` over `transport`, else a Deny with the reason.

        `first_contact` is true if the request would lock an OPEN phone.
        """
        if self._banned is not None and self._banned(phone.id, address):
            return Deny("banned")
        if not phone.active:
            return Deny("customer-inactive")
        if self._cluster is not None and phone.cluster != self._cluster:
            return Deny("other-cluster")
        if phone.terms.tls and transport not in SECURE:
            return Deny("not-secure")
        if phone.by_domain:
            if phone.terms.networks and not phone.networks:
                return Deny("networks-missing")
            return Allow() if is_trusted(phone, address) else Deny("untrusted-network")
        if phone.mode is IpMode.LOCKED:
            same = same_place(phone.address, address, self._ipv6_prefix)
            return Allow() if same else Deny("ip-locked")
        if phone.mode is IpMode.ROAMING:
            return self._roaming(phone, address)
        if not first_contact:
            return Allow()
        return Deny("proxy-address") if self._is_proxy(address) else Allow(lock=True)

    def may_come(self, phone: Phone, flow: Flow) -> bool:
        """Return whether a phone that has authenticated before may send further requests by `flow`."""
        return isinstance(self.decide(phone, flow.remote_ip, flow.transport, first_contact=False), Allow)

    def _roaming(self, phone: Phone, address: str) -> Decision:
        try:
            country = self._country(address)
        except StoreUnavailable:
            return Deny("no-country-file")
        if not country:
            return Deny("country-unknown")
        return Allow() if country in phone.countries else Deny("country-refused")

    def _is_proxy(self, address: str) -> bool:
        parsed = _parsed(address)
        return any(parsed in network for network in self._proxies if network.version == parsed.version)


def told(reason: str, address: str) -> str:
    """Return the Warning text about a refusal for a phone at `address`."""
    return TOLD.get(reason, reason).format(ip=address)


def is_trusted(phone: Phone, address: str) -> bool:
    """Return whether `address` is in a trusted network of the phone's domain; True if the domain has none."""
    if not phone.networks:
        return True
    try:
        parsed = _parsed(address)
    except ValueError:
        return False
    return any(parsed in network for network in phone.networks if network.version == parsed.version)


def network(text: str) -> IpNetwork:
    """Return the network in `text` without host bits, IPv4-mapped IPv6 as IPv4.

    Raise ValueError if `text` is not a network.
    """
    parsed = ip_network(text, strict=False)
    mapped = parsed.network_address
    if isinstance(mapped, IPv6Address) and mapped.ipv4_mapped and parsed.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped.ipv4_mapped, parsed.prefixlen - _MAPPED_BITS))
    return parsed


@lru_cache(4_096)
def same_place(one: str, other: str, ipv6_prefix: int) -> bool:
    """Return whether two addresses are equal or in the same IPv6 network of `ipv6_prefix` bits."""
    try:
        left, right = _parsed(one), _parsed(other)
    except ValueError:
        return False
    if isinstance(left, IPv4Address) or isinstance(right, IPv4Address):
        return left == right
    shift = 128 - ipv6_prefix
    return int(left) >> shift == int(right) >> shift


def folded(address: str) -> str:
    """Return the canonical text of an address: IPv4-mapped IPv6 as IPv4, without a zone."""
    if ":" not in address:
        return address
    parsed = _parsed(address.partition("%")[0])
    return str(parsed)


def _parsed(address: str) -> IPv4Address | IPv6Address:
    parsed = ip_address(address)
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
