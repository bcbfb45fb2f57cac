"""Ordinary phones on every transport, while others misbehave: each of them is answered, and soon."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, get_args

from tests.patience import SOAK, limit
from tests.peers.load import Acknowledged, Transport
from tests.peers.sipp import percentile
from tests.wire.conftest import Report
from tests.wire.ledger import Load
from tests.wire.site import Site, within

TRANSPORTS: Final[tuple[Transport, ...]] = get_args(Transport)
PHONES: Final = 8
"""Of each transport."""
RATE: Final = 40
"""Registrations a second, of all together."""
P99_SECONDS: Final = limit(0.1)
BUSY: Final = 3.0
CALM_SECONDS: Final = 1.5


class Fleet:
    """Registers again and again for the length of a block; over TCP, TLS, ws and wss connections are kept."""

    def __init__(
        self, site: Site, *, rate: float = RATE, transports: tuple[Transport, ...] = TRANSPORTS
    ) -> None:
        self.loads = [
            Load(
                [site.new_phone().account for _ in range(PHONES)],
                site.listeners[transport],
                rate=rate / len(transports),
                transport=transport,
            )
            for transport in transports
        ]
        self.size = PHONES * len(transports)
        self._running = ExitStack()

    def answered(self, since: float, until: float) -> list[Acknowledged]:
        """The registrations that were begun and answered with 200 between two moments of the wall clock."""
        done = [one for load in self.loads for one in list(load.result.acknowledged)]
        return [one for one in done if since <= one.at - one.seconds and one.at <= until]

    def p99(self, since: float, until: float) -> float:
        """In seconds, from the first request to the 200."""
        return percentile(sorted(one.seconds for one in self.answered(since, until)), 99)

    @property
    def failures(self) -> list[object]:
        """Everything that was not answered with 200."""
        return [bad for load in self.loads for bad in (*load.result.refused, *load.result.timeouts)]

    @property
    def acknowledged(self) -> int:
        return sum(load.acknowledged for load in self.loads)

    def __enter__(self) -> Self:
        for load in self.loads:
            self._running.enter_context(load)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()


@dataclass(frozen=True)
class Calm:
    """Ordinary phones, and how soon they were answered while nobody misbehaved."""

    fleet: Fleet
    p99: float

    @classmethod
    def of(cls, fleet: Fleet) -> "Calm":
        """Everybody has a connection; from now on it is measured."""
        within(20, lambda: fleet.acknowledged > fleet.size, "everybody is there")
        since = time.time()
        time.sleep(CALM_SECONDS)
        return cls(fleet, fleet.p99(since, time.time()))

    def nobody_notices(self, since: float, report: Report) -> None:
        """All that was asked since then was answered, and soon; on a machine that is busy, not much later."""
        until = time.time()
        answered, p99 = self.fleet.answered(since, until), self.fleet.p99(since, until)
        slowest = max((one.seconds for one in answered), default=0.0)
        took = f"p99 {1000 * p99:.0f} ms (before: {1000 * self.p99:.0f}), slowest {1000 * slowest:.0f} ms"
        report(f"{len(answered)} registrations of others in {until - since:.1f} s: {took}")
        assert len(answered) > ((until - since) * RATE / 2 if SOAK else 0), "they register all the time"
        assert self.fleet.failures == []
        assert p99 <= max(P99_SECONDS, BUSY * self.p99)
