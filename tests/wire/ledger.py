"""A steady load in a thread of its own that remembers which request of each phone was acknowledged last."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.peers.endpoint import Phone
from tests.peers.load import LoadResult, SteadyLoad, Transport
from tests.peers.phone import Account, Address, Answer
from tests.wire.site import Handset, Site


@dataclass(frozen=True)
class Promise:
    """The last request of a phone that got a 200."""

    call_id: str
    cseq: int
    contact: str
    expires_at: float
    at: float


@dataclass
class Book:
    """What is kept beside the result of the load."""

    promises: dict[str, Promise] = field(default_factory=dict)
    """By username."""
    violations: list[str] = field(default_factory=list)
    """Refusals that no fault excuses."""


class _Keeper(SteadyLoad):
    def __init__(
        self,
        accounts: Sequence[Account],
        server: Address,
        book: Book,
        *,
        rate: float,
        deadline: float,
        transport: Transport,
        source: Address,
    ) -> None:
        super().__init__(
            accounts, server, rate=rate, expires=600, deadline=deadline, transport=transport, source=source
        )
        self._book = book

    def _note(self, phone: Phone, answer: Answer, seconds: float) -> None:
        super()._note(phone, answer, seconds)
        caller, now = phone.caller, time.time() - seconds  # counted from its sending: the answer may be late
        granted = answer.granted(caller.contact)
        if answer.status == 200 and granted is not None:
            promise = Promise(caller.call_id, caller.cseq, caller.contact, now + granted, now)
            self._book.promises[caller.account.username] = promise
        elif answer.status != 503 or not answer.header("retry-after"):
            self._book.violations.append(f"{answer.status} {answer.reason} {answer.all('www-authenticate')}")


def lost(site: Site, handsets: Sequence[Handset], book: Book) -> list[str]:
    """Every acknowledged request that Redis or the API does not know (any more)."""
    now = time.time()
    promised = [
        (handset, promise)
        for handset in handsets
        if (promise := book.promises.get(handset.account.username)) and promise.expires_at > now
    ]
    stored = site.redis_all([("hget", f"registrar:loc:{{{handset.id}}}", "b") for handset, _ in promised])
    listed = site.api("GET", "/pbx/sipphone?full=true&limit=1000").body["sipPhones"]
    online = {phone["_id"]: phone["status"]["online"] for phone in listed}
    return [
        f"{handset.account.username[:6]}: in Redis {text}, online in the API: {online.get(handset.id)}"
        for (handset, promise), text in zip(promised, stored, strict=True)
        if online.get(handset.id) is not True or not _is_kept(promise, json.loads(text or "[]"))
    ]


def _is_kept(promise: Promise, rows: list[list[Any]]) -> bool:
    """Whether the request, or a later one of the same phone, is what is stored for its contact."""
    return any(
        (row[0], row[2]) == (promise.contact, promise.call_id)
        and row[3] >= promise.cseq
        and row[1] >= int(promise.expires_at) - 1
        for row in rows
    )


class Load:
    """`rate` registrations a second until the end of the block, while the test breaks things.

    It has a thread and a loop of its own: processes must be started by the main thread, which then waits.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        server: Address,
        *,
        rate: float = 100,
        deadline: float = 8,
        transport: Transport = "udp",
        source: Address = ("127.0.0.1", 0),
    ) -> None:
        self.book = Book()
        self._keeper = _Keeper(
            accounts,
            server,
            self.book,
            rate=rate,
            deadline=deadline,
            transport=transport,
            source=source,
        )
        self.result: LoadResult = self._keeper.result
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    @property
    def acknowledged(self) -> int:
        """How many registrations got a 200 up to now."""
        return len(self.result.acknowledged)

    def stands(self, username: str) -> bool:
        """Whether the way is still open over which the last request of a phone was acknowledged."""
        promise = self.book.promises.get(username)
        return promise is not None and self._keeper.reached_at(username) == promise.contact

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # told to the test in its own thread
            self._failure = error
        finally:
            self._started.set()

    async def _work(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with self._keeper:
            self._started.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure
