"""Sends one message to a web server: the connection goes to the very address that was checked."""

import asyncio
import logging
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import httpcore

from registrar.model import IpNetwork

from .. import clock
from .addresses import Forbidden, Names, Unresolved
from .message import clean
from .shares import Shares

SECONDS: Final = 15.0
"""Time for a whole request, as Standard Webhooks recommends (15 to 30 s)."""
CONNECT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
MAX_CONNECTIONS: Final = 128
"""Requests at the same time, and connections: one idle connection is closed for each new one beyond that."""
PER_CUSTOMER: Final = 32
"""Requests of one customer at the same time: four web servers at full speed, or its 20 webhooks."""
MAX_ANSWER: Final = 16 * 1024
"""Octets of an answer that are read, so that the connection can be used again. Their content is ignored."""
MAX_ERROR: Final = 200
OK: Final = range(200, 300)
REDIRECTS: Final = range(300, 400)

ASKING: Final[ContextVar[str]] = ContextVar("asking")
"""The customer whose message is being sent: httpcore connects in the task of the request."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one try."""

    status: int | None
    error: str
    """Empty: the message was accepted."""
    milliseconds: int


class Checked(httpcore.AsyncNetworkBackend):
    """A network where a name is resolved once, and only addresses that may be asked are connected to."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to the first address of the host that answers. TLS checks the name later."""
        failed: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in await self._names.addresses_of(host, port, ASKING.get()):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError("the name has no address")


class Sender:
    """A client that keeps connections. It follows no redirect, and heeds no proxy of the environment.

    Take a permit from `shares` before each request, and give it back after it: then no request waits for a
    connection, and the time that a web server has is its own.
    """

    def __init__(self, private: Sequence[IpNetwork] = (), tls: ssl.SSLContext | None = None) -> None:
        """`private` are networks that may be asked although private."""
        self.shares = Shares(MAX_CONNECTIONS, PER_CUSTOMER)
        self.names = Names(private, self.shares)
        self._tls = tls
        self._opened: httpcore.AsyncConnectionPool | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: str, customer: str) -> Outcome:
        """Send a message of a customer, and return what came of it; no error is raised."""
        ASKING.set(customer)
        begun = clock.mono_now()
        status, error = None, ""
        try:
            async with asyncio.timeout(SECONDS):
                status = await self._ask(url, headers, body)
        except TimeoutError:
            error = f"no answer within {SECONDS:g} s"
        except (Forbidden, Unresolved) as refused:
            error = str(refused)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as failed:
            error = f"no connection: {str(failed) or type(failed).__name__}"
        except (ValueError, httpcore.UnsupportedProtocol) as failed:
            error = f"the URL cannot be used: {failed}"
        except Exception as failed:  # one message must not end the process that also serves the phones
            log.exception("a message to a webhook could not be made")
            error = f"the message cannot be made: {type(failed).__name__}"
        else:
            error = _error_of(status)
        return Outcome(status, clean(error, MAX_ERROR), round((clock.mono_now() - begun) * 1000))

    async def close(self) -> None:
        """Close all connections."""
        self.names.close()
        if self._opened is not None:
            await self._opened.aclose()

    def _pool(self) -> httpcore.AsyncConnectionPool:
        """Return the connections; made at the first use, because reading all certificates takes time."""
        if self._opened is None:
            self._opened = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or ssl.create_default_context(),
                max_connections=MAX_CONNECTIONS,
                keepalive_expiry=IDLE_SECONDS,
                network_backend=Checked(self.names),
            )
        return self._opened

    async def _ask(self, url: str, headers: Mapping[str, str], body: str) -> int:
        timeouts = {"connect": CONNECT_SECONDS, "read": SECONDS, "write": SECONDS, "pool": SECONDS}
        async with self._pool().stream(
            "POST",
            url,
            headers=list(headers.items()),
            content=body.encode(),
            extensions={"timeout": timeouts},
        ) as answer:
            octets = 0
            async for part in answer.aiter_stream():
                octets += len(part)
                if octets > MAX_ANSWER:
                    break
            status: int = answer.status
            return status


def _error_of(status: int) -> str:
    if status in OK:
        return ""
    return f"{status}: redirects are not followed" if status in REDIRECTS else f"status {status}"
