"""The route /pbx/call/history: the calls of the past."""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from registrar.model import CallResult
from registrar.rules.history import MISSED, Side

from ..access import AccessLevel
from ..auth import Caller
from ..checks import moment as read_moment
from ..clock import utc_exact
from ..database import reading
from ..deps import CallerDep, PartsDep
from ..errors import bad_request
from ..operations.audit import parse_oid
from ..operations.history import COUNTED, Asked, PageOfCalls, Past, Place, missed_of, read_history
from ..spreadsheet import MEDIA_TYPE, csv_line
from .paging import DEFAULT_LIMIT, clamped, flag, unknown, word
from .schema import MOMENT, READ, Schema, an_id, answer, array, moment, of, operation, query, some_id, sure
from .shown import OPTIONS, Json, Shown, json_answer, json_of, schema_of

MAX_LIMIT: Final = 1_000
MAX_LINES: Final = 10_000
"""The most rows of a list that is read as lines."""
MAX_OFFSET: Final = 10_000
"""Further down a list is read by `after`."""
BREATH_ROWS: Final = 100
"""Number of rows to write before other tasks run: the same event loop may also serve SIP."""
MAX_NUMBER: Final = 255
FORMATS: Final = ("json", "ndjson", "csv")
DIRECTIONS: Final = {"out": Side.CALLER, "in": Side.CALLEE}
NDJSON: Final = "application/x-ndjson"
SIDES: Final = ("caller", "callee")
_PLACE: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,18})")


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
        sure("boolean", "A call to somebody that nobody answered, and that was not declined", example=False),
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
        "callId", sure("string", "The SIP Call-ID", example="3848276298220188511@192.0.2.7"), "sip_call_id"
    ),
)
"""The properties of a past call; CSV has a column for each, in this order."""
_BY_CALLER: Final = frozenset(line.path for line in _party("caller"))
_CALL: Final = schema_of("Past call", LINES)
_LIST: Final = answer(
    "Past calls",
    {
        "offset": sure("integer", minimum=0),
        "limit": sure("integer", minimum=1),
        "total": of("integer", f"How many match, counted up to {COUNTED}; null on a page by `after`"),
        "next": of(
            "string", "`after` of the next page; null: this is the last one", example="1790000000000-7"
        ),
        "calls": array(_CALL, "The newest first"),
    },
)
_HEADERS: Final[Schema] = {
    "X-Total-Count": {"schema": {"type": "integer"}, "description": "`total`, if it was counted"},
    "Link": {"schema": {"type": "string"}, "description": 'The next page, `rel="next"` (RFC 8288)'},
}
LIST: Final = operation(
    _LIST,
    READ,
    headers=_HEADERS,
    parameters=[
        query("from", "string", "Only calls that began at this time or later", format="date-time"),
        query("to", "string", "Only calls that began before this time", format="date-time"),
        query("number", "string", "Only calls in which it was dialled, or is the number of a side"),
        query("phone", "string", "Only calls of the phone with this id"),
        query("extension", "string", "Only calls of the person with this number, as that person had them"),
        query("direction", "string", "With `extension`, or at level PERSONAL", enum=list(DIRECTIONS)),
        query("missed", "boolean", "Only missed calls", default=False),
        query("result", "string", f"Comma list of {', '.join(CallResult)}"),
        query("customer", "string", "Id of the customer; by default one's own"),
        query("limit", "integer", f"How many rows; up to {MAX_LINES} as ndjson or csv", default=DEFAULT_LIMIT,
              minimum=1, maximum=MAX_LIMIT),
        query("offset", "integer", "Index of the first row", default=0, minimum=0, maximum=MAX_OFFSET),
        query("after", "string", "`next` of the page before"),
        query("format", "string", "By default as Accept says", enum=list(FORMATS)),
    ],
)  # fmt: skip

routes = APIRouter(prefix="/pbx/call", tags=["Calls"])


@routes.get("/history", summary="List past calls", openapi_extra=LIST)
async def history_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the calls that are over, the newest first; at level PERSONAL those of one's own extensions."""
    params = request.query_params
    format = word(params, "format", FORMATS) or _accepted(request.headers.get("accept", ""))
    asked = _read(params, caller, MAX_LIMIT if format == "json" else MAX_LINES)
    async with reading(parts.read_engine) as session:
        page = await read_history(session, caller, asked)
    rows = []
    for place, past in enumerate(page.calls):
        rows.append(_shown(past, caller))
        if place % BREATH_ROWS == 0:
            await asyncio.sleep(0)
    headers = _paging_headers(request, page)
    if format == "json":
        counts: Json = {"offset": asked.offset, "limit": asked.limit, "total": page.total}
        return json_answer(counts | {"next": _place(page), "calls": rows}, headers)
    if format == "ndjson":
        lines = [orjson.dumps(row, option=OPTIONS | orjson.OPT_APPEND_NEWLINE) for row in rows]
        return Response(b"".join(lines) or b"\n", headers=headers, media_type=NDJSON)
    return Response(_csv(rows), headers=headers, media_type=MEDIA_TYPE)


