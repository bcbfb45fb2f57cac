"""A child process that never outlives its test, stopped by its own process id."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.patience import limit, pause
from tests.peers import forked, netns, procfs
from tests.peers.forked import Forked

STARTED: Final[deque["Program"]] = deque(maxlen=4)
"""The servers that were started last: a test that fails shows what they wrote."""
START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0
STARTER: Final = ThreadPoolExecutor(1, "starter")
"""The one thread that starts programs: a thread of asyncio's pool ends with its loop, and they would too."""
SYSTEM_PROGRAMS: Final = "/usr/sbin:/sbin"
"""Where Debian keeps servers; not on the path of ordinary users."""
CLEAN_ENVIRONMENT: Final = {
    **{name: value for name, value in os.environ.items() if not name.startswith("REGISTRAR_")},
    "PATH": f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PROGRAMS}",
}
"""Ours without settings for the program under test."""


class PeerFailed(Exception):
    """A peer did not start, stopped by itself, or did not stop in time. The text ends with its last lines."""


def lacking(*programs: str) -> list[str]:
    """Those of `programs` that are not installed, for `pytest.mark.skipif`; deploy/peers.sh installs them."""
    return [name for name in programs if shutil.which(name, path=CLEAN_ENVIRONMENT["PATH"]) is None]


def wait_until(holds: Callable[[], bool], what: str, within: float = START_SECONDS) -> None:
    """Return as soon as `holds()` is true; raise PeerFailed when that takes too long."""
    within = limit(within)
    begin = time.monotonic()
    while not holds():
        waited = time.monotonic() - begin
        if waited > within:
            raise PeerFailed(f"not within {within:g} s: {what}")
        time.sleep(pause(waited))


def freeze(pid: int) -> None:
    """A process does nothing from here on, and its sockets stay open; until `thaw`."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: procfs.stopped(pid), f"process {pid} stands still")


def thaw(pid: int) -> None:
    """It goes on."""
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process does nothing, and its sockets stay open."""
    freeze(pid)
    try:
        yield
    finally:
        thaw(pid)


class Process:
    """One program with its output in `<tmp>/<name>.out` and `.err`; several starts append to the same files.

    A test run that is killed leaves nothing behind: the kernel ends the program with the thread that started
    it, and that one lives as long as the run. All methods block; in asyncio call them by `asyncio.to_thread`.
    """

    def __init__(
        self,
        name: str,
        argv: list[str],
        tmp: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cores: str = "",
    ) -> None:
        tmp.mkdir(parents=True, exist_ok=True)
        pinned = ["taskset", "--cpu-list", cores] if cores else []
        self._argv = ["setpriv", "--pdeathsig", "TERM", *pinned, *argv]
        self._environment = {**CLEAN_ENVIRONMENT, **(environment or {})}
        self._name = name
        self._tmp = tmp
        self._child: subprocess.Popen[bytes] | Forked | None = None
        self._swept = False
        self.out = tmp / f"{name}.out"
        self.err = tmp / f"{name}.err"

    @property
    def pid(self) -> int:
        """Process id of the running program."""
        if self._child is None:
            raise PeerFailed(f"{self._name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the program, in a session of its own so that a Ctrl-C at the terminal does not reach it."""
        if self.running:
            raise PeerFailed(f"{self._name} runs already")
        self._child = STARTER.submit(netns.here(self._spawn)).result()
        self._swept = False

    def _spawn(self) -> subprocess.Popen[bytes] | Forked:
        with self.out.open("ab") as out, self.err.open("ab") as err:
            return subprocess.Popen(
                self._argv,
                cwd=self._tmp,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait_ready(self, ready: Callable[[], bool], within: float = START_SECONDS) -> None:
        """Return when `ready()`; raise PeerFailed when the program ends before or it takes too long."""

        def ready_or_dead() -> bool:
            return not self.running or ready()

        try:
            wait_until(ready_or_dead, f"{self._name} is ready", within)
        except PeerFailed as late:
            raise PeerFailed(f"{late}\n{self.last_lines()}") from None
        if not self.running:
            raise PeerFailed(f"{self._name} ended before it was ready\n{self.last_lines()}")

    def wait(self, within: float) -> int:
        """The exit code; a program that runs longer than `limit(within)` seconds is killed: PeerFailed."""
        within = limit(within)
        if self._child is None:
            raise PeerFailed(f"{self._name} was not started")
        try:
            return self._child.wait(within)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise PeerFailed(f"{self._name} ran longer than {within:g} s\n{self.last_lines()}") from None

    def send(self, number: signal.Signals) -> None:
        """Send one signal to the program, not to its children."""
        if self._child is not None:
            self._child.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = STOP_SECONDS) -> int | None:
        """Ask the program to end and return its exit code; None when it does not run."""
        if self._child is None:
            return None
        code = None
        if self.running:
            self.send(number)
            code = self.wait(within)
        self._end_workers()
        return code

    def kill9(self) -> None:
        """SIGKILL, and wait until the kernel has let go of the program and of its forked workers."""
        if self._child is None:
            return
        self._child.kill()
        self._child.wait(STOP_SECONDS)
        self._end_workers()

    def _end_workers(self) -> None:
        """Kill what the program left behind in its session, once: its number may be another's later."""
        if self._swept:
            return
        self._swept = True
        workers = procfs.session(self.pid)
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(procfs.alive, workers)), f"workers of {self._name} are gone")

    def last_lines(self, count: int = 30) -> str:
        """The end of what the program wrote, to be read by a human."""
        both = [path.read_text(errors="replace") for path in (self.out, self.err) if path.exists()]
        return "\n".join("\n".join(text.splitlines()[-count:]) for text in both)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the program and its workers however they can be ended; never raises because it took long."""
        try:
            self.stop()
        except PeerFailed:
            self.kill9()


class Program(Process):
    """The program under test, forked from a process that has imported it where that is enabled."""

    def __init__(
        self,
        script: Path,
        arguments: tuple[str, ...],
        tmp: Path,
        *,
        environment: Mapping[str, str],
        cores: str = "",
    ) -> None:
        super().__init__(script.name, [str(script), *arguments], tmp, environment=environment, cores=cores)
        self._arguments = arguments
        self._cores = cores

    def start(self) -> None:
        """See Process."""
        if forked.enabled:
            STARTER.submit(forked.prepare).result()
        super().start()
        STARTED.append(self)

    def _spawn(self) -> subprocess.Popen[bytes] | Forked:
        if not forked.enabled:
            return super()._spawn()
        with self.out.open("ab") as out, self.err.open("ab") as err:
            return Forked(
                self._arguments, self._tmp, self._environment, out.fileno(), err.fileno(), self._cores
            )


def ran(
    script: Path, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], within: float
) -> subprocess.CompletedProcess[str]:
    """The program under test to its end; PeerFailed when that takes longer than `limit(within)` seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:

        def spawn() -> subprocess.Popen[bytes] | Forked:
            if forked.enabled:
                return Forked(arguments, folder, environment, out.fileno(), err.fileno())
            argv = ["setpriv", "--pdeathsig", "TERM", str(script), *arguments]
            nothing = subprocess.DEVNULL
            return subprocess.Popen(argv, cwd=folder, env=environment, stdin=nothing, stdout=out, stderr=err)

        if forked.enabled:
            STARTER.submit(forked.prepare).result()
        child = STARTER.submit(netns.here(spawn)).result()
        try:
            code = child.wait(limit(within))
        except subprocess.TimeoutExpired:
            child.kill()
            raise PeerFailed(f"{script.name} {' '.join(arguments)} did not end") from None
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess([str(script), *arguments], code, *said)
