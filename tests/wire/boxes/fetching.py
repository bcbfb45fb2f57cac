"""How an emulated phone speaks HTTP: one request on each connection, from an address of its own."""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tests.patience import limit

SECONDS: Final = limit(60.0)
ENCODED: Final = ("transfer-encoding", "content-encoding")


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def found(self) -> str:
        """The text of a file that is there, else nothing."""
        return self.text if self.status == 200 else ""


@dataclass(frozen=True)
class Step:
    """One request of a phone, and the status that it got."""

    method: str
    url: str
    status: int


class Web:
    """What a phone speaks with the server of its files. It is as simple as the phones are."""

    def __init__(
        self, agent: str, source: str, *, version: str = "1.1", trusts: ssl.SSLContext | None = None
    ) -> None:
        self.agent = agent
        self.source = source
        self.steps: list[Step] = []
        self._version = version
        self._trusts = trusts

    def ask(self, url: str, method: str = "GET", **headers: str) -> Got:
        """Send one request and read its answer to the end. Raise AssertionError if a phone could not."""
        parts = urlsplit(url)
        with self._connection(parts) as connection:
            connection.sendall(self._request(parts, method, headers))
            got = _read(connection, method)
        self.steps.append(Step(method, url, got.status))
        return got

    def _connection(self, parts: SplitResult) -> socket.socket:
        default = {"http": 80, "https": 443}[parts.scheme]
        place = (str(parts.hostname), parts.port or default)
        plain = socket.create_connection(place, SECONDS, (self.source, 0))
        if parts.scheme == "http":
            return plain
        assert self._trusts is not None, "the phone knows no authority"
        return self._trusts.wrap_socket(plain, server_hostname=parts.hostname)

    def _request(self, parts: SplitResult, method: str, headers: Mapping[str, str]) -> bytes:
        head = [f"{method} {parts.path or '/'} HTTP/{self._version}"]
        head += [f"Host: {parts.netloc}"] if self._version == "1.1" else []  # old phones send none
        head += [f"User-Agent: {self.agent}", "Accept: */*", "Connection: close"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*head, "", ""]).encode()


def _read(connection: socket.socket, method: str) -> Got:
    octets = b""
    while piece := connection.recv(65_536):
        octets += piece
    head, _, body = octets.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    split = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in split}
    status = int(first.split(" ")[1])
    assert not 300 <= status < 304, "many phones follow no redirect"
    assert not set(ENCODED) & set(headers), "old phones read a body only as it is"
    assert method == "HEAD" or len(body) == int(headers.get("content-length", "0"))
    return Got(status, headers, body.decode())
