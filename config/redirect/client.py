"""The HTTP client of the redirect services: one request, one answer of limited size, within a limited time.

The URLs come from the settings, never from a request of the API, so every address may be asked.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpcore

from .outcome import Unanswered, printable

SECONDS: Final = 10.0
"""Time for a whole request."""
IDLE_SECONDS: Final = 30.0
MAX_CONNECTIONS: Final = 16
"""Each service is asked one request at a time."""
MAX_ANSWER: Final = 1024 * 1024
OK: Final = range(200, 300)
REDIRECTS: Final = range(300, 400)
PASSING: Final = (401, 407, 408, 425, 429)
"""Refusals that are not about a phone: of the account, the clock, or too many requests."""
USER_AGENT: Final = "sip-registrar"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read whole."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Return whether the status is a success."""
        return self.status in OK

    def text(self) -> str:
        """Return the body as text. Raise Unanswered if it is not UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise Unanswered("the answer is not UTF-8") from None

    def json(self) -> object:
        """Return the body as JSON. Raise Unanswered for any other content."""
        try:
            value: object = json.loads(self.text())
        except (ValueError, RecursionError):
            raise Unanswered(f"status {self.status}, and the answer is not JSON") from None
        return value


class Client:
    """A client that keeps connections, follows no redirect, and heeds no proxy of the environment."""

    def __init__(self, tls: ssl.SSLContext | None = None, seconds: float = SECONDS) -> None:
        """`tls` checks the certificates of the services; by default the system's authorities do."""
        self._tls = tls
        self._seconds = seconds
        self._opened: httpcore.AsyncConnectionPool | None = None

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Return the answer. Raise Unanswered without one, or for a status that is about no phone."""
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._ask(method, url, headers or {}, body)
        except TimeoutError:
            raise Unanswered(f"no answer within {self._seconds:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise Unanswered(printable(f"no connection: {str(error) or type(error).__name__}")) from None
        except (ValueError, httpcore.UnsupportedProtocol) as error:
            raise Unanswered(printable(f"the URL cannot be used: {error}")) from None
        if answer.status in REDIRECTS:
            raise Unanswered(f"{answer.status}: redirects are not followed")
        if answer.status in PASSING or answer.status >= 500:
            raise Unanswered(printable(f"status {answer.status} {_hint(answer.status)}"))
        return answer

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.aclose()

    def _pool(self) -> httpcore.AsyncConnectionPool:
        """Return the connections; made at the first use, because reading all certificates takes time."""
        if self._opened is None:
            self._opened = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or ssl.create_default_context(),
                max_connections=MAX_CONNECTIONS,
                keepalive_expiry=IDLE_SECONDS,
            )
        return self._opened

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        sent = {"User-Agent": USER_AGENT, "Accept": "*/*"} | dict(headers)
        async with self._pool().stream(
            method, url, headers=list(sent.items()), content=body or None, extensions={"timeout": limits}
        ) as answer:
            read = bytearray()
            async for part in answer.aiter_stream():
                read += part
                if len(read) > MAX_ANSWER:
                    raise Unanswered(f"the answer is longer than {MAX_ANSWER} octets")
            return Answer(answer.status, bytes(read))


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _hint(status: int) -> str:
    return "(check the credentials, and the clock of this server)" if status == 401 else ""
