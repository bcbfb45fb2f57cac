"""The handlers, built and joined: by the program from its real parts, and by the tests from theirs."""

import random
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Protocol

from registrar.logs import WrongPasswordLines
from registrar.metrics import Metrics
from registrar.model import Binding, Change, Flow, IpNetwork, MediaPolicy, Mono, Phone, Process, Snapshot
from registrar.ports import (
    BanBook,
    Calls,
    Clock,
    Deeds,
    DialPlan,
    Directory,
    Guesses,
    History,
    Location,
    Media,
    OfflineReasons,
    OpenConnections,
    People,
    Schedule,
    Sightings,
    Spraying,
    StateIndex,
    Subscriptions,
    Traces,
    Waiting,
)
from registrar.rules.access import Access
from registrar.rules.auth import Authenticator
from registrar.rules.features import ReservedWords
from registrar.rules.hosts import OurHosts
from registrar.rules.notify import Result
from registrar.rules.quotas import Quotas
from registrar.rules.tokens import Target, TokenCodec

from .admission import Gatekeeper
from .calls.bridging import Bridge
from .calls.calling import Calling
from .calls.counting import CallCounts
from .calls.destinations import Destinations
from .calls.dialogs import Dialogs
from .calls.following import Followers
from .calls.forwarding import Forwarder
from .calls.history import CallHistory
from .calls.hunting import Hunts, Patience
from .calls.node_relay import NodeRelay
from .calls.own_dialogs import OwnDialogs
from .calls.pickup import Pickup, PickupNews
from .calls.quotas import CallQuotas
from .calls.reach import Neighbour, Reach
from .calls.senders import Senders
from .calls.staff import Staff
from .calls.switches import Switches
from .calls.table import CallTable, News
from .checks import StatelessChecks
from .digest_check import DigestCheck
from .dispatch import Dispatch
from .events.board import Board
from .events.notifier import Limits, Notifier
from .events.publishing import Publishing
from .events.subscribing import Subscribing
from .events.watching import Watching
from .limits import Limiter
from .methods import Services
from .network import Network
from .registration.changes import Changes, Rereader
from .registration.expiry import Expiry
from .registration.flows import Flows
from .registration.pings import Pings
from .registration.register import Registrar
from .registration.reloads import Reloads
from .sentry import Sentry
from .trail import Trail


class WholeDirectory(Directory, DialPlan, Rereader, Protocol):
    """All that handlers ask of the database."""


class WholeLocation(Location, Schedule, Sightings, OfflineReasons, Protocol):
    """All that handlers ask of the location service."""

    async def everybody(self) -> list[str]:
        """Return the ids of all phones that may have a binding. Raises StoreUnavailable."""


class WholePeople(People, Protocol):
    """All that handlers ask of the store of people."""

    on_news: Callable[[str, str], None]
    """Called with a person and the word of each news of it (docs/redis.md)."""


class WholeGuesses(Guesses, Spraying, Protocol):
    """All that handlers ask of the budget of wrong passwords."""


