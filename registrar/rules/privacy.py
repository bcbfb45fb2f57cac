"""The privacy that the sender of a message requests (RFC 3323, RFC 3325 section 9.3)."""

from typing import Final

from registrar.sip import Request, Response

from .identity import ANONYMOUS_HOST

HEADER: Final = "privacy"
NONE: Final = "none"
IDENTITY: Final = frozenset({"id", "user"})
"""Values that withhold name and number. `header` needs no action, as we never show the address of a phone in
Via, Contact or Record-Route. `history` needs none either, as History-Info never passes."""


def values(message: Request | Response) -> frozenset[str]:
    """Return the priv-values of a message in lower case; `none` beside others is ignored (section 4.2)."""
    text = message.headers.get(HEADER)
    if text is None:
        return frozenset()
    rows = ",".join(message.headers.all(HEADER)).replace(",", ";").lower()
    found = frozenset(word for word in map(str.strip, rows.split(";")) if word)
    return found - {NONE} or found


def hides_identity(message: Request | Response) -> bool:
    """Return whether the sender of a message requests that its identity is withheld."""
    return not IDENTITY.isdisjoint(values(message))


def is_anonymous(request: Request) -> bool:
    """Return whether the sender of `request` must be withheld from the callee.

    A From at anonymous.invalid requests this, too: a phone can do so itself (section 4.1.1.3).
    """
    if request.headers.get(HEADER) is not None and hides_identity(request):
        return True
    return request.from_.uri.host.lower() == ANONYMOUS_HOST
