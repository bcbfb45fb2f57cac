"""What the stores tell of themselves: how long SQL takes, and how many connections it has."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from registrar.metrics import Metrics
from registrar.model import Mono

from .database import MAX_OVERFLOW

BEGUN: Final = "registrar_begun"
"""The attribute of an execution that holds when its statement was sent."""


def measure(engine: AsyncEngine, metrics: Metrics, name: str, now: Callable[[], Mono]) -> None:
    """Measure the statements of an engine, and show its connections, under a name."""
    took = metrics.sql_seconds.of(name)

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(_connection: Any, _cursor: Any, _sql: Any, _values: Any, context: Any, _many: Any) -> None:
        setattr(context, BEGUN, now())

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, _sql: Any, _values: Any, context: Any, _many: Any) -> None:
        took.add(now() - getattr(context, BEGUN))

    pool = engine.sync_engine.pool
    if isinstance(pool, QueuePool):
        metrics.sql_connections.ask(lambda: _connections(pool, name))
        metrics.sql_limit.ask(lambda: {(name,): pool.size() + MAX_OVERFLOW})


def _connections(pool: QueuePool, name: str) -> Mapping[tuple[str, ...], float]:
    return {(name, "used"): pool.checkedout(), (name, "idle"): pool.checkedin()}
