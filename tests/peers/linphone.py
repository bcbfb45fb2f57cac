"""Linphone 5.1, a phone that other people wrote: it loads its account from a URL, registers and stays."""

import secrets
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.peers.process import Process

CONFIGURATION: Final = """\
[misc]
config-uri={url}
[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
"""
"""What the app keeps after a person has scanned a link; its own ports are free ones."""


class Linphone:
    """A daemon with a home of its own, without sound and without a terminal."""

    def __init__(self, tmp: Path, url: str) -> None:
        """`url` is the link to its file; it is loaded at the start."""
        (tmp / ".local" / "share" / "linphone").mkdir(
            parents=True
        )  # it does not make the place of its databases
        configuration = tmp / "linphonerc"
        configuration.write_text(CONFIGURATION.format(url=url))
        name = f"linphone-{secrets.token_hex(8)}"
        self._pipe = Path("/tmp") / name  # without such a socket it ends with its standard input
        argv = ["linphone-daemon", "--pipe", name, "--config", str(configuration)]
        self._process = Process("linphone", argv, tmp, environment={"HOME": str(tmp)})

    @property
    def running(self) -> bool:
        return self._process.running

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
        self._pipe.unlink(missing_ok=True)
