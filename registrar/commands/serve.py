"""`registrar serve`: one process for everything, or a parent and one process for each part.

In one process, the embedded Valkey is its child. With workers, `divided` forks the processes, and each of them
runs `run` with its part.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config import clock
from config.app import create_app
from config.chores import Chores
from config.deps import Parts
from config.guard import Guard, Managed
from config.health import Readiness
from config.monitoring import monitoring_app
from config.operations.demo import demo_tenant
from config.operations.keys import KINDS
from config.places import HttpLimits, Places
from config.provisioning.build import limiter_of, phone_files
from config.provisioning.serve import PhoneFiles
from config.server import HttpServer
from config.settings import ApiSettings, ProvisioningSettings
from registrar import memory
from registrar.app import SipSettings, SipSide
from registrar.capacity import descriptors, http_places
from registrar.errors import ConfigurationError
from registrar.handlers.calls.hunting import Patience
from registrar.handlers.events.notifier import Limits as SubscriptionLimits
from registrar.listeners import Addresses, Shared
from registrar.logs import RequestLines, WrongPasswordLines
from registrar.metrics import Metrics
from registrar.rules.quotas import Quotas
from registrar.settings import KEYS, Settings
from registrar.store import redis_client, wall_clock
from registrar.store.keyring import Keyring
from registrar.store.measured import measure
from registrar.store.media_engine import engine_name
from registrar.store.valkey import EmbeddedValkey
from registrar.transport.tls import ServerTls

from . import siblings
from .first_steps import print_demo, print_first_steps, print_workers
from .installation import DEMO_LISTENER, Installation, Stores, held_keys, lacks_listener, opened
from .key_watch import Again, KeyWatch
from .served_certificate import concerns, served_certificate
from .side import Side
from .supervisor import Supervisor
from .workers import Part, Ports, Role, count

READY_SECONDS: Final = 1.0
RTPENGINE: Final = "13.4.1.1"
"""Older versions can be made to send the sound of a call to strangers (CVE-2025-53399)."""

LEGACY: Final = (
    "REGISTRAR_PROV_HTTPS_LEGACY: TLS 1.0, TLS 1.1 and old cipher suites are accepted at this listener; what "
    "phones load there may be read on its way. Leave it on only while phones of such models are in use"
)

BOTH: Final = (signal.SIGINT, signal.SIGTERM)
SIGTERM_ALONE: Final = (signal.SIGTERM,)
Ready = Callable[[], Awaitable[Readiness]]
Exposition = Callable[[], Awaitable[bytes]]

log = logging.getLogger("registrar")


def divided(installation: Installation, side: Side, *, demo: bool) -> Part | None:
    """Fork the processes of this installation; return None if it needs only one.

    In each child, return its part. In the parent, end with SystemExit. Raise ConfigurationError.
    """
    settings = installation.settings
    workers = count(settings, side)
    if not workers:
        return None

    def ready() -> None:
        print_workers(workers, api=side is Side.ALL)
        if not demo:
            print_first_steps(installation, sip=True, api=side is Side.ALL)
        log.info("ready")

    has_front = side is Side.ALL or bool(settings.sip_http or settings.management)
    ports = Ports(settings, workers)
    parent = Supervisor(ports, workers, ready, has_front=has_front, keeps_valkey=installation.embedded)
    return parent.run()


async def keep(installation: Installation, part: Part, *, wants_certificate: bool) -> None:
    """Prepare what all processes need, then run the embedded Valkey until all of them have ended."""
    stop = _stop_event(part, SIGTERM_ALONE)
    async with _valkey(installation):
        async with opened(installation, upgrade=False):
            if wants_certificate:
                await asyncio.to_thread(installation.certificate)
        part.told_ready()
        if installation.embedded:
            await stop.wait()


def renewed(installation: Installation, again: Again) -> Installation:
    """Return the installation with the keys that its files hold now: the parent knows those of its start."""
    fresh = again.read()
    names = {name: getattr(fresh, name) for name in KEYS}
    settings = installation.settings.model_copy(update=names)
    rings = {kind: Keyring(*held_keys(settings, installation.directory, kind)) for kind in KINDS}
    return replace(installation, settings=settings, secret_keys=rings["secret"], jwt_keys=rings["jwt"])


def _stop_event(part: Part | None, numbers: tuple[signal.Signals, ...]) -> asyncio.Event:
    """Return the event that a signal sets, and the end of the parent if there is one."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    if part is not None:
        part.watch_parent(stop)
    return stop


