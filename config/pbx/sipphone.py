"""The routes below /pbx/sipphone."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import QueryParams

from registrar.model import Change
from registrar.rules.status import LiveStatus

from ..access import AccessLevel
from ..checks import FLAGS, boolean
from ..clock import epoch_now
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..ice import ice_servers
from ..operations.audit import Actor
from ..operations.customers import require_customer
from ..operations.document import Document
from ..operations.draft import accepted
from ..operations.phones import write
from ..operations.phones.find import Found, Query, find_phone, list_phones, version_of
from ..operations.phones.webrtc import WebrtcPhone, open_webrtc_phone, read_instance_id
from ..preconditions import with_etag
from ..source import request_host
from ..tables import SipPhone
from . import openapi
from .answer import json_answer
from .paging import DEFAULT_LIMIT, flag, read_page
from .resource import target_of
from .shown import Json
from .sipphone_json import Reader, full_phones, listed_phones

MAX_LIMIT: Final = 1_000
BREATH_ROWS: Final = 100
"""Number of phones to write before other tasks run: the same event loop may also serve SIP."""
HTTPS_PORT: Final = 443

PhoneId = Annotated[str, Path(description="Id of the phone, 24 hex digits")]

log = logging.getLogger(__name__)
routes = APIRouter(prefix="/pbx/sipphone", tags=["SIP phones"])


@routes.get("", summary="List phones", openapi_extra=openapi.LIST)
async def list_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """List the phones of a customer, oldest first; `full=true` shows all settings of each."""
    query = _query(request.query_params)
    wanted = request.query_params.get("customer")
    async with reading(parts.read_engine) as session:
        if wanted or caller.customer:
            customer = (await require_customer(session, caller, wanted)).oid if wanted else caller.customer
            query = replace(query, customer=customer)
        total, phones = await list_phones(session, caller, query)
    statuses = await parts.live.statuses([phone.oid for phone in phones])
    write_json = full_phones if query.full else listed_phones
    rows: list[Json] = []
    for start in range(0, len(phones), BREATH_ROWS):
        part = slice(start, start + BREATH_ROWS)
        rows.extend(write_json(phones[part], statuses[part], _reader(caller.level, parts)))
        await asyncio.sleep(0)
    page = {"offset": query.offset, "limit": query.limit, "total": total, "sipPhones": rows}
    return _answer(page, statuses)


@routes.post("", summary="Create a phone", openapi_extra=openapi.CREATE)
async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Create a phone; its username and password are generated and cannot be chosen."""
    phone = await parts.change(actor, None, lambda work: write.create_phone(work, document))
    return await _changed(phone.oid, actor, parts)


@routes.post("/webrtc", summary="Create or open the phone of a WebRTC client", openapi_extra=openapi.WEBRTC)
async def webrtc_route(
    request: Request, actor: ActorDep, document: DocumentDep, parts: PartsDep
) -> JSONResponse:
    """Return the phone of the caller's primary extension for this instance, open to register next."""
    instance = read_instance_id(document.given("instanceId"))
    opened = await parts.change(actor, None, lambda work: open_webrtc_phone(work, instance))
    await parts.changes.publish(Change(phones=(opened.phone.oid,)))
    is_v2 = _wants_v2(request.query_params, document)
    host = parts.settings.public_host or request_host(request)
    ice = ice_servers(parts.settings, opened.phone.oid, epoch_now())
    answer = _webrtc(opened, parts) | _server(host, parts.settings.wss_port, is_v2)
    return JSONResponse(answer | ({"iceServers": ice} if ice else {}))


@routes.get("/{id}", summary="Show a phone", openapi_extra=openapi.PHONE)
async def get_route(id: PhoneId, caller: CallerDep, parts: PartsDep) -> Response:
    """Return all settings of a phone and its live status."""
    async with reading(parts.read_engine) as session:
        phone = await find_phone(session, caller, id)
    return await _full_answer(phone, _reader(caller.level, parts), parts)


