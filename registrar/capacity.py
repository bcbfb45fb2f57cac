"""How many connections the process may hold, and the memory of those that have ended."""

import contextlib
import ctypes
import resource
from typing import Final

SPARE_DESCRIPTORS: Final = 512
"""File descriptors that phones may not take: HTTP, Redis, the database, logs and UDP need them."""
LEAST_HTTP: Final = 128
"""Number of HTTP connections that always have descriptors, out of the spare ones."""
MOST_HTTP: Final = 4_096
HTTP_SHARE: Final = 8
"""One descriptor in this number is for HTTP."""
LEAST_CONNECTIONS: Final = 64
MOST_DESCRIPTORS: Final = 1_048_576


def descriptors() -> int:
    """Raise the limit of file descriptors as far as the system allows, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def http_places(limit: int) -> int:
    """Return how many HTTP connections are allowed with `limit` descriptors."""
    return max(LEAST_HTTP, min(MOST_HTTP, limit // HTTP_SHARE))


def sip_places(limit: int) -> int:
    """Return how many phone connections are allowed; HTTP connections do not use their descriptors."""
    return max(LEAST_CONNECTIONS, limit - SPARE_DESCRIPTORS - (http_places(limit) - LEAST_HTTP))


def give_back_memory() -> None:
    """Return freed memory to the system: after many connections at once, glibc would keep it for good."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries do not have and do not need it
    if trim is not None:
        trim(0)
