"""The results of orders for NOTIFYs, left in Redis for the API requests that wait (docs/redis.md)."""

from registrar.rules.notify import KEPT_SECONDS, Result, result_text

from . import keys
from .script_runner import Runner


class RedisNotified:
    """The lists of results, one for each order that an API request waits for."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def add(self, order: str, result: Result) -> None:
        """Leave the result of an order, and do not wait. Without Redis, the API request gets a timeout."""
        key = keys.notified(order)
        self._runner.command("RPUSH", key, result_text(result))
        self._runner.command("EXPIRE", key, KEPT_SECONDS)
