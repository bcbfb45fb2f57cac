"""Connection to Redis for the length of a block, for commands and tools.

It is no part of `script_runner`, because that module is compiled, and mypyc has no asynchronous generators.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from .redis_wire import Wire
from .script_runner import WireRunner

OPEN_SECONDS: Final = 2.0


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
