"""The rows of the outbox as the worker has them: which is due, and what came of it."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from registrar.model import Epoch

from .. import clock
from ..tables import Redirect
from ..tables.redirects import MAX_ERROR
from .outbox import FAILED, FOREIGN, PENDING, REGISTERED
from .outcome import Outcome, Verdict
from .services import VENDORS

FIRST_SECONDS: Final = 30
LAST_SECONDS: Final = 3_600
DOUBLINGS: Final = 7
"""30 s doubled so often is more than an hour."""
JITTER: Final = 0.25


@dataclass(frozen=True, slots=True)
class Job:
    """A request to a service."""

    id: int
    revision: int
    mac: str
    url_enc: str | None
    """Where the phone is to be sent, sealed; None: the service is to forget it."""


def retry_seconds(tries: int, chance: float) -> float:
    """Return after how many seconds a request is made again that has failed so often, from 1.

    `chance` is a random number from 0 to 1, so that those that failed together do not come again together.
    """
    seconds = min(FIRST_SECONDS << min(tries - 1, DOUBLINGS), LAST_SECONDS)
    spread = seconds * (1 - JITTER + 2 * JITTER * chance)
    return min(max(spread, FIRST_SECONDS), LAST_SECONDS)


async def has_work(session: AsyncSession, services: Collection[str]) -> bool:
    """Return whether a row waits for one of these services."""
    waiting = select(Redirect.id).where(Redirect.service.in_(services), Redirect.state == PENDING)
    return await session.scalar(waiting.limit(1)) is not None


async def adopt(session: AsyncSession, services: Collection[str]) -> None:
    """Give rows that were never sent to a service with an account, if their own has none."""
    for known in VENDORS.values():
        chosen = next((one for one in known if one in services), None)
        others = [one for one in known if one not in services]
        if chosen is None or not others:
            continue
        same = aliased(Redirect)
        taken = exists().where(same.mac == Redirect.mac, same.service == chosen)
        waiting = Redirect.service.in_(others), Redirect.state == PENDING, Redirect.was_sent.is_(False)
        await session.execute(
            update(Redirect)
            .where(*waiting, ~taken)
            .values(service=chosen)
            .execution_options(synchronize_session=False)
        )


async def take_due(session: AsyncSession, service: str, now: Epoch) -> Job | None:
    """Return the next request to a service, or None. From now on the service may know the MAC address."""
    statement = (
        select(Redirect)
        .where(
            Redirect.service == service,
            Redirect.state == PENDING,
            Redirect.next_at <= clock.utc_exact(now),
        )
        .order_by(Redirect.next_at, Redirect.id)
        .limit(1)
        .with_for_update()
    )
    row = await session.scalar(statement)
    if row is None:
        return None
    row.was_sent = True
    return Job(row.id, row.revision, row.mac, row.url_enc)


async def record(session: AsyncSession, job: Job, outcome: Outcome, now: Epoch) -> None:
    """Write what came of a request, unless something else is wanted since it was made."""
    row = await session.get(Redirect, job.id, with_for_update=True)
    if row is None or row.revision != job.revision:
        return
    row.last_error = outcome.error[:MAX_ERROR] or None
    is_gone = job.url_enc is None and outcome.verdict in (Verdict.DONE, Verdict.FOREIGN)
    if is_gone:
        await session.delete(row)
    elif outcome.verdict is Verdict.DONE:
        row.state, row.tries = REGISTERED, 0
    elif outcome.verdict is Verdict.FOREIGN:
        row.state, row.was_sent = FOREIGN, False
    elif outcome.verdict is Verdict.REFUSED and job.url_enc is not None:
        row.state = FAILED
    else:
        row.tries += 1
        wait = retry_seconds(row.tries, random.random())
        row.next_at = clock.utc_exact(now) + timedelta(seconds=wait)
