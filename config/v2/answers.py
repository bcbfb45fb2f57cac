"""Responses of this dialect: rows as lines, as an array or as CSV; a created row; an empty response."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import orjson
from fastapi import Request
from fastapi.responses import Response

from ..preconditions import Edition, tagged, with_etag
from .asking import Asked
from .rows import MOMENT

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins with one of these as a formula (OWASP, CSV injection)."""
MEDIA: Final = {
    "json": "application/x-ndjson",
    "jsonarray": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
}

Rows = Sequence[Sequence[object]]


class Lines:
    """A writer of a list, piece by piece, in the format that was asked for."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._is_first = True

    def write(self, rows: Rows, *, is_last: bool) -> bytes:
        """Return the next rows, with the start of the list in the first piece and its end in the last."""
        lines = list(_written(self._asked, rows))
        is_first, self._is_first = self._is_first, False
        return self._joined(lines, is_first=is_first, is_last=is_last).encode()

    def _joined(self, lines: list[str], *, is_first: bool, is_last: bool) -> str:
        match self._asked.format:
            case "csv":
                head = [_csv(self._asked.names)] if is_first else []
                return "".join(f"{line}\r\n" for line in (*head, *lines))
            case "jsonarray":
                text = ("[" if is_first else ",") + ",".join(lines)
                return text + ("]\n" if is_last else "")
        # A line break ends the list, also an empty one.
        return "".join(f"{line}\n" for line in lines) or "\n"


def row_answer(request: Request, asked: Asked, row: Sequence[object], edition: Edition) -> Response:
    """Return a single row with its ETag, or 304."""
    return tagged(request, _one(asked, row), edition)


def live_row_answer(asked: Asked, row: Sequence[object], edition: Edition, *, is_known: bool) -> Response:
    """Return a single row that has live values, with its ETag; `is_known`: Redis has answered."""
    answer = _one(asked, row)
    if not is_known:
        answer.headers["X-Status"] = "unavailable"
    return with_etag(answer, edition)


def _one(asked: Asked, row: Sequence[object]) -> Response:
    media = MEDIA["jsonarray" if asked.format == "json" else asked.format]
    return Response(Lines(asked).write([row], is_last=True), media_type=media)


def created(request: Request, **ids: str) -> Response:
    """Return a 201 with the ids of the created row; Location is the path with the first id."""
    place = f"{request.scope['path']}/{next(iter(ids.values()))}"
    return Response(
        _line(ids) + "\n", status_code=201, headers={"Location": place}, media_type="application/json"
    )


def nothing() -> Response:
    """Return a 204 without a body."""
    return Response(status_code=204)


def _written(asked: Asked, rows: Rows) -> Iterator[str]:
    """Yield each row as one line, without its line break."""
    for row in rows:
        values = [_text(value) for value in row]
        if asked.format == "csv":
            yield _csv(values)
        else:
            yield _line(dict(zip(asked.names, values, strict=True)))


def _line(values: Mapping[str, str | None]) -> str:
    return orjson.dumps(values).decode()


def _csv(values: Sequence[str | None]) -> str:
    """Return a CSV line (RFC 4180); None is an empty cell, and an apostrophe marks a formula as text."""
    line = io.StringIO()
    cells = (f"'{value}" if value is not None and value.startswith(FORMULA) else value for value in values)
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # csv quotes the characters of its lineterminator
    return line.getvalue().removesuffix("\r\n")


def _text(value: object) -> str | None:
    """Return a value as this dialect writes it: all values are strings, or null."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(MOMENT)
    return str(value)
