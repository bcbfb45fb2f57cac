"""What the stores tell of themselves: how long SQL takes, and how many connections it has."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from registrar.metrics import Metrics

from .database import most_connections


def measure(engine: AsyncEngine, metrics: Metrics, name: str, now: Callable[[], float]) -> None:
    """Measure the statements of an engine by the clock `now`, and show its connections, under a name."""
    took, dialect = metrics.sql_seconds.of(name), engine.dialect

    # This event costs two function calls a statement; those before and after the cursor cost ten.
    @event.listens_for(engine.sync_engine, "do_execute")
    def execute(cursor: Any, statement: Any, values: Any, context: Any) -> bool:
        begun = now()
        dialect.do_execute(cursor, statement, values, context)
        seconds = now() - begun
        took.counts[bisect_left(took.bounds, seconds)] += 1  # took.add() without the call
        took.total += seconds
        return True

    pool = engine.sync_engine.pool
    if isinstance(pool, QueuePool):
        metrics.sql_connections.ask(lambda: _connections(pool, name))
        metrics.sql_limit.ask(lambda: {(name,): most_connections(pool)})


def _connections(pool: QueuePool, name: str) -> Mapping[tuple[str, ...], float]:
    return {(name, "used"): pool.checkedout(), (name, "idle"): pool.checkedin()}
