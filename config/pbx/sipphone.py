"""The routes below /pbx/sipphone: phones, their live status and their history."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import QueryParams

from config.diagnosis import diagnose
from registrar.model import Change
from registrar.rules.status import LiveStatus

from ..checks import FLAGS, boolean, is_clean
from ..clock import epoch_now
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..errors import refused
from ..operations import events
from ..operations.audit import Actor, Work, parse_oid
from ..operations.customers import ids_in_sight, one_or_all
from ..operations.draft import NOT_SENT, Document, accepted
from ..operations.phones import unlock, write
from ..operations.phones.find import SORTS, WHOLE, Found, Query, find_phone, list_phones
from ..preconditions import with_etag
from ..provisioning.revoking import Reset, reset
from ..request import request_host
from ..settings import ice_servers
from ..tables import SipPhone
from ..wanted import read_wanted
from . import openapi
from .paging import DEFAULT_LIMIT, clamped, flag, read_page
from .resource import DELETE, target_of
from .shown import Json, json_answer
from .sipphone_json import STATUS_ROUTE, located_status, phones_json, stated_json

MAX_LIMIT: Final = 1_000
BREATH_ROWS: Final = 100
"""Number of phones to write before other tasks run: the same event loop may also serve SIP."""
HTTPS_PORT: Final = 443
MAX_IDS: Final = 1_000
DEFAULT_EVENTS: Final = 50
RENAMED: Final = {"at": "time", "user_agent": "userAgent"}

CUSTOMER: Final = list(WHOLE).index("customer")
"""Position of the customer's id in the values of a whole phone."""

PhoneId = Annotated[str, Path(description="Id of the phone, 24 hex digits")]

log = logging.getLogger(__name__)
routes = APIRouter(prefix="/pbx/sipphone", tags=["SIP phones"])
status_routes = APIRouter(prefix="/pbx/sipphone", tags=["Status of phones"])


