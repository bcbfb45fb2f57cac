"""The servers whose calls are compared: on the same core, with phones that are registered on two ports."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.calls_phones import make_extensions
from tests.bench.phones import make_accounts
from tests.bench.sides import LOAD_CORE, SECRET_KEY, SERVER_CORE, CompiledServer, Server, compiled_code
from tests.peers import kamailio, kamailio_calls
from tests.peers.kamailio_calls import KamailioProxy
from tests.peers.ports import free_port
from tests.peers.redis import RedisServer
from tests.peers.registrar import DOMAIN, NO_QUOTAS, RegistrarServer
from tests.peers.sipp_calls import Callees, Extension, Phones

CALLERS: Final = 200
PHONES: Final = 400


@dataclass(frozen=True)
class CallSide:
    """A running server with registered phones, half of which call and half of which answer."""

    name: str
    server: Server
    redis: RedisServer | None
    callers: Phones
    callees: Phones

    def register(self) -> None:
        """Register the callers once more: fresh nonces."""
        self.callers.register()


Opened = contextlib.AbstractContextManager[CallSide]


@contextlib.contextmanager
def ours(tmp: Path, code: Path | None = None, name: str = "registrar") -> Iterator[CallSide]:
    """`registrar serve` on SQLite and a Redis of its own."""
    with RedisServer(tmp, cores=LOAD_CORE) as redis:
        database = tmp / f"calls-{redis.port}.sqlite3"
        kind = RegistrarServer if code is None else type("Compiled", (CompiledServer,), {"code": code})
        server = kind(
            tmp / f"registrar-{redis.port}",
            cores=SERVER_CORE,
            redis_url=redis.url,
            database_url=f"sqlite+aiosqlite:///{database}",
            secret_key=SECRET_KEY,
            limits="off",  # sipp sends the calls of all phones from one port
            **NO_QUOTAS,
            ping_seconds="0",  # between two runs nobody is there to answer
        )
        server.command("migrate")
        server.demo()
        extensions = make_extensions(database, SECRET_KEY, DOMAIN, PHONES)
        with server, _side(name, server, redis, extensions, tmp) as side:
            yield side


def compiled(tmp: Path) -> Opened:
    """The same program, compiled."""
    return ours(tmp, compiled_code(tmp), "registrar, compiled")


def packaged_kamailio(tmp: Path) -> Opened:
    """Kamailio as Debian starts it, with more memory."""
    return _kamailio(tmp, "Kamailio", kamailio_calls.MEMORY)


def tuned_kamailio(tmp: Path) -> Opened:
    """Kamailio with the allocator that suits this load."""
    return _kamailio(tmp, "Kamailio, tlsf", kamailio_calls.TUNED_MEMORY)


@contextlib.contextmanager
def _kamailio(tmp: Path, name: str, memory: tuple[str, ...]) -> Iterator[CallSide]:
    accounts = make_accounts(PHONES, kamailio.REALM, kamailio.PASSWORD)
    extensions = [Extension(account, str(20_000 + index)) for index, account in enumerate(accounts)]
    numbers = {extension.account.username: extension.number for extension in extensions}
    with (
        KamailioProxy(tmp, numbers, memory=memory, cores=SERVER_CORE) as server,
        _side(name, server, None, extensions, tmp) as side,
    ):
        yield side


@contextlib.contextmanager
def _side(
    name: str, server: Server, redis: RedisServer | None, extensions: Sequence[Extension], tmp: Path
) -> Iterator[CallSide]:
    callers = Phones(extensions[:CALLERS], server.sip, free_port())
    callees = Phones(extensions[CALLERS:], server.sip, free_port())
    callers.register()
    callees.register()
    with Callees(tmp, callees, cores=LOAD_CORE):
        yield CallSide(name, server, redis, callers, callees)


SIDES: Final[dict[str, Callable[[Path], Opened]]] = {
    "registrar": ours,
    "registrar-compiled": compiled,
    "kamailio": packaged_kamailio,
    "kamailio-tlsf": tuned_kamailio,
}
