"""The route /pbx/call/history: the calls of the past."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from registrar.model import CallResult
from registrar.rules.history import Side

from ..access import AccessLevel
from ..auth import Caller
from ..checks import moment as read_moment
from ..database import reading
from ..deps import ActorDep, PartsDep
from ..errors import bad_request
from ..operations.audit import parse_oid
from ..operations.history import COUNTED, Asked, PageOfCalls, Place, missed_of, read_history
from ..spreadsheet import MEDIA_TYPE
from ..words import unknown
from .history_json import CALL, CSV_HEAD, EXAMPLE, csv_row, json_line, past_json
from .paging import DEFAULT_LIMIT, clamped, flag, word
from .schema import READ, Schema, answer, array, of, operation, query, sure
from .shown import Json, json_answer

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
Item = TypeVar("Item")
Written = TypeVar("Written")
_PLACE: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,18})")


_LIST: Final = answer(
    "Past calls",
    {
        "offset": sure("integer", minimum=0),
        "limit": sure("integer", minimum=1),
        "total": of("integer", f"How many match, counted up to {COUNTED}; null on a page by `after`"),
        "next": of(
            "string", "`after` of the next page; null: this is the last one", example="1790000000000-7"
        ),
        "calls": array(CALL, "The newest first"),
    },
)
_HEADERS: Final[Schema] = {
    "X-Total-Count": {"schema": {"type": "integer"}, "description": "`total`, if it was counted"},
    "Link": {"schema": {"type": "string"}, "description": 'The next page, `rel="next"` (RFC 8288)'},
}
_AS_LINES: Final[Schema] = {
    NDJSON: {"schema": sure("string", "One call a line"), "example": json_line(EXAMPLE).decode()},
    "text/csv": {"schema": sure("string", "RFC 4180"), "example": CSV_HEAD + csv_row(EXAMPLE)},
}
LIST: Final = operation(
    _LIST,
    READ,
    headers=_HEADERS,
    also=_AS_LINES,
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
async def history_route(request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """Return the calls that are over, the newest first; at level PERSONAL those of one's own extensions."""
    params, caller = request.query_params, actor.caller
    format = word(params, "format", FORMATS) or _accepted(request.headers.get("accept", ""))
    asked = _read(params, caller, MAX_LIMIT if format == "json" else MAX_LINES)
    async with reading(parts.read_engine) as session:
        page = await read_history(session, caller, asked)
    rows = await _breathing(page.calls, lambda past: past_json(past, caller.level))
    headers = _paging_headers(request, page)
    if format == "json":
        counts: Json = {"offset": asked.offset, "limit": asked.limit, "total": page.total}
        return json_answer(counts | {"next": _place(page), "calls": rows}, headers)
    told = {"format": format, "rows": len(rows), "wanted": asked.customer}
    parts.notes.export(actor.columns(), request.url.path, caller.customer, **told)
    if format == "ndjson":
        lines = await _breathing(rows, json_line)
        return Response(b"".join(lines) or b"\n", headers=headers, media_type=NDJSON)
    table = [CSV_HEAD, *await _breathing(rows, csv_row)]
    return Response("".join(table), headers=headers, media_type=MEDIA_TYPE)


async def _breathing(items: Sequence[Item], write: Callable[[Item], Written]) -> list[Written]:
    """Return what `write` makes of each item; other tasks run in between, as the list may be long."""
    written = []
    for start in range(0, len(items), BREATH_ROWS):
        written += [write(item) for item in items[start : start + BREATH_ROWS]]
        await asyncio.sleep(0)
    return written


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
    phone = _text(params, "phone")
    return Asked(
        limit=clamped(params, "limit", DEFAULT_LIMIT, 1, max_limit),
        offset=0 if after else clamped(params, "offset", 0, 0, MAX_OFFSET),
        after=after,
        customer=params.get("customer") or None,
        since_ms=_moment(params, "from"),
        until_ms=_moment(params, "to"),
        number=_text(params, "number"),
        phone=parse_oid(phone) or phone,
        extension=_text(params, "extension"),
        side=side,
        results=results,
    )


def _text(params: QueryParams, name: str) -> str:
    """Return a number or an id; it is only compared. Raise Refused (400) if it has a NUL or is too long."""
    sent = params.get(name, "").strip()
    if "\0" in sent or len(sent) > MAX_NUMBER:
        raise unknown(name, "has a NUL, or is too long")
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
