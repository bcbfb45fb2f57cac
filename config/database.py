"""The schema and its migrations, and the two ways to work with the database: reading and writing."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import ConfigurationError
from registrar.store.vault import Vault

from .operations.models import add_missing_models
from .tables import Installation

ATTEMPTS: Final = 10
"""How often a writer tries that lost a race for a unique value: the next try finds the winner's row."""
PAUSE_SECONDS: Final = 0.02
"""Times a random number, times the tries so far: losers that all come back at once would all lose again."""
LOST_RACES: Final = ("40P01", "40001")
"""What PostgreSQL calls a deadlock, and a transaction that cannot be put in line with another one."""
MIGRATION_LOCK: Final = 7_225_201
"""Number of the advisory lock of PostgreSQL under which one process migrates."""

Result = TypeVar("Result")


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to the newest version; several processes may do so at once.

    All of it is one transaction: SQLite lets one writer in (BEGIN IMMEDIATE), PostgreSQL has a lock for it.
    """
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        await connection.run_sync(_upgrade)
        await add_missing_models(connection)


async def schema_problem(engine: AsyncEngine) -> str | None:
    """One line that says what is wrong with the schema, None when it is the newest."""
    async with engine.connect() as connection:
        revision = await connection.run_sync(_revision)
    scripts = ScriptDirectory.from_config(_alembic())
    if revision == scripts.get_current_head():
        return None
    if revision is None:
        return "the database has no schema yet: run registrar migrate"
    if revision in {script.revision for script in scripts.walk_revisions()}:
        return "the schema of the database is old: run registrar migrate"
    return f"the schema of the database is newer than this program (revision {revision})"


async def check_fingerprint(engine: AsyncEngine, vault: Vault) -> None:
    """Make sure that the passwords in the database can be opened; the first process leaves its mark.

    Raises ConfigurationError when another secret key made this database.
    """

    async def compare(session: AsyncSession) -> str:
        row = await session.get(Installation, 1)
        if row is None:
            row = Installation(id=1, secret_fingerprint=vault.fingerprint)
            session.add(row)
        return row.secret_fingerprint

    if await writing(engine, compare) != vault.fingerprint:
        raise ConfigurationError("REGISTRAR_SECRET_KEY is not the key this database was made with")


async def stored_fingerprint(engine: AsyncEngine) -> str | None:
    """The mark of the secret key this database was made with; None when nobody has left one."""
    async with reading(engine) as session:
        row = await session.get(Installation, 1)
    return None if row is None else row.secret_fingerprint


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction that only reads; what it read stays usable afterwards."""
    async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session, session.begin():
        yield session


async def writing(engine: AsyncEngine, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    """Do `work` in one transaction; it is done again when another writer took a unique value meanwhile.

    So `work` must check for itself what is taken: its second try finds it and can say so. It is done again,
    too, when PostgreSQL gave it up so that two writers need not wait for each other forever.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return await _write_once(engine, work)
        except DBAPIError as error:
            if not _is_lost_race(error):
                raise
            await asyncio.sleep(PAUSE_SECONDS * attempt * random.random())
    return await _write_once(engine, work)


def _is_lost_race(error: DBAPIError) -> bool:
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in LOST_RACES


async def _write_once(engine: AsyncEngine, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        return await work(session)


def _alembic(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "config:migrations")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(_alembic(connection), "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
