"""Execution of scripts in Redis: over the connection of the SIP side, or over redis-py."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from registrar.errors import StoreUnavailable

from .redis_wire import Argument, Wire
from .scripts import ALL, Script

AT_ONCE: Final = 8
"""Limit of concurrent scripts over redis-py: each takes a connection."""
OPEN_SECONDS: Final = 2.0
MAX_TOLD: Final = 1_000
"""Limit of queued scripts over redis-py without a waiting caller; further scripts are not run."""

log = logging.getLogger(__name__)


class Runner(Protocol):
    """Executor of scripts and commands in Redis."""

    async def run(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> Any:
        """Run the script, and return its answer. Raises StoreUnavailable."""

    def tell(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> None:
        """Start the script and return at once. Its answer is dropped, and the script itself may be lost."""

    def command(self, *words: Argument) -> None:
        """Start one command like `tell`."""

    async def ask(self, *words: Argument) -> Any:
        """Return the answer to one command. Raises StoreUnavailable."""


class WireRunner:
    """Runner over the wire; implements Runner."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def run(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> Any:
        """See Runner."""
        try:
            return await self._wire.send("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except StoreUnavailable as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        for forgotten in ALL:
            self._wire.tell("SCRIPT", "LOAD", forgotten.text)
        return await self._wire.send("EVAL", script.text, len(keys), *keys, *arguments)

    def tell(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> None:
        """See Runner."""
        self.command("EVALSHA", script.sha, len(keys), *keys, *arguments)

    def command(self, *words: Argument) -> None:
        """See Runner."""
        try:
            self._wire.tell(*words, linger=True)
        except StoreUnavailable as error:
            log.debug("a command was not sent: %s", error)

    async def ask(self, *words: Argument) -> Any:
        """See Runner."""
        return await self._wire.send(*words)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[WireRunner]:
    """Yield a runner over a connection of its own. Raises TimeoutError if Redis is away."""
    wire = Wire(url)
    connection = asyncio.create_task(wire.run())
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await wire.opened.wait()
        yield WireRunner(wire)
    finally:
        connection.cancel()
        wire.close()
        with suppress(asyncio.CancelledError):
            await connection


class ClientRunner:
    """Runner over redis-py; implements Runner."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._told: set[asyncio.Task[None]] = set()

    async def run(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> Any:
        """See Runner."""
        async with self._turns:
            try:
                try:
                    return await self._redis.evalsha(script.sha, len(keys), *keys, *arguments)
                except NoScriptError:
                    return await self._redis.eval(script.text, len(keys), *keys, *arguments)
            except (RedisError, OSError) as error:
                raise StoreUnavailable(f"Redis is away: {type(error).__name__}") from error

    def tell(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> None:
        """See Runner."""
        self._start(self.run(script, keys, *arguments))

    def command(self, *words: Argument) -> None:
        """See Runner."""
        self._start(self.ask(*words))

    async def ask(self, *words: Argument) -> Any:
        """See Runner."""
        try:
            return await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]  # of redis-py
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis is away: {type(error).__name__}") from error

    def _start(self, job: Coroutine[Any, Any, Any]) -> None:
        if len(self._told) >= MAX_TOLD:
            job.close()
            return
        task = asyncio.create_task(_heedless(job))
        self._told.add(task)
        task.add_done_callback(self._told.discard)


async def _heedless(job: Coroutine[Any, Any, Any]) -> None:
    try:
        await job
    except StoreUnavailable as error:
        log.debug("a script was not run: %s", error)
