"""The deliveries that wait, in SQL: taken from the stream with its position, and ended, in one transaction.

They are not in Redis, because Redis may lose its last second, and because a web server may be away for a day,
which is longer than the stream of all events is kept.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVarTuple

from sqlalchemy import Select, Update, and_, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from registrar.model import Epoch
from registrar.store.event_stream import FIRST, order

from .. import clock
from ..audit.system import by_itself
from ..leases import LostLease, changed
from ..tables import AuditLog, Customer, Webhook, WebhookDelivery, WebhookFeed
from .message import GIVE_UP_SECONDS, retry_seconds
from .sender import Outcome

MAX_WAITING: Final = 50_000
"""Deliveries that wait for one webhook; with more, it is disabled."""
KEPT: Final = 100
"""Deliveries that are kept after their end, for each webhook."""
DISABLE: Final = "disable"
"""The action in the audit log when this service disables a webhook."""
PATIENT_AFTER: Final = 3
"""After so many failures in a row, one delivery at a time shows whether the web server is back."""
GONE: Final = 410
ACTIVE, DISABLED = "ACTIVE", "DISABLED"
PENDING, DELIVERED, FAILED = "PENDING", "DELIVERED", "FAILED"
TOO_MANY: Final = f"more than {MAX_WAITING} events waited"
NOT_SENT: Final = "not sent: the webhook was disabled"
CUSTOMER_GONE: Final = "DELETED"

Columns = TypeVarTuple("Columns")


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook as far as events are chosen for it."""

    id: int
    customer: str
    events: frozenset[str]
    after: tuple[int, int]

    def wants(self, event: str, customer: str, id: tuple[int, int]) -> bool:
        """Return whether an event is to be sent."""
        is_new = customer == self.customer and id > self.after
        return is_new and (not self.events or event in self.events)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A webhook for which deliveries wait."""

    id: int
    customer: str


@dataclass(frozen=True, slots=True)
class Taken:
    """An event for a webhook."""

    webhook: int
    message_id: str
    event: str
    lane: str
    body: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one try."""

    delivery: int
    outcome: Outcome
    begun: Epoch
    ended: Epoch


@dataclass(frozen=True, slots=True)
class Health:
    """How a webhook has answered lately; the names are those of columns."""

    failures: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None


HEALTHY: Final = Health()


# Position


async def position(session: AsyncSession) -> str:
    """Return where the reading goes on: after what was taken, but not before the first webhook began."""
    taken = await session.scalar(select(WebhookFeed.position)) or FIRST
    begun = list(await session.scalars(_active(select(Webhook.after))))
    return max(taken, min(begun, key=order, default=taken), key=order)


async def has_work(session: AsyncSession) -> bool:
    """Return whether there is a webhook that is sent to."""
    return await session.scalar(_active(select(Webhook.id)).limit(1)) is not None


async def targets(session: AsyncSession, customers: Collection[str]) -> list[Target]:
    """Return the webhooks of these customers that are sent to."""
    columns = select(Webhook.id, Customer.oid, Webhook.events, Webhook.after)
    rows = await session.execute(_active(columns).where(Customer.oid.in_(customers)))
    return [Target(id, customer, frozenset(events), order(after)) for id, customer, events, after in rows]


async def take(session: AsyncSession, owner: str, now: Epoch, events: Sequence[Taken], last: str) -> None:
    """Add deliveries, and note that the stream was read up to `last`. Raise LostLease.

    A webhook that was deleted or disabled since the events were chosen gets none.
    """
    mine = update(WebhookFeed).where(WebhookFeed.id == 1, WebhookFeed.owner == owner)
    if await changed(session, mine.values(position=last)) != 1:
        raise LostLease
    at, alive = clock.utc_exact(now), await _lock_active(session, {one.webhook for one in events})
    session.add_all(
        WebhookDelivery(
            webhook_id=one.webhook,
            message_id=one.message_id,
            event=one.event,
            lane=one.lane,
            body=one.body,
            created_at=at,
            next_at=at,
        )
        for one in events
        if one.webhook in alive
    )
    await session.flush()
    await _disable_crowded(session, alive)


