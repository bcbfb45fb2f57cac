"""The page at /phone as a phone that calls: buttons are pressed, a tone is spoken, sound is measured.

The page comes from the source tree without any web server, as a page of http://127.0.0.1, which browsers
trust with a microphone; so it works in a network namespace too. Two phones in two tabs call each other:

    with Browser(tmp) as browser:
        anna, bert = BrowserPhone(browser.tab("anna"), tone=1000), BrowserPhone(browser.tab("bert"), tone=700)
        anna.register(account, "wss://10.77.0.1:8443"); bert.register(...)
        anna.call("1002"); bert.wait_incoming(); bert.answer(); anna.wait("talking")
        assert bert.listens_to(1000) and anna.listens_to(700)
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import urlencode

from config.page import BASE, BASE_FILE, SCRIPT, STYLE
from config.phone import PAGE
from tests.patience import limit
from tests.peers.browser import DRIVER, Tab
from tests.peers.phone import Account
from tests.peers.process import PeerFailed

ORIGIN: Final = "http://127.0.0.1:9"
"""Nobody listens there: the browser is given the files instead."""
NEAR: Final = "local-network-access"
"""A page that came from no address counts as one of the public network, and may not connect to ours."""
MICROPHONE: Final = "microphone"
"""A page that may not listen is not told the addresses of the machine: ICE finds nothing in a namespace."""
SOUND: Final = DRIVER.parent / "sound.js"
STEP_SECONDS: Final = limit(10.0)
POLL_SECONDS: Final = 0.05
WINDOW_SECONDS: Final = 1.0
PACKETS_A_SECOND: Final = 25
"""Of 50 that are sent."""
NEAR_HERTZ: Final = 12.0
"""One bin of the analyser is 11 to 12 Hz wide."""
AUDIBLE_DB: Final = -50.0


@dataclass(frozen=True)
class Heard:
    """What a phone hears at one moment."""

    connection: str
    """As WebRTC calls it: new, connecting, connected, ...; none when there is no call."""
    received: int
    """RTP packets since the call began."""
    sent: int
    codec: str
    hertz: float
    """The loudest frequency."""
    level: float
    """How loud that one is, in decibels."""


class BrowserPhone:
    """One phone in one tab; `tone` is the frequency that it speaks, 0 for the microphone of the browser."""

    def __init__(self, tab: Tab, *, tone: int = 1000) -> None:
        self.tab = tab
        self.tone = tone
        self.spy = ""
        """A script that runs before those of the page."""
        self.permissions: Sequence[str] = ()
        """What the user has allowed beside the usual."""

    def register(self, account: Account, server: str, ice: list[dict[str, Any]] | None = None) -> None:
        """Open the page with this account at a WebSocket's URL, and return when it is registered."""
        fields = {"username": account.username, "password": account.password, "domain": account.domain}
        link = {**fields, "server": server, **({"ice": json.dumps(ice)} if ice else {})}
        script = f"window.toneHertz = {self.tone};\n{SOUND.read_text()}\n{self.spy}"
        allowed = [NEAR, *self.permissions, *([MICROPHONE] if self.tone else [])]
        page = f"{ORIGIN}/phone#{urlencode(link)}"
        self.tab.open(page, script=script, files=page_files(server), permissions=allowed)
        self._until("registered", lambda: self.tab.state()["registration"] == "registered")

    def call(self, number: str) -> None:
        """Dial, and wait for nothing."""
        self.tab.fill("#number", number)
        self.tab.key("#number", "Enter")

    def wait_incoming(self) -> str:
        """Wait until somebody calls: who, as the page shows it."""
        self.wait("incoming")
        return self._part("[data-state=incoming] .headline span")

    def answer(self) -> None:
        """Answer, and return when the call is up."""
        self._press("answer")
        self.wait("talking")

    def decline(self) -> None:
        self._press("decline")

    def hang_up(self) -> None:
        """End all calls, and return when they are over."""
        while {"talking", "held", "calling", "ringing", "asking"} & set(self.states):
            self._press("hangUp")
        self.wait("ended")

    def hold(self) -> None:
        self._press("hold")
        self.wait("held")

    def resume(self) -> None:
        self._press("resume")
        self.wait("talking")

    def mute(self) -> None:
        """Mute, or take it back."""
        self._press("mute")

    def keys(self, keys: str) -> None:
        """Press keys of the keypad."""
        for key in keys:
            self.tab.press(f"#calls [data-key='{key}']:visible")

    def refer(self, number: str) -> None:
        """Transfer the call blindly, and wait for nothing."""
        self.tab.fill(".transfer input:visible", number)
        self.tab.key(".transfer input:visible", "Enter")

    @property
    def states(self) -> list[str]:
        """Of its calls: asking, calling, ringing, incoming, answering, talking, held, ended."""
        return self.tab.state()["calls"].split()

    def wait(self, *states: str, within: float = STEP_SECONDS) -> None:
        """Return when its calls are in these states."""
        self._until(" ".join(states), lambda: self.states == list(states), within)

    @property
    def why(self) -> str:
        """How the last call ended, as the page says it."""
        return self._part("[data-state=ended] .words")

    def heard(self) -> Heard:
        """What it hears now."""
        return Heard(**self.tab.evaluate("heard()"))

    def listens_to(self, hertz: float, within: float = STEP_SECONDS) -> bool:
        """Whether it hears this tone, from a steady stream of packets, sooner or later."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            before = self.heard()
            time.sleep(WINDOW_SECONDS)
            now = self.heard()
            steady = now.received - before.received >= PACKETS_A_SECOND * WINDOW_SECONDS
            if steady and now.level > AUDIBLE_DB and abs(now.hertz - hertz) <= NEAR_HERTZ:
                return True
        return False

    def is_silent(self, within: float = STEP_SECONDS) -> bool:
        """Whether nothing is heard for a second, sooner or later."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            levels = []
            for _ in range(5):
                levels.append(self.heard().level)
                time.sleep(WINDOW_SECONDS / 5)
            if max(levels) < AUDIBLE_DB:
                return True
        return False

    def _part(self, selector: str) -> str:
        return str(self.tab.evaluate(f"document.querySelector({json.dumps(selector)}).textContent"))

    def _press(self, action: str) -> None:
        self.tab.press(f"#calls [data-do={action}]:visible")

    def _until(self, what: str, holds: Callable[[], bool], within: float = STEP_SECONDS) -> None:
        deadline = time.monotonic() + within
        while not holds():
            if time.monotonic() > deadline:
                raise PeerFailed(
                    f"browser: not {what} within {within:g} s: {self.tab.state()}\n{self.tab.text()}"
                )
            time.sleep(POLL_SECONDS)


def page_files(server: str) -> dict[str, dict[str, Any]]:
    """The page of a server and its parts, with the headers that the server gives them."""
    values = {"version": "test", "domain": "", "server": server}
    page = Template((PAGE.source / "page.html").read_text()).substitute(
        {name: escape(value) for name, value in values.items()}
    )
    return {
        "/phone": _file(page, "text/html"),
        BASE: _file(_text(BASE_FILE), "text/css"),
        f"/phone/{STYLE}": _file(_text(PAGE.source / STYLE), "text/css"),
        f"/phone/{SCRIPT}": _file(_text(PAGE.built / SCRIPT), "text/javascript"),
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _file(text: str, media_type: str) -> dict[str, Any]:
    return {"body": text, "contentType": f"{media_type}; charset=utf-8", "headers": dict(PAGE.headers)}
