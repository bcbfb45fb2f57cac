"""The routes about all phones of a customer: how many are in each state, and from where some were refused."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from registrar.model import Reason
from registrar.store.keys import REFUSALS_SECONDS
from registrar.store.refusals_redis import MAX_PHONES

from ..checks import moment as parse_moment
from ..clock import epoch_now, utc
from ..database import reading
from ..deps import CallerDep, Parts, PartsDep
from ..operations.customers import ids_in_sight, one_or_all, sight_of
from ..operations.phones.find import count_phones, numbers_of
from ..registrations import Source
from ..summaries import Numbers
from ..wanted import OFFLINE_REASONS, TRANSPORTS, State
from ..words import unknown
from .paging import clamped
from .schema import MOMENT, READ, Schema, answer, array, of, operation, query, sure
from .shown import Json, json_answer
from .sipphone_json import COUNTRY

MAX_SOURCES: Final = 1_000
"""Limit of addresses in an answer; the index has as many of each customer."""
DEFAULT_SOURCES: Final = 100
CUSTOMER: Final = query("customer", "string", "Id of the customer, or `all`; by default one's own")
FILTERS: Final = (
    query("state", "string", "Only phones in this state; `never`: it has no state", enum=list(State)),
    query("reason", "string", "Only phones with this reason of their state", enum=list(Reason)),
    query("transport", "string", "Only phones with this present or last transport", enum=list(TRANSPORTS)),
    query("online", "boolean", "Only phones that are online, or only those that are not"),
)

routes = APIRouter(prefix="/pbx/sipphone", tags=["Status of phones"])


def _number(about: str = "") -> Schema:
    return sure("integer", about, minimum=0)


SUMMARY: Final = operation(
    answer(
        "Summary of phones",
        {
            "total": _number("All phones"),
            "online": _number(),
            "offline": _number("Offline, with a known reason"),
            "neverRegistered": _number("Without a state: not registered within the last 30 days"),
            **{f"reasons.{reason}": _number() for reason in OFFLINE_REASONS},
            **{f"transports.{transport}": _number() for transport in TRANSPORTS},
            "refusedLastHour": _number("Requests with a right password that were refused"),
            "wrongPasswordsLastHour": _number("Wrong passwords for phones that exist"),
            "calls": _number("Calls in progress"),
            "complete": sure("boolean", "false: the numbers are still being made, as after an upgrade"),
        },
    ),
    READ,
    parameters=[CUSTOMER],
)
_SOURCE: Final = answer(
    "Source of refusals",
    {
        "address": sure("string", example="192.0.2.7"),
        "country": COUNTRY,
        "reasons": sure(
            "object",
            "Reason -> number",
            additionalProperties={"type": "integer"},
            example={"wrong-password": 3},
        ),
        "phones": array(
            sure("string"),
            f"Ids of phones, or `u` and the number of a SIP user, that it tried; at most {MAX_PHONES}",
        ),
        "numbers": array(of("string"), "The extension number of each of these; null: it has none"),
        "count": sure("integer", "All refusals and wrong passwords since `first`", minimum=1),
        "first": MOMENT,
        "last": MOMENT,
    },
)
REFUSALS: Final = operation(
    array(_SOURCE, "The latest first"),
    READ,
    parameters=[
        CUSTOMER,
        query(
            "since",
            "string",
            "Only addresses that were refused since then; by default a day",
            format="date-time",
        ),
        query("limit", "integer", "How many", default=DEFAULT_SOURCES, minimum=1, maximum=MAX_SOURCES),
    ],
)


@routes.get("/summary", summary="Count phones by state", openapi_extra=SUMMARY)
async def summary_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return how many phones are online and offline, and why.

    The numbers may be a second old, and those of many customers older: a second for each 500 customers.
    """
    async with reading(parts.read_engine) as session:
        customer = await one_or_all(session, caller, request.query_params.get("customer"))

    async def read() -> Numbers:
        async with reading(parts.read_engine) as session:
            customers = await ids_in_sight(session, caller, customer)
            total = await count_phones(session, caller, customer)
        return Numbers(total, await parts.registrations.summary(customers), len(customers))

    return json_answer(_summary(await parts.summaries.of(sight_of(caller, customer), read)))


@routes.get("/refusals", summary="List refusals by address", openapi_extra=REFUSALS)
async def refusals_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the addresses from which phones were refused, or wrong passwords came, in the last day."""
    params = request.query_params
    since = _since(params)
    limit = clamped(params, "limit", DEFAULT_SOURCES, 1, MAX_SOURCES)
    async with reading(parts.read_engine) as session:
        customer = await one_or_all(session, caller, params.get("customer"))
        customers = await ids_in_sight(session, caller, customer)
    sources = await parts.registrations.refusals(customers, since, limit)
    async with reading(parts.read_engine) as session:
        numbers = await numbers_of(session, {phone for source in sources for phone in source.phones})
    return json_answer([_source(source, numbers, parts) for source in sources])


def _since(params: QueryParams) -> float:
    text, earliest = params.get("since", "").strip(), epoch_now() - REFUSALS_SECONDS
    if not text:
        return earliest
    moment = parse_moment(text, "")
    if not isinstance(moment, datetime):
        raise unknown("since", "must be a date and time, as 2026-01-31T12:00:00Z")
    return max(moment.timestamp(), earliest)


def _summary(numbers: Numbers) -> Json:
    total, found = numbers.total, numbers.summary
    return {
        "total": total,
        "online": found.online,
        "offline": found.offline,
        "neverRegistered": max(total - found.online - found.offline, 0),
        "reasons": {reason: found.reasons[reason] for reason in OFFLINE_REASONS},
        "transports": {transport: found.transports[transport] for transport in TRANSPORTS},
        "refusedLastHour": found.refused,
        "wrongPasswordsLastHour": found.wrong_passwords,
        "calls": found.calls,
        "complete": found.complete,
    }


def _source(source: Source, numbers: Mapping[str, str], parts: Parts) -> Json:
    return {
        "address": source.address,
        "country": parts.origins.country(source.address),
        "reasons": source.reasons,
        "phones": source.phones,
        "numbers": [numbers.get(phone) for phone in source.phones],
        "count": source.count,
        "first": utc(source.first),
        "last": utc(source.last),
    }
