"""The listener for phones: an ASGI application of its own, which serves files and nothing of the API."""

import logging
from collections.abc import Sequence

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from registrar.metrics import Metrics
from registrar.model import IpNetwork

from .. import clock
from ..database import OUR_ERRORS, STORE_ERRORS
from ..errors import Refused
from ..places import Place
from ..request import is_proxy, place_of, source_address
from .answers import AWAY, BAD_REQUEST, BUSY, METHODS, NOT_ALLOWED, NOT_FOUND, Answer, Asked
from .news import Asker
from .paths import Named, parse_path, without_secret
from .service import Service

log = logging.getLogger(__name__)


class PhoneFiles:
    """The application of the listener for phones."""

    def __init__(
        self, service: Service, trusted: Sequence[IpNetwork], metrics: Metrics, base: str = ""
    ) -> None:
        """`trusted` are the proxies whose X-Forwarded-For and X-Forwarded-Proto are used.

        `base` is the path of the URL that phones are told, without a slash at its end.
        """
        self._service = service
        self._metrics = metrics
        self._base = base
        self._trusted = trusted

    async def close(self) -> None:
        """Give back the connection to the database."""
        await self._service.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        connection, begun = HTTPConnection(scope), clock.exactly()
        method, place = scope["method"], place_of(connection)
        named = parse_path(scope.get("raw_path") or scope["path"].encode(), self._base)
        try:
            answer = await self._answer(connection, method, place, named)
            level = logging.DEBUG if answer is NOT_FOUND else logging.INFO
            log.log(level, "%s %s: %d", method, without_secret(named), answer.status)
            self._metrics.prov_requests(answer.outcome)
            self._metrics.prov_seconds.of(answer.outcome).add(clock.exactly() - begun)
            await answer.send(method, send)
        finally:
            if place is not None:
                place.answered()

    async def _answer(
        self, connection: HTTPConnection, method: str, place: Place | None, named: Named | None
    ) -> Answer:
        if method not in METHODS:
            return NOT_ALLOWED
        try:
            asked = self._asked(connection, method)
        except Refused:
            return BAD_REQUEST
        if place is not None and not place.asks(asked.source, claims=False):
            return BUSY
        try:
            answer = await self._service.answer(named, asked)
        except STORE_ERRORS as error:
            if isinstance(error, OUR_ERRORS):
                raise
            log.error("a store did not answer a phone: %s", error)
            return AWAY
        if place is not None and answer.is_known and not place.is_known():
            return BUSY
        return answer

    def _asked(self, connection: HTTPConnection, method: str) -> Asked:
        """Return who asks. Raise Refused if a trusted proxy sends no address."""
        address, headers = source_address(connection, self._trusted), connection.headers
        client = connection.client
        private = connection.scope.get("scheme") == "https"
        if is_proxy(connection, self._trusted):
            private = private or headers.get("x-forwarded-proto", "").strip().lower() == "https"
        port = client.port if client is not None and client.host == address else 0
        asker = Asker.of(address, port, "https" if private else "http", headers.get("user-agent", ""))
        return Asked(asker, method == "HEAD", private, headers.get("if-none-match", ""))
