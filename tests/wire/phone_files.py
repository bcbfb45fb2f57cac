"""Phones out of their box: a server with a listener for phones, phones that wait for it, and raw requests."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.peers.phone import Account, Address
from tests.peers.ports import free_port
from tests.wire.site import Handset, Site

PATIENCE: Final = 60.0
HANDSET: Final = {"handsetAddress": "035860667499"}
MORE: Final[Mapping[str, dict[str, str]]] = {
    "M400": HANDSET,
    "W60B": HANDSET,
    "N510 IP PRO": HANDSET,
    "N870 IP PRO": HANDSET,
    "GRP2614": {"serial": "20EZ0000D1"},
}
"""What phones of some models must be created with."""
_DATE: Final = re.compile(rb"\r\ndate: [^\r]*", re.IGNORECASE)


@dataclass(frozen=True)
class Boxed:
    """A phone that was armed, and has not loaded anything."""

    handset: Handset
    model: str
    mac: str
    path: str
    """Of its configuration, with its first secret."""

    @property
    def secret(self) -> str:
        return self.path.split("/")[-2]


class BoxSite(Site):
    """`registrar serve` with a listener for phones, over HTTP and, if asked for, over HTTPS."""

    def __init__(self, tmp: Path, *, secure: bool = False, **settings: Any) -> None:
        self.files: Address = ("127.0.0.1", free_port())
        """The listener for phones."""
        self.secure_files: Address = ("127.0.0.1", free_port())
        where = "{}:{}".format(*self.files)
        more = {"prov_https": "{}:{}".format(*self.secure_files)} if secure else {}
        told = {"prov_http": where, "prov_url": f"http://{where}", "prov_plain": "true"}
        super().__init__(tmp, **(told | more | settings))

    @cached_property
    def models(self) -> dict[str, str]:
        """Name of a model -> its id."""
        listed = self.api("GET", "/pbx/sipphonemodels?limit=500").body["sipPhoneModels"]
        return {one["model"]: one["_id"] for one in listed}

    def box(self, model: str, mac: str, **order: object) -> Boxed:
        """A phone of its own, without an extension, that may load its configuration."""
        body = {"sipPhoneModel": self.models[model], "macAddress": mac, **MORE.get(model, {})}
        made = self.api("POST", "/pbx/sipphone", body)
        assert made.status == 200, made
        account = Account(made.body["username"], made.body["password"], self.demo()["domain"])
        handset = Handset(made.body["_id"], account)
        return Boxed(handset, model, mac, self.arm(handset, **(order or {"rearm": True})))

    def arm(self, handset: Handset, **order: object) -> str:
        """Another first secret: the path of the configuration with it."""
        told = self.api("POST", f"/pbx/sipphone/{handset.id}/provisioning", order)
        assert told.status == 200, told
        url: str = told.body["url"]
        return urlsplit(url).path


@dataclass(frozen=True)
class Told:
    """A response as it came, without the time of day."""

    status: int
    octets: bytes

    @property
    def text(self) -> str:
        """Its body."""
        return self.octets.partition(b"\r\n\r\n")[2].decode()


class Asker:
    """One connection from an address of loopback, kept open from request to request."""

    def __init__(self, server: Address, source: str) -> None:
        self._socket = socket.create_connection(server, PATIENCE, (source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str, agent: str = "", method: str = "GET") -> Told:
        """What a request for a path is answered."""
        return without_date(self.exchange(request(path, agent, method), has_body=method != "HEAD"))

    def exchange(self, octets: bytes, *, has_body: bool = True) -> bytes:
        """The whole response to these octets, as it came."""
        self._socket.sendall(octets)
        answer = b""
        while not _is_whole(answer, has_body):
            piece = self._socket.recv(65_536)
            if not piece:
                raise EOFError(f"the listener closed after {answer[:100]!r}")
            answer += piece
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def request(path: str, agent: str = "", method: str = "GET") -> bytes:
    """The octets of a request; an empty User-Agent is left out."""
    about = f"User-Agent: {agent}\r\n" if agent else ""
    return f"{method} {path} HTTP/1.1\r\nHost: prov.example\r\n{about}\r\n".encode()


def load(site: BoxSite, path: str, source: str) -> Told:
    """What a phone at this address is answered, over a connection of its own."""
    with Asker(site.files, source) as asker:
        return asker.ask(path)


def without_date(answer: bytes) -> Told:
    """An answer that can be compared with another one."""
    return Told(int(answer.split(b" ", 2)[1]), _DATE.sub(b"", answer))


def _is_whole(answer: bytes, has_body: bool) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and (not has_body or length is None or len(body) >= int(length[1]))
