"""registrar/store/database.py on PostgreSQL: whoever takes a connection gets one that stands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.store import database
from tests.peers.postgresql import PostgresServer

pytestmark = pytest.mark.wire

WHO = text("SELECT pg_backend_pid()")


@asynccontextmanager
async def connected(server: PostgresServer, *, read_only: bool) -> AsyncIterator[AsyncEngine]:
    engine = database.connect(server.url(), read_only=read_only)
    try:
        yield engine
    finally:
        await engine.dispose()


async def who(engine: AsyncEngine) -> int:
    """The process of the server that answers."""
    async with engine.connect() as connection:
        return int((await connection.execute(WHO)).scalar_one())


@pytest.mark.parametrize("read_only", [True, False], ids=["reader", "writer"])
async def test_a_connection_that_the_server_closed_is_not_used(
    postgres: PostgresServer, *, read_only: bool
) -> None:
    async with connected(postgres, read_only=read_only) as engine:
        first = await who(engine)
        assert await who(engine) == first
        postgres.sql(f"SELECT pg_terminate_backend({first}, 5000)")
        await asyncio.sleep(0.05)  # our loop has blocked until here
        assert await who(engine) != first


async def test_a_connection_that_was_idle_for_long_is_asked_first(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_SECONDS", -1.0)
    async with connected(postgres, read_only=False) as engine:
        first = await who(engine)
        assert await who(engine) == first


@pytest.mark.parametrize(
    ("read_only", "state"), [(True, "idle"), (False, "idle in transaction")], ids=["reader", "writer"]
)
async def test_a_reader_begins_no_transaction(
    postgres: PostgresServer, *, read_only: bool, state: str
) -> None:
    async with connected(postgres, read_only=read_only) as engine, engine.connect() as connection:
        pid = (await connection.execute(WHO)).scalar_one()
        assert postgres.sql(f"SELECT state FROM pg_stat_activity WHERE pid = {pid}") == [[state]]


async def test_an_error_of_a_statement_leaves_the_connection_usable(postgres: PostgresServer) -> None:
    async with connected(postgres, read_only=True) as engine:
        first = await who(engine)
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT 1 / 0"))
        assert await who(engine) == first
