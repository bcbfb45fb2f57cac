"""A world with groups and queues, in which calls may wait: time passes when a test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from registrar.handlers.calls.hunting import Patience
from registrar.model import Destination, Devices, Group, Phone, Queue, QueueMember, Strategy

from ..handsets import ANN, BOB, CAT, Handset
from ..world import PATIENCE, People, Sent, World, phone

STEPS = 80
"""More turns of the event loop than anything takes that waits for no time."""
DAN = replace(phone("d", extension="203"), name="Dan")
STAFF = tuple(replace(one, person=f"p{one.extension}") for one in (ANN, BOB, CAT, DAN))


class Numbers(People):
    """The people of the world, and its groups and queues."""

    def __init__(self, *phones: Phone) -> None:
        super().__init__(*phones)
        self.places: dict[str, Group | Queue] = {}

    async def called(self, customer: str, user: str) -> Destination:
        self._ask()
        if user in self.places:
            return self.places[user]
        found = await super().called(customer, user)
        if isinstance(found, Devices) and found.phones:
            return replace(found, person=found.phones[0].person)
        return found


class Floor(World):
    """One node, or the second one beside it."""

    def __init__(self, beside: "Floor | None" = None, patience: Patience = PATIENCE) -> None:
        self.numbers: Numbers = beside.numbers if beside else Numbers(*STAFF)
        super().__init__(people=self.numbers, patience=patience, node="b" if beside else "a", beside=beside)

    async def settle(self) -> None:
        """Until nothing goes on that waits for no time: calls may still wait."""
        for _ in range(STEPS):
            await asyncio.sleep(0)
        for task in [task for task in self.tasks if task.done()]:
            self.tasks.remove(task)
            task.result()

    async def passes(self, seconds: float) -> None:
        """Let time pass, and all calls look again."""
        self.clock.now += seconds
        self.hunts.changed("")
        await self.settle()

    def group(self, *numbers: str, is_exclusive: bool = False) -> str:
        """Make group 600 of these people, and return its number."""
        self.numbers.places["600"] = Group(
            "g", "600", "Sales", self.people_of(*numbers), is_exclusive=is_exclusive
        )
        return "600"

    def queue(self, *windows: tuple[str, ...], strategy: Strategy = Strategy.ALL, seconds: int = 5) -> str:
        """Make queue 700, in which these people ring one window after the other, and return its number."""
        members = tuple(QueueMember(self.people_of(*one), strategy, 1, seconds) for one in windows)
        self.numbers.places["700"] = Queue("q", "700", "Support", members)
        return "700"

    def people_of(self, *numbers: str) -> tuple[Devices, ...]:
        """Return the people with these numbers, as the dial plan names them."""
        phones = {one.extension: one for one in STAFF}
        return tuple(Devices(one, phones[one].name, (phones[one],), f"p{one}") for one in numbers)

    async def handset(self, number: str, transport: str = "udp") -> Handset:
        """Return the registered phone of a person."""
        (account,) = [one for one in STAFF if one.extension == number]
        return await Handset(self, account, transport=transport, port=5_000 + int(number)).register()

    async def claimed_by(self, number: str) -> str:
        (state,) = await self.doing.states([f"p{number}"])
        return state.claimed_by

    async def waits(self) -> int:
        """Return how many calls wait anywhere."""
        return sum([len(await self.waiting.waiters(place)) for place in ("group:g", "queue:q")])

    async def close(self) -> None:
        """End what still waits."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@asynccontextmanager
async def floor(beside: Floor | None = None, patience: Patience = PATIENCE) -> AsyncIterator[Floor]:
    """A world for one test."""
    made = Floor(beside, patience)
    try:
        yield made
    finally:
        await made.close()


def said(sent: list[Sent]) -> list[tuple[str, int]]:
    """Return methods and ports of what was sent."""
    return [(one.request.method, one.flow.remote_port) for one in sent]
