"""Connections of redis-py to the master that the sentinels name.

redis-py has a pool for this, too. It asks the sentinels one after the other and believes the first, takes a
replica for the master, and stays at a master that was cut off from its sentinels.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError

from registrar.errors import StoreUnavailable

from .redis_url import CA, Address
from .sentinels import Sentinels
from .steady_connection import Tcp, Tls

MASTER: Final = ("master", b"master")


class MasterConnection(Tcp):
    """A connection that looks for the master each time it is opened."""

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        """Create it closed; `options` are those of redis-py."""
        self._sentinels = sentinels
        super().__init__(**options)

    async def _connect(self) -> None:
        try:
            self.host, self.port = await self._sentinels.master()
        except StoreUnavailable as error:
            raise NoConnection(str(error)) from error
        await super()._connect()  # type: ignore[no-untyped-call]  # of redis-py

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """See Connection. A master that was just made a replica may still be known as the master."""
        await super().on_connect_check_health(check_health)
        await self.send_command("ROLE")
        role = await self.read_response()
        if role[0] not in MASTER:
            raise NoConnection(f"{self.host}:{self.port} is a replica")


class TlsMasterConnection(MasterConnection, Tls):
    """The same over TLS."""


class MasterPool(ConnectionPool):
    """A pool that leaves a server which is no longer the master."""

    def __init__(self, address: Address, **options: Any) -> None:
        """Create the pool; nothing is opened before its first use. Raises ConfigurationError."""
        self._sentinels = Sentinels(address)
        self._watch: asyncio.Task[None] | None = None
        tls: dict[str, Any] = {CA: address.authority or None} if address.tls else {}
        super().__init__(
            connection_class=TlsMasterConnection if address.tls else MasterConnection,
            sentinels=self._sentinels,
            username=address.username or None,
            password=address.password or None,
            db=address.database,
            **tls,
            **options,
        )

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """See ConnectionPool. The first one begins the watch, because a client is made outside of a loop."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._sentinels.watch(self._leave))
        return await super().get_connection()  # type: ignore[no-untyped-call]  # of redis-py

    async def _leave(self) -> None:
        """Close all connections: those that wait for messages, too.

        redis-py raises an error if a server that is gone does not answer the end of TLS.
        """
        with suppress(RedisError, OSError):
            await self.disconnect()

    async def aclose(self) -> None:
        """See ConnectionPool."""
        if self._watch is not None:
            self._watch.cancel()
        await super().aclose()
