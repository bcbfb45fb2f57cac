"""redis-py for everything that is not on the way of a REGISTER: quick to fail, never retrying by itself."""

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from .redis_wire import parse_url

TIMEOUT_SECONDS: Final = 1.0


def heed_cancellation() -> None:
    """Raise CancelledError when our task was cancelled: redis-py may swallow one that meets its command.

    Every endless loop over redis-py calls this once a round, or a stop may wait for it for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def connect(url: str, *, errors: str = "strict") -> Redis:
    """A client for `url`, connected at its first use; `errors` is how it takes what is not UTF-8.

    Raises ConfigurationError for a URL that is none.
    """
    parse_url(url)
    return Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors=errors,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
