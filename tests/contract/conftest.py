"""The contracts run on the event loop of the product."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

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
