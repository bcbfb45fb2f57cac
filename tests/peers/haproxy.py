"""Debian's HAProxy on loopback: it passes TCP on, and says in a PROXY header where that comes from."""

import socket
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.peers.phone import Address
from tests.peers.ports import free_port
from tests.peers.process import Process

PROGRAM: Final = "haproxy"
HEAD: Final = """\
global
    maxconn 500
    log stdout format raw daemon notice
defaults
    log global
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
"""
PASS: Final = """
listen {name}
    bind 127.0.0.1:{port}
    server registrar {host}:{target} {options} source {source}
"""


@dataclass(frozen=True)
class Passed:
    """One port that HAProxy passes on."""

    target: Address
    options: str
    """How it says where a connection comes from: `send-proxy`, `send-proxy-v2` and more."""


class Haproxy:
    """One HAProxy with a port for each name; `source` is the address from which it connects."""

    def __init__(self, tmp: Path, passed: dict[str, Passed], source: str) -> None:
        self.ports: dict[str, Address] = {name: ("127.0.0.1", free_port()) for name in passed}
        folder = tmp / "haproxy"
        folder.mkdir()
        parts = [
            PASS.format(
                name=name,
                port=self.ports[name][1],
                host=one.target[0],
                target=one.target[1],
                options=one.options,
                source=source,
            )
            for name, one in passed.items()
        ]
        (folder / "haproxy.cfg").write_text(HEAD + "".join(parts))
        self._process = Process("haproxy", [PROGRAM, "-f", str(folder / "haproxy.cfg"), "-db"], folder)

    @property
    def log(self) -> str:
        return self._process.last_lines()

    def __enter__(self) -> Self:
        self._process.start()
        self._process.wait_ready(self._listens)
        return self

    def _listens(self) -> bool:
        try:
            for address in self.ports.values():
                socket.create_connection(address, 1.0).close()
        except OSError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
