"""Connections to the SQL database: SQLite in the data directory, or PostgreSQL by URL."""

import asyncio
import contextlib
import math
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from registrar.errors import ConfigurationError

BUSY_SECONDS: Final = 5.0
"""How long a writer of SQLite waits for another one."""
READ_BUSY_SECONDS: Final = 0.25
"""How long a reader waits: what was read before may be believed, or its caller comes back."""
SQL_TIMEOUT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
"""After so long somebody between us and PostgreSQL may have forgotten a connection."""
USED: Final = "used"
"""Where a connection of the pool says when it was given back."""


def connect(url: str, *, read_only: bool = False) -> AsyncEngine:
    """An engine for `url`. Readers of SQLite never wait for writers; writers queue (BEGIN IMMEDIATE).

    No error tells the parameters of its statement: errors go into the log.
    Raises ConfigurationError for a URL that is none, or of a database that we do not know.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError("REGISTRAR_DATABASE_URL is not a database URL") from None
    if parsed.drivername == "sqlite+aiosqlite":
        patience = READ_BUSY_SECONDS if read_only else BUSY_SECONDS
        engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": patience})
        _speak_sqlite(engine, "BEGIN" if read_only else "BEGIN IMMEDIATE")
        return engine
    if parsed.drivername == "postgresql+asyncpg":
        return _postgresql(url, read_only=read_only)
    raise ConfigurationError(
        "REGISTRAR_DATABASE_URL must begin with sqlite+aiosqlite:// or postgresql+asyncpg://, "
        f"not {parsed.drivername}://"
    )


def _postgresql(url: str, *, read_only: bool) -> AsyncEngine:
    """Readers see what is committed, statement by statement, as they would inside a transaction: so none is
    begun and ended for them, which is most of the time of a small question.
    """
    try:
        engine = create_async_engine(
            url,
            hide_parameters=True,
            pool_size=10,
            max_overflow=10,
            isolation_level="AUTOCOMMIT" if read_only else "READ COMMITTED",
            connect_args={"timeout": SQL_TIMEOUT_SECONDS, "command_timeout": SQL_TIMEOUT_SECONDS},
        )
    except ModuleNotFoundError:
        raise ConfigurationError(
            "REGISTRAR_DATABASE_URL names PostgreSQL: pip install 'sip-registrar[postgres]'"
        ) from None
    _look_before_use(engine)
    return engine


def _look_before_use(engine: AsyncEngine) -> None:
    """Whoever takes a connection from the pool gets one that stands.

    One that the server has closed is known to be; only one that was idle for long is asked.
    """

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, record: Any, _proxy: object) -> None:
        idle = asyncio.get_running_loop().time() - record.info.get(USED, math.inf)
        if connection.driver_connection.is_closed() or (idle > IDLE_SECONDS and not answers(connection)):
            raise InvalidatePoolError

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        with contextlib.suppress(RuntimeError):  # no loop any more: the program ends
            record.info[USED] = asyncio.get_running_loop().time()

    def answers(connection: Any) -> bool:
        try:
            return engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            return False


def _speak_sqlite(engine: AsyncEngine, begin: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.cursor().execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
