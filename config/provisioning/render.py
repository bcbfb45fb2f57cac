"""The files of a phone: what its brand says, in the syntax of its writer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from . import files
from .brands import cisco, gigaset, grandstream, lg, maxwell, mitel, snom, snom_dect, yealink, yealink_dect
from .draft import Draft, LeftOut, Unwritable, leave_the_rest
from .extra import vetted
from .files import Meant
from .keys import Types
from .view import Provisioned

__all__ = ["EXPERIMENTAL", "WRITERS", "File", "LeftOut", "Unwritable", "render", "stub"]

TEXT: Final = "text/plain; charset=utf-8"
XML: Final = "text/xml; charset=utf-8"
MAX_FILE: Final = 512 * 1024
"""The longest file, in characters: a base with 1,000 handsets has about 400,000."""


@dataclass(frozen=True, slots=True)
class Writer:
    """How the files of one kind of phones are made."""

    content_type: str
    config: Callable[[Provisioned, Draft], str]
    """Return the text of the configuration; note what is left out in the draft."""
    stub: Callable[[str, str], str]
    """Return the text of a file that says only where to load from: a URL prefix, and the MAC address."""
    common: Callable[[Provisioned, str], str]
    """Return the text of a file without an account, by its name."""
    keys: Types | None = None
    """The functions of its keys; None: such a phone has no keys."""
    accounts: bool = False
    """Whether a file has the accounts of several phones: handsets of a base, ports of an adapter."""


_SNOM: Final = Writer(XML, snom.config, snom.stub, snom.common, snom.KEYS)
_CISCO: Final = Writer(XML, cisco.config, cisco.stub, cisco.common, cisco.KEYS, accounts=True)

WRITERS: Final[Mapping[str, Writer]] = {
    "snom": _SNOM,
    "snom8": _SNOM,
    "snom-dect": Writer(XML, snom_dect.config, snom.stub, snom.common, accounts=True),
    "mitel": Writer(TEXT, mitel.config, mitel.stub, mitel.common, mitel.KEYS),
    "yealink": Writer(TEXT, yealink.config, yealink.stub, yealink.common, yealink.KEYS),
    "yealink-dect": Writer(TEXT, yealink_dect.config, yealink.stub, yealink.common, accounts=True),
    "gigaset-n510": Writer(XML, gigaset.n510_config, gigaset.n510_stub, gigaset.n510_common, accounts=True),
    "gigaset-nx70": Writer(XML, gigaset.config, gigaset.stub, gigaset.common, accounts=True),
    "maxwell": Writer(XML, maxwell.config, maxwell.stub, maxwell.common, maxwell.KEYS),
    "grandstream": Writer(XML, grandstream.config, grandstream.stub, grandstream.common, grandstream.KEYS),
    "spa": _CISCO,
    "mpp": _CISCO,
    "lg": Writer(TEXT, lg.config, lg.stub, lg.common, lg.KEYS),
}
"""Name of the writer (column `sip_phone_model.writer`) -> how it makes files."""
EXPERIMENTAL: Final[frozenset[str]] = frozenset({"gigaset-n510", "maxwell", "mpp", "lg"})
"""Writers with names or values that no public source confirms: their models are marked `experimental`."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a phone, and what of the phone's settings is not in it."""

    name: str
    content_type: str
    text: str
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()


def render(phone: Provisioned, name: str) -> File:
    """Return the file of this name, as `files.names()` or a phone asks for it.

    Raise `Unwritable` if the format cannot carry a value, and `LookupError` if `files.meant()` is not STUB,
    COMMON or CONFIG for the name.
    """
    writer = WRITERS[phone.writer]
    match files.meant(phone.writer, phone.mac, name):
        case Meant.CONFIG:
            return _config(phone, name, writer)
        case Meant.COMMON:
            return File(name, writer.content_type, writer.common(phone, name))
        case Meant.STUB:
            return File(name, writer.content_type, writer.stub(phone.server.url, phone.mac))
        case _:
            raise LookupError(name)


def _config(phone: Provisioned, name: str, writer: Writer) -> File:
    draft = Draft()
    phone = vetted(phone, draft)
    text = writer.config(phone, draft)
    if len(text) > MAX_FILE:
        raise Unwritable("softkeys", "the configuration is too large for a phone")
    if len(phone.handsets) > 1 and not writer.accounts:
        draft.warn("Several phones have this MAC address, and the file has only the account of the first")
    leave_the_rest(draft, phone)
    return File(name, writer.content_type, text, tuple(draft.left_out), tuple(draft.warnings))


def stub(writer: str, url: str, mac: str = "") -> str:
    """Return a file that says only: load from this URL prefix (it ends with `/`). It holds no account."""
    return WRITERS[writer].stub(url, mac)


def capabilities(writer: str) -> frozenset[str]:
    """Return the functions that the keys of a writer's phones can have: `softkeyCapabilities` of a model."""
    types = WRITERS[writer].keys
    return frozenset(types.of) if types else frozenset()
