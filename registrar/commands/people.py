"""`registrar status --people` and `registrar queue`: what people are doing, and which calls wait."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from config import clock
from config.database import reading
from config.live import Live, LiveCalls
from config.operations import presence
from config.operations.customers import DELETED
from config.operations.dial_plan import Numbered
from config.pbx.live import caller_json, member_json, person_json
from config.people import LivePeople, LivePerson, LiveWaiter, Seat
from config.tables import Customer, Extension, Queue, SipGroup
from registrar.errors import ConfigurationError

from .events import visible
from .installation import Installation, Stores, opened
from .status import TABLE_WIDTH

PEOPLE: Final = ("extension", "name", "state", "since", "why", "dnd", "cfu", "cfb", "cfnr", "calls")
MEMBERS: Final = ("place", "customer", "member", "name", "state", "since", "why", "dnd", "joined", "calls")
WAITING: Final = ("place", "customer", "position", "from", "name", "since", "node", "call")

Place = SipGroup | Queue


async def show_people(installation: Installation, word: str | None, *, as_json: bool) -> None:
    """Print what each person is doing and wants, or those with this number or id.

    Raise ConfigurationError if there is none, StoreUnavailable while Redis is away.
    """
    async with opened(installation, upgrade=False) as stores:
        async with reading(stores.reader) as session:
            seats = await _seats(session, word)
        if word is not None and not seats:
            raise ConfigurationError(f"there is no extension {word}")
        people = _people(stores)
        found = await people.look(seats)
    if as_json:
        print(json.dumps([_about(one.seat) | person_json(one) for one in found]))
    else:
        _print(PEOPLE, [_person_cells(one) for one in found])


async def show_places(installation: Installation, word: str | None, *, as_json: bool) -> None:
    """Print the members of all queues and the calls that wait, or those of one queue or group.

    `word` is its number or its id. Raise as `show_people` does.
    """
    async with opened(installation, upgrade=False) as stores:
        async with reading(stores.reader) as session:
            places = await _places(session, word)
            seats = [await presence.seats_at(session, place) for place, _ in places]
        if word is not None and not places:
            raise ConfigurationError(f"there is no queue or group {word}")
        people = _people(stores)
        members = [await people.look(own) for own in seats]
        waiting = [await people.waiting(presence.place_of(place)) for place, _ in places]
    if as_json:
        shown = zip(places, members, waiting, strict=True)
        print(json.dumps([_place_json(place, own, calls) for (place, _), own, calls in shown]))
        return
    titles = [(f"{place.number} {place.name}", customer) for place, customer in places]
    rows = [
        [_member_cells(one, place.oid) for one in own]
        for (place, _), own in zip(places, members, strict=True)
    ]
    _print(MEMBERS, _rows(titles, rows))
    print()
    _print(WAITING, _rows(titles, [[_waiter_cells(one) for one in own] for own in waiting]))


def _people(stores: Stores) -> LivePeople:
    now = clock.epoch_now
    return LivePeople(stores.redis, Live(stores.redis, now), LiveCalls(stores.redis, now), now)


async def _seats(session: AsyncSession, word: str | None) -> list[Seat]:
    statement = select(Extension).join(Customer, Customer.id == Extension.customer_id)
    statement = statement.where(Customer.state != DELETED).order_by(Extension.number, Extension.id)
    if word is not None:
        statement = statement.where(or_(Extension.number == word, Extension.oid == word))
    return await presence.seats(session, (await session.scalars(statement)).all())


async def _places(session: AsyncSession, word: str | None) -> list[tuple[Place, str]]:
    """Return the places with the names of their customers: all queues, or those with this number or id."""
    queues: list[tuple[Place, str]] = [*await _rows_of(session, Queue, word)]
    return queues if word is None else [*queues, *await _rows_of(session, SipGroup, word)]


async def _rows_of(
    session: AsyncSession, table: type[Numbered], word: str | None
) -> list[tuple[Numbered, str]]:
    statement = select(table, Customer.name).join(Customer, Customer.id == table.customer_id)
    statement = statement.where(Customer.state != DELETED).order_by(table.number, table.id)
    if word is not None:
        statement = statement.where(or_(table.number == word, table.oid == word))
    return [(row, customer) for row, customer in await session.execute(statement)]


def _about(seat: Seat) -> dict[str, object]:
    return {"_id": seat.id, "number": seat.number, "name": seat.name}


def _place_json(
    place: Place, members: Sequence[LivePerson], waiting: Sequence[LiveWaiter]
) -> dict[str, object]:
    return {
        "_id": place.oid,
        "kind": presence.place_of(place).partition(":")[0],
        "number": place.number,
        "name": place.name,
        "memberStates": [member_json(one, place.oid) for one in members],
        "callers": [caller_json(one) for one in waiting],
    }


def _rows(
    titles: Sequence[tuple[str, str]], of_places: Sequence[Sequence[Sequence[str]]]
) -> list[Sequence[str]]:
    return [(*title, *cells) for title, own in zip(titles, of_places, strict=True) for cells in own]


def _person_cells(person: LivePerson) -> Sequence[str]:
    forwards = (person.cfu or "", person.cfb or "", person.cfnr or "")
    return (person.seat.number, person.seat.name, *_state_cells(person), *forwards, _calls(person))


def _member_cells(person: LivePerson, place: str) -> Sequence[str]:
    joined = "no" if place in person.left else "yes"
    return (person.seat.number, person.seat.name, *_state_cells(person), joined, _calls(person))


def _state_cells(person: LivePerson) -> Sequence[str]:
    return (person.state, _time(person.since), person.reason or "", "yes" if person.dnd else "no")


def _waiter_cells(waiter: LiveWaiter) -> Sequence[str]:
    caller = (waiter.number or "", waiter.name or "")
    return (str(waiter.position), *caller, _time(waiter.since), waiter.node, waiter.call)


def _calls(person: LivePerson) -> str:
    """Return the numbers of the other sides."""
    return ", ".join(f"{'to' if call.is_caller else 'from'} {call.number or '?'}" for call in person.calls)


def _time(seconds: float | None) -> str:
    """Return the time of this machine, as the lines of `status --watch` have it."""
    return "" if seconds is None else datetime.fromtimestamp(int(seconds)).strftime("%Y-%m-%d %H:%M:%S")


def _print(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))  # Text: a name may look like markup
    Console(width=TABLE_WIDTH).print(table)
