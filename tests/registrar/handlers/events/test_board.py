"""registrar/handlers/events/board.py: the calls of watched customers, whatever the order of events."""

from collections.abc import Sequence

from registrar.handlers.events.board import Board
from registrar.model import Call, CallState, Party
from registrar.rules.dialog_info import Watched
from registrar.store.calls_memory import MemoryCalls

from ..world import Hands

BOB = Watched("p", "201", "Bob", "d", frozenset({"id-b"}))


def call(id: str = "1", customer: str = "acme", callee: str = "201") -> Call:
    return Call(id, "c", customer, "d", Party("id-a", "200"), Party("", callee), CallState.RINGING, 1.0)


def event(kind: str, call: Call) -> dict[str, str]:
    return {
        "event": kind,
        "customer": call.customer,
        "call": call.id,
        "caller": call.caller.number,
        "callee": call.callee.number,
        "phone": call.caller.phone,
        "calleePhone": "",
    }


class Slow(MemoryCalls):
    """Events come while all calls are read."""

    board: Board
    meanwhile: Sequence[dict[str, str]] = ()

    async def of_customer(self, customer: str) -> list[Call]:
        found = await super().of_customer(customer)
        self._stored.clear()
        await self.board.heard(self.meanwhile)
        return found


async def test_calls_are_found_by_number_and_by_phone_inside_their_customer() -> None:
    store = MemoryCalls(Hands())
    for one in (call("1"), call("2", "rival"), call("3", callee="202")):
        store.put(one)
    board = Board(store)
    await board.watch("acme")
    assert [one.id for one in board.of(BOB, "acme")] == ["1"]
    assert {one.id for one in board.of(Watched("p", "200", "", "d"), "acme")} == {"1", "3"}
    assert {one.id for one in board.of(Watched("p", "9", "", "d", frozenset({"id-a"})), "acme")} == {"1", "3"}
    assert [one.id for one in board.of(Watched("p", "9", "", "d", calls=frozenset({"3"})), "acme")] == ["3"]
    assert board.of(BOB, "rival") == []
    board.forget("acme")
    assert board.of(BOB, "acme") == [] and "acme" not in board


async def test_events_of_customers_that_are_not_watched_are_nothing() -> None:
    store = MemoryCalls(Hands())
    store.away = True
    assert await Board(store).heard([event("call-started", call())]) == set()


async def test_a_call_that_ends_while_all_are_read_does_not_come_back() -> None:
    store = Slow(Hands())
    store.board = Board(store)
    store.put(call())
    store.meanwhile = [event("call-ended", call())]
    await store.board.watch("acme")
    assert store.board.of(BOB, "acme") == []


async def test_a_call_that_is_gone_when_it_is_read_has_ended() -> None:
    store = MemoryCalls(Hands())
    board = Board(store)
    await board.watch("acme")
    changed = await board.heard([event("call-started", call())])
    assert ("number", "acme 201") in changed
    assert board.of(BOB, "acme") == []
