"""`registrar` without its imports: a child that is forked from a process which has imported the program.

The console script takes 1.7 s of CPU before its first own line, and the tests start it some hundred times.
The child does what the script does: `main()` with these arguments, this environment and this folder, in a
session of its own. Tests of the command line start the script itself (`tests.peers.registrar.COMMAND`). So
do the benches, the soak, and whatever leaves `enabled` False.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, reduction
from pathlib import Path
from typing import Any, Final

PRELOADED: Final = [
    "registrar.__main__", "registrar.commands.serve", "registrar.commands.status",
    "registrar.commands.doctor", "registrar.commands.country_file", "registrar.commands.first_steps",
    "config.operations.demo",
    "aiosqlite", "asyncpg", "uvloop", "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.dialects.postgresql.asyncpg", __name__, "tests.peers.imported",
]  # fmt: skip
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
CLONE_NEWNET: Final = 0x40000000
OWN_NAMESPACE: Final = "/proc/thread-self/ns/net"

LOST: Final = 255
"""The exit code of a child whose code did not come from the process that forked it (multiprocessing)."""
enabled = False
"""Whether `tests.peers.registrar` starts the program this way: tests/conftest.py says so."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


def prepare() -> None:
    """Start the process that has the imports; in the thread that starts programs, as they end with it."""
    forkserver.ensure_running()


class Forked:
    """As much of subprocess.Popen as `tests.peers.process.Process` uses."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        out: int,
        err: int,
        cores: str = "",
    ) -> None:
        """Start it inside the network namespace of the calling thread, with these files as output."""
        network = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            child = _context.Process(
                target=_run,
                args=(
                    list(arguments),
                    str(folder),
                    dict(environment),
                    _Descriptors(out, err, network),
                    cores,
                ),
            )
            child.start()
        finally:
            os.close(network)
        self._child = child
        assert child.pid is not None
        self.pid: int = child.pid

    @property
    def returncode(self) -> int | None:
        return self._child.exitcode

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._child.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        self._child.join(timeout)
        code = self._child.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("registrar", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Like Popen's: nothing if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Descriptors:
    """File descriptors on their way to the child."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, tuple(reduction.DupFd(number) for number in self._numbers)


def _received(*copies: Any) -> list[int]:
    return [copy.detach() for copy in copies]


def _run(
    arguments: list[str], folder: str, environment: dict[str, str], descriptors: list[int], cores: str
) -> None:
    """Be the program, in the child."""
    out, err, network = descriptors
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    libc.prctl(PR_SET_NAME, b"registrar")
    os.setsid()
    elsewhere = os.readlink(f"/proc/self/fd/{network}") != os.readlink(OWN_NAMESPACE)
    if elsewhere and libc.setns(network, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(network)
    if cores:
        os.sched_setaffinity(0, _numbers(cores))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv = ["registrar", *arguments]
    from registrar.__main__ import main

    main()


def _numbers(cores: str) -> set[int]:
    """What `taskset --cpu-list` takes: 0,2-3."""
    found: set[int] = set()
    for part in cores.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
