"""The timers of RFC 3261 section 17 (table 4) as a value, derived from T1, T2 and T4."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Timers:
    """Durations in seconds. Tests use their own."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    """How long the network may keep a message; timers I and K over UDP."""
    d: float = 32.0
    """Time to wait for retransmissions of a final response to an INVITE (at least 32 s over UDP)."""
    trying: float = 0.15
    """If the handler of an INVITE has not answered after this time, a 100 is sent: section 17.2.1 requires it
    within 200 ms."""

    @property
    def timeout(self) -> float:
        """Return 64*T1: timers B, F, H, J over UDP, and timers L and M of RFC 6026."""
        return 64 * self.t1


STANDARD: Final = Timers()
"""The values that the RFC gives for the Internet."""
