"""Whether a party has put a call on hold, as its session descriptions say (RFC 3264 section 8.4)."""

from enum import StrEnum
from typing import Final

from .sdp import first_stream

_ATTRIBUTES: Final = {
    b"a=sendrecv": "sendrecv",
    b"a=sendonly": "sendonly",
    b"a=recvonly": "recvonly",
    b"a=inactive": "inactive",
}
_NOWHERE: Final = (b"c=IN IP4 0.0.0.0", b"c=IN IP6 ::")
"""The address of a party that wants no media, before RFC 3264. A browser writes it, too, and has ICE."""


class Direction(StrEnum):
    """The direction of media, as the party that describes it sees it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


def direction(sdp: bytes) -> Direction:
    """Return the direction of the first stream that is not refused."""
    session, stream = first_stream(sdp)
    lines = [line.strip() for line in (*session, *stream)]
    said = [_ATTRIBUTES[line] for line in lines if line in _ATTRIBUTES]
    found = Direction(said[-1]) if said else Direction.SENDRECV
    addresses = [line for line in lines if line.startswith(b"c=")]
    if found is Direction.SENDRECV and addresses and addresses[-1] in _NOWHERE:
        has_ice = any(line.startswith(b"a=ice-ufrag:") for line in lines)
        return found if has_ice else Direction.INACTIVE
    return found


def holds(said: Direction, *, before: bool, other: bool) -> bool:
    """Return whether a party holds the call after it has described its media.

    `before`: whether it held the call; `other`: whether the other party holds it. Then `inactive` may only
    repeat what the other party wants.
    """
    if said is Direction.INACTIVE and other:
        return before
    return said in (Direction.SENDONLY, Direction.INACTIVE)
