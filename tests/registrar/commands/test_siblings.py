"""What workers tell about themselves, and how it becomes one page."""

import asyncio
import secrets
import socket

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from config.health import Readiness
from registrar.commands import siblings
from registrar.commands.siblings import Told, exposition, merged, readiness

UP = Readiness(True, {"redis": "up", "database": "up"}, ("country file: there is none",))


def text(amount: int) -> bytes:
    registry = CollectorRegistry()
    calls = Counter("calls", "Calls", ["cause"], registry=registry)
    calls.labels('a "b", {c}').inc(amount)
    Counter("plain", "No labels", registry=registry).inc(amount)
    Histogram("took", "Seconds", buckets=(1.0,), registry=registry).observe(amount)
    return generate_latest(registry)


def test_metrics_of_all_processes_are_one_text() -> None:
    families = list(
        text_string_to_metric_families(merged([("api", text(1)), ("1", text(2)), ("2", text(3))]).decode())
    )
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "each metric stands once"
    samples = {
        (sample.name, sample.labels["worker"], sample.labels.get("cause", "")): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert samples["calls_total", "2", 'a "b", {c}'] == 3
    assert [samples["plain_total", worker, ""] for worker in ("api", "1", "2")] == [1, 2, 3]
    assert samples["took_sum", "1", ""] == 2


class Place:
    """A worker that answers, or one that does not read."""

    def __init__(self) -> None:
        self.name = f"registrar-test-{secrets.token_hex(8)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.bind(f"\0{self.name}")
        self.socket.listen()


async def test_what_is_down_at_one_worker_is_down() -> None:
    good, bad, stop = Place(), Place(), asyncio.Event()
    tasks = [
        asyncio.create_task(Told(lambda: ({"sip": "up"}, ()), lambda: text(1)).run(good.socket, stop)),
        asyncio.create_task(
            Told(lambda: ({"sip": "down: not listening yet"}, ("media: none",)), lambda: text(2)).run(
                bad.socket, stop
            )
        ),
    ]
    await asyncio.sleep(0)
    assert await readiness([good.name], UP) == Readiness(True, {**UP.parts, "sip": "up"}, UP.degraded)
    found = await readiness([good.name, bad.name], UP)
    assert (found.ready, found.parts["sip"]) == (False, "down: worker 2: not listening yet")
    assert found.degraded == (*UP.degraded, "media: none")
    shown = await exposition([good.name, bad.name], text(5))
    assert all(f'plain_total{{worker="{who}"}}'.encode() in shown for who in ("api", "1", "2"))
    assert await siblings.ask(good.name, b"other\n") is None
    stop.set()
    await asyncio.gather(*tasks)


async def test_a_worker_that_does_not_answer_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "ASK_SECONDS", 0.05)
    silent = Place()
    with silent.socket:
        found = await readiness([silent.name], UP)
        assert (found.ready, found.parts["sip"]) == (False, "down: worker 1 does not answer")
        assert b'worker="api"' in await exposition([silent.name], text(1))
    gone = await readiness([silent.name], UP)
    assert gone.parts["sip"] == "down: worker 1 does not answer"