@routes.get("", summary="List phones", openapi_extra=openapi.LIST)
async def list_route(request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """List the phones of a customer, oldest first; `full=true` shows all settings of each.

    `status=true` shows the live status and the customer of each beside the usual row.
    """
    params, caller = request.query_params, actor.caller
    page = read_page(params, DEFAULT_LIMIT, MAX_LIMIT, SORTS)
    available, full = flag(params, "available"), flag(params, "full")
    stated = flag(params, "status") and not full
    query = Query(
        page.offset, page.limit, page.text, page.sort, available=available, full=full, stated=stated
    )
    wanted = read_wanted(params.get)
    async with reading(parts.read_engine) as session:
        customer = await one_or_all(session, caller, page.customer)
        if not wanted.is_any:
            customers = await ids_in_sight(session, caller, customer)
            query = replace(query, selection=await parts.registrations.select(customers, wanted))
        total, phones = await list_phones(session, caller, customer, query)
    if full:
        _note_read(phones, customer.oid if customer is not None else None, actor, parts)
    statuses = await parts.live.statuses([phone.oid for phone in phones])
    rows: list[Json] = []
    for start in range(0, len(phones), BREATH_ROWS):
        part = slice(start, start + BREATH_ROWS)
        if stated:
            rows += stated_json(phones[part], statuses[part], parts)
        else:
            rows += phones_json(phones[part], statuses[part], caller.level, parts, full=full)
        await asyncio.sleep(0)
    body: Json = {"offset": query.offset, "limit": query.limit, "total": total, "sipPhones": rows}
    return _answer(body, statuses)


@routes.post("", summary="Create a phone", openapi_extra=openapi.CREATE)
async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Create a phone; its username and password are generated and cannot be chosen."""
    return await _changed(None, actor, parts, lambda work: write.create_phone(work, document))


@routes.post("/webrtc", summary="Create or open the phone of a WebRTC client", openapi_extra=openapi.WEBRTC)
async def webrtc_route(
    request: Request, actor: ActorDep, document: DocumentDep, parts: PartsDep
) -> JSONResponse:
    """Return the phone of the caller's primary extension for this instance, open to register next."""
    instance = write.read_instance_id(document.given("instanceId"))
    opened = await _open_webrtc(instance, actor, parts)
    phone = opened.phone
    is_v2 = _wants_v2(request.query_params, document)
    host = parts.settings.public_host or request_host(request)
    answer: Json = {
        "_id": phone.oid,
        "username": phone.username,
        "password": parts.vault.open(phone.password_enc, phone.oid),
        "extensionNumber": opened.extension.number,
        "extensionName": opened.name,
    }
    ice = ice_servers(parts.settings, phone.oid, epoch_now())
    shown = ("webrtc", "turn") if any("credential" in server for server in ice) else ("webrtc",)
    parts.notes.read(actor.columns(), SipPhone.__tablename__, [phone.oid], opened.customer.oid, shown)
    servers = _server(host, parts.settings.wss_port, is_v2)
    return JSONResponse(answer | servers | ({"iceServers": ice} if ice else {}))


async def _open_webrtc(instance: str, actor: Actor, parts: Parts) -> write.WebrtcPhone:
    """Open or create the phone. Raise StoreUnavailable if one must make room and Redis is away."""

    async def opened(work: Work, in_use: Collection[str] | None = None) -> write.WebrtcPhone:
        found = await write.open_webrtc_phone(work, instance, in_use)
        work.announce(Change(phones=(found.phone.oid, *found.replaced)))
        return found

    try:
        return await parts.change(actor, None, opened)
    except write.Crowded as crowded:
        browsers = crowded.phones
    statuses = zip(browsers, await parts.live.told(browsers), strict=True)
    in_use = [oid for oid, status in statuses if status.online]
    return await parts.change(actor, None, lambda work: opened(work, in_use))


@routes.get("/{id}", summary="Show a phone", openapi_extra=openapi.PHONE)
async def get_route(id: PhoneId, actor: ActorDep, parts: PartsDep) -> Response:
    """Return all settings of a phone and its live status."""
    return await _shown(id, actor, parts)


@routes.post("/{id}", summary="Change a phone", openapi_extra=openapi.UPDATE)
@routes.put("/{id}", summary="Change a phone", openapi_extra=openapi.UPDATE)
@routes.patch("/{id}", summary="Change a phone", openapi_extra=openapi.UPDATE)
async def update_route(id: PhoneId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Change the properties that are sent, even a single one. The customer of a phone cannot change."""
    return await _changed(id, actor, parts, lambda work: write.update_phone(work, id, document))


@routes.delete("/{id}", summary="Delete a phone", openapi_extra=DELETE)
async def delete_route(id: PhoneId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Delete a phone; its registrations end."""

    async def deleted(work: Work) -> None:
        work.announce(await write.delete_phone(work, id))

    await parts.change(actor, target_of(SipPhone.version, id), deleted)
    return JSONResponse({"success": True})


@routes.post("/{id}/resetcredentials", summary="Make new credentials", openapi_extra=openapi.RESET_PHONE)
@routes.get(
    "/{id}/resetcredentials",
    summary="Make new credentials (prefer POST)",
    openapi_extra=openapi.RESET_PHONE,
    deprecated=True,
)
async def reset_route(id: PhoneId, request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """Set a new username and password; registrations made with the old ones end at once.

    The secrets with which the phone loads its configuration are new, too, unless `keepProvisioning=true`.
    """
    keep, settings = flag(request.query_params, "keepProvisioning"), parts.settings.provisioning

    async def made(work: Work) -> Reset:
        done = await reset(work, id, settings, keep=keep)
        work.announce(Change(phones=(done.phone.oid,)))
        return done

    done = await parts.change(actor, target_of(SipPhone.version, id), made)
    more: Json = {"nextStep": done.next_step} if done.next_step else {}
    return await _shown(done.phone.oid, actor, parts, more)


@routes.post("/{id}/unlock", summary="Unlock a phone for some minutes", openapi_extra=openapi.UNLOCK)
async def unlock_route(id: PhoneId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Let the next registration lock the phone; if none comes in time, it is locked as it was before."""
    minutes = unlock.read_minutes(document)
    return await _changed(id, actor, parts, lambda work: unlock.unlock_phone(work, id, minutes))


@routes.post("/{id}/acceptaddress", summary="Accept the new address", openapi_extra=openapi.ACCEPT)
async def accept_route(id: PhoneId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Lock the phone to the address from which it was refused last."""
    seen = unlock.read_address(document)
    async with reading(parts.read_engine) as session:
        phone = await find_phone(session, actor.caller, id)
    (live,) = await parts.live.told([phone.oid])
    last = unlock.rejected_from(live)
    return await _changed(id, actor, parts, lambda work: unlock.accept_address(work, id, last, seen))


def _wants_v2(params: QueryParams, document: Document) -> bool:
    """Return True if `v2` is true, also as a string; the body takes precedence over the query."""
    sent = document.given("v2")
    if sent is None:
        return flag(params, "v2")
    spelled = FLAGS.get(sent.lower(), sent) if isinstance(sent, str) else sent
    return accepted(boolean(spelled, "v2 must be true or false"), "v2") is True


async def _changed(
    id: str | None, actor: Actor, parts: Parts, do: Callable[[Work], Awaitable[SipPhone]]
) -> Response:
    """Make a change of the phone with this id, if it has one yet; announce it, and return the new state."""

    async def changed(work: Work) -> SipPhone:
        phone = await do(work)
        work.announce(Change(phones=(phone.oid,)))
        return phone

    phone = await parts.change(actor, target_of(SipPhone.version, id) if id else None, changed)
    return await _shown(phone.oid, actor, parts)


async def _shown(id: str, actor: Actor, parts: Parts, more: Json | None = None) -> Response:
    caller = actor.caller
    async with reading(parts.read_engine) as session:
        phone = await find_phone(session, caller, id)
    _note_read([phone], customer_of(phone), actor, parts)
    statuses = await parts.live.statuses([phone.oid])
    (body,) = phones_json([phone], statuses, caller.level, parts, full=True)
    return with_etag(_answer(body | (more or {}), statuses), (phone.version,))


def customer_of(phone: Found) -> str:
    """Return the id of the customer of a phone."""
    return str(phone.values[CUSTOMER])


def _note_read(phones: Sequence[Found], customer: str | None, actor: Actor, parts: Parts) -> None:
    """Tell the audit log that the passwords of these phones are shown, if they are."""
    if actor.caller.level >= parts.settings.secrets_level:
        parts.notes.read(actor.columns(), SipPhone.__tablename__, [phone.oid for phone in phones], customer)


def _answer(body: Json, statuses: Sequence[LiveStatus]) -> Response:
    unknown = any(live.online is None for live in statuses)
    return json_answer(body, {"X-Status": "unavailable"} if unknown else None)


def _server(host: str, port: int | None, is_v2: bool) -> Json:
    if port is None or not host:
        log.warning("a WebRTC client asked where to connect, but no secure WebSocket listens")
        return {}
    place = host if port == HTTPS_PORT else f"{host}:{port}"
    return {"server": f"wss://{place}"} if is_v2 else {"servers": [place]}


# Status of phones


@status_routes.post("/status", summary="Show the status of many phones", openapi_extra=openapi.STATUSES)
async def statuses_route(caller: CallerDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Return the status of up to 1,000 phones; `notFound` lists the ids that are not phones of the caller."""
    asked = read_ids(document)
    async with parts.read_engine.connect() as connection:
        found = await events.find_all_watched(connection, caller, asked)
    there = [found[oid] for oid in dict.fromkeys(map(parse_oid, asked)) if oid in found]
    lives = await parts.live.told([phone.oid for phone in there])
    rows = [_status(phone, live, parts) for phone, live in zip(there, lives, strict=True)]
    once: dict[str, str] = {}
    for sent in asked:
        once.setdefault(parse_oid(sent) or sent, sent)  # upper and lower case count as equal
    missing = [sent for oid, sent in once.items() if oid not in found]
    return json_answer({"sipPhones": rows, "notFound": missing})


@status_routes.get("/{id}/status", summary="Show the status of a phone", openapi_extra=openapi.STATUS)
async def status_route(id: PhoneId, caller: CallerDep, parts: PartsDep) -> Response:
    """Return whether the phone is online, since when and why, and where it is."""
    async with parts.read_engine.connect() as connection:
        phone = await events.find_watched(connection, caller, id)
    (live,) = await parts.live.told([phone.oid])
    return json_answer(_status(phone, live, parts))


@status_routes.get("/{id}/events", summary="Show what happened to a phone", openapi_extra=openapi.EVENTS)
async def events_route(id: PhoneId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the events of the phone, the newest first, with a sentence that summarises them."""
    limit = clamped(request.query_params, "limit", DEFAULT_EVENTS, 1, events.MAX_EVENTS)
    async with parts.read_engine.connect() as connection:
        phone = await events.find_watched(connection, caller, id)
        done = await events.deeds(connection, phone.oid)
    live, entries = await parts.live.history(phone.oid, limit)
    shown = [
        {RENAMED.get(name, name): value for name, value in asdict(happening).items()}
        for happening in events.story(entries, done, limit)
    ]
    return json_answer(
        {
            "_id": phone.oid,
            "summary": diagnose(live, phone.rule, events.for_diagnosis(done)),
            "limit": limit,
            "status": _status(phone, live, parts),
            "events": shown,
        }
    )


def read_ids(document: Document) -> list[str]:
    """Return the ids. Raise Refused (422) unless they are a list of at most 1,000 strings."""
    sent = document.get("ids")
    if sent is NOT_SENT or not isinstance(sent, list):
        message = "ids must be a list of ids of phones"
        raise refused("ids", message, "required" if sent is NOT_SENT else "format", 422)
    if len(sent) > MAX_IDS:
        raise refused("ids", f"ids may have at most {MAX_IDS} entries", "range", 422)
    for position, one in enumerate(sent):
        if not isinstance(one, str) or not is_clean(one):
            code = f"ids[{position}]"
            raise refused(code, f"{code} is not a valid text", "format", 422)
    return sent


def _status(phone: events.Watched, live: LiveStatus, parts: Parts) -> Json:
    """Return all fields of the status, with null for those that have no value."""
    saved: Json = {"_id": phone.oid, "configLoaded": phone.config_loaded, "configSaved": phone.config_saved}
    return saved | located_status(live, STATUS_ROUTE, parts)
