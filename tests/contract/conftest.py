"""The contracts run on the event loop of the product."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop

from tests.contract.servers import Server, running
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
