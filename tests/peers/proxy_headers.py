"""PROXY headers as a proxy writes them."""

import ipaddress
from typing import Final

SIGNATURE: Final = bytes.fromhex("0d0a0d0a000d0a515549540a")
STREAM4, STREAM6 = 0x11, 0x21
CRC: Final = 0x03


def line(source: str, port: int, target: str = "192.0.2.200", target_port: int = 5060) -> bytes:
    """Version 1."""
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {target} {port} {target_port}\r\n".encode()


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2) + value


def head(command: int, kind: int, body: bytes) -> bytes:
    """Version 2 with any body."""
    return SIGNATURE + bytes([0x20 | command, kind]) + len(body).to_bytes(2) + body


def binary(
    source: str, port: int, target: str = "192.0.2.200", target_port: int = 5060, *, tlvs: bytes = b""
) -> bytes:
    """Version 2 of a TCP connection."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(target)
    kind = STREAM6 if one.version == 6 else STREAM4
    return head(1, kind, one.packed + other.packed + port.to_bytes(2) + target_port.to_bytes(2) + tlvs)


def checked(header: bytes, crc: int | None = None) -> bytes:
    """The same with a checksum, which is right unless another one is given."""
    body = header[16:] + tlv(CRC, bytes(4))
    blank = header[:14] + len(body).to_bytes(2) + body
    return blank[:-4] + (castagnoli(blank) if crc is None else crc).to_bytes(4)


def castagnoli(data: bytes) -> int:
    """CRC-32C by the definition, bit by bit."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
