"""The routes below /webhook: the web servers that are told events of a customer."""

from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from registrar.store.event_stream import NAMES

from ..auth import Caller
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..errors import Refused, refused, too_many
from ..operations import webhooks
from ..operations.audit import Work
from ..operations.draft import Document
from ..preconditions import tagged_by_content, with_etag
from ..properties import fields_of
from ..tables import Webhook, WebhookDelivery
from ..webhooks import queue
from ..webhooks.addresses import Forbidden, Unresolved
from ..webhooks.courier import Busy
from ..webhooks.message import new_secret
from ..webhooks.sender import SECONDS
from .paging import DEFAULT_LIMIT, clamped, read_page
from .resource import DELETE, shown, target_of, written
from .schema import (
    MOMENT,
    READ,
    RESET,
    TAGGED,
    WRITE,
    Schema,
    an_id,
    answer,
    array,
    changes,
    form,
    moment,
    of,
    operation,
    page,
    paging,
    query,
    sure,
)
from .shown import Json, Shown, json_answer, json_of
from .shown import shown as attribute

MAX_LIMIT: Final = 500
HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80

_EVENTS: Final = array(sure("string", enum=list(NAMES)), "The names of the events that are sent; empty: all")
_SECRET: Final = sure(
    "string",
    "With it, check the signature of each message. It is shown in this answer only",
    example="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
)
_OWN: Final = {field.path: shown(field) for field in fields_of(Webhook)}
_ROW: Final[dict[str, Schema]] = {
    "_id": an_id(),
    "customer": an_id("Id of the customer"),
    **_OWN,
    "events": _EVENTS,
    "reason": of("string", "Why the server disabled it"),
    "failures": sure("integer", "Failed requests since the last success", minimum=0),
    "failingSince": moment("The first failure since the last success"),
    "waiting": sure("integer", "How many events wait", minimum=0),
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
}
_WEBHOOK: Final = answer("Webhook", _ROW)
_EXAMPLE: Final = {"url": "https://example.com/events", "events": ["registered", "call-ended"]}
_BODY: Final = {field.path: written(field) for field in fields_of(Webhook)} | {"events": _EVENTS}
_LIST: Final = operation(
    page("Webhooks", "webhooks", _WEBHOOK),
    TAGGED,
    parameters=[
        *paging(DEFAULT_LIMIT, MAX_LIMIT),
        query("filter", "string", "Text in url"),
        query("sort", "string", "Order", enum=list(webhooks.SORTS), default="created"),
        query("customer", "string", "Id of the customer; by default one's own"),
    ],
)
_SHOW: Final = operation(_WEBHOOK, READ)
_CREATE: Final = operation(
    answer("Webhook with its secret", _ROW | {"secret": _SECRET}),
    WRITE,
    form(
        "New webhook",
        _BODY | {"customer": an_id("Id of the customer, by default one's own")},
        ["url"],
        example=_EXAMPLE,
    ),
)
_CHANGE: Final = operation(
    _WEBHOOK, WRITE, changes(form("Webhook change", _BODY, example={"state": "ACTIVE"}))
)
_NEW_SECRET: Final = operation(answer("Secret of a webhook", {"secret": _SECRET}), RESET)
_TEST: Final = operation(
    answer(
        "Test of a webhook",
        {
            "delivered": sure("boolean", "Whether the web server accepted the message"),
            "status": of("integer", "The HTTP status; null: there was no answer", example=200),
            "error": of("string", "What was wrong", example="no answer within 15 s"),
            "milliseconds": sure("integer", "How long it took", minimum=0),
        },
    ),
    RESET,
)
_LINES: Final[Sequence[Shown[WebhookDelivery]]] = (
    attribute("id", sure("string", "The `webhook-id` of the message"), "message_id"),
    attribute("event", sure("string", "Name of the event", example="registered")),
    attribute("state", sure("string", enum=[queue.PENDING, queue.DELIVERED, queue.FAILED])),
    attribute("createdAt", MOMENT, "created_at"),
    attribute("attempts", sure("integer", "How often it was sent", minimum=0)),
    attribute("lastAt", moment("The last try"), "last_at"),
    Shown(
        "nextAt",
        moment("Not before this time it is sent again"),
        lambda one: one.next_at if one.state == queue.PENDING else None,
    ),
    attribute("status", of("integer", "The HTTP status of the last try; null: there was no answer")),
    attribute("error", of("string", "What was wrong with the last try")),
    attribute("milliseconds", of("integer", "How long the last try took")),
)
_DELIVERY: Final = answer("Delivery", {line.path: line.schema for line in _LINES})
_DELIVERIES: Final = operation(
    answer("Deliveries", {"deliveries": array(_DELIVERY, "The newest first")}),
    READ,
    parameters=[query("limit", "integer", "How many", default=DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT)],
)

