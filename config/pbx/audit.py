"""The route /audit: who did what to what, and what was there before and after."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from ..checks import moment as read_moment
from ..database import reading
from ..deps import ActorDep, PartsDep
from ..operations.audit import parse_oid
from ..operations.trail import Asked, read_trail
from ..spreadsheet import MEDIA_TYPE, csv_line
from ..words import unknown
from .paging import DEFAULT_LIMIT, clamped, word
from .schema import MOMENT, READ, answer, array, of, operation, query, some_id, sure
from .shown import Json, json_answer

MAX_LIMIT: Final = 1_000
MAX_LINES: Final = 10_000
"""The most rows of a list that is read as CSV."""
MAX_WORD: Final = 64
FORMATS: Final = ("json", "csv")

_VALUES: Final = {"type": "object", "additionalProperties": True}
_ROW: Final = answer(
    "Audit row",
    {
        "_id": sure("integer", "Number of the row", example=4711),
        "at": {**MOMENT, "description": "With milliseconds"},
        "action": sure("string", "What was done", example="update"),
        "type": sure("string", "The table of the object", example="sip_phone"),
        "object": some_id("Id of the object"),
        "name": of("string", "Name of an object without an id", example="anna@example.com"),
        "customer": some_id("The customer of the object; null: it belongs to none"),
        "employee": some_id("Who did it; null: a token of no person, a command, or this service itself"),
        "employeeName": of("string", example="Anna Andersen"),
        "accessLevel": sure(
            "string", "Of the caller; SYSTEM: this service; PHONE: a feature code", example="MANAGER"
        ),
        "via": sure(
            "string", "With which token, login or command", example="session:5f0c2e9b7a1d4c3e8b6f0a12"
        ),
        "ip": of("string", "From where", example="192.0.2.7"),
        "before": {**_VALUES, "description": "Columns before the change; a secret is `secret`"},
        "after": {**_VALUES, "description": "Columns after it; a new secret is `changed`"},
        "parts": array(_VALUES, "What became of parts without an id, such as softkeys"),
        "seq": of("integer", "Place in the chain; null: not chained yet, at most some seconds"),
        "hash": of("string", "SHA-256 of the row and of the hash before it"),
    },
)
LIST: Final = operation(
    answer(
        "Audit rows",
        {
            "limit": sure("integer", minimum=1),
            "next": of("integer", "`after` of the next page; null: this is the last one"),
            "rows": array(_ROW, "The newest first"),
        },
    ),
    READ,
    also={"text/csv": {"schema": sure("string", "RFC 4180"), "example": "_id,at,action\r\n"}},
    parameters=[
        query("customer", "string", "Id of the customer, or `all`; by default one's own"),
        query("object", "string", "Only rows about the object with this id"),
        query("employee", "string", "Only what this person did"),
        query("action", "string", "Only rows with this action"),
        query("type", "string", "Only rows about objects of this table"),
        query("from", "string", "Only rows from this time on", format="date-time"),
        query("to", "string", "Only rows before this time", format="date-time"),
        query("limit", "integer", f"How many rows; up to {MAX_LINES} as csv", default=DEFAULT_LIMIT,
              minimum=1, maximum=MAX_LIMIT),
        query("after", "integer", "`next` of the page before"),
        query("format", "string", "json by default", enum=list(FORMATS)),
    ],
)  # fmt: skip
HEAD: Final = (
    *("_id", "at", "action", "type", "object", "name", "customer", "employee", "employeeName", "accessLevel"),
    *("via", "ip", "before", "after", "parts", "seq", "hash"),
)

routes = APIRouter(prefix="/audit", tags=["Audit log"])


@routes.get("", summary="List what was done", openapi_extra=LIST)
async def list_route(request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """Return the rows of the audit log, the newest first."""
    params = request.query_params
    is_csv = word(params, "format", FORMATS) == "csv"
    asked = _read(params, MAX_LINES if is_csv else MAX_LIMIT)
    async with reading(parts.read_engine) as session:
        found, following = await read_trail(session, actor.caller, asked)
    rows = [_json(row._asdict()) for row in found]
    headers = _next_page(request, following)
    if not is_csv:
        return json_answer({"limit": asked.limit, "next": following, "rows": rows}, headers)
    parts.notes.export(actor.columns(), request.url.path, actor.caller.customer, rows=len(rows))
    lines = [csv_line(HEAD), *(csv_line([_cell(row[name]) for name in HEAD]) for row in rows)]
    return Response("".join(f"{line}\r\n" for line in lines), headers=headers, media_type=MEDIA_TYPE)


def _read(params: QueryParams, max_limit: int) -> Asked:
    """Return what is asked for. Raise Refused (400) for a value that cannot be read."""
    after = params.get("after", "").strip()
    return Asked(
        limit=clamped(params, "limit", DEFAULT_LIMIT, 1, max_limit),
        after=clamped(params, "after", 0, 0, 2**63 - 1) if after else None,
        customer=params.get("customer") or None,
        object=_id(params, "object"),
        employee=_id(params, "employee"),
        action=_word(params, "action"),
        type=_word(params, "type"),
        since=_moment(params, "from"),
        until=_moment(params, "to"),
    )


def _id(params: QueryParams, name: str) -> str:
    sent = params.get(name, "").strip()
    oid = parse_oid(sent)
    if sent and oid is None:
        raise unknown(name, "must be an id of 24 hex digits")
    return oid or ""


def _word(params: QueryParams, name: str) -> str:
    sent = params.get(name, "").strip()
    if "\0" in sent or len(sent) > MAX_WORD:
        raise unknown(name, "has a NUL, or is too long")
    return sent


def _moment(params: QueryParams, name: str) -> datetime | None:
    sent = params.get(name, "").strip()
    read = read_moment(sent, "") if sent else None
    if sent and not isinstance(read, datetime):
        raise unknown(name, "must be a date and time such as 2026-01-31T12:00:00Z")
    return read if isinstance(read, datetime) else None


def _json(row: Mapping[str, Any]) -> Json:
    changes = json.loads(row["changes"] or "{}")
    return {
        "_id": row["id"],
        "at": row["at"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "action": row["action"],
        "type": row["table_name"],
        "object": row["row_oid"] or None,
        "name": row["named"],
        "customer": row["customer"],
        "employee": row["actor"],
        "employeeName": row["person"],
        "accessLevel": row["actor_level"],
        "via": row["via"],
        "ip": row["source_ip"] or None,
        "before": changes.get("before", {}),
        "after": changes.get("after", {}),
        "parts": [*changes.get("parts", ()), *_omitted(changes)],
        "seq": row["seq"],
        "hash": row["hash"],
    }


def _omitted(changes: Mapping[str, Any]) -> list[Json]:
    """Return a part for each table of which too many rows were changed to tell them one by one."""
    return [{"table": table, "rows": count} for table, count in changes.get("omitted", {}).items()]


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)


def _next_page(request: Request, following: int | None) -> dict[str, str]:
    if following is None:
        return {}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    query = urlencode([*kept, ("after", following)])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
