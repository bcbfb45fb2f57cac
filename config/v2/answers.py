"""Responses of this dialect: rows as lines, as an array or as CSV; a created row; an empty response.

A list is counted and read in one database snapshot, and sent while it is read.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.types import Receive, Scope, Send

from ..deps import Parts
from ..errors import unavailable
from ..operations.audit import Actor
from ..preconditions import Edition, tagged, with_etag
from ..spreadsheet import MEDIA_TYPE, csv_line
from ..tables import Customer
from .asking import Asked, read_list
from .params import Params
from .rows import MOMENT, Shape, stream_rows

MEDIA: Final = {
    "json": "application/x-ndjson",
    "jsonarray": "application/json",
    "csv": MEDIA_TYPE,
}

AT_ONCE: Final = 500
"""Rows that are read and written at a time; a list that is not longer is not streamed."""

Rows = Sequence[Sequence[object]]
Scoped = Callable[[AsyncSession], Awaitable[Sequence[ColumnElement[bool]]]]
"""Return the condition for the rows that the caller may see. Raise Refused (404) for an unknown path."""


class Lines:
    """A writer of a list, piece by piece, in the format that was asked for."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._is_first = True

    def write(self, rows: Rows, *, is_last: bool) -> bytes:
        """Return the next rows, with the start of the list in the first piece and its end in the last."""
        asked, texts = self._asked, ([_text(value) for value in row] for row in rows)
        if asked.format == "csv":
            lines = [csv_line(values) for values in texts]
        else:
            lines = [_line(dict(zip(asked.names, values, strict=True))) for values in texts]
        is_first, self._is_first = self._is_first, False
        if asked.format == "csv":
            head = [csv_line(asked.names)] if is_first else []
            text = "".join(f"{line}\r\n" for line in (*head, *lines))
        elif asked.format == "jsonarray":
            text = ("[" if is_first else ",") + ",".join(lines) + ("]\n" if is_last else "")
        else:  # a line break ends the list, also an empty one
            text = "".join(f"{line}\n" for line in lines) or "\n"
        return text.encode()


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


def _line(values: Mapping[str, str | None]) -> str:
    return orjson.dumps(values).decode()


def _text(value: object) -> str | None:
    """Return a value as this dialect writes it: all values are strings, or null."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(MOMENT)
    return str(value)


# Lists


async def list_answer(
    request: Request, actor: Actor, parts: Parts, params: Params, shape: Shape, scoped: Scoped
) -> Response:
    """Return the rows that were asked for, all without a `limit`; X-Total-Count is how many match.

    A list as CSV is told to the audit log, as it is taken away. Raise Refused: 400, 404, and 503 if too many
    long lists are being read.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(snapshot(parts.read_engine))
        scope = await scoped(session)
        asked = read_list(params, shape, request.headers.get("accept", ""))
        counted = select(func.count()).select_from(shape.source).where(*scope, *asked.part.conditions)
        total = await session.scalar(counted) or 0  # without offset and limit
        is_csv = asked.format == "csv"
        customer = await _customer_of(session, request, actor) if is_csv else None
        pieces = _pieces(session, shape, asked, scope)
        headers = {"X-Total-Count": str(total), "Vary": "Accept"}
        first, is_all = await anext(pieces)
        if not is_all and parts.streams.locked():
            raise unavailable()
        if is_csv:
            parts.notes.export(actor.columns(), request.url.path, customer, rows=_sent(asked, total))
        if is_all:
            return Response(first, headers=headers, media_type=MEDIA[asked.format])
        await stack.enter_async_context(parts.streams)
        content = _rest(first, pieces, stack.pop_all())
        return Streamed(content, headers=headers, media_type=MEDIA[asked.format])
    raise AssertionError("no context of a list swallows exceptions")


async def _customer_of(session: AsyncSession, request: Request, actor: Actor) -> str | None:
    """Return the customer whose rows a list has: that of the domain in the path, else that of the caller."""
    domain = request.path_params.get("domain")
    if domain is None:
        return actor.caller.customer
    found: str | None = await session.scalar(select(Customer.oid).where(Customer.id == int(domain)))
    return found


def _sent(asked: Asked, total: int) -> int:
    """Return how many rows a list sends of those that match."""
    left, limit = max(total - asked.part.offset, 0), asked.part.limit
    return left if limit is None else min(left, limit)


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Yield a session with one transaction, which sees the database as of its first statement."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # otherwise each statement would see its own snapshot
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with AsyncSession(connection, autoflush=False) as session, session.begin():
            yield session


class Streamed(StreamingResponse):
    """A list that is sent piece by piece. A client that does not read it loses its connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if hasattr(self.body_iterator, "aclose"):  # returns the connection to its pool, sent or not
                await self.body_iterator.aclose()


async def _rest(
    first: bytes, pieces: AsyncIterator[tuple[bytes, bool]], stack: AsyncExitStack
) -> AsyncIterator[bytes]:
    async with stack:
        yield first
        async for piece, _ in pieces:
            yield piece


async def _pieces(
    session: AsyncSession, shape: Shape, asked: Asked, scope: Sequence[ColumnElement[bool]]
) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield the text of the list in pieces, at least one, and whether each piece is the last."""
    lines = Lines(asked)
    waiting: Sequence[Sequence[Any]] | None = None
    async for rows in stream_rows(session, shape, asked.part, AT_ONCE, *scope):
        if waiting is not None:
            yield lines.write(waiting, is_last=False), False
        waiting = rows
        await asyncio.sleep(0)
    yield lines.write(waiting or (), is_last=True), True
