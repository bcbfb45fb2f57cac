"""The route /events: what happens to phones and calls, as server-sent events."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

import orjson
from fastapi import APIRouter, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from sqlalchemy import select
from starlette.datastructures import QueryParams
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from registrar.store.event_stream import NAMES, order

from .. import clock
from ..auth import Caller, Login, read_header, unauthorized
from ..database import reading
from ..deps import CallerDep, Parts, PartsDep
from ..errors import Problem, Refused, too_many
from ..feed.hub import MAX_PER_PERSON, MAX_READERS, Hub, TooManyStreams, Trimmed
from ..feed.reader import Reader
from ..feed.stream import Id, messages
from ..feed.told import Told, Wanted
from ..operations import sights
from ..operations.customers import require_customer
from ..operations.people import identify
from ..operations.quotas import Used
from ..request import source_address
from ..tables import Customer
from ..words import unknown
from .paging import flag
from .schema import READ, Schema, query, refusals, sure
from .shown import OPTIONS, Json
from .sipphone_json import saved_status

MAX_PHONES: Final = 100
RETRY_SECONDS: Final = 10
AHEAD_MS: Final = 60_000
"""How much later than our clock an id may be: Redis has a clock of its own."""
HEADERS: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_ABOUT: Final = (
    "Messages of the format text/event-stream. `id` is the position in the stream, `event` the name, `data` "
    "an object with `key`, `event`, `phone`, `customer`, `time` and the other fields of docs/redis.md"
)
_EXAMPLE: Final = (
    'event: lost\ndata: {"key": "5f0c2e9b7a1d4c3e8b6f0a12:1767225600000000", "event": "lost", '
    '"phone": "5f0c2e9b7a1d4c3e8b6f0a12", "reason": "socket-closed", "time": 1767225600}\n'
    "id: 1767225600000-0\n\n"
)
STREAM: Final[Schema] = {
    "responses": {
        "200": {
            "description": _ABOUT,
            "content": {"text/event-stream": {"schema": sure("string"), "example": _EXAMPLE}},
        },
        **refusals(f"{READ} 410"),
    },
    "parameters": [
        query("customer", "string", "Only events of this customer"),
        query("phone", "string", f"Only events of this phone; repeat it for up to {MAX_PHONES}"),
        query("event", "string", "Only events of this name; repeat it for several", enum=list(NAMES)),
        query("snapshot", "boolean", "Begin with the status of every phone asked for", default=False),
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "Id of the last message that came: the events after it follow",
            "schema": {"type": "string"},
        },
    ],
}

routes = APIRouter(tags=["Events"])


class Stream(EventSourceResponse):
    """A response of messages, which gives up its place among the readers when it ends."""

    def __init__(self, content: AsyncIterator[bytes], hub: Hub, reader: Reader) -> None:
        super().__init__(content, headers=HEADERS)
        self._hub = hub
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the messages until the stream or its client ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._reader)


async def _most_streams(caller: Caller, parts: Parts) -> int:
    """Return how many streams the caller's customer may have at this process; none is limited without one."""
    if not caller.customer:
        return MAX_READERS
    async with reading(parts.read_engine) as session:
        own = await session.scalar(select(Customer.max_streams).where(Customer.oid == caller.customer))
    return parts.settings.quotas.streams if own is None else own


@routes.get("/events", summary="Follow events", openapi_extra=STREAM, response_class=StreamingResponse)
async def events_route(request: Request, caller: CallerDep, parts: PartsDep) -> EventSourceResponse:
    """Send events as they happen, of what the token may see, as server-sent events."""
    params, hub = request.query_params, parts.hub
    resumes = request.headers.get("last-event-id", "").strip()
    position = _position(resumes)
    reader = await _reader(request, caller, parts)
    most = await _most_streams(caller, parts)
    await hub.ready()
    try:
        count = hub.admit(reader, most)
    except TooManyStreams as full:
        whose = f"one person may have {MAX_PER_PERSON}"
        if full.most is not None:
            whose = f"the customer may have {full.most}"
        raise too_many(f"There are too many streams of events; {whose}", RETRY_SECONDS) from None
    if caller.customer:
        await parts.warn(Used("streams", caller.customer, count, most))
    try:
        start = hub.ring.newest if position is None else position
        missed = [] if hub.ring.covers(start) else await _missed(hub, start)
        snapshot = None
        if position is None and flag(params, "snapshot"):
            snapshot = await _begun(_snapshot(parts, reader, start))
    except BaseException:
        hub.leave(reader)
        raise
    return Stream(messages(hub, reader, start, missed, snapshot), hub, reader)