def _shown(past: Past, caller: Caller) -> Json:
    """Return a call as the caller of the API may see it.

    A person is not told who called it anonymously; the staff is.
    """
    is_hidden = caller.level < AccessLevel.VIEWER and past.row.private and past.side is not Side.CALLER
    row = json_of(past, LINES)
    if is_hidden:
        row["caller"] = dict.fromkeys(path.partition(".")[2] for path in _BY_CALLER)
        row["endedBy"] = row["callId"] = None
    return row


def _csv(rows: Sequence[Json]) -> str:
    paths = [line.path for line in LINES]
    lines = [csv_line(paths), *(csv_line([_cell(row, path) for path in paths]) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines)


def _cell(row: Json, path: str) -> str | None:
    value: object = row
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else None
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, option=OPTIONS).decode().strip('"')


def _accepted(accept: str) -> str:
    """Return the format that Accept names first, by default json."""
    for part in accept.lower().split(","):
        kind = part.partition(";")[0].strip()
        if kind in ("text/csv", NDJSON):
            return "csv" if kind == "text/csv" else "ndjson"
        if kind in ("application/json", "*/*"):
            return "json"
    return "json"


def _read(params: QueryParams, caller: Caller, max_limit: int) -> Asked:
    """Return what is asked for. Raise Refused (400) for a value that cannot be read."""
    extension = params.get("extension", "").strip()
    side = DIRECTIONS.get(word(params, "direction", tuple(DIRECTIONS)))
    if side is not None and not extension and caller.level >= AccessLevel.VIEWER:
        raise bad_request("direction is that of a person: name its extension")
    results = _results(params)
    if flag(params, "missed"):
        if side is Side.CALLER:
            raise bad_request("missed calls have the direction in")
        results = missed_of(results)
        side = Side.CALLEE if extension or caller.level < AccessLevel.VIEWER else None
    after = _after(params)
    phone = params.get("phone", "").strip()
    return Asked(
        limit=clamped(params, "limit", DEFAULT_LIMIT, 1, max_limit),
        offset=0 if after else clamped(params, "offset", 0, 0, MAX_OFFSET),
        after=after,
        customer=params.get("customer") or None,
        since_ms=_moment(params, "from"),
        until_ms=_moment(params, "to"),
        number=_number(params, "number"),
        phone=(parse_oid(phone) or phone[:MAX_NUMBER]) if phone else "",
        extension=_number(params, "extension"),
        side=side,
        results=results,
    )


def _number(params: QueryParams, name: str) -> str:
    """Return a number; its text is only compared. Raise Refused (400) if it has a NUL or is too long."""
    sent = params.get(name, "").strip()
    if "\0" in sent or len(sent) > MAX_NUMBER:
        raise unknown(name, "is not a number")
    return sent


def _results(params: QueryParams) -> frozenset[CallResult]:
    words = [part.strip().lower() for part in params.get("result", "").split(",") if part.strip()]
    for one in words:
        if one not in tuple(CallResult):
            raise unknown("result", f"must be a list of {', '.join(CallResult)}")
    return frozenset(map(CallResult, words))


def _moment(params: QueryParams, name: str) -> int | None:
    sent = params.get(name, "").strip()
    if not sent:
        return None
    read = read_moment(sent, "")
    if not isinstance(read, datetime):
        raise unknown(name, "must be a date and time such as 2026-01-31T12:00:00Z")
    return round(read.timestamp() * 1_000)


def _after(params: QueryParams) -> Place | None:
    sent = params.get("after", "").strip()
    if not sent:
        return None
    found = _PLACE.fullmatch(sent)
    if found is None:
        raise unknown("after", "is `next` of a page")
    return Place(int(found[1]), int(found[2]))


def _place(page: PageOfCalls) -> str | None:
    return None if page.next is None else f"{page.next.started_ms}-{page.next.id}"


def _paging_headers(request: Request, page: PageOfCalls) -> dict[str, str]:
    headers = {"Vary": "Accept"}
    if page.total is not None:
        headers["X-Total-Count"] = str(page.total)
    if page.next is not None:
        kept = [
            (name, value)
            for name, value in request.query_params.multi_items()
            if name not in ("after", "offset", "token")
        ]
        query = urlencode([*kept, ("after", _place(page))])
        headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return headers
