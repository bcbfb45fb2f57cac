"""Registrations, calls and API reads at both nodes, for the length of a row."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

from tests.peers.load import Transport
from tests.wire.chaos.crew import Crew
from tests.wire.chaos.journal import NO_ANSWER, Attempt, Journal, Truth
from tests.wire.chaos.people import CONNECTED, NODES, sized
from tests.wire.chaos.scene import HUB, Scene, source
from tests.wire.ledger import Book, Load
from tests.wire.site import Handset, within

UDP_RATE: Final = sized(2.0, 15.0)
"""Registrations a second at each node."""
CONNECTED_RATE: Final = sized(0.3, 1.5)
"""The same over each other transport."""
DEADLINE_SECONDS: Final = 8.0
READ_SECONDS: Final = sized(1.0, 0.3)
"""Between two looks at a node: a list of all phones, and one phone."""
KINDS: Final = ("udp", *CONNECTED, "call", "read")
"""What must be acknowledged at each node before it has recovered."""
BEGIN_SECONDS: Final = 30.0
RECOVER_SECONDS: Final = 60.0
"""How long a row waits for what never recovers."""


class Traffic:
    """All of it. What was asked is in `attempts()`, what was seen in `journal`."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.journal = Journal()
        self.crew = Crew(scene, self.journal)
        self._loads: dict[tuple[str, Transport], Load] = {
            (node, transport): self._load(node, transport)
            for node in NODES
            for transport in ("udp", *CONNECTED)
        }
        self._stop = threading.Event()
        self._readers = [threading.Thread(target=self._read, args=(node,)) for node in NODES]
        self._running = ExitStack()

    def _load(self, node: str, transport: Transport) -> Load:
        place = self._scene.udp(node) if transport == "udp" else self._scene.nodes[node].listeners[transport]
        return Load(
            [handset.account for handset in self._handsets(node, transport)],
            place,
            rate=UDP_RATE if transport == "udp" else CONNECTED_RATE,
            deadline=DEADLINE_SECONDS,
            transport=transport,
            source=source(NODES.index(node)) if transport == "udp" else (HUB, 0),
        )

    def _handsets(self, node: str, transport: Transport) -> list[Handset]:
        people = self._scene.people
        return people.refreshers[node] if transport == "udp" else people.connected[node, transport]

    # What was promised, and what phones know

    @property
    def promised(self) -> Book:
        """The last promise to each phone whose way to us is still open."""
        book = Book(promises=dict(self.crew.book.promises))
        for load in self._loads.values():
            kept = list(load.book.promises.items())
            book.promises |= {name: promise for name, promise in kept if load.stands(name)}
        return book

    @property
    def handsets(self) -> list[Handset]:
        """All phones that are promised anything."""
        refreshing = [one for key in self._loads for one in self._handsets(*key)]
        return [*refreshing, *self._scene.people.once]

    def truths(self) -> dict[str, Truth]:
        """What each phone knows of itself now."""
        found, book = dict(self.crew.truths), self.crew.book
        for handset in self._scene.people.once:
            promise = book.promises.get(handset.account.username)
            if promise is not None and promise.expires_at > time.time() + 1:  # without Redis it was 60 s
                found[handset.id] = Truth(True)
        for key, load in self._loads.items():
            for handset in self._handsets(*key):
                if load.stands(handset.account.username):
                    found[handset.id] = Truth(True)
        return found

    def _struck(self) -> set[str]:
        """Phones that others must take for lost now, with the node that has their connections."""
        connected = self._scene.people.connected
        return {one.id for key, some in connected.items() for one in some if key[0] in self._scene.struck}

    @property
    def rude(self) -> list[str]:
        """Refusals that no fault excuses: neither 200 nor 503 with Retry-After."""
        return [text for load in self._loads.values() for text in load.book.violations]

    # What was asked

    def attempts(self) -> list[Attempt]:
        """All requests, of the loads too."""
        return [*self.journal.attempts, *self._of_loads()]

    def _of_loads(self) -> Iterator[Attempt]:
        for (node, transport), load in self._loads.items():
            for done in list(load.result.acknowledged):
                yield Attempt(transport, node, done.at - done.seconds, done.at, 200)
            for refusal in list(load.result.refused):
                yield Attempt(transport, node, refusal.at, refusal.at, refusal.status)
            for late in list(load.result.timeouts):
                yield Attempt(transport, node, late.at - DEADLINE_SECONDS, late.at, NO_ANSWER)

    def serves(self, since: float) -> bool:
        """Whether each kind of request that began after a moment was acknowledged at each node."""
        done = {(one.kind, one.node) for one in self.attempts() if one.began >= since and one.acknowledged}
        return all((kind, node) in done for kind in KINDS for node in NODES)

    def wait(self, since: float, seconds: float = RECOVER_SECONDS) -> bool:
        """Wait until that is so, or for so long; whether it is so."""
        end = time.time() + seconds
        while not (served := self.serves(since)) and time.time() < end:
            time.sleep(0.1)
        return served

    # Readers

    def _read(self, node: str) -> None:
        number = 0
        while not self._stop.wait(READ_SECONDS):
            self._look(node)
            handset = self.handsets[number % len(self.handsets)]
            self._ask(node, f"/pbx/sipphone/{handset.id}")
            number += 1

    def _look(self, node: str) -> None:
        """The status of all phones, beside what they know."""
        before, at = self.truths(), time.time()
        listed = self._ask(node, "/pbx/sipphone?full=true&limit=1000")
        if listed is not None:
            shown = {phone["_id"]: phone["status"] for phone in listed["sipPhones"]}
            self.journal.compare(node, at, shown, before, self.truths(), self._struck())

    def _ask(self, node: str, path: str) -> Any:
        """The body of a 200, else None."""
        began, status, body = time.time(), NO_ANSWER, None
        try:
            reply = self._scene.nodes[node].api("GET", path)
            status, body = reply.status, reply.body
        except OSError:
            pass
        self.journal.note("read", node, began, time.time(), status)
        return body if status == 200 else None

    # The block

    def __enter__(self) -> Self:
        for load in self._loads.values():
            self._running.enter_context(load)
        self._running.enter_context(self.crew)
        for reader in self._readers:
            reader.start()
        try:
            within(BEGIN_SECONDS, lambda: self.serves(0.0), "everything is served before the fault")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for reader in self._readers:
            reader.join()
        self._running.__exit__(kind, error, trace)