WebhookId = Annotated[str, Path(description="Id of the webhook, 24 hex digits")]

routes = APIRouter(prefix="/webhook", tags=["Webhooks"])


@routes.get("", summary="List webhooks", openapi_extra=_LIST)
async def list_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """List the webhooks of a customer, the oldest first; their secrets are not shown."""
    asked = read_page(request.query_params, DEFAULT_LIMIT, MAX_LIMIT, webhooks.SORTS)
    async with reading(parts.read_engine) as session:
        total, rows = await webhooks.list_webhooks(session, caller, asked)
        waiting = await queue.counts(session, [webhook.id for webhook, _ in rows])
    shown_rows = [_json(webhook, customer, waiting.get(webhook.id, 0)) for webhook, customer in rows]
    body: Json = {"offset": asked.offset, "limit": asked.limit, "total": total, "webhooks": shown_rows}
    return tagged_by_content(request, json_answer(body))


@routes.post("", summary="Create a webhook", openapi_extra=_CREATE)
async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Create a webhook. The answer has its secret, which is not shown again."""
    await _refuse_private(document, actor.caller, parts)
    secret, after = new_secret(), await parts.deliverer.position()
    created = await parts.change(
        actor,
        None,
        lambda work: webhooks.create_webhook(work, document, secret, after, plain=_is_plain(parts)),
    )
    parts.deliverer.wake()
    return await _shown(created.oid, actor.caller, parts, {"secret": secret})


@routes.get("/{id}", summary="Show a webhook", openapi_extra=_SHOW)
async def show_route(id: WebhookId, caller: CallerDep, parts: PartsDep) -> Response:
    """Return a webhook, and how it does."""
    return await _shown(id, caller, parts)


@routes.patch("/{id}", summary="Change a webhook", openapi_extra=_CHANGE)
async def change_route(id: WebhookId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
    """Change the properties that are sent. `state` ACTIVE enables it again."""
    await _refuse_private(document, actor.caller, parts)
    after = await parts.deliverer.position() if document.given("state") else ""
    changed = await parts.change(
        actor,
        target_of(Webhook.revision, id),
        lambda work: _change(work, id, document, after, parts),
    )
    parts.deliverer.wake()
    return await _shown(changed.oid, actor.caller, parts)


@routes.delete("/{id}", summary="Delete a webhook", openapi_extra=DELETE)
async def delete_route(id: WebhookId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Delete a webhook, with the events that wait for it."""
    await parts.change(actor, target_of(Webhook.revision, id), lambda work: webhooks.delete_webhook(work, id))
    return JSONResponse({"success": True})


