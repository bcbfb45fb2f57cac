"""The board at / in a tab: a person logs in, looks at phones, and presses buttons."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from tests.patience import limit, pause
from tests.peers.browser import Tab
from tests.peers.process import PeerFailed

STEP_SECONDS: Final = limit(10.0)
ROW: Final = ".all .row"


class BoardPage:
    """The board of one server in one tab."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        self._url = url

    def open(self, place: str = "") -> None:
        """Load the page at a place such as `#/calls`, without a login unless the tab has one."""
        self.tab.open(f"{self._url}/{place}")

    def log_in(self, email: str, password: str) -> None:
        """Fill in the form, and return when the board is there."""
        self.enter(email, password)
        self.until("logged in", lambda: self.exists(".top"))

    def enter(self, email: str, password: str) -> None:
        """Fill in the form and send it."""
        self.tab.fill("[name=username]", email)
        self.tab.fill("[name=password]", password)
        self.tab.press("form button")

    def go(self, place: str) -> None:
        """Go to a place such as `#/phones?state=offline`."""
        self.tab.evaluate(f"location.hash = {json.dumps(place)}; undefined")

    def exists(self, selector: str) -> bool:
        """Whether an element is there."""
        return bool(self.tab.evaluate(f"document.querySelector({json.dumps(selector)}) !== null"))

    def text_of(self, selector: str) -> str:
        """What a reader sees of an element; empty if it is not there."""
        return str(self.tab.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def rows(self) -> dict[str, str]:
        """The phones whose rows are elements, by their ids: what a reader sees of each."""
        rows: dict[str, str] = self.tab.evaluate(
            f"Object.fromEntries([...document.querySelectorAll('{ROW}:has(a)')]"
            ".map((row) => [row.querySelector('a').dataset.id, row.innerText]))"
        )
        return rows

    def state_of(self, phone: str) -> str:
        """The state of a phone in the table; empty while it is not there."""
        return self.text_of(f"{ROW}:has(a[data-id='{phone}']) .mood")

    def tile(self, name: str) -> str:
        """The figure in a tile, as it is shown."""
        return self.text_of(f"[data-tile={name}] strong")

    def feed(self) -> str:
        """The state of its connection: connecting, live, lost, polling, crowded or closed."""
        return str(self.tab.state().get("feed", ""))

    def choose(self, name: str, value: str) -> None:
        """Choose an entry of a list."""
        option = f"select[name={name}] option[value={json.dumps(value)}]"
        self.until(f"a choice of {value}", lambda: self.exists(option))
        self.tab.evaluate(  # in one step: the page draws the list anew with each event
            f"(() => {{ const list = document.querySelector('select[name={name}]');"
            f" list.value = {json.dumps(value)};"
            " list.dispatchEvent(new Event('change', { bubbles: true })); })()"
        )

    def press(self, label: str) -> None:
        """Press the button with this label, outside of dialogs."""
        self.tab.press(f"main button:text-is({json.dumps(label)}):not(dialog button)")

    def confirm(self, label: str) -> None:
        """Press the button that opens a question, and its like in the question; return when it is gone."""
        self.press(label)
        self.tab.press(f"dialog button:text-is({json.dumps(label)})")
        self.until("answered", lambda: not self.exists("dialog"))

    def until(self, what: str, holds: Callable[[], Any], within: float = STEP_SECONDS) -> float:
        """Return how long it took until `holds()` was true. Raises PeerFailed."""
        begin = time.monotonic()
        while not holds():
            waited = time.monotonic() - begin
            if waited > within:
                problems = "\n".join(self.tab.problems())
                raise PeerFailed(f"board: not {what} within {within:g} s\n{self.tab.text()}\n{problems}")
            time.sleep(pause(waited))
        return time.monotonic() - begin
