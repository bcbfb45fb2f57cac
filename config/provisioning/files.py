"""What a file name means to a phone: which files the phones of a writer ask for, and in which order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

MAX_NAME: Final = 128
"""The longest file name that is looked at; real ones have at most 40 characters."""


class Meant(Enum):
    """What is answered to a file name below a right secret."""

    STUB = "stub"
    """A file without a MAC address that says only where to load from."""
    COMMON = "common"
    """A file without an account that the phone needs before or beside its configuration."""
    CONFIG = "config"
    """The file with the accounts: fetching it is the first contact."""
    ASSET = "asset"
    """A picture, a ringtone or a certificate: `a/<name>`."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The name of one file, with `{MAC}`, `{mac}` and other parts."""

    name: str
    meant: Meant | None
    """None: the phone asks for the file, and the right answer is 404."""
    at_boot: bool = True
    """Whether the phone asks for it at each boot; otherwise it is only understood."""


_MAC_XML: Final = Pattern("{MAC}.xml", Meant.CONFIG)
_STEP: Final = Pattern("provisioning.xml", Meant.STUB, at_boot=False)
_YEALINK: Final = (
    Pattern("{mac}.boot", Meant.COMMON),
    Pattern("{mac}.cfg", Meant.CONFIG),
    Pattern("y{digits}.boot", None, at_boot=False),  # a boot file has no settings: its phones would stop
    Pattern("y{digits}.cfg", Meant.STUB, at_boot=False),
)
_SNOM: Final = (
    _MAC_XML,
    Pattern("snom{model}-{MAC}.htm", Meant.CONFIG, at_boot=False),
    Pattern("snom{model}.htm", Meant.STUB, at_boot=False),
)
PATTERNS: Final[Mapping[str, tuple[Pattern, ...]]] = {
    "snom": _SNOM,
    "snom8": _SNOM,
    "snom-dect": _SNOM,
    "mitel": (
        Pattern("startup.cfg", Meant.STUB),
        Pattern("aastra.cfg", Meant.STUB, at_boot=False),
        Pattern("{model}.cfg", Meant.COMMON),
        Pattern("{MAC}.cfg", Meant.CONFIG),
    ),
    "yealink": _YEALINK,
    "yealink-dect": _YEALINK,
    "gigaset-n510": (_MAC_XML, Pattern("42/2/master.bin", None, at_boot=False)),
    "gigaset-nx70": (_MAC_XML, _STEP),
    "maxwell": (_MAC_XML, _STEP),
    "grandstream": (Pattern("cfg{mac}", None), Pattern("cfg{mac}.xml", Meant.CONFIG)),
    "spa": (
        Pattern("{mac}.xml", Meant.CONFIG),
        Pattern("{spa}.cfg", Meant.STUB, at_boot=False),
    ),
    "mpp": (
        Pattern("{mac}.xml", Meant.CONFIG),
        Pattern("{mpp}.xml", Meant.STUB, at_boot=False),
    ),
    "lg": (
        Pattern("sysconf_{model}_sip.cfg", Meant.STUB),
        Pattern("{MAC}", Meant.CONFIG),
    ),
}
"""Writer -> its files in the order in which its phones ask. The first pattern that fits decides."""

_PARTS: Final = {
    "{MAC}": r"(?P<mac>[0-9A-Fa-f]{12})",
    "{mac}": r"(?P<mac>[0-9A-Fa-f]{12})",
    "{model}": r"(?![0-9A-Fa-f]{12}\.)[A-Za-z0-9+-]{1,24}",
    "{digits}": r"[0-9]{12}",
    "{spa}": r"(?i:spa|pap|ata|wrp|wip)[A-Za-z0-9+-]{1,20}",
    "{mpp}": r"(?![0-9A-Fa-f]{12}\.)(?:CP-)?[678][0-9]{3}[A-Za-z0-9-]{0,16}",
}
"""A model of Cisco has a part of its own: another brand's file of the model must not get a file of Cisco."""
_ASSET: Final = re.compile(r"a/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_BARE: Final = re.compile(r"[^A-Za-z0-9+-]")


def meant(writer: str, mac: str, name: str) -> Meant | None:
    """Return what a file name means to the phone with this MAC address, or None for 404. Never raise."""
    if len(name) > MAX_NAME:
        return None
    if _ASSET.fullmatch(name):
        return Meant.ASSET
    for pattern in PATTERNS.get(writer, ()):
        match = _compiled(pattern.name).fullmatch(name)
        if match is not None:
            return pattern.meant if match.groupdict().get("mac", mac).upper() == mac.upper() else None
    return None


def names(writer: str, mac: str, model: str) -> tuple[str, ...]:
    """Return the names that a phone asks for at each boot, in its order."""
    patterns = (pattern.name for pattern in PATTERNS.get(writer, ()) if pattern.at_boot)
    return tuple(_named(name, mac, model) for name in patterns)


def config_name(writer: str, mac: str, model: str) -> str:
    """Return the name of the file with the accounts."""
    for pattern in PATTERNS[writer]:
        if pattern.meant is Meant.CONFIG:
            return _named(pattern.name, mac, model)
    raise KeyError(writer)


def asked_mac(name: str) -> str | None:
    """Return the MAC address in the name of a configuration, in upper case, or None. For armed phones."""
    if len(name) > MAX_NAME:
        return None
    for patterns in PATTERNS.values():
        for pattern in patterns:
            match = _compiled(pattern.name).fullmatch(name)
            if match is not None and "mac" in match.groupdict():
                return match["mac"].upper()
    return None


def is_common(name: str) -> bool:
    """Return whether some phones ask for a file of this name, which has no MAC address. It is no guess."""
    patterns = (pattern for patterns in PATTERNS.values() for pattern in patterns)
    names = (pattern.name for pattern in patterns if "{mac}" not in pattern.name.lower())
    return len(name) <= MAX_NAME and any(_compiled(one).fullmatch(name) for one in names)


def _named(name: str, mac: str, model: str) -> str:
    model = _BARE.sub("", model)
    return name.replace("{MAC}", mac.upper()).replace("{mac}", mac.lower()).replace("{model}", model)


@cache
def _compiled(name: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{\w+\})", name)
    return re.compile("".join(_PARTS.get(piece) or re.escape(piece) for piece in pieces), re.ASCII)
