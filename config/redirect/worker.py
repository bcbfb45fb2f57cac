"""The job that tells the redirect services what the outbox has; of several processes, one does it.

Each service has one task, which makes one request after the other.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.store.vault import Vault

from ..database import reading, writing
from ..leases import LostLease, release_lease, take_lease
from ..tables import RedirectLease
from . import queue
from .client import Client
from .outbox import opened
from .outcome import Outcome, Service, Unanswered, later
from .queue import Job

LOOK_SECONDS: Final = 2.0
"""How often a process looks for rows that are due."""
RENEW_SECONDS: Final = 3.0
DRAIN_SECONDS: Final = 5.0
"""How long a stop waits for the services that are being asked."""
SECRET_LENGTH: Final = 16
"""A part of a URL that is so long may be a secret."""

Done = TypeVar("Done")
log = logging.getLogger(__name__)


class Redirector:
    """Tells the services which phones they are to send where."""

    def __init__(
        self,
        engine: AsyncEngine,
        read_engine: AsyncEngine,
        vault: Vault,
        client: Client,
        services: Mapping[str, Service],
        now: Callable[[], Epoch],
        owner: str,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Create an idle job; `run` makes it work. `owner` names this process, and no other.

        `client` is the one that the services use; it is closed at the end.
        """
        self._engine = engine
        self._read_engine = read_engine
        self._vault = vault
        self._client = client
        self._services = services
        self._now = now
        self._owner = owner
        self._look_seconds = look_seconds
        self._stopping = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then end the requests that are being made, so that none is made twice."""
        if not self._services:
            await stop.wait()
            return
        async with asyncio.TaskGroup() as tasks:
            leading = tasks.create_task(self._lead())
            await stop.wait()
            self._stopping.set()
            await asyncio.wait([leading], timeout=DRAIN_SECONDS)
            leading.cancel()
        await self._client.close()

    async def _lead(self) -> None:
        while not self._stopping.is_set():
            try:
                if await self._has_work() and await self._has_lease():
                    await self._work()
            except* LostLease:
                log.warning("another process asks the redirect services from now on")
            except* (SQLAlchemyError, StoreUnavailable, OSError) as errors:
                log.warning("the redirect services wait: %s", type(errors.exceptions[0]).__name__)
            except* Exception:  # a fault here must not end the process that also serves the phones
                log.exception("the redirect services wait: a fault in their outbox")
            await _wait_for(self._stopping, self._look_seconds)
        with contextlib.suppress(SQLAlchemyError, OSError):
            await self._write(lambda session: release_lease(session, RedirectLease, self._owner))

    async def _has_lease(self) -> bool:
        return await self._write(lambda session: take_lease(session, RedirectLease, self._owner, self._now()))

    async def _has_work(self) -> bool:
        async with reading(self._read_engine) as session:
            return await queue.has_work(session, tuple(self._services))

    async def _work(self) -> None:
        """Ask the services until the stop, until nothing waits, or until the lease is lost (LostLease)."""
        await self._write(lambda session: queue.adopt(session, tuple(self._services)))
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for name, service in self._services.items():
                tasks.create_task(self._serve(name, service, over))
            while not self._stopping.is_set() and await self._has_work():
                if not await self._has_lease():
                    raise LostLease
                await _wait_for(self._stopping, min(RENEW_SECONDS, self._look_seconds))
            over.set()

    async def _serve(self, name: str, service: Service, over: asyncio.Event) -> None:
        """Make the requests to one service that are due, one after the other."""
        while not over.is_set() and not self._stopping.is_set():
            job = await self._write(lambda session: queue.take_due(session, name, self._now()))
            if job is None:
                await _wait_for(over, self._look_seconds)
                continue
            outcome = await self._ask(service, job)
            log.info("redirect service %s: %s: %s", name, job.mac, outcome.error or outcome.verdict.value)
            await self._write(partial(self._record, job, outcome))

    async def _record(self, job: Job, outcome: Outcome, session: AsyncSession) -> None:
        await queue.record(session, job, outcome, self._now())

    async def _ask(self, service: Service, job: Job) -> Outcome:
        """Return what came of a request; no error is raised."""
        try:
            if job.url_enc is None:
                return await service.deregister(job.mac)
            url = opened(self._vault, job.url_enc, job.mac)
            outcome = await service.register(job.mac, url)
            return replace(outcome, error=without_secrets(outcome.error, url))
        except (Unanswered, StoreUnavailable) as error:
            return later(str(error))
        except Exception as error:  # one phone must not end the process that also serves the others
            log.exception("a request to a redirect service could not be made")
            return later(f"the request cannot be made: {type(error).__name__}")

    async def _write(self, work: Callable[[AsyncSession], Awaitable[Done]]) -> Done:
        return await writing(self._engine, work)


def without_secrets(text: str, url: str) -> str:
    """Return a text of a service without the long parts of the URL that it was sent."""
    for part in re.findall(rf"[A-Za-z0-9_-]{{{SECRET_LENGTH},}}", url):
        text = re.sub(re.escape(part), "...", text, flags=re.IGNORECASE)
    return text


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, or when the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
