"""Databases of before: their last schema is the new first one, an older one is told what can migrate it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from config.database import FORMER, FORMER_HEAD, _alembic, migrate, schema_problem
from config.tables import Table
from registrar.commands.doctor_stores import check_database
from registrar.errors import ConfigurationError
from registrar.settings import read
from registrar.store.database import connect
from tests.config.world import SECRET_KEY

FORMER_DUMPS = Path(__file__).parent / "former"
FIRST = "schema_0001"
TOO_OLD = (
    "the schema of the database is too old for this program (revision {}): "
    "migrate it with commit f16816d first, the last one that can"
)


async def load_former(url: str) -> AsyncEngine:
    """Make the database that the last six migrations made: on SQLite with 20 phones, on PostgreSQL empty."""
    engine = connect(url)
    dump = (FORMER_DUMPS / f"{engine.dialect.name}.sql").read_text()
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(url.partition("///")[2])) as file:
            file.executescript(dump)
        return engine
    async with engine.begin() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(dump)  # asyncpg: several statements at once
    return engine


def differences(connection: Connection) -> list[object]:
    found = compare_metadata(MigrationContext.configure(connection), Table.metadata)
    return [one for one in found if not is_of_trigrams(one)]


def is_of_trigrams(difference: tuple[Any, ...]) -> bool:
    """Those indexes are PostgreSQL's alone, where it has the extension."""
    return difference[0] == "remove_index" and str(difference[1].name).endswith("_trigrams")


async def put_revision(engine: AsyncEngine, revision: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


async def revision_of(engine: AsyncEngine) -> str:
    async with engine.connect() as connection:
        return str(await connection.scalar(text("SELECT version_num FROM alembic_version")))


async def columns_of(engine: AsyncEngine) -> set[tuple[str, str]]:
    """The tables and views, each with the names of its columns."""

    def collected(connection: Connection) -> set[tuple[str, str]]:
        from sqlalchemy import inspect

        inspector = inspect(connection)
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
        return {(name, column["name"]) for name in names for column in inspector.get_columns(name)}

    async with engine.connect() as connection:
        return await connection.run_sync(collected)


async def test_the_last_schema_of_before_becomes_the_new_first_one(database_url: str) -> None:
    engine = await load_former(database_url)
    before = await columns_of(engine)
    assert await schema_problem(engine) == "the schema of the database is old: run registrar migrate"
    await migrate(engine)
    assert (await revision_of(engine) == FORMER_HEAD, await schema_problem(engine)) == (False, None)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert before <= await columns_of(engine)
    await migrate(engine)
    await engine.dispose()


async def test_a_fresh_database_is_like_the_one_of_before(database_url: str, tmp_path: Path) -> None:
    fresh = connect(database_url)
    await migrate(fresh)
    former = await load_former(f"sqlite+aiosqlite:///{tmp_path}/former.db")
    assert await columns_of(former) <= await columns_of(fresh)
    async with fresh.connect() as connection:
        assert await connection.run_sync(differences) == []
    await fresh.dispose()
    await former.dispose()


async def test_the_views_of_the_first_migration_become_those_of_today(database_url: str) -> None:
    engine = connect(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_alembic(sync), FIRST))
    first = await columns_of(engine)
    await migrate(engine)
    assert await schema_problem(engine) is None
    newest = await columns_of(engine)
    assert first < newest
    views = {name for name, _ in newest - first if name.endswith("_v1")}
    assert views == {"callee_v1", "change_v1", "domain_v1", "member_v1", "phone_v1", "pickup_v1"}
    assert ("phone_v1", "person") in newest
    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []
        await connection.run_sync(lambda sync: command.downgrade(_alembic(sync), FIRST))
    assert await columns_of(engine) == first
    await engine.dispose()


async def test_the_newest_views_can_be_read_in_a_database_of_before(database_url: str) -> None:
    engine = await load_former(database_url)
    await migrate(engine)
    async with engine.connect() as connection:
        phones = (await connection.execute(text("SELECT id, extension_id, person FROM phone_v1"))).all()
        callees = (await connection.execute(text("SELECT kind, ref, is_exclusive FROM callee_v1"))).all()
        await connection.execute(text("SELECT * FROM member_v1"))
    assert all((row.person is None) == (row.extension_id is None) for row in phones)
    assert (len(phones) >= 20 and len(callees) >= 20) == (engine.dialect.name == "sqlite")
    await engine.dispose()


@pytest.mark.parametrize("revision", FORMER)
async def test_an_older_schema_is_told_which_commit_can_migrate_it(database_url: str, revision: str) -> None:
    engine = await load_former(database_url)
    await put_revision(engine, revision)
    assert await schema_problem(engine) == TOO_OLD.format(revision)
    with pytest.raises(ConfigurationError) as refused:
        await migrate(engine)
    assert str(refused.value) == f"REGISTRAR_DATABASE_URL: {TOO_OLD.format(revision)}"
    assert await revision_of(engine) == revision
    await engine.dispose()


async def test_an_unknown_schema_is_a_newer_one(database_url: str) -> None:
    engine = await load_former(database_url)
    await put_revision(engine, "future")
    newer = "the schema of the database is newer than this program (revision future)"
    assert await schema_problem(engine) == newer
    with pytest.raises(ConfigurationError, match="newer than this program"):
        await migrate(engine)
    assert await revision_of(engine) == "future"
    await engine.dispose()


@pytest.mark.parametrize(
    ("revision", "finding"),
    [
        pytest.param(
            "0003",
            "FAIL: the schema of the database is too old for this program (revision 0003)"
            " -> migrate it with commit f16816d first, the last one that can",
            id="older",
        ),
        pytest.param(
            "future",
            "FAIL: the schema of the database is newer than this program (revision future)"
            " -> install the version that made it, or a newer one",
            id="unknown",
        ),
    ],
)
async def test_the_doctor_says_what_to_do(database_url: str, revision: str, finding: str) -> None:
    engine = await load_former(database_url)
    await put_revision(engine, revision)
    await engine.dispose()
    settings = read({"REGISTRAR_DATABASE_URL": database_url, "REGISTRAR_SECRET_KEY": SECRET_KEY})
    found = (await check_database(settings, Path("/nowhere")))[0]
    said = found.detail[found.detail.index("the schema") :]
    assert f"{found.level}: {said} -> {found.advice}" == finding


def test_the_fixture_is_of_the_last_revision_of_before() -> None:
    for dump in FORMER_DUMPS.glob("*.sql"):
        assert f"VALUES('{FORMER_HEAD}')" in dump.read_text().replace(" ('", "('")
