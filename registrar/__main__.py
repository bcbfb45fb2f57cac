"""The command line, and the one place where both sides meet (design.md 4.1)."""

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvloop
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config import clock
from config.access import AccessLevel
from config.app import create_app
from config.auth import issue_token
from config.database import check_fingerprint, migrate, schema_problem
from config.health import Readiness
from config.live import Live
from config.operations.demo import demo_tenant
from config.operations.phones.overview import Overview, overview
from config.server import HttpServer
from config.settings import ApiSettings
from registrar import settings as all_settings
from registrar.app import SipSettings, SipSide
from registrar.errors import AnotherNode, ConfigurationError, StoreUnavailable
from registrar.logs import RequestLines, configure
from registrar.metrics import Metrics
from registrar.settings import Settings
from registrar.store import database, redis_client
from registrar.store.keyfile import data_directory, secret
from registrar.store.valkey import EmbeddedValkey, socket_url
from registrar.store.vault import Vault

EXIT_CONFIGURATION: Final = 2
EXIT_ANOTHER_NODE: Final = 3
READY_SECONDS: Final = 1.0
GC_THRESHOLDS: Final = (50_000, 20, 100)
TABLE_WIDTH: Final = 400
"""Nothing of a table is cut off: a narrow terminal folds its lines, another program reads them whole."""

log = logging.getLogger("registrar")
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="SIP registrar and WebRTC gateway: phones register, their live status is in Redis and in the API.",
)


class Side(StrEnum):
    """What `serve` runs."""

    ALL = "all"
    SIP = "sip"
    API = "api"


@dataclass(frozen=True)
class Installation:
    """The settings with everything that has a place in the data directory filled in."""

    settings: Settings
    directory: Path
    database_url: str
    redis_url: str
    secret_key: str
    jwt_secret: str

    @property
    def embedded(self) -> bool:
        """Whether Redis is our own child."""
        return not self.settings.redis_url.get_secret_value()

    @property
    def is_sqlite(self) -> bool:
        """Whether we migrate without being asked."""
        return self.database_url.startswith("sqlite")

    def api(self) -> ApiSettings:
        """What the HTTP side is told."""
        settings = self.settings
        udp = settings.sip_udp[0] if settings.sip_udp else ("", 0)
        return ApiSettings(
            domain=settings.domain,
            public_host=settings.public_host,
            wss_port=settings.sip_wss[0][1] if settings.sip_wss else None,
            sip_udp=f"{udp[0]}:{udp[1]}",
            jwt_secret=self.jwt_secret,
            secrets_level=AccessLevel[settings.secrets_level],
            cors_origins=settings.cors_origins,
            trusted_proxies=settings.trusted_proxies,
        )

    def sip(self) -> SipSettings:
        """What the SIP side is told."""
        settings = self.settings
        return SipSettings(
            udp=settings.sip_udp,
            domain=settings.domain,
            public_host=settings.public_host,
            digest=settings.digest,
            secret_key=self.secret_key,
            geoip_database=settings.geoip_database or self.directory / "geoip.mmdb",
            trusted_proxies=settings.trusted_proxies,
            lock_ipv6_prefix=settings.lock_ipv6_prefix,
            pbx_cluster=settings.pbx_cluster,
            node=settings.node,
            node_sip=settings.node_sip,
            redis_url=self.redis_url,
        )


def install() -> Installation:
    """Read the settings, once, and find or make what lies in the data directory."""
    settings = all_settings.read(os.environ)
    os.umask(0o077)  # databases, keys and logs are nobody else's
    try:
        directory = data_directory(settings.data_dir)
        secret_key = settings.secret_key.get_secret_value() or secret(directory / "secret.key")
        jwt_secret = settings.jwt_secret.get_secret_value() or secret(directory / "jwt.key")
    except OSError as error:
        raise ConfigurationError(f"REGISTRAR_DATA_DIR: {error.filename}: {error.strerror}") from error
    return Installation(
        settings,
        directory,
        settings.database_url.get_secret_value() or f"sqlite+aiosqlite:///{directory / 'registrar.sqlite'}",
        settings.redis_url.get_secret_value() or socket_url(directory),
        secret_key,
        jwt_secret,
    )


@dataclass(frozen=True)
class Stores:
    """The open stores of one run."""

    writer: AsyncEngine
    reader: AsyncEngine
    redis: Redis
    vault: Vault


@asynccontextmanager
async def opened(installation: Installation, *, upgrade: bool) -> AsyncIterator[Stores]:
    """Open the stores, with the newest schema. Raises ConfigurationError when they are not usable."""
    writer = database.connect(installation.database_url)
    reader = database.connect(installation.database_url, read_only=True)
    redis = redis_client.connect(installation.redis_url)
    vault = Vault(installation.secret_key)
    try:
        await _prepare(writer, vault, upgrade=upgrade or installation.is_sqlite)
        yield Stores(writer, reader, redis, vault)
    finally:
        await redis.aclose()
        await reader.dispose()
        await writer.dispose()


