"""The results of orders for NOTIFYs, left in Redis for the API requests that wait (docs/redis.md)."""

from typing import Final

from registrar.rules.notify import KEPT_SECONDS, Result, result_text

from . import keys
from .script_runner import Runner

ADD: Final = """
-- KEYS list; ARGV result, seconds. One script: a list without an end would stay for ever
redis.call('RPUSH', KEYS[1], ARGV[1])
return redis.call('EXPIRE', KEYS[1], ARGV[2])
"""


class RedisNotified:
    """The lists of results, one for each order that an API request waits for."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def add(self, order: str, result: Result) -> None:
        """Leave the result of an order, and do not wait. Without Redis, the API request gets a timeout."""
        key = keys.notified(order)
        self._runner.command("EVAL", ADD, 1, key, result_text(result), KEPT_SECONDS)
