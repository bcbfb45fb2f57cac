"""Queue of the NOTIFYs by which the config API makes phones load their configuration, or restart.

An order comes from Redis and names one phone. Orders of API requests that wait for the phone's answer go
first. All orders of a process share one pace with jitter, so a fleet does not come for its files at once.
Orders that wait for the same device and event are one NOTIFY: the handsets of a DECT base share their MAC
address.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Phone
from registrar.ports import Clock, DialPlan, Location
from registrar.rules import notify
from registrar.rules.notify import Dialogless, Order, Outcome, Result
from registrar.rules.pings import without_headers
from registrar.rules.routing import devices
from registrar.rules.tokens import Target
from registrar.sip import Request, Response
from registrar.transaction import Key, TableFull

from ..network import ClientTransactionUser, Network

USER: Final = "notify"
"""User part of our Contact."""
log = logging.getLogger(__name__)


class Line(Protocol):
    """What this handler needs of the handlers of calls."""

    def send(
        self, target: Target, user: str, draft: Callable[[str, str], Request], sender: ClientTransactionUser
    ) -> Key | None:
        """Send a request, and return its key, or None if there is no way to the target.

        `draft` returns the request with the given Via and Contact; `user` is the user part of our Contact.
        Raises TableFull.
        """


@dataclass(slots=True)
class _Job:
    order: Order
    ids: list[str] = field(default_factory=list)
    """The API requests that wait for the result."""
    seconds: float | None = None
    """Seconds that its turn was away when the first API request asked for it; None: no request waits."""
    begun: bool = False


class Reloads:
    """Queue of the orders of this process, with the transactions that carry them out."""

    def __init__(
        self,
        line: Line,
        network: Network,
        directory: DialPlan,
        location: Location,
        clock: Clock,
        metrics: Metrics,
        report: Callable[[str, Result], None],
        start_task: Callable[[Coroutine[None, None, None]], object],
        new_id: Callable[[], str],
        roll: Callable[[], float],
        *,
        node: str,
        service: str,
        seconds: float = notify.ANSWER_SECONDS,
    ) -> None:
        """Create an empty queue. `report` tells the API the result of the order with an id.

        `service` is our own domain, for phones of customers without one. `seconds` is how long a phone may
        take for its answer.
        """
        self._line = line
        self._network = network
        self._directory = directory
        self._location = location
        self._clock = clock
        self._metrics = metrics
        self._report = report
        self._start_task = start_task
        self._new_id = new_id
        self._roll = roll
        self._node = node
        self._service = service
        self._seconds = seconds
        self._jobs: dict[tuple[str, str], _Job] = {}
        """Device and event -> the job that waits. A phone may have read its file before a later order."""
        self._awaited: deque[_Job] = deque()
        self._fleet: deque[_Job] = deque()
        self._wanted = asyncio.Event()

    def heard(self, text: str) -> None:
        """Handle a message of the API; every process gets it, and one is named in it."""
        order = notify.parse_order(text)
        if order is None:
            log.warning("an order for a NOTIFY that cannot be read: %.200r", text)
        elif order.node == self._node:
            self._take(order)

    async def run(self) -> None:
        """Send what is ordered, at the pace of this process, until cancelled."""
        while True:
            await self._wanted.wait()
            job = self._next()
            if job is None:
                self._wanted.clear()
                continue
            job.begun = True
            del self._jobs[job.order.device, job.order.event]
            self._start_task(self._serve(job))
            await asyncio.sleep(notify.gap(self._roll()))

    def _take(self, order: Order) -> None:
        """Let an order wait for its turn, or join one that waits for the same device and event."""
        key = order.device, order.event
        job = self._jobs.get(key)
        if job is None and len(self._jobs) >= notify.MAX_WAITING:
            self._metrics.ordered_notifies(str(Outcome.FULL))
            self._tell(order.id, Result(Outcome.FULL))
            return
        if job is None:
            job = self._jobs[key] = _Job(order)
            if not order.id:
                self._fleet.append(job)
        if order.id:
            self._hurry(job, order.id)
        self._wanted.set()

    def _hurry(self, job: _Job, id: str) -> None:
        """Let a job go before the fleet, because an API request waits for it.

        If too many do, the request is told that its order is queued.
        """
        if job.seconds is None:
            job.seconds = notify.wait(len(self._awaited))
            self._awaited.append(job)
        if job.seconds > notify.PATIENCE_SECONDS:
            self._tell(id, Result(Outcome.QUEUED, seconds=round(job.seconds)))
        else:
            job.ids.append(id)

    def _next(self) -> _Job | None:
        for waiting in (self._awaited, self._fleet):
            while waiting:
                job = waiting.popleft()
                if not job.begun:  # it may be in both
                    return job
        return None

    async def _serve(self, job: _Job) -> None:
        result = Result(Outcome.UNAVAILABLE)
        try:
            result = await self._notify(job.order)
        except (StoreUnavailable, TableFull) as error:
            log.warning("no NOTIFY for phone %s: %s", job.order.phone, error)
        finally:
            self._metrics.ordered_notifies(str(result.outcome))
            for id in job.ids:
                self._tell(id, result)
        about = (job.order.phone, job.order.event, result.outcome, result.status)
        log.info("NOTIFY phone=%s event=%s outcome=%s status=%d", *about)

    def _tell(self, id: str, result: Result) -> None:
        if id:
            self._report(id, result)

    async def _notify(self, order: Order) -> Result:
        """Send a NOTIFY to each device that has registered for the phone. Raises StoreUnavailable."""
        phone = await self._directory.phone(order.phone)
        if phone is None:
            return Result(Outcome.OFFLINE)
        (snapshot,) = await self._location.load([phone.id])
        rows = devices([(phone.id, snapshot)], self._clock(), None)
        return notify.best(await asyncio.gather(*[self._ask(phone, row, order.event) for row in rows]))

    async def _ask(self, phone: Phone, flows: list[Target], event: str) -> Result:
        """Send a NOTIFY to one device, by the first of its flows that works."""
        call_id, tag = self._new_id(), self._new_id()[-16:]
        about = Dialogless(notify.aor(phone, self._service), event, call_id, tag)
        try:
            async with asyncio.timeout(self._seconds):
                for target in flows:
                    response = await self._converse(phone, target, about)
                    if response is not None and response.status != notify.FLOW_FAILED:
                        return Result(Outcome.ANSWERED, response.status, response.reason)
        except TimeoutError:
            return Result(Outcome.UNANSWERED)
        return Result(Outcome.OFFLINE)

    async def _converse(self, phone: Phone, target: Target, about: Dialogless) -> Response | None:
        """Return the phone's final answer, or None if its flow is gone; a challenge is answered once."""
        response = await self._exchange(target, about, 1)
        if response is None:
            return None
        uri = without_headers(target.contact)
        credentials = notify.authorization(response, phone, uri, self._new_id()[-16:])
        return response if credentials is None else await self._exchange(target, about, 2, credentials)

    async def _exchange(
        self, target: Target, about: Dialogless, cseq: int, *more: tuple[str, str]
    ) -> Response | None:
        """Send a NOTIFY over one flow, and return the final response, or None if the flow is gone."""
        waiter = _Waiter()
        draft = partial(_draft, about, target.contact, cseq, more)
        key = self._line.send(target, USER, draft, waiter)
        if key is None:
            return None
        try:
            return await waiter.response
        except asyncio.CancelledError:
            self._network.forget(key)  # else it would be sent again to a phone that restarts
            raise


class _Waiter:
    """A NOTIFY that waits for its answer; implements network.ClientTransactionUser."""

    def __init__(self) -> None:
        self.response: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

    def receive_response(self, key: Key, response: Response) -> None:
        """See network.ClientTransactionUser."""
        if response.status >= 200 and not self.response.done():
            self.response.set_result(response)

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        """See network.ClientTransactionUser."""
        if not self.response.done():
            self.response.set_result(None)


def _draft(
    about: Dialogless, target: str, cseq: int, more: tuple[tuple[str, str], ...], via: str, contact: str
) -> Request:
    return notify.request(about, target, via, contact, cseq, more)