async def _lock_active(session: AsyncSession, ids: Collection[int]) -> set[int]:
    """Return those of the webhooks that are sent to; they stay so until the end of the transaction."""
    found = _active(select(Webhook.id)).where(Webhook.id.in_(ids))
    return set(await session.scalars(found.with_for_update(read=True, of=Webhook)))


async def _disable_crowded(session: AsyncSession, webhooks: Collection[int]) -> None:
    counted = (
        select(WebhookDelivery.webhook_id)
        .where(WebhookDelivery.webhook_id.in_(webhooks), WebhookDelivery.state == PENDING)
        .group_by(WebhookDelivery.webhook_id)
        .having(func.count() > MAX_WAITING)
    )
    for id in list(await session.scalars(counted)):
        await disable(session, id, TOO_MANY)


# What is to be sent


async def waiting(session: AsyncSession) -> list[Waiting]:
    """Return the webhooks for which deliveries wait."""
    pending = exists().where(WebhookDelivery.webhook_id == Webhook.id, WebhookDelivery.state == PENDING)
    rows = await session.execute(_active(select(Webhook.id, Customer.oid)).where(pending))
    return [Waiting(id, customer) for id, customer in rows]


async def find_active(session: AsyncSession, id: int) -> Webhook | None:
    """Return a webhook that is sent to, or None."""
    found: Webhook | None = await session.scalar(_active(select(Webhook)).where(Webhook.id == id))
    return found


async def due(
    session: AsyncSession, webhook: Webhook, now: Epoch, busy: Collection[str], count: int
) -> list[WebhookDelivery]:
    """Return deliveries that are sent now: at most `count`, the first of each lane that is not `busy`.

    After several failures in a row it is the oldest one alone, at the time of the next try.
    """
    firsts = _firsts(webhook.id).where(WebhookDelivery.lane.not_in(busy))
    moment = clock.utc_exact(now)
    if webhook.failures >= PATIENT_AFTER:
        is_early = webhook.retry_at is not None and webhook.retry_at > moment
        count = 0 if busy or is_early else 1
    else:
        firsts = firsts.where(WebhookDelivery.next_at <= moment)
    return list(await session.scalars(firsts.limit(count))) if count > 0 else []


def _firsts(webhook: int) -> Select[WebhookDelivery]:
    """Return the statement for the first delivery of each lane."""
    earlier = aliased(WebhookDelivery)
    behind = exists().where(
        earlier.webhook_id == webhook,
        earlier.state == PENDING,
        earlier.lane == WebhookDelivery.lane,
        earlier.id < WebhookDelivery.id,
    )
    mine = and_(WebhookDelivery.webhook_id == webhook, WebhookDelivery.state == PENDING)
    return select(WebhookDelivery).where(mine, ~behind).order_by(WebhookDelivery.id)


# What came of it


async def record(session: AsyncSession, id: int, results: Sequence[Result]) -> None:
    """Write what came of tries for one webhook, in their order."""
    webhook = await session.get(Webhook, id, with_for_update=True)
    if webhook is None or webhook.state != ACTIVE:
        return
    before = Health(webhook.failures, webhook.failing_since, webhook.retry_at)
    health = before
    for result in results:
        delivery = await session.get(WebhookDelivery, result.delivery)
        if delivery is None or delivery.state != PENDING:
            continue
        _note(delivery, result)
        why = _given_up(delivery, result)
        if why:
            await disable(session, id, why)
            return
        health = await _delivered(session, delivery, health, result) or _failed(delivery, health, result)
    if health != before:  # no change of the configuration: the ETag stays
        values = asdict(health) | {"revision": Webhook.revision, "updated_at": Webhook.updated_at}
        await session.execute(update(Webhook).where(Webhook.id == id).values(values))


def _note(delivery: WebhookDelivery, result: Result) -> None:
    delivery.attempts += 1
    delivery.first_at = delivery.first_at or clock.utc_exact(result.begun)
    delivery.last_at = clock.utc_exact(result.begun)
    delivery.status = result.outcome.status
    delivery.error = result.outcome.error or None
    delivery.milliseconds = result.outcome.milliseconds


def _given_up(delivery: WebhookDelivery, result: Result) -> str:
    """Return why nothing more is sent to the webhook; empty: it goes on."""
    if result.outcome.status == GONE:
        return "the web server answered 410 Gone"
    at = clock.utc_exact(result.ended)
    since = delivery.first_at or at
    if not result.outcome.error or at - since < timedelta(seconds=GIVE_UP_SECONDS):
        return ""
    return f"an event failed for {GIVE_UP_SECONDS // 3_600} hours; last: {result.outcome.error}"