async def run(
    installation: Installation,
    side: Side,
    lines: RequestLines,
    again: Again,
    *,
    demo: bool,
    part: Part | None = None,
) -> None:
    """Run until SIGINT or SIGTERM. `demo` makes the demo tenant and prints how to use it.

    `part` is what this process does if it is one of several. Raise ConfigurationError and AnotherNode, some
    of them in an ExceptionGroup.
    """
    wants_certificate = _wants_certificate(installation.settings, side)
    if part is not None and part.starts > 1:
        installation = await asyncio.to_thread(renewed, installation, again)
    if part is not None and part.role is Role.KEEPER:
        await keep(installation, part, wants_certificate=wants_certificate)
        return
    serves_sip = side is not Side.API and (part is None or part.role is Role.WORKER)
    serves_api = side is not Side.SIP and (part is None or part.role is Role.FRONT)
    stop = _stop_event(part, BOTH)
    if part is None or part.shared is None or part.shared.number == 1:
        _say_what_is_unusual(installation)
        _say_if_phones_get_no_files(installation, wanted=demo and side is not Side.SIP)
    async with (
        _valkey(installation, runs=part is None),
        opened(installation, upgrade=False) as stores,
        served_certificate(installation, wanted=wants_certificate) as tls,
    ):
        await wall_clock.ask(stores.redis, wall_clock.wall_clock)
        metrics, tried = Metrics(), WrongPasswordLines()
        if tls is not None:
            metrics.certificate(lambda: tls.expires_at)
        _measure(stores, metrics)
        watch = KeyWatch(installation, stores, metrics, again, seals=serves_api)
        shared = part.shared if part is not None else None
        sip = _sip_side(installation, stores, metrics, lines, tried, tls, shared) if serves_sip else None
        ready, exposition = _readiness(stores, sip, tls), _exposition(metrics, part)
        if part is not None:
            metrics.starts.set(part.starts)
            if part.role is Role.FRONT:
                ready = _readiness_of_all(ready, part)
        places = _places(installation.settings, metrics)
        servers: list[HttpServer] = []
        pages: FastAPI | None = None
        jobs: list[Callable[[asyncio.Event], Coroutine[object, object, None]]] = []
        if serves_api:
            whole = installation.api()
            api = whole if side is Side.ALL else replace(whole, wss_listener=None)
            pages = _http_app(api, stores, metrics, ready, exposition, tried)
            servers += _http_servers(installation.settings, pages, places, tls)
            parts = pages.state.parts
            jobs = [
                parts.hub.run,
                Chores(parts).run,
                parts.deliverer.run,
                parts.redirector.run,
                parts.chainer.run,
            ]
            servers += _phone_servers(installation, parts, stores, metrics, tls)
        if part is None or part.role is Role.FRONT:
            servers += _monitoring_servers(installation, stores, ready, exposition, metrics, places, pages, side)
        async with asyncio.TaskGroup() as tasks:
            running = []
            tasks.create_task(watch.run(stop))
            tasks.create_task(wall_clock.keep_time(stores.redis, wall_clock.wall_clock, stop))
            if sip is not None:
                running.append(tasks.create_task(sip.run(stop)))
            for job in jobs:
                tasks.create_task(job(stop))
            if sip is not None and part is not None and part.state is not None:
                tasks.create_task(siblings.Told(sip.state, metrics.exposition).run(part.state, stop))
            for http in servers:
                running.append(tasks.create_task(http.run(stop)))
                await _started(http.started, running)
            if sip is not None:
                await _started(sip.started, running)
            memory.settle()
            tasks.create_task(memory.tidy(stop))
            if part is not None:
                part.told_ready()
            if demo and serves_api and (part is None or part.starts == 1):
                if part is not None:
                    await _started_or_stopped(part, stop)
                print_demo(installation, await demo_tenant(stores.writer, installation.api(), stores.vault))
            elif part is None:
                print_first_steps(installation, sip=serves_sip, api=serves_api)
            if part is None:
                log.info("ready")


