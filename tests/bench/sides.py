"""The servers that are compared: each with a Redis of its own, on the same cores, with phones that exist."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from redis import Redis

from registrar.store import keys
from tests.bench.phones import make_accounts, make_phones
from tests.peers import kamailio
from tests.peers.kamailio import Kamailio
from tests.peers.phone import Account, Address
from tests.peers.ports import free_port
from tests.peers.redis import RedisServer
from tests.peers.registrar import DOMAIN, NO_QUOTAS, RegistrarServer

PINNED: Final = (os.cpu_count() or 1) >= 2
SERVER_CORE: Final = "0" if PINNED else ""
LOAD_CORE: Final = "1" if PINNED else ""
"""sipp, and Redis of either side: so the server's core is its own."""
LOOPBACK: Final = ("127.0.0.1",)
PHONE_SECONDS: Final = 60.0
"""The pause of a phone, after which its row was read from SQL again before decision 121."""
SECRET_KEY: Final = "bench-" * 8


class Server(Protocol):
    """What is measured of a server."""

    sip: Address

    def cpu_seconds(self) -> float:
        """User and system time of all its processes."""

    def resident_bytes(self) -> int:
        """Memory of all its processes, shared pages counted once."""


@dataclass(frozen=True)
class Side:
    """A running server with phones to register."""

    name: str
    server: Server
    redis: RedisServer
    accounts: list[Account]
    port: int
    """Where the phones call from; always the same, for a new port would be a second contact."""
    memory_seconds: float = 0.0
    """How long the server trusts what it read of a phone; phones in the field call less often than that."""

    def drop_streams(self) -> None:
        """Remove the journals and the stream of events: history, which Kamailio does not keep."""
        with Redis(port=self.redis.port) as redis:
            redis.delete(keys.EVENTS)
            journals = list(redis.scan_iter(keys.journal("*"), count=1_000))
            for start in range(0, len(journals), 1_000):
                redis.delete(*journals[start : start + 1_000])


class CompiledServer(RegistrarServer):
    """The server from a copy of the program that deploy/compile.sh made."""

    code: Path

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PYTHONPATH": str(self.code)}


def compiled_code(tmp: Path) -> Path:
    """The program compiled as deploy/compile.sh does it, once in `tmp`."""
    code = tmp / "compiled"
    if not code.exists():
        subprocess.run(["bash", "deploy/compile.sh", str(code)], check=True)
    return code


@contextlib.contextmanager
def compiled(
    tmp: Path, phones: int, transports: Sequence[str] = (), addresses: Sequence[str] = LOOPBACK
) -> Iterator[Side]:
    """The same program, compiled."""
    code = compiled_code(tmp)
    with ours(tmp, phones, transports, addresses, code, "registrar, compiled") as side:
        yield side


@contextlib.contextmanager
def ours(
    tmp: Path,
    phones: int,
    transports: Sequence[str] = (),
    addresses: Sequence[str] = LOOPBACK,
    code: Path | None = None,
    name: str = "registrar",
    limits: str = "off",
) -> Iterator[Side]:
    """`registrar serve` with `phones` phones in its SQLite database, each to call from one of `addresses`.

    The load comes from one port as fast as it is answered, so the limits of sources are off by default.
    """
    with RedisServer(tmp, cores=LOAD_CORE) as redis:
        database = tmp / f"bench-{redis.port}.sqlite3"
        kind = RegistrarServer if code is None else type("Compiled", (CompiledServer,), {"code": code})
        server = kind(
            tmp / f"registrar-{redis.port}",
            cores=SERVER_CORE,
            transports=transports,
            redis_url=redis.url,
            database_url=f"sqlite+aiosqlite:///{database}",
            secret_key=SECRET_KEY,
            limits=limits,
            **NO_QUOTAS,
        )
        server.command("migrate")
        server.demo()
        accounts = make_phones(database, SECRET_KEY, DOMAIN, phones, addresses)
        with server:
            yield Side(name, server, redis, accounts, free_port(), PHONE_SECONDS)


def limited(tmp: Path, phones: int) -> contextlib.AbstractContextManager[Side]:
    """The same with limits: the 10,000 phones of the load are an office behind one address."""
    return ours(tmp, phones, name="registrar, limits on", limits="on")


@contextlib.contextmanager
def packaged_kamailio(tmp: Path, phones: int) -> Iterator[Side]:
    """Kamailio as Debian starts it."""
    with _kamailio(tmp, phones, "Kamailio", kamailio.PACKAGED) as side:
        yield side


@contextlib.contextmanager
def tuned_kamailio(tmp: Path, phones: int) -> Iterator[Side]:
    """Kamailio with the allocator that suits this load."""
    with _kamailio(tmp, phones, "Kamailio, tlsf", kamailio.TUNED) as side:
        yield side


@contextlib.contextmanager
def _kamailio(tmp: Path, phones: int, name: str, memory: tuple[str, ...]) -> Iterator[Side]:
    accounts = make_accounts(phones, kamailio.REALM, kamailio.PASSWORD)
    with (
        RedisServer(tmp, cores=LOAD_CORE) as redis,
        Kamailio(tmp, redis, memory=memory, cores=SERVER_CORE) as server,
    ):
        yield Side(name, server, redis, accounts, free_port())
