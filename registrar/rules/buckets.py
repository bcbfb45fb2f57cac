"""Token bucket: a limit of requests, exact to one request."""

from dataclasses import dataclass
from typing import Final

from registrar.model import Mono

WHOLE: Final = 1.0 - 1e-6
"""A request costs one token. Sums of floats may miss it by less than this."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a bucket: how many requests a second it gains, and how many it holds."""

    rate: float
    burst: float


class Bucket:
    """The tokens of one source. It is full at first, and gains tokens with time.

    `tokens` and `at` are public only for the shortcut of `handlers.limits.Limiter.lets_in`.
    """

    __slots__ = ("at", "tokens")

    def __init__(self, size: Size, now: Mono) -> None:
        self.tokens = size.burst
        self.at = now

    def take(self, size: Size, now: Mono) -> bool:
        """Take one token, and return whether there was one."""
        tokens = self.tokens + (now - self.at) * size.rate
        if tokens > size.burst:
            tokens = size.burst
        self.at = now
        if tokens < WHOLE:
            self.tokens = tokens
            return False
        self.tokens = tokens - 1.0
        return True

    def grow(self, by: float) -> None:
        """Add tokens, because the bucket is larger now; a negative number takes them away."""
        self.tokens = max(0.0, self.tokens + by)

    def is_full(self, size: Size, now: Mono) -> bool:
        """Return whether forgetting the bucket would change nothing."""
        return self.tokens + (now - self.at) * size.rate >= size.burst
