"""The SIP side as one object: builds the parts, joins them, and runs them until the stop."""

import asyncio
import contextlib
import os
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.capacity import descriptors, sip_places
from registrar.driver import Driver, epoch, mono
from registrar.handlers.building import Handlers, Options, Outside, build
from registrar.handlers.calls.counting import REPORT_SECONDS
from registrar.handlers.calls.hunting import Patience
from registrar.handlers.events.notifier import Limits as SubscriptionLimits
from registrar.handlers.limits import Limiter
from registrar.jobs import Jobs
from registrar.listeners import Addresses, Listeners, Shared
from registrar.logs import RequestLines, WrongPasswordLines
from registrar.metrics import Metrics
from registrar.model import Change, Flow, IpNetwork, MediaPolicy, Process
from registrar.rules.access import Access
from registrar.rules.auth import OFFERED, Authenticator
from registrar.rules.bans import Ban, Barred, Kind, network_of
from registrar.rules.features import ReservedWords
from registrar.rules.hosts import OurHosts
from registrar.rules.inflow import Inflow
from registrar.rules.nonces import KEY_BYTES, SALT_BYTES
from registrar.rules.quotas import Quotas
from registrar.rules.tokens import KEY_BYTES as TOKEN_KEY_BYTES
from registrar.rules.tokens import TokenCodec
from registrar.store import keys
from registrar.store.ban_keeper import BanKeeper
from registrar.store.bans_redis import RedisBans
from registrar.store.change_follower import Follower
from registrar.store.changes_sql import SqlChanges
from registrar.store.deeds_sql import SqlDeeds
from registrar.store.directory_cache import CachedDirectory
from registrar.store.directory_sql import SqlPhones
from registrar.store.event_feed import EventFeed, read_person
from registrar.store.geoip import CountryFile
from registrar.store.guesses_redis import RedisGuesses, read_hold, read_try
from registrar.store.history_none import NoHistory
from registrar.store.history_sql import SqlHistory
from registrar.store.keyring import Keyring, derive
from registrar.store.limits_redis import (
    RedisSourcePhones,
    publish_calls,
    publish_spent,
    read_calls,
    read_spent,
)
from registrar.store.listener import Listener
from registrar.store.location_redis import RedisLocation
from registrar.store.node_certificate import node_pair
from registrar.store.nodes import Nodes
from registrar.store.notified_redis import RedisNotified
from registrar.store.script_runner import WireRunner
from registrar.store.state_keeper import StateKeeper
from registrar.store.state_members import SqlMembers
from registrar.store.subscriptions_redis import RedisSubscriptions
from registrar.store.traces_redis import RedisTraces
from registrar.store.vault import Vault
from registrar.telephony import CHANNELS, Salts, Telephony
from registrar.transaction import Layer
from registrar.transport import local
from registrar.transport.connection import Limits
from registrar.transport.connections import Connections
from registrar.transport.node_tls import NodeTls, from_files, from_memory
from registrar.transport.punctual import Punctual
from registrar.transport.tls import ServerTls

DRAIN_SECONDS: Final = 5.0
FAREWELL_SECONDS: Final = 2.0
ID_BYTES: Final = 16
OF_LIMITS: Final = frozenset({keys.GUESSES, keys.BAN_NEWS, keys.LIMITS, keys.CALL_COUNTS})
"""The channels for news of limits, bans and wrong passwords."""
SHARE_SECONDS: Final = 0.25
"""How often nodes tell each other what sources send: for so long, each has a bucket of its own."""


