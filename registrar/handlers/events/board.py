"""The calls of the customers that are watched, as the stream of all events tells them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from registrar.model import Call
from registrar.ports import Calls
from registrar.rules.dialog_info import Watched

STARTED: Final = "call-started"
ANSWERED: Final = "call-answered"
CHANGED: Final = "call-changed"
ENDED: Final = "call-ended"
CALL_EVENTS: Final = frozenset({STARTED, ANSWERED, CHANGED, ENDED})

Mark = tuple[str, str]
"""The kind of a word, and the word: a number with its customer, the id of a phone, or the id of a call."""
Entry = Mapping[str, str]
"""One entry of the stream of all events (docs/redis.md)."""


class Board:
    """The current calls of some customers, found by number and by phone."""

    def __init__(self, store: Calls) -> None:
        self._store = store
        self._calls: dict[str, Call] = {}
        self._marked: dict[Mark, set[str]] = {}
        self._customers: set[str] = set()
        self._first: dict[str, asyncio.Task[None]] = {}
        """The first reads under way."""
        self._reads = 0
        """Reads of all calls of a customer that are under way."""
        self._newer: set[str] = set()
        """Calls that events have changed meanwhile: what is read of them may be older."""

    def __contains__(self, customer: object) -> bool:
        return customer in self._customers

    async def watch(self, customer: str) -> None:
        """Read the calls of a customer, unless they are known. Raises StoreUnavailable."""
        first = self._first.get(customer)
        if first is None and customer not in self._customers:
            self._customers.add(customer)  # what happens while the calls are read is noted, too
            first = self._first[customer] = asyncio.create_task(self._begin(customer))
        if first is not None:
            await asyncio.shield(first)

    async def _begin(self, customer: str) -> None:
        try:
            await self._read(customer)
        except BaseException:
            self.forget(customer)
            raise
        finally:
            del self._first[customer]

    def forget(self, customer: str) -> None:
        """Forget the calls of a customer."""
        self._customers.discard(customer)
        for call in [call for call in self._calls.values() if call.customer == customer]:
            self._drop(call.id)

    async def reread(self, customer: str) -> None:
        """Read the calls of a customer again: events may have been missed. Raises StoreUnavailable."""
        if customer in self._customers:
            await self._read(customer)

    async def heard(self, entries: Sequence[Entry]) -> set[Mark]:
        """Apply events, and return the marks of all calls that changed. Raises StoreUnavailable."""
        changed: set[Mark] = set()
        new: dict[str, None] = {}
        for entry in entries:
            id = entry.get("call", "")
            if entry.get("event") not in CALL_EVENTS or entry.get("customer") not in self._customers:
                continue
            changed |= _marks_of(entry)
            if self._reads:
                self._newer.add(id)
            new.pop(id, None)
            if entry["event"] == ENDED:
                self._drop(id)
            else:
                new[id] = None
        if new:
            for id, call in zip(new, await self._store.load(list(new)), strict=True):
                self._drop(id)
                if call is not None and call.customer in self._customers:
                    self._add(call)
        return changed

    def of(self, watched: Watched, customer: str) -> list[Call]:
        """Return the calls that may be those of a person."""
        ids: set[str] = {id for id in watched.calls if id in self._calls}
        for mark in marks(watched, customer):
            ids |= self._marked.get(mark, set())
        return [self._calls[id] for id in ids if self._calls[id].customer == customer]

    async def _read(self, customer: str) -> None:
        self._reads += 1
        try:
            found = await self._store.of_customer(customer)
            newer = set(self._newer)
        finally:
            self._reads -= 1
            if not self._reads:
                self._newer.clear()
        if customer not in self._customers:
            return
        known = [call for call in self._calls.values() if call.customer == customer]
        for call in known:
            if call.id not in newer:
                self._drop(call.id)
        for call in found:
            if call.id not in newer:
                self._drop(call.id)
                self._add(call)

    def _add(self, call: Call) -> None:
        self._calls[call.id] = call
        for mark in _marks(call):
            self._marked.setdefault(mark, set()).add(call.id)

    def _drop(self, id: str) -> None:
        call = self._calls.pop(id, None)
        for mark in _marks(call) if call is not None else ():
            marked = self._marked.get(mark, set())
            marked.discard(id)
            if not marked:
                self._marked.pop(mark, None)


def marks(watched: Watched, customer: str) -> set[Mark]:
    """Return the marks of the calls of a person."""
    phones: set[Mark] = {("phone", phone) for phone in watched.phones}
    calls: set[Mark] = {("call", call) for call in watched.calls}
    return {_number(customer, watched.number)} | phones | calls


def _marks(call: Call) -> set[Mark]:
    found: set[Mark] = {("call", call.id)}
    for party in (call.caller, call.callee):
        if party.number:
            found.add(_number(call.customer, party.number))
        if party.phone:
            found.add(("phone", party.phone))
    return found


def _marks_of(entry: Entry) -> set[Mark]:
    """Return the marks of the call that an event is about."""
    customer = entry.get("customer", "")
    numbers: Iterable[str] = (entry.get("caller", ""), entry.get("callee", ""))
    phones: Iterable[str] = (entry.get("phone", ""), entry.get("calleePhone", ""))
    return (
        {("call", entry.get("call", ""))}
        | {_number(customer, number) for number in numbers if number}
        | {("phone", phone) for phone in phones if phone}
    )


def _number(customer: str, number: str) -> Mark:
    return "number", f"{customer} {number}"
