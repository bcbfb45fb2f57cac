"""config/monitoring.py: the pages of the SIP side, which has no API."""

from typing import Final

import httpx
import pytest

from config.guard import Guard
from config.health import Readiness
from config.monitoring import monitoring_app
from registrar.metrics import Metrics
from registrar.store.database import connect
from registrar.store.keyring import Keyring

GUARD: Final = Guard(
    connect("sqlite+aiosqlite:///no-file-is-opened.sqlite"),
    Keyring("a secret of JWTs, long enough for all"),
    (),
)


async def page(
    path: str, *, ready: bool = True, method: str = "GET", peer: str = "127.0.0.1"
) -> httpx.Response:
    async def readiness() -> Readiness:
        return Readiness(ready, {"redis": "up" if ready else "down: away"}, ("country file",))

    metrics = Metrics()

    async def exposition() -> bytes:
        return metrics.exposition()

    app = monitoring_app(readiness, metrics, exposition, (), GUARD)
    transport = httpx.ASGITransport(app, client=(peer, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://node.test") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_readiness_is_shown(path: str) -> None:
    good, bad = await page(path), await page(path, ready=False)
    assert (good.status_code, good.json()["parts"]) == (200, {"redis": "up"})
    assert (bad.status_code, bad.json()["ready"]) == (503, False)


async def test_metrics_are_shown() -> None:
    shown = await page("/metrics")
    assert shown.headers["content-type"].startswith("text/plain")
    assert "\nregistrar_calls_open 0.0\n" in shown.text


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/pbx/sipphone", "/auth/login", "/phone"])
async def test_there_is_no_other_page(path: str) -> None:
    assert (await page(path)).status_code == 404


async def test_nothing_can_be_changed() -> None:
    assert (await page("/metrics", method="POST")).status_code == 405
    assert (await page("/health", method="HEAD")).status_code == 200


async def test_another_machine_sees_one_word_and_no_figures() -> None:
    good, bad = (
        await page("/health/ready", peer="192.0.2.7"),
        await page("/health", ready=False, peer="192.0.2.7"),
    )
    assert (good.status_code, good.json()) == (200, {"ready": True})
    assert (bad.status_code, bad.json()) == (503, {"ready": False})
    assert (await page("/metrics", peer="192.0.2.7")).status_code == 401
    assert (await page("/metrics", peer="::1")).status_code == 200
