"""Answers of this dialect: rows as lines, as an array or as CSV; what was made; nothing at all."""

import asyncio
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import Row

from .asking import Asked
from .rows import MOMENT

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula, and runs it (OWASP, CSV injection)."""
AT_ONCE: Final = 500
"""So many rows are written without a break: other requests wait for no more."""
MEDIA: Final = {
    "json": "application/x-ndjson",
    "jsonarray": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
}

Rows = Sequence[Row[*tuple[Any, ...]]]


async def rows_answer(asked: Asked, rows: Rows) -> Response:
    """A list in the format that was asked for."""
    pieces = []
    for start in range(0, len(rows), AT_ONCE):
        pieces.append(list(_written(asked, rows[start : start + AT_ONCE])))
        await asyncio.sleep(0)
    lines = [line for piece in pieces for line in piece]
    return Response(_joined(asked, lines), media_type=MEDIA[asked.format])


def row_answer(asked: Asked, row: Row[*tuple[Any, ...]]) -> Response:
    """A single row."""
    media = MEDIA["jsonarray" if asked.format == "json" else asked.format]
    return Response(_joined(asked, list(_written(asked, [row]))), media_type=media)


def created(request: Request, **ids: str) -> Response:
    """201: the ids of what was made; the first of them leads to it."""
    place = f"{request.scope['path']}/{next(iter(ids.values()))}"
    return Response(
        _line(ids) + "\n", status_code=201, headers={"Location": place}, media_type="application/json"
    )


def nothing() -> Response:
    """204: it is done."""
    return Response(status_code=204)


def _written(asked: Asked, rows: Rows) -> Iterator[str]:
    """Each row as one line, without its end."""
    for row in rows:
        values = [_text(value) for value in row]
        if asked.format == "csv":
            yield _csv(values)
        else:
            yield _line(dict(zip(asked.names, values, strict=True)))


def _joined(asked: Asked, lines: list[str]) -> str:
    match asked.format:
        case "csv":
            return "".join(f"{line}\r\n" for line in (_csv(asked.names), *lines))
        case "jsonarray":
            return f"[{','.join(lines)}]\n"
    return "\n".join(lines) + "\n"


def _line(values: Mapping[str, str | None]) -> str:
    return orjson.dumps(values).decode()


def _csv(values: Sequence[str | None]) -> str:
    """RFC 4180; what is not there is an empty cell. An apostrophe marks what looks like a formula as text."""
    line = io.StringIO()
    cells = (f"'{value}" if value is not None and value.startswith(FORMULA) else value for value in values)
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # it quotes the characters of its own line end
    return line.getvalue().removesuffix("\r\n")


def _text(value: object) -> str | None:
    """A value as this dialect writes it: everything is a text, what is not there is null."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(MOMENT)
    return str(value)
