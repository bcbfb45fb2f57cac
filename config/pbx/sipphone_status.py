"""The routes below /pbx/sipphone that show the live status and the history of phones."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from config.diagnosis import diagnose
from registrar.rules.status import LiveStatus

from ..checks import is_clean
from ..deps import CallerDep, DocumentDep, PartsDep
from ..errors import refused
from ..operations.document import NOT_SENT, Document
from ..operations.events import (
    MAX_EVENTS,
    Happening,
    Watched,
    deeds,
    find_all_watched,
    find_watched,
    for_diagnosis,
    happened,
    story,
)
from ..operations.ids import parse_oid
from . import openapi
from .answer import json_answer
from .paging import clamped
from .shown import Json
from .status import WHOLE, status_json

MAX_IDS: Final = 1_000
DEFAULT_EVENTS: Final = 50
RENAMED: Final = {"at": "time", "user_agent": "userAgent"}

PhoneId = Annotated[str, Path(description="Id of the phone, 24 hex digits")]

routes = APIRouter(prefix="/pbx/sipphone", tags=["Status of phones"])


@routes.post("/status", summary="Show the status of many phones", openapi_extra=openapi.STATUSES)
async def statuses_route(caller: CallerDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Return the status of up to 1,000 phones; `notFound` lists the ids that are not phones of the caller."""
    asked = _read_ids(document)
    async with parts.read_engine.connect() as connection:
        found = await find_all_watched(connection, caller, asked)
    there = [found[oid] for oid in dict.fromkeys(map(parse_oid, asked)) if oid in found]
    lives = await parts.live.told([phone.oid for phone in there])
    rows = [_status(phone, live) for phone, live in zip(there, lives, strict=True)]
    missing = [sent for sent in _once(asked) if parse_oid(sent) not in found]
    return json_answer({"sipPhones": rows, "notFound": missing})


@routes.get("/{id}/status", summary="Show the status of a phone", openapi_extra=openapi.STATUS)
async def status_route(id: PhoneId, caller: CallerDep, parts: PartsDep) -> Response:
    """Return whether the phone is online, since when and why, and where it is."""
    async with parts.read_engine.connect() as connection:
        phone = await find_watched(connection, caller, id)
    (live,) = await parts.live.told([phone.oid])
    return json_answer(_status(phone, live))


@routes.get("/{id}/events", summary="Show what happened to a phone", openapi_extra=openapi.EVENTS)
async def events_route(id: PhoneId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the events of the phone, the newest first, with a sentence that summarises them."""
    limit = clamped(request.query_params, "limit", DEFAULT_EVENTS, 1, MAX_EVENTS)
    async with parts.read_engine.connect() as connection:
        phone = await find_watched(connection, caller, id)
        done = await deeds(connection, phone.oid)
    live, entries = await parts.live.history(phone.oid, limit)
    return json_answer(
        {
            "_id": phone.oid,
            "summary": diagnose(live, phone.rule, for_diagnosis(done)),
            "limit": limit,
            "status": _status(phone, live),
            "events": [_event(happening) for happening in story(happened(entries), done, limit)],
        }
    )


def _read_ids(document: Document) -> list[str]:
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


def _once(asked: Iterable[str]) -> list[str]:
    """Return each id once; upper and lower case count as equal."""
    seen: dict[str, str] = {}
    for sent in asked:
        seen.setdefault(parse_oid(sent) or sent, sent)
    return list(seen.values())


def _status(phone: Watched, live: LiveStatus) -> Json:
    """Return all fields of the status, with null for those that have no value."""
    saved: Json = {"_id": phone.oid, "configLoaded": phone.config_loaded, "configSaved": phone.config_saved}
    return saved | status_json(live, WHOLE)


def _event(happening: Happening) -> Json:
    return {RENAMED.get(name, name): value for name, value in asdict(happening).items()}