def _position(text: str) -> Id | None:
    """Return the position that a client resumes from, or None. Raise Refused (400) for another text."""
    if not text:
        return None
    try:
        position = order(text)
    except ValueError:
        position = (-1, 0)
    if not 0 <= position[0] <= clock.epoch_now() * 1000 + AHEAD_MS:
        raise unknown("Last-Event-ID", "must be the id of a message of this stream")
    return position


async def _missed(hub: Hub, start: Id) -> list[Told]:
    """Return the first events after a position. Raise Refused (410) if some of them are not kept any more."""
    try:
        return await hub.page_after(start)
    except Trimmed as trimmed:
        message = f"Events after this id are no longer kept; the oldest one is {trimmed.oldest}"
        raise Refused(
            Problem(410, "gone", message, "Last-Event-ID", "range"),
            headers={"Oldest-Event-ID": trimmed.oldest},
        ) from None


async def _reader(request: Request, caller: Caller, parts: Parts) -> Reader:
    """Return the reader that a request asks for. Raise Refused.

    The caller is identified once more after the stamp of the token was read: a change in between must not be
    taken for the present state.
    """
    token = read_header(request.headers.get("authorization"), parts.settings.jwt_keys, rows=False)
    if isinstance(token, Login):
        raise unauthorized("format_error", "A token is needed")
    wanted = await _wanted(request.query_params, caller, parts)
    address = source_address(request, parts.settings.trusted_proxies)
    async with parts.read_engine.connect() as connection:
        stamp = (await sights.stamps(connection, [token]))[token]
        caller = await identify(connection, token, address)
        sight = await sights.sight_of(connection, caller)
        if wanted.phones:
            wanted = replace(wanted, phones=await sights.require_phones(connection, sight, wanted.phones))
    reader = Reader(caller, token, stamp, sight, wanted)
    if reader.is_expired(clock.epoch_now()):
        raise unauthorized("expired", "Token has expired")
    return reader


async def _wanted(params: QueryParams, caller: Caller, parts: Parts) -> Wanted:
    """Return what the query asks for. Raise Refused (400, 403, 404)."""
    events, phones = frozenset(params.getlist("event")), frozenset(params.getlist("phone"))
    if not events <= set(NAMES):
        raise unknown("event", f"must be one of {', '.join(NAMES)}")
    if len(phones) > MAX_PHONES:
        raise unknown("phone", f"may be repeated {MAX_PHONES} times")
    customer = ""
    if sent := params.get("customer"):
        async with reading(parts.read_engine) as session:
            customer = (await require_customer(session, caller, sent)).oid
    return Wanted(customer, phones, events)


# Snapshot


async def _snapshot(parts: Parts, reader: Reader, start: Id) -> AsyncIterator[bytes]:
    """Yield the status of each phone that the reader sees, some phones a message.

    Only the last message has an id: a client that lost the connection before it must begin again.
    """
    after = 0
    while True:
        async with parts.read_engine.connect() as connection:
            rows = await sights.snapshot_page(connection, reader.caller, reader.sight, reader.wanted, after)
        lives = await parts.live.told([oid for _, oid, *_ in rows])
        shown: list[Json] = [
            {"id": oid, "customer": customer, "status": saved_status(live, loaded, saved)}
            for (_, oid, customer, loaded, saved), live in zip(rows, lives, strict=True)
        ]
        is_last = len(rows) < sights.SNAPSHOT_ROWS
        data = orjson.dumps({"phones": shown, "last": is_last}, option=OPTIONS).decode()
        id = f"{start[0]}-{start[1]}" if is_last else None
        yield format_sse_event(data_str=data, event="snapshot", id=id)
        if is_last:
            return
        after = rows[-1][0]


async def _begun(pages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Return the pages, of which the first is made now: a store that is away is then a 503."""
    first = await anext(pages)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for page in pages:
            yield page

    return whole()
