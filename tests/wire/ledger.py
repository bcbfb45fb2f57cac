"""A steady load in a thread of its own that remembers which request of each phone was acknowledged last."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.peers.endpoint import Phone
from tests.peers.load import LoadResult, SteadyLoad, Transport
from tests.peers.phone import Account, Address, Answer


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
    ) -> None:
        super().__init__(accounts, server, rate=rate, expires=600, deadline=deadline, transport=transport)
        self._book = book

    def _note(self, phone: Phone, answer: Answer, seconds: float) -> None:
        super()._note(phone, answer, seconds)
        caller, now = phone.caller, time.time()
        granted = answer.granted(caller.contact)
        if answer.status == 200 and granted is not None:
            promise = Promise(caller.call_id, caller.cseq, caller.contact, now + granted, now)
            self._book.promises[caller.account.username] = promise
        elif answer.status != 503 or not answer.header("retry-after"):
            self._book.violations.append(f"{answer.status} {answer.reason} {answer.all('www-authenticate')}")


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
    ) -> None:
        self.book = Book()
        self._keeper = _Keeper(accounts, server, self.book, rate=rate, deadline=deadline, transport=transport)
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
