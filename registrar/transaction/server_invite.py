"""The server transaction of an INVITE (RFC 3261 section 17.2.1, figure 7; RFC 6026 section 7.1).

The handler retransmits a 2xx until its ACK comes (RFC 3261 section 13.3.1.4).
"""

from registrar.model import Flow, Mono
from registrar.sip import Request, Response, answer

from .actions import Action, Deliver, Ended, Failed, Send, TimedOut
from .key import Key
from .share import NO_SHARE, Share
from .state import State
from .timers import Timers


class ServerInvite:
    """One received INVITE, its response and, unless that is a 2xx, its ACK."""

    __slots__ = (
        "_answer", "_interval", "_over", "_request", "_timers", "_to_tag", "_unreliable",
        "deadline", "flow", "key", "share", "state",
    )  # fmt: skip

    def __init__(
        self, request: Request, key: Key, flow: Flow, now: Mono, timers: Timers, share: Share = NO_SHARE
    ) -> None:
        self.key = key
        self.flow = flow
        self.share = share
        self.state = State.PROCEEDING
        self.deadline: Mono | None = Mono(now + timers.trying)
        """The time of the next call of `tick`; None if there is nothing to do."""
        self._request: Request | None = request
        """The INVITE, for the 100; None after something was sent."""
        self._unreliable = flow.transport == "udp"
        self._timers = timers
        self._answer = b""
        """The response that was sent last."""
        self._to_tag: str | None = None
        self._interval = timers.t1
        self._over = now

    def respond(self, response: Response, now: Mono) -> list[Action]:
        """Return the actions for the handler's response. After a final one only a 2xx may follow a 2xx."""
        match self.state:
            case State.PROCEEDING:
                return self._first_answers(response, now)
            case State.ACCEPTED if 200 <= response.status < 300:
                self._answer = bytes(response)
                return [Send(self._answer, self.flow, self.key)]
            case _:
                return []

    def absorb(self) -> list[Action]:
        """Return the actions for a retransmitted INVITE.

        They repeat a provisional response or a refusal, but not a 2xx.
        """
        if self._answer and (self.state is State.PROCEEDING or self.state is State.COMPLETED):
            return [Send(self._answer, self.flow, self.key)]
        return []

    def repeat(self) -> list[Action]:
        """Return the action that sends the 2xx again, because the callee has retransmitted it."""
        return [Send(self._answer, self.flow, self.key)] if self.state is State.ACCEPTED else []

    def acknowledged_by(self, ack: Request) -> bool:
        """Return whether `ack` is for this INVITE. An RFC 2543 ACK must have our To tag (section 17.2.3)."""
        return ack.via.is_rfc3261 or ack.to.tag == self._to_tag

    def acknowledge(self, ack: Request, flow: Flow, now: Mono) -> list[Action]:
        """Return the actions for the ACK. It ends retransmissions, or goes to the handler that sent a 2xx."""
        match self.state:
            case State.ACCEPTED:
                return [Deliver(ack, flow, self.key)]
            case State.COMPLETED if self._unreliable:
                self.state = State.CONFIRMED
                self.deadline = Mono(now + self._timers.t4)  # timer I
                return []
            case State.COMPLETED:
                return self._end(Ended(self.key))
            case _:
                return []

    def tick(self, now: Mono) -> list[Action]:
        """Return the actions that are due when the deadline has passed."""
        if self._request is not None:
            return self._trying(self._request)
        if self.state is not State.COMPLETED:  # timers I and L
            return self._end(Ended(self.key))
        if now >= self._over:  # timer H
            return self._end(TimedOut(self.key))
        self._interval = min(2 * self._interval, self._timers.t2)
        self._arm(now)
        return [Send(self._answer, self.flow, self.key)]

    def closed(self) -> list[Action]:
        """End the transaction because the connection is closed.

        No connection is opened for the response, although RFC 3261 section 18.2.2 would open one.
        """
        return self._end(Failed(self.key))

    def _first_answers(self, response: Response, now: Mono) -> list[Action]:
        data = bytes(response)
        self._request = None
        self._answer = data
        self._to_tag = response.to.tag
        if response.status < 200:
            self.deadline = None
        elif response.status < 300:
            self.state = State.ACCEPTED
            self.deadline = Mono(now + self._timers.timeout)  # timer L
        else:
            self.state = State.COMPLETED
            self._over = Mono(now + self._timers.timeout)  # timer H
            self._arm(now)
        return [Send(data, self.flow, self.key)]

    def _arm(self, now: Mono) -> None:
        """Set the deadline to timer G (only on an unreliable transport) or timer H, the earlier of both."""
        again = Mono(now + self._interval)
        self.deadline = min(again, self._over) if self._unreliable else self._over

    def _trying(self, request: Request) -> list[Action]:
        """Return the 100 for a handler that has not answered in time (`Timers.trying`, RFC: 200 ms).

        It repeats the Timestamp (section 8.2.6.1).
        """
        stamp = request.headers.get("timestamp")
        trying = answer(request, 100, headers=() if stamp is None else (("Timestamp", stamp),))
        self._request = None
        self.deadline = None
        self._answer = bytes(trying)
        return [Send(self._answer, self.flow, self.key)]

    def _end(self, last: Action) -> list[Action]:
        self.state = State.TERMINATED
        self.deadline = None
        return [last]
