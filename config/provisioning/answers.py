"""What the listener for phones answers, and the values of a request that an answer depends on."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Send

from ..errors import RETRY_SECONDS
from .news import Asker

METHODS: Final = ("GET", "HEAD")
TEXT: Final = "text/plain; charset=utf-8"
NOT_MODIFIED: Final = 304
OUTCOMES: Final = {NOT_MODIFIED: "unchanged", 403: "refused", 429: "busy"}
CLOSE: Final = ("Connection", "close")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a file, and who sent it."""

    asker: Asker
    is_head: bool = False
    is_private: bool = False
    """Whether its way to us is encrypted."""
    known: str = ""
    """If-None-Match: the tag of the file that the phone has."""

    @property
    def source(self) -> str:
        """Return the address of the sender."""
        return self.asker.address


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: complete, with its length, because old phones dislike parts."""

    status: int
    body: bytes = b""
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    is_known: bool = False
    """Whether the sender has shown a right secret."""

    @property
    def outcome(self) -> str:
        """Return what the metrics call it."""
        if self.status == 200:
            return "served" if self.is_known else "stub"
        if self.status == 404:
            return "no-file" if self.is_known else "unknown"
        if self.status == 503:
            return "unwritable" if self.is_known else "unavailable"
        return OUTCOMES.get(self.status, "malformed")

    async def send(self, method: str, send: Send) -> None:
        """Send the response in one part; to HEAD without the body."""
        content = (("Content-Type", self.content_type), ("Content-Length", str(len(self.body))))
        headers = (
            *(content if self.status != NOT_MODIFIED else ()),  # they would tell of the file that is not sent
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *self.headers,
        )
        encoded = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else self.body})


NOT_FOUND: Final = Answer(404, b"Not found\n")
"""The one answer to everything that is unknown."""
NO_FILE: Final = Answer(404, b"Not found\n", is_known=True)
FORBIDDEN: Final = Answer(403, b"Forbidden\n", is_known=True)
BAD_REQUEST: Final = Answer(400, b"Bad request\n", headers=(CLOSE,))
NOT_ALLOWED: Final = Answer(405, b"Method not allowed\n", headers=(("Allow", ", ".join(METHODS)), CLOSE))
BUSY: Final = Answer(429, b"Too many connections\n", headers=(CLOSE,))
AWAY: Final = Answer(503, b"Try again later\n", headers=(("Retry-After", str(RETRY_SECONDS)),))
"""A phone keeps its configuration at a 503; after a 404 some would look for another file."""
UNWRITABLE: Final = Answer(503, AWAY.body, headers=AWAY.headers, is_known=True)
"""A value of the phone cannot be written. The phone learns no more than that."""
