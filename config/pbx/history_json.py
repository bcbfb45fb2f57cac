"""A past call as JSON and as a line of CSV: what each viewer sees of it."""

from collections.abc import Sequence
from typing import Final

import orjson

from registrar.model import CallResult
from registrar.rules.history import MISSED, Side

from ..access import AccessLevel
from ..clock import utc_exact
from ..operations.history import Past
from ..spreadsheet import csv_line
from .schema import MOMENT, Schema, an_id, moment, of, sample, some_id, sure
from .shown import OPTIONS, Json, Shown, json_of, nested, schema_of


def _seconds(begin: int | None, end: int | None) -> float | None:
    return None if begin is None or end is None else max(end - begin, 0) / 1_000


def _text(name: str, schema: Schema, column: str = "") -> Shown[Past]:
    """Return a property whose empty text is null."""
    return Shown(name, schema, lambda past: getattr(past.row, column or name) or None)


def _time(name: str, column: str, schema: Schema) -> Shown[Past]:
    def value(past: Past) -> object:
        at = getattr(past.row, column)
        return None if at is None else utc_exact(at / 1_000)

    return Shown(name, schema, value)


def _party(side: str) -> Sequence[Shown[Past]]:
    return (
        _text(
            f"{side}.phone", some_id("Id of the phone; of a callee null unless one answered"), f"{side}_phone"
        ),
        _text(f"{side}.extension", some_id("Id of the extension"), f"{side}_person"),
        _text(f"{side}.number", of("string", "Extension", example="200"), f"{side}_number"),
        _text(f"{side}.name", of("string", example="Anna"), f"{side}_name"),
        _text(
            f"{side}.transport", of("string", "udp, tcp, tls, ws or wss", example="wss"), f"{side}_transport"
        ),
    )


LINES: Final[Sequence[Shown[Past]]] = (
    _text("_id", sure("string", "Id of the call", pattern="^[0-9a-f]{32}$", example="0" * 32), "call"),
    _text("customer", an_id("Id of the customer")),
    _time("startedAt", "started_ms", MOMENT),
    _time("answeredAt", "answered_ms", moment("null: no phone answered")),
    _time("endedAt", "ended_ms", MOMENT),
    _text("dialled", of("string", "The number that was dialled", example="200")),
    Shown(
        "direction",
        of("string", "Of the person whose calls are listed; else null", enum=["in", "out"]),
        lambda past: None if past.side is None else "out" if past.side is Side.CALLER else "in",
    ),
    Shown(
        "result",
        sure("string", "What became of it", enum=[*CallResult], example="answered"),
        lambda past: past.result,
    ),
    Shown(
        "missed",
        sure("boolean", "Not answered, and not declined; false for the person that called", example=False),
        lambda past: past.side is not Side.CALLER and past.result in MISSED,
    ),
    *_party("caller"),
    *_party("callee"),
    _text("via.number", of("string", "Number of the group or queue that was called"), "via"),
    _text("via.name", of("string", "Its name"), "via_name"),
    _text("cause", sure("string", "`reason` of the event `call-ended`", example="hung-up")),
    _text("status", of("integer", "The final SIP answer, unless the call was answered", example=486)),
    _text("reason", of("string", "What was wrong", example="Busy Here")),
    _text("endedBy", of("string", "Number of a party, `api`, or a node"), "ended_by"),
    Shown(
        "ringSeconds",
        sure("number", "Until the answer, or the end", example=4.2),
        lambda past: _seconds(past.row.started_ms, past.row.answered_ms or past.row.ended_ms),
    ),
    Shown(
        "talkSeconds",
        of("number", "null: no phone answered", example=61.5),
        lambda past: _seconds(past.row.answered_ms, past.row.ended_ms),
    ),
    Shown(
        "media",
        of("string", "`relayed` by us, or `direct`; null: there was none", enum=["relayed", "direct"]),
        lambda past: None if past.row.answered_ms is None else "relayed" if past.row.relayed else "direct",
    ),
    Shown(
        "private",
        sure("boolean", "The caller withheld its identity from the callee", example=False),
        lambda past: bool(past.row.private),
    ),
    _text("node", sure("string", "The process that had it", example="sip-1-5060")),
    _text(
        "callId",
        of(
            "string",
            "The SIP Call-ID; null if the caller is not shown",
            example="3848276298220188511@192.0.2.7",
        ),
        "sip_call_id",
    ),
)
"""The properties of a past call; CSV has a column for each, in this order."""
_BY_CALLER: Final = frozenset(line.path for line in _party("caller"))
CALL: Final = schema_of("Past call", LINES)
EXAMPLE: Final[Json] = nested({line.path: sample(line.schema) for line in LINES})
_PATHS: Final = [line.path for line in LINES]
CSV_HEAD: Final = csv_line(_PATHS) + "\r\n"


def past_json(past: Past, level: AccessLevel) -> Json:
    """Return a call as a viewer of this level may see it.

    A person is not told who called it anonymously; the staff is.
    """
    is_hidden = level < AccessLevel.VIEWER and past.row.private and past.side is not Side.CALLER
    row = json_of(past, LINES)
    if is_hidden:
        row["caller"] = dict.fromkeys(path.partition(".")[2] for path in _BY_CALLER)
        row["endedBy"] = row["callId"] = None
    return row


def json_line(row: Json) -> bytes:
    """Return a call as one line of JSON."""
    return orjson.dumps(row, option=OPTIONS | orjson.OPT_APPEND_NEWLINE)


def csv_row(row: Json) -> str:
    """Return a call as one line of CSV."""
    return csv_line([_cell(row, path) for path in _PATHS]) + "\r\n"


def _cell(row: Json, path: str) -> str | None:
    value: object = row
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else None
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, option=OPTIONS).decode().strip('"')
