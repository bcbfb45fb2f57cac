"""Webhooks of customers: how they are read from a body, and written."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.event_stream import NAMES

from .. import clock
from ..auth import Caller
from ..errors import too_many
from ..properties import fields_of
from ..tables import AuditLog, Customer, Webhook
from .audit import Work, new_oid, parse_oid
from .customers import listed, lock_owned, require_customer, visible
from .draft import Columns, Document, Draft
from .listing import Page, Sorts, only, read_page

"""Of one customer: each event is sent to all of them."""
WHAT: Final = "Webhook"
ACTIVE: Final = "ACTIVE"
TESTED: Final = "test"
"""The action in the audit log when a person tests a webhook."""
MAX_TESTS: Final = 10
"""Tests of a webhook within a minute; the URL may be that of a stranger."""
MINUTE: Final = timedelta(minutes=1)
SORTS: Final[Sorts] = {"created": (Webhook.id,), "url": (Webhook.url,)}
HTTPS_ONLY: Final = "url must begin with https:, because REGISTRAR_WEBHOOK_PRIVATE is not set"

Row = tuple[Webhook, str]
"""A webhook, and the id of its customer."""
_JOINED: Final[Select[*tuple[Any, ...]]] = select(Webhook, Customer.oid).join(
    Customer, Customer.id == Webhook.customer_id
)


async def list_webhooks(session: AsyncSession, caller: Caller, page: Page) -> tuple[int, list[Row]]:
    """Return how many webhooks match, and one page of them. Raise Refused (403, 404)."""
    scope: ColumnElement[bool] = await listed(session, caller, page.customer)
    found = _JOINED.where(and_(scope, visible(caller)))
    total, rows = await read_page(session, found, page, (Webhook.url,), SORTS, Webhook.id)
    return total, [(row[0], row[1]) for row in rows]


async def find_webhook(session: AsyncSession, caller: Caller, oid: object) -> Row:
    """Return a webhook. Raise Refused (404) if it is unknown or the caller may not see it."""
    row = await only(session, _JOINED.where(Webhook.oid == (parse_oid(oid) or ""), visible(caller)), WHAT)
    return row[0], row[1]


async def create_webhook(work: Work, document: Document, secret: str, after: str, *, plain: bool) -> Webhook:
    """Create a webhook that is sent what happens after a position. Raise Refused.

    `plain` allows http:.
    """
    customer = await require_customer(work.session, work.caller, document.given("customer"))
    columns = _columns(Draft(document), plain=plain)
    await work.room.take(work.session, customer, "webhooks")
    oid = new_oid()
    sealed = work.vault.seal(secret, oid)
    webhook = Webhook(oid=oid, customer_id=customer.id, secret_enc=sealed, after=after, **columns)
    await work.create(webhook)
    return webhook


async def update_webhook(work: Work, oid: str, document: Document, after: str, *, plain: bool) -> Webhook:
    """Change the properties that are sent. One that becomes ACTIVE is sent what happens after a position."""
    webhook, _ = await lock_owned(work.session, work.caller, Webhook, oid, WHAT)
    was_active = webhook.state == ACTIVE
    for name, value in _columns(Draft(document, webhook), plain=plain).items():
        setattr(webhook, name, value)
    if webhook.state == ACTIVE and not was_active:
        webhook.after, webhook.reason = after, None
        webhook.failures, webhook.failing_since, webhook.retry_at = 0, None, None
    await work.update(webhook)
    return webhook


async def new_secret(work: Work, oid: str, secret: str) -> Webhook:
    """Replace the secret; messages are signed with the new one from now on."""
    webhook, _ = await lock_owned(work.session, work.caller, Webhook, oid, WHAT)
    webhook.secret_enc = work.vault.seal(secret, webhook.oid)
    await work.update(webhook)
    return webhook


async def note_test(work: Work, oid: str) -> Webhook:
    """Write to the audit log that a webhook is tested, and return it. Raise Refused (404, 429)."""
    webhook, _ = await lock_owned(work.session, work.caller, Webhook, oid, WHAT)
    await _refuse_many_tests(work.session, webhook)
    work.record(TESTED, Webhook.__tablename__, webhook.oid)
    return webhook


async def _refuse_many_tests(session: AsyncSession, webhook: Webhook) -> None:
    """Raise Refused (429) after too many tests; the audit log counts those of all nodes."""
    now = clock.utc_now()
    lately = and_(AuditLog.row_oid == webhook.oid, AuditLog.action == TESTED, AuditLog.at > now - MINUTE)
    newest = select(AuditLog.at).where(lately).order_by(AuditLog.id.desc()).limit(MAX_TESTS)
    tests = list(await session.scalars(newest))
    if len(tests) >= MAX_TESTS:
        seconds = max(1, round(min(MINUTE, tests[-1] + MINUTE - now).total_seconds()))
        raise too_many(f"The webhook was tested {MAX_TESTS} times within a minute", seconds)


async def delete_webhook(work: Work, oid: str) -> None:
    """Delete a webhook, and what waits for it."""
    webhook, _ = await lock_owned(work.session, work.caller, Webhook, oid, WHAT)
    await work.delete(webhook)


def _columns(draft: Draft[Webhook], *, plain: bool) -> Columns:
    """Return the columns to write. Raise Refused with all problems."""
    draft.read_fields(fields_of(Webhook))
    if draft.was_sent("url") and not draft.is_wrong("url"):
        _check_url(draft, plain=plain)
    _read_events(draft)
    draft.refuse_problems()
    return draft.values


def _check_url(draft: Draft[Webhook], *, plain: bool) -> None:
    url = str(draft.values.get("url", ""))
    parts = urlsplit(url)
    try:
        has_place = parts.port != 0
    except ValueError:
        has_place = False
    if not url.isascii():
        draft.wrong("url", "url must be ASCII: write other characters as %C3%A9, a name as xn--...")
    elif not has_place:
        draft.wrong("url", "url must have a port from 1 to 65535, or none")
    elif parts.scheme != "https" and not plain:
        draft.wrong("url", HTTPS_ONLY)
    elif parts.username is not None or parts.password is not None:
        draft.wrong("url", "url must not have a name or a password in it: check the signature instead")


def _read_events(draft: Draft[Webhook]) -> None:
    """Read the names of events. An empty list means all."""
    sent = draft.read_array("events")
    if sent is None:
        draft.values |= {} if draft.stored is not None else {"events": []}
        return
    unknown: Sequence[object] = [name for name in sent if name not in NAMES]
    if unknown:
        draft.wrong("events", f"events may have these names: {', '.join(NAMES)}", check="enum")
    else:
        draft.values["events"] = list(dict.fromkeys(sent))
