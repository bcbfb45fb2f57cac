"""The routes below /pbx/call: list, show and end the calls in progress."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select

from ..access import AccessLevel
from ..auth import Caller
from ..clock import epoch_now, utc
from ..database import reading
from ..deps import ActorDep, CallerDep, Parts, PartsDep
from ..errors import Problem, Refused, not_found
from ..live import SIDES, LiveCall
from ..operations.audit import Work
from ..operations.customers import ids_in_sight, one_or_all, require_sight
from ..tables import OID_LENGTH, Customer
from .paging import DEFAULT_LIMIT, read_page, word
from .resource import SUCCESS
from .schema import (
    MOMENT,
    READ,
    REMOVE,
    Schema,
    an_id,
    moment,
    of,
    operation,
    page,
    paging,
    query,
    some_id,
    sure,
)
from .shown import Shown, json_answer, json_of, schema_of

MAX_LIMIT: Final = 1_000
STATES: Final = ("ringing", "answered")
CallId = Annotated[str, Path(description="Id of the call, 32 hex digits")]


def _line(path: str, schema: Schema, name: str = "") -> Shown[LiveCall]:
    return Shown(path, schema, lambda call: call.values[name or path])


LINES: Final[Sequence[Shown[LiveCall]]] = (
    _line("_id", sure("string", pattern="^[0-9a-f]{32}$", example="0123456789abcdef0123456789abcdef"), "id"),
    _line("callId", sure("string", "The SIP Call-ID", example="3848276298220188511@192.0.2.7")),
    _line("customer", an_id("Id of the customer")),
    _line("state", sure("string", "`ringing` or `answered`", example="answered")),
    *(
        _line(f"{side}.{name}", schema, f"{side}{name.capitalize()}")
        for side in SIDES
        for name, schema in {
            "phone": some_id("Id of the phone; of a callee null until one has answered"),
            "number": of("string", "Extension", example="200"),
            "name": of("string", example="Anna"),
            "transport": of("string", "udp, tcp, tls, ws or wss", example="wss"),
        }.items()
    ),
    _line("media", sure("string", "`relayed` by us, or `direct` from phone to phone", example="relayed")),
    _line("node", sure("string", "The process that has it", example="sip-1-5060")),
    Shown("startedAt", MOMENT, lambda call: utc(call.started_at)),
    Shown(
        "answeredAt",
        moment("null: not yet"),
        lambda call: None if call.answered_at is None else utc(call.answered_at),
    ),
    Shown(
        "duration",
        of("integer", "Seconds since it was answered; null: not yet", example=12),
        lambda call: None if call.answered_at is None else max(int(epoch_now() - call.answered_at), 0),
    ),
)
_CALL: Final = schema_of("Call", LINES)
LIST: Final = operation(
    page("Calls", "calls", _CALL),
    READ,
    parameters=[
        *paging(DEFAULT_LIMIT, MAX_LIMIT),
        query("extension", "string", "Only calls from or to the extension with this number"),
        query("state", "string", "Only calls in this state", enum=list(STATES)),
        query("customer", "string", "Id of the customer, or `all`; by default one's own"),
    ],
)
SHOW: Final = operation(_CALL, READ)
END: Final = operation(SUCCESS, f"{REMOVE} 504")

routes = APIRouter(prefix="/pbx/call", tags=["Calls"])


@routes.get("", summary="List calls", openapi_extra=LIST)
async def list_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the customer's calls in progress, the oldest first."""
    params = request.query_params
    asked = read_page(params, DEFAULT_LIMIT, MAX_LIMIT)
    async with reading(parts.read_engine) as session:
        customer = await one_or_all(session, caller, asked.customer)
        is_limited = customer is None and caller.level < AccessLevel.RESELLER_ADMIN
        sight = set(await ids_in_sight(session, caller, None)) if is_limited else None
    number, state = params.get("extension", "").strip(), word(params, "state", STATES)
    calls = [
        call
        for call in await parts.calls.all_of(customer.oid if customer else None)
        if (sight is None or call.customer in sight)
        and (not number or call.has(number))
        and (not state or call.state == state)
    ]
    rows = [json_of(call, LINES) for call in calls[asked.offset : asked.offset + asked.limit]]
    return json_answer({"offset": asked.offset, "limit": asked.limit, "total": len(calls), "calls": rows})


@routes.get("/{id}", summary="Show a call", openapi_extra=SHOW)
async def show_route(id: CallId, caller: CallerDep, parts: PartsDep) -> Response:
    """Return one call in progress."""
    return json_answer(json_of(await _find(caller, id, parts), LINES))


@routes.delete("/{id}", summary="End a call", openapi_extra=END)
async def hangup_route(id: CallId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """End a call: hang up both sides, and stop the phones that are still ringing."""
    call = await _find(actor.caller, id, parts)

    async def record(work: Work) -> None:
        number = await work.session.scalar(select(Customer.id).where(Customer.oid == call.customer))
        work.record("delete", "call", call.id[:OID_LENGTH], customer=number)  # the length of the column

    await parts.change(actor, None, record)
    if not await parts.calls.hang_up(call):
        raise Refused(Problem(504, "timeout", "The call is still there: its process has not ended it yet"))
    return JSONResponse({"success": True})


async def _find(caller: Caller, id: str, parts: Parts) -> LiveCall:
    """Return the call. Raise Refused (404) if it is unknown or over, or if the caller may not see it."""
    call = await parts.calls.find(id)
    if call is None:
        raise not_found("Call")
    async with reading(parts.read_engine) as session:
        await require_sight(session, caller, call.customer, "Call")
    return call
