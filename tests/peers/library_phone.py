"""Pages that other people could have written, with JsSIP or SIP.js as it is: they call, and are loaded anew.

Our own page hangs up when it is left; of these nobody hears that they are.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from tests.peers.browser import DRIVER, FOLDER, NODE
from tests.peers.browser_phone import MICROPHONE, NEAR, ORIGIN, SOUND, BrowserPhone
from tests.peers.phone import Account
from tests.peers.process import CLEAN_ENVIRONMENT, PeerFailed

LIBRARIES: Final = ("jssip", "sipjs")
PACKAGES: Final = (FOLDER / "node_modules", Path(sys.prefix) / "node" / "phone" / "node_modules")
BUNDLE_SECONDS: Final = 60.0
PAGE: Final = """<!doctype html><meta charset="utf-8"><title>A phone</title>
<body data-connection="none" data-registration="none" data-calls=""><audio autoplay></audio><script>
window.play = (stream) => {{ document.querySelector('audio').srcObject = stream; }};
</script><script src="/{name}.js"></script>"""


class LibraryPhone(BrowserPhone):
    """One call at a time, in the page of one library."""

    def __init__(self, tab: object, library: str, *, tone: int = 1000) -> None:
        super().__init__(tab, tone=tone)  # type: ignore[arg-type]  # a Tab
        self.library = library

    def register(self, account: Account, server: str, ice: object = None) -> None:
        fields = {"username": account.username, "password": account.password, "domain": account.domain}
        files = {
            "/page": {"body": PAGE.format(name=self.library), "contentType": "text/html; charset=utf-8"},
            f"/{self.library}.js": {"body": bundle(self.library), "contentType": "text/javascript"},
        }
        self.tab.open(
            f"{ORIGIN}/page#{urlencode({**fields, 'server': server})}",
            script=f"window.toneHertz = {self.tone};\n{SOUND.read_text()}",
            files=files,
            permissions=[NEAR, MICROPHONE],
        )
        self.wait_registered()

    def wait_registered(self) -> None:
        """Return when it is registered."""
        self._until("registered", lambda: self.tab.state()["registration"] == "registered")

    def wait_cut(self) -> None:
        """Return when it knows that its connection has ended; SIP.js has the next one at once."""
        self._until("cut", lambda: "cuts" in self.tab.state())

    def reload(self) -> None:
        """Load the page anew, and return when it is registered again."""
        self.tab.reload()
        self.wait_registered()

    def call(self, number: str) -> None:
        self.tab.evaluate(f"dial({number!r})")

    def wait_incoming(self) -> str:
        self.wait("incoming")
        return ""

    def answer(self) -> None:
        self.tab.evaluate("answer()")
        self.wait("talking")

    def hang_up(self) -> None:
        self.tab.evaluate("hangUp()")
        self.wait("ended")

    def join(self) -> None:
        """Send the first one it talked to to the second one, with SIP.js, and wait for nothing."""
        self.tab.evaluate("join()")

    def watch(self, number: str) -> None:
        """Subscribe to the calls of a number, with SIP.js."""
        self.tab.evaluate(f"watch({number!r})")

    def lamp(self) -> list[tuple[int, int, str]]:
        """What each NOTIFY has said: its CSeq, the version of its document, the state of the dialog."""
        words = [word.split("/") for word in self.tab.state().get("lamps", "").split()]
        return [(int(cseq), int(version), state) for cseq, version, state in words]

    def wait_joined(self) -> None:
        """Return when it was told that they talk to each other."""
        self._until("joined", lambda: self.tab.state().get("joined", "").startswith("SIP/2.0 200"))


@cache
def bundle(library: str) -> str:
    """The script of a page, with all that it imports."""
    source = DRIVER.parent / f"library_{library}.js"
    command = [str(NODE), str(FOLDER / "node_modules/esbuild/bin/esbuild"), str(source), "--bundle"]
    done = subprocess.run(
        [*command, "--target=es2022", "--log-level=error"],
        env={**CLEAN_ENVIRONMENT, "NODE_PATH": os.pathsep.join(map(str, PACKAGES))},
        capture_output=True,
        text=True,
        timeout=BUNDLE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise PeerFailed(f"esbuild: {done.stderr}")
    return done.stdout
