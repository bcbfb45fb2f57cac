"""Connections of redis-py that report their end as redis-py expects it, under any event loop."""

from collections.abc import Iterable, Mapping
from typing import Final

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)


class Steady(AbstractConnection):
    """A connection that says in redis-py's words when the server has closed it.

    uvloop raises RuntimeError if a transport is written to after its end. redis-py expects OSError: without
    this the error would pass all code that expects a fault of the store, and end the process.
    """

    async def _send_packed_command(self, command: Iterable[bytes]) -> None:
        try:
            await super()._send_packed_command(command)
        except RuntimeError as error:
            raise ConnectionResetError(str(error)) from error


class Tcp(Steady, Connection):
    """Over TCP."""


class Tls(Steady, SSLConnection):
    """Over TLS."""


class Unix(Steady, UnixDomainSocketConnection):
    """Over a socket of this machine."""


STEADY: Final[Mapping[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: Tcp,
    SSLConnection: Tls,
    UnixDomainSocketConnection: Unix,
}
