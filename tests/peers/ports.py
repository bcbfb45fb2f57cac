"""Free ports on loopback, below the range from which the kernel takes ports by itself."""

import contextlib
import random
import socket
from typing import Final

FIRST: Final = 10_000
LAST: Final = 32_000
"""The kernel's own range begins at 32768: a port below it is not taken between our look and its use."""
TRIES: Final = 200
_given: set[int] = set()
"""What this run was given before: who asks for several ports binds them later."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port of `host` that neither UDP nor TCP uses now, and that was not given to anybody else."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)
        if (
            port not in _given
            and _free(host, port, socket.SOCK_DGRAM)
            and _free(host, port, socket.SOCK_STREAM)
        ):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port found on {host} in {TRIES} tries")


def has_ipv6() -> bool:
    """Whether this machine's loopback has an IPv6 address."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trial:
        trial.bind(("::1", 0))
        return True
    return False


def _free(host: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as trial:
        try:
            trial.bind((host, port))
        except OSError:
            return False
        return True
