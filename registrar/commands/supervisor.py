"""The parent of all processes of `registrar serve`: it starts them, once more if they die, and ends them.

It serves nothing itself and has no event loop and no thread, so that it may fork at any time: a worker that
died is back in a moment, with all modules loaded.
"""

import gc
import logging
import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from registrar.driver import mono

from .workers import Part, Ports, Role, end_with_parent, set_name

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
STEADY_SECONDS: Final = 2.0
"""A process that lived for less is started again after a pause, so that its faults keep no core busy."""
PAUSE_SECONDS: Final = 0.5
MOST_PAUSE_SECONDS: Final = 8.0
"""The pause doubles up to here, for example while the database is away."""
STOP_SECONDS: Final = 16.0
"""After that, a process that was asked to end is killed: calls and history of a worker may take so long."""
KEEPER_SECONDS: Final = 11.0
"""The same for the keeper, which ends last. Both together are less than systemd waits (30 s)."""
NAMES: Final = {Role.KEEPER: "redis", Role.FRONT: "front"}
"""What `ps` calls the processes that are no workers: 15 octets with what is before it."""
ANOTHER_NODE: Final = 3
"""The exit code of a process that has found another one with its name: all end."""

log = logging.getLogger("registrar")


@dataclass
class Child:
    """One process, and when it is started next."""

    role: Role
    number: int = 0
    pid: int = 0
    starts: int = 0
    began: float = 0.0
    due: float = 0.0
    pause: float = 0.0
    """How long it waited for its last start."""
    is_ready: bool = False
    ready: int = -1
    """The pipe by which it says that it is ready."""

    @property
    def name(self) -> str:
        """Return its name in log lines."""
        return {
            Role.KEEPER: "the process of the embedded Valkey",
            Role.FRONT: "the process of the API",
        }.get(self.role, f"worker {self.number}")


