"""The lifetime of tokens: that of the call or subscription, plus 32 s for messages in transit."""

from collections.abc import Callable
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.ports import Calls, Clock
from registrar.rules.tokens import RouteToken
from registrar.sip import Request

from ..method import Method

AFTERLIFE_SECONDS: Final = 32.0
"""64*T1: after that, each message sent before the end has arrived or is lost."""
SUBSCRIPTION_SECONDS: Final = 86_400.0
MAX_NOTED: Final = 20_000


class Lifetimes:
    """The calls and subscriptions that are over, as far as this node knows."""

    def __init__(self, store: Calls, clock: Clock, has: Callable[[str], bool]) -> None:
        """Create the record; `has` returns whether this node manages a call."""
        self._store = store
        self._clock = clock
        self._has = has
        self._over: dict[str, float] = {}
        """Time of each end, by the id of its call or the words of its dialog."""
        self._seen: dict[str, float] = {}
        """Calls of other nodes, and until when the last read of each is trusted."""

    def over(self, id: str) -> None:
        """Note that a call has ended."""
        _note(self._over, id, self._clock())

    def passed(self, request: Request, method: Method) -> None:
        """Note a forwarded request if it ends a dialog, or a call of another node."""
        if method.hangs_up:
            self.over(_call_of(request))
        elif method.notifies and _is_last(request):
            self.over(_dialog_of(request))

    async def lives(self, route: RouteToken, request: Request) -> bool:
        """Return whether the token's call or subscription still goes on, or ended less than 32 s ago.

        Return True if the store is unavailable.
        """
        if self._has(route.call):
            return True
        now = self._clock()
        if not route.call:
            ended = self._over.get(_dialog_of(request))
            return now - route.since < SUBSCRIPTION_SECONDS and not _is_past(ended, now)
        ended = self._over.get(route.call)
        if ended is not None:
            return not _is_past(ended, now)
        return self._seen.get(route.call, 0.0) > now or await self._is_stored(route.call, request)

    async def _is_stored(self, id: str, request: Request) -> bool:
        """Read the call once from the store, and return whether its token is still valid.

        If the call is gone from the store, this node may know that it ended less than 32 s ago.
        """
        try:
            (call,) = await self._store.load([id])
        except StoreUnavailable:
            return True
        now = self._clock()
        if call is None:
            ended = self._over.get(_call_of(request))
            return ended is not None and not _is_past(ended, now)
        _note(self._seen, id, now + AFTERLIFE_SECONDS)
        return True


def _note(notes: dict[str, float], key: str, value: float) -> None:
    notes.pop(key, None)
    notes[key] = value
    if len(notes) > MAX_NOTED:
        del notes[next(iter(notes))]


def _is_past(ended: float | None, now: float) -> bool:
    return ended is not None and now - ended >= AFTERLIFE_SECONDS


def _call_of(request: Request) -> str:
    return f"call {request.call_id}"


def _dialog_of(request: Request) -> str:
    """Return words that name a dialog, the same for both of its sides."""
    tags = sorted((request.from_.tag or "", request.to.tag or ""))
    return f"dialog {tags[0]} {tags[1]} {request.call_id}"


def _is_last(request: Request) -> bool:
    """Return whether a subscription ends with this NOTIFY (RFC 6665 section 4.1.3)."""
    state = request.headers.get("subscription-state") or ""
    return state.partition(";")[0].strip().lower() == "terminated"
