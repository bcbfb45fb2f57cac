"""A client of the HTTP API that keeps its connection: thousands of small requests cost little."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from tests.patience import limit
from tests.peers.phone import Address

SECONDS: Final = limit(15.0)
Body = Mapping[str, object]


@dataclass(frozen=True)
class Answer:
    """What came back, as it came."""

    status: int
    raw: bytes
    headers: Mapping[str, str]
    """Names in small letters."""

    @property
    def text(self) -> str:
        return self.raw.decode()

    def json(self) -> Any:
        """The one JSON value in the body."""
        return json.loads(self.raw)

    def rows(self) -> list[Any]:
        """The JSON objects of a list in the row dialect, one a line."""
        return [json.loads(line) for line in self.text.splitlines() if line]


class ApiClient:
    """One caller with a token, or with none."""

    def __init__(self, address: Address, token: str = "") -> None:
        self._address = address
        self._token = token
        self._connection = http.client.HTTPConnection(*address, timeout=SECONDS)

    def with_token(self, token: str) -> "ApiClient":
        """Another caller of the same server."""
        return ApiClient(self._address, token)

    def ask(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Body | None = None,
        form: Body | None = None,
    ) -> Answer:
        """One request; `body` goes as JSON, `form` as a form, arrays in both as the dialects want them."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body), "application/json"
        elif form is not None:
            data, headers["Content-Type"] = encoded(form), "application/x-www-form-urlencoded"
        address = quote(path, safe="/%") + (f"?{encoded(query)}" if query else "")
        try:
            return self._exchange(method, address, data, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()  # it was kept too long, or the server wanted it so
            return self._exchange(method, address, data, headers)

    def _exchange(self, method: str, address: str, data: str | None, headers: dict[str, str]) -> Answer:
        self._connection.request(method, address, None if data is None else data.encode(), headers)
        response = self._connection.getresponse()
        raw = response.read()
        return Answer(response.status, raw, {name.lower(): value for name, value in response.getheaders()})

    def close(self) -> None:
        self._connection.close()


def encoded(values: Body) -> str:
    """A query string or a form: `name[]` for each item of an array, 1 and 0 for true and false."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, list | tuple):
            pairs += [(f"{name.removesuffix('[]')}[]", str(item)) for item in value]
        else:
            pairs.append((name, str(int(value)) if isinstance(value, bool) else str(value)))
    return urlencode(pairs)
