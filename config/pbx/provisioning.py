"""The routes about the provisioning of a phone: its state, its secrets, and a preview of its files."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.errors import StoreUnavailable

from ..checks import restriction
from ..database import reading
from ..deps import ActorDep, DocumentDep, Parts, PartsDep
from ..errors import not_found, refused
from ..operations.audit import Actor, Work
from ..operations.draft import Document, accepted
from ..operations.phones.find import find_phone
from ..provisioning.admin_password import read_admin
from ..provisioning.arming import (
    EXPECT_MINUTES,
    Armed,
    Standing,
    State,
    expect,
    rearm,
    redirect,
    rotate,
    row_of,
    standing,
)
from ..provisioning.linking import LINK
from ..provisioning.load import find_device
from ..provisioning.preview import Preview, preview
from ..redirect.outbox import STATES, Shown
from ..redirect.services import SERVICES
from ..tables import SipPhone
from .linking import ANSWERED, ASKED, linked, refuse_without_secrets
from .paging import flag
from .resource import target_of
from .schema import (
    READ,
    WRITE,
    Schema,
    an_id,
    answer,
    array,
    form,
    moment,
    of,
    operation,
    or_null,
    query,
    sure,
)
from .shown import Json, json_answer
from .sipphone import customer_of

MAX_NETWORKS: Final = 50
log = logging.getLogger(__name__)
READ_SECRETS: Final = "readsecrets"
ADMIN: Final = "adminPassword"
NEXT_ADMIN: Final = "nextAdminPassword"
"""The action in the audit log."""
ACTIONS: Final = ("rearm", "expect", "rotate", "redirect", LINK)

PhoneId = Annotated[str, Path(description="Id of the phone, 24 hex digits")]
routes = APIRouter(prefix="/pbx/sipphone", tags=["Provisioning"])

_REDIRECT: Final = answer(
    "Redirection",
    {
        "service": sure("string", "The vendor's redirect service", enum=list(SERVICES), example="snom"),
        "state": sure(
            "string",
            "off: the service has no account here; pending: it will be told, or told again; registered: it "
            "sends the phone to us; foreign: the MAC address is of another provider; failed: it does not "
            "take the phone; manual: it has no interface, see /pbx/provisioning/redirects.csv",
            enum=list(STATES),
        ),
        "error": of("string", "What the service said last", example="Error:owned_by_other_user"),
    },
)
_STANDING: Final = answer(
    "Provisioning",
    {
        "_id": an_id(),
        "state": sure(
            "string",
            "off: no listener for phones; unsupported: the model has no files, or there is no MAC address; "
            "new: no secret yet; armed: the first secret waits for its phone; loading: it was used a moment "
            "ago; closed: it was not used in time; configured: the phone has its configuration",
            enum=[str(state) for state in State],
            example="armed",
        ),
        "url": of(
            "string",
            "The URL of the configuration with the first secret, or a one-time link; only in the answer that "
            "made it",
            example="https://prov.example.com/p/abcdefghijklmnopqrstuvwxyz/000413922D24.xml",
        ),
        "armedUntil": moment("Until when the first secret can be used"),
        "expectedUntil": moment("Until when the phone may ask without a secret for where to load from"),
        "expectedNetworks": array(sure("string"), "From where it may ask then; empty: from anywhere"),
        "redirect": or_null(_REDIRECT),
        ADMIN: of(
            "string",
            "Password that the phone's own pages ask for; only if the token may read passwords. null: none",
            example="4711081542",
        ),
        NEXT_ADMIN: of(
            "string",
            "After a reset: the password that they ask for when the phone has loaded its configuration",
            example="1542471108",
        ),
        **ANSWERED,
    },
    optional=(ADMIN, NEXT_ADMIN, *ANSWERED),
)
_ACTIONS: Final[Mapping[str, Schema]] = {
    "rearm": sure("boolean", "Make a new first secret, for a phone that is new or was reset"),
    "expect": sure(
        "boolean",
        f"The same, and for {EXPECT_MINUTES} minutes the phone may ask for it without a secret, once",
    ),
    "networks": array(
        sure("string", example="192.0.2.0/24"),
        "With `expect`: from where the phone may ask",
        maxItems=MAX_NETWORKS,
    ),
    "rotate": sure("boolean", "Make new secrets: what the phone has opens nothing any more"),
    "redirect": sure("boolean", "Ask the redirect service again that did not take the phone"),
    **ASKED,
}
SHOW: Final = operation(_STANDING, READ)
ACT: Final = operation(_STANDING, WRITE, form("Provisioning action", _ACTIONS, example={"rearm": True}))

_LEFT_OUT: Final = answer(
    "Setting that is not written",
    {
        "field": sure("string", "The property", example="softkeys[3]"),
        "reason": sure("string", "Why it is not written"),
    },
)
_FILE: Final = answer(
    "Configuration file",
    {
        "name": sure("string", example="000413922D24.xml"),
        "contentType": sure("string", example="text/xml; charset=utf-8"),
        "text": sure("string", "What the phone would load now; secrets are ******** without `secrets=true`"),
        "sha256": sure("string", "Of the whole text with the secrets; only if the token may read passwords"),
        "loadedAt": moment("When the phone loaded this file last"),
        "isLoaded": of(
            "boolean", "Whether it has loaded this very text; null: it has not loaded the file yet"
        ),
        "diff": sure("string", "From what it loaded last to what it would load now, as a unified diff"),
    },
    optional=("sha256",),
)
PREVIEW: Final = operation(
    answer(
        "Configuration",
        {
            "_id": an_id(),
            "configSaved": moment("When it was last changed"),
            "configLoaded": moment("When the phone last loaded it"),
            "files": array(_FILE, "In the order in which the phone asks for them"),
            "leftOut": array(_LEFT_OUT, "Settings that the phone does not get"),
            "problems": array(
                _LEFT_OUT, "Values that its files cannot carry: the phone gets 503 and keeps what it has"
            ),
            "warnings": array(sure("string")),
        },
    ),
    READ,
    parameters=[
        query(
            "secrets",
            "boolean",
            "Show the texts with their secrets; only if the token may read passwords",
            default=False,
        )
    ],
)


@routes.get("/{id}/provisioning", summary="Show the provisioning of a phone", openapi_extra=SHOW)
async def show_route(id: PhoneId, actor: ActorDep, parts: PartsDep) -> Response:
    """Return how far the provisioning of a phone is."""
    async with reading(parts.read_engine) as session:
        found = await find_phone(session, actor.caller, id)
        phone = await _phone(session, found.oid)
        state = await standing(session, phone, parts.settings.provisioning)
        redirect = await parts.outbox.shown(session, phone)
        admin = await _admin(session, phone, customer_of(found), actor, parts)
    return json_answer(_standing(found.oid, state, redirect) | admin)


@routes.post("/{id}/provisioning", summary="Arm, expect, rotate or link a phone", openapi_extra=ACT)
async def act_route(id: PhoneId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Make a secret, and return its URL; or ask the redirect service again. Send exactly one action."""
    async with reading(parts.read_engine) as session:
        found = await find_phone(session, actor.caller, id)  # 404 comes first, whatever the body says
    _refuse_several(document)
    target = target_of(SipPhone.version, id)
    if document.given(LINK) is not None:
        oid, made = await linked(id, target, actor, document, parts)
    else:
        action = _action(id, document, parts)
        if document.given("redirect") is not True:  # the others answer a URL with a new secret
            refuse_without_secrets(actor.caller, parts)
        armed = await parts.change(actor, target, action)
        oid, made = armed.phone.oid, {"url": armed.url}
    async with reading(parts.read_engine) as session:
        phone = await _phone(session, oid)
        state = await standing(session, phone, parts.settings.provisioning)
        redirect = await parts.outbox.shown(session, phone)
        admin = await _admin(session, phone, customer_of(found), actor, parts)
    return json_answer(_standing(oid, state, redirect) | admin | made)


