"""Client of redis-py for all that is not in the path of a REGISTER: fails quickly and never retries."""

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from .redis_wire import parse_url

TIMEOUT_SECONDS: Final = 1.0


def heed_cancellation() -> None:
    """Raise CancelledError if our task was cancelled: redis-py may swallow a cancellation during a command.

    Call this once a round in every endless loop over redis-py, or a stop may wait for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def connect(url: str, *, errors: str = "strict") -> Redis:
    """Return a client for `url` that connects at its first use; `errors` says how it treats invalid UTF-8.

    Raises ConfigurationError for an invalid URL.
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
