"""The sockets of listeners: their options, and several of one address for processes that share it."""

import contextlib
import socket
from collections.abc import Callable
from typing import Final

RECEIVE_BUFFER: Final = 4 * 1024 * 1024
SO_RCVBUFFORCE: Final = 33  # Linux; the module socket does not name it
KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
"""Design decision 11; connections inherit these options from the listening socket."""
BUFFERS: Final = (
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536),
    (socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536),
)
"""Kernel buffers of a connection: by default the kernel keeps megabytes for a peer that sends and never
reads."""

Open = Callable[..., socket.socket]


def udp(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a bound UDP socket. `::` takes IPv4 too. Raises OSError."""
    opened = _new(host, socket.SOCK_DGRAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        with contextlib.suppress(OSError):  # only root may exceed the system's limit
            opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        _bind(opened, host, port, shared=shared)
    except OSError:
        opened.close()
        raise
    return opened


def stream(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a bound TCP socket that does not listen yet. `::` takes IPv4 too. Raises OSError."""
    opened = _new(host, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, option, value in (*KEEP_ALIVE, *BUFFERS):
            opened.setsockopt(level, option, value)
        _bind(opened, host, port, shared=shared)
    except OSError:
        opened.close()
        raise
    return opened


def several(open_one: Open, host: str, port: int, count: int) -> list[socket.socket]:
    """Return `count` sockets of one address, between which the kernel distributes. Raises OSError.

    With SO_REUSEPORT alone, another program of the same user that has set it, too, would get a part of our
    messages. So the address is bound without it first, which fails if any program holds it.
    """
    with contextlib.closing(open_one(host, port)) as probe:
        port = probe.getsockname()[1]
    return [open_one(host, port, shared=True) for _ in range(count)]


def _new(host: str, kind: socket.SocketKind) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)


def _bind(opened: socket.socket, host: str, port: int, *, shared: bool) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
    if shared:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.setblocking(False)
    opened.bind((host, port))