class Ways(Protocol):
    """The ways out of this process: its UDP listeners, its connections, and its neighbours."""

    def open_flow(self, target: Target) -> Flow | None:
        """Return the flow of a target on this node, or None if it is gone."""

    def node_flow(self, address: str) -> Flow | None:
        """Return the flow to the address of another node, or None without one."""

    def secure_nodes(self) -> Collection[str]:
        """Return this node, and those to which a request goes over TLS."""

    def udp_flow(self, binding: Binding) -> Flow | None:
        """Return the flow to a phone from the socket that received its REGISTER; None if it is gone."""

    def ping(self, data: bytes, flow: Flow) -> bool:
        """Send a ping over UDP, and return whether more can be sent."""

    def neighbour(self, node: str) -> Neighbour | None:
        """Return the living node of that name, or None."""

    @property
    def has_neighbours(self) -> bool:
        """Return whether another node lives."""


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of the handlers; docs/settings.md explains each."""

    ipv6_prefix: int
    ping_seconds: float
    ring_seconds: float
    patience: Patience
    reserved: ReservedWords
    alerts: bool
    """Whether phones are told by Alert-Info what kind of call it is."""
    media_policy: MediaPolicy
    media_prefix: str
    """Begins the name of every session at the media relay."""
    loop_key: bytes
    ping_key: bytes
    watch_key: bytes
    """Makes the ids of calls in the documents of lamps; the same on all nodes."""
    subscriptions: Limits
    quotas: Quotas = field(default_factory=Quotas)
    automatic_bans: bool = True
    exempt: tuple[IpNetwork, ...] = ()
    """Networks that are never banned by themselves."""
    edges: tuple[IpNetwork, ...] = ()
    """The edge proxies, whose Path is believed."""
    worker: int = 0
    """The number of this process among those that share the UDP port; 0 if it is alone."""
    siblings: frozenset[str] = frozenset()
    """The names of the others."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The world around the handlers."""

    network: Network
    connections: OpenConnections
    ways: Ways
    directory: WholeDirectory
    location: WholeLocation
    states: StateIndex
    guesses: WholeGuesses
    book: BanBook
    limiter: Limiter
    traces: Traces
    calls: Calls
    history: History
    deeds: Deeds
    people: WholePeople
    waiting: Waiting
    subscriptions: Subscriptions
    media: Media
    access: Access
    authenticator: Authenticator
    codec: TokenCodec
    hosts: OurHosts
    process: Process
    metrics: Metrics
    lines: WrongPasswordLines
    clock: Clock
    mono: Callable[[], Mono]
    until: Callable[[Mono], Awaitable[None]]
    """Waits until a moment."""
    tell: Callable[[News], None]
    """Sends news of calls to all nodes."""
    tell_pickup: Callable[[PickupNews], None]
    """Sends a question about a pickup, or its answer, to all nodes."""
    report: Callable[[str, Result], None]
    """Tells the API the result of its order for a NOTIFY."""
    start_task: Callable[[Coroutine[None, None, None]], object]
    nonce_salt: Callable[[], bytes]
    salt: Callable[[], bytes]
    """Returns random bytes for tokens and branches."""
    new_id: Callable[[], str]
    roll: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers that something else calls: the driver, the jobs, the listeners."""

    checks: StatelessChecks
    dispatch: Dispatch
    digest_check: DigestCheck
    trail: Trail
    flows: Flows
    pings: Pings
    changes: Changes
    expiry: Expiry
    calls: CallTable
    history: CallHistory
    hunts: Hunts
    pickup: Pickup
    reach: Reach
    senders: Senders
    node_relay: NodeRelay
    notifier: Notifier
    reloads: Reloads
    counts: CallCounts
    quotas: CallQuotas


def build(outside: Outside, options: Options) -> Handlers:
    """Build the handlers and join them."""
    directory, location, ways = outside.directory, outside.location, outside.ways
    clock, mono, metrics, process = outside.clock, outside.mono, outside.metrics, outside.process

    def customer_of(phone: str) -> str:
        known = directory.by_id(phone)
        return known.customer if known is not None else ""

    def left(flow: Flow, phone: str, replaced: bool) -> None:
        calls.left(flow, phone, replaced=replaced, tell=ways.has_neighbours)
        notifier.left(phone, process, flow.id)

    def bound(phone: Phone, stands: Snapshot) -> None:
        """Handle changed bindings of a phone.

        If the phone is one browser, its new connection replaces the old one. If media may be relayed, its
        local address is noted. Phones over UDP are in no table of connections.
        """
        pings.bound(phone.id, stands)
        if phone.id in flows.held:
            flows.bound(phone, stands)
        if bridge.translates:
            bridge.habits.registered(phone.id, stands)

    flows = Flows(
        outside.connections, location, customer_of, clock, mono, metrics, process=process, left=left
    )
    pings = Pings(
        location,
        ways.ping,
        ways.udp_flow,
        customer_of,
        clock,
        mono,
        metrics,
        node=process.node,
        seconds=options.ping_seconds,
        salt=options.ping_key,
        worker=options.worker,
        roll=outside.roll,
    )
    metrics.phones.ask(
        lambda: {(name,): count for name, count in (pings.registered() | flows.registered()).items()}
    )
    metrics.phones_silent.set_function(pings.silent)
    changes = Changes(
        directory, location, outside.states, outside.access, flows, clock, metrics, location.everybody
    )
    checks = StatelessChecks(
        outside.authenticator, outside.codec, outside.hosts.is_address, outside.nonce_salt
    )
    trail = Trail(outside.traces, outside.lines, clock, metrics)
    sentry = Sentry(
        outside.book,
        outside.guesses,
        outside.start_task,
        clock,
        bans=options.automatic_bans,
        exempt=options.exempt,
    )
    digest_check = DigestCheck(
        outside.authenticator,
        checks,
        directory,
        outside.guesses,
        sentry,
        trail,
        clock,
        metrics,
        outside.until,
        ipv6_prefix=options.ipv6_prefix,
    )
    gatekeeper = Gatekeeper(
        directory,
        location,
        outside.access,
        clock,
        metrics,
        is_for_us=outside.authenticator.is_for_us,
        recheck=lambda phone: changes.note(Change(phones=(phone,))),
        bound=bound,
    )
    registrar = Registrar(
        location, metrics, process, outside.hosts.is_service, flows.is_dead, bound, options.edges
    )
    bridge = Bridge(outside.media, options.media_policy, options.media_prefix)
    reach = Reach(
        ways.open_flow,
        ways.node_flow,
        ways.neighbour,
        outside.codec,
        outside.salt,
        outside.hosts,
        clock,
        process=process,
        secure_nodes=ways.secure_nodes,
        siblings=options.siblings,
    )
    counts = CallCounts()
    history = CallHistory(outside.history, clock, mono, outside.new_id, metrics, process=process)
    calls = CallTable(
        outside.calls,
        bridge,
        reach,
        outside.network,
        location,
        clock,
        metrics,
        outside.tell,
        pings,
        outside.new_id,
        outside.people,
        history,
        counts,
        process=process,
    )
    quotas = CallQuotas(options.quotas, counts, clock, mono, metrics, calls.note)
    senders = Senders(location, clock, process)
    destinations = Destinations(directory, location, reach, outside.hosts, clock)
    forwarder = Forwarder(
        outside.network, reach, pings.silent_places, outside.start_task, options.ring_seconds
    )
    hunts = Hunts(
        directory,
        outside.people,
        outside.waiting,
        outside.calls,
        Staff(outside.people, outside.waiting, location, clock, mono),
        forwarder,
        outside.start_task,
        clock,
        mono,
        metrics,
        options.patience,
        secure_nodes=ways.secure_nodes,
    )
    outside.people.on_news = lambda person, _what: hunts.news(person)
    followers = Followers(
        destinations,
        outside.people,
        forwarder,
        hunts,
        outside.start_task,
        metrics,
        seconds=options.patience.no_answer_seconds,
        secure_nodes=ways.secure_nodes,
    )
    pickup = Pickup(
        directory,
        outside.people,
        outside.calls,
        calls,
        outside.tell_pickup,
        outside.new_id,
        key=options.watch_key,
        process=process,
    )
    calling = Calling(
        destinations,
        senders,
        forwarder,
        reach,
        bridge,
        calls,
        hunts,
        followers,
        Switches(directory, outside.people, outside.deeds, clock),
        pickup,
        options.reserved,
        quotas,
        loop_key=options.loop_key,
        alerts=options.alerts,
    )
    dialogs = Dialogs(
        directory,
        location,
        destinations,
        senders,
        forwarder,
        bridge,
        calls,
        pings,
        may_come=outside.access.may_come,
    )
    node_relay = NodeRelay(forwarder, calls.lifetimes, clock)
    own_dialogs = OwnDialogs(reach, senders, outside.network, location, clock)
    watching = Watching(
        directory,
        location,
        location,
        outside.people,
        Board(outside.calls),
        clock,
        key=options.watch_key,
    )
    notifier = Notifier(
        outside.subscriptions,
        watching,
        own_dialogs,
        outside.codec,
        clock,
        metrics,
        process=process,
        limits=options.subscriptions,
    )
    subscribing = Subscribing(
        outside.subscriptions,
        notifier,
        watching,
        own_dialogs,
        directory,
        outside.codec,
        clock,
        is_service=outside.hosts.is_service,
        may_come=outside.access.may_come,
        new_id=outside.new_id,
        salt=outside.salt,
    )
    publishing = Publishing(
        outside.people, directory, is_service=outside.hosts.is_service, new_id=outside.new_id
    )
    dispatch = Dispatch(
        outside.authenticator,
        checks,
        directory,
        digest_check,
        gatekeeper,
        Services(registrar, calling, subscribing, publishing),
        dialogs,
        node_relay,
        flows,
        outside.limiter,
        clock,
        metrics,
    )
    reloads = Reloads(
        own_dialogs,
        outside.network,
        directory,
        location,
        clock,
        metrics,
        outside.report,
        outside.start_task,
        outside.new_id,
        outside.roll,
        node=process.node,
        service=outside.hosts.domain,
    )
    expiry = Expiry(location, location, customer_of, directory.learn, clock, metrics)
    return Handlers(
        checks,
        dispatch,
        digest_check,
        trail,
        flows,
        pings,
        changes,
        expiry,
        calls,
        history,
        hunts,
        pickup,
        reach,
        senders,
        node_relay,
        notifier,
        reloads,
        counts,
        quotas,
    )
