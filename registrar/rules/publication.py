"""What a PUBLISH of presence asks for, and what is kept of its document (RFC 3903, RFC 3863).

The document comes from outside. It is read by expat without a tree, and a DOCTYPE is refused: only there
could it declare entities.
"""

from typing import Final
from xml.parsers import expat

from registrar.errors import MalformedMessage
from registrar.model import Published
from registrar.sip import Request

from . import pidf

MAX_OCTETS: Final = 4_000
"""Of a document. Phones send 400 to 1,500."""
MAX_NOTE: Final = 64
"""Characters of a note that are kept: a NOTIFY must fit into one datagram."""

_PIDF: Final = "urn:ietf:params:xml:ns:pidf"
_ROOT: Final = f"{_PIDF} presence"
_BASIC: Final = f"{_PIDF} basic"
_NOTES: Final = frozenset(f"{space} note" for space in (_PIDF, f"{_PIDF}:data-model", f"{_PIDF}:rpid"))
"""Phones write the note of a person beside its tuple, into its tuple, or into its activities (RFC 4480)."""


class _Reader:
    """Reader of one document; keeps the texts of a few elements."""

    def __init__(self) -> None:
        self.root = ""
        self.basics: list[str] = []
        self.note = ""
        self._element = ""
        self._text = ""

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        """Handle the begin of an element."""
        self.root = self.root or name
        self._element, self._text = name, ""

    def text(self, text: str) -> None:
        """Handle a part of a text."""
        self._text += text

    def end(self, name: str) -> None:
        """Handle the end of an element."""
        if name == self._element:
            if name == _BASIC:
                self.basics.append(self._text.strip())
            elif name in _NOTES:
                self.note = self.note or clean(self._text)
        self._element = ""

    def doctype(self, *_about: object) -> None:
        """Refuse a DOCTYPE."""
        raise MalformedMessage("the document has a DOCTYPE")


def parse_published(body: bytes) -> Published:
    """Return what is kept of a document: open or closed, and the first note. Raises MalformedMessage.

    The person is open if one of its tuples is, or if no tuple says it.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.CharacterDataHandler = reader.text
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise MalformedMessage(f"the document is no XML: {error}") from None
    if reader.root != _ROOT:
        raise MalformedMessage("the document is no PIDF")
    if any(basic not in ("open", "closed") for basic in reader.basics):
        raise MalformedMessage("the document has a basic status that is neither open nor closed")
    return Published("open" in reader.basics or not reader.basics, reader.note)


def clean(text: str) -> str:
    """Return a text in one line without control characters, as long as a note may be."""
    printable = "".join([each if each.isprintable() else " " for each in text])
    return " ".join(printable.split())[:MAX_NOTE].rstrip()


def is_document(request: Request) -> bool:
    """Return whether the body has the type of a document of presence."""
    return (request.headers.get("content-type") or "").partition(";")[0].strip().lower() == pidf.CONTENT_TYPE


def if_match(request: Request) -> str | None:
    """Return the tag in SIP-If-Match, empty if there is none, or None if it is not one tag."""
    values = [value.strip() for value in request.headers.all("sip-if-match")]
    if not values:
        return ""
    is_one = len(values) == 1 and values[0] and not any(each in values[0] for each in ", \t")
    return values[0] if is_one else None
