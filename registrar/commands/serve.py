"""`registrar serve`: one process for everything, or a parent and one process for each part.

In one process, the embedded Valkey is its child. With workers, `divided` forks the processes, and each of
them runs `run` with its part.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
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
from config.places import HttpLimits, Places
from config.provisioning.build import limiter_of, phone_files
from config.provisioning.serve import PhoneFiles
from config.server import HttpServer
from config.settings import ApiSettings, ProvisioningSettings
from registrar import memory
from registrar.app import SipSide
from registrar.capacity import descriptors, http_places
from registrar.errors import ConfigurationError
from registrar.listeners import Shared
from registrar.logs import RequestLines, WrongPasswordLines
from registrar.metrics import Metrics
from registrar.model import IpNetwork
from registrar.settings import Settings
from registrar.store import redis_client, wall_clock
from registrar.store.measured import measure
from registrar.store.media_engine import engine_name
from registrar.store.valkey import EmbeddedValkey
from registrar.transport.tls import ServerTls

from . import siblings
from .division import BOTH, SIGTERM_ALONE, Duty, duty_of, renewed, stop_event
from .first_steps import print_demo, print_first_steps
from .installation import DEMO_LISTENER, Installation, Stores, lacks_listener, opened
from .key_watch import Again, KeyWatch
from .served_certificate import concerns, served_certificate
from .side import Side
from .sip_settings import sip_settings
from .workers import Part, Role

READY_SECONDS: Final = 1.0
RTPENGINE: Final = "13.4.1.1"
"""Older versions can be made to send the sound of a call to strangers (CVE-2025-53399)."""

LEGACY: Final = (
    "REGISTRAR_PROV_HTTPS_LEGACY: TLS 1.0, TLS 1.1 and old cipher suites are accepted at this listener; what "
    "phones load there may be read on its way. Leave it on only while phones of such models are in use"
)

Ready = Callable[[], Awaitable[Readiness]]
Exposition = Callable[[], Awaitable[bytes]]
Job = Callable[[asyncio.Event], Coroutine[object, object, None]]

log = logging.getLogger("registrar")


async def keep(installation: Installation, part: Part) -> None:
    """Bring the database to the newest schema, then run the embedded Valkey until all of them have ended."""
    stop = stop_event(part, SIGTERM_ALONE)
    async with _valkey(installation):
        async with opened(installation, upgrade=False):
            pass
        part.told_ready()
        if installation.embedded:
            await stop.wait()


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
    duty = duty_of(side, part)
    if part is not None and part.starts > 1:
        installation = await asyncio.to_thread(renewed, installation, again)
    if part is not None and part.role is Role.KEEPER:
        await keep(installation, part)
        return
    stop = stop_event(part, BOTH)
    if duty.speaks:
        _say_what_is_unusual(installation)
        _say_if_phones_get_no_files(installation, wanted=demo and duty.api)
    async with (
        _valkey(installation, runs=part is None),
        opened(installation, upgrade=False) as stores,
        served_certificate(installation, wanted=_wants_certificate(installation.settings, duty)) as tls,
    ):
        await wall_clock.ask(stores.redis, wall_clock.wall_clock)
        metrics, tried = Metrics(), WrongPasswordLines()
        if tls is not None:
            metrics.certificate(lambda: tls.expires_at)
        _measure(stores, metrics)
        metrics.starts.set(part.starts if part is not None else 1)
        watch = KeyWatch(installation, stores, metrics, again, seals=duty.api)
        shared = part.shared if part is not None else None
        sip = _sip_side(installation, stores, metrics, lines, tried, tls, shared) if duty.sip else None
        servers, jobs = _http_side(installation, duty, part, stores, metrics, tried, tls, sip)
        if sip is not None and part is not None and part.state is not None:
            jobs.append(partial(siblings.Told(sip.state, metrics.exposition).run, part.state))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(stop))
            tasks.create_task(wall_clock.keep_time(stores.redis, wall_clock.wall_clock, stop))
            for job in jobs:
                tasks.create_task(job(stop))
            await _all_started(tasks, sip, servers, stop)
            memory.settle()
            tasks.create_task(memory.tidy(stop))
            await _tell_ready(installation, duty, part, stores, stop, demo=demo)


def _http_side(
    installation: Installation,
    duty: Duty,
    part: Part | None,
    stores: Stores,
    metrics: Metrics,
    tried: WrongPasswordLines,
    tls: ServerTls | None,
    sip: SipSide | None,
) -> tuple[list[HttpServer], list[Job]]:
    """Return the servers of HTTP that this process has, and the jobs beside them."""
    settings, servers, jobs = installation.settings, list[HttpServer](), list[Job]()
    if not duty.monitoring:
        return servers, jobs
    ready, exposition = _readiness(stores, sip, tls), _exposition(metrics, part)
    if part is not None:
        ready = _readiness_of_all(ready, part)
    places = _places(settings, metrics)
    pages: FastAPI | None = None
    if duty.api:
        api = installation.api() if duty.whole else replace(installation.api(), wss_listener=None)
        pages = _http_app(api, stores, metrics, ready, exposition, tried)
        parts = pages.state.parts
        jobs = [
            parts.hub.run,
            Chores(parts).run,
            parts.deliverer.run,
            parts.redirector.run,
            parts.chainer.run,
        ]
        servers = [
            *_http_servers(settings, pages, places, tls),
            *_phone_servers(installation, parts, stores, metrics, tls),
        ]
    of_sip = duty.sip or part is not None
    servers += _monitoring_servers(
        installation, stores, ready, exposition, metrics, places, pages, of_sip=of_sip
    )
    return servers, jobs


async def _all_started(
    tasks: asyncio.TaskGroup, sip: SipSide | None, servers: list[HttpServer], stop: asyncio.Event
) -> None:
    """Start all listeners, and return when they are open or one has failed."""
    running = [tasks.create_task(sip.run(stop))] if sip is not None else []
    for http in servers:
        running.append(tasks.create_task(http.run(stop)))
        await _started(http.started, running)
    if sip is not None:
        await _started(sip.started, running)


async def _tell_ready(
    installation: Installation,
    duty: Duty,
    part: Part | None,
    stores: Stores,
    stop: asyncio.Event,
    *,
    demo: bool,
) -> None:
    """Print the first steps, or the demo tenant. The parent of several processes prints the former."""
    if part is not None:
        part.told_ready()
    if demo and duty.api and (part is None or part.starts == 1):
        if part is not None:
            await _started_or_stopped(part, stop)
        print_demo(installation, await demo_tenant(stores.writer, installation.api(), stores.vault))
    elif part is None:
        print_first_steps(installation, sip=duty.sip, api=duty.api)
    if part is None:
        log.info("ready")


def _wants_certificate(settings: Settings, duty: Duty) -> bool:
    """Return whether a listener of this process needs the certificate."""
    phones = (*settings.prov_https, *settings.prov_https_legacy)
    https = (*settings.https, *phones) if duty.api else ()
    sip = (*settings.sip_tls, *settings.sip_wss) if duty.sip else ()
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
    *,
    of_sip: bool,
) -> list[HttpServer]:
    """Return the servers for monitoring: that of the SIP side alone, and the one that wants no token."""
    settings, servers = installation.settings, []
    guard = Guard(stores.reader, installation.jwt_keys, settings.trusted_proxies)
    shown = monitoring_app(ready, metrics, exposition, settings.trusted_proxies, guard)
    if of_sip and settings.sip_http:
        servers.append(HttpServer(settings.sip_http, shown, places, setting="SIP_HTTP"))
    if settings.management:
        servers.append(HttpServer(settings.management, Managed(pages or shown), places, setting="MANAGEMENT"))
    return servers


def _http_servers(
    settings: Settings, pages: FastAPI, places: Places, tls: ServerTls | None
) -> list[HttpServer]:
    announcing = _announcing(settings)
    servers = [HttpServer(settings.http, pages, places, announcing=announcing("http"))]
    if settings.https and tls is not None:
        servers.append(HttpServer(settings.https, pages, places, tls.context, announcing=announcing("https")))
    return servers


def _announcing(settings: Settings) -> Callable[[str], Sequence[IpNetwork]]:
    """Return a function: from where do connections at a listener begin with a PROXY header?"""
    return lambda listener: settings.trusted_proxies if listener in settings.proxy_protocol else ()


def _phone_servers(
    installation: Installation, parts: Parts, stores: Stores, metrics: Metrics, tls: ServerTls | None
) -> list[HttpServer]:
    """Return the servers of files for phones. Phones have places of their own, apart from the API."""
    settings, announcing = installation.settings, _announcing(installation.settings)
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
        servers.append(
            HttpServer(
                settings.prov_http, modern, places, setting="PROV_HTTP", announcing=announcing("prov_http")
            )
        )
    if settings.prov_https and tls is not None:
        https = announcing("prov_https")
        servers.append(HttpServer(settings.prov_https, modern, places, tls.context, "PROV_HTTPS", https))
    if settings.prov_https_legacy and tls is not None:
        log.warning(LEGACY)
        old = pages(served.for_old_phones())
        of_old, name = announcing("prov_https_legacy"), "PROV_HTTPS_LEGACY"
        servers.append(HttpServer(settings.prov_https_legacy, old, places, tls.legacy, name, of_old))
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
        sip_settings(installation, stores.in_use.media_sessions, shared),
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
