"""The HTTP side as one ASGI application. It receives everything that it needs, and starts nothing."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from registrar.errors import StoreUnavailable
from registrar.logs import WrongPasswordLines
from registrar.store.guesses_redis import RedisGuesses
from registrar.store.script_runner import ClientRunner
from registrar.store.traces_redis import RedisTraces
from registrar.store.vault import Vault

from . import clock
from .access import allowed_methods
from .answering import Gzip, Heads
from .changes import Changes
from .deps import Parts
from .documentation import describe
from .errors import Problem, Refused, refusal, unavailable
from .feed.hub import Hub
from .feed.reader import Reader
from .health import Readiness, health_routes
from .live import Live, LiveCalls
from .operations import sights
from .operations.logins import LoginBudget, Logins
from .operations.passwords import Passwords
from .pbx import auth, call, dial_plan, events, people, products, sipphone, webhooks
from .people import LivePeople
from .phone import phone_routes
from .settings import ApiSettings
from .v2 import domains, groups, users
from .web import BodyLimit, KnownSource, OnePath, Outermost
from .webhooks.deliverer import Deliverer
from .webhooks.sender import Sender

STORE_ERRORS = (StoreUnavailable, DBAPIError, PoolTimeout, OSError)
"""The errors when a store is away. PostgreSQL raises a bare DBAPIError while it shuts down."""
OUR_ERRORS = (IntegrityError, DataError, ProgrammingError)
"""The DBAPIErrors that show a fault in our code: the same request would fail again."""

log = logging.getLogger(__name__)


def create_app(
    settings: ApiSettings,
    engine: AsyncEngine,
    read_engine: AsyncEngine,
    redis: Redis,
    vault: Vault,
    readiness: Callable[[], Awaitable[Readiness]],
    exposition: Callable[[], bytes],
    tried: WrongPasswordLines | None = None,
) -> FastAPI:
    """Return the application. `engine` writes and `read_engine` reads; the caller disposes of both.

    `tried` logs wrong passwords. The SIP side of the same process shares it.
    """
    app = FastAPIOffline(
        title="SIP registrar: config API",
        version=_version(),
        description="Customers, people, numbers and phones, and live status, in two dialects",
        redoc_url=None,
        redirect_slashes=False,
    )
    live = Live(redis, clock.epoch_now)
    calls = LiveCalls(redis, clock.epoch_now)
    live_people = LivePeople(redis, live, calls, clock.epoch_now)
    passwords = Passwords(least=settings.password_length)
    runner = ClientRunner(redis)
    budget = LoginBudget(
        RedisGuesses(runner, clock.epoch_now, "api", secrets.token_hex(4)),
        RedisTraces(runner, people=True),
        tried or WrongPasswordLines(),
        clock.epoch_now,
    )
    logins = Logins(read_engine, passwords, budget, runner, clock.epoch_now)
    customers_of = _customers_of(read_engine)
    hub = Hub(redis, customers_of, _token_check(read_engine))
    deliverer = Deliverer(
        engine,
        read_engine,
        redis,
        vault,
        Sender(settings.webhook_private),
        customers_of,
        clock.epoch_now,
        secrets.token_hex(8),
    )
    app.state.parts = Parts(
        settings,
        engine,
        read_engine,
        live,
        calls,
        live_people,
        Changes(redis),
        vault,
        passwords,
        logins,
        hub,
        deliverer,
    )
    fold_all_letters(read_engine)
    # Routes are tried in order: frequent ones first; /pbx/sipphone/status must not match as a phone's id.
    for router in (
        *(sipphone.status_routes, sipphone.routes, products.model_routes, call.routes),
        *(events.routes, webhooks.routes),
        *(dial_plan.extension_routes, dial_plan.group_routes, dial_plan.queue_routes),
        *(auth.routes, people.customer_routes, people.employee_routes, products.product_routes),
        *(domains.routes, users.routes, users.user_devices, groups.user_groups, groups.groups),
        *(groups.group_users, groups.queues, groups.queue_members),
        *(domains.trusted_networks, users.devices),
        *(health_routes(readiness, exposition), phone_routes(settings, app.version)),
    ):
        app.include_router(router)
    describe(app)
    _handle_errors(app)
    _surround(app, settings)
    return app


def _customers_of(engine: AsyncEngine) -> Callable[[Collection[str]], Awaitable[Mapping[str, str]]]:
    """Return the function with which the streams of events find the customers of phones."""

    async def found(phones: Collection[str]) -> Mapping[str, str]:
        with _away_is_unavailable():
            async with engine.connect() as connection:
                return await sights.customers_of(connection, phones)

    return found


def _token_check(engine: AsyncEngine) -> Callable[[Sequence[Reader]], Awaitable[None]]:
    """Return the function that ends the streams of events whose tokens are void."""

    async def check(readers: Sequence[Reader]) -> None:
        with _away_is_unavailable():
            async with engine.connect() as connection:
                await sights.look_again(connection, readers)

    return check


@contextmanager
def _away_is_unavailable() -> Iterator[None]:
    """Convert the errors of a database that is away into StoreUnavailable."""
    try:
        yield
    except STORE_ERRORS as error:
        raise StoreUnavailable(f"the database: {type(error).__name__}") from error


def fold_all_letters(engine: AsyncEngine) -> None:
    """Replace lower() of SQLite, which knows only ASCII, by casefold(): a filter must find Ø by ø."""
    if engine.dialect.name != "sqlite":
        return

    def folded(text: object) -> object:
        return text.casefold() if isinstance(text, str) else text

    @event.listens_for(engine.sync_engine, "checkout")
    def teach(
        connection: AsyncAdapt_aiosqlite_connection, record: ConnectionPoolEntry, _proxy: object
    ) -> None:
        if "lower" not in record.info:
            connection.create_function(
                "lower",
                1,
                lambda text: text.casefold() if isinstance(text, str) else text,
                deterministic=True,
            )
            record.info["lower"] = True


def _handle_errors(app: FastAPI) -> None:
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    for kind in STORE_ERRORS:
        app.add_exception_handler(kind, _store_away)


def _surround(app: FastAPI, settings: ApiSettings) -> None:
    """Add the middleware. The one added last is the outermost."""
    app.add_middleware(BodyLimit)
    app.add_middleware(Gzip)
    app.add_middleware(Heads)
    app.add_middleware(OnePath)
    app.add_middleware(KnownSource, trusted=settings.trusted_proxies)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "Last-Event-ID"],
            expose_headers=[
                "X-Status",
                "X-Total-Count",
                "Retry-After",
                "Location",
                "ETag",
                "Oldest-Event-ID",
            ],
        )
    app.add_middleware(Outermost)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return refusal(request.url.path, error)


async def _store_away(request: Request, error: Exception) -> Response:
    if isinstance(error, OUR_ERRORS):
        raise error  # `Outermost` logs it
    log.error("a store did not answer: %s %s: %s", request.method, request.url.path, error)
    return refusal(request.url.path, unavailable())


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.scope["path"]
    if status == 404:
        return refusal(path, Refused(Problem(404, "not_found", "Unknown route")))
    if status == 405:
        allowed = ", ".join(allowed_methods(path))
        problem = Problem(405, "method_not_allowed", f"Allowed here: {allowed}")
        return refusal(path, Refused(problem, headers={"Allow": allowed}))
    return refusal(path, Refused(Problem(status, "bad_request", "The request cannot be read")))


def _version() -> str:
    try:
        return version("sip-registrar")
    except PackageNotFoundError:
        return "0"
