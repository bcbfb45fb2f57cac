"""One stream of events to one client: where it is, what it gets, and why it ends."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from registrar.model import Epoch

from ..auth import Caller, Claims, Credentials
from .told import Sight, Told, Wanted

CHUNK: Final = 200
"""Events that are looked at in one turn of the event loop."""


@dataclass(slots=True, eq=False)
class Reader:
    """The state of one stream."""

    caller: Caller
    token: Credentials
    stamp: object
    """What must stay the same while the token is used (operations.sights.stamps)."""
    sight: Sight
    wanted: Wanted
    position: int = 0
    """The position in the ring of the next event."""
    over: bool = False
    """Set when the stream must end."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def person(self) -> str:
        """Return the id of the person, else what stands for the token: each has a limit of streams."""
        return self.caller.employee or str(hash(self.token))

    @property
    def expires_at(self) -> Epoch | None:
        """Return when the token expires, or None if it does not."""
        moment = self.token.expires_at if isinstance(self.token, Claims) else None
        return None if moment is None else Epoch(moment.timestamp())

    def is_expired(self, now: Epoch) -> bool:
        """Return whether the token has expired. Unlike for a request, the clock has no leeway."""
        return self.expires_at is not None and now >= self.expires_at

    def chosen(self, told: Sequence[Told]) -> list[bytes]:
        """Return the messages for this reader."""
        return [self.sight.shown(one) for one in told if not one.is_repeat and self._gets(one)]

    def heard(self, told: Sequence[Told], customers: frozenset[str], before: int, after: int) -> None:
        """Wake the stream if one of these new events is for it; else go past them if it waits for them.

        `customers` are those of the events, `before` and `after` the ends of the ring.
        """
        seen = self.sight.customers
        if (seen is None or not seen.isdisjoint(customers)) and any(map(self._gets, told)):
            self._news.set()
        elif self.position == before:
            self.position = after

    def end(self) -> None:
        """End the stream."""
        self.over = True
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Wait for the next event that may be for this reader, or until the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    def _gets(self, told: Told) -> bool:
        return self.sight.sees(told) and self.wanted.has(told)
