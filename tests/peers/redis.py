"""Debian's redis-server on a port of its own, with its append-only file in the test's folder."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.patience import limit
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed, Process

CLI_SECONDS: Final = limit(30.0)


class RedisServer:
    """A Redis that survives kill -9: started again, it reads its append-only file."""

    def __init__(self, tmp: Path, *, cores: str = "", options: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.folder = tmp / f"redis-{self.port}"
        self.folder.mkdir(parents=True)
        argv = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        argv += ["--appendonly", "yes", "--save", "", *options]
        self._process = Process("redis", argv, self.folder, cores=cores)

    @property
    def url(self) -> str:
        """For REGISTRAR_REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> None:
        """Start, and return when the append-only file is read and commands are answered."""
        self._process.start()
        self._process.wait_ready(self._answers)

    def kill9(self) -> None:
        self._process.kill9()

    def stop(self) -> None:
        self._process.stop()

    def restart(self) -> None:
        """Stop in an orderly way if it runs, and start on the same port with the same data."""
        self._process.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            return self.cli("ping") == "PONG"
        except PeerFailed:
            return False

    def cli(self, *arguments: str) -> str:
        """What redis-cli prints for one command; PeerFailed when Redis is away or answers an error."""
        done = subprocess.run(
            ["redis-cli", "-e", "-h", "127.0.0.1", "-p", str(self.port), *arguments],
            capture_output=True,
            text=True,
            timeout=CLI_SECONDS,
        )
        if done.returncode != 0:
            raise PeerFailed(f"redis-cli {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def info(self, section: str) -> dict[str, str]:
        """One section of INFO as names and values."""
        rows = (line.split(":", 1) for line in self.cli("info", section).splitlines() if ":" in line)
        return {row[0]: row[1].strip() for row in rows}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
