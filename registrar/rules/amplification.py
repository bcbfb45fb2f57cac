"""The limit on the octets that we send to an unauthenticated source of datagrams.

The source of a datagram can be forged, so that our responses hit a third party (RFC 3261 section 26.1.5).
A response of at most twice the request's octets always passes and is not counted here.
"""

from typing import Final

from registrar.model import Mono
from registrar.rules.proxies import one_source

FACTOR: Final = 2
ALLOWANCE: Final = 2_000
"""Octets beyond FACTOR times the request, per source, in any second."""
WINDOW_SECONDS: Final = 1.0
MAX_SOURCES: Final = 50_000


class Amplification:
    """The excess octets that were sent to each source.

    An allowance is restored in full after one second in which nothing was spent. So no interval of one second
    contains more than one allowance.
    """

    def __init__(self) -> None:
        self._spent: dict[str, tuple[Mono, int]] = {}
        """Source -> time of its last excess and octets spent of its allowance; the latest is last."""

    def __len__(self) -> int:
        return len(self._spent)

    def spend(self, address: str, excess: int, now: Mono) -> bool:
        """Return whether `address` may get `excess` octets beyond the limit; if it may, count them."""
        key = one_source(address)
        last, spent = self._spent.get(key, (now, 0))
        if now - last >= WINDOW_SECONDS:
            spent = 0
        if spent + excess > ALLOWANCE:
            return False
        if self._spent.pop(key, None) is None and not self._has_room(now):
            return False
        self._spent[key] = (now, spent + excess)
        return True

    def _has_room(self, now: Mono) -> bool:
        """Forget sources whose allowance is restored; return whether there is room for one more source."""
        while self._spent:
            oldest = next(iter(self._spent))
            if now - self._spent[oldest][0] < WINDOW_SECONDS:
                break
            del self._spent[oldest]
        return len(self._spent) < MAX_SOURCES
