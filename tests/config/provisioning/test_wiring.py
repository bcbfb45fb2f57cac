"""Networks that work, URLs in parts, ids of handsets."""

import re
from dataclasses import replace

import pytest

from config.provisioning.draft import Draft, Unwritable
from config.provisioning.files import config_name
from config.provisioning.render import WRITERS, render
from config.provisioning.view import Network
from config.provisioning.vlan import MARKS
from config.provisioning.wiring import (
    AT_THE_PHONE,
    host_port,
    ipui,
    split_url,
    static_address,
    without_scheme,
)
from tests.config.provisioning import phones
from tests.every import every

FIXED = Network(False, "192.168.1.10", "255.255.255.0", "192.168.1.1", "192.168.1.1")
WITHOUT_STATIC = ("gigaset-n510", "gigaset-nx70", "maxwell", "lg")


def test_a_complete_network_is_written() -> None:
    draft = Draft()
    assert static_address(FIXED, draft) == FIXED
    assert not draft.left_out


@every(
    "network",
    [
        replace(FIXED, address=None),
        replace(FIXED, mask=None),
        replace(FIXED, mask="255.0.255.0"),
        replace(FIXED, gateway=None),
        replace(FIXED, gateway="192.168.2.1"),
        replace(FIXED, gateway="192.168.1.10"),
        replace(FIXED, gateway="192.168.1.255"),
        replace(FIXED, address="192.168.1.0"),
        replace(FIXED, dns1=None),
        replace(FIXED, dns1="no address"),
        replace(FIXED, address="fe80::1"),
    ],
)
@every("writer", WRITERS)
def test_a_network_that_cannot_work_is_not_written(writer: str, network: Network) -> None:
    phone = replace(phones.empty(writer), network=network)
    file = render(phone, config_name(writer, phone.mac, phone.model))
    without = render(replace(phone, network=Network()), file.name)
    assert file.text == without.text
    assert "network.dhcp" in [one.field for one in file.left_out]
    assert file.warnings


@every("writer", MARKS)
def test_a_phone_that_had_a_vlan_is_told_to_leave_it(writer: str) -> None:
    """The mark by which that is known is in both files, or a person is told what to do."""
    name = config_name(writer, phones.MAC, phones.MODELS[writer][1])
    inside = render(replace(phones.empty(writer), network=Network(vlan_id=12)), name)
    assert MARKS[writer] in inside.text
    left = render(replace(phones.empty(writer), network=Network(had_vlan=True)), name)
    if writer.startswith("snom"):
        assert AT_THE_PHONE in left.warnings and "vlan" not in left.text.lower()
        assert [one.field for one in left.left_out] == ["network.vlanId"]
        return
    assert left.warnings == inside.warnings and MARKS[writer] in left.text
    (line,) = _vlan_lines(left.text).splitlines()
    assert re.search(r"(= 0|: 0|>No<|0x0|\"0\")", line), line


def _vlan_lines(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "vlan" in line.lower() or "tagging" in line)


def test_a_writer_without_a_mark_writes_no_vlan() -> None:
    for writer in set(WRITERS) - set(MARKS):
        name = config_name(writer, phones.MAC, phones.MODELS[writer][1])
        text = render(replace(phones.empty(writer), network=Network(vlan_id=12)), name).text
        assert "vlan" not in text.lower(), writer


@every("writer", WRITERS)
def test_vlan_0_writes_nothing(writer: str) -> None:
    phone = replace(phones.empty(writer), network=Network(vlan_priority=5))
    text = render(phone, config_name(writer, phone.mac, phone.model)).text
    assert "vlan" not in text.lower()
    assert "tagging" not in text


@every("writer", [writer for writer in WRITERS if writer not in WITHOUT_STATIC])
def test_a_fixed_address_writes_all_of_it(writer: str) -> None:
    phone = replace(phones.empty(writer), network=FIXED)
    text = render(phone, config_name(writer, phone.mac, phone.model)).text
    for value in (FIXED.address, FIXED.mask, FIXED.gateway):
        assert value is not None
        assert value in text or (writer == "grandstream" and f">{value.rpartition('.')[2]}<" in text)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, ""),
        ("", ""),
        ("0123456789", "0123456789"),
        ("01 2abc 6789", "012ABC6789"),
        ("035860667499", "00E02A2F6B"),
        ("03586 0667499 1", "00E02A2F6B"),
        ("000010000001", "0000100001"),
    ],
)
def test_the_id_of_a_handset(address: str | None, expected: str) -> None:
    assert ipui(address) == expected


@pytest.mark.parametrize("address", ["12345", "xyz", "999990667499", "000019999999", "01234567890"])
def test_what_is_no_id_of_a_handset(address: str) -> None:
    with pytest.raises(Unwritable, match="handsetAddress"):
        ipui(address)


def test_parts_of_urls() -> None:
    assert split_url("https://prov.example/p/x/") == ("https", "prov.example", 443, "p/x")
    assert split_url("http://prov.example:8080/p/x/") == ("http", "prov.example", 8080, "p/x")
    assert without_scheme("https://prov.example:8443/p/x/") == "prov.example:8443/p/x"
    assert host_port("sip.example", 5060) == "sip.example:5060"
    assert host_port("2001:db8::1", 5060) == "[2001:db8::1]:5060"
