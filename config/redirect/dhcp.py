"""Configuration for DHCP servers that tells new phones where their configuration is.

The URL is the one for all phones: it answers only to phones that are expected. Every vendor has its option:
66 for most, 114 for Gigaset, 43 with suboptions for Mitel.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

SPA_FILE: Final = "spa$PSN.cfg"
"""Adapters and phones of Cisco and Linksys need the name of a file: $PSN is their model."""
TFTP_SERVER: Final = 66
GIGASET_URL: Final = 114
VENDOR: Final = 43
SERVER, CONTACT_RCS = 2, 3
"""Suboptions of Mitel: the URL, and whether the phone asks Mitel's own redirect service first."""
MITEL_CLASS: Final = "AastraIPPhone"
HEAD: Final = (
    "Phones of vendors whose MAC addresses begin so; add those of yours.",
    "The URL answers to phones that are expected, and sends each of them to its own URL.",
)
OLD_TLS: Final = (
    "Phones that know only TLS 1.0 or 1.1 cannot load from it: give them {}, "
    "which these lines with legacy=true have. Choose them by their MAC addresses."
)
"""A DHCP server does not know the model of a phone, and its vendor alone does not tell."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """The phones of one vendor."""

    name: str
    ouis: tuple[str, ...]
    option: int = TFTP_SERVER
    file: str = ""


VENDORS: Final = (
    Vendor("snom", ("00:04:13",)),
    Vendor("yealink", ("00:15:65", "80:5e:c0")),
    Vendor("grandstream", ("00:0b:82", "c0:74:ad")),
    Vendor("gigaset", ("7c:2f:80",), GIGASET_URL),
    Vendor("cisco", ("00:02:fd",), TFTP_SERVER, SPA_FILE),
    Vendor("mitel", ("00:08:5d",), VENDOR),
)


class Unquotable(ValueError):
    """A URL cannot be written into a file of a DHCP server; the text says why."""


def head(legacy: str) -> list[str]:
    """Return the comments; with a URL for phones that know only old TLS, one names it. Raise Unquotable."""
    if not legacy:
        return list(HEAD)
    return [*HEAD, OLD_TLS.format(checked(legacy))]


def checked(url: str) -> str:
    """Return a URL that ends with a slash. Raise Unquotable if it has characters that no URL may have."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Unquotable("the URL has characters that a URL may not have")
    return url.rstrip("/") + "/"


def dnsmasq(url: str, legacy: str = "") -> str:
    """Return lines for dnsmasq.conf. Raise Unquotable."""
    base = checked(url)
    lines = [f"# {line}" for line in head(legacy)]
    for vendor in VENDORS:
        value = quoted(base + vendor.file)
        lines += [f"dhcp-mac=set:{vendor.name},{oui}:*:*:*" for oui in vendor.ouis]
        if vendor.option == VENDOR:
            lines.append(f"dhcp-option=vendor:{MITEL_CLASS},{SERVER},{value}")
            lines.append(f"dhcp-option=vendor:{MITEL_CLASS},{CONTACT_RCS},0")
        else:
            lines.append(f"dhcp-option=tag:{vendor.name},{vendor.option},{value}")
    return "\n".join(lines) + "\n"


def isc(url: str, legacy: str = "") -> str:
    """Return lines for dhcpd.conf of ISC. Raise Unquotable."""
    base = checked(url)
    lines = [
        *(f"# {line}" for line in head(legacy)),
        f"option gigaset-url code {GIGASET_URL} = text;",
        "option space mitel;",
        f"option mitel.server code {SERVER} = text;",
        f"option mitel.contact-rcs code {CONTACT_RCS} = boolean;",
    ]
    for vendor in VENDORS:
        lines += [f'class "{vendor.name}" {{', f"  match if {_isc_match(vendor)};"]
        lines += [f"  {line};" for line in _isc_options(vendor, quoted(base + vendor.file))]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _isc_match(vendor: Vendor) -> str:
    return " or ".join(f"substring(hardware, 1, 3) = {oui}" for oui in vendor.ouis)


def _isc_options(vendor: Vendor, value: str) -> list[str]:
    if vendor.option == VENDOR:
        space = "vendor-option-space mitel"
        return [space, f"option mitel.server {value}", "option mitel.contact-rcs false"]
    name = "gigaset-url" if vendor.option == GIGASET_URL else "tftp-server-name"
    return [f"option {name} {value}"]


def kea(url: str, legacy: str = "") -> str:
    """Return JSON whose members belong into `Dhcp4` of Kea. Raise Unquotable."""
    base = checked(url)
    definitions = [
        {"space": "mitel", "name": "server", "code": SERVER, "type": "string"},
        {"space": "mitel", "name": "contact-rcs", "code": CONTACT_RCS, "type": "boolean"},
    ]
    classes = [_kea_class(vendor, base + vendor.file) for vendor in VENDORS]
    members = {"comment": " ".join(head(legacy)), "option-def": definitions, "client-classes": classes}
    return json.dumps(members, indent=2) + "\n"


def _kea_class(vendor: Vendor, url: str) -> dict[str, object]:
    tests = [f"substring(pkt4.mac, 0, 3) == 0x{oui.replace(':', '')}" for oui in vendor.ouis]
    named: dict[str, object] = {"name": f"phones-{vendor.name}", "test": " or ".join(tests)}
    data = url.replace("\\", "\\\\").replace(",", "\\,")  # a comma separates the fields of an option
    if vendor.option != VENDOR:
        return named | {"option-data": [{"code": vendor.option, "data": data}]}
    encapsulated = {"name": "vendor-encapsulated-options", "code": VENDOR, "type": "empty"}
    options = [
        {"name": "vendor-encapsulated-options"},
        {"space": "mitel", "name": "server", "data": data},
        {"space": "mitel", "name": "contact-rcs", "data": "false"},
    ]
    return named | {"option-def": [encapsulated | {"encapsulate": "mitel"}], "option-data": options}


def quoted(text: str) -> str:
    """Return a string as dnsmasq and ISC dhcpd read it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


SERVERS: Final[Mapping[str, Callable[[str, str], str]]] = {"dnsmasq": dnsmasq, "isc": isc, "kea": kea}