def _wants_certificate(settings: Settings, side: Side) -> bool:
    phones = (*settings.prov_https, *settings.prov_https_legacy)
    https = (*settings.https, *phones) if side is not Side.SIP else ()
    sip = (*settings.sip_tls, *settings.sip_wss) if side is not Side.API else ()
    return bool(https or sip)


def _measure(stores: Stores, metrics: Metrics) -> None:
    """Let the stores of both sides tell how long they take."""
    measure(stores.reader, metrics, "read", clock.exactly)
    measure(stores.writer, metrics, "write", clock.exactly)
    metrics.redis_seconds.show(stores.redis.took, "api")


def _places(settings: Settings, metrics: Metrics) -> Places:
    """Return the places of all HTTP connections of this process."""
    limits = HttpLimits(total=_share(settings))
    places = Places(clock.mono_now, limits, settings.trusted_proxies)
    metrics.http_connections.set_function(lambda: len(places))
    return places


def _share(settings: Settings) -> int:
    """Return how many connections the API may have: the listener for phones takes half, if there is one."""
    places = http_places(descriptors())
    return places // 2 if settings.serves_phones else places


def _monitoring_servers(
    installation: Installation,
    stores: Stores,
    ready: Ready,
    exposition: Exposition,
    metrics: Metrics,
    places: Places,
    pages: FastAPI | None,
    side: Side,
) -> list[HttpServer]:
    """Return the servers for monitoring: that of the SIP side alone, and the one that wants no token."""
    settings, servers = installation.settings, []
    guard = Guard(stores.reader, installation.jwt_keys, settings.trusted_proxies)
    shown = monitoring_app(ready, metrics, exposition, settings.trusted_proxies, guard)
    if side is not Side.API and settings.sip_http:
        servers.append(HttpServer(settings.sip_http, shown, places, setting="SIP_HTTP"))
    if settings.management:
        servers.append(HttpServer(settings.management, Managed(pages or shown), places, setting="MANAGEMENT"))
    return servers


def _http_servers(
    settings: Settings, pages: FastAPI, places: Places, tls: ServerTls | None
) -> list[HttpServer]:
    servers = [HttpServer(settings.http, pages, places)]
    if settings.https and tls is not None:
        servers.append(HttpServer(settings.https, pages, places, tls.context))
    return servers


def _phone_servers(
    installation: Installation, parts: Parts, stores: Stores, metrics: Metrics, tls: ServerTls | None
) -> list[HttpServer]:
    """Return the servers of files for phones. Phones have places of their own, apart from the API."""
    settings = installation.settings
    if not parts.settings.provisioning.is_on:
        return []
    places = Places(clock.mono_now, HttpLimits(total=_share(settings)), settings.trusted_proxies)
    served, servers = parts.settings.provisioning, []
    guesses = limiter_of(served, stores.redis, metrics)

    def pages(provisioning: ProvisioningSettings) -> PhoneFiles:
        return phone_files(
            provisioning,
            parts.read_engine,
            parts.engine,
            stores.redis,
            parts.vault,
            parts.changes,
            parts.origins,
            metrics,
            settings.trusted_proxies,
            guesses,
        )

    modern = pages(served)
    if settings.prov_http:
        servers.append(HttpServer(settings.prov_http, modern, places, setting="PROV_HTTP"))
    if settings.prov_https and tls is not None:
        servers.append(HttpServer(settings.prov_https, modern, places, tls.context, "PROV_HTTPS"))
    if settings.prov_https_legacy and tls is not None:
        log.warning(LEGACY)
        old = pages(served.for_old_phones())
        servers.append(HttpServer(settings.prov_https_legacy, old, places, tls.legacy, "PROV_HTTPS_LEGACY"))
    return servers


