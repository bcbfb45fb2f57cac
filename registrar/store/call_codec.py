"""Format of a call in Redis: fields that other services may read, and one private field with the rest."""

import json
from collections.abc import Mapping
from typing import Final

from registrar.model import Call, CallState, Cause, Ending, Party, Process

Fields = dict[str, str]
PRIVATE: Final = "d"
STARTED: Final = "call-started"
ANSWERED: Final = "call-answered"
CHANGED: Final = "call-changed"
ENDED: Final = "call-ended"
UNREADABLE: Final = (ValueError, TypeError, KeyError)
"""The errors of `decode` for a hash that another program wrote."""

_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def encode(call: Call) -> Fields:
    """Return the fields to store. A value that is not known yet is empty. Times are kept to 1 ms."""
    return {
        "id": call.id,
        "callId": call.call_id,
        "customer": call.customer,
        "domain": call.domain,
        "state": call.state,
        **_party("caller", call.caller),
        **_party("callee", call.callee),
        "startedAt": _moment(call.started_at),
        "answeredAt": _moment(call.answered_at),
        "via": call.via,
        "viaName": call.via_name,
        "media": "relayed" if call.relay else "direct",
        "node": call.process.node,
        "generation": call.process.generation,
        PRIVATE: _dump(
            [
                call.relay,
                call.expires_at,
                *_private(call.caller),
                *_private(call.callee),
                call.caller.person,
                call.callee.person,
                *_flags(call),
            ]
        ),
    }


def decode(fields: Mapping[str, str]) -> Call:
    """Return the stored call. Raises one of UNREADABLE if we did not write it."""
    relay, expires_at, *rest = json.loads(fields[PRIVATE])
    people = [*rest[6:8], "", ""]  # an older version has none, a newer one may append
    held = [*rest[9:11], False, False]
    dialled = next(iter(rest[11:12]), "")
    caller = (*rest[:3], people[0], held[0] is True)
    callee = (*rest[3:6], people[1], held[1] is True)
    return Call(
        id=fields["id"],
        call_id=fields["callId"],
        customer=fields["customer"],
        domain=fields["domain"],
        caller=_read_party("caller", fields, *caller),
        callee=_read_party("callee", fields, *callee),
        state=CallState(fields["state"]),
        started_at=float(fields["startedAt"] or 0),
        answered_at=float(fields["answeredAt"] or 0),
        process=Process(fields["node"], fields["generation"]),
        relay=relay,
        expires_at=expires_at,
        via=fields.get("via", ""),
        via_name=fields.get("viaName", ""),
        is_private=rest[8:9] == [True],
        dialled=dialled if isinstance(dialled, str) else "",
    )


def started_event(call: Call) -> Fields:
    """Return the entry `call-started` of the stream of all events."""
    return _event(STARTED, call, at=call.started_at)


def answered_event(call: Call) -> Fields:
    """Return the entry `call-answered` of the stream of all events."""
    return _event(ANSWERED, call, at=call.answered_at, rings_until=call.answered_at)


def changed_event(call: Call, party: Party, at: float) -> Fields:
    """Return the entry `call-changed` of the stream of all events."""
    reason = "held" if party.holds else "resumed"
    event = _event(CHANGED, call, at=at, rings_until=call.answered_at, talks_until=at, by=party.number)
    return event | {"reason": reason}


def ended_event(call: Call, ending: Ending) -> Fields:
    """Return the entry `call-ended` of the stream of all events."""
    return _event(
        ENDED,
        call,
        at=ending.at,
        rings_until=call.answered_at or ending.at,
        talks_until=ending.at if call.answered_at else 0.0,
        cause=ending.cause,
        status=ending.status,
        by=ending.by,
    )


def _event(
    kind: str,
    call: Call,
    *,
    at: float,
    rings_until: float = 0.0,
    talks_until: float = 0.0,
    cause: Cause | None = None,
    status: int = 0,
    by: str = "",
) -> Fields:
    return {
        "event": kind,
        "reason": cause or "",
        "time": str(int(at)),
        "customer": call.customer,
        "phone": call.caller.phone,
        "call": call.id,
        "callId": call.call_id,
        "caller": call.caller.number,
        "callee": call.callee.number,
        "calleePhone": call.callee.phone,
        "via": call.via,
        "status": str(status) if status else "",
        "ringSeconds": _seconds(call.started_at, rings_until),
        "talkSeconds": _seconds(call.answered_at, talks_until),
        "by": by,
    }


def _seconds(begin: float, end: float) -> str:
    """Return the duration, or an empty string if `end` is 0. If the clock was set back, return 0."""
    return f"{max(end - begin, 0.0):.3f}" if end else ""


def _moment(at: float) -> str:
    return f"{at:.3f}" if at else ""


def _party(side: str, party: Party) -> Fields:
    return {
        f"{side}Phone": party.phone,
        f"{side}Number": party.number,
        f"{side}Name": party.name,
        f"{side}Transport": party.transport,
    }


def _flags(call: Call) -> tuple[bool | str, ...]:
    """Return the flags of a call, and the dialled word if it is not the callee's number.

    Most calls have none.
    """
    if call.dialled not in ("", call.callee.number):
        return call.is_private, call.caller.holds, call.callee.holds, call.dialled
    if call.caller.holds or call.callee.holds:
        return call.is_private, call.caller.holds, call.callee.holds
    return (True,) if call.is_private else ()


def _private(party: Party) -> tuple[str, str, int]:
    return party.tag, party.target, party.cseq


def _read_party(
    side: str, fields: Mapping[str, str], tag: str, target: str, cseq: int, person: str, holds: bool
) -> Party:
    return Party(
        phone=fields[f"{side}Phone"],
        number=fields[f"{side}Number"],
        name=fields[f"{side}Name"],
        transport=fields[f"{side}Transport"],
        tag=tag,
        target=target,
        cseq=cseq,
        person=person,
        holds=holds,
    )