@dataclass(frozen=True, slots=True)
class SipSettings:
    """The settings of the SIP side; docs/settings.md explains each."""

    addresses: Addresses
    ws_origins: tuple[str, ...]
    domain: str
    public_host: str
    digest: str
    keys: Keyring
    media_sessions: str
    """Prefix of the names of our sessions at the relay; it outlives the secret key."""
    geoip_database: Path
    trusted_proxies: Sequence[IpNetwork]
    proxy_protocol: tuple[str, ...]
    """The transports at which trusted proxies send a PROXY header: tcp, tls, ws, wss."""
    edges: tuple[IpNetwork, ...]
    """Networks of edge proxies."""
    limits: bool
    """Whether sources of messages have limits, and whether some are banned by themselves."""
    exempt: tuple[IpNetwork, ...]
    """Networks that are neither limited nor banned."""
    lock_ipv6_prefix: int
    pbx_cluster: int | None
    node: str
    node_sip: str
    node_files: tuple[Path, Path, Path] | None
    """The operator's certificate, key and authority between nodes; None: they follow from the secret key."""
    redis_url: str
    ping_seconds: int
    ring_seconds: int
    patience: Patience
    subscriptions: SubscriptionLimits
    quotas: Quotas
    alert_info: bool
    wrap_up_seconds: int
    rtpengine: tuple[tuple[str, int], ...]
    media: MediaPolicy
    reserved: ReservedWords
    keeps_history: bool


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
        tls: ServerTls | None = None,
        shared: Shared | None = None,
    ) -> None:
        """Build the parts that need no running loop.

        `redis` is for leases and the subscription; the location opens a separate connection. `tls` is for
        the listeners of TLS and WSS, which are not opened without it. `shared` makes this process one of
        several workers of this machine.
        """
        self._shared = shared
        self._settings = settings
        self._redis = redis
        self._reader = reader
        self._metrics = metrics
        self._lines = lines
        self._tried = tried
        node = settings.node or settings.addresses.default_node()
        name = shared.name(node) if shared is not None else node
        self._siblings = shared.siblings(node) if shared is not None else frozenset[str]()
        self._process = Process(name, secrets.token_hex(4))
        self._countries = CountryFile(settings.geoip_database)
        self._location = RedisLocation(settings.redis_url, epoch, self._process, self._customer_of)
        metrics.redis_seconds.show(self._location.wire.took, "sip")
        self._phones = SqlPhones(reader, writer, vault)
        self._directory = CachedDirectory(
            self._phones,
            mono,
            lambda phone: self._handlers.changes.vanished(phone),
            settings.reserved,
        )
        self._follower = Follower(
            SqlChanges(reader), self._directory.freshness, epoch, mono, metrics, self._changed
        )
        self._runner = WireRunner(self._location.wire)
        self._barred = Barred()
        self._bans = BanKeeper(RedisBans(self._runner, epoch), epoch, self._barred, self._bans_changed)
        metrics.bans.ask(self._bans.counts)
        self._connections = Connections(
            mono,
            metrics,
            self._closed,
            proxies=settings.trusted_proxies,
            limits=Limits(total=sip_places(descriptors())),
            is_banned=self._is_banned,
        )
        self._nodes = Nodes(
            redis,
            self._process,
            self._node_sip(),
            epoch,
            tls=settings.addresses.node_tls(settings.redis_url),
            lost_lease=self._lost_lease,
            sweep=self._sweep,
        )
        self._listeners = Listeners(
            settings.addresses,
            self._connections,
            self._nodes,
            metrics,
            origins=settings.ws_origins,
            proxies=settings.trusted_proxies,
            tls=tls,
            announced=settings.proxy_protocol,
            node=self._process.node,
            node_tls=self._node_tls(),
            shared=shared,
            near=frozenset() if settings.node_sip else self._siblings,
        )
        self._telephony = Telephony(
            settings.rtpengine,
            settings.media_sessions,
            self._location,
            metrics,
            epoch,
            mono,
            self._process,
            self._nodes.lives,
            wrap_up_seconds=settings.wrap_up_seconds,
        )
        self._history = SqlHistory(writer, metrics) if settings.keeps_history else NoHistory()
        self._deeds = SqlDeeds(writer, metrics)
        self._punctual = Punctual(mono)
        self._jobs = Jobs(
            self._location, self._directory, self._countries, self._connections, self._nodes, metrics
        )
        spared = (*settings.exempt, *settings.trusted_proxies, *settings.edges)
        self._inflow = Inflow(exempt=spared, is_node=self._nodes.is_place) if settings.limits else None
        self._limiter: Limiter
        self._driver: Driver
        self._handlers: Handlers
        self.started = asyncio.Event()
        """Set when the listeners are open."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises, in an ExceptionGroup, ConfigurationError if an address cannot be bound, and AnotherNode.
        """
        async with asyncio.TaskGroup() as requests, asyncio.TaskGroup() as jobs:
            limiter = self._limiter = Limiter(
                self._inflow,
                self._barred,
                RedisSourcePhones(self._runner, epoch, self._settings.lock_ipv6_prefix),
                lambda flow: self._connections.hang_up(flow, revoked=False),
                lambda job: self._driver.start(job),
                epoch,
                mono,
                self._metrics,
                self._nodes.is_place,
            )
            driver = self._driver = Driver(
                requests,
                Layer(is_node=self._nodes.is_place),
                self._metrics,
                derive(self._settings.keys.secret, "to-tags"),
                self._listeners.send,
                self._lines.finished,
                self._settings.public_host,
                limiter,
                self._settings.quotas.transactions,
                self._settings.edges,
            )
            limiter.serve_with(driver.receive, driver.turn_away)
            handlers = self._handlers = build(self._outside(driver), self._options())
            history = handlers.history
            driver.crowded = handlers.quotas.crowded
            driver.serve_with(handlers.checks, handlers.dispatch, handlers.pings, history.refused)
            running = [
                jobs.create_task(job)
                for job in (
                    *self._jobs.all(handlers),
                    self._nodes.run(),
                    self._listener(handlers).run(),
                    self._follower.run(),
                    *self._telephony.jobs(handlers.calls),
                    self._history.run(),
                    self._deeds.run(),
                    handlers.notifier.run(),
                    handlers.reloads.run(),
                    self._feed(handlers).run(),
                    self._keep_states(),
                    self._keep_bans(),
                    self._share_limits(),
                    self._share_calls(),
                    self._listeners.link(driver, self._process.node),
                )
            ]
            try:
                if await self._ready_to_listen(stop):
                    await self._listeners.open(driver, handlers.pings)
                    self.started.set()
                    await stop.wait()
                    await self._drain(driver)
            finally:
                self._listeners.stop_accepting()
                self._connections.abort_all()
                self._listeners.close()
                driver.close()
                self._punctual.close()
                for task in running:
                    task.cancel()
        self._lines.flush()
        await self._telephony.close()
        await self._history.close()
        await self._deeds.close()
        await self._phones.close()
        await self._nodes.leave()
        await self._location.wire.drain()
        self._location.wire.close()

    def state(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return whether each part is up or down, and the problems that do not stop the work."""
        known = self._jobs.domains_known.is_set()
        parts = {
            "sip": "up" if self.started.is_set() else "down: not listening yet",
            "redis": "up" if self._location.wire.up else "down: " + self._location.wire.why,
            "directory": "up" if known else "down: the SIP domains could not be read",
        }
        problem = self._countries.problem
        concerns = [f"country file: {problem}"] if problem else []
        if self._telephony.concern:
            concerns.append(self._telephony.concern)
        return parts, tuple(concerns)

    def _options(self) -> Options:
        settings = self._settings
        return Options(
            ipv6_prefix=settings.lock_ipv6_prefix,
            ping_seconds=settings.ping_seconds,
            ring_seconds=settings.ring_seconds,
            patience=settings.patience,
            reserved=settings.reserved,
            alerts=settings.alert_info,
            media_policy=settings.media,
            media_prefix=settings.media_sessions,
            loop_key=derive(settings.keys.secret, "loops"),
            watch_key=derive(settings.keys.secret, "lamps"),
            subscriptions=settings.subscriptions,
            quotas=settings.quotas,
            automatic_bans=settings.limits,
            exempt=(*settings.exempt, *settings.trusted_proxies, *settings.edges),
            edges=settings.edges,
            ping_key=os.urandom(KEY_BYTES),
            worker=self._shared.number if self._shared is not None else 0,
            siblings=self._siblings,
        )

    def _outside(self, driver: Driver) -> Outside:
        settings, serves = self._settings, self._directory.serves
        hosts = OurHosts(settings.public_host, settings.domain, serves, local.is_local)
        runner = self._runner
        authenticator = Authenticator(
            derive(settings.keys.secret, "nonces", KEY_BYTES),
            OFFERED[settings.digest],
            settings.domain,
            serves,
            hosts.has,
            self._directory.requires_sha256,
        )
        codec = TokenCodec(token_key(settings.keys.secret), settings.media_sessions)
        settings.keys.watch(lambda: self._rekey(driver, authenticator, codec))
        return Outside(
            network=driver,
            connections=self._connections,
            ways=self._listeners,
            directory=self._directory,
            location=self._location,
            states=self._location.state_index,
            guesses=RedisGuesses(runner, epoch, "sip", self._process.generation),
            book=self._bans,
            limiter=self._limiter,
            traces=RedisTraces(runner),
            calls=self._telephony.store,
            history=self._history,
            deeds=self._deeds,
            people=self._telephony.people,
            waiting=self._telephony.waiting,
            subscriptions=RedisSubscriptions(runner, epoch),
            media=self._telephony.media,
            access=Access(
                self._countries.country,
                proxies=(*settings.trusted_proxies, *settings.edges),
                ipv6_prefix=settings.lock_ipv6_prefix,
                cluster=settings.pbx_cluster,
                banned=self._is_phone_banned,
            ),
            authenticator=authenticator,
            codec=codec,
            hosts=hosts,
            process=self._process,
            metrics=self._metrics,
            lines=self._tried,
            clock=epoch,
            mono=mono,
            until=self._punctual.until,
            tell=self._telephony.publish,
            tell_pickup=self._telephony.publish_pickup,
            report=RedisNotified(runner).add,
            start_task=driver.start,
            nonce_salt=lambda: os.urandom(SALT_BYTES),
            salt=Salts(self._shared.number if self._shared is not None else 0),
            new_id=lambda: secrets.token_hex(ID_BYTES),
        )

    async def _keep_bans(self) -> None:
        await self._location.wire.opened.wait()
        await self._bans.run()

    async def _share_limits(self) -> None:
        """Tell the other nodes what busy sources and phones send here."""
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            spent = self._limiter.spent()
            if spent and self._nodes.has_neighbours:
                publish_spent(self._runner, self._process.generation, spent)

    async def _share_calls(self) -> None:
        """Tell the other nodes how many calls phones, extensions and customers have here."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            if self._nodes.has_neighbours:
                publish_calls(self._runner, str(self._process), self._handlers.counts.report())

    def _is_banned(self, ip: str) -> bool:
        return self._limiter.is_banned(ip)

    def _is_phone_banned(self, phone: str, ip: str) -> bool:
        barred = self._barred
        return barred.any_phone and barred.has_phone(phone, ip, epoch())

    def _bans_changed(self, begun: Sequence[Ban], lifted: Sequence[Ban]) -> None:
        """Apply new bans to those who are in already, and give new budgets for lifted ones."""
        phones = tuple({ban.phone for ban in (*begun, *lifted) if ban.kind is Kind.BAN and ban.phone})
        if phones:
            self._handlers.changes.note(Change(phones=phones))
        for ban in begun:
            network = network_of(ban)
            if ban.kind is Kind.BAN and network is not None and not ban.phone:
                self._connections.close_from(network)
                if self._inflow is not None:
                    self._inflow.forget(network)
        for ban in lifted:
            if ban.is_automatic:
                self._handlers.digest_check.free(ban.address, ban.mark)

    def _rekey(self, driver: Driver, authenticator: Authenticator, codec: TokenCodec) -> None:
        """Make nonces, tokens and tags with the key that is active now, and read those of the other one.

        The marks of loops and of lamps stay as they are: they are compared for moments only.
        """
        held = self._settings.keys.secrets
        self._directory.forget_freshness()  # a password may have been read that could not be opened yet
        driver.tag_key = derive(held[0], "to-tags")
        authenticator.rekey([derive(one, "nonces", KEY_BYTES) for one in held])
        codec.rekey([token_key(one) for one in held])
        self._listeners.renew_node_tls()

    def _node_sip(self) -> str:
        """Return where other nodes reach this process."""
        settings = self._settings
        if self._shared is not None:
            return self._shared.node_sip(settings.node_sip, settings.redis_url)
        return settings.node_sip or settings.addresses.default_node_sip(settings.redis_url)

    def _node_tls(self) -> NodeTls | None:
        """Return what TLS between nodes needs, if it is wanted: the operator's files, or our own pair."""
        settings = self._settings
        if settings.addresses.node is None:
            return None
        files = settings.node_files
        if files is not None:
            return NodeTls(lambda context: from_files(context, *files))

        def own(context: ssl.SSLContext) -> None:
            pair = node_pair(settings.keys, epoch())
            from_memory(context, pair.certificate, pair.key, pair.authorities)

        return NodeTls(own)

    async def _keep_states(self) -> None:
        """Keep the index of states right, from the moment at which Redis is there."""
        wire = self._location.wire
        directory = SqlMembers(self._reader)
        keeper = StateKeeper(
            WireRunner(wire), self._location.state_index, directory, str(self._process), epoch
        )
        await wire.opened.wait()
        await keeper.run()

    def _feed(self, handlers: Handlers) -> EventFeed:
        """Return the reader of the stream of all events, for the subscriptions of phones."""
        notifier = handlers.notifier
        return EventFeed(self._redis, notifier.wanted, heard=notifier.heard, missed=notifier.missed)

    async def _changed(self, change: Change) -> None:
        """Deal with a change that was announced, or that was found in the database."""
        self._follower.heard(change.rows)
        if change.rows:
            return
        handlers = self._handlers
        self._directory.heard(change)
        handlers.changes.note(change)
        customer = change.dial_plan or change.customer
        handlers.hunts.changed(customer)
        handlers.notifier.heard_customer(customer)
        if change.everybody:
            handlers.notifier.heard_everything()

    def _listener(self, handlers: Handlers) -> Listener:
        """Return the listener to what other processes and the API publish."""

        def missed() -> None:
            self._directory.forget_freshness()
            self._telephony.people.missed()

        async def subscribed() -> None:
            handlers.changes.note(Change(everybody=True))

        async def heard(channel: str, data: str) -> None:
            if channel in OF_LIMITS:
                self._heard_of_limits(channel, data, handlers)
                return
            if channel == keys.NOTIFY:
                handlers.reloads.heard(data)
                return
            await self._telephony.hear(channel, data, handlers.calls, handlers.pickup)
            if channel == keys.PERSON_NEWS:
                await handlers.notifier.heard_person(read_person(data))

        return Listener(
            self._redis,
            changed=self._changed,
            missed=missed,
            subscribed=subscribed,
            channels=(*CHANNELS, *OF_LIMITS, keys.NOTIFY),
            heard=heard,
        )

    def _heard_of_limits(self, channel: str, data: str, handlers: Handlers) -> None:
        """Handle a message of a channel in OF_LIMITS."""
        if channel == keys.BAN_NEWS:
            self._bans.hear()
        elif channel == keys.CALL_COUNTS:
            process, told = read_calls(data)
            if process not in ("", str(self._process)):
                handlers.counts.heard(process, told, epoch())
        elif channel == keys.LIMITS:
            self._limiter.heard(read_spent(data, self._process.generation))
        else:
            self._heard_guess(data, handlers)

    def _heard_guess(self, data: str, handlers: Handlers) -> None:
        tried = read_try(data, self._process.generation)
        hold = None if tried else read_hold(data)
        if tried:
            handlers.digest_check.hear_try(tried)
        elif hold is not None and hold[0] == "sip":
            handlers.digest_check.hear(*hold[1:])

    def _customer_of(self, phone: str) -> str:
        """Return the customer of a phone, empty if it is not known."""
        known = self._directory.by_id(phone)
        return known.customer if known is not None else ""

    def _closed(self, flow: Flow, silent: bool) -> None:
        self._driver.closed(flow)
        self._handlers.flows.closed(flow, silent=silent)

    async def _sweep(self, process: Process, phones: frozenset[str]) -> None:
        """End the bindings on connections of a dead process; take over its calls and subscriptions."""
        await self._handlers.changes.sweep(process, phones)
        await self._handlers.calls.take_over_calls(process)
        await self._handlers.notifier.take_over(process)

    async def _lost_lease(self) -> None:
        """Repair the bindings after the loss of our lease: write them again, or let their phones reconnect.

        Another node may have swept them, and the store may have lost more than the lease.
        """
        self._location.forget_listed()
        self._location.back.set()
        await self._handlers.flows.disown()

    async def _ready_to_listen(self, stop: asyncio.Event) -> bool:
        """Wait for the SIP domains and the country file, and return False if told to stop meanwhile.

        Without them every answer would be a wrong refusal. Redis may still be unavailable afterwards.
        """
        preparing = asyncio.create_task(self._jobs.prepare())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (preparing, stopping):
            task.cancel()
        return not stop.is_set()

    async def _drain(self, driver: Driver) -> None:
        """Finish the requests under way, tell new ones to come back later, and close the connections."""
        driver.draining = True
        self._listeners.stop_accepting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await driver.idle()
        self._connections.close_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                while len(self._connections):  # noqa: ASYNC110  # short, and at the very end
                    await asyncio.sleep(0.01)


def token_key(secret_key: str) -> bytes:
    """Return the key of the tokens, which is the same on all nodes."""
    return derive(secret_key, "tokens-siv", TOKEN_KEY_BYTES)
