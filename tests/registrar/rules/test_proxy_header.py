"""rules/proxy_header.py: what a proxy may say before a connection, and what it may not."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.rules.proxy_header import MAX_V1, MAX_V2_BODY, Ends, crc32c, needed, parse
from tests.every import every
from tests.peers.proxy_headers import binary, castagnoli, checked, head, line, tlv

REST: Final = b"REGISTER sip:a SIP/2.0\r\n\r\n"
V4: Final = Ends("198.51.100.7", 40_000, "192.0.2.200", 5060)
V6: Final = Ends("2001:db8::7", 40_000, "2001:db8::200", 5061)
IN_V6: Final = ("2001:db8::7", 40_000, "2001:db8::200", 5061)
SERVER_NAME: Final = tlv(0x02, b"sip.example")

READ: Final[dict[str, tuple[bytes, Ends | None]]] = {
    "version 1, IPv4": (line("198.51.100.7", 40_000), V4),
    "version 1, IPv6": (line(*IN_V6), V6),
    "version 1, IPv6 in full": (
        b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0007 2001:db8::200 40000 5061\r\n", V6,
    ),
    "version 1, mapped": (line("::ffff:198.51.100.7", 40_000, "::ffff:192.0.2.200"), V4),
    "version 1, no word": (b"PROXY UNKNOWN\r\n", None),
    "version 1, unknown with addresses": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    "version 1, the longest line": (b"PROXY UNKNOWN " + b"x" * (MAX_V1 - 16) + b"\r\n", None),
    "version 2, IPv4": (binary("198.51.100.7", 40_000), V4),
    "version 2, IPv6": (binary(*IN_V6), V6),
    "version 2, mapped": (binary("::ffff:198.51.100.7", 40_000, "::ffff:192.0.2.200"), V4),
    "version 2, TLVs": (binary("198.51.100.7", 40_000, tlvs=SERVER_NAME + tlv(0x04, bytes(9))), V4),
    "version 2, an empty TLV": (binary("198.51.100.7", 40_000, tlvs=tlv(0x05, b"")), V4),
    "version 2, checksum": (checked(binary("198.51.100.7", 40_000, tlvs=SERVER_NAME)), V4),
    "version 2, as long as may be": (
        binary("198.51.100.7", 40_000, tlvs=tlv(0x04, bytes(MAX_V2_BODY - 15))), V4,
    ),
    "version 2, LOCAL": (head(0, 0, b""), None),
    "version 2, LOCAL with what nobody reads": (head(0, 0x11, b"abc"), None),
    "version 2, UNSPEC": (head(1, 0, b""), None),
    "version 2, UNSPEC with TLVs": (head(1, 0, SERVER_NAME), None),
    "version 2, a Unix socket": (head(1, 0x31, bytes(216)), None),
}  # fmt: skip
REFUSED: Final[dict[str, bytes]] = {
    "SIP": REST,
    "TLS": bytes.fromhex("160301020001"),
    "HTTP": b"GET / HTTP/1.1\r\n",
    "an empty line": b"\r\n\r\nREGISTER",
    "another word": b"PROXIES TCP4 1\r\n",
    "small letters": b"proxy TCP4 198.51.100.7 192.0.2.200 1 2\r\n",
    "no family": b"PROXY \r\n12345\r\n",
    "another family": b"PROXY UDP4 198.51.100.7 192.0.2.200 1 2\r\n",
    "a family in small letters": b"PROXY tcp4 198.51.100.7 192.0.2.200 1 2\r\n",
    "the other family": b"PROXY TCP4 2001:db8::7 2001:db8::200 1 2\r\n",
    "two families": b"PROXY TCP4 198.51.100.7 2001:db8::200 1 2\r\n",
    "too few words": b"PROXY TCP4 198.51.100.7 192.0.2.200 1\r\n",
    "too many words": b"PROXY TCP4 198.51.100.7 192.0.2.200 1 2 3\r\n",
    "two blanks": b"PROXY TCP4  198.51.100.7 192.0.2.200 1 2\r\n",
    "a tab": b"PROXY TCP4\t198.51.100.7 192.0.2.200 1 2\r\n",
    "a blank at the end": b"PROXY TCP4 198.51.100.7 192.0.2.200 1 2 \r\n",
    "only LF": b"PROXY TCP4 198.51.100.7 192.0.2.200 1 2\n",
    "no address": b"PROXY TCP4 sip.example 192.0.2.200 1 2\r\n",
    "leading zeros": b"PROXY TCP4 198.051.100.7 192.0.2.200 1 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 2001:db8::200 1 2\r\n",
    "brackets": b"PROXY TCP6 [2001:db8::7] 2001:db8::200 1 2\r\n",
    "a port too large": b"PROXY TCP4 198.51.100.7 192.0.2.200 65536 2\r\n",
    "a port with a zero": b"PROXY TCP4 198.51.100.7 192.0.2.200 01 2\r\n",
    "a port with a sign": b"PROXY TCP4 198.51.100.7 192.0.2.200 +1 2\r\n",
    "another port": b"PROXY TCP4 198.51.100.7 192.0.2.200 1 http\r\n",
    "not ASCII": "PROXY TCP4 198.51.100.\u0667 192.0.2.200 1 2\r\n".encode(),
    "from nowhere": line("0.0.0.0", 1),
    "from a group": line("224.0.0.1", 1),
    "from nowhere of IPv6": binary("::", 1, "2001:db8::1"),
    "a line too long": b"PROXY UNKNOWN " + b"x" * (MAX_V1 - 15) + b"\r\n",
    "a line without end": b"PROXY UNKNOWN " + b"x" * 4_096,
    "another signature": b"\r\n\r\n\x00\r\nQUIT\r" + bytes(4),
    "version 3": head(1, 0x11, bytes(12)).replace(b"\x21\x11", b"\x31\x11", 1),
    "version 1 in the form of 2": head(1, 0x11, bytes(12)).replace(b"\x21\x11", b"\x11\x11", 1),
    "another command": head(2, 0x11, bytes(12)),
    "datagrams": head(1, 0x12, bytes(12)),
    "datagrams of IPv6": head(1, 0x22, bytes(36)),
    "datagrams of a Unix socket": head(1, 0x32, bytes(216)),
    "no such family": head(1, 0x41, bytes(36)),
    "no such protocol": head(1, 0x13, bytes(12)),
    "addresses cut": head(1, 0x11, bytes(11)),
    "addresses of IPv6 cut": head(1, 0x21, bytes(35)),
    "the type of a TLV alone": binary("198.51.100.7", 1, tlvs=b"\x02"),
    "half a length": binary("198.51.100.7", 1, tlvs=b"\x02\x00"),
    "a TLV cut": binary("198.51.100.7", 1, tlvs=SERVER_NAME[:-1]),
    "a wrong checksum": checked(binary("198.51.100.7", 1), 0xDEADBEEF),
    "a checksum of no length": binary("198.51.100.7", 1, tlvs=tlv(3, b"")),
    "two checksums": checked(checked(binary("198.51.100.7", 1))),
    "too long": head(1, 0x11, bytes(MAX_V2_BODY + 1)),
    "as long as it says": head(0, 0, bytes(0xFFFF)),
}


def read(octets: bytes) -> tuple[Ends | None, bytes]:
    """What a reader gets from a connection, and the octets that it leaves there. Raises EOFError if cut."""
    taken = 0
    while wanted := needed(octets[:taken]):
        if taken + wanted > len(octets):
            raise EOFError
        taken += wanted
    return parse(octets[:taken]), octets[taken:]


@every("header, ends", READ.values(), ids=list(READ))
def test_a_header_is_read_and_nothing_behind_it(header: bytes, ends: Ends | None) -> None:
    assert read(header + REST) == (ends, REST)


@every("header", REFUSED.values(), ids=list(REFUSED))
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match="PROXY"):
        read(header + REST)


def test_a_header_that_is_cut_at_any_octet_is_not_complete() -> None:
    for name, (header, _) in READ.items():
        for cut in range(len(header)):
            with pytest.raises(EOFError):
                read(header[:cut])
                pytest.fail(f"{name}, cut after {cut}")


def test_each_bit_counts_for_the_checksum() -> None:
    header = checked(binary("198.51.100.7", 40_000, tlvs=SERVER_NAME))
    kind = len(header) - 7
    """The type of the checksum: another one makes it a TLV that says nothing."""
    for place in (place for place in range(16, len(header)) if place != kind):
        for bit in range(8):
            broken = bytearray(header)
            broken[place] ^= 1 << bit
            with pytest.raises(ValueError, match="PROXY"):
                read(bytes(broken))


def test_the_checksum_is_that_of_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283, "the check value of the catalogues"


@given(st.binary(max_size=200))
def test_the_checksum_by_table_is_that_by_bits(data: bytes) -> None:
    assert crc32c(data) == castagnoli(data)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda body: b"PROXY " + body)
       | st.builds(head, st.integers(0, 15), st.integers(0, 255), st.binary(max_size=80)))  # fmt: skip
def test_any_octets_are_a_header_or_refused_or_wait_for_more(octets: bytes) -> None:
    try:
        ends, rest = read(octets)
    except (ValueError, EOFError):
        return
    assert octets.endswith(rest)
    assert ends is None or 0 <= ends.remote_port <= 65_535


@given(st.ip_addresses(), st.integers(0, 65_535), st.binary(max_size=60))
def test_both_versions_say_the_same(address: object, port: int, name: bytes) -> None:
    source = str(address)
    target = "2001:db8::1" if ":" in source else "192.0.2.1"
    forms = (line(source, port, target), checked(binary(source, port, target, tlvs=tlv(2, name))))
    answers = []
    for form in forms:
        try:
            answers.append(read(form + REST))
        except ValueError:
            answers.append((None, b"refused"))
    assert answers[0] == answers[1]
