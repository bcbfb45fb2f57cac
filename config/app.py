"""The HTTP side as one ASGI application. It receives everything that it needs, and starts nothing."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from starlette.exceptions import HTTPException
from starlette.responses import Response

from registrar.errors import StoreUnavailable
from registrar.logs import WrongPasswordLines
from registrar.metrics import Metrics, release
from registrar.store.bans_redis import RedisBans
from registrar.store.guesses_redis import RedisGuesses
from registrar.store.script_runner import ClientRunner
from registrar.store.traces_redis import RedisTraces
from registrar.store.vault import Vault

from . import clock
from .access import allowed_methods
from .audit.notes import Notes
from .audit.writer import Chainer
from .board import board_routes
from .changes import Changes
from .database import OUR_ERRORS, STORE_ERRORS
from .deps import Parts
from .documentation import describe
from .errors import Problem, Refused, refusal, unavailable
from .feed.hub import Hub
from .feed.reader import Reader
from .guard import Guard
from .health import Readiness, health_routes
from .layers import surround
from .live import Live, LiveCalls
from .operations import sights
from .operations.entrance import Entrance
from .operations.logins import LoginBudget, Logins
from .operations.passwords import Passwords
from .origins import Origins
from .page import base_routes
from .pbx import (
    account,
    audit,
    auth,
    bans,
    call,
    dial_plan,
    events,
    history,
    models,
    people,
    pictures,
    products,
    provisioning,
    redirects,
    registrations,
    reload,
    sessions,
    sipphone,
    totp,
    webhooks,
)
from .people import LivePeople
from .phone import phone_routes, selftest_routes
from .provisioning.redirecting import redirect_urls
from .provisioning.reload import Reloads
from .redirect.client import Client
from .redirect.outbox import Outbox
from .redirect.services import made
from .redirect.worker import Redirector
from .registrations import Registrations
from .settings import ApiSettings
from .summaries import Summaries
from .v2 import domains, groups, users
from .webhooks.courier import Courier
from .webhooks.deliverer import Deliverer
from .webhooks.sender import Sender

log = logging.getLogger(__name__)


def create_app(
    settings: ApiSettings,
    engine: AsyncEngine,
    read_engine: AsyncEngine,
    redis: Redis,
    vault: Vault,
    readiness: Callable[[], Awaitable[Readiness]],
    exposition: Callable[[], Awaitable[bytes]],
    tried: WrongPasswordLines | None = None,
    metrics: Metrics | None = None,
) -> FastAPI:
    """Return the application. `engine` writes and `read_engine` reads; the caller disposes of both.

    `tried` logs wrong passwords, and `metrics` counts requests. The SIP side of the same process shares them.
    """
    app = FastAPIOffline(
        title="SIP registrar: config API",
        version=release(),
        description="Customers, people, numbers and phones, and live status, in two dialects",
        redoc_url=None,
        redirect_slashes=False,
    )
    live = Live(redis, clock.epoch_now)
    calls = LiveCalls(redis, clock.epoch_now)
    live_people = LivePeople(redis, live, calls, clock.epoch_now)
    passwords = Passwords(least=settings.password_length)
    runner = ClientRunner(redis)
    metrics, notes = metrics or Metrics(), Notes()
    budget = LoginBudget(
        RedisGuesses(runner, clock.epoch_now, "api", secrets.token_hex(4)),
        RedisTraces(runner, people=True),
        tried or WrongPasswordLines(),
        clock.epoch_now,
        notes,
    )
    logins = Logins(read_engine, passwords, budget, runner, clock.epoch_now)
    customers_of = _customers_of(read_engine)
    hub = Hub(redis, customers_of, _token_check(read_engine))
    courier = Courier(vault, Sender(settings.webhook_private), clock.epoch_now)
    deliverer = Deliverer(
        engine,
        read_engine,
        redis,
        courier,
        customers_of,
        clock.epoch_now,
        secrets.token_hex(8),
    )
    client = Client()
    redirector = Redirector(
        engine,
        read_engine,
        vault,
        client,
        made(settings.redirects, client, clock.epoch_now),
        clock.epoch_now,
        secrets.token_hex(8),
    )
    app.state.parts = Parts(
        settings,
        engine,
        read_engine,
        live,
        calls,
        RedisBans(runner, clock.epoch_now),
        Registrations(redis, clock.epoch_now),
        Summaries(clock.mono_now),
        live_people,
        Changes(redis),
        vault,
        passwords,
        logins,
        Entrance(logins, budget, engine, vault),
        hub,
        Origins(settings.country_file, clock.mono_now),
        courier,
        deliverer,
        Reloads(redis, live),
        Outbox({account.service for account in settings.redirects}, redirect_urls(settings.provisioning)),
        redirector,
        notes,
        Chainer(engine, read_engine, redis, vault, metrics, notes, settings.audit_days),
    )
    fold_all_letters(read_engine)
    guard = Guard(read_engine, settings.jwt_keys, settings.trusted_proxies)
    # Routes are tried in order: frequent ones first; /pbx/sipphone/summary must not match as a phone's id,
    # nor /pbx/call/history as that of a call.
    for router in (
        *(sipphone.status_routes, account.routes, registrations.routes, reload.routes),
        *(sipphone.routes, provisioning.routes, redirects.routes),
        *(models.routes, pictures.routes, history.routes, call.routes, events.routes, webhooks.routes),
        bans.routes,
        *(dial_plan.extension_routes, dial_plan.group_routes, dial_plan.queue_routes),
        *(
            audit.routes,
            auth.routes,
            sessions.routes,
            totp.routes,
            people.customer_routes,
            people.employee_routes,
            products.product_routes,
        ),
        *(domains.routes, users.routes, users.user_devices, groups.user_groups, groups.groups),
        *(groups.group_users, groups.queues, groups.queue_members),
        *(domains.trusted_networks, users.devices),
        *(health_routes(readiness, exposition, guard), base_routes()),
        *(board_routes(app.version), phone_routes(settings, app.version)),
        selftest_routes(settings, app.version),
    ):
        app.include_router(router)
    policies = describe(app)
    _handle_errors(app)
    surround(app, metrics, settings.trusted_proxies, settings.cors_origins, guard=guard, policies=policies)
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
