"""config/measured.py: requests are counted by the template of their route, and labels are bounded."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response, StreamingResponse

from config.layers import surround
from registrar.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def app_of(metrics: Metrics) -> FastAPI:
    app = FastAPI()

    @app.get("/thing/{id}")
    async def thing(id: str) -> Response:
        if id == "bad":
            raise ZeroDivisionError
        return Response(id)

    @app.get("/stream")
    async def stream() -> Response:
        def pieces() -> Iterator[bytes]:
            yield b"first"
            assert metrics.registry.get_sample_value("registrar_http_requests_open") == 1
            yield b"second"

        return StreamingResponse(pieces())

    surround(app, metrics, ())
    return app


async def ask(metrics: Metrics, method: str, path: str) -> int:
    transport = httpx.ASGITransport(app_of(metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        return (await client.request(method, path)).status_code


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        pytest.param("GET", "/thing/1", ("GET", "/thing/{id}", "2xx"), id="a route"),
        pytest.param("HEAD", "/thing/1", ("HEAD", "/thing/{id}", "2xx"), id="HEAD"),
        pytest.param(
            "POST", "/thing/1", ("POST", "/thing/{id}", "4xx"), id="a method that the route has not"
        ),
        pytest.param("GET", "/nowhere/7", ("GET", "other", "4xx"), id="no route"),
        pytest.param("BREW", "/nowhere", ("other", "other", "4xx"), id="a method that no one serves"),
        pytest.param("GET", "/thing/bad", ("GET", "/thing/{id}", "5xx"), id="an error of our own"),
        pytest.param("GET", "/stream", ("GET", "/stream", "2xx"), id="a stream"),
    ],
)
async def test_each_request_counts_once(
    metrics: Metrics, method: str, path: str, labels: tuple[str, str, str]
) -> None:
    await ask(metrics, method, path)
    by, route, status = labels
    get = metrics.registry.get_sample_value
    named = {"method": by, "route": route}
    assert get("registrar_http_requests_total", {**named, "status": status}) == 1
    assert get("registrar_http_request_seconds_count", named) == 1
    assert get("registrar_http_requests_open") == 0
    assert metrics.exposition().count(b"registrar_http_requests_total{") == 1
