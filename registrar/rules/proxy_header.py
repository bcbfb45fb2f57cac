"""The header by which a proxy says where a connection comes from (PROXY protocol, versions 1 and 2).

`needed` and `parse` are the two steps of a reader. A header has no announced end in version 1, and nothing
behind it may be read with it: a TLS handshake follows, or a message. So a reader asks before each read how
many octets certainly belong to the header.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

V1: Final = b"PROXY "
V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_V1: Final = 107
"""Octets of the longest line that version 1 allows, with its CR LF."""
V2_HEAD: Final = 16
MAX_V2_BODY: Final = 1_024
"""Two IPv6 addresses need 36 octets; the rest is for TLVs, among them the name of a TLS server."""
LOCAL, PROXY = 0, 1
CRC32C: Final = 0x03
"""The TLV with the checksum of the header."""
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")
_UNKNOWN: Final = frozenset({0x00, 0x31})
"""Families for which the proxy names no address: unspecified, and a Unix socket at the proxy."""
_POLYNOMIAL: Final = 0x82F63B78


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a connection as its proxy has them: the peer, and the address that the peer asked."""

    remote_ip: str
    remote_port: int
    local_ip: str
    local_port: int


def needed(octets: bytes) -> int:
    """Return how many octets to read next, at most; 0 if the header is complete.

    Raise ValueError if no header begins like this, or if it is too long.
    """
    have = len(octets)
    if octets[: len(V2)] == V2[:have]:
        return _needed_of_v2(octets, have)
    if octets[: len(V1)] != V1[:have]:
        raise ValueError("it does not begin with a PROXY header")
    if have < len(V2):  # the shortest line, PROXY UNKNOWN, is longer
        return len(V2) - have
    if b"\n" in octets:
        return 0
    more = 1 if octets.endswith(b"\r") else 2
    if have + more > MAX_V1:
        raise ValueError(f"the PROXY line has more than {MAX_V1} octets")
    return more


def parse(octets: bytes) -> Ends | None:
    """Return the ends that a complete header names, or None if the proxy speaks for itself.

    Raise ValueError if the header is malformed.
    """
    return _parse_v2(octets) if octets.startswith(V2) else _parse_v1(octets)


def _needed_of_v2(octets: bytes, have: int) -> int:
    if have < len(V2):
        return len(V2) - have
    if have < V2_HEAD:
        return V2_HEAD - have
    length = int.from_bytes(octets[14:16])
    if length > MAX_V2_BODY:
        raise ValueError(f"the PROXY header has {length} octets behind its head, and {MAX_V2_BODY} may be")
    return V2_HEAD + length - have


def _parse_v1(octets: bytes) -> Ends | None:
    if not octets.endswith(b"\r\n") or not octets.isascii():
        raise ValueError("the PROXY line has another end than CR LF, or is not ASCII")
    words = octets[:-2].decode("ascii").split(" ")
    if words[1] == "UNKNOWN":  # what follows is to be ignored
        return None
    if len(words) != 6:
        raise ValueError(f"the PROXY line has {len(words)} words, and not 6")
    kind, source, target = words[1:4]
    if kind not in ("TCP4", "TCP6"):
        raise ValueError(f"the PROXY line names neither TCP4 nor TCP6: {kind[:8]!r}")
    is_v4 = kind == "TCP4"
    return _ends(_address(source, is_v4), _address(target, is_v4), _port(words[4]), _port(words[5]))


def _parse_v2(octets: bytes) -> Ends | None:
    version, command, kind = octets[12] >> 4, octets[12] & 0x0F, octets[13]
    if version != 2 or command not in (LOCAL, PROXY):
        raise ValueError(f"the PROXY header has version {version} and command {command}")
    if command == LOCAL or kind in _UNKNOWN:
        return None
    if kind == 0x11:
        return _addresses(octets, 4)
    if kind == 0x21:
        return _addresses(octets, 16)
    raise ValueError(f"the PROXY header names another kind of connection than TCP: 0x{kind:02x}")


def _addresses(octets: bytes, size: int) -> Ends:
    """Return the addresses of version 2, each `size` octets long, after the TLVs behind them were checked."""
    end = V2_HEAD + 2 * size + 4
    if len(octets) < end:
        raise ValueError("the PROXY header ends within its addresses")
    _check(octets, end)
    middle = V2_HEAD + size
    source, target = octets[V2_HEAD:middle], octets[middle : middle + size]
    ports = octets[end - 4 : end]
    from_port, to_port = int.from_bytes(ports[:2]), int.from_bytes(ports[2:])
    if size == 4:
        return _ends(IPv4Address(source), IPv4Address(target), from_port, to_port)
    return _ends(IPv6Address(source), IPv6Address(target), from_port, to_port)


def _check(octets: bytes, start: int) -> None:
    """Raise ValueError if a TLV is cut, or if the checksum among them is not that of the header."""
    sums = [(begin, value) for kind, begin, value in _tlvs(octets, start) if kind == CRC32C]
    if not sums:
        return
    begin, value = sums[0]
    blank = octets[:begin] + bytes(len(value)) + octets[begin + len(value) :]
    if len(sums) > 1 or len(value) != 4 or crc32c(blank) != int.from_bytes(value):
        raise ValueError("the checksum of the PROXY header is wrong")


def _tlvs(octets: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, position of the value, and value of each TLV from `start` on."""
    while start < len(octets):
        begin = start + 3
        end = begin + int.from_bytes(octets[start + 1 : begin])
        if len(octets) < begin or len(octets) < end:
            raise ValueError("the PROXY header ends within a TLV")
        yield octets[start], begin, octets[begin:end]
        start = end


def _ends(
    source: IPv4Address | IPv6Address, target: IPv4Address | IPv6Address, from_port: int, to_port: int
) -> Ends:
    """Return the ends, IPv4-mapped IPv6 as IPv4."""
    if source.is_unspecified or source.is_multicast:
        raise ValueError(f"the PROXY header names {source}, from where no connection comes")
    return Ends(_text(source), from_port, _text(target), to_port)


def _text(address: IPv4Address | IPv6Address) -> str:
    return str((address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address)


def _address(text: str, is_v4: bool) -> IPv4Address | IPv6Address:
    try:
        if "%" not in text:  # a zone means something on one machine only
            return IPv4Address(text) if is_v4 else IPv6Address(text)
    except ValueError:
        pass
    raise ValueError(f"the PROXY line names an address that is none: {text[:48]!r}")


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65_535:
        raise ValueError(f"the PROXY line names a port that is none: {text[:8]!r}")
    return int(text)


def _table() -> tuple[int, ...]:
    rows = []
    for row in range(256):
        for _ in range(8):
            row = row >> 1 ^ _POLYNOMIAL if row & 1 else row >> 1
        rows.append(row)
    return tuple(rows)


_TABLE: Final = _table()


def crc32c(data: bytes) -> int:
    """Return the checksum of Castagnoli (RFC 9260 appendix A), which zlib does not have."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF
