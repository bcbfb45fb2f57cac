"""The command line, and the one place where both sides meet (design.md 4.1)."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
import uvloop
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config import clock
from config.access import AccessLevel
from config.app import create_app
from config.auth import issue_token
from config.health import Readiness
from config.operations.demo import demo_tenant
from config.places import HttpLimits, Places
from config.server import HttpServer
from registrar import memory
from registrar import settings as all_settings
from registrar.app import SipSide, descriptors, http_places
from registrar.commands import country_file
from registrar.commands import doctor as checkup
from registrar.commands import status as phones
from registrar.commands.first_steps import api_url, print_demo, print_first_steps
from registrar.commands.installation import Installation, Stores, existing, installed, opened
from registrar.commands.served_certificate import concerns, served_certificate
from registrar.errors import AnotherNode, ConfigurationError, StoreUnavailable
from registrar.logs import RequestLines, WrongPasswordLines, configure
from registrar.metrics import Metrics
from registrar.settings import Settings
from registrar.store import redis_client
from registrar.store.media_engine import engine_name
from registrar.store.valkey import EmbeddedValkey
from registrar.transport.tls import ServerTls

EXIT_UNFIT: Final = 1
EXIT_CONFIGURATION: Final = 2
EXIT_ANOTHER_NODE: Final = 3
READY_SECONDS: Final = 1.0
RTPENGINE: Final = "13.4.1.1"
"""Older ones can be brought to send a call's sound to strangers (CVE-2025-53399)."""

log = logging.getLogger("registrar")
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="SIP registrar and WebRTC gateway: phones register, their live status is in Redis and in the API.",
)
geoip = typer.Typer(no_args_is_help=True, help="The country file, which ROAMING phones need.")
app.add_typer(geoip, name="geoip")


class Side(StrEnum):
    """What `serve` runs."""

    ALL = "all"
    SIP = "sip"
    API = "api"


def install() -> Installation:
    """Read the settings, the one time they are read, and find or make what belongs to them."""
    return installed(all_settings.read(os.environ))


def look_up() -> Installation:
    """Read the settings, and find what belongs to them: these commands make no installation."""
    return existing(all_settings.read(os.environ))


@app.command()
def serve(
    side: Annotated[Side, typer.Argument(help="One side only, for split deployments.")] = Side.ALL,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make the demo tenant and print how to use it.")
    ] = False,
) -> None:
    """Run everything in one process, with embedded defaults."""
    installation = install()
    lines = configure(installation.settings.log_level, terminal=sys.stderr.isatty())
    _run(_serve(installation, side, lines, demo=demo))


async def _serve(installation: Installation, side: Side, lines: RequestLines, *, demo: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    _say_what_is_unusual(installation)
    async with (
        _valkey(installation),
        opened(installation, upgrade=False) as stores,
        served_certificate(installation, wanted=_wants_certificate(installation.settings, side)) as tls,
    ):
        metrics, tried = Metrics(), WrongPasswordLines()
        if tls is not None:
            metrics.certificate(lambda: tls.expires_at)
        sip = _sip_side(installation, stores, metrics, lines, tried, tls) if side is not Side.API else None
        async with asyncio.TaskGroup() as tasks:
            running = []
            if sip is not None:
                running.append(tasks.create_task(sip.run(stop)))
            if side is not Side.SIP:
                pages = _http_app(installation, stores, metrics, sip, tls, tried)
                for http in _http_servers(installation.settings, pages, tls):
                    running.append(tasks.create_task(http.run(stop)))
                    await _started(http.started, running)
            if sip is not None:
                await _started(sip.started, running)
            if demo:
                print_demo(installation, await demo_tenant(stores.writer, installation.api(), stores.vault))
            else:
                print_first_steps(installation, sip=side is not Side.API, api=side is not Side.SIP)
            memory.settle()
            tasks.create_task(memory.tidy(stop))
            log.info("ready")


def _wants_certificate(settings: Settings, side: Side) -> bool:
    https = settings.https if side is not Side.SIP else ()
    sip = (*settings.sip_tls, *settings.sip_wss) if side is not Side.API else ()
    return bool(https or sip)


def _http_servers(settings: Settings, pages: FastAPI, tls: ServerTls | None) -> list[HttpServer]:
    limits = HttpLimits(total=http_places(descriptors()))
    places = Places(clock.mono_now, limits, settings.trusted_proxies)
    servers = [HttpServer(settings.http, pages, places)]
    if settings.https and tls is not None:
        servers.append(HttpServer(settings.https, pages, places, tls.context))
    return servers


async def _started(event: asyncio.Event, running: list[asyncio.Task[None]]) -> None:
    """Wait until a part has started, or one of them has failed."""
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
) -> SipSide:
    redis = redis_client.connect(installation.redis_url)
    return SipSide(
        installation.sip(),
        redis,
        stores.reader,
        stores.writer,
        stores.vault,
        metrics,
        lines,
        tried,
        tls.context if tls is not None else None,
    )