@routes.get("/{id}/configuration", summary="Show the configuration of a phone", openapi_extra=PREVIEW)
async def preview_route(id: PhoneId, request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """Return the files that the phone would load now. Nothing is locked.

    Secrets are shown only if they are asked for, and that is an event of the phone.
    """
    caller, settings = actor.caller, parts.settings.provisioning
    secrets = flag(request.query_params, "secrets")
    async with reading(parts.read_engine) as session:
        found = await find_phone(session, caller, id)
        device = await find_device(session, parts.vault, found.oid, settings)
        if device is None:
            raise not_found()
        if secrets:
            refuse_without_secrets(caller, parts)
        seen = await preview(session, device, secrets=secrets)
    if secrets:  # noted before they are told
        await parts.change(actor, None, lambda work: _note_reading(work, found.oid))
    may_read = caller.level >= parts.settings.secrets_level
    saved, loaded = device.saved[found.oid], device.loaded[found.oid]
    return json_answer(
        {"_id": found.oid, "configSaved": saved, "configLoaded": loaded} | _preview(seen, may_read)
    )


async def _note_reading(work: Work, oid: str) -> None:
    """Write to the audit log that the caller reads the secrets of a phone."""
    customer = await work.session.scalar(select(SipPhone.customer_id).where(SipPhone.oid == oid))
    work.record(READ_SECRETS, SipPhone.__tablename__, oid, customer=customer)


async def _admin(session: AsyncSession, phone: SipPhone, customer: str, actor: Actor, parts: Parts) -> Json:
    """Return the password of the phone's own pages for a caller who may read passwords, and note that."""
    if actor.caller.level < parts.settings.secrets_level:
        return {}
    row = await row_of(session, phone)
    if row is None:
        return {ADMIN: None, NEXT_ADMIN: None}
    parts.notes.read(actor.columns(), SipPhone.__tablename__, [phone.oid], customer, (ADMIN,))
    try:
        known = read_admin(row, parts.vault)
    except StoreUnavailable:
        log.error("the stored password of the pages of phone %s cannot be opened", phone.oid)
        return {ADMIN: None, NEXT_ADMIN: None}
    return {ADMIN: known.asked, NEXT_ADMIN: known.password if known.former else None}


async def _phone(session: AsyncSession, oid: str) -> SipPhone:
    """Return the row of a phone. Raise Refused (404) if it was deleted meanwhile."""
    phone = await session.scalar(select(SipPhone).where(SipPhone.oid == oid))
    if phone is None:
        raise not_found()
    return phone


def _refuse_several(document: Document) -> None:
    """Raise Refused (422) unless the body has exactly one action."""
    wanted = [name for name in ACTIONS if document.given(name) not in (None, False)]
    if len(wanted) == 1 and (wanted[0] == LINK or document.given(wanted[0]) is True):
        return
    message = f"Send exactly one of {', '.join(ACTIONS)}; {LINK} names a softphone, the others are true"
    raise refused(wanted[0] if wanted else ACTIONS[0], message, "required", 422)


def _action(id: str, document: Document, parts: Parts) -> Callable[[Work], Awaitable[Armed]]:
    """Return the one action of a body. Raise Refused (422) for networks that are none."""
    settings = parts.settings.provisioning
    networks = _networks(document)
    if document.given("expect"):
        return lambda work: expect(work, id, networks, settings)
    if document.given("rotate"):
        return lambda work: rotate(work, id, settings)
    if document.given("redirect"):
        return lambda work: redirect(work, id)
    return lambda work: rearm(work, id, settings)


def _networks(document: Document) -> str:
    """Return the networks, separated by commas. Raise Refused (422) unless they are a list of networks."""
    sent = document.given("networks")
    message = f"networks must be a list of at most {MAX_NETWORKS} addresses and networks"
    if sent is None or sent == []:
        return ""
    if not isinstance(sent, list) or len(sent) > MAX_NETWORKS:
        raise refused("networks", message, "format", 422)
    if not all(isinstance(one, str) and one.strip() and "," not in one for one in sent):
        raise refused("networks", message, "format", 422)
    return str(accepted(restriction(",".join(map(str, sent)), message), "networks"))


def _standing(oid: str, standing: Standing, redirect: Shown | None) -> Json:
    return {
        "_id": oid,
        "state": str(standing.state),
        "url": standing.url,
        "armedUntil": standing.armed_until,
        "expectedUntil": standing.expected_until,
        "expectedNetworks": list(standing.expected_networks),
        "redirect": redirect and asdict(redirect),
    }


def _preview(seen: Preview, may_read: bool) -> Json:
    return {
        "files": [
            {
                "name": file.name,
                "contentType": file.content_type,
                "text": file.text,
                **({"sha256": file.sha256} if may_read else {}),
                "loadedAt": file.loaded_at,
                "isLoaded": file.is_loaded,
                "diff": file.diff,
            }
            for file in seen.files
        ],
        "leftOut": [{"field": one.field, "reason": one.reason} for one in seen.left_out],
        "problems": [{"field": one.field, "reason": one.reason} for one in seen.problems],
        "warnings": list(seen.warnings),
    }
