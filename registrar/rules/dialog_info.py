"""What a lamp shows of a person's calls, and the document that says so (RFC 4235).

A document has exactly one dialog, because some phones fail with several, and others expect at least one. It
names no real Call-ID and no real tag: who reads them could take over the call (RFC 3891).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from html import escape as escaped
from typing import Final

from registrar.model import Call, CallState, Party

from .identity import ANONYMOUS, ANONYMOUS_HOST, escape

CONTENT_TYPE: Final = "application/dialog-info+xml"
ID_BYTES: Final = 8
LOCAL_TAG: Final = "l"
REMOTE_TAG: Final = "r"
"""The tags in each document. They are constant, because the opaque id alone names the call."""
ON_HOLD: Final = '<param pname="+sip.rendering" pvalue="no"/>'
"""Marks the party that has put the call on hold: it plays no media (RFC 4235, RFC 3840)."""
MAX_NAME: Final = 64
"""Characters of a name that are shown: a document must fit into one datagram."""


class LineState(StrEnum):
    """The state of the dialog that is shown (RFC 4235 section 3.7.1)."""

    TERMINATED = "terminated"
    TRYING = "trying"
    EARLY = "early"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Watched:
    """The person or number whose calls are shown."""

    id: str
    """Names it in the opaque id of a call: the id of its extension, else its number."""
    number: str
    name: str
    domain: str
    phones: frozenset[str] = frozenset()
    """Ids of its phones."""
    calls: frozenset[str] = frozenset()
    """Calls that are known to be at the person, as those that ring for its group."""


@dataclass(frozen=True, slots=True)
class Line:
    """The one dialog that is shown."""

    state: LineState = LineState.TERMINATED
    id: str = ""
    """The opaque id of the call; empty if there is no call."""
    is_recipient: bool = False
    number: str = ""
    """The other party. It is empty if there is no call, or if the party withholds its identity."""
    name: str = ""
    holds: bool = False
    """Whether the watched person has put the call on hold."""
    is_held: bool = False
    """Whether the other party has."""


IDLE: Final = Line()
LAMP_ON: Final = Line(LineState.CONFIRMED)
"""What is shown of a feature code that is switched on."""
_RANK: Final = {
    LineState.EARLY: 3,
    LineState.CONFIRMED: 2,
    LineState.TRYING: 1,
    LineState.TERMINATED: 0,
}


def opaque_id(key: bytes, call: str, watched: str) -> str:
    """Return the id by which a document names a call at one person; it reveals nothing without the key."""
    return blake2b(f"{call} {watched}".encode(), digest_size=ID_BYTES, key=key).hexdigest()


def line_of(watched: Watched, calls: Iterable[Call], key: bytes) -> Line:
    """Return what is shown: the most interesting call, of several the oldest. A held one comes later."""
    best, rank = IDLE, (0, False, 0.0, "")
    for call in calls:
        line = _line(watched, call, key)
        here = (_RANK[line.state], not line.holds, -call.started_at, call.id)
        if line.state is not LineState.TERMINATED and (best is IDLE or here > rank):
            best, rank = line, here
    return best


def _line(watched: Watched, call: Call, key: bytes) -> Line:
    """Return what one call is for the watched person."""
    id = opaque_id(key, call.id, watched.id)
    if _is_party(watched, call.caller):
        # A caller whose call rings is shown as confirmed: some lamps blink for early in either direction.
        held = call.caller.holds, call.callee.holds
        return Line(LineState.CONFIRMED, id, False, call.callee.number, call.callee.name, *held)
    is_ringing = call.state is CallState.RINGING
    if not _is_party(watched, call.callee) and not (is_ringing and call.id in watched.calls):
        return IDLE
    state = LineState.EARLY if is_ringing else LineState.CONFIRMED
    held = call.callee.holds, call.caller.holds
    if call.is_private:
        return Line(state, id, True, "", "", *held)
    return Line(state, id, True, call.caller.number, call.caller.name, *held)


def _is_party(watched: Watched, party: Party) -> bool:
    if party.phone:
        return party.phone in watched.phones or (party.number == watched.number and bool(watched.number))
    return bool(party.number) and party.number == watched.number


def document(line: Line, watched: Watched, *, entity: str, version: int) -> bytes:
    """Return the document for a subscriber; `entity` is the URI as it was subscribed to."""
    head = (
        '<?xml version="1.0"?>\n'
        '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" '
        f'version="{version}" state="full" entity="{xml(entity)}">\n'
    )
    return f"{head}{_dialog(line, watched)}\n</dialog-info>\n".encode()


def _dialog(line: Line, watched: Watched) -> str:
    if not line.id:
        return f' <dialog id="lamp"><state>{line.state}</state></dialog>'
    direction = "recipient" if line.is_recipient else "initiator"
    tags = f'local-tag="{LOCAL_TAG}" remote-tag="{REMOTE_TAG}"'
    own = _side("local", watched.number, watched.name, watched.domain, line.holds)
    if line.number:
        other = _side("remote", line.number, line.name, watched.domain, line.is_held)
    else:
        other = _side("remote", ANONYMOUS, "Anonymous", ANONYMOUS_HOST, line.is_held)
    return (
        f' <dialog id="{line.id}" call-id="{line.id}" {tags} direction="{direction}">'
        f"<state>{line.state}</state>\n{own}\n{other}</dialog>"
    )


def _side(side: str, number: str, name: str, domain: str, holds: bool) -> str:
    uri = xml(f"sip:{escape(number) or ANONYMOUS}@{domain}")
    display = f' display="{xml(name[:MAX_NAME])}"' if name else ""
    target = f'<target uri="{uri}">{ON_HOLD}</target>' if holds else f'<target uri="{uri}"/>'
    return f"  <{side}><identity{display}>{uri}</identity>{target}</{side}>"


def xml(text: str) -> str:
    """Return a text for an element or attribute. Control characters, which XML 1.0 forbids, become spaces."""
    return escaped("".join([each if each.isprintable() else " " for each in text]))
