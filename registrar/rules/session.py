"""Session timers in a proxy, which adds them to INVITE and UPDATE, and to 2xx without them (RFC 4028).

No function here may be called for another method.
"""

import re
from typing import Final

from registrar.sip import Request, Response

SESSION_SECONDS: Final = 1_800
LEAST_SECONDS: Final = 90
"""Minimum interval of RFC 4028 section 4: a shorter one would cause too many refreshes."""
TIMER: Final = "timer"

_DELTA: Final = re.compile(r"[ \t]*+([0-9]{1,9})[ \t]*+(;.*+)?+", re.DOTALL)

Extra = tuple[tuple[str, str], ...]


def is_too_brief(request: Request) -> bool:
    """Return whether to refuse a request with 422 and `Min-SE: 90` (section 8.1).

    Only a sender that supports the extension understands this refusal.
    """
    seconds = _seconds(request.headers.get("session-expires"))
    return seconds is not None and seconds < LEAST_SECONDS and _supports(request)


def asked(request: Request) -> Extra:
    """Return the headers to add to an INVITE or UPDATE that is forwarded (section 8.1)."""
    seconds = _seconds(request.headers.get("session-expires"))
    if seconds is None:
        return (("Session-Expires", str(_usual(request))),)
    if seconds < LEAST_SECONDS:  # the caller does not support the extension
        return (("Session-Expires", str(LEAST_SECONDS)), ("Min-SE", str(LEAST_SECONDS)))
    return ()


def granted(request: Request, response: Response) -> tuple[Extra, int]:
    """Return the headers to add to a 2xx, and the session interval in seconds (section 8.2).

    An interval of 0 means that no party refreshes the session, so it does not expire.
    """
    if not 200 <= response.status < 300:
        return (), 0
    seconds = _seconds(response.headers.get("session-expires"))
    if seconds is not None:
        return (), seconds
    if not _supports(request):
        return (), 0
    seconds = _seconds(request.headers.get("session-expires")) or _usual(request)
    required = ", ".join([*response.headers.all("require"), TIMER])
    return (("Session-Expires", f"{seconds};refresher=uac"), ("Require", required)), seconds


def _usual(request: Request) -> int:
    """Return the default session interval, at least the caller's Min-SE."""
    return max(SESSION_SECONDS, _seconds(request.headers.get("min-se")) or 0)


def _supports(request: Request) -> bool:
    return any(
        TIMER in (tag.strip().lower() for tag in row.split(",")) for row in request.headers.all("supported")
    )


def _seconds(value: str | None) -> int | None:
    found = _DELTA.fullmatch(value) if value is not None else None
    return int(found[1]) if found is not None else None
