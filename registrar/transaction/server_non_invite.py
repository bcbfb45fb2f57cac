"""The server transaction of any request but INVITE and ACK (RFC 3261 section 17.2.2, figure 8; RFC 4320)."""

from registrar.model import Flow, Mono
from registrar.sip import Response

from .actions import Action, Send
from .key import Key
from .share import NO_SHARE, Share
from .state import State
from .timers import Timers


class ServerNonInvite:
    """One request and its response. Only the bytes of the response are kept.

    There are as many of these objects as phones.
    """

    __slots__ = ("_answer", "deadline", "flow", "key", "share", "state")

    def __init__(self, key: Key, flow: Flow, now: Mono, timers: Timers, share: Share = NO_SHARE) -> None:
        self.key = key
        self.flow = flow
        self.share = share
        self.state = State.TRYING
        self.deadline = Mono(now + timers.timeout)
        """When the transaction ends, even if no handler has answered: after that the client no longer listens
        (RFC 4320 section 2). After the final response it is timer J."""
        self._answer = b""

    def absorb(self) -> list[Action]:
        """Return the action that repeats the last response, if any, for a retransmitted request."""
        if self.state is State.PROCEEDING or self.state is State.COMPLETED:
            return [Send(self._answer, self.flow, self.key)]
        return []

    def respond(self, response: Response, now: Mono, timers: Timers) -> list[Action]:
        """Return the actions for the handler's response. Call it only before the first final response."""
        if response.status == 408:  # RFC 4320 section 4.2: never send it
            return []
        self._answer = bytes(response)
        actions: list[Action] = [Send(self._answer, self.flow, self.key)]
        if response.status < 200:
            self.state = State.PROCEEDING
        elif self.flow.transport == "udp":
            self.state = State.COMPLETED
            self.deadline = Mono(now + timers.timeout)
        else:
            self.state = State.TERMINATED  # timer J is 0
        return actions
