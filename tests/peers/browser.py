"""Chromium, a browser that other people wrote: tabs, opened, pressed and looked at from here."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.patience import limit
from tests.peers import netns, procfs
from tests.peers.process import CLEAN_ENVIRONMENT, STARTER, PeerFailed, lacking, wait_until

PROGRAM: Final = "chromium"
FOLDER: Final = Path(sys.prefix) / "node" / "browser"
"""Where `deploy/page.sh browser` puts playwright-core, and a link to the node that is new enough for it."""
NODE: Final = FOLDER / "node"
DRIVER: Final = Path(__file__).parent / "chromium" / "driver.js"
FLAGS: Final = (
    "--no-sandbox",  # root may not have one
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",  # where there is no network but loopback
)
ASKING: Final = ("--use-fake-ui-for-media-stream",)
"""Left out where the browser is to ask before it opens a microphone: without a window, it refuses."""
TRUSTING: Final = "--ignore-certificate-errors"
START_SECONDS: Final = limit(40.0)
STEP_SECONDS: Final = limit(20.0)
"""The driver itself gives up each step after 10 s."""
GONE_SECONDS: Final = limit(10.0)


def missing_parts() -> list[str]:
    """What is not installed of Chromium and its driver, for people."""
    programs = [f"{name} (deploy/peers.sh)" for name in lacking(PROGRAM)]
    return programs if NODE.exists() else [*programs, "playwright-core (make browser)"]


class Tab:
    """One page of a browser, by its name."""

    def __init__(self, browser: "Browser", name: str) -> None:
        self._browser = browser
        self._name = name

    def open(
        self,
        url: str,
        *,
        script: str = "",
        files: dict[str, dict[str, Any]] | None = None,
        permissions: Sequence[str] = (),
    ) -> int:
        """Close the tab if there is one, open a page in a new one; the status of the answer.

        `script` runs first of all in the page; `files` come instead of what any server has; `permissions` are
        what the user has allowed already.
        """
        return int(self._do("open", url=url, script=script, files=files, permissions=permissions or None))

    def reload(self) -> None:
        """Load the page of the tab again, and return when it has loaded."""
        self._do("reload")

    def state(self) -> dict[str, str]:
        """The data attributes of the page's body."""
        return dict(self._do("state"))

    def text(self) -> str:
        """What a reader sees of the page."""
        return str(self._do("text"))

    def problems(self) -> list[str]:
        """What the browser complained about since the page was opened."""
        return list(self._do("problems"))

    def dialogs(self) -> list[str]:
        """The kinds of questions that the browser has asked since the page was opened; all are answered."""
        return list(self._do("dialogs"))

    def press(self, selector: str) -> None:
        """Click on a part of the page."""
        self._do("press", selector=selector)

    def fill(self, selector: str, value: str) -> None:
        """Write into a field of the page."""
        self._do("fill", selector=selector, value=value)

    def key(self, selector: str, key: str) -> None:
        """Press a key of the keyboard while a part of the page has the focus."""
        self._do("key", selector=selector, key=key)

    def evaluate(self, expression: str) -> Any:
        """What a JavaScript expression is worth in the page, as JSON; a promise is waited for."""
        return self._do("evaluate", expression=expression)

    def screenshot(self, path: Path, *, width: int = 1280, height: int = 800, dark: bool = False) -> int:
        """A PNG of the whole page; how wide the page is, which is more than `width` when it overflows."""
        return int(self._do("screenshot", path=str(path), width=width, height=height, dark=dark))

    def close_tab(self) -> None:
        """Close the tab, without asking the page."""
        self._do("close_tab")

    def _do(self, command: str, **arguments: object) -> Any:
        return self._browser.do(command, tab=self._name, arguments=arguments)


class Browser(Tab):
    """One Chromium without a window, which is its own first tab.

    `trusting` lets it take certificates that nobody vouches for; `asking` refuses every microphone.
    """

    def __init__(self, tmp: Path, *, trusting: bool = True, asking: bool = False) -> None:
        super().__init__(self, "")
        self._tmp = tmp / "browser"
        self._tmp.mkdir(parents=True, exist_ok=True)
        flags = [flag for flag in FLAGS if not (asking and flag in ASKING)]
        self._flags = [*flags, TRUSTING] if trusting else flags
        self._driver: subprocess.Popen[bytes] | None = None
        self._received = b""

    def tab(self, name: str) -> Tab:
        """Another tab beside the first one."""
        return Tab(self, name)

    def start(self) -> None:
        """Start it, without a tab."""
        self._driver = STARTER.submit(netns.here(self._spawn)).result()
        flags = {"executable": f"/usr/bin/{PROGRAM}", "arguments": self._flags}
        self.do("launch", START_SECONDS, arguments=flags)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._tmp / "driver.err").open("ab") as err:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", str(NODE), str(DRIVER)],
                cwd=self._tmp,
                env={**CLEAN_ENVIRONMENT, "NODE_PATH": str(FOLDER / "node_modules"), "HOME": str(self._tmp)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                start_new_session=True,
            )

    @property
    def family(self) -> list[int]:
        """The driver, the browser and all its helpers."""
        return procfs.tree(self._driver.pid) if self._driver is not None else []

    def close(self) -> None:
        """End the browser and its driver, and return when all their processes are gone."""
        if self._driver is None:
            return
        family = self.family
        with contextlib.suppress(PeerFailed, OSError):
            self.do("close")
        for pipe in (self._driver.stdin, self._driver.stdout):
            if pipe is not None:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._driver.wait(GONE_SECONDS)
        _kill(family)
        self._driver.wait()
        self._driver = None

    def do(
        self,
        command: str,
        within: float = STEP_SECONDS,
        *,
        tab: str = "",
        arguments: Mapping[str, object] | None = None,
    ) -> Any:
        """One command of the driver. Raises PeerFailed."""
        driver = self._driver
        if driver is None or driver.stdin is None or driver.stdout is None:
            raise PeerFailed("the browser was not started")
        driver.stdin.write(json.dumps({"do": command, "tab": tab, **(arguments or {})}).encode() + b"\n")
        driver.stdin.flush()
        answer = json.loads(self._line(driver.stdout.fileno(), command, within))
        if "error" in answer:
            raise PeerFailed(f"browser: {command}: {answer['error']}")
        return answer["value"]

    def _line(self, output: int, command: str, within: float) -> bytes:
        deadline = time.monotonic() + within
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([output], [], [], left)[0]:
                raise PeerFailed(f"browser: {command}: no answer within {within:g} s\n{self._complaints()}")
            piece = os.read(output, 65_536)
            if not piece:
                raise PeerFailed(f"browser: {command}: its driver ended\n{self._complaints()}")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _complaints(self) -> str:
        return "\n".join((self._tmp / "driver.err").read_text(errors="replace").splitlines()[-20:])

    def __enter__(self) -> Self:
        try:
            self.start()
        except PeerFailed:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _kill(family: list[int]) -> None:
    """Wait for them, and kill those that stay."""
    with contextlib.suppress(PeerFailed):
        wait_until(lambda: not any(map(procfs.alive, family)), "the browser is gone", GONE_SECONDS)
    for pid in filter(procfs.alive, family):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
