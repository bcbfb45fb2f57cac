"""Client of redis-py for all that is not in the path of a REGISTER: fails quickly and never retries."""

import asyncio
from typing import Any, Final, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MasterDownError, ReadOnlyError, ResponseError

from registrar.collectors import Durations

from .master_pool import MasterPool
from .redis_url import parse_url
from .steady_connection import STEADY

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


def takes_no_writes(error: ResponseError) -> bool:
    """Return whether a server says that it is a replica, or that it lacks the replicas that it needs."""
    return isinstance(error, (ReadOnlyError, MasterDownError)) or str(error).startswith("NOREPLICAS")


class LeavingRedis(Redis):
    """A client that leaves a server which has become a replica: the next command looks for the master.

    A host name may lead to another server by now, as with a service in the cloud.
    """

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Execute one command, as Redis.execute_command does."""
        try:
            # redis-py leaves out the types of this method
            return await super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if takes_no_writes(error):
                await self.connection_pool.disconnect(inuse_connections=False)
            raise

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """See Redis.pipeline."""
        return LeavingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class LeavingPipeline(Pipeline):
    """A pipeline that leaves such a server, too."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """See Pipeline.execute."""
        try:
            return await super().execute(raise_on_error)
        except ResponseError as error:
            if takes_no_writes(error):
                await self.connection_pool.disconnect(inuse_connections=False)
            raise


class MeasuredRedis(LeavingRedis):
    """A client that measures how long each command takes, except commands that wait for something."""

    took: Durations

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Execute one command, as Redis.execute_command does."""
        now = asyncio.get_running_loop().time
        begun = now()
        try:
            return await super().execute_command(*arguments, **options)
        finally:
            if WAITING.isdisjoint(arguments):
                self.took.add(now() - begun)


def connect(url: str, *, errors: str = "strict") -> Redis:
    """Return a client for `url` that connects at its first use; `errors` says how it treats invalid UTF-8.

    Raises ConfigurationError for an invalid URL.
    """
    return _client(LeavingRedis, url, errors)


def connect_measured(url: str) -> MeasuredRedis:
    """Return a client like that of `connect`, which counts in `took`. Raises ConfigurationError."""
    client = _client(MeasuredRedis, url, "strict")
    client.took = Durations()
    return client


Client = TypeVar("Client", bound=LeavingRedis)


def _client(kind: type[Client], url: str, errors: str) -> Client:
    address = parse_url(url)
    address.tls_context()
    # redis-py says that it makes a Redis, and makes one of the class that is asked
    if address.sentinels:
        return cast(Client, kind.from_pool(MasterPool(address, **_options(errors))))
    client = cast(Client, kind.from_url(url, **_options(errors)))
    pool = client.connection_pool
    pool.connection_class = STEADY[pool.connection_class]  # it has made none yet
    return client


def _options(errors: str) -> dict[str, Any]:
    return {
        "decode_responses": True,
        "encoding_errors": errors,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