@routes.post("/{id}", summary="Change a phone", openapi_extra=openapi.UPDATE)
@routes.put("/{id}", summary="Change a phone", openapi_extra=openapi.UPDATE)
@routes.patch("/{id}", summary="Change a phone", openapi_extra=openapi.UPDATE)
async def update_route(id: PhoneId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Change the properties that are sent, even a single one. The customer of a phone cannot change."""
    phone = await parts.change(
        actor, target_of(SipPhone.version, id), lambda work: write.update_phone(work, id, document)
    )
    return await _changed(phone.oid, actor, parts)


@routes.delete("/{id}", summary="Delete a phone", openapi_extra=openapi.DELETE)
async def delete_route(id: PhoneId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Delete a phone; its registrations end."""
    oid = await parts.change(
        actor, target_of(SipPhone.version, id), lambda work: write.delete_phone(work, id)
    )
    await parts.changes.publish(Change(phones=(oid,)))
    return JSONResponse({"success": True})


@routes.post("/{id}/resetcredentials", summary="Make new credentials", openapi_extra=openapi.RESET_PHONE)
@routes.get(
    "/{id}/resetcredentials",
    summary="Make new credentials (prefer POST)",
    openapi_extra=openapi.RESET_PHONE,
    deprecated=True,
)
async def reset_route(id: PhoneId, actor: ActorDep, parts: PartsDep) -> Response:
    """Set a new username and password; registrations made with the old ones end at once."""
    phone = await parts.change(
        actor, target_of(SipPhone.version, id), lambda work: write.reset_credentials(work, id)
    )
    return await _changed(phone.oid, actor, parts)


def _wants_v2(params: QueryParams, document: Document) -> bool:
    """Return True if `v2` is true, also as a string; the body takes precedence over the query."""
    sent = document.given("v2")
    if sent is None:
        return flag(params, "v2")
    spelled = FLAGS.get(sent.lower(), sent) if isinstance(sent, str) else sent
    return accepted(boolean(spelled, "v2 must be true or false"), "v2") is True


async def _changed(oid: str, actor: Actor, parts: Parts) -> Response:
    """Publish the change of a phone, then return its new state."""
    await parts.changes.publish(Change(phones=(oid,)))
    async with reading(parts.read_engine) as session:
        phone = await find_phone(session, actor.caller, oid)
    return await _full_answer(phone, _reader(actor.caller.level, parts), parts)


async def _full_answer(phone: Found, reader: Reader, parts: Parts) -> Response:
    statuses = await parts.live.statuses([phone.oid])
    return with_etag(_answer(full_phones([phone], statuses, reader)[0], statuses), (version_of(phone),))


def _answer(body: Json, statuses: Sequence[LiveStatus]) -> Response:
    unknown = any(live.online is None for live in statuses)
    return json_answer(body, {"X-Status": "unavailable"} if unknown else None)


def _reader(level: AccessLevel, parts: Parts) -> Reader:
    return Reader(level, parts.settings.secrets_level, parts.vault)


def _query(params: QueryParams) -> Query:
    page = read_page(params, DEFAULT_LIMIT, MAX_LIMIT)
    available, full = flag(params, "available"), flag(params, "full")
    return Query(page.offset, page.limit, page.text, available=available, full=full)


def _webrtc(opened: WebrtcPhone, parts: Parts) -> Json:
    phone, extension = opened.phone, opened.extension
    return {
        "_id": phone.oid,
        "username": phone.username,
        "password": parts.vault.open(phone.password_enc, phone.oid),
        "extensionNumber": extension.number,
        "extensionName": opened.name,
    }


def _server(host: str, port: int | None, is_v2: bool) -> Json:
    if port is None or not host:
        log.warning("a WebRTC client asked where to connect, but no secure WebSocket listens")
        return {}
    place = host if port == HTTPS_PORT else f"{host}:{port}"
    return {"server": f"wss://{place}"} if is_v2 else {"servers": [place]}
