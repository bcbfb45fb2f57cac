"""registrar/store/measured.py: what statements take, and the connections of a pool."""

import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from registrar.metrics import Metrics
from registrar.store import database
from registrar.store.measured import measure


async def test_statements_are_measured_and_connections_shown(tmp_path: Path) -> None:
    metrics, engine = (
        Metrics(),
        database.connect(f"sqlite+aiosqlite:///{tmp_path / 'a.sqlite'}", read_only=True),
    )
    measure(engine, metrics, "read", time.perf_counter)

    def of(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"registrar_sql_{name}", {"engine": "read", **labels})

    assert (of("seconds_count"), of("connections_limit")) == (0, 15)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        assert (of("connections", state="used"), of("connections", state="idle")) == (1, 0)
        begun = of("seconds_count")
        with pytest.raises(OperationalError):
            await connection.execute(text("SELECT * FROM nowhere"))
        assert of("seconds_count") == begun, "a statement that failed has no duration"
    assert (of("connections", state="used"), of("connections", state="idle")) == (0, 1)
    assert begun is not None and begun >= 1
    assert 0 < (of("seconds_sum") or 0) < 1
    await engine.dispose()
