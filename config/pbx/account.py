"""The routes below /pbx/sipphone for people who look at phones: one's own, an account, and its bindings."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from config.diagnosis import diagnose
from registrar.model import Binding
from registrar.rules.status import LiveStatus

from ..clock import utc
from ..database import reading
from ..deps import ActorDep, CallerDep, Parts, PartsDep
from ..operations import events
from ..operations.phones.account import Account, find_account, own_phones
from ..request import request_host
from ..tables import SipPhone
from .schema import MOMENT, READ, Schema, an_id, answer, array, moment, of, operation, sure
from .shown import Json, Shown, json_answer, json_of, schema_of, shown
from .sipphone import PhoneId
from .sipphone_json import STATUS_ROUTE, opened, status_json

routes = APIRouter(prefix="/pbx/sipphone", tags=["SIP phones"])


_NUMBER: Final = of("string", "Extension", example="200")
_PERSON: Final = of("string", "Name of the person, else of the extension", example="Anna")


def _person(account: Account) -> str | None:
    return account.person or account.extension_name


# One's own phones

_STATUS: Final = answer("Own status", {line.path: line.schema for line in STATUS_ROUTE})
_OWN_PHONE: Final = answer(
    "Own phone",
    {
        "_id": an_id(),
        "number": _NUMBER,
        "person": _PERSON,
        "summary": sure("string", "Why it is offline, or how it is online"),
        "status": _STATUS,
    },
)
OWN: Final = operation(answer("Own phones", {"sipPhones": array(_OWN_PHONE)}), READ)


@routes.get("/own", summary="List one's own phones", openapi_extra=OWN)
async def own_route(caller: CallerDep, parts: PartsDep) -> Response:
    """Return the phones of the caller's extensions, with their live status."""
    async with reading(parts.read_engine) as session:
        accounts = await own_phones(session, caller)
    oids = [account.oid for account in accounts]
    async with parts.read_engine.connect() as connection:
        watched = await events.find_all_watched(connection, caller, oids)
    lives = await parts.live.told(oids)
    rows = [
        _own_json(account, watched[account.oid], live)
        for account, live in zip(accounts, lives, strict=True)
        if account.oid in watched  # else it was deleted a moment ago
    ]
    return json_answer({"sipPhones": rows})


def _own_json(account: Account, watched: events.Watched, live: LiveStatus) -> Json:
    return {
        "_id": account.oid,
        "number": account.number,
        "person": _person(account),
        "summary": diagnose(live, watched.rule, ()),
        "status": status_json(live, STATUS_ROUTE),
    }


# The account of a phone

_ACCOUNT: Final = answer(
    "Account",
    {
        "_id": an_id(),
        "customer": answer(
            "Customer of an account", {"_id": an_id(), "name": sure("string", example="Acme")}
        ),
        "number": _NUMBER,
        "person": _PERSON,
        "ipMode": sure("string", enum=["OPEN", "LOCKED", "ROAMING"]),
        "username": sure("string"),
        "password": of("string", "null: cannot be opened, see the log"),
        "domain": of("string", "SIP domain; null: the phone cannot register", example="acme.example"),
        "proxy": of("string", "Where it registers over UDP", example="sip.acme.example:5060"),
        "server": of("string", "Where a browser registers", example="wss://sip.acme.example:8443"),
    },
    optional=("password",),
)
ACCOUNT: Final = operation(_ACCOUNT, READ)


@routes.get("/{id}/account", summary="Show the account of a phone", openapi_extra=ACCOUNT)
async def account_route(id: PhoneId, request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """Return everything that is typed into a softphone, and whose phone it is."""
    async with reading(parts.read_engine) as session:
        account = await find_account(session, actor.caller, id)
    body = _account_json(account) | _servers(parts, request)
    if actor.caller.level >= parts.settings.secrets_level:
        parts.notes.read(actor.columns(), SipPhone.__tablename__, [account.oid], account.customer)
        body["password"] = opened(parts.vault, account.password_enc, account.oid)
    return json_answer(body)


def _account_json(account: Account) -> Json:
    return {
        "_id": account.oid,
        "customer": {"_id": account.customer, "name": account.customer_name},
        "number": account.number,
        "person": _person(account),
        "ipMode": account.mode,
        "username": account.username,
        "domain": account.domain,
    }


def _servers(parts: Parts, request: Request) -> Json:
    """Return where phones and browsers register; None where nothing listens, or no host is known."""
    settings = parts.settings
    host = settings.public_host or request_host(request)
    port = settings.sip_udp.rpartition(":")[2]
    return {
        "proxy": f"{host}:{port}" if host and port != "0" else None,
        "server": f"wss://{host}:{settings.wss_port}" if host and settings.wss_port else None,
    }


# Its bindings

_BINDINGS: Final[Sequence[Shown[Binding]]] = (
    shown("contact", sure("string", "As the phone wrote it", example="sip:x@192.168.1.10:5060")),
    shown("transport", sure("string", "udp, tcp, tls, ws or wss", example="udp")),
    shown("userAgent", sure("string", example="Yealink SIP-T46U"), "user_agent"),
    shown("localIpAddress", sure("string", example="192.168.1.10"), "local_ip"),
    shown("publicIpAddress", sure("string", example="192.0.2.7"), "public_ip"),
    shown("publicPort", sure("integer", example=5060), "public_port"),
    shown("node", sure("string", "The process that holds it", example="sip-1-5060")),
    Shown("registeredAt", MOMENT, lambda binding: utc(binding.registered_at)),
    Shown("refreshedAt", MOMENT, lambda binding: utc(binding.refreshed_at)),
    Shown("expiresAt", MOMENT, lambda binding: utc(binding.expires_at)),
    Shown(
        "silentSince",
        moment("From when on it answers no pings; null: it answers"),
        lambda binding: utc(binding.silent_since) if binding.silent_since else None,
    ),
)
BINDINGS: Final[Schema] = operation(
    answer("Bindings", {"_id": an_id(), "bindings": array(schema_of("Binding", _BINDINGS))}), READ
)


@routes.get("/{id}/bindings", summary="Show the bindings of a phone", openapi_extra=BINDINGS)
async def bindings_route(id: PhoneId, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the contacts under which calls reach the phone, in the order in which they came."""
    async with parts.read_engine.connect() as connection:
        phone = await events.find_watched(connection, caller, id)
    found = await parts.live.bindings(phone.oid)
    return json_answer({"_id": phone.oid, "bindings": [json_of(binding, _BINDINGS) for binding in found]})