class Supervisor:
    """The parent. `run` returns in each child; in the parent it ends with SystemExit."""

    def __init__(
        self,
        ports: Ports,
        workers: int,
        when_ready: Callable[[], None],
        *,
        has_front: bool,
        keeps_valkey: bool,
    ) -> None:
        """`when_ready` is called once, when all processes are ready."""
        self._ports = ports
        self._when_ready = when_ready
        self._keeps_valkey = keeps_valkey
        fronts = [Child(Role.FRONT)] if has_front else []
        crew = [Child(Role.WORKER, number) for number in range(1, workers + 1)]
        self._children = [Child(Role.KEEPER), *crew, *fronts]
        self._life = os.pipe()
        """Its end for writing is only in the parent: processes that read it see the end of the parent."""
        self._others = os.pipe()
        """Its end for writing is in all processes but the keeper, which so outlives them."""
        self._all_ready = os.pipe()
        self._waker, self._woken = socket.socketpair()
        self._were_ready = False
        self._asked = False
        """Whether a signal has asked for the end."""
        self._code: int | None = None
        """The exit code, once all must end."""
        self._killed_at = 0.0
        self._is_last = False
        """Whether only the keeper is left, and was told to end."""

    def run(self) -> Part:
        """Start all, and watch them until the stop."""
        gc.freeze()  # the collector of a child must not touch, and so copy, what all of them have
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        for number in SIGNALS:
            signal.signal(number, self._heard)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        while True:
            part = self._start_due()
            if part is not None:
                return part
            self._wait()
            self._reap()
            self._stop_step()

    def _heard(self, number: int, _frame: object) -> None:
        self._asked = self._asked or number != signal.SIGCHLD

    def _end(self, code: int) -> None:
        """Let all processes end: first those that use the store, then its keeper."""
        if self._code is not None:
            return
        self._code = code
        self._killed_at = mono() + STOP_SECONDS
        self._ports.close()
        for child in self._living():
            if child.role is not Role.KEEPER:
                _signal(child, signal.SIGTERM)

    def _stop_step(self) -> None:
        """Go on with the end, if there is a reason for one."""
        if self._asked:
            self._end(0)
        if self._code is None:
            return
        living = self._living()
        if not living:
            raise SystemExit(self._code)
        late = mono() > self._killed_at
        if all(child.role is Role.KEEPER for child in living) and not self._is_last:
            self._is_last = True
            self._killed_at = mono() + KEEPER_SECONDS
            for child in living:
                _signal(child, signal.SIGTERM)
        elif late:
            for child in living:
                if self._is_last or child.role is not Role.KEEPER:
                    _signal(child, signal.SIGKILL)

    def _living(self) -> list[Child]:
        return [child for child in self._children if child.pid]

    def _start_due(self) -> Part | None:
        """Start the processes that are due; return the part of a child, in the child."""
        for child in self._missing():
            part = self._fork(child) if child.due <= mono() else None
            if part is not None:
                return part
        return None

    def _missing(self) -> list[Child]:
        """Return the processes that do not run and should."""
        if self._code is not None:
            return []
        keeper, *others = self._children
        is_done = keeper.is_ready and not self._keeps_valkey
        wanted = [*([] if is_done else [keeper]), *(others if keeper.is_ready else [])]
        return [child for child in wanted if not child.pid]

    def _fork(self, child: Child) -> Part | None:
        """Start a process. Return its part, in the child. If the kernel refuses, try again later."""
        opened: tuple[int, ...] = ()
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child has handlers of its own
        try:
            opened = ready, tell = os.pipe()
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            for descriptor in opened:
                os.close(descriptor)
            self._postpone(child)
            log.error("%s cannot be started now: %s", child.name, error.strerror)
            return None
        child.starts += 1
        if not pid:
            return self._become(child, parent, ready, tell)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(tell)
        os.set_blocking(ready, False)
        child.pid, child.ready, child.began = pid, ready, mono()
        return None

    def _become(self, child: Child, parent: int, ready: int, tell: int) -> Part:
        """Become a child: leave what belongs to the parent and to other children."""
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        is_keeper = child.role is Role.KEEPER
        if is_keeper:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent says when
            os.close(self._others[1])
        else:
            end_with_parent(parent)
        unwanted = [ready, self._life[1], self._all_ready[1] if not self._were_ready else -1]
        for descriptor in (*unwanted, *(other.ready for other in self._children)):
            if descriptor >= 0:
                os.close(descriptor)
        self._waker.close()
        self._woken.close()
        set_name(f"registrar:{child.number or NAMES[child.role]}")
        is_worker = child.role is Role.WORKER
        state = self._ports.states[child.number - 1] if is_worker else None
        shared = self._ports.of(child.number, is_first_start=child.starts == 1) if is_worker else None
        if not is_worker:
            self._ports.close()

        def told_ready() -> None:
            with suppress(OSError):  # the parent is gone
                os.write(tell, b"r")

        watched = self._others[0] if is_keeper else self._life[0]
        return Part(
            child.role,
            child.starts,
            self._ports.places,
            shared,
            state,
            watched,
            self._all_ready[0],
            told_ready,
        )

    def _wait(self) -> None:
        """Wait for a signal, for a child that is ready, or until one is due."""
        now = mono()
        waits = [max(0.0, child.due - now) for child in self._missing()]
        if self._code is not None:
            waits.append(max(0.0, self._killed_at - now) + 0.1)
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for child in self._children:
                if child.ready >= 0:
                    selector.register(child.ready, selectors.EVENT_READ)
            found = selector.select(min(waits) if waits else None)
        with suppress(BlockingIOError):
            while self._woken.recv(1024):
                pass
        ready = {key.fd for key, _ in found}
        for child in self._children:
            if child.ready in ready:
                self._read(child)

    def _read(self, child: Child) -> None:
        with suppress(BlockingIOError):  # it died, and a child of its own still has the pipe
            child.is_ready = bool(os.read(child.ready, 1)) or child.is_ready
        os.close(child.ready)
        child.ready = -1
        if not self._were_ready and self._code is None and all(one.is_ready for one in self._children):
            self._were_ready = True
            self._when_ready()
            os.close(self._all_ready[1])

    def _reap(self) -> None:
        """Note which children have ended."""
        for child in self._living():
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = child.pid, 0
            if pid:
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, code: int) -> None:
        lived = mono() - child.began
        child.pid = 0
        if child.ready >= 0:
            self._read(child)
        if self._code is not None or (child.role is Role.KEEPER and not self._keeps_valkey and code == 0):
            return
        if code == ANOTHER_NODE or (code > 0 and not self._were_ready):
            self._end(code)
            return
        if child.role is not Role.KEEPER:
            child.is_ready = child.is_ready and self._were_ready
        self._postpone(child, is_steady=lived > STEADY_SECONDS)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log.error("%s died (%s) and is started again", child.name, how)

    def _postpone(self, child: Child, *, is_steady: bool = False) -> None:
        """Say when a process is started: at once if it was steady, else after a pause that doubles."""
        child.pause = 0.0 if is_steady else min(MOST_PAUSE_SECONDS, max(PAUSE_SECONDS, 2 * child.pause))
        child.due = mono() + child.pause


def _signal(child: Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(child.pid, number)
