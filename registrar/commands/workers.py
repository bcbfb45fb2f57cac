"""How many workers there are, and what each process of `registrar serve` is for and has inherited."""

import asyncio
import ctypes
import os
import secrets
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from registrar.errors import ConfigurationError
from registrar.listeners import PHONES, Address, Shared
from registrar.settings import AUTO, Settings
from registrar.transport import sockets

from .side import Side

MOST_BY_DEFAULT: Final = 8
PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
MOST_PORT: Final = 65_535
STATE_BACKLOG: Final = 1_024
END_SECONDS: Final = 20
"""How long a process may live after its parent: it finishes what is under way."""
QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
"""The CPU time that a container may use: microseconds, or `max`, of each period."""


class Role(Enum):
    """What a process of `registrar serve` does."""

    KEEPER = "keeper"
    """Brings the database to the newest schema, then runs the embedded Valkey."""
    FRONT = "front"
    """Serves HTTP: the API, or under `serve sip` the pages for monitoring."""
    WORKER = "worker"
    """Serves phones."""


@dataclass(frozen=True)
class Part:
    """What one process of several does, and what it has from its parent."""

    role: Role
    starts: int
    """How often it was started, this start included."""
    places: tuple[str, ...]
    """Where each worker tells its state: names of abstract Unix sockets."""
    shared: Shared | None
    """The ports of a worker."""
    state: socket.socket | None
    """Where a worker listens for questions about its state."""
    parent: int
    """A file descriptor that ends when the parent does; for the keeper, when all others have ended."""
    all_ready: int
    """A file descriptor that ends when all processes were ready once."""
    told_ready: Callable[[], None]

    async def until_all_ready(self) -> None:
        """Wait until all processes were ready once."""
        await _end_of(self.all_ready)

    def watch_parent(self, stop: asyncio.Event) -> None:
        """Set `stop` when the parent dies, and end this process in any case soon after."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self.parent)
            signal.alarm(END_SECONDS)
            stop.set()

        loop.add_reader(self.parent, gone)


async def _end_of(descriptor: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)


def count(settings: Settings, side: Side) -> int:
    """Return how many workers run beside a process for HTTP; 0: one process does everything."""
    if side is Side.API or settings.workers == "1" or not hasattr(socket, "SO_REUSEPORT"):
        return 0
    return min(MOST_BY_DEFAULT, cores()) if settings.workers == AUTO else int(settings.workers)


def cores(quota: Path = QUOTA) -> int:
    """Return how many cores this process may use, at least 1. A container may have a part of them only."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
        return max(1, min(usable, int(allowed) // int(period)))
    except (OSError, ValueError):  # no container, or `max`
        return usable


class Ports:
    """The sockets of all workers. The parent keeps them open, so that none is lost when a worker dies."""

    def __init__(self, settings: Settings, workers: int) -> None:
        """Open all. Raise ConfigurationError, also if another program has one of the ports."""
        _refuse_high_ports(settings, workers)
        self._workers = workers
        self._public: dict[tuple[str, Address], list[socket.socket]] = {}
        for name in PHONES:
            for address in getattr(settings, f"sip_{name}"):
                self._public[name, address] = _open(name, address, workers)
        self._own = [_own(settings, number) for number in range(1, workers + 1)]
        self._boxes = [_box() for _ in range(workers)]
        word = secrets.token_hex(16)
        self.places = tuple(f"registrar-{word}-{number}" for number in range(1, workers + 1))
        self.states = [_listening(place) for place in self.places]

    def of(self, number: int, *, is_first_start: bool) -> Shared:
        """Return what worker `number` gets, and close what belongs to the others: call it in the worker."""
        for opened in self._public.values():
            _keep(opened, number)
        for each in (self._own, self.states, [inbox for inbox, _ in self._boxes]):
            _keep(each, number)
        return Shared(
            number,
            self._workers,
            {name: opened[number - 1] for name, opened in self._public.items()},
            self._own[number - 1],
            self._boxes[number - 1][0],
            {other: outbox for other, (_, outbox) in enumerate(self._boxes, 1)},
            is_first_start,
        )

    def close(self) -> None:
        """Close all of them, in a process that serves no phones or at the end of the parent."""
        for opened in (*self._public.values(), self._own, self.states, *map(list, self._boxes)):
            _keep(opened, 0)


def _refuse_high_ports(settings: Settings, workers: int) -> None:
    """Raise ConfigurationError if the ports between nodes run out: each worker takes another one."""
    given = settings.node_sip.rpartition(":")[2]
    ports = {
        "NODE_SIP": int(given) + 1 if given.isdigit() else 0,
        "NODE_TLS": settings.node_tls[0][1] if settings.node_tls else 0,
    }
    for name, first in ports.items():
        if first + workers - 1 > MOST_PORT:
            raise ConfigurationError(f"REGISTRAR_{name}: {workers} workers want the ports from {first} on")


def _keep(opened: list[socket.socket], number: int) -> None:
    for place, each in enumerate(opened, 1):
        if place != number:
            each.close()


def _open(transport: str, address: Address, workers: int) -> list[socket.socket]:
    open_one = sockets.udp if transport == "udp" else sockets.stream
    host, port = address
    try:
        return sockets.several(open_one, host, port, workers)
    except OSError as error:
        raise ConfigurationError(
            f"REGISTRAR_SIP_{transport.upper()}: {host}:{port}: {error.strerror}"
        ) from error


def _own(settings: Settings, number: int) -> socket.socket:
    """Return the socket by which other nodes reach one worker: the port of REGISTRAR_NODE_SIP goes on."""
    every = [*settings.sip_udp, *settings.sip_tcp, *settings.sip_tls, *settings.sip_ws, *settings.sip_wss]
    host = every[0][0] if every else "127.0.0.1"
    given = settings.node_sip.rpartition(":")[2]
    port = int(given) + number if given.isdigit() else 0
    try:
        return sockets.udp(host, port)
    except OSError as error:
        raise ConfigurationError(
            f"REGISTRAR_NODE_SIP: worker {number} wants {host}:{port} over UDP: {error.strerror}"
        ) from error


def _box() -> tuple[socket.socket, socket.socket]:
    inbox, outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.setblocking(False)
    outbox.setblocking(False)
    return inbox, outbox


def _listening(place: str) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.setblocking(False)
    opened.bind(f"\0{place}")
    opened.listen(STATE_BACKLOG)
    return opened


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies; end at once if it is dead already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(125)


def set_name(name: str) -> None:
    """Give this process the name that `ps -o comm` and `top` show; 15 octets of it."""
    _prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()))


def _prctl(option: int, value: object) -> None:
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)  # only Linux has it
    if prctl is not None:
        prctl(option, value, 0, 0, 0)
