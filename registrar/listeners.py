"""The sockets of the SIP side: its UDP listeners and acceptors, and the flows out of this process."""

import logging
import socket
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from registrar.driver import Driver
from registrar.errors import ConfigurationError
from registrar.handlers.calls.reach import Neighbour
from registrar.handlers.registration.pings import Pings
from registrar.metrics import Metrics
from registrar.model import Binding, Flow, IpNetwork
from registrar.rules.access import folded
from registrar.rules.edges import hop_of
from registrar.rules.tokens import Target
from registrar.store.nodes import OVER_TLS, Nodes
from registrar.store.redis_url import parse_url
from registrar.transport import local
from registrar.transport.accept import Acceptor
from registrar.transport.connection import Connection
from registrar.transport.connections import Connections
from registrar.transport.handover import Handover
from registrar.transport.node_links import NodeLinks
from registrar.transport.node_tls import NodeTls
from registrar.transport.stream import NodeConnection, StreamConnection
from registrar.transport.tls import ServerTls
from registrar.transport.udp import WILDCARDS, UdpListener
from registrar.transport.websocket import WebSocketConnection

log = logging.getLogger("registrar.app")

Address = tuple[str, int]
PHONES: Final = ("udp", "tcp", "tls", "ws", "wss")
"""The transports of phones, each with its setting `REGISTRAR_SIP_...`."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a worker has of the ports that all workers of this machine share. The sockets outlive it."""

    number: int
    """From 1."""
    count: int
    sockets: Mapping[tuple[str, Address], socket.socket]
    """Our socket for each transport and address; the kernel chooses the worker of each peer."""
    own: socket.socket
    """A UDP socket that no other worker has: other nodes, and siblings, reach this one by it."""
    inbox: socket.socket
    outboxes: Mapping[int, socket.socket]
    is_first_start: bool

    def name(self, node: str) -> str:
        """Return the name of this worker as a node; the first one has that of a process that is alone."""
        return _worker_name(node, self.number)

    def siblings(self, node: str) -> frozenset[str]:
        """Return the names of the others."""
        others = set(range(1, self.count + 1)) - {self.number}
        return frozenset(_worker_name(node, number) for number in others)

    def node_sip(self, given: str, redis_url: str) -> str:
        """Return where others reach this worker. Of a `given` address, the port is counted on."""
        if not given:
            return _told(self.own.getsockname()[:2], redis_url)
        return f"{given.rpartition(':')[0]}:{self.own.getsockname()[1]}"


def _worker_name(node: str, number: int) -> str:
    return node if number == 1 else f"{node}/{number}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to listen, for each transport; docs/settings.md explains each."""

    udp: tuple[Address, ...]
    tcp: tuple[Address, ...]
    tls: tuple[Address, ...]
    ws: tuple[Address, ...]
    wss: tuple[Address, ...]
    node: Address | None = None
    """Where other nodes connect over TLS; None: they send over UDP."""

    @property
    def every(self) -> tuple[tuple[str, Address], ...]:
        """Return each address of phones with its transport."""
        return tuple((name, address) for name in PHONES for address in getattr(self, name))

    def default_node(self) -> str:
        """Return the name of a node that has none in the settings."""
        every = (*self.udp, *self.tcp, *self.tls, *self.ws, *self.wss)
        return f"{socket.gethostname()}-{every[0][1] if every else 0}"

    def default_node_sip(self, redis_url: str) -> str:
        """Return the address of the UDP listener; if it is a wildcard, the local address towards Redis."""
        if not self.udp:
            return ""
        return _told(self.udp[0], redis_url)

    def node_tls(self, redis_url: str) -> str:
        """Return where other nodes connect over TLS, as they are told; empty if they do not."""
        return _told(self.node, redis_url) if self.node is not None else ""


