"""The SIP side as one object: builds the parts, joins them, and runs them until the stop."""

import asyncio
import contextlib
import ctypes
import logging
import os
import resource
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.driver import Driver, epoch, mono
from registrar.errors import ConfigurationError, StoreUnavailable
from registrar.handlers.changes import Changes
from registrar.handlers.dispatch import Dispatch
from registrar.handlers.expiry import Expiry
from registrar.handlers.flows import Flows
from registrar.handlers.gate import Gate
from registrar.handlers.pings import Pings
from registrar.handlers.register import Register
from registrar.handlers.screen import Screen
from registrar.handlers.trail import Trail
from registrar.logs import RequestLines, WrongPasswordLines
from registrar.metrics import Metrics
from registrar.model import Binding, Change, Flow, IpNetwork, MediaPolicy, Phone, Process, Snapshot
from registrar.rules.access import Access, folded
from registrar.rules.auth import OFFERED, Guard
from registrar.rules.nonces import KEY_BYTES, SALT_BYTES
from registrar.rules.tokens import Target
from registrar.store import keys
from registrar.store.directory_cache import CachedDirectory
from registrar.store.directory_sql import SqlPhones
from registrar.store.geoip import CountryFile
from registrar.store.guesses_redis import RedisGuesses, read_hold
from registrar.store.listener import Listener
from registrar.store.location_redis import RedisLocation
from registrar.store.nodes import Nodes
from registrar.store.script_runner import WireRunner
from registrar.store.traces_redis import RedisTraces
from registrar.store.vault import Vault, derive
from registrar.telephony import CHANNELS, CallSettings, Surroundings, Telephony, make_seal
from registrar.transaction import Layer
from registrar.transport import local
from registrar.transport.accept import Acceptor
from registrar.transport.connection import Connection, Limits
from registrar.transport.connections import Connections
from registrar.transport.punctual import Punctual
from registrar.transport.stream import StreamConnection
from registrar.transport.udp import WILDCARDS, UdpListener
from registrar.transport.websocket import WebSocketConnection

DRAIN_SECONDS: Final = 5.0
FAREWELL_SECONDS: Final = 2.0
SPARE_DESCRIPTORS: Final = 512
"""File descriptors that phones may not take: HTTP, Redis, the database, logs and UDP need them."""
LEAST_HTTP: Final = 128
"""Number of HTTP connections that always have descriptors, out of the spare ones."""
MOST_HTTP: Final = 4_096
HTTP_SHARE: Final = 8
"""One descriptor in this number is for HTTP."""
LEAST_CONNECTIONS: Final = 64
MOST_DESCRIPTORS: Final = 1_048_576
MANY_GONE: Final = 25
"""After this number of ended connections, their memory is returned to the system."""
DOMAIN_SECONDS: Final = 60.0
HOUSEKEEPING_SECONDS: Final = 5.0
LAG_SECONDS: Final = 0.1
MEND_SECONDS: Final = 0.5
REDIS_PATIENCE_SECONDS: Final = 2.0
"""How long a start waits for Redis; after that it listens without Redis and answers 503."""

log = logging.getLogger(__name__)


Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SipSettings:
    """The settings of the SIP side; docs/settings.md explains each."""

    udp: tuple[Address, ...]
    tcp: tuple[Address, ...]
    tls: tuple[Address, ...]
    ws: tuple[Address, ...]
    wss: tuple[Address, ...]
    ws_origins: tuple[str, ...]
    domain: str
    public_host: str
    digest: str
    secret_key: str
    geoip_database: Path
    trusted_proxies: Sequence[IpNetwork]
    lock_ipv6_prefix: int
    pbx_cluster: int | None
    node: str
    node_sip: str
    redis_url: str
    ping_seconds: int
    ring_seconds: int
    rtpengine: tuple[Address, ...]
    media: MediaPolicy


