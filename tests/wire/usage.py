"""What a server holds of its machine and writes to its log, before and after somebody misbehaved."""

import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.patience import limit
from tests.wire.site import Site, within

BACK_SECONDS: Final = limit(8.0)
"""Memory is given back every five seconds."""
MEMORY: Final = 16 * 1024 * 1024
FILES: Final = 2
LINES_A_SECOND: Final = 1.0
GAUGE_SECONDS: Final = 0.2
REASONS: Final = "silent slow unauthenticated stuck handshake refused malformed policy peer".split()


@dataclass(frozen=True)
class Usage:
    """What a server holds of its machine, and has written, at one moment."""

    at: float
    """Wall clock."""
    files: int
    memory: int
    lines: int
    """Of its log, without those that tell of an ordinary registration."""

    @classmethod
    def of(cls, site: Site) -> "Usage":
        lines = [line for line in site.log_text.splitlines() if '"REGISTER 200"' not in line]
        return cls(time.time(), files(site), memory(site), len(lines))


def files(site: Site) -> int:
    """The file descriptors it has open."""
    return len(os.listdir(f"/proc/{site.pid}/fd"))


def memory(site: Site) -> int:
    """The memory it holds, without that of its Redis."""
    pages = int(Path(f"/proc/{site.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_as_before(site: Site, before: Usage) -> None:
    """Files and memory are back, and the log has not been flooded."""
    within(BACK_SECONDS, lambda: files(site) <= before.files + FILES, "the file descriptors are back")
    within(BACK_SECONDS, lambda: memory(site) <= before.memory + MEMORY, "the memory is back")
    now = Usage.of(site)
    assert now.lines - before.lines <= LINES_A_SECOND * (now.at - before.at), site.log[-2000:]
    assert "Traceback" not in site.log_text
    assert site.metric("registrar_unhandled_exceptions_total") == 0


def ends(site: Site) -> Counter[str]:
    """How often a connection has ended, by reason."""
    return Counter(
        {reason: int(site.metric("registrar_connections_closed_total", reason=reason)) for reason in REASONS}
    )


class Gauge:
    """Looks at figures of a server again and again, in a thread of its own."""

    def __init__(self, site: Site, **figures: str) -> None:
        """Each of `figures` is how its lines in /metrics begin; of several the sum is taken."""
        self._site = site
        self._figures = figures
        self._seen: dict[str, list[tuple[float, float]]] = {name: [] for name in figures}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def grew(self, name: str) -> tuple[float, float]:
        """How much a figure is now, and when it was first seen to be so much."""
        seen = self._seen[name]
        value = seen[-1][1]
        return value, next(at for at, found in seen if found == value)

    def _run(self) -> None:
        while not self._stop.wait(GAUGE_SECONDS):
            lines = self._site.api("GET", "/metrics", token="").body.splitlines()
            for name, prefix in self._figures.items():
                found = sum(float(line.split()[-1]) for line in lines if line.startswith(prefix))
                self._seen[name].append((time.monotonic(), found))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
