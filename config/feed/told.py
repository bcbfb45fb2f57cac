"""An event as readers get it, and which events a reader may see and wants."""

from dataclasses import dataclass
from typing import Final

import orjson
from fastapi.sse import format_sse_event

from registrar.store.event_stream import Entry, order

CALLER_AND_CALLEE: Final = ("caller", "callee")
MAX_DATA: Final = 8 * 1024
"""An entry of ours has at most 2 KiB. Of a larger one, written by another program, the name is told."""


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the stream, encoded once for all readers."""

    id: tuple[int, int]
    frame: bytes
    """The whole message, in the format of server-sent events."""
    event: str
    customer: str
    """Id of the customer; empty: the phone of the event belongs to none."""
    phones: tuple[str, ...]
    person: str
    numbers: tuple[str, ...]
    """Numbers of the caller and the callee."""
    is_repeat: bool
    """Whether an entry shortly before it has the same key."""


def tell(entry: Entry, customer: str, *, is_repeat: bool) -> Told:
    """Return an entry as readers get it. `customer` takes the place of one that the entry does not name."""
    get = entry.fields.get
    data = orjson.dumps(values_of(entry, customer))
    event = " ".join(get("event", "").split())[:64] or "unknown"
    return Told(
        order(entry.id),
        format_sse_event(data_str=data.decode(), event=event, id=entry.id),
        event,
        customer,
        entry.phones,
        get("person", ""),
        tuple(filter(None, map(get, CALLER_AND_CALLEE))),
        is_repeat,
    )


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
