"""The state of an INVITE after its 2xx was relayed: it handles retransmitted and late 2xx for 32 s.

A 2xx is retransmitted until its ACK comes, and other 2xx may follow it (RFC 3261 sections 13.3.1.4, 16.7).
The whole request is not kept: past requests would take far more memory than present ones.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from registrar.errors import MalformedMessage
from registrar.rules import forward
from registrar.sip import Request, Response
from registrar.transaction import Key, TableFull

from ..network import Network
from .reach import Reach, Way
from .senders import response_contact

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LateAnswers:
    """The user of the client transaction whose 2xx was relayed; implements network.ClientTransactionUser."""

    network: Network
    reach: Reach
    caller: str
    """Id of the phone that sent the request."""
    way: Way
    tag: str
    """The To-tag of the relayed 2xx."""
    is_new_dialog: bool
    """Whether the INVITE made a dialog; a re-INVITE is part of an existing one."""
    again: Callable[[], None]
    """A function that sends the 2xx to the caller again."""

    def receive_response(self, key: Key, response: Response) -> None:
        """See network.ClientTransactionUser."""
        tag = readable_tag(response)
        if tag is None:
            return
        if tag == self.tag:
            self.again()
            return
        sent = self.network.original(key)
        if sent is not None:
            end_dialog(
                self.network,
                self.reach,
                self.caller,
                self.way,
                sent,
                response,
                is_new_dialog=self.is_new_dialog,
            )

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        """Do nothing: the 2xx was relayed. See network.ClientTransactionUser."""


def end_dialog(
    network: Network,
    reach: Reach,
    caller: str,
    way: Way,
    sent: Request,
    response: Response,
    *,
    is_new_dialog: bool,
) -> None:
    """End the dialog that a 2xx has made: send an ACK and a BYE.

    A dialog that existed before goes on: the 2xx of a re-INVITE gets only an ACK.
    """
    contact = response_contact(response, sent.target) or sent.target
    acknowledge = forward.acknowledge(sent, response, contact, reach.via(way))
    network.send(_addressed(reach, caller, acknowledge, way), way.flow)
    if not is_new_dialog:
        return
    bye = forward.bye(sent, response, contact, reach.via(way), forward.COMPLETED_ELSEWHERE)
    try:
        network.request(_addressed(reach, caller, bye, way), way.flow, None)
    except TableFull:
        log.warning("a BYE could not be sent: too many transactions")


def readable_tag(response: Response) -> str | None:
    """Return the To-tag of a response, empty if it has none, or None if To cannot be parsed."""
    try:
        return response.to.tag or ""
    except MalformedMessage:
        return None


def _addressed(reach: Reach, caller: str, request: Request, way: Way) -> Request:
    """Return the request with the relay permit that another node requires if it holds the flow."""
    for name, value in reach.permit(way, caller, request):
        request.headers.add(name, value)
    return request