def _http_app(
    installation: Installation,
    stores: Stores,
    metrics: Metrics,
    sip: SipSide | None,
    tls: ServerTls | None,
    tried: WrongPasswordLines,
) -> FastAPI:
    async def readiness() -> Readiness:
        parts, degraded = (
            sip.state() if sip is not None else ({"redis": await _redis_state(stores.redis)}, ())
        )
        parts["database"] = await _database_state(stores.reader)
        if tls is not None:
            degraded = (*degraded, *concerns(tls, clock.epoch_now()))
        return Readiness(all(state == "up" for state in parts.values()), parts, degraded)

    return create_app(
        installation.api(),
        stores.writer,
        stores.reader,
        stores.redis,
        stores.vault,
        readiness,
        metrics.exposition,
        tried,
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
async def _valkey(installation: Installation) -> AsyncIterator[None]:
    """The embedded server for the length of the block, if this process is the one to run it."""
    if not installation.embedded:
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


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make or find the demo tenant in the configured database."""
    installation = look_up()
    configure("warning", terminal=sys.stderr.isatty())

    async def make() -> dict[str, Any]:
        async with opened(installation, upgrade=False) as stores:
            return await demo_tenant(stores.writer, installation.api(), stores.vault)

    tenant = _run(make())
    if as_json:
        print(json.dumps({"api": api_url(installation.settings)} | tenant))
    else:
        print_demo(installation, tenant)


@app.command()
def token(
    level: Annotated[
        str, typer.Option(help="PERSONAL, VIEWER, MANAGER, OWNER, RESELLER, RESELLER_ADMIN or ADMIN.")
    ],
    customer: Annotated[str | None, typer.Option(help="Id of the customer it is for.")] = None,
    employee: Annotated[str | None, typer.Option(help="Id of the person it is for.")] = None,
    minutes: Annotated[int, typer.Option(min=1, help="How long it is good.")] = 60,
) -> None:
    """Print a JWT for the API."""
    if level.upper() not in AccessLevel.__members__:
        raise ConfigurationError(f"--level: {level!r} is none of {', '.join(AccessLevel.__members__)}")
    installation = look_up()
    chosen = AccessLevel[level.upper()]
    print(issue_token(installation.jwt_secret, chosen, customer, employee, minutes))


@app.command(name="migrate")
def migrate_command() -> None:
    """Bring the database to the newest schema."""
    installation = install()
    configure("warning", terminal=sys.stderr.isatty())

    async def upgrade() -> None:
        async with opened(installation, upgrade=True):
            pass

    _run(upgrade())
    print("the schema is the newest", file=sys.stderr)


@app.command()
def status(
    phone: Annotated[str | None, typer.Argument(help="Id, username or extension number.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with a line for each event.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array; with --watch one object a line.")
    ] = False,
) -> None:
    """Show the live status of the phones."""
    installation = look_up()
    configure("error", terminal=sys.stderr.isatty())
    if not watch:
        _run(phones.show(installation, phone, as_json=as_json))
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has it ignored
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        _run(phones.watch(installation, phone, as_json=as_json, tell=_tell))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at everything that can keep it from its work, and say what to do about it."""
    configure("error", terminal=sys.stderr.isatty())
    findings = _run(checkup.examine(os.environ))
    checkup.report(findings, as_json=as_json)
    if not checkup.is_fit(findings):
        sys.exit(EXIT_UNFIT)


@geoip.command(name="update")
def geoip_update(
    url: Annotated[
        str | None, typer.Option(help="Of an .mmdb file or one in gzip; the free file of DB-IP if none.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Take it when it is older, too.")] = False,
) -> None:
    """Fetch a country file; a running server reads it by itself."""
    installation = look_up()
    configure("error", terminal=sys.stderr.isatty())
    country_file.update(installation, url, force=force)


def _tell(text: str) -> None:
    print(f"registrar: {text}", file=sys.stderr, flush=True)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def main() -> None:
    """Run one command; what an operator did wrong is one line, not a traceback."""
    try:
        app()
    except (ConfigurationError, StoreUnavailable) as error:
        _end(error, EXIT_CONFIGURATION)
    except AnotherNode as error:
        _end(error, EXIT_ANOTHER_NODE)
    except ExceptionGroup as group:
        for kind, code in ((ConfigurationError, EXIT_CONFIGURATION), (AnotherNode, EXIT_ANOTHER_NODE)):
            found = _first(group, kind)
            if found is not None:
                _end(found, code)
        raise


def _first(group: ExceptionGroup[Exception], kind: type[Exception]) -> Exception | None:
    for error in group.exceptions:
        found = _first(error, kind) if isinstance(error, ExceptionGroup) else error
        if isinstance(found, kind):
            return found
    return None


def _end(error: Exception, code: int) -> None:
    print(f"registrar: {error}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
