"""How a request gets to a phone: over its flow here, or by the node that holds it (RFC 5626 section 5.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from registrar.model import Flow, Process
from registrar.ports import Clock
from registrar.rules import forward
from registrar.rules.identity import place
from registrar.rules.tokens import Hop, Seal, Target
from registrar.sip import Request

PLACE: Final = "place.invalid"
"""Stands for our address in a request that another node sends on: it knows the address its phone sees."""

Neighbour = tuple[str, str]
"""Generation and `host:port` of another living node."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where the bytes of a request to a phone go."""

    target: Target
    flow: Flow
    node: str = ""
    """`host:port` of the node that holds the flow; empty: we do."""


class Reach:
    """Knows which flows are here and which nodes live."""

    def __init__(
        self,
        open_flow: Callable[[Target], Flow | None],
        node_flow: Callable[[str], Flow | None],
        neighbour: Callable[[str], Neighbour | None],
        seal: Seal,
        salt: Callable[[], bytes],
        clock: Clock,
        *,
        process: Process,
        public_host: str,
    ) -> None:
        """`open_flow` gives the flow of a target that is here, `node_flow` one to another node's `host:port`.

        `neighbour` tells of a living node of that name.
        """
        self._open_flow = open_flow
        self._node_flow = node_flow
        self._neighbour = neighbour
        self._seal = seal
        self.salt = salt
        self._clock = clock
        self._process = process
        self._public_host = public_host

    @property
    def node(self) -> str:
        """Our name."""
        return self._process.node

    def way(self, target: Target) -> Way | None:
        """The way to a target; None: its flow is gone, or its node."""
        connected = target.transport != "udp"
        if target.node == self._process.node:
            if connected and target.generation != self._process.generation:
                return None
            return self._here(target)
        neighbour = self._neighbour(target.node)
        if neighbour is None or (connected and neighbour[0] != target.generation):
            return None if connected else self._here(target)  # a datagram goes from anywhere
        flow = self._node_flow(neighbour[1])
        return Way(target, flow, neighbour[1]) if flow is not None else None

    def via(self, way: Way, mark: str = forward.COOKIE) -> str:
        """Our Via for a request that goes this way, with a branch of its own that begins with `mark`."""
        branch = mark + self.salt().hex()
        return forward.via(way.flow, "" if way.node else self._public_host, branch)

    def place(self, way: Way) -> str:
        """Our address as the phone at the end of it reaches it."""
        return PLACE if way.node else self.place_on(way.flow)

    def place_on(self, flow: Flow) -> str:
        """Our address as whoever is at the other end of `flow` reaches it."""
        return place(flow, self._public_host)

    def leave(self, way: Way, caller: str, request: Request) -> tuple[tuple[str, str], ...]:
        """The Route for another node, which it takes for this request alone; none when the flow is here."""
        if not way.node:
            return ()
        hop = Hop(way.target, caller, request.headers.get("cseq") or "", int(self._clock()))
        token = self._seal.hop(hop, request.call_id, self.salt())
        return (("Route", f"<sip:{token}@{way.node};lr>"),)

    def _here(self, target: Target) -> Way | None:
        flow = self._open_flow(target)
        return Way(target, flow) if flow is not None else None
