"""The file that a phone gets: the brand's pairs in the syntax of its writer, then the extra lines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from . import files
from .brands import yealink
from .files import Meant
from .syntax import Draft, LeftOut, Unwritable
from .view import Provisioned

__all__ = ["EXPERIMENTAL", "WRITERS", "File", "LeftOut", "Unwritable", "render", "stub"]

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Writer:
    """How the files of one kind of phones are made."""

    content_type: str
    config: Callable[[Provisioned, Draft], str]
    """Return the text of the configuration; note what is left out in the draft."""
    stub: Callable[[str], str]
    """Return the text of a file that says only: load from this URL prefix."""
    common: Callable[[Provisioned, str], str]
    """Return the text of a file without an account, by its name."""


WRITERS: Final[Mapping[str, Writer]] = {
    "yealink": Writer(TEXT, yealink.config, yealink.stub, yealink.common),
}
"""Name of the writer (column `sip_phone_model.writer`) -> how it makes files."""
EXPERIMENTAL: Final[frozenset[str]] = frozenset({"yealink-dect", "lg", "mpp", "maxwell"})
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
    """Return the file of this name, as `names()` or a phone asks for it.

    Raise `Unwritable` if the format cannot carry a value, and `LookupError` if `files.meant()` is not STUB,
    COMMON or CONFIG for the name.
    """
    writer = WRITERS[phone.writer]
    draft = Draft()
    match files.meant(phone.writer, phone.mac, name):
        case Meant.CONFIG:
            text = writer.config(phone, draft)
        case Meant.COMMON:
            text = writer.common(phone, name)
        case Meant.STUB:
            text = writer.stub(phone.server.url)
        case _:
            raise LookupError(name)
    return File(name, writer.content_type, text, tuple(draft.left_out), tuple(draft.warnings))


def stub(writer: str, url: str) -> str:
    """Return a file that says only: load from this URL prefix (it ends with `/`). It holds no account."""
    return WRITERS[writer].stub(url)
