"""The word that a Request-URI dials, and the destination of a word.

The order is fixed, and the first match wins: an emergency number or service, a feature code, then what the
dial plan of the customer has. So no extension, group or queue can take the place of an emergency service.
"""

from typing import Final

from registrar.model import NO_DESTINATION, Called, Destination
from registrar.sip import Uri

from .features import ReservedWords

SERVICE: Final = "urn:service:"
"""The beginning of a service URN (RFC 5031 section 3)."""


def dialled_word(uri: Uri) -> str:
    """Return the word that a Request-URI dials; empty if it dials none.

    It is the user part of a SIP URI, the number of a `tel:` URI without its parameters, or a whole service
    URN in lower case.
    """
    if uri.is_sip:
        return uri.user or ""
    if uri.scheme == "tel":
        return uri.opaque.partition(";")[0]
    text = str(uri).lower()
    return text if text.startswith(SERVICE) else ""


def resolve(word: str, found: Called | None, reserved: ReservedWords) -> Destination:
    """Return the destination of a word; `found` is what the customer's dial plan has for it.

    A phone without a number is not called by its username.
    """
    destination = reserved.destination(word)
    if destination is not None:
        return destination
    if found is None or not found.number:
        return NO_DESTINATION
    return found