class SipSide:
    """The listeners, the handlers, and the jobs beside them."""

    def __init__(
        self,
        settings: SipSettings,
        redis: Redis,
        reader: AsyncEngine,
        writer: AsyncEngine,
        vault: Vault,
        metrics: Metrics,
        lines: RequestLines,
        tried: WrongPasswordLines,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Build the parts.

        `redis` is for leases and the subscription; the location opens a separate connection. `tls` is for
        the listeners of TLS and WSS, which are not opened without it.
        """
        self._tls = tls
        self._settings = settings
        self._redis = redis
        self._metrics = metrics
        self._process = Process(settings.node or _default_node(settings), secrets.token_hex(4))
        self._countries = CountryFile(settings.geoip_database)
        self._location = RedisLocation(settings.redis_url, epoch, self._process)
        self._phones = SqlPhones(reader, writer, vault)
        self._directory = CachedDirectory(self._phones, mono, lambda phone: self._changes.vanished(phone))
        self._access = Access(
            self._countries.country,
            proxies=settings.trusted_proxies,
            ipv6_prefix=settings.lock_ipv6_prefix,
            cluster=settings.pbx_cluster,
        )
        self._connections = Connections(
            mono,
            metrics,
            self._closed,
            proxies=settings.trusted_proxies,
            limits=Limits(total=sip_places(descriptors())),
        )
        self._flows = Flows(
            self._connections,
            self._location,
            self._customer_of,
            epoch,
            mono,
            metrics,
            process=self._process,
            left=self._has_left,
        )
        self._pings = Pings(
            self._location,
            self._ping,
            self._udp_flow,
            self._customer_of,
            epoch,
            mono,
            metrics,
            node=self._process.node,
            seconds=settings.ping_seconds,
            salt=os.urandom(KEY_BYTES),
        )
        self._changes = Changes(
            self._directory,
            self._location,
            self._access,
            self._flows,
            epoch,
            metrics,
            self._location.everybody,
        )
        self._guard = Guard(
            derive(settings.secret_key, "nonces", KEY_BYTES),
            OFFERED[settings.digest],
            settings.domain,
            self._directory.serves,
            self._is_ours,
        )
        self._seal = make_seal(settings.secret_key)
        self._screen = Screen(self._guard, self._seal, self._is_our_address, lambda: os.urandom(SALT_BYTES))
        runner = WireRunner(self._location.wire)
        self._trail = Trail(RedisTraces(runner), tried, epoch, metrics)
        self._punctual = Punctual(mono)
        self._gate = Gate(
            self._guard,
            self._screen,
            self._directory,
            RedisGuesses(runner, epoch, "sip", self._process.generation),
            self._trail,
            epoch,
            metrics,
            self._punctual.until,
            ipv6_prefix=settings.lock_ipv6_prefix,
        )
        self._telephony: Telephony | None = None
        self._nodes = self._lease()
        self._lines = lines
        self._udp: list[UdpListener] = []
        self._acceptors: list[Acceptor] = []
        self._driver: Driver | None = None
        self._domains_known = asyncio.Event()
        self.started = asyncio.Event()
        """Set when the listeners are open."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises, in an ExceptionGroup, ConfigurationError if an address cannot be bound, and AnotherNode.
        """
        async with asyncio.TaskGroup() as requests, asyncio.TaskGroup() as jobs:
            driver = self._driver = self._make_driver(requests)
            running = [jobs.create_task(job) for job in self._jobs()]
            try:
                if await self._ready_to_listen(stop):
                    await self._open(driver)
                    self.started.set()
                    await stop.wait()
                    await self._drain(driver)
            finally:
                for acceptor in self._acceptors:
                    acceptor.close()
                self._connections.abort_all()
                for listener in self._udp:
                    listener.close()
                driver.close()
                self._punctual.close()
                for task in running:
                    task.cancel()
        self._lines.flush()
        if self._telephony is not None:
            await self._telephony.close()
        await self._phones.close()
        await self._nodes.leave()
        await self._location.wire.drain()
        self._location.wire.close()

    def state(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return whether each part is up or down, and the problems that do not stop the work."""
        parts = {
            "sip": "up" if self.started.is_set() else "down: not listening yet",
            "redis": "up" if self._location.wire.up else "down: " + self._location.wire.why,
            "directory": "up" if self._domains_known.is_set() else "down: the SIP domains could not be read",
        }
        problem = self._countries.problem
        concerns = [f"country file: {problem}"] if problem else []
        if self._telephony is not None and self._telephony.concern:
            concerns.append(self._telephony.concern)
        return parts, tuple(concerns)

    def _bound(self, phone: Phone, stands: Snapshot) -> None:
        """Handle changed bindings of a phone: update its pings.

        If the phone is one browser, its new connection replaces the old one. If media may be relayed, its
        local address is noted.
        """
        self._pings.bound(phone.id, stands)
        if phone.instance:
            self._flows.bound(phone, stands)
        if self._telephony is not None and self._telephony.bridge.translates:
            self._telephony.bridge.habits.registered(phone.id, stands)

    def _make_driver(self, requests: asyncio.TaskGroup) -> Driver:
        register = Register(
            self._directory,
            self._location,
            self._access,
            epoch,
            self._metrics,
            process=self._process,
            is_our_name=self._is_our_name,
            is_for_us=self._guard.is_for_us,
            recheck=lambda phone: self._changes.note(Change(phones=(phone,))),
            is_dead=self._flows.is_dead,
            bound=self._bound,
        )
        driver = Driver(
            requests,
            Layer(),
            self._screen,
            self._metrics,
            derive(self._settings.secret_key, "to-tags"),
            self._send,
            self._lines.finished,
            self._pings.answered,
            self._settings.public_host,
            silent_places=self._pings.silent_places,
            stirred=self._pings.stirred,
        )
        calls = self._telephony = self._make_telephony(driver)
        dispatch = Dispatch(
            self._guard,
            self._screen,
            self._directory,
            self._gate,
            register,
            calls.calling,
            calls.dialogs,
            calls.hops,
            self._flows,
            epoch,
            self._metrics,
        )
        driver.serve_with(dispatch)
        return driver

    def _make_telephony(self, driver: Driver) -> Telephony:
        settings = self._settings
        calls = CallSettings(
            rtpengine=settings.rtpengine,
            media=settings.media,
            ring_seconds=settings.ring_seconds,
            public_host=settings.public_host,
            secret_key=settings.secret_key,
        )
        around = Surroundings(
            network=driver,
            location=self._location,
            dial_plan=self._directory,
            clock=epoch,
            metrics=self._metrics,
            process=self._process,
            open_flow=self._open_flow,
            node_flow=self._node_flow,
            neighbour=self._nodes.neighbour,
            is_ours=self._is_ours,
            is_our_name=self._is_our_name,
            may_come=self._access.may_come,
            start_task=driver.start,
            pings=self._pings,
        )
        return Telephony(calls, self._seal, around)

    async def _open(self, driver: Driver) -> None:
        places = self._pings.silent_places

        def kept_alive(host: str, port: int) -> None:
            self._metrics.dropped("keep_alive")
            if places and (folded(host), port) in places:
                self._pings.stirred(folded(host), port)

        for number, (host, port) in enumerate(self._settings.udp):
            listener = UdpListener(driver.receive, kept_alive, number)
            self._udp.append(listener)  # before it opens, because a datagram may come at once
            try:
                await listener.open(host, port)
            except OSError as error:
                raise ConfigurationError(f"REGISTRAR_SIP_UDP: {host}:{port}: {error.strerror}") from error
            log.info("SIP over UDP on %s:%d", host, listener.port)
        self._listen(driver)

    def _listen(self, driver: Driver) -> None:
        """Open the listeners of TCP, TLS, WS and WSS."""

        def stream(flow: Flow) -> Connection:
            return StreamConnection(self._connections, flow, driver.receive)

        def websocket(flow: Flow) -> Connection:
            return WebSocketConnection(
                self._connections,
                flow,
                driver.receive,
                origins=self._settings.ws_origins,
                proxies=self._settings.trusted_proxies,
            )

        settings, tls = self._settings, self._tls
        self._open_acceptors("tcp", settings.tcp, stream, None)
        self._open_acceptors("ws", settings.ws, websocket, None)
        if tls is not None:
            self._open_acceptors("tls", settings.tls, stream, tls)
            self._open_acceptors("wss", settings.wss, websocket, tls)

    def _open_acceptors(
        self,
        transport: str,
        addresses: tuple[Address, ...],
        make: Callable[[Flow], Connection],
        tls: ssl.SSLContext | None,
    ) -> None:
        for host, port in addresses:
            acceptor = Acceptor(self._connections, transport, make, tls)
            self._acceptors.append(acceptor)
            try:
                acceptor.open(host, port)
            except OSError as error:
                name = f"REGISTRAR_SIP_{transport.upper()}"
                raise ConfigurationError(f"{name}: {host}:{port}: {error.strerror}") from error
            log.info("SIP over %s on %s:%d", transport.upper(), host, acceptor.port)

    def _send(self, data: bytes, flow: Flow) -> bool:
        """Send a message, and return False if the connection is gone."""
        if flow.transport == "udp":
            self._udp[flow.id].send(data, flow)
            return True
        return self._connections.send(data, flow)

    def _has_left(self, flow: Flow, phone: str, replaced: bool) -> None:
        if self._telephony is not None:
            self._telephony.calls.left(flow, phone, replaced=replaced, tell=self._nodes.has_neighbours)

    def _closed(self, flow: Flow, silent: bool) -> None:
        if self._driver is not None:
            self._driver.closed(flow)
        self._flows.closed(flow, silent=silent)

    async def _drain(self, driver: Driver) -> None:
        """Finish the requests under way, tell new ones to come back later, and close the connections."""
        driver.draining = True
        for acceptor in self._acceptors:
            acceptor.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await driver.idle()
        self._connections.close_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                while len(self._connections):  # noqa: ASYNC110  # short, and at the very end
                    await asyncio.sleep(0.01)

    def _jobs(self) -> list[Coroutine[None, None, None]]:
        """Return the jobs that run beside the listeners until the stop."""
        expiry = Expiry(
            self._location, self._location, self._customer_of, self._directory.learn, epoch, self._metrics
        )

        async def changed(change: Change) -> None:
            self._directory.heard(change)
            self._changes.note(change)

        async def subscribed() -> None:
            self._changes.note(Change(everybody=True))

        listener = Listener(
            self._redis,
            changed=changed,
            missed=self._directory.forget_freshness,
            subscribed=subscribed,
            channels=(*CHANNELS, keys.GUESSES),
            heard=self._heard,
        )
        return [
            self._location.wire.run(),
            self._directory.run(),
            self._keep_domains(),
            self._housekeeping(),
            self._mend(),
            self._recheck(),
            self._connections.run(),
            self._flows.run(),
            self._pings.run(),
            self._trail.run(),
            self._adopt(),
            self._measure_lag(),
            expiry.run(),
            self._nodes.run(),
            listener.run(),
            *(self._telephony.jobs() if self._telephony is not None else ()),
        ]

    async def _heard(self, channel: str, data: str) -> None:
        if channel == keys.GUESSES:
            hold = read_hold(data)
            if hold is not None and hold[0] == "sip":
                self._gate.hear(*hold[1:])
            return
        if self._telephony is not None:
            await self._telephony.hear(channel, data)

    def _lease(self) -> Nodes:
        return Nodes(
            self._redis,
            self._process,
            self._settings.node_sip or self._default_node_sip(),
            epoch,
            lost_lease=self._lost_lease,
            sweep=self._sweep,
        )

    async def _sweep(self, process: Process, phones: frozenset[str]) -> None:
        """End the bindings on the connections of a dead process, and take over its calls."""
        await self._changes.sweep(process, phones)
        if self._telephony is not None:
            await self._telephony.calls.bury(process)

    async def _ready_to_listen(self, stop: asyncio.Event) -> bool:
        """Wait for the SIP domains and the country file, and return False if told to stop meanwhile.

        Without them every answer would be a wrong refusal. Redis may still be unavailable afterwards.
        """
        preparing = asyncio.create_task(self._prepare())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (preparing, stopping):
            task.cancel()
        return not stop.is_set()

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._countries.refresh)
        await self._domains_known.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REDIS_PATIENCE_SECONDS):
                await self._location.wire.opened.wait()

    async def _keep_domains(self) -> None:
        while True:
            try:
                await self._directory.read_domains()
                self._domains_known.set()
                await asyncio.sleep(DOMAIN_SECONDS)
            except StoreUnavailable as error:
                log.warning("the SIP domains could not be read: %s", error)
                await asyncio.sleep(1)

    async def _housekeeping(self) -> None:
        """Look repeatedly whether the country file or the machine's addresses have changed.

        Return the memory of ended connections to the system, and set the metrics of the stores.
        """
        while True:
            await asyncio.to_thread(self._countries.refresh)
            if self._connections.have_gone(MANY_GONE):
                await asyncio.to_thread(_give_back_memory)
            local.forget()
            up = self._metrics.store_up
            up.labels("redis").set(self._location.wire.up)
            up.labels("country_file").set(not self._countries.problem)
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    async def _mend(self) -> None:
        """Write to Redis, when it is back, all that it has lost or could not be told."""
        back = self._location.back
        while True:
            await back.wait()
            back.clear()
            try:
                written = await self._location.mend()
            except StoreUnavailable:
                await asyncio.sleep(MEND_SECONDS)
                back.set()
                continue
            self._metrics.reconciled.inc(written)
            if written:
                log.warning("Redis was told again of %d phones", written)
                self._changes.note(Change(everybody=True))  # some of them may have changed meanwhile

    async def _recheck(self) -> None:
        """Apply changes of the configuration, also earlier ones, as soon as the bindings can be read."""
        await self._location.wire.opened.wait()
        await self._changes.run()

    async def _adopt(self) -> None:
        """Let the phones be pinged that an earlier start of this node left bound over UDP."""
        while True:
            await self._location.wire.opened.wait()
            try:
                self._pings.adopt(await self._location.everybody())
            except StoreUnavailable:
                await asyncio.sleep(MEND_SECONDS)
                continue
            return

    def _udp_flow(self, binding: Binding) -> Flow | None:
        """Return the UDP flow to a phone from the socket that received its REGISTER; None if it is gone."""
        if binding.flow >= len(self._udp):
            return None
        return self._udp[binding.flow].flow_to(binding.public_ip, binding.public_port)

    def _open_flow(self, target: Target) -> Flow | None:
        """Return the flow of a target on this node, or None if it is gone."""
        if target.transport != "udp":
            return self._connections.flow(target.flow)
        if not self._udp:
            return None
        listener = self._udp[target.flow] if target.flow < len(self._udp) else self._udp[0]
        return listener.flow_to(target.ip, target.port)

    def _node_flow(self, address: str) -> Flow | None:
        """Return the UDP flow to the `host:port` of another node, or None without one."""
        host, _, port = address.rpartition(":")
        if not self._udp or not port.isdigit():
            return None
        return self._udp[0].flow_to(host.strip("[]"), int(port))

    def _ping(self, data: bytes, flow: Flow) -> bool:
        self._udp[flow.id].send(data, flow)
        return True

    async def _lost_lease(self) -> None:
        """Repair the bindings after the loss of our lease: write them again, or let their phones reconnect.

        Another node may have swept them, and the store may have lost more than the lease.
        """
        self._location.forget_listed()
        self._location.back.set()
        await self._flows.disown()

    async def _measure_lag(self) -> None:
        observe = self._metrics.loop_lag.observe
        while True:
            before = mono()
            await asyncio.sleep(LAG_SECONDS)
            observe(max(0.0, mono() - before - LAG_SECONDS))

    def _customer_of(self, phone: str) -> str:
        known = self._directory.by_id(phone)
        return known.customer if known is not None else ""

    def _is_our_address(self, host: str) -> bool:
        return host == self._settings.public_host.lower() or local.is_local(host)

    def _is_our_name(self, host: str) -> bool:
        """Return whether a host is the service itself; any phone may write it in place of its own domain."""
        if self._is_our_address(host):
            return True
        return host in (self._settings.domain, "localhost") and not self._directory.serves(host)

    def _is_ours(self, host: str) -> bool:
        return self._directory.serves(host) or host == self._settings.domain or self._is_our_name(host)

    def _default_node_sip(self) -> str:
        """Return the address of the UDP listener; if it is a wildcard, the local address towards Redis."""
        if not self._settings.udp:
            return ""
        host, port = self._settings.udp[0]
        if host in WILDCARDS:
            redis_host = urlsplit(self._settings.redis_url).hostname or "127.0.0.1"
            host = local.towards(_resolved(redis_host)) or "127.0.0.1"
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _give_back_memory() -> None:
    """Return freed memory to the system: after many connections at once, glibc would keep it for good."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries do not have and do not need it
    if trim is not None:
        trim(0)


def _resolved(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None)[0][4][0])
    except OSError:
        return "127.0.0.1"


def _default_node(settings: SipSettings) -> str:
    listeners = (*settings.udp, *settings.tcp, *settings.tls, *settings.ws, *settings.wss)
    port = listeners[0][1] if listeners else 0
    return f"{socket.gethostname()}-{port}"


def descriptors() -> int:
    """Raise the limit of file descriptors as far as the system allows, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def http_places(limit: int) -> int:
    """Return how many HTTP connections are allowed with `limit` descriptors."""
    return max(LEAST_HTTP, min(MOST_HTTP, limit // HTTP_SHARE))


def sip_places(limit: int) -> int:
    """Return how many phone connections are allowed; HTTP connections do not use their descriptors."""
    return max(LEAST_CONNECTIONS, limit - SPARE_DESCRIPTORS - (http_places(limit) - LEAST_HTTP))
