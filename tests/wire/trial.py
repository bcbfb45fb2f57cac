"""One torture case before a server: a control OPTIONS, the case, and what comes of it, on any transport."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.patience import limit
from tests.peers.pipe import HungUp
from tests.torture.build import SILENCE, Case, End, Fate
from tests.wire.line import AnyLine, Line, TcpLine, WsLine
from tests.wire.site import Site

SILENCE_SECONDS: Final = 0.5
HANG_UP_SECONDS: Final = limit(2.0)
WAIT_SECONDS: Final = 8.0
"""So long the server waits for the rest of a message."""
OPEN_SECONDS: Final = 5.0
"""So long connections stay open for what may come: after 20 s the server closes one without a digest."""
LATE_SECONDS: Final = limit(2.0)
TOO_BIG: Final = 1009
"""The close code of RFC 6455 section 7.4.1."""


@dataclass
class Trial:
    """What came of one case."""

    case: Case
    fate: Fate
    """What should come of it."""
    statuses: list[int] = field(default_factory=list)
    end: str = "nothing was seen"
    code: int = 0
    """The close code of a WebSocket."""
    seconds: float = 0.0
    """From the message to the server's end of the connection."""
    lived: str = "was not asked"
    """Empty when OPTIONS was answered before and after it."""

    @property
    def fault(self) -> str:
        """What is not as it should be; empty: all is."""
        if self.lived:
            return self.lived
        if self.end != self.fate.end:
            return f"the connection {self.end}, and not: {self.fate.end}"
        if self.end == End.WAITS and not WAIT_SECONDS - 1 < self.seconds < WAIT_SECONDS + LATE_SECONDS:
            return f"waited {self.seconds:.1f} s"
        if not self._answered():
            return f"answered {self.statuses}, and not {[set(allowed) for allowed in self.fate.answers]}"
        return ""

    def _answered(self) -> bool:
        got = list(self.statuses)
        if self.end == End.WAITS and len(got) == len(self.fate.answers) + 1 and got[-1] == 400:
            got.pop()  # a farewell to who did not go on
        for allowed in self.fate.answers:
            if got and got[0] in allowed:
                got.pop(0)
            elif SILENCE not in allowed:
                return False
        return not got


def fate(case: Case, transport: str) -> Fate:
    """What should come of a case on that transport."""
    match transport:
        case "udp":
            return Fate((case.wire,), End.STAYS)
        case "ws" | "wss":
            return case.ws
        case _:
            return case.stream


def line(site: Site, transport: str) -> AnyLine[Any]:
    """A fresh socket."""
    server = site.listeners[transport]
    match transport:
        case "udp":
            return Line(server)
        case "ws" | "wss":
            return WsLine(server, secure=transport == "wss")
        case _:
            return TcpLine(server, secure=transport == "tls")


def conduct(site: Site, transport: str, cases: Iterable[Case]) -> dict[str, Trial]:
    """All cases one after the other, each on a socket of its own; by name."""
    trials: dict[str, Trial] = {}
    waiting: list[tuple[Trial, AnyLine[Any], float]] = []
    quiet: list[tuple[Trial, AnyLine[Any]]] = []
    since = time.monotonic()
    for case in cases:
        if time.monotonic() - since > OPEN_SECONDS:
            _listen(quiet)
            quiet, since = [], time.monotonic()
        trial = trials[case.name] = Trial(case, fate(case, transport))
        opened = line(site, transport)
        try:
            opened.alive()
            began = time.monotonic()
            if trial.fate.end is End.STAYS:
                _go_on(trial, opened)
                quiet.append((trial, opened))
                continue
            opened.send(case.data)
            if trial.fate.end is End.WAITS:
                waiting.append((trial, opened, began))
            else:
                _see_end(trial, opened, began, HANG_UP_SECONDS)
                opened.close()
            with line(site, transport) as other:
                other.alive()
            trial.lived = ""
        except (AssertionError, ConnectionError) as error:
            trial.lived = f"{type(error).__name__}: {error}"
    _listen(quiet)
    for trial, opened, began in waiting:
        _see_end(trial, opened, began, max(0.1, began + WAIT_SECONDS + LATE_SECONDS - time.monotonic()))
        opened.close()
    return trials


def _go_on(trial: Trial, opened: AnyLine[Any]) -> None:
    """The connection should stay: an OPTIONS on it is answered after the case."""
    try:
        trial.statuses = [answer.status for answer in opened.answers_until_probed(trial.case.data)]
        trial.end, trial.lived = End.STAYS, ""
    except HungUp as end:
        trial.end, trial.code, trial.lived = End.CLOSED, end.code, ""


def _see_end(trial: Trial, opened: AnyLine[Any], began: float, within: float) -> None:
    answers, end = opened.answers_until_closed(within)
    trial.statuses = [answer.status for answer in answers]
    trial.seconds = time.monotonic() - began
    if end is None:
        trial.end = End.STAYS
        return
    trial.code = end.code
    trial.end = End.WAITS if trial.fate.end is End.WAITS else End.CLOSED


def _listen(quiet: list[tuple[Trial, AnyLine[Any]]]) -> None:
    """Nothing more may come on the connections that stay, for as long as the slowest answer may take."""
    time.sleep(SILENCE_SECONDS)
    for trial, opened in quiet:
        try:
            trial.statuses += [answer.status for answer in opened.answers_within(0.001)]
        except HungUp:
            trial.end = End.CLOSED
        opened.close()