async def _delivered(
    session: AsyncSession, delivery: WebhookDelivery, health: Health, result: Result
) -> Health | None:
    """Note a success, and return the new health. Return None for a failure."""
    if result.outcome.error:
        return None
    delivery.state = DELIVERED
    if health.failures >= PATIENT_AFTER:  # it is back: the others need not wait for their own time
        late = _waiting_of(delivery.webhook_id).values(next_at=clock.utc_exact(result.ended))
        await session.execute(late)
    return HEALTHY


def _failed(delivery: WebhookDelivery, health: Health, result: Result) -> Health:
    """Note a failure, and return the new health."""
    at = clock.utc_exact(result.ended)
    delivery.next_at = at + timedelta(seconds=retry_seconds(delivery.attempts))
    failures = health.failures + 1
    patient = failures - PATIENT_AFTER + 1
    retry_at = at + timedelta(seconds=retry_seconds(patient)) if patient > 0 else None
    return Health(failures, health.failing_since or clock.utc_exact(result.begun), retry_at)


async def disable(session: AsyncSession, id: int, reason: str) -> None:
    """Send nothing more to a webhook, say why, and write that to the audit log."""
    values = {"state": DISABLED, "reason": reason, **asdict(HEALTHY)}
    await session.execute(update(Webhook).where(Webhook.id == id).values(values))
    found = await session.execute(select(Webhook.oid, Webhook.customer_id).where(Webhook.id == id))
    told = {"state": DISABLED, "reason": reason}
    rows = [
        by_itself(DISABLE, Webhook.__tablename__, oid, customer, changes={"after": told})
        for oid, customer in found
    ]
    if rows:
        await session.execute(insert(AuditLog), rows)
    await end_waiting(session, id)


async def end_waiting(session: AsyncSession, id: int) -> None:
    """Mark the deliveries that wait as failed, and delete all but the newest."""
    await session.flush()
    error = func.coalesce(WebhookDelivery.error, NOT_SENT)
    await session.execute(_waiting_of(id).values(state=FAILED, error=error))
    await forget_old(session, id)


def _waiting_of(id: int) -> Update:
    """Return the statement that changes the deliveries that wait for a webhook."""
    mine = and_(WebhookDelivery.webhook_id == id, WebhookDelivery.state == PENDING)
    return update(WebhookDelivery).where(mine).execution_options(synchronize_session=False)


async def forget_old(session: AsyncSession, id: int) -> None:
    """Delete the deliveries that ended, but for the newest."""
    ended = and_(WebhookDelivery.webhook_id == id, WebhookDelivery.state.in_((DELIVERED, FAILED)))
    found = select(WebhookDelivery.id).where(ended).order_by(WebhookDelivery.id.desc())
    newest = await session.scalar(found.offset(KEPT).limit(1))
    if newest is not None:
        old = delete(WebhookDelivery).where(ended, WebhookDelivery.id <= newest)
        await session.execute(old.execution_options(synchronize_session=False))


async def newest(session: AsyncSession, id: int, count: int) -> Sequence[WebhookDelivery]:
    """Return the newest deliveries of a webhook, the newest first."""
    statement = select(WebhookDelivery).where(WebhookDelivery.webhook_id == id)
    return (await session.scalars(statement.order_by(WebhookDelivery.id.desc()).limit(count))).all()


async def counts(session: AsyncSession, ids: Collection[int]) -> Mapping[int, int]:
    """Return how many deliveries wait for each of these webhooks."""
    statement = (
        select(WebhookDelivery.webhook_id, func.count())
        .where(WebhookDelivery.webhook_id.in_(ids), WebhookDelivery.state == PENDING)
        .group_by(WebhookDelivery.webhook_id)
    )
    return dict((await session.execute(statement)).all())


def _active(statement: Select[*Columns]) -> Select[*Columns]:
    """Return a statement on Webhook for those that are sent to."""
    joined = statement.join(Customer, Customer.id == Webhook.customer_id)
    return joined.where(Webhook.state == ACTIVE, Customer.state != CUSTOMER_GONE)
