"""Client of redis-py for all that is not in the path of a REGISTER: fails quickly and never retries."""

import asyncio
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from registrar.collectors import Durations

from .redis_wire import parse_url

TIMEOUT_SECONDS: Final = 1.0


def heed_cancellation() -> None:
    """Raise CancelledError if our task was cancelled: redis-py may swallow a cancellation during a command.

    Call this once a round in every endless loop over redis-py, or a stop may wait for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


WAITING: Final = frozenset({"BLOCK", b"BLOCK"})
"""The word of a command that waits for something, as we write it and as redis-py does."""


class MeasuredRedis(Redis):
    """A client that measures how long each command takes, except commands that wait for something."""

    took: Durations

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Execute one command, as Redis.execute_command does."""
        now = asyncio.get_running_loop().time
        begun = now()
        try:
            # redis-py leaves out the types of this method
            return await super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        finally:
            if WAITING.isdisjoint(arguments):
                self.took.add(now() - begun)


def connect(url: str, *, errors: str = "strict") -> Redis:
    """Return a client for `url` that connects at its first use; `errors` says how it treats invalid UTF-8.

    Raises ConfigurationError for an invalid URL.
    """
    return Redis.from_url(url, **_options(url, errors))


def connect_measured(url: str) -> MeasuredRedis:
    """Return a client like that of `connect`, which counts in `took`. Raises ConfigurationError."""
    # redis-py says that it is a Redis, and makes one of the class that is asked
    client: MeasuredRedis = MeasuredRedis.from_url(url, **_options(url, "strict"))  # type: ignore[assignment]
    client.took = Durations()
    return client


def _options(url: str, errors: str) -> dict[str, Any]:
    parse_url(url)
    return {
        "decode_responses": True,
        "encoding_errors": errors,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
