"""Connections to the SQL database: SQLite in the data directory, or PostgreSQL by URL."""

import asyncio
import contextlib
import importlib
import math
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from registrar.errors import ConfigurationError

BUSY_SECONDS: Final = 5.0
"""How long a writer of SQLite waits for another one."""
TURN_SECONDS: Final = 10
"""How long a writer of SQLite waits for those before it, while another program has the file."""
READ_BUSY_SECONDS: Final = 0.25
"""How long a reader waits: an earlier read may be believed, or the client tries again."""
SQL_TIMEOUT_SECONDS: Final = 5.0
MAX_OVERFLOW: Final = 10
"""How many connections a pool may have beyond those that it keeps."""
IDLE_SECONDS: Final = 30.0
"""After this idle time a device between us and PostgreSQL may have dropped a connection."""
USED: Final = "used"
"""The key under which a pooled connection notes when it was given back."""


def connect(url: str, *, read_only: bool = False) -> AsyncEngine:
    """Return an engine for `url`. Readers of SQLite never wait for writers; writers queue (BEGIN IMMEDIATE).

    Errors do not contain the parameters of their statement, because errors are logged. Raises
    ConfigurationError for an invalid URL, or for a database that is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError("REGISTRAR_DATABASE_URL is not a database URL") from None
    if parsed.drivername == "sqlite+aiosqlite":
        return _sqlite(url, read_only=read_only)
    if parsed.drivername == "postgresql+asyncpg":
        return _postgresql(url, read_only=read_only)
    raise ConfigurationError(
        "REGISTRAR_DATABASE_URL must begin with sqlite+aiosqlite:// or postgresql+asyncpg://, "
        f"not {parsed.drivername}://"
    )


def _sqlite(url: str, *, read_only: bool) -> AsyncEngine:
    """Return an engine for SQLite. Its writers take turns at one connection.

    With a connection each, they would ask SQLite again and again whether the other one is done. The one that
    comes last asks least, so that some of forty would wait for longer than BUSY_SECONDS, and fail.
    """
    if read_only:
        patience = READ_BUSY_SECONDS
        connections = {"max_overflow": MAX_OVERFLOW}
    else:
        patience = BUSY_SECONDS
        connections = {"pool_size": 1, "max_overflow": 0, "pool_timeout": TURN_SECONDS}
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": patience}, **connections)
    _speak_sqlite(engine, "BEGIN" if read_only else "BEGIN IMMEDIATE")
    return engine


def most_connections(pool: QueuePool) -> int:
    """Return how many connections a pool may have."""
    return pool.size() + (MAX_OVERFLOW if pool.size() > 1 else 0)


def _postgresql(url: str, *, read_only: bool) -> AsyncEngine:
    """Return an engine for PostgreSQL. A reader begins and ends no transaction.

    It sees what is committed, statement by statement, as it would inside a transaction. BEGIN and COMMIT
    would take most of the time of a small query.
    """
    limits = {"timeout": SQL_TIMEOUT_SECONDS, "command_timeout": SQL_TIMEOUT_SECONDS}
    try:
        engine = create_async_engine(
            url,
            hide_parameters=True,
            pool_size=10,
            max_overflow=MAX_OVERFLOW,
            isolation_level="AUTOCOMMIT" if read_only else "READ COMMITTED",
            connect_args={**limits, "async_creator_fn": _opened},
        )
    except ModuleNotFoundError:
        raise ConfigurationError(
            "REGISTRAR_DATABASE_URL names PostgreSQL: pip install 'sip-registrar[postgres]'"
        ) from None
    _look_before_use(engine)
    return engine


async def _opened(*arguments: Any, **options: Any) -> Any:
    """Return an open connection of asyncpg, which is imported if it is there.

    If the URL names several servers and wants one that takes writes (`target_session_attrs`), there may be
    none during a failover. That is a fault of the store like a server that is away.
    """
    asyncpg = importlib.import_module("asyncpg")
    try:
        return await asyncpg.connect(*arguments, **options)
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionError(str(error)) from error


def _look_before_use(engine: AsyncEngine) -> None:
    """Make the pool hand out working connections only.

    A connection that the server has closed is known to be closed. Only a connection that was idle for long is
    pinged.
    """

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, record: Any, _proxy: object) -> None:
        idle = asyncio.get_running_loop().time() - record.info.get(USED, math.inf)
        if connection.driver_connection.is_closed() or (idle > IDLE_SECONDS and not answers(connection)):
            raise InvalidatePoolError

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        with contextlib.suppress(RuntimeError):  # there is no event loop when the program ends
            record.info[USED] = asyncio.get_running_loop().time()

    def answers(connection: Any) -> bool:
        try:
            return engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            return False


def _speak_sqlite(engine: AsyncEngine, begin: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we send BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.cursor().execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
