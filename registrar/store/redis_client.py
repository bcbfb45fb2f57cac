"""Client of redis-py for all that is not in the path of a REGISTER: fails quickly and never retries."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from registrar.collectors import Durations

from .redis_wire import parse_url

TIMEOUT_SECONDS: Final = 1.0
_R = TypeVar("_R", bound=Redis)


def heed_cancellation() -> None:
    """Raise CancelledError if our task was cancelled: redis-py may swallow a cancellation during a command.

    Call this once a round in every endless loop over redis-py, or a stop may wait for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


WAITING: Final = frozenset({"BLOCK", b"BLOCK"})
"""The word of a command that waits for something, as we write it and as redis-py does."""


class _Steady(AbstractConnection):
    """A connection that says in redis-py's words when the server has closed it.

    uvloop raises RuntimeError if a transport is written to after its end. redis-py expects OSError: without
    this the error would pass all code that expects a fault of the store, and end the process.
    """

    async def _send_packed_command(self, command: Iterable[bytes]) -> None:
        try:
            await super()._send_packed_command(command)
        except RuntimeError as error:
            raise ConnectionResetError(str(error)) from error


class _Tcp(_Steady, Connection):
    pass


class _Tls(_Steady, SSLConnection):
    pass


class _Unix(_Steady, UnixDomainSocketConnection):
    pass


STEADY: Final[Mapping[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


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
    return _steady(Redis.from_url(url, **_options(url, errors)))


def connect_measured(url: str) -> MeasuredRedis:
    """Return a client like that of `connect`, which counts in `took`. Raises ConfigurationError."""
    # redis-py says that it is a Redis, and makes one of the class that is asked
    client: MeasuredRedis = MeasuredRedis.from_url(url, **_options(url, "strict"))  # type: ignore[assignment]
    client.took = Durations()
    return _steady(client)


def _steady(client: _R) -> _R:
    """Let the client make connections that report their end; it has made none yet."""
    pool = client.connection_pool
    pool.connection_class = STEADY[pool.connection_class]
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
