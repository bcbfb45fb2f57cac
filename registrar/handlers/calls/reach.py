"""The way to a phone: its flow on this node, or the node that holds its flow (RFC 5626 section 5.3)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from registrar.model import Flow, Process
from registrar.ports import Clock
from registrar.rules import forward
from registrar.rules.edges import routes
from registrar.rules.hosts import OurHosts
from registrar.rules.identity import PresentedHeaders, place, shown_request
from registrar.rules.tokens import Named, RelayPermit, RouteToken, Target, TokenCodec
from registrar.sip import Request

PLACE: Final = "place.invalid"
"""Placeholder for our address in a request that another node forwards.

Only that node knows the address by which the phone reaches it.
"""

Neighbour = tuple[str, str]
"""Generation and address of another living node: `host:port`, with `;transport=tls` if it takes TLS."""


@dataclass(frozen=True, slots=True)
class Way:
    """The flow over which a request to a target is sent."""

    target: Target
    flow: Flow
    node: str = ""
    """Address of the node that holds the phone's flow; empty if this node holds it."""


class Reach:
    """Finder of ways to targets: by the flows of this node and by the living nodes."""

    def __init__(
        self,
        open_flow: Callable[[Target], Flow | None],
        node_flow: Callable[[str], Flow | None],
        neighbour: Callable[[str], Neighbour | None],
        codec: TokenCodec,
        salt: Callable[[], bytes],
        hosts: OurHosts,
        clock: Clock,
        *,
        process: Process,
        secure_nodes: Callable[[], Collection[str]],
        siblings: Collection[str] = (),
    ) -> None:
        """Create the finder; `salt` returns random bytes for branches and tokens.

        `open_flow` returns the flow of a target on this node, and `node_flow` a flow to another node's
        address. `neighbour` returns the living node with a name, or None. `secure_nodes` returns this node
        and those that it reaches over TLS. `siblings` are the nodes with which this one shares its UDP port.
        """
        self._siblings = siblings
        self._open_flow = open_flow
        self._node_flow = node_flow
        self._neighbour = neighbour
        self._codec = codec
        self.salt = salt
        self._clock = clock
        self._process = process
        self._hosts = hosts
        self._secure_nodes = secure_nodes

    @property
    def node(self) -> str:
        """Return the name of this node."""
        return self._process.node

    @property
    def secure_nodes(self) -> Collection[str]:
        """Return this node, and those to which a request goes over TLS."""
        return self._secure_nodes()

    def way(self, target: Target) -> Way | None:
        """Return the way to a target, or None if its flow or its node is gone."""
        if target.path:  # any node can send to the edge
            return self._here(target)
        connected = target.transport != "udp"
        if target.node == self._process.node:
            if connected and target.generation != self._process.generation:
                return None
            return self._here(target)
        if not connected and target.node in self._siblings:
            return self._here(target)  # from the same port; the answer is handed over (transport/handover)
        neighbour = self._neighbour(target.node)
        if neighbour is None or (connected and neighbour[0] != target.generation):
            return None if connected else self._here(target)  # any node can send a datagram
        flow = self._node_flow(neighbour[1])
        return Way(target, flow, neighbour[1]) if flow is not None else None

    def via(self, way: Way, mark: str = forward.COOKIE) -> str:
        """Return our Via for a request that goes this way, with a new branch that begins with `mark`."""
        branch = mark + self.salt().hex()
        return forward.via(way.flow, "" if way.node else self._hosts.public, branch)

    def place(self, way: Way) -> str:
        """Return our address as the phone at the end of the way reaches it."""
        return PLACE if way.node else self.place_on(way.flow)

    def place_on(self, flow: Flow) -> str:
        """Return our address as the peer at the other end of `flow` reaches it."""
        return place(flow, self._hosts.public)

    def permit(
        self, way: Way, caller: str, request: Request, extra: tuple[tuple[str, str], ...] = ()
    ) -> tuple[tuple[str, str], ...]:
        """Return the Routes of a request: the Path to its phone, or a permit for another node; else none.

        The permit is for this request only. `extra` are headers that replace those of the request.
        """
        if not way.node:
            return routes(way.target.path) if way.target.path else ()
        cseq = dict(extra).get("CSeq") or request.headers.get("cseq") or ""
        permit = RelayPermit(way.target, caller, cseq, int(self._clock()))
        token = self._codec.permit(permit, request.call_id, self.salt())
        return (("Route", f"<sip:{token}@{way.node};lr>"),)

    def gr(self, target: Target, *, is_private: bool) -> str:
        """Return the `gr` token of a device (RFC 5627).

        If its party withholds its identity, the token is salted, so that it cannot identify the device.
        """
        return self._codec.target(target, self.salt() if is_private else b"")

    def read_gr(self, gr: str) -> Named | None:
        """Return what a `gr` token names, or None if it is not one of this service."""
        return self._codec.read_target(gr)

    def route(self, route: RouteToken, call_id: str) -> str:
        """Return the token for a Record-Route."""
        return self._codec.route(route, call_id)

    def show(
        self,
        asked: Request,
        uri: str,
        way: Way,
        presented: PresentedHeaders,
        body: bytes,
        extra: tuple[tuple[str, str], ...],
        *,
        caller: str,
        mark: str = forward.COOKIE,
    ) -> Request:
        """Return a request of phone `caller` as it leaves by a way, with `extra` headers.

        Its branch begins with `mark`.
        """
        extra = (*extra, *self.permit(way, caller, asked, extra))
        return shown_request(asked, uri, self.via(way, mark), presented, body, self._hosts.has, extra)

    def _here(self, target: Target) -> Way | None:
        flow = self._open_flow(target)
        return Way(target, flow) if flow is not None else None
