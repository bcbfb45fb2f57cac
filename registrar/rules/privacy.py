"""Which privacy the sender of a request asks for (RFC 3323, RFC 3325 section 9.3)."""

from typing import Final

from registrar.sip import Request, Response

from .identity import ANONYMOUS_HOST

HEADER: Final = "privacy"
NONE: Final = "none"
IDENTITY: Final = frozenset({"id", "user"})
"""Values that withhold name and number. `header` asks for what every request gets here: no address of a phone
in Via, Contact or Record-Route. `history` likewise: History-Info never passes."""


def values(message: Request | Response) -> frozenset[str]:
    """The priv-values of a message, in lower case; `none` beside others does not count (section 4.2)."""
    text = message.headers.get(HEADER)
    if text is None:
        return frozenset()
    rows = ",".join(message.headers.all(HEADER)).replace(",", ";").lower()
    found = frozenset(word for word in map(str.strip, rows.split(";")) if word)
    return found - {NONE} or found


def hides_identity(message: Request | Response) -> bool:
    """Whether the sender of a message asks for its identity to be withheld."""
    return not IDENTITY.isdisjoint(values(message))


def is_anonymous(request: Request) -> bool:
    """Whether the callee must not learn who sends `request`.

    A From at anonymous.invalid asks for it too: that is how a phone says it by itself (section 4.1.1.3).
    """
    if request.headers.get(HEADER) is not None and hides_identity(request):
        return True
    return request.from_.uri.host.lower() == ANONYMOUS_HOST
