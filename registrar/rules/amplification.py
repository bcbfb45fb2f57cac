"""How much more than it sent a source of datagrams is answered before it has proved who it is.

The source of a datagram can be forged, so that answers hit somebody else (RFC 3261 section 26.1.5).
An answer of at most twice the request's octets always passes and costs nothing here.
"""

from typing import Final

from registrar.model import Mono
from registrar.rules.proxies import one_source

FACTOR: Final = 2
ALLOWANCE: Final = 2_000
"""Octets beyond that in any second, for one source."""
WINDOW_SECONDS: Final = 1.0
MAX_SOURCES: Final = 50_000


class Amplification:
    """What each source was answered beyond its due.

    An allowance that was begun is full again when nothing was spent of it for a second: so no second,
    wherever it begins, sees more than one.
    """

    def __init__(self) -> None:
        self._spent: dict[str, tuple[Mono, int]] = {}
        """Source -> when it was last answered so, and how much since it began. The latest stand last."""

    def __len__(self) -> int:
        return len(self._spent)

    def spend(self, address: str, excess: int, now: Mono) -> bool:
        """Return whether `address` may be answered with `excess` octets beyond its due, and note it."""
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
        """Forget those whose allowance is full again, the oldest first."""
        while self._spent:
            oldest = next(iter(self._spent))
            if now - self._spent[oldest][0] < WINDOW_SECONDS:
                break
            del self._spent[oldest]
        return len(self._spent) < MAX_SOURCES