@routes.post("/{id}/secret", summary="Make a new secret", openapi_extra=_NEW_SECRET)
async def secret_route(id: WebhookId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Replace the secret. Messages are signed with the new one at once."""
    secret = new_secret()
    await parts.change(
        actor, target_of(Webhook.revision, id), lambda work: webhooks.new_secret(work, id, secret)
    )
    return JSONResponse({"secret": secret})


@routes.post("/{id}/test", summary="Test a webhook", openapi_extra=_TEST)
async def test_route(id: WebhookId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Send a message of the type `test` now, and return what the web server answered.

    One test of a webhook runs at a time, and ten begin within a minute: 429.
    """
    async with reading(parts.read_engine) as session:
        found, customer = await webhooks.find_webhook(session, actor.caller, id)
    target = target_of(Webhook.revision, id)
    try:
        with parts.courier.testing(found.oid, customer):
            webhook = await parts.change(actor, target, lambda work: webhooks.note_test(work, id))
            outcome = await parts.courier.test(webhook, customer)
    except Busy as busy:
        raise _later(busy) from None
    return JSONResponse(
        {
            "delivered": not outcome.error,
            "status": outcome.status,
            "error": outcome.error or None,
            "milliseconds": outcome.milliseconds,
        }
    )


@routes.get("/{id}/deliveries", summary="List the deliveries of a webhook", openapi_extra=_DELIVERIES)
async def deliveries_route(id: WebhookId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the newest messages: those that wait, and the last that were sent."""
    limit = clamped(request.query_params, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    async with reading(parts.read_engine) as session:
        webhook, _ = await webhooks.find_webhook(session, caller, id)
        found = await queue.newest(session, webhook.id, limit)
    return json_answer({"deliveries": [json_of(one, _LINES) for one in found]})


async def _change(work: Work, id: str, document: Document, after: str, parts: Parts) -> Webhook:
    """Change a webhook. Give up what waits for it if it is DISABLED then."""
    webhook = await webhooks.update_webhook(work, id, document, after, plain=_is_plain(parts))
    if webhook.state == queue.DISABLED:
        await queue.end_waiting(work.session, webhook.id)
    return webhook


async def _shown(id: str, caller: Caller, parts: Parts, more: Json | None = None) -> Response:
    async with reading(parts.read_engine) as session:
        webhook, customer = await webhooks.find_webhook(session, caller, id)
        waiting = await queue.counts(session, [webhook.id])
    body = _json(webhook, customer, waiting.get(webhook.id, 0)) | (more or {})
    return with_etag(json_answer(body), (webhook.revision,))


def _json(webhook: Webhook, customer: str, waiting: int) -> Json:
    own: Json = {field.path: getattr(webhook, field.column) for field in fields_of(Webhook)}
    return (
        {"_id": webhook.oid, "customer": customer}
        | own
        | {
            "events": webhook.events,
            "reason": webhook.reason,
            "failures": webhook.failures,
            "failingSince": webhook.failing_since,
            "waiting": waiting,
            "createdAt": webhook.created_at,
            "updatedAt": webhook.updated_at,
        }
    )


def _is_plain(parts: Parts) -> bool:
    """Return whether http: is allowed beside https:."""
    return bool(parts.settings.webhook_private)


def _later(busy: Busy) -> Refused:
    """Return the 429 for a request to a web server that may not begin now."""
    return too_many(str(busy), round(SECONDS))


async def _refuse_private(document: Document, caller: Caller, parts: Parts) -> None:
    """Raise Refused if the host of the URL in a body has an address that may not be asked, or none (422).

    Raise it also if too many requests for the caller's customer are under way (429).
    """
    url = document.given("url")
    try:
        place = urlsplit(url) if isinstance(url, str) else None
        host, port = (place.hostname, place.port) if place else (None, None)
    except ValueError:
        return  # the check of the property says what is wrong
    if not place or not host:
        return
    default = HTTPS_PORT if place.scheme == "https" else HTTP_PORT
    try:
        await parts.courier.check(host, port or default, caller.customer or "")
    except (Forbidden, Unresolved) as error:
        raise refused("url", f"url: {error}", "allowed", 422) from None
    except Busy as busy:
        raise _later(busy) from None
