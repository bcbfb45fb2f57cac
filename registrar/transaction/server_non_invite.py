"""The server transaction of any request but INVITE and ACK (RFC 3261 section 17.2.2, figure 8; RFC 4320)."""

from registrar.model import Flow, Mono
from registrar.sip import Response

from .actions import Action, Send
from .key import Key
from .state import State
from .timers import Timers


class ServerNonInvite:
    """One request and its answer. Only the answer's bytes are kept: there are as many of these as phones."""

    __slots__ = ("_answer", "deadline", "flow", "key", "state")

    def __init__(self, key: Key, flow: Flow, now: Mono, timers: Timers) -> None:
        self.key = key
        self.flow = flow
        self.state = State.TRYING
        self.deadline = Mono(now + timers.timeout)
        """When it is over, whether or not a handler has answered: later the client listens no more (RFC 4320
        section 2). From the final response on, timer J."""
        self._answer = b""

    def absorb(self) -> list[Action]:
        """The request came again: so does the last answer, if there is one."""
        if self.state is State.PROCEEDING or self.state is State.COMPLETED:
            return [Send(self._answer, self.flow, self.key)]
        return []

    def respond(self, response: Response, now: Mono, timers: Timers) -> list[Action]:
        """The handler answers, not having given a final response yet."""
        if response.status == 408:  # RFC 4320 section 4.2: never
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
