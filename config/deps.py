"""The dependencies of routes. The signature of a route lists everything that it uses."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, NoReturn, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.rules.quotas import Alarms
from registrar.store.bans_redis import RedisBans
from registrar.store.vault import Vault

from . import auth
from .access import RULES, Scope
from .audit.notes import Notes
from .audit.trail import Trail
from .audit.writer import Chainer
from .auth import Caller, Credentials, Login
from .changes import Changes, Noted
from .database import writing
from .errors import bad_request, level_too_low, speaks_rows, too_many_connections
from .feed.hub import Hub
from .live import Live, LiveCalls
from .noted import note
from .operations.audit import Actor, Wished, Work
from .operations.draft import Document
from .operations.entrance import Entrance
from .operations.logins import Logins, Visitor
from .operations.passwords import Passwords
from .operations.people import identify
from .operations.quotas import Room, Used
from .origins import Origins
from .people import LivePeople
from .preconditions import UNCONDITIONAL, Condition, Target, held, tags
from .provisioning.reload import Reloads
from .redirect.outbox import Outbox
from .redirect.worker import Redirector
from .registrations import Registrations
from .request import place_of, require_json, source_address
from .settings import ApiSettings
from .summaries import Summaries
from .tables import Extension
from .webhooks.courier import Courier
from .webhooks.deliverer import Deliverer

Result = TypeVar("Result")

BASIC: Final = "login"
"""What the audit log calls a login that is sent with each request."""
MAX_STREAMS: Final = 5
"""A third of the smallest number of database connections."""
MAX_DEPTH: Final = 20
"""The deepest known body has five levels."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that the application consists of."""

    settings: ApiSettings
    engine: AsyncEngine
    read_engine: AsyncEngine
    live: Live
    calls: LiveCalls
    bans: RedisBans
    registrations: Registrations
    summaries: Summaries
    people: LivePeople
    changes: Changes
    vault: Vault
    passwords: Passwords
    logins: Logins
    entrance: Entrance
    hub: Hub
    origins: Origins
    courier: Courier
    deliverer: Deliverer
    reloads: Reloads
    outbox: Outbox
    redirector: Redirector
    notes: Notes
    chainer: Chainer
    alarms: Alarms = field(default_factory=Alarms)
    """Which quotas are nearly used up, as far as this process has told."""
    streams: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_STREAMS))
    """Permits for long lists: each holds a database connection as long as its client reads."""

    async def change(
        self, actor: Actor, target: Target | None, do: Callable[[Work], Awaitable[Result]]
    ) -> Result:
        """Make a change as `database.writing` does, if the actor's condition holds for the target.

        `target` is the row whose ETag If-Match names, or None if there is none. Raise Refused (412). An error
        of `do` comes first, so that a 412 tells nothing about objects that the caller may not see.

        Wishes of people go to Redis as the last step before the commit. If Redis is away, this raises
        StoreUnavailable and nothing is written. If the commit itself fails, the wishes are written already;
        the same request sets them again. The hashes of deleted people go after the commit, if Redis is there.
        What the work announces is noted in the transaction, and published after the commit.
        """
        gone: list[str] = []
        noted = Noted()

        room = Room(self.settings.quotas)

        async def guarded(session: AsyncSession) -> Result:
            nonlocal noted
            room.used.clear()
            is_free = target is None or actor.condition == UNCONDITIONAL
            edition = None if target is None or is_free else await held(session, target)
            wished: Wished = {}
            shared = self.passwords, self.vault, self.settings.reserved
            trail = Trail(session)
            work = Work(session, actor, *shared, wished, self.outbox, trail, room, [])
            done = await do(work)
            actor.condition.refuse(edition)
            await trail.write(actor.columns())
            noted = await note(session, *work.announced)
            for person, (customer, wishes) in wished.items():
                await self.people.change(person, customer, wishes)
            gone[:] = trail.deleted(Extension.__tablename__)
            return done

        done = await writing(self.engine, guarded)
        await self.changes.publish(noted)
        await self.people.forget(gone)
        for used in room.used:
            await self.warn(used)
        return done

    async def warn(self, used: Used) -> None:
        """Write an event if a customer uses most of a quota now; it is told once (rules.quotas.Alarms)."""
        if self.alarms.rises(used.quota, used.customer, used.count, used.most):
            await self.changes.tell_if_possible(used.event())


def parts(request: Request) -> Parts:
    """Return the parts of the application that serves this request."""
    found: Parts = request.app.state.parts
    return found


PartsDep = Annotated[Parts, Depends(parts)]


async def caller(
    request: Request,
    parts: PartsDep,
    _documented: Annotated[object, Security(HTTPBearer(auto_error=False, bearerFormat="JWT"))] = None,
) -> Caller:
    """Return the caller, if the table in `access` permits this route. Raise Refused (401, 403, 429)."""
    rule = RULES[request.method, request.scope["route"].path]
    header, query = request.headers.get("authorization"), request.query_params.get("token")
    keys = parts.settings.jwt_keys
    credentials: Credentials
    if header is None and query and rule.query_token:
        credentials = auth.read_token(query, keys)
    else:
        credentials = auth.read_header(header, keys, rows=speaks_rows(request.scope["path"]))
    address = source_address(request, parts.settings.trusted_proxies)
    if isinstance(credentials, Login):
        person = await parts.logins.log_in(
            credentials, Visitor(address, request.headers.get("user-agent", "")), remember=True
        )
        found = Caller(person.level, person.customer, person.employee, BASIC)
    else:
        async with parts.read_engine.connect() as connection:
            found = await identify(connection, credentials, address)
    place = place_of(request)
    if place is not None and not place.is_known():
        raise too_many_connections()
    if rule.scope is not Scope.PUBLIC and found.level < rule.level:
        raise level_too_low(rule.level.name)
    return found


CallerDep = Annotated[Caller, Depends(caller)]


def actor(request: Request, caller: CallerDep, parts: PartsDep) -> Actor:
    """Return the caller and its address for the audit log, with the condition that the change depends on."""
    address = source_address(request, parts.settings.trusted_proxies)
    return Actor(caller, address, Condition(tags(request, "if-match"), tags(request, "if-none-match")))


ActorDep = Annotated[Actor, Depends(actor)]


async def document(request: Request, _first: CallerDep) -> Document:
    """Return the JSON object in the body. Raise Refused (400, 413, 415).

    The body is read only after the caller was authorised.
    """
    return Document(await read_object(request))


DocumentDep = Annotated[Document, Depends(document)]


async def read_object(request: Request) -> dict[str, object]:
    """Return the JSON object in the body. Raise Refused (400, 413, 415)."""
    body = await request.body()
    require_json(request, body)
    return parse_object(body)


def parse_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in `body`. Raise Refused (400) for any other content, or if it is too deep."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise bad_request("The body is not valid JSON") from None
    if not isinstance(value, dict):
        raise bad_request("The body must be a JSON object")
    if _is_deep(value, MAX_DEPTH):
        raise bad_request(f"The body is nested deeper than {MAX_DEPTH} levels")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _is_deep(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deep(item, levels - 1) for item in items)
