"""registrar/store/database.py on PostgreSQL: whoever takes a connection gets one that stands."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.store import database
from tests.peers.postgresql import PostgresServer

pytestmark = pytest.mark.wire

KILL = text("SELECT pg_terminate_backend(:pid)")
WHO = text("SELECT pg_backend_pid()")


async def who(engine: AsyncEngine) -> int:
    """The process of the server that answers."""
    async with engine.connect() as connection:
        return int((await connection.execute(WHO)).scalar_one())


@pytest.mark.parametrize("read_only", [True, False], ids=["reader", "writer"])
async def test_a_connection_that_the_server_closed_is_not_used(
    postgres: PostgresServer, read_only: bool
) -> None:
    engine, killer = database.connect(postgres.url(), read_only=read_only), database.connect(postgres.url())
    first = await who(engine)
    assert await who(engine) == first
    async with killer.begin() as connection:
        await connection.execute(KILL, {"pid": first})
    assert await who(engine) != first
    await engine.dispose()
    await killer.dispose()


async def test_a_connection_that_was_idle_for_long_is_asked_first(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_SECONDS", -1.0)
    engine = database.connect(postgres.url())
    first = await who(engine)
    assert await who(engine) == first
    await engine.dispose()


async def test_a_reader_begins_no_transaction(postgres: PostgresServer) -> None:
    reader, writer = database.connect(postgres.url(), read_only=True), database.connect(postgres.url())
    begun = text("SELECT now() = statement_timestamp()")  # `now` stands still inside a transaction
    for engine, answers in ((reader, [True, True]), (writer, [True, False])):
        async with engine.connect() as connection:
            found = [(await connection.execute(begun)).scalar_one() for _ in range(2)]
        assert found == answers
        await engine.dispose()


async def test_an_error_of_a_statement_leaves_the_connection_usable(postgres: PostgresServer) -> None:
    engine = database.connect(postgres.url(), read_only=True)
    first = await who(engine)
    with pytest.raises(DBAPIError):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1 / 0"))
    assert await who(engine) == first
    await engine.dispose()
