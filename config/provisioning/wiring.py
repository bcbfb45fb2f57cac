"""Addresses in the files: the network of the phone, the URL in its parts, and the ids of handsets."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Final
from urllib.parse import urlsplit

from .draft import Draft, Unwritable
from .view import Network

AT_THE_PHONE: Final = (
    "The phone was told a VLAN before, and the value that ends it is not public: remove the VLAN at the "
    "phone's own menu, or reset the phone to factory settings"
)
_IPUI: Final = re.compile(r"[0-9A-Fa-f]{10}")
_IPEI: Final = re.compile(r"([0-9]{5})([0-9]{7})[0-9*]?")
_MANUFACTURERS: Final = 1 << 16
_SERIALS: Final = 1 << 20


def static_address(network: Network, draft: Draft) -> Network | None:
    """Return the network if the phone is to have a fixed address that works, otherwise None.

    A phone with a wrong address is cut off for good, so all of it is right or none of it is written.
    """
    if network.dhcp:
        return None
    problem = _problem(network)
    if problem:
        draft.leave("network.dhcp", f"the fixed address is not written: {problem}")
        draft.warn(f"The phone keeps its address: {problem}")
        return None
    return network


def _problem(network: Network) -> str:
    try:
        address = IPv4Address(network.address or "")
        gateway = IPv4Address(network.gateway or "")
        subnet = IPv4Network((network.address or "", network.mask or ""), strict=False)
        servers = [IPv4Address(server) for server in (network.dns1, network.dns2) if server]
    except (AddressValueError, NetmaskValueError, ValueError):
        return "address, mask, gateway and DNS servers are not complete"
    if not servers:
        return "the primary DNS server is missing"
    if address == gateway or gateway not in subnet:
        return "the gateway is not another address of the same subnet"
    if subnet.prefixlen < 31 and {address, gateway} & {subnet.network_address, subnet.broadcast_address}:
        return "the first and last address of a subnet belong to no device"
    return ""


def warn_of_vlan(network: Network, draft: Draft) -> None:
    """Say what a person has to do if the phone cannot be told to leave its VLAN."""
    if network.leaves_vlan:
        draft.leave("network.vlanId", "the value that ends a VLAN is not public for this phone")
        draft.warn(AT_THE_PHONE)


def host_port(host: str, port: int) -> str:
    """Return a host with its port; an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def split_url(url: str) -> tuple[str, str, int, str]:
    """Return the scheme, host, port and path of a URL prefix; the path has no slash at its ends."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname or "", port, parts.path.strip("/")


def without_scheme(url: str) -> str:
    """Return a URL prefix without scheme and without the last slash."""
    return url.partition("://")[2].rstrip("/")


def ipui(address: str | None, source: str = "handsetAddress") -> str:
    """Return the id of a handset as 10 hexadecimal digits, from an IPUI or an IPEI; empty: any handset."""
    text = re.sub(r"[ :-]", "", address or "")
    if not text:
        return ""
    if _IPUI.fullmatch(text):
        return text.upper()
    ipei = _IPEI.fullmatch(text)
    if ipei and int(ipei[1]) < _MANUFACTURERS and int(ipei[2]) < _SERIALS:
        return f"{int(ipei[1]) << 20 | int(ipei[2]):010X}"
    raise Unwritable(source, "the id of a handset is 10 hexadecimal digits (IPUI) or 12 to 13 digits (IPEI)")
