"""The client transaction of any request but INVITE and ACK (RFC 3261 section 17.1.2, figure 6)."""

from registrar.model import Flow, Mono
from registrar.sip import Request, Response

from .actions import Action, Answered, Failed, Send, TimedOut
from .key import Key
from .share import NO_SHARE, Share
from .state import State
from .timers import Timers


class ClientNonInvite:
    """One request that we send, retransmitted until its response comes."""

    __slots__ = (
        "_interval", "_over", "_timers", "_unreliable", "data", "deadline", "flow", "key", "share", "state",
    )  # fmt: skip

    def __init__(
        self, request: Request, key: Key, flow: Flow, now: Mono, timers: Timers, share: Share = NO_SHARE
    ) -> None:
        self.key = key
        self.flow = flow
        self.share = share
        self.state = State.TRYING
        self.data = bytes(request)
        self._unreliable = flow.transport == "udp"
        self._timers = timers
        self._interval = timers.t1
        self._over = Mono(now + timers.timeout)  # timer F
        self.deadline: Mono | None = self._next(now)
        """The time of the next call of `tick`; None if there is nothing to do."""

    def start(self) -> list[Action]:
        """Return the action that sends the request for the first time."""
        return [Send(self.data, self.flow, self.key)]

    def receive(self, response: Response, flow: Flow, now: Mono) -> list[Action]:
        """Return the actions for a response. Responses after the first final one are absorbed."""
        if self.state is State.COMPLETED or self.state is State.TERMINATED:
            return []
        if response.status < 200:
            self.state = State.PROCEEDING  # timers E and F continue
        elif self._unreliable:
            self.state = State.COMPLETED
            self.deadline = Mono(now + self._timers.t4)  # timer K
        else:
            self._end()
        return [Answered(response, flow, self.key)]

    def tick(self, now: Mono) -> list[Action]:
        """Return the actions that are due when the deadline has passed."""
        if self.state is State.COMPLETED:
            self._end()
            return []
        if now >= self._over:
            self._end()
            return [TimedOut(self.key)]
        slow = self.state is State.PROCEEDING
        self._interval = self._timers.t2 if slow else min(2 * self._interval, self._timers.t2)
        self.deadline = self._next(now)
        return [Send(self.data, self.flow, self.key)]

    def failed(self) -> list[Action]:
        """End the transaction because the request could not be sent (section 17.1.4)."""
        waiting = self.state is State.TRYING or self.state is State.PROCEEDING
        self._end()
        return [Failed(self.key)] if waiting else []

    def closed(self) -> list[Action]:
        """End the transaction because the connection is closed, so that no response can come."""
        return self.failed()

    def _next(self, now: Mono) -> Mono:
        """Return when timer E (only on an unreliable transport) or timer F fires, the earlier of both."""
        again = Mono(now + self._interval)
        return min(again, self._over) if self._unreliable else self._over

    def _end(self) -> None:
        self.state = State.TERMINATED
        self.deadline = None
