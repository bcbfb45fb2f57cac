"""The routes below /pbx/ban: who is shut out, why, and until when."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from registrar.rules.ban_export import FORMATS, export
from registrar.rules.bans import ENDLESS, MAX_WHY, Ban, Kind, Why

from ..clock import epoch_now, utc
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..operations.audit import new_oid
from ..operations.bans import MAX_SECONDS, Spared, find_ban, in_sight, lift_ban, make_ban
from ..operations.customers import ALL
from ..operations.phones.find import numbers_of
from .paging import DEFAULT_LIMIT, read_page, word
from .resource import SUCCESS
from .schema import (
    MOMENT,
    READ,
    REMOVE,
    WRITE,
    an_id,
    answer,
    form,
    moment,
    of,
    operation,
    page,
    paging,
    query,
    some_id,
    sure,
)
from .shown import Json, json_answer

MAX_LIMIT: Final = 1_000
_BAN: Final = answer(
    "Ban",
    {
        "_id": an_id(),
        "kind": sure(
            "string",
            "`ban`: shut out. `hold`: no password is checked until then, for a phone that is not good there",
            enum=list(Kind),
        ),
        "address": of("string", "The address or network; null: everywhere", example="203.0.113.9"),
        "phone": some_id("Id of the phone; null: every phone from that address"),
        "number": of("string", "The extension number of the phone; null: it has none", example="200"),
        "customer": some_id("Id of the customer of the phone"),
        "why": sure(
            "string", f"A text, or of an automatic one {', '.join(Why)}", example=str(Why.MANY_NAMES)
        ),
        "by": sure("string", "Id or level of who made it, or `automatic`", example="automatic"),
        "since": MOMENT,
        "until": moment("null: until it is lifted"),
    },
)
_LIST: Final = operation(
    page("Bans", "bans", _BAN),
    READ,
    also={
        "text/plain": {
            "schema": sure("string", "As nftables or fail2ban want it"),
            "example": "fail2ban-client set registrar banip 198.51.100.7\n",
        }
    },
    parameters=[
        *paging(DEFAULT_LIMIT, MAX_LIMIT),
        query("customer", "string", "Id of the customer; by default all in sight"),
        query("format", "string", "The banned addresses for another program", enum=["json", *FORMATS]),
    ],
)
_CREATE: Final = operation(
    _BAN,
    WRITE,
    form(
        "New ban",
        {
            "address": of("string", "An address or a network; without `phone` it needs the level ADMIN"),
            "phone": some_id("Id of a phone, which is then refused, from `address` or from everywhere"),
            "why": of("string", "For people", maxLength=MAX_WHY),
            "seconds": of("integer", "How long", minimum=1, maximum=MAX_SECONDS),
            "until": moment("Its end; without it and `seconds` the ban has none"),
        },
        [],
        example={"address": "203.0.113.0/24", "why": "scans us", "seconds": 86_400},
    ),
)
_LIFT: Final = operation(SUCCESS, REMOVE)
BanId = Annotated[str, Path(description="Id of the ban, 24 hex digits")]

routes = APIRouter(prefix="/pbx/ban", tags=["Bans"])


@routes.get("", summary="List bans", openapi_extra=_LIST)
async def list_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the bans and holds of phones, the newest first; from RESELLER_ADMIN on also of addresses."""
    params = request.query_params
    asked, format = read_page(params, DEFAULT_LIMIT, MAX_LIMIT), word(params, "format", ("json", *FORMATS))
    known = (await parts.bans.all()).bans
    async with reading(parts.read_engine) as session:
        found = await in_sight(session, caller, known, asked.customer or ALL)
        some = found[asked.offset : asked.offset + asked.limit]
        numbers = await numbers_of(session, {ban.phone for ban in some if ban.phone})
    if format in FORMATS:
        return PlainTextResponse(export(format, found, epoch_now()))
    rows = [_json(ban, numbers) for ban in some]
    return json_answer({"offset": asked.offset, "limit": asked.limit, "total": len(found), "bans": rows})


@routes.post("", summary="Ban an address or a phone", openapi_extra=_CREATE)
async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Shut out an address, a phone, or a phone from an address. All nodes do so within a second."""
    id, spared = new_oid(), Spared(parts.settings.spared, parts.settings.trusted_proxies)
    ban = await parts.change(actor, None, lambda work: make_ban(work, id, document, parts.bans, spared))
    return await _shown(ban, parts)


@routes.delete("/{id}", summary="Lift a ban", openapi_extra=_LIFT)
async def lift_route(id: BanId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Lift a ban or a hold on all nodes within a second. The wrong passwords of a hold are forgotten."""
    async with reading(parts.read_engine) as session:
        ban = await find_ban(session, actor.caller, parts.bans, id.lower())
    await parts.change(actor, None, lambda work: lift_ban(work, ban, parts.bans))
    return JSONResponse({"success": True})


async def _shown(ban: Ban, parts: Parts) -> Response:
    async with reading(parts.read_engine) as session:
        numbers = await numbers_of(session, {ban.phone} if ban.phone else ())
    return json_answer(_json(ban, numbers))


def _json(ban: Ban, numbers: Mapping[str, str]) -> Json:
    return {
        "_id": ban.id,
        "kind": str(ban.kind),
        "address": ban.address or None,
        "phone": ban.phone or None,
        "number": numbers.get(ban.phone),
        "customer": ban.customer or None,
        "why": ban.why,
        "by": ban.by,
        "since": utc(ban.since),
        "until": None if ban.until == ENDLESS else utc(ban.until),
    }
