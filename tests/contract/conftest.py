"""The contracts run on the event loop of the product."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from config.database import migrate
from registrar.store.database import connect
from tests.contract.servers import Server, running
from tests.peers.postgresql import PostgresServer
from tests.peers.process import lacking

KINDS = [
    pytest.param("valkey", id="valkey-unix", marks=pytest.mark.wire),
    pytest.param(
        "redis",
        id="redis-tcp",
        marks=[
            pytest.mark.wire,
            pytest.mark.skipif(bool(lacking("redis-server", "redis-cli")), reason="no redis-server here"),
        ],
    ),
]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param) as started:
        yield started


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.wire)])
def backend(request: pytest.FixtureRequest) -> str:
    """The directory is read from either."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without a schema."""
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/phones.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


async def _migrate(url: str) -> None:
    engine = connect(url)
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the newest schema, made once; each test gets a copy."""
    path = tmp_path_factory.mktemp("migrated") / "phones.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgres: PostgresServer) -> str:
    """The name of the same on PostgreSQL: one database, rewound after each test."""
    name = postgres.create()
    asyncio.run(_migrate(postgres.url(name)))
    postgres.remember(name)
    return name


@pytest.fixture
def migrated_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with the newest schema and no rows but the models."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "phones.db")
        yield f"sqlite+aiosqlite:///{tmp_path}/phones.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = request.getfixturevalue("migrated_postgresql")
    yield server.url(name)
    server.rewind(name)
