"""Requests that another node sends over a flow of this node: a permit in the Route allows each of them."""

import logging
from dataclasses import dataclass
from typing import Final

from registrar.ports import Clock
from registrar.rules.forward import COOKIE
from registrar.rules.identity import hops_left
from registrar.rules.tokens import PERMIT_SECONDS, RelayPermit
from registrar.sip import Headers, Request, Response

from ..answers import Answer
from ..network import ServerRequest
from .forwarding import Forwarder
from .lifetimes import Lifetimes
from .reach import PLACE, Reach, Way
from .rewriter import Ringing

PLACED: Final = frozenset({"contact", "record-route", "refer-to"})
"""Headers in which the other node left a placeholder for the address by which the phone reaches us."""

log = logging.getLogger(__name__)


class NodeRelay:
    """Handler of requests that carry a permit."""

    def __init__(
        self,
        forwarder: Forwarder,
        lifetimes: Lifetimes,
        clock: Clock,
    ) -> None:
        self._forwarder = forwarder
        self._lifetimes = lifetimes
        self._clock = clock
        self._used: dict[str, int] = {}
        """Permits that were used recently, oldest first, and when each was issued."""

    async def relay(self, incoming: ServerRequest, permit: RelayPermit) -> None:
        """Forward the request over the flow that the permit names.

        If that flow is gone, answer 430 (RFC 5626 section 5.3.1). If the permit was used before, answer 403.
        """
        reach, request = self._forwarder.reach, incoming.request
        if not self._is_first(permit):
            log.warning("a relay permit was used twice: %s", request.call_id)
            if not incoming.method.is_answered:
                incoming.drop("ack", "its relay permit was used before")
            elif incoming.accept():  # else it is a duplicate that the network made
                incoming.reply(Answer(403, why="Route: this relay permit was used before"))
            return
        way = reach.way(permit.target) if permit.target.node == reach.node else None
        if not incoming.method.is_answered:
            if way is not None:
                relayed = _placed(request, way, reach.via(way), reach.place(way))
                self._forwarder.network.send(relayed, way.flow)
            else:
                incoming.drop("ack", "the flow of its relay permit is gone")
            return
        if not incoming.accept():  # if a refusal is lost, the request comes again, with a used permit
            return
        if way is None or hops_left(request) < 1:
            incoming.reply(Answer(483 if way is not None else 430))
            return
        passing = _Passing(reach, request)
        await self._forwarder.forward(incoming, passing, permit.caller, [[permit.target]], between_nodes=True)
        self._lifetimes.passed(request, incoming.method)

    def _is_first(self, permit: RelayPermit) -> bool:
        """Note that the permit is used, and return whether this was its first use.

        A retransmission has a server transaction and does not come here.
        """
        oldest = self._clock() - 2 * PERMIT_SECONDS
        while self._used and next(iter(self._used.values())) < oldest:
            del self._used[next(iter(self._used))]
        if permit.mark in self._used:
            return False
        self._used[permit.mark] = permit.issued
        return True


@dataclass(frozen=True, slots=True)
class _Passing:
    """A request from another node, which needs no changes of its own; implements rewriter.MessageRewriter."""

    reach: Reach
    asked: Request

    def begin(self, ringing: Ringing) -> None:
        """See rewriter.MessageRewriter."""

    async def request(self, number: int, way: Way) -> Request:
        """See rewriter.MessageRewriter."""
        return _placed(self.asked, way, self.reach.via(way, COOKIE), self.reach.place(way))

    def takes_time(self, number: int, response: Response) -> bool:
        """See rewriter.MessageRewriter."""
        return False

    async def body(self, number: int, response: Response) -> bytes:
        """See rewriter.MessageRewriter."""
        return response.body

    def offers_again(self, number: int, response: Response) -> float | None:
        """See rewriter.MessageRewriter."""
        return None

    def response(self, number: int, response: Response, body: bytes | None) -> Response:
        """Return the response without our Via; the other node decides what the caller sees of the rest."""
        rows = [("via", "Via", value) for value in self.asked.headers.all("via")]
        rows += [row for row in response.headers.rows if row[0] != "via"]
        return Response(response.status, response.reason, Headers(rows), response.body)

    def relayed(self, number: int, response: Response) -> None:
        """See rewriter.MessageRewriter."""

    def refused(self, status: int, why: str = "") -> None:
        """See rewriter.MessageRewriter."""

    def unwanted(self, number: int) -> None:
        """See rewriter.MessageRewriter."""


def _placed(request: Request, way: Way, via: str, place: str) -> Request:
    rows = [("via", "Via", via)]
    for key, name, value in request.headers.rows:
        if key == "route":
            continue
        if key in PLACED and PLACE in value:
            value = value.replace(PLACE, place)
        elif key == "max-forwards":
            value = str(hops_left(request) - 1)
        rows.append((key, name, value))
    return Request(request.method, way.target.contact or request.target, Headers(rows), request.body)
