"""What is left of a forwarded INVITE when its answer has gone back and no way is open any more.

A 2xx comes again until its ACK does, and others may follow it, for 32 s (RFC 3261 sections 13.3.1.4, 16.7).
Who keeps the whole request for that keeps far more of the past than there is of the present.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from registrar.errors import MalformedMessage
from registrar.rules import forward
from registrar.sip import Request, Response
from registrar.transaction import Key, TableFull

from .parts import Parts, response_contact
from .reach import Way

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Implements network.Asker for the way whose 2xx went back."""

    parts: Parts
    caller: str
    """Id of the phone whose request it was."""
    way: Way
    tag: str
    """The To-tag of that 2xx."""
    is_new_dialog: bool
    """Whether the INVITE made one: a re-INVITE has it already."""
    again: Callable[[], None]
    """Sends the 2xx to the caller once more."""

    def answered(self, key: Key, response: Response) -> None:
        """See network.Asker."""
        tag = readable_tag(response)
        if tag is None:
            return
        if tag == self.tag:
            self.again()
            return
        sent = self.parts.network.original(key)
        if sent is not None:
            hang_up(self.parts, self.caller, self.way, sent, response, is_new_dialog=self.is_new_dialog)

    def gave_up(self, key: Key, *, timed_out: bool) -> None:
        """See network.Asker: everything has been said."""


def hang_up(
    parts: Parts, caller: str, way: Way, sent: Request, response: Response, *, is_new_dialog: bool
) -> None:
    """End the dialog that a 2xx has made: acknowledge it, and say BYE.

    One that stood before goes on: the 2xx of a re-INVITE gets its ACK alone.
    """
    contact = response_contact(response, sent.target) or sent.target
    acknowledge = forward.acknowledge(sent, response, contact, parts.reach.via(way))
    parts.network.send(_addressed(parts, caller, acknowledge, way), way.flow)
    if not is_new_dialog:
        return
    bye = forward.hang_up(sent, response, contact, parts.reach.via(way), forward.COMPLETED_ELSEWHERE)
    try:
        parts.network.request(_addressed(parts, caller, bye, way), way.flow, None)
    except TableFull:
        log.warning("a BYE could not be sent: too many transactions")


def readable_tag(response: Response) -> str | None:
    """The tag of the dialog that a response is about, empty without one; None: that cannot be told."""
    try:
        return response.to.tag or ""
    except MalformedMessage:
        return None


def _addressed(parts: Parts, caller: str, request: Request, way: Way) -> Request:
    """With the leave that another node asks for, when it holds the flow."""
    for name, value in parts.reach.leave(way, caller, request):
        request.headers.add(name, value)
    return request
