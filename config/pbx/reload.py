"""The routes that make phones load their configuration, or restart: configreload and reboot."""

from collections.abc import Mapping, Sequence
from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from registrar.rules.notify import Order, Outcome, Result

from ..database import reading
from ..deps import ActorDep, DocumentDep, Parts, PartsDep
from ..errors import Problem, Refused, not_found, unavailable
from ..operations.audit import Actor, Work, parse_oid
from ..operations.phones.reload import Reloadable, find_reloadable, find_siblings
from ..provisioning.reload import EVENTS, Deed, Device
from ..tables import SipPhone
from .schema import AN_ID, ASK, REMOVE, answer, array, form, operation, sure
from .sipphone import PhoneId, read_ids

routes = APIRouter(prefix="/pbx/sipphone", tags=["SIP phones"])

_DONE: Final = answer(
    "Notified",
    {
        "success": sure("boolean", "The phone has heard it; it has loaded once `configLoaded` is newer"),
        "queuedSeconds": sure("integer", "Only if many phones are asked: when it is told", example=12),
    },
    optional=("queuedSeconds",),
) | {"example": {"success": True}}
ONE: Final = operation(_DONE, f"{REMOVE} 502 504")
_IDS: Final = array({"example": AN_ID}, "As they were sent")
MANY: Final = operation(
    answer(
        "Fleet notified",
        {
            "success": sure("boolean"),
            "asked": sure("integer", "Number of devices that are told", example=1),
            "seconds": sure("integer", "Until about then", minimum=0, example=0),
            "offline": _IDS,
            "notSupported": _IDS,
            "notFound": _IDS,
        },
    ),
    ASK,
    form(
        "Ids of phones",
        {"ids": array(sure("string", "Id of a phone"), maxItems=1_000)},
        ("ids",),
        example={"ids": [AN_ID]},
    ),
)


# Many phones


@routes.post("/configreload", summary="Let many phones load their configuration", openapi_extra=MANY)
async def reload_all_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Ask up to 1,000 phones to load their configuration, a few each second; do not wait for them."""
    return await _ask_all(read_ids(document), actor, parts, Deed.RELOAD)


@routes.post("/reboot", summary="Restart many phones", openapi_extra=MANY)
async def reboot_all_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Ask up to 1,000 phones to restart, a few each second; do not wait for them."""
    return await _ask_all(read_ids(document), actor, parts, Deed.REBOOT)


async def _ask_all(sent: Sequence[str], actor: Actor, parts: Parts, deed: Deed) -> Response:
    async with reading(parts.read_engine) as session:
        found = await find_reloadable(session, actor.caller, sent)
        able = {oid: phone for oid, phone in found.items() if _event(phone, deed)}
        siblings = await find_siblings(session, able.values())
    keys = {oid: _key(phone) for oid, phone in able.items()}
    devices = {_key(phone): _device(phone, siblings) for phone in able.values()}
    found_orders = await parts.reloads.orders(list(devices.values()), deed)
    orders = {order.device: order for order in found_orders if order is not None}
    await _record(parts, actor, deed, [able[oid] for oid, key in keys.items() if key in orders])
    seconds = await parts.reloads.send_all(list(orders.values()))
    once: dict[str, str] = {}
    for id in sent:
        once.setdefault(parse_oid(id) or id, id)  # upper and lower case count as equal
    return JSONResponse(
        {
            "success": True,
            "asked": len(orders),
            "seconds": seconds,
            "offline": [id for oid, id in once.items() if oid in keys and keys[oid] not in orders],
            "notSupported": [id for oid, id in once.items() if oid in found and oid not in able],
            "notFound": [id for oid, id in once.items() if oid not in found],
        }
    )


# One phone


@routes.post("/{id}/configreload", summary="Let a phone load its configuration", openapi_extra=ONE)
async def reload_route(id: PhoneId, actor: ActorDep, parts: PartsDep) -> Response:
    """Tell the phone by SIP to load its configuration, and return what it answers."""
    return await _ask(id, actor, parts, Deed.RELOAD)


@routes.post("/{id}/reboot", summary="Restart a phone", openapi_extra=ONE)
async def reboot_route(id: PhoneId, actor: ActorDep, parts: PartsDep) -> Response:
    """Tell the phone by SIP to restart, and return what it answers."""
    return await _ask(id, actor, parts, Deed.REBOOT)


async def _ask(id: str, actor: Actor, parts: Parts, deed: Deed) -> Response:
    async with reading(parts.read_engine) as session:
        phone = (await find_reloadable(session, actor.caller, [id])).get(parse_oid(id) or "")
        siblings = await find_siblings(session, [phone] if phone else [])
    if phone is None:
        raise not_found()
    order = await _order(phone, siblings, parts, deed)
    await _record(parts, actor, deed, [phone])
    result = await parts.reloads.send(order)
    if result is None:
        raise Refused(Problem(504, "timeout", "No process of the SIP side has sent the NOTIFY"))
    return JSONResponse(_heard(result))


async def _order(
    phone: Reloadable, siblings: Mapping[str, tuple[str, ...]], parts: Parts, deed: Deed
) -> Order:
    """Return the order for a phone. Raise Refused (409) if no NOTIFY is known, or if it is offline."""
    if not _event(phone, deed):
        message = f"No NOTIFY is known for this model: {phone.brand} {phone.model}"
        raise Refused(Problem(409, "not_supported", message, "sipPhoneModel", "allowed"))
    (order,) = await parts.reloads.orders([_device(phone, siblings)], deed)
    if order is None:
        raise _offline()
    return order


def _heard(result: Result) -> dict[str, object]:
    """Return the answer for a result. Raise Refused if the phone has not accepted the NOTIFY."""
    if result.is_heard:
        return {"success": True}
    if result.outcome is Outcome.QUEUED:
        return {"success": True, "queuedSeconds": result.seconds}
    if result.outcome is Outcome.ANSWERED:
        message = f"The phone answered {result.status} {result.reason}".rstrip()
        raise Refused(Problem(502, "phone_refused", message))
    if result.outcome is Outcome.UNANSWERED:
        raise Refused(Problem(504, "phone_timeout", "The phone is registered, but it has not answered"))
    if result.outcome is Outcome.OFFLINE:
        raise _offline()
    raise unavailable()


def _offline() -> Refused:
    return Refused(Problem(409, "offline", "The phone is offline, so nothing can be sent to it"))


def _event(phone: Reloadable, deed: Deed) -> str:
    """Return the Event for a phone, or an empty text if none is known."""
    events = EVENTS.get(phone.writer or "")
    return events[deed] if phone.listens and events else ""


def _device(phone: Reloadable, siblings: Mapping[str, tuple[str, ...]]) -> Device:
    return Device(_key(phone), siblings[phone.oid], phone.writer or "")


def _key(phone: Reloadable) -> str:
    """Return what names the device: customers do not share one, even with the same MAC address."""
    return f"{phone.customer}-{phone.mac}" if phone.mac else phone.oid


async def _record(parts: Parts, actor: Actor, deed: Deed, phones: Sequence[Reloadable]) -> None:
    """Write to the audit log that phones are told to do something."""

    async def record(work: Work) -> None:
        for phone in phones:
            work.record(deed, SipPhone.__tablename__, phone.oid, customer=phone.customer)

    if phones:
        await parts.change(actor, None, record)
