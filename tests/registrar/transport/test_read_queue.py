"""registrar/transport/read_queue.py: every connection is read in its order, none all the time."""

import asyncio
from collections.abc import Callable

from registrar.transport.read_queue import TURN_SECONDS, ReadQueue

from .pretend import Hands


class Queue:
    """The queue, its clock, and the connections that were read in each turn of the loop."""

    def __init__(self) -> None:
        self.clock = Hands()
        self.reads = ReadQueue(self.clock)
        self.served: list[str] = []

    def come(self, name: str, again: int = 0, takes: float = 0.0) -> None:
        """Somebody who wants `again` more turns after this one, each of which takes so long."""
        self.reads.wait(self._serve(name, again, takes))

    def _serve(self, name: str, again: int, takes: float) -> Callable[[], None]:
        def serve() -> None:
            self.served.append(name)
            self.clock.pass_(takes)
            if again:
                self.come(name, again - 1, takes)

        return serve

    async def turn(self) -> str:
        """Who is served in the next turn of the loop."""
        await asyncio.sleep(0)
        served = "".join(self.served)
        self.served.clear()
        return served


async def test_nobody_is_served_at_once() -> None:
    queue = Queue()
    assert queue.reads.idle
    queue.come("a")
    assert (queue.served, queue.reads.idle) == ([], False)
    assert await queue.turn() == "a"
    assert queue.reads.idle
    assert await queue.turn() == ""


async def test_all_are_served_in_their_order() -> None:
    queue = Queue()
    for name in "abcde":
        queue.come(name)
    assert await queue.turn() == "abcde"


async def test_who_wants_more_waits_for_the_next_turn_behind_the_others() -> None:
    queue = Queue()
    queue.come("a", again=2)
    queue.come("b")
    assert await queue.turn() == "ab"
    queue.come("c", again=1)
    assert await queue.turn() == "ac"
    assert await queue.turn() == "ac"
    assert await queue.turn() == ""


async def test_a_turn_of_the_loop_is_short_and_the_others_are_first_in_the_next() -> None:
    queue = Queue()
    for name in "abcdef":
        queue.come(name, again=1, takes=0.6 * TURN_SECONDS)
    assert [await queue.turn() for _ in range(7)] == ["ab", "cd", "ef", "ab", "cd", "ef", ""]


async def test_one_that_takes_very_long_is_served_too() -> None:
    queue = Queue()
    queue.come("a", again=1, takes=10 * TURN_SECONDS)
    queue.come("b")
    assert [await queue.turn() for _ in range(3)] == ["a", "ba", ""]


async def test_a_fault_of_one_keeps_nobody_else_waiting() -> None:
    queue = Queue()
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(told["exception"]))

    def fail() -> None:
        raise ValueError("a fault of ours")

    queue.come("a")
    queue.reads.wait(fail)
    queue.come("b")
    assert [await queue.turn() for _ in range(3)] == ["a", "b", ""]
    assert [str(fault) for fault in faults] == ["a fault of ours"]