async def _started_or_stopped(part: Part, stop: asyncio.Event) -> None:
    """Wait until all processes were ready once, or for the stop."""
    waiting = [asyncio.create_task(part.until_all_ready()), asyncio.create_task(stop.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def _started(event: asyncio.Event, running: list[asyncio.Task[None]]) -> None:
    """Wait until a part has started, or until a task in `running` ends because it failed."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({waiting, *running}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _sip_side(
    installation: Installation,
    stores: Stores,
    metrics: Metrics,
    lines: RequestLines,
    tried: WrongPasswordLines,
    tls: ServerTls | None,
    shared: Shared | None,
) -> SipSide:
    redis = redis_client.connect(installation.redis_url)
    return SipSide(
        _sip_settings(installation, stores.in_use.media_sessions, shared),
        redis,
        stores.reader,
        stores.writer,
        stores.vault,
        metrics,
        lines,
        tried,
        tls,
        shared,
    )


def _sip_settings(installation: Installation, media_sessions: str, shared: Shared | None) -> SipSettings:
    """Return the settings of the SIP side. Each worker takes another port for TLS between nodes."""
    settings = installation.settings
    node = settings.node_tls[0] if settings.node_tls else None
    if node is not None and shared is not None:
        node = (node[0], node[1] + shared.number - 1)
    return SipSettings(
        addresses=Addresses(
            udp=settings.sip_udp,
            tcp=settings.sip_tcp,
            tls=settings.sip_tls,
            ws=settings.sip_ws,
            wss=settings.sip_wss,
            node=node,
        ),
        ws_origins=settings.ws_origins,
        domain=settings.domain,
        public_host=settings.public_host,
        digest=settings.digest,
        keys=installation.secret_keys,
        media_sessions=media_sessions,
        geoip_database=installation.country_file,
        trusted_proxies=settings.trusted_proxies,
        limits=settings.limits.is_on,
        exempt=settings.limits.exempt,
        lock_ipv6_prefix=settings.lock_ipv6_prefix,
        pbx_cluster=settings.pbx_cluster,
        node=settings.node,
        node_sip=settings.node_sip,
        node_files=_node_files(settings),
        redis_url=installation.redis_url,
        ping_seconds=settings.ping_seconds,
        ring_seconds=settings.ring_seconds,
        patience=Patience(
            settings.group_seconds,
            settings.wait_seconds,
            settings.no_answer_seconds,
            settings.group_callers,
            settings.queue_callers,
            settings.group_devices,
        ),
        subscriptions=SubscriptionLimits(
            settings.phone_subscriptions, settings.watchers, settings.node_subscriptions
        ),
        quotas=Quotas(
            phone_calls=settings.phone_calls,
            phone_ringing=settings.phone_ringing,
            phone_rate=settings.phone_call_rate,
            extension_calls=settings.extension_calls,
            extension_rate=settings.extension_call_rate,
            callee_calls=settings.callee_calls,
            callee_rate=settings.callee_call_rate,
            customer_calls=settings.customer_calls,
            customer_rate=settings.customer_call_rate,
            transactions=settings.customer_transactions,
        ),
        alert_info=settings.alert_info,
        wrap_up_seconds=settings.wrap_up_seconds,
        rtpengine=settings.rtpengine,
        media=settings.media,
        reserved=installation.reserved,
        keeps_history=settings.call_history_days > 0,
    )


def _node_files(settings: Settings) -> tuple[Path, Path, Path] | None:
    files = settings.node_cert, settings.node_key, settings.node_ca
    return (files[0], files[1], files[2]) if files[0] and files[1] and files[2] else None


def _readiness(stores: Stores, sip: SipSide | None, tls: ServerTls | None) -> Ready:
    """Return the function that tells whether this process can work."""

    async def readiness() -> Readiness:
        parts, degraded = (
            sip.state() if sip is not None else ({"redis": await _redis_state(stores.redis)}, ())
        )
        parts["database"] = await _database_state(stores.reader)
        if tls is not None:
            degraded = (*degraded, *concerns(tls, clock.epoch_now()))
        return Readiness(all(state == "up" for state in parts.values()), parts, degraded)

    return readiness


def _readiness_of_all(own: Ready, part: Part) -> Ready:
    """Return the function that tells whether this process and all workers can work."""

    async def readiness() -> Readiness:
        return await siblings.readiness(part.places, await own())

    return readiness


def _exposition(metrics: Metrics, part: Part | None) -> Exposition:
    """Return the function that returns the metrics of this process, or of all if they are several."""

    async def exposition() -> bytes:
        own = metrics.exposition()
        return own if part is None else await siblings.exposition(part.places, own)

    return exposition


def _http_app(
    settings: ApiSettings,
    stores: Stores,
    metrics: Metrics,
    ready: Ready,
    exposition: Exposition,
    tried: WrongPasswordLines,
) -> FastAPI:
    return create_app(
        settings,
        stores.writer,
        stores.reader,
        stores.redis,
        stores.vault,
        ready,
        exposition,
        tried,
        metrics,
    )


async def _redis_state(redis: Redis) -> str:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await redis.ping()
    except (RedisError, OSError, TimeoutError) as error:
        return f"down: {type(error).__name__}"
    return "up"


async def _database_state(reader: AsyncEngine) -> str:
    try:
        async with asyncio.timeout(READY_SECONDS), reader.connect() as connection:
            await connection.execute(text("SELECT 1 FROM phone_v1 LIMIT 1"))
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return f"down: {type(error).__name__}"
    return "up"


@asynccontextmanager
async def _valkey(installation: Installation, *, runs: bool = True) -> AsyncIterator[None]:
    """Run the embedded server during the block, unless another process runs it."""
    if not (installation.embedded and runs):
        yield
        return
    server = EmbeddedValkey(installation.directory)
    try:
        owner = await server.start()
    except (OSError, TimeoutError) as error:
        raise ConfigurationError(
            f"REGISTRAR_DATA_DIR: the embedded Valkey does not start: {error}"
        ) from error
    if not owner:
        log.info("using the embedded Valkey of another process on this data directory")
    watch = asyncio.create_task(server.run())
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await server.stop()


def _say_what_is_unusual(installation: Installation) -> None:
    hosts = [host for host, _ in installation.settings.http]
    exposed = [host for host in hosts if not (host.startswith("127.") or host == "::1")]
    if exposed and not installation.settings.trusted_proxies:
        log.warning(
            "the API listens on %s without TLS and without a trusted proxy before it (REGISTRAR_HTTP)",
            ", ".join(exposed),
        )
    if installation.settings.rtpengine:
        engines = ", ".join(engine_name(host, port) for host, port in installation.settings.rtpengine)
        log.info("media relay: %s; production wants rtpengine >= %s (docs/media.md)", engines, RTPENGINE)


def _say_if_phones_get_no_files(installation: Installation, *, wanted: bool) -> None:
    if wanted and lacks_listener(installation.settings):
        log.warning(
            "phones get no configuration from this demo: %s:%d is in use; set REGISTRAR_PROV_HTTP and "
            "REGISTRAR_PROV_URL for another port",
            *DEMO_LISTENER,
        )
