"""Writers of SQLite in one process: they take turns at one connection, in the order in which they came."""

import asyncio
from pathlib import Path

from sqlalchemy import event, text

from registrar.store import database

WRITERS = 30


async def test_writers_take_turns_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite+aiosqlite:///{tmp_path}/turns.sqlite")
    opened: list[object] = []
    event.listen(engine.sync_engine, "connect", lambda connection, _record: opened.append(connection))
    done: list[int] = []
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE turn (number INTEGER)"))

    async def write(number: int) -> None:
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO turn VALUES (:number)"), {"number": number})
            done.append(number)

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    async with engine.connect() as connection:
        stored = (await connection.execute(text("SELECT number FROM turn ORDER BY rowid"))).scalars().all()
    await engine.dispose()
    assert done == stored == list(range(WRITERS))
    assert len(opened) == 1


async def test_readers_have_a_connection_each(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite+aiosqlite:///{tmp_path}/readers.sqlite", read_only=True)
    async with engine.connect() as one, engine.connect() as other:
        assert (await one.execute(text("SELECT 1"))).scalar_one() == 1
        assert (await other.execute(text("SELECT 2"))).scalar_one() == 2
    await engine.dispose()
