"""A past call as a row of the table `call_history`, and its people as rows of `call_history_person`."""

from typing import Final

from registrar.model import Party, PastCall
from registrar.rules.history import parts_of, result_of
from registrar.rules.register import printable
from registrar.rules.routing import dialled

MAX_TEXT: Final = 255
MAX_ID: Final = 24
TEXT: Final = f"VARCHAR({MAX_TEXT})"
ID: Final = f"VARCHAR({MAX_ID})"
MILLISECONDS: Final = 1_000

COLUMNS: Final = {
    "call": "VARCHAR(32)",
    "customer": ID,
    "started_ms": "BIGINT",
    "answered_ms": "BIGINT",
    "ended_ms": "BIGINT",
    "dialled": TEXT,
    "caller_phone": ID,
    "caller_person": ID,
    "caller_number": TEXT,
    "caller_name": TEXT,
    "caller_transport": "VARCHAR(8)",
    "callee_phone": ID,
    "callee_person": ID,
    "callee_number": TEXT,
    "callee_name": TEXT,
    "callee_transport": "VARCHAR(8)",
    "via": TEXT,
    "via_name": TEXT,
    "result": "VARCHAR(24)",
    "cause": "VARCHAR(24)",
    "status": "INTEGER",
    "reason": TEXT,
    "ended_by": TEXT,
    "relayed": "BOOLEAN",
    "private": "BOOLEAN",
    "node": TEXT,
    "sip_call_id": TEXT,
}
"""Column -> its type in SQL, in the order of `row_of`."""
PERSON_COLUMNS: Final = {
    "history_id": "BIGINT",
    "person": ID,
    "side": "VARCHAR(8)",
    "result": "VARCHAR(24)",
    "started_ms": "BIGINT",
}
"""The same for `people_of`."""

Row = list[object]


def row_of(past: PastCall) -> Row:
    """Return the values of a row. Texts are shortened to their columns, without control characters."""
    call, ending = past.call, past.ending
    return [
        call.id,
        call.customer,
        _ms(call.started_at),
        _ms(call.answered_at) if call.answered_at else None,
        _ms(max(ending.at, call.started_at)),
        _text(dialled(call.dialled or call.callee.number)[-1]),
        *_party(call.caller),
        *_party(call.callee),
        _text(call.via),
        _text(call.via_name),
        result_of(past),
        ending.cause,
        ending.status or None,
        _text(ending.why),
        _text(ending.by),
        bool(call.relay),
        call.is_private,
        _text(call.process.node),
        _text(call.call_id),
    ]


def people_of(past: PastCall, history_id: int) -> list[Row]:
    """Return the rows of the people of a call, whose own row has this number."""
    started = _ms(past.call.started_at)
    return [[history_id, person[:MAX_ID], side, result, started] for person, side, result in parts_of(past)]


def _party(party: Party) -> Row:
    return [
        party.phone[:MAX_ID],
        party.person[:MAX_ID],
        _text(party.number),
        _text(party.name),
        party.transport[:8],
    ]


def _text(value: str) -> str:
    return printable(value, MAX_TEXT)


def _ms(at: float) -> int:
    return round(at * MILLISECONDS)
