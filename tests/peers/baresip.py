"""baresip 1.0, a phone that other people wrote: one account over UDP, TCP or TLS that registers and stays."""

import re
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.peers.phone import Account, Address
from tests.peers.process import Process

MODULES: Final = Path("/usr/lib/baresip/modules")
# No `stdio` (it fails off a terminal) and no `net_interface lo` (it finds no address there).
CONFIGURATION: Final = """\
sip_listen 127.0.0.1:0
audio_player aufile,/dev/null
audio_source aufile,/dev/null
audio_alert aufile,/dev/null
module_path {modules}
module g711.so
module aufile.so
module uuid.so
module_app account.so
module_app menu.so
"""
REGISTERED: Final = re.compile(r"\b200 OK\b")


class Baresip:
    """One account; baresip refreshes by itself, `interval` is what it asks for in seconds.

    Over TLS it reads the certificates in `ca` and goes on with any server: this old version refuses none.
    """

    def __init__(
        self,
        tmp: Path,
        account: Account,
        server: Address,
        *,
        transport: str = "udp",
        ca: Path | None = None,
        interval: int = 60,
        refresh_percent: int | None = None,
        line: str = "",
    ) -> None:
        """`refresh_percent`, from 5 to 95: how much of the granted time it lets pass, else 90.

        `line` is a whole line of its accounts that somebody else has written.
        """
        folder = tmp / f"baresip-{account.username}"
        folder.mkdir(parents=True, exist_ok=True)
        trusted = f"sip_cafile {ca}\n" if ca else ""
        (folder / "config").write_text(CONFIGURATION.format(modules=MODULES) + trusted)
        outbound = "sip:{}:{};transport={}".format(*server, transport)
        wait = f";rwait={refresh_percent}" if refresh_percent else ""
        (folder / "accounts").write_text(
            line
            or f'<{account.uri};transport={transport}>;outbound="{outbound}";auth_user={account.username};'
            f"auth_pass={account.password};regint={interval}{wait}\n"
        )
        self._process = Process("baresip", ["baresip", "-f", str(folder)], folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What it printed last."""
        return self._process.last_lines(10_000)

    def start(self) -> None:
        """Start, and return when it says that it is registered."""
        before = self._registrations()
        self._process.start()
        self._process.wait_ready(lambda: self._registrations() > before)

    def _registrations(self) -> int:
        return len(REGISTERED.findall(self.output))

    def stop(self) -> None:
        """Ask it to end: it removes its registration first."""
        self._process.stop()

    def kill9(self) -> None:
        """End it without a word, as a power cut does."""
        self._process.kill9()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
