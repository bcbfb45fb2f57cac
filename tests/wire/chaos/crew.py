"""The phones that do more than refresh: they register once, come and go, and call. One thread has all."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

from tests.peers.calling import CallingPhone
from tests.peers.calling_session import Outgoing
from tests.peers.endpoint import Endpoint, Phone
from tests.peers.phone import Answer
from tests.wire.chaos.journal import NO_ANSWER, Journal, Truth
from tests.wire.chaos.people import NODES, Pair, sized
from tests.wire.chaos.scene import Scene, source
from tests.wire.ledger import Book, Promise
from tests.wire.site import Handset

CREW_PORT: Final = 10
CALLER_PORT: Final = 20
ANSWER_SECONDS: Final = 6.0
"""How long a phone waits for a final answer."""
AGAIN_SECONDS: Final = 0.5
ONCE_SECONDS: Final = sized(2.0, 0.25)
"""Between two phones that register once."""
TOGGLE_SECONDS: Final = 1.5
TALK_SECONDS: Final = 0.2
PAUSE_SECONDS: Final = sized(2.0, 1.0)
EXPIRES: Final = 600
TRIES: Final = 20
FOR_EVER: Final = 3_600.0


class Crew:
    """Works for the length of a block, once all phones that call are registered."""

    def __init__(self, scene: Scene, journal: Journal) -> None:
        self._scene = scene
        self._journal = journal
        self.book = Book()
        """What the phones that register once were promised."""
        self.truths: dict[str, Truth] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._callers: list[CallingPhone] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # told to the test in its own thread
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._work = asyncio.get_running_loop(), asyncio.current_task()
        for place, node in enumerate(NODES):
            self._endpoints[node] = await Endpoint.open(self._scene.udp(node), source(CREW_PORT + place))
        try:
            async with asyncio.TaskGroup() as group:
                for work in await self._works():
                    group.create_task(work)
                self._ready.set()
        finally:
            await self._close()

    async def _works(self) -> list[Coroutine[Any, Any, None]]:
        people = self._scene.people
        self.truths |= {handset.id: Truth(False) for handset in people.never}
        works = [
            self._come_and_go(handset, NODES[place % 2]) for place, handset in enumerate(people.togglers)
        ]
        for pair in people.pairs:
            caller, callee = [
                await self._caller(*one) for one in zip((pair.caller, pair.callee), pair.nodes, strict=True)
            ]
            works += [_take_calls(callee), self._call(caller, pair)]
        return [*works, self._register_once()]

    async def _close(self) -> None:
        for phone in self._callers:
            phone.line.close()
        for endpoint in self._endpoints.values():
            endpoint.close()
        await asyncio.sleep(0.05)  # the loop closes the sockets

    # Registrations

    async def _register(self, phone: Phone, kind: str, node: str, expires: int = EXPIRES) -> Answer | None:
        """One registration, written down; None if nobody answered."""
        began = time.time()
        try:
            answer = await phone.register(expires, deadline=ANSWER_SECONDS)
        except TimeoutError:
            self._journal.note(kind, node, began, time.time(), NO_ANSWER)
            return None
        self._journal.note(kind, node, began, time.time(), answer.status)
        return answer

    async def _register_once(self) -> None:
        async with asyncio.TaskGroup() as group:
            for place, handset in enumerate(self._scene.people.once):
                group.create_task(self._until_acknowledged(handset, NODES[place % 2]))
                await asyncio.sleep(ONCE_SECONDS)

    async def _until_acknowledged(self, handset: Handset, node: str) -> None:
        phone = Phone(handset.account, self._endpoints[node])
        while True:
            began = time.time()
            answer = await self._register(phone, "once", node)
            if answer is not None and answer.status == 200:
                break
            await asyncio.sleep(AGAIN_SECONDS)
        caller = phone.caller
        granted = answer.granted(caller.contact) or 0
        self.book.promises[handset.account.username] = Promise(
            caller.call_id, caller.cseq, caller.contact, began + granted, began
        )

    async def _come_and_go(self, handset: Handset, node: str) -> None:
        phone, expires = Phone(handset.account, self._endpoints[node]), EXPIRES
        for change in count():
            self.truths.pop(handset.id, None)
            answer = await self._register(phone, "toggle", node, expires)
            if answer is None or answer.status != 200:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            self.truths[handset.id] = Truth(expires > 0, change)
            await asyncio.sleep(TOGGLE_SECONDS)
            expires = 0 if expires else EXPIRES

    # Calls

    async def _caller(self, handset: Handset, node: str) -> CallingPhone:
        """A phone that is registered and stays so."""
        place = source(CALLER_PORT + len(self._callers))
        phone = await CallingPhone.open(handset.account, self._scene.udp(node), source=place)
        self._callers.append(phone)
        for _ in range(TRIES):  # a busy machine may answer 503 before any fault
            if (await phone.register()).status == 200:
                self.truths[handset.id] = Truth(True)
                return phone
            await asyncio.sleep(AGAIN_SECONDS)
        raise AssertionError(f"{handset.account.username} was never registered")

    async def _call(self, phone: CallingPhone, pair: Pair) -> None:
        while True:
            if outgoing := await self._dial(phone, pair):
                await asyncio.sleep(TALK_SECONDS)
                await self._hang_up(outgoing, pair)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _dial(self, phone: CallingPhone, pair: Pair) -> Outgoing | None:
        """A call, written down under the node of the caller; None if it was not answered."""
        began, status, outgoing = time.time(), NO_ANSWER, None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                outgoing = await phone.call(pair.number, within=ANSWER_SECONDS)
                status = (await outgoing.final(ANSWER_SECONDS)).status
        except (TimeoutError, ConnectionError):
            _give_up(outgoing)
        self._journal.note("call", pair.nodes[0], began, time.time(), status)
        return outgoing if status == 200 else None

    async def _hang_up(self, outgoing: Outgoing, pair: Pair) -> None:
        began, status = time.time(), NO_ANSWER
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status = (await outgoing.bye(ANSWER_SECONDS)).status
        except (TimeoutError, ConnectionError):
            pass
        self._journal.note("bye", pair.nodes[0], began, time.time(), status)

    # The block

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._work is not None and self._thread.is_alive():
            stop: Callable[[], object] = self._work.cancel
            self._loop.call_soon_threadsafe(stop)
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure


def _give_up(outgoing: Outgoing | None) -> None:
    """Cancel a call that rings; before any answer a CANCEL must wait (section 9.1)."""
    if outgoing is not None and outgoing.statuses and outgoing.statuses[-1] < 200:
        outgoing.cancel()


async def _take_calls(phone: CallingPhone) -> None:
    for nth in count():
        incoming = await phone.incoming(FOR_EVER, nth=nth)
        incoming.ring()
        incoming.answer()
