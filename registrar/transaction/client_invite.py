"""The client transaction of an INVITE (RFC 3261 section 17.1.1, figure 5; RFC 6026 section 7.2)."""

from typing import Final

from registrar.model import Flow, Mono
from registrar.sip import Headers, Request, Response

from .actions import Action, Answered, Ended, Failed, Send, TimedOut
from .key import Key
from .share import NO_SHARE, Share
from .state import State
from .timers import Timers

MAX_FORWARDS: Final = "70"


class ClientInvite:
    """One INVITE that we send. It acknowledges a refusal itself; the caller sends the ACK of a 2xx."""

    __slots__ = (
        "_interval", "_over", "_request", "_timers", "_unreliable",
        "data", "deadline", "flow", "key", "share", "state",
    )  # fmt: skip

    def __init__(
        self, request: Request, key: Key, flow: Flow, now: Mono, timers: Timers, share: Share = NO_SHARE
    ) -> None:
        self.key = key
        self.flow = flow
        self.share = share
        self.state = State.CALLING
        self._request: Request | None = request
        """The INVITE, for the ACK of a refusal; None after a 2xx."""
        self.data = bytes(request)
        self._unreliable = flow.transport == "udp"
        self._timers = timers
        self._interval = timers.t1
        self._over = Mono(now + timers.timeout)  # timer B
        self.deadline: Mono | None = self._next(now)
        """The time of the next call of `tick`; None while the phone rings (timer C belongs to the proxy)."""

    def start(self) -> list[Action]:
        """Return the action that sends the INVITE for the first time."""
        return [Send(self.data, self.flow, self.key)]

    def receive(self, response: Response, flow: Flow, now: Mono) -> list[Action]:
        """Return the actions for a response."""
        status = response.status
        match self.state:
            case State.CALLING | State.PROCEEDING:
                return self._first_answers(response, flow, now)
            case State.ACCEPTED if (
                200 <= status < 300
            ):  # one from each phone that a fork reached, and retransmissions
                return [Answered(response, flow, self.key)]
            case State.COMPLETED if status >= 300:
                return self._ack(response)
            case _:
                return []

    def tick(self, now: Mono) -> list[Action]:
        """Return the actions that are due when the deadline has passed."""
        if self.state is not State.CALLING:  # timers D and M
            return self._end(Ended(self.key))
        if now >= self._over:
            return self._end(TimedOut(self.key))
        self._interval *= 2
        self.deadline = self._next(now)
        return [Send(self.data, self.flow, self.key)]

    def failed(self) -> list[Action]:
        """End the transaction because the INVITE or an ACK could not be sent (section 17.1.4)."""
        return self._end(Ended(self.key) if self.state is State.ACCEPTED else Failed(self.key))

    def closed(self) -> list[Action]:
        """End the transaction because the connection is closed, so that no response can come."""
        return self.failed()

    def _first_answers(self, response: Response, flow: Flow, now: Mono) -> list[Action]:
        answered = Answered(response, flow, self.key)
        if response.status < 200:
            self.state = State.PROCEEDING
            self.deadline = None
            return [answered]
        if response.status < 300:
            self.state = State.ACCEPTED
            self._request = None
            self.deadline = Mono(now + self._timers.timeout)  # timer M
            return [answered]
        actions = [*self._ack(response), answered]
        if self._unreliable:
            self.state = State.COMPLETED
            self.deadline = Mono(now + self._timers.d)
            return actions
        return actions + self._end(Ended(self.key))

    def _ack(self, response: Response) -> list[Action]:
        """Return the ACK of a refusal (section 17.1.1.3): headers of the INVITE, To of the response."""
        request = self._request
        if request is None:
            return []
        headers = Headers()
        headers.add("Via", str(request.via))
        headers.add("Max-Forwards", MAX_FORWARDS)
        for key, name, value in request.headers.rows:
            if key in ("from", "call-id", "route"):
                headers.add(name, value)
            elif key == "to":
                headers.add(name, response.headers.get("to") or value)
        headers.add("CSeq", f"{request.cseq[0]} ACK")
        headers.add("Content-Length", "0")
        return [Send(bytes(Request("ACK", request.target, headers)), self.flow, self.key)]

    def _next(self, now: Mono) -> Mono:
        """Return when timer A (only on an unreliable transport) or timer B fires, the earlier of both."""
        again = Mono(now + self._interval)
        return min(again, self._over) if self._unreliable else self._over

    def _end(self, last: Action) -> list[Action]:
        self.state = State.TERMINATED
        self.deadline = None
        return [last]
