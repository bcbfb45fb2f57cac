"""Edge proxies: where a phone behind one is, and the Path that leads to it (RFC 3327, RFC 5626 section 5).

An edge is a proxy of the operator that stays between phones and this service, over UDP. It is believed in two
things: the address that it writes into the Via of the phone, and the Path that it puts before itself.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Flow, IpNetwork
from registrar.sip import Request, Uri, Via, param, parse_name_addr, parse_via, split

from .access import folded
from .proxies import is_trusted

MAX_HOPS: Final = 8
"""Limit of edges, one behind the other."""
MAX_PATH: Final = 1_024
"""Limit of the characters of a Path: it goes into each request to the phone, and into Redis."""
DEFAULT_PORT: Final = 5060
MAX_PORT: Final = 65_535
_PORT: Final = re.compile(r"[0-9]{1,5}")
OB: Final = "ob"
"""The parameter of a Path URI whose proxy keeps flows (RFC 5626 section 5.1)."""


def behind(request: Request, flow: Flow, edges: Sequence[IpNetwork]) -> Flow:
    """Return the flow of a request with the address of its phone, if it came from an edge.

    That is the first hop behind the edges. The edge is kept as the place where our messages go. Raise
    MalformedMessage if an edge does not say where the request comes from.
    """
    if not is_trusted(flow.remote_ip, edges):
        return flow
    hops = [hop for row in request.headers.all("via") for hop in split(row, ",")][1 : MAX_HOPS + 1]
    for hop in hops:
        ip, port = _source(parse_via(hop))
        if not is_trusted(ip, edges):
            return replace(
                flow, remote_ip=ip, remote_port=port, hop_ip=flow.remote_ip, hop_port=flow.remote_port
            )
    return flow  # the edge itself


def _source(hop: Via) -> tuple[str, int]:
    """Return the address from which the next proxy got a request: it writes what differs from sent-by."""
    hosts, ports = _stamps(hop, "received"), _stamps(hop, "rport")
    if len(hosts) > 1 or len(ports) > 1:  # one of them may be written by the phone
        raise MalformedMessage("Via: the edge proxy names two addresses of one hop")
    host = (hosts[0] if hosts else hop.host).strip("[]")
    port = ports[0] if ports else str(hop.port or DEFAULT_PORT)
    try:
        ip_address(host)
    except ValueError:
        raise MalformedMessage(f"Via: the edge proxy does not name an address: {host[:40]!r}") from None
    if "%" in host or not _PORT.fullmatch(port) or not 0 < int(port) <= MAX_PORT:
        raise MalformedMessage(f"Via: the edge proxy names no port: {port[:8]!r}")
    return folded(host), int(port)


def _stamps(hop: Via, name: str) -> list[str]:
    """Return the different values of a parameter, without empty ones."""
    return list(dict.fromkeys([value for key, value in hop.params if key.lower() == name and value]))


def path_of(request: Request, edges: Sequence[IpNetwork]) -> str:
    """Return the Path of a REGISTER as one text, the edge next to us first; empty if it has none.

    Raise ValueError, with words for the phone, if a request cannot be sent along it: its first URI must be
    that of an edge, with an address, `lr`, and UDP.
    """
    try:
        values = [value for row in request.headers.all("path") for value in split(row, ",")]
        uris = [parse_name_addr(value).uri for value in values[: MAX_HOPS + 1]]
    except MalformedMessage:
        raise ValueError("Path: it cannot be read") from None
    path = ",".join(values)
    if not values:
        return ""
    if len(path) > MAX_PATH or len(values) > MAX_HOPS:
        raise ValueError(f"Path: more than {MAX_HOPS} proxies or {MAX_PATH} characters")
    if not all(_is_loose(uri) for uri in uris):
        raise ValueError("Path: each proxy must be a sip: URI with the parameter lr")
    if not _is_edge(uris[0], edges):
        raise ValueError("Path: the proxy next to this service must name its own address, and UDP")
    return path


def _is_loose(uri: Uri) -> bool:
    return uri.is_sip and any(name.lower() == "lr" for name, _ in uri.params)


def _is_edge(uri: Uri, edges: Sequence[IpNetwork]) -> bool:
    transport = (param(uri.params, "transport") or "udp").lower()
    try:
        return uri.scheme == "sip" and transport == "udp" and is_trusted(uri.host.strip("[]"), edges)
    except ValueError:
        return False


def keeps_flows(path: str) -> bool:
    """Return whether the proxy next to the phone supports outbound: it is the last one of the Path."""
    last = split(path, ",")[-1]
    return any(name.lower() == OB for name, _ in parse_name_addr(last).uri.params)


@lru_cache(4_096)
def hop_of(path: str) -> tuple[str, int]:
    """Return the address of the edge that a Path begins with."""
    uri = parse_name_addr(split(path, ",")[0]).uri
    return uri.host.strip("[]"), uri.port or DEFAULT_PORT


@lru_cache(4_096)
def routes(path: str) -> tuple[tuple[str, str], ...]:
    """Return the Route headers of a request along a Path."""
    return tuple(("Route", value.strip()) for value in split(path, ","))


def route_to(flow: Flow) -> str:
    """Return the Path to a phone that has none: the edge that its request came by."""
    host = f"[{flow.hop_ip}]" if ":" in flow.hop_ip else flow.hop_ip
    return f"<sip:{host}:{flow.hop_port};lr>" if host else ""


def recorded(request: Request, flow: Flow) -> tuple[tuple[str, str], ...]:
    """Return the Record-Routes of an edge, which an answer repeats (RFC 3261 section 12.1.1).

    With them the phone sends its further requests by the edge, too. A REGISTER makes no dialog.
    """
    if not flow.hop_ip or request.method == "REGISTER":
        return ()
    return tuple(("Record-Route", value) for value in request.headers.all("record-route"))
