"""An event as readers get it, and which events a reader may see and wants."""

from dataclasses import dataclass
from typing import Final

import orjson
from fastapi.sse import format_sse_event

from registrar.store.event_stream import Entry, order

OF_THE_CALLER: Final = frozenset({"caller", "phone", "callId", "by"})
"""Fields that tell who calls. A person may not know that, because a caller may withhold its identity."""
CALLER_AND_CALLEE: Final = ("caller", "callee")
MAX_DATA: Final = 8 * 1024
"""This server writes at most 2 KiB. Of a larger entry, written by another program, the name is told."""


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the stream, encoded once for all readers."""

    id: tuple[int, int]
    frame: bytes
    """The whole message, in the format of server-sent events."""
    hidden: bytes
    """The same without the fields that tell who calls."""
    event: str
    customer: str
    """Id of the customer; empty: the phone of the event belongs to none."""
    phones: tuple[str, ...]
    person: str
    numbers: tuple[str, ...]
    """Numbers of the caller and the callee."""
    caller: str
    """Number of the caller; empty if the event is not one of a call."""
    is_repeat: bool
    """Whether an entry shortly before it has the same key."""


def tell(entry: Entry, customer: str, *, is_repeat: bool) -> Told:
    """Return an entry as readers get it. `customer` takes the place of one that the entry does not name."""
    get = entry.fields.get
    values = values_of(entry, customer)
    event = " ".join(get("event", "").split())[:64] or "unknown"
    frame = _frame(values, event, entry.id)
    caller = get("caller", "")
    less = {name: value for name, value in values.items() if name not in OF_THE_CALLER}
    return Told(
        order(entry.id),
        frame,
        _frame(less, event, entry.id) if caller else frame,
        event,
        customer,
        entry.phones,
        get("person", ""),
        tuple(filter(None, map(get, CALLER_AND_CALLEE))),
        caller,
        is_repeat,
    )


def _frame(values: dict[str, object], event: str, id: str) -> bytes:
    return format_sse_event(data_str=orjson.dumps(values).decode(), event=event, id=id)


def values_of(entry: Entry, customer: str) -> dict[str, object]:
    """Return the object that tells an event; of an entry that is too long, only its name."""
    if sum(map(len, entry.fields.values())) > MAX_DATA:
        return {"key": entry.key[:128], "event": entry.fields.get("event", "")[:64], "customer": customer}
    return {"key": entry.key} | entry.values() | {"customer": customer}


@dataclass(frozen=True, slots=True)
class Own:
    """What belongs to one person."""

    phones: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    """Ids of the person's extensions."""
    numbers: frozenset[str] = frozenset()

    def has(self, told: Told) -> bool:
        """Return whether the person took part in the event."""
        return (
            not self.phones.isdisjoint(told.phones)
            or told.person in self.people
            or not self.numbers.isdisjoint(told.numbers)
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller may see."""

    customers: frozenset[str] | None
    """Ids of customers; None: all."""
    own: Own | None = None
    """If set, only what belongs to this person."""

    def sees(self, told: Told) -> bool:
        """Return whether the caller may see the event."""
        if self.customers is not None and told.customer not in self.customers:
            return False
        return self.own is None or self.own.has(told)

    def shown(self, told: Told) -> bytes:
        """Return the message as the caller may see it: a person is told who calls if it is itself."""
        return told.frame if self.own is None or told.caller in self.own.numbers else told.hidden


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader asked for; an empty value asks for everything."""

    customer: str = ""
    phones: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()

    def has(self, told: Told) -> bool:
        """Return whether the reader wants the event."""
        return (
            (not self.customer or told.customer == self.customer)
            and (not self.events or told.event in self.events)
            and (not self.phones or not self.phones.isdisjoint(told.phones))
        )