class Listeners:
    """The open listeners; implements handlers.building.Ways."""

    def __init__(
        self,
        addresses: Addresses,
        connections: Connections,
        nodes: Nodes,
        metrics: Metrics,
        *,
        origins: tuple[str, ...],
        proxies: Sequence[IpNetwork],
        tls: ServerTls | None,
        announced: Collection[str] = (),
        node: str = "",
        node_tls: NodeTls | None = None,
        shared: Shared | None = None,
        near: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare the listeners; those of TLS and WSS are not opened without `tls`.

        `announced` are the transports at which `proxies` send a PROXY header. `node` is our name, and with
        `node_tls` other nodes are connected over TLS. A worker gets its sockets in `shared`. `near` are the
        nodes of this machine: what goes to them does not leave it.
        """
        self._shared = shared
        self._handover = (
            Handover(shared.number, shared.inbox, shared.outboxes, metrics) if shared is not None else None
        )
        self._addresses = addresses
        self._connections = connections
        self._nodes = nodes
        self._metrics = metrics
        self._origins = origins
        self._proxies = proxies
        self._announced = announced
        self._tls = tls
        self._udp: list[UdpListener] = []
        """Those of phones, and after them that of a worker for other nodes."""
        self._phones = 0
        """How many of them are for phones."""
        self._acceptors: list[Acceptor] = []
        self._node_tls = node_tls
        self._node_acceptor: Acceptor | None = None
        self._links: NodeLinks | None = None
        self._alone = near | {node}

    async def open(self, driver: Driver, pings: Pings) -> None:
        """Open all of them. Raises ConfigurationError if an address cannot be bound."""
        places, shared = pings.silent_places, self._shared

        def kept_alive(host: str, port: int) -> None:
            self._metrics.dropped("keep_alive")
            if places and (folded(host), port) in places:
                pings.stirred(folded(host), port)

        for number, (host, port) in enumerate(self._addresses.udp):
            listener = UdpListener(self._receiver(driver), kept_alive, number)
            self._udp.append(listener)  # before it opens, because a datagram may come at once
            try:
                await listener.open(host, port, self._opened("udp", host, port))
            except OSError as error:
                raise ConfigurationError(f"REGISTRAR_SIP_UDP: {host}:{port}: {error.strerror}") from error
            self._tell("SIP over UDP on %s:%d", host, listener.port)
        self._phones = len(self._udp)
        if shared is not None and self._handover is not None:
            listener = UdpListener(driver.receive, kept_alive, self._phones)
            self._udp.append(listener)
            host, port = shared.own.getsockname()[:2]
            await listener.open(host, port, shared.own)
            self._handover.open(
                lambda number, data, ip, port: driver.receive_from_node(
                    data, self._udp[number].flow_to(ip, port)
                )
            )
        self._listen(driver)

    def _receiver(self, driver: Driver) -> Callable[[bytes, Flow], None]:
        """Return what takes the datagrams of phones. A worker passes some of them on.

        It judges them before: here the phone is known, and at the sibling it would be a stranger.
        """
        handover = self._handover
        if handover is None:
            return driver.receive

        def sort(data: bytes, flow: Flow) -> None:
            other = handover.sibling(data)
            if not other:
                driver.receive(data, flow)
            elif driver.lets_in(data, flow):
                handover.pass_on(other, data, flow)

        return sort

    def _opened(self, transport: str, host: str, port: int) -> socket.socket | None:
        """Return the socket that a worker has of an address; None: the process is alone."""
        if self._shared is None:
            return None
        opened = self._shared.sockets[transport, (host, port)]
        if transport == "udp" and self._shared.is_first_start:
            _empty(opened)
        return opened

    def _tell(self, text: str, *values: object) -> None:
        """Log where we listen: of several workers, the first one does."""
        log.log(
            logging.INFO if self._shared is None or self._shared.number == 1 else logging.DEBUG, text, *values
        )

    def close(self) -> None:
        """Close all of them."""
        self.stop_accepting()
        if self._handover is not None:
            self._handover.close()
        for listener in self._udp:
            listener.close()

    def stop_accepting(self) -> None:
        """Take no new connections."""
        for acceptor in self._acceptors:
            acceptor.close()

    def send(self, data: bytes, flow: Flow) -> bool:
        """Send a message, and return False if the connection is gone."""
        if flow.transport == "udp":
            self._udp[flow.id].send(data, flow)
            return True
        return self._connections.send(data, flow)

    # handlers.building.Ways

    @property
    def has_neighbours(self) -> bool:
        """See Ways."""
        return self._nodes.has_neighbours

    def neighbour(self, node: str) -> Neighbour | None:
        """See Ways."""
        return self._nodes.neighbour(node)

    def udp_flow(self, binding: Binding) -> Flow | None:
        """See Ways."""
        if binding.flow >= self._phones:
            return None
        return self._udp[binding.flow].flow_to(binding.public_ip, binding.public_port)

    def open_flow(self, target: Target) -> Flow | None:
        """See Ways."""
        if target.transport != "udp":
            return self._connections.flow(target.flow)
        if not self._phones:
            return None
        listener = self._udp[target.flow] if target.flow < self._phones else self._udp[0]
        if not target.path:
            return listener.flow_to(target.ip, target.port)
        ip, port = hop_of(target.path)
        flow = listener.flow_to(ip, port)
        return replace(flow, remote_ip=target.ip, remote_port=target.port, hop_ip=ip, hop_port=port)

    def node_flow(self, address: str) -> Flow | None:
        """See Ways."""
        if address.endswith(OVER_TLS):
            return self._links.flow(address.removesuffix(OVER_TLS)) if self._links is not None else None
        host, _, port = address.rpartition(":")
        if not self._udp or not port.isdigit():
            return None
        return self._udp[-1 if self._shared is not None else 0].flow_to(host.strip("[]"), int(port))

    def secure_nodes(self) -> Collection[str]:
        """See Ways."""
        return self._links.secure | self._alone if self._links is not None else self._alone

    async def link(self, driver: Driver, node: str) -> None:
        """Keep connections to the other nodes open over TLS until cancelled, if that is wanted."""
        if self._node_tls is not None:
            nodes = self._nodes
            self._links = NodeLinks(
                self._connections, driver.receive_from_node, self._node_tls, nodes.over_tls, node
            )
            await self._links.run()

    def renew_node_tls(self) -> None:
        """Make the certificate between nodes again, after the keys have changed."""
        if self._node_tls is not None:
            self._node_tls.renew()
            if self._node_acceptor is not None:
                self._node_acceptor.use(self._node_tls.server)

    def ping(self, data: bytes, flow: Flow) -> bool:
        """See Ways."""
        self._udp[flow.id].send(data, flow)
        return True

    def _listen(self, driver: Driver) -> None:
        """Open the listeners of TCP, TLS, WS and WSS."""

        def stream(flow: Flow) -> Connection:
            return StreamConnection(self._connections, flow, driver.receive)

        def websocket(flow: Flow) -> Connection:
            return WebSocketConnection(
                self._connections, flow, driver.receive, origins=self._origins, proxies=self._proxies
            )

        addresses, tls = self._addresses, self._tls
        self._accept("tcp", addresses.tcp, stream, None)
        self._accept("ws", addresses.ws, websocket, None)
        if tls is not None:
            self._accept("tls", addresses.tls, stream, tls.phones)
            self._accept("wss", addresses.wss, websocket, tls.context)
        if addresses.node is not None and self._node_tls is not None:

            def node(flow: Flow) -> Connection:
                return NodeConnection(self._connections, flow, driver.receive_from_node)

            self._accept("tls", (addresses.node,), node, self._node_tls.server, "NODE_TLS")
            self._node_acceptor = self._acceptors[-1]

    def _accept(
        self,
        transport: str,
        addresses: tuple[Address, ...],
        make: Callable[[Flow], Connection],
        tls: ssl.SSLContext | None,
        setting: str = "",
    ) -> None:
        announcing = self._proxies if transport in self._announced and not setting else ()
        for host, port in addresses:
            acceptor = Acceptor(
                self._connections, transport, make, tls, of_nodes=bool(setting), announcing=announcing
            )
            self._acceptors.append(acceptor)
            try:
                acceptor.open(host, port, None if setting else self._opened(transport, host, port))
            except OSError as error:
                name = f"REGISTRAR_{setting or 'SIP_' + transport.upper()}"
                raise ConfigurationError(f"{name}: {host}:{port}: {error.strerror}") from error
            of = " between nodes" if setting else ""
            self._tell("SIP%s over %s on %s:%d", of, transport.upper(), host, acceptor.port)


def _empty(opened: socket.socket) -> None:
    """Forget what came before we could answer: without a listener it would have been refused."""
    while True:
        try:
            opened.recv(1)
        except OSError:
            return


def _told(address: Address, redis_url: str) -> str:
    """Return an address as other nodes use it: instead of a wildcard, our address towards Redis."""
    host, port = address
    if host in WILDCARDS:
        redis_host = parse_url(redis_url).some_host or "127.0.0.1"
        host = local.towards(_resolved(redis_host)) or "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _resolved(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None)[0][4][0])
    except OSError:
        return "127.0.0.1"
