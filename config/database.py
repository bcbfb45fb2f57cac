"""The schema and its migrations, and the two ways to use the database: reading and writing."""

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
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import ConfigurationError, StoreUnavailable
from registrar.store.vault import Vault

from .models import seed_models
from .tables import Installation

ATTEMPTS: Final = 10
"""How often a writer tries that lost a race for a unique value. Its next try finds the winner's row."""
PAUSE_SECONDS: Final = 0.02
"""Multiplied by a random number and the number of tries, so that the losers do not all retry at once."""
LOST_RACES: Final = ("40P01", "40001")
"""SQLSTATEs of PostgreSQL: a deadlock, and a transaction that cannot be serialised."""
MIGRATION_LOCK: Final = 7_225_201
"""Number of the advisory lock of PostgreSQL that a process holds while it migrates."""
FORMER_HEAD: Final = "0006"
"""The last of the revisions that one migration replaces; both make the same schema."""
FORMER: Final = ("0001", "0002", "0003", "0004", "0005")
LAST_COMMIT: Final = "f16816d"
"""The last commit that has the migrations from the revisions in FORMER."""

STORE_ERRORS: Final = (StoreUnavailable, DBAPIError, PoolTimeout, OSError)
"""The errors when a store is away. PostgreSQL raises a bare DBAPIError while it shuts down."""
OUR_ERRORS: Final = (IntegrityError, DataError, ProgrammingError)
"""The DBAPIErrors that show a fault in our code: the same request would fail again."""

Result = TypeVar("Result")


async def migrate(engine: AsyncEngine) -> None:
    """Migrate the schema to the newest version. Several processes may call this at once.

    It is one transaction: SQLite admits one writer (BEGIN IMMEDIATE), PostgreSQL has a lock for it. Raise
    ConfigurationError if no migration leads from the schema to the newest one.
    """
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        await connection.run_sync(_upgrade)
        await seed_models(connection)


async def schema_problem(engine: AsyncEngine) -> str | None:
    """Return one line about what is wrong with the schema, or None if it is the newest."""
    async with engine.connect() as connection:
        revision = await connection.run_sync(_revision)
    scripts = ScriptDirectory.from_config(_alembic())
    if revision == scripts.get_current_head():
        return None
    if revision is None:
        return "the database has no schema yet: run registrar migrate"
    return _dead_end(revision) or "the schema of the database is old: run registrar migrate"


def _dead_end(revision: str | None) -> str | None:
    """Return one line about a schema that this program cannot migrate, or None if it can."""
    if revision in FORMER:
        return (
            f"the schema of the database is too old for this program (revision {revision}): "
            f"migrate it with commit {LAST_COMMIT} first, the last one that can"
        )
    known = {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}
    if revision in (None, FORMER_HEAD, *known):
        return None
    return f"the schema of the database is newer than this program (revision {revision})"


async def check_fingerprint(engine: AsyncEngine, vault: Vault) -> None:
    """Check that the passwords in the database can be decrypted. The first process stores its fingerprint.

    Raise ConfigurationError if none of the vault's keys is the one that seals in this database.
    """

    async def compare(session: AsyncSession) -> str:
        row = await session.get(Installation, 1)
        if row is None:
            row = Installation(id=1, secret_fingerprint=vault.fingerprint)
            session.add(row)
        return row.secret_fingerprint

    if await writing(engine, compare) not in vault.keys.names:
        raise ConfigurationError("REGISTRAR_SECRET_KEY is not the key this database was made with")


async def stored_fingerprint(engine: AsyncEngine) -> str | None:
    """Return the fingerprint of the secret key that seals in this database, or None if it has none yet."""
    async with reading(engine) as session:
        row = await session.get(Installation, 1)
    return None if row is None else row.secret_fingerprint


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Yield a session for one transaction that only reads. Its objects stay usable afterwards."""
    async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session, session.begin():
        yield session


async def writing(engine: AsyncEngine, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    """Do `work` in one transaction, and repeat it if another writer took a unique value meanwhile.

    `work` must check itself which values are taken, because its second try finds them and can report them. It
    is also repeated if PostgreSQL aborted it because of a deadlock or a serialisation failure.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                return await work(session)
        except DBAPIError as error:
            lost = isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in LOST_RACES
            if not lost or attempt == ATTEMPTS:
                raise
            await asyncio.sleep(PAUSE_SECONDS * attempt * random.random())


def _alembic(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "config:migrations")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    revision = _revision(connection)
    problem = _dead_end(revision)
    if problem is not None:
        raise ConfigurationError(f"REGISTRAR_DATABASE_URL: {problem}")
    if revision == FORMER_HEAD:
        command.stamp(_alembic(connection), "schema_0001", purge=True)
    command.upgrade(_alembic(connection), "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
