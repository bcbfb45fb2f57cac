"""Lists of this dialect: counted and read in one database snapshot, and sent while they are read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.types import Receive, Scope, Send

from ..deps import Parts
from ..errors import unavailable
from .answers import MEDIA, Lines
from .asking import Asked, read_list
from .params import Params
from .rows import Shape, count_rows, stream_rows

AT_ONCE: Final = 500
"""Rows that are read and written at a time; a list that is not longer is not streamed."""

Scoped = Callable[[AsyncSession], Awaitable[Sequence[ColumnElement[bool]]]]
"""Return the condition for the rows that the caller may see. Raise Refused (404) for an unknown path."""


async def list_answer(
    request: Request, parts: Parts, params: Params, shape: Shape, scoped: Scoped
) -> Response:
    """Return the rows that were asked for, all without a `limit`; X-Total-Count is how many match.

    Raise Refused: 400, 404, and 503 if too many long lists are being read.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(snapshot(parts.read_engine))
        scope = await scoped(session)
        asked = read_list(params, shape, request.headers.get("accept", ""))
        total = await count_rows(session, shape, asked.part, *scope)
        pieces = _pieces(session, shape, asked, scope)
        headers = {"X-Total-Count": str(total), "Vary": "Accept"}
        first, is_all = await anext(pieces)
        if is_all:
            return Response(first, headers=headers, media_type=MEDIA[asked.format])
        if parts.streams.locked():
            raise unavailable()
        await stack.enter_async_context(parts.streams)
        content = _rest(first, pieces, stack.pop_all())
        return Streamed(content, headers=headers, media_type=MEDIA[asked.format])
    raise AssertionError("no context of a list swallows exceptions")


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
            await self.close()

    async def close(self) -> None:
        """Return the database connection to its pool, whether the list was sent or not."""
        iterator = self.body_iterator
        if hasattr(iterator, "aclose"):
            await iterator.aclose()


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
