"""registrar/store/database.py on PostgreSQL: whoever takes a connection gets one that stands."""

import asyncio
import contextlib
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


async def test_of_two_servers_the_one_that_takes_writes_is_used() -> None:
    """While there is none, that is a fault of the store, as its absence is."""
    with PostgresServer() as primary, primary.standby() as standby:
        hosts = [f"host=127.0.0.1:{server.port}" for server in (standby, primary)]
        engine = database.connect(
            f"postgresql+asyncpg://postgres@/postgres?{'&'.join(hosts)}&target_session_attrs=read-write"
        )
        assert await port(engine) == primary.port
        primary.kill9()
        with contextlib.suppress(DBAPIError, OSError):  # its connection may not have heard of it yet
            await port(engine)
        with pytest.raises(OSError):  # asyncpg names both servers, or the last one alone
            await port(engine)
        lonely = database.connect(standby.url() + "?target_session_attrs=read-write")
        with pytest.raises(OSError, match="read-write"):
            await port(lonely)
        standby.promote()
        assert [await port(one) for one in (engine, lonely)] == [standby.port] * 2
        await engine.dispose()
        await lonely.dispose()


async def port(engine: AsyncEngine) -> int:
    """Where the server listens that answers."""
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT inet_server_port()"))).scalar_one())