async def _prepare(writer: AsyncEngine, vault: Vault, *, upgrade: bool) -> None:
    try:
        if upgrade:
            await migrate(writer)
        problem = await schema_problem(writer)
        if problem is not None:
            raise ConfigurationError(f"REGISTRAR_DATABASE_URL: {problem}")
        await check_fingerprint(writer, vault)
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ConfigurationError(f"REGISTRAR_DATABASE_URL: {reason}") from error


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
    async with _valkey(installation), opened(installation, upgrade=False) as stores:
        metrics = Metrics()
        sip = _sip_side(installation, stores, metrics, lines) if side is not Side.API else None
        async with asyncio.TaskGroup() as tasks:
            running = []
            if sip is not None:
                running.append(tasks.create_task(sip.run(stop)))
            if side is not Side.SIP:
                http = HttpServer(installation.settings.http, _http_app(installation, stores, metrics, sip))
                running.append(tasks.create_task(http.run(stop)))
                await _started(http.started, running)
            if sip is not None:
                await _started(sip.started, running)
            if demo:
                _print_demo(installation, await demo_tenant(stores.writer, installation.api(), stores.vault))
            _settle_memory()
            log.info("ready")


def _settle_memory() -> None:
    """What is there now stays: the collector need not look at it again, and rarely at the rest.

    A registration leaves no cycles behind; with 100,000 phones in the caches every full look would cost
    a pause that phones notice.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _started(event: asyncio.Event, running: list[asyncio.Task[None]]) -> None:
    """Wait until a part has started, or one of them has failed."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({waiting, *running}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _sip_side(installation: Installation, stores: Stores, metrics: Metrics, lines: RequestLines) -> SipSide:
    redis = redis_client.connect(installation.redis_url)
    return SipSide(installation.sip(), redis, stores.reader, stores.writer, stores.vault, metrics, lines)


def _http_app(
    installation: Installation, stores: Stores, metrics: Metrics, sip: SipSide | None
) -> Any:  # an ASGI application
    async def readiness() -> Readiness:
        parts, degraded = (
            sip.state() if sip is not None else ({"redis": await _redis_state(stores.redis)}, ())
        )
        parts["database"] = await _database_state(stores.reader)
        return Readiness(all(state == "up" for state in parts.values()), parts, degraded)

    return create_app(
        installation.api(),
        stores.writer,
        stores.reader,
        stores.redis,
        stores.vault,
        readiness,
        metrics.exposition,
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
    unbuilt = all_settings.unbuilt(installation.settings)
    if unbuilt:
        log.warning("accepted, but not built yet in this version: %s", ", ".join(unbuilt))
    hosts = [host for host, _ in installation.settings.http]
    exposed = [host for host in hosts if not (host.startswith("127.") or host == "::1")]
    if exposed and not installation.settings.trusted_proxies:
        log.warning(
            "the API listens on %s without TLS and without a trusted proxy before it (REGISTRAR_HTTP)",
            ", ".join(exposed),
        )


def _print_demo(installation: Installation, tenant: dict[str, Any]) -> None:
    settings = installation.settings
    phone = tenant["phones"][0]
    host, port = settings.sip_udp[0] if settings.sip_udp else ("", 0)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    api = _api_url(settings)
    print(f"API          {api}   documentation: {api}/docs")
    print(f"ADMIN token  {tenant['token']}")
    print(f"SIP account  extension {phone['extensionNumber']} of domain {phone['domain']}")
    print(f"  server     {shown}:{port} (UDP)")
    print(f"  username   {phone['username']}")
    print(f"  password   {phone['password']}", flush=True)


def _api_url(settings: Settings) -> str:
    host, port = settings.http[0] if settings.http else ("127.0.0.1", 0)
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make or find the demo tenant in the configured database."""
    installation = install()
    configure("warning", terminal=sys.stderr.isatty())

    async def make() -> dict[str, Any]:
        async with opened(installation, upgrade=False) as stores:
            return await demo_tenant(stores.writer, installation.api(), stores.vault)

    tenant = _run(make())
    if as_json:
        print(json.dumps({"api": _api_url(installation.settings)} | tenant))
    else:
        _print_demo(installation, tenant)


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
    installation = install()
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show the live status of the phones."""
    installation = install()
    configure("error", terminal=sys.stderr.isatty())

    async def look() -> list[Overview]:
        async with opened(installation, upgrade=False) as stores:
            return await overview(stores.reader, Live(stores.redis, clock.epoch_now), phone)

    rows = _run(look())
    if phone is not None and not rows:
        raise ConfigurationError(f"there is no phone {phone}")
    if as_json:
        print(json.dumps([row.json() for row in rows]))
    else:
        _print_status(rows)


def _print_status(rows: list[Overview]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("phone", "extension", "online", "expires", "why", "since", "public", "local", "user agent"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*row.cells())
    Console(width=TABLE_WIDTH).print(table)


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
