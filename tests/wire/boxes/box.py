"""An emulated phone: it loads the files of its brand in their order, and keeps what it read over its life."""

import hashlib
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from typing import ClassVar, Final

from tests.config.provisioning.parsers import PARSERS, Setting

from .accounts import ACCOUNTS, Sip
from .fetching import Got, Web

TRIES: Final = 3
"""So often a phone asks again while the server says 503; the guides of the brands give no number."""
PASSES: Final = 4
"""So often a phone that loads again at once follows a new URL before it gives up."""
Files = Generator[str, Got, None]
"""The URLs that a phone asks for, each of them after the answer to the one before."""


class KeepsWhatItHas(Exception):
    """The server is not able to answer: the phone goes on with its old settings."""


class Box(ABC):
    """A phone of a brand. Subclasses say what it asks for, and where it finds the URL of the next time."""

    writer: ClassVar[str]
    events: ClassVar[tuple[str, str]]
    """The Event that makes it load, and the one that makes it restart."""
    version: ClassVar[str] = "1.1"

    def __init__(
        self,
        model: str,
        mac: str,
        source: str,
        *,
        serial: str = "",
        at_once: bool = False,
        trusts: ssl.SSLContext | None = None,
        wait: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`at_once`: whether it loads from a new URL at once, else when it starts the next time.

        `wait` is called with the seconds for which it waits before it tries again.
        """
        self.model = model
        self.mac = mac.upper()
        self.serial = serial
        self.source = source
        self.at_once = at_once
        self.server = ""
        """The URL that it loads from, as the brand stores it."""
        self.settings: tuple[Setting, ...] = ()
        self.accounts: tuple[Sip, ...] = ()
        self.applied = 0
        """How often it took settings that were not the ones it had."""
        self.web = Web(self.agent(), source, version=self.version, trusts=trusts)
        self.wait = wait
        self._read: list[Setting] = []
        self._digest = ""

    # What a brand has of its own

    @abstractmethod
    def agent(self) -> str:
        """Its User-Agent, for files and for SIP."""

    def tell(self, url: str) -> None:
        """Store a URL that a person typed, or DHCP or the redirect service of its vendor told."""
        self.server = url

    @abstractmethod
    def files(self) -> Files:
        """Ask for the files of one start."""

    @abstractmethod
    def next_server(self) -> str:
        """Return the URL that the settings name for the next time, or the one it has."""

    # Its life

    def start(self) -> None:
        """Load as at power-on. Raise KeepsWhatItHas."""
        for _ in range(PASSES):
            before = self.server
            self._load()
            if not self.at_once or self.server == before:
                return
        raise AssertionError(f"it is sent on and on: {self.web.steps}")

    def notified(self, event: str) -> None:
        """Load again, as an Event of its brand orders."""
        assert event in self.events, f"a {self.writer} does not know {event}"
        self.start()

    def take(self, text: str) -> None:
        """Read a file as its own parser does; later settings win."""
        self._read += PARSERS[self.writer](text)

    def value(self, name: str) -> str:
        """Return a setting, or an empty text. Attributes and locks do not belong to its name."""
        found = [value for one, value in self._read if one.partition(" perm=")[0].lstrip("!^") == name]
        return found[-1] if found else ""

    def _load(self) -> None:
        """Load all files of one start, then apply them."""
        self._read = []
        files = self.files()
        url = next(files, None)
        while url is not None:
            try:
                url = files.send(self._ask(url))
            except StopIteration:
                break
        self._apply()

    def _ask(self, url: str) -> Got:
        for _ in range(TRIES):
            got = self.web.ask(url)
            assert got.status in (200, 403, 404, 503), f"{self.writer} stops at {got.status}"
            if got.status != 503:
                return got
            self.wait(float(got.headers["retry-after"]))
        raise KeepsWhatItHas(url)

    def _apply(self) -> None:
        """Take over what was read. A phone without new settings keeps all that it has."""
        if not self._read:
            return
        digest = hashlib.md5(repr(self._read).encode(), usedforsecurity=False).hexdigest()
        self.applied += digest != self._digest
        self._digest = digest
        self.settings = tuple(self._read)
        self.server = self.next_server()
        if self._is_configured():
            self.accounts = tuple(ACCOUNTS[self.writer](self._read))

    def _is_configured(self) -> bool:
        """Return whether the settings are more than a URL to load from."""
        return any("pass" in name.lower() for name, _ in self._read)


def folder(url: str) -> str:
    """Return a URL without its file name."""
    return url[: url.rindex("/") + 1]
