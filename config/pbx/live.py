"""People, and calls that wait, as this dialect shows them: properties that are only in Redis."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from registrar.errors import StoreUnavailable

from .. import clock
from ..deps import Parts
from ..operations import presence, wishes
from ..people import STATES, LivePerson, LiveWaiter, Seat
from ..properties import Field
from ..tables import Extension, Queue, SipGroup
from .schema import Schema, an_id, answer, array, moment, of, or_null, sure

Json = dict[str, object]
Found = tuple[Sequence[Json], bool]
"""The properties of each row, and whether Redis has answered. If not, they are null."""
Finish = Callable[[Parts], Awaitable[Found]]

FULL: Final = "full"
MEMBERS: Final = "members"
CALLERS: Final = "callers"
SHOWN_FOR: Final = {MEMBERS: "memberStates", CALLERS: "callers"}
"""Parameter of the query -> the property that it shows."""


@dataclass(frozen=True, slots=True)
class LiveProperties:
    """The properties of a resource that are read from Redis. They have no part in its ETag."""

    shown: Mapping[str, Schema]
    prepare: Callable[[AsyncSession, Sequence[Any], frozenset[str]], Awaitable[Finish]]
    """Read what the database has for these rows and flags, and return the rest of the work."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the query for one object; without any of them, it has none of the properties."""
    list_flag: str = ""
    """The parameter of the query for a list in full; empty: a list never has the properties."""
    wishes: Sequence[Field] = ()
    """Those that a body may have."""


_CALL: Final = answer(
    "Call of a person",
    {
        "_id": sure("string", "Id of the call", example="0123456789abcdef0123456789abcdef"),
        "state": sure("string", "`ringing` or `answered`"),
        "direction": sure("string", "`out`: the person has made the call", enum=["in", "out"]),
        "number": of("string", "Number of the other side"),
        "name": of("string", "Name of the other side"),
    },
)
_STATE: Final[Mapping[str, Schema]] = {
    "state": sure("string", "A call comes first, then `offline`", enum=list(STATES), example="available"),
    "since": moment("The time from which it holds; null: not known"),
    "reason": of("string", "Why the person is offline: that of its phone which was online last"),
    "calls": array(_CALL, "The calls that the person takes part in"),
}
_QUEUES: Final = array(
    answer("Queue of a person", {"_id": an_id("Id of the queue"), "joined": sure("boolean")}),
    "The queues that ring the person, and whether it takes part",
)
_MEMBER: Final = answer(
    "State of a member",
    {
        "extension": an_id("Id of the extension"),
        "number": sure("string", example="200"),
        "name": sure("string", example="Anna"),
        "dnd": sure("boolean", "Do not disturb"),
        "joined": sure("boolean", "false: the person has left this queue"),
        **_STATE,
    },
)
_CALLER: Final = answer(
    "Call that waits",
    {
        "position": sure("integer", "From 1", minimum=1),
        "call": sure("string", "Id of the call", example="0123456789abcdef0123456789abcdef"),
        "number": of("string", "Number of the caller", example="200"),
        "name": of("string", "Name of the caller", example="Anna"),
        "since": moment("The time from which it waits"),
        "waitedSeconds": sure("integer", minimum=0),
        "node": sure("string", "The process that has the call", example="sip-1-5060"),
    },
)


def _or_unknown(schema: Schema) -> Schema:
    about = str(schema.get("description", ""))
    return or_null(schema, f"{about}; null: Redis does not answer" if about else "null: not known now")


def _wish_schemas() -> Mapping[str, Schema]:
    dnd, *forwards = wishes.FIELDS
    return {
        "dnd": of("boolean", f"{dnd.about}; null: not known now, and not changed"),
        **{one.path: of("string", f"{one.about}; null: none, or not known now") for one in forwards},
    }


def _since(seconds: float | None) -> str | None:
    return None if seconds is None else clock.iso(clock.utc(seconds))


def state_json(person: LivePerson) -> Json:
    """Return what a person is doing."""
    calls = [
        {
            "_id": call.id,
            "state": call.state,
            "direction": "out" if call.is_caller else "in",
            "number": call.number,
            "name": call.name,
        }
        for call in person.calls
    ]
    return {"state": person.state, "since": _since(person.since), "reason": person.reason, "calls": calls}


def person_json(person: LivePerson) -> Json:
    """Return the live properties of an extension."""
    queues = [{"_id": queue, "joined": queue not in person.left} for queue in person.seat.queues]
    return {
        "dnd": person.dnd,
        "cfu": person.cfu,
        "cfb": person.cfb,
        "cfnr": person.cfnr,
        "state": state_json(person) | {"queues": queues},
    }


def member_json(person: LivePerson, queue: str) -> Json:
    """Return a member of a group or queue with its state; `queue` is the id of the latter."""
    seat = person.seat
    about: Json = {"extension": seat.id, "number": seat.number, "name": seat.name, "dnd": person.dnd}
    return about | {"joined": queue not in person.left} | state_json(person)


def caller_json(waiter: LiveWaiter) -> Json:
    """Return a call that waits."""
    return {
        "position": waiter.position,
        "call": waiter.call,
        "number": waiter.number,
        "name": waiter.name,
        "since": _since(waiter.since),
        "waitedSeconds": max(int(clock.epoch_now() - waiter.since), 0),
        "node": waiter.node,
    }


async def _of_extensions(session: AsyncSession, rows: Sequence[Extension], _flags: frozenset[str]) -> Finish:
    seats = await presence.seats(session, rows)

    async def finish(parts: Parts) -> Found:
        try:
            return [person_json(person) for person in await parts.people.look(seats)], True
        except StoreUnavailable:
            return [dict.fromkeys(OF_EXTENSIONS.shown) for _ in seats], False

    return finish


async def _of_places(
    session: AsyncSession, rows: Sequence[SipGroup | Queue], flags: frozenset[str]
) -> Finish:
    (place,) = rows
    seats: list[Seat] = await presence.seats_at(session, place) if MEMBERS in flags else []
    name = presence.place_of(place)

    async def finish(parts: Parts) -> Found:
        shown: Json = {SHOWN_FOR[flag]: None for flag in SHOWN_FOR if flag in flags}
        try:
            if MEMBERS in flags:
                people = await parts.people.look(seats)
                shown[SHOWN_FOR[MEMBERS]] = [member_json(person, place.oid) for person in people]
            if CALLERS in flags:
                waiting = await parts.people.waiting(name)
                shown[SHOWN_FOR[CALLERS]] = [caller_json(waiter) for waiter in waiting]
        except StoreUnavailable:
            return [shown], False
        return [shown], True

    return finish


OF_EXTENSIONS: Final = LiveProperties(
    shown={
        **_wish_schemas(),
        "state": _or_unknown(answer("State of a person", {**_STATE, "queues": _QUEUES})),
    },
    prepare=_of_extensions,
    list_flag=FULL,
    wishes=wishes.FIELDS,
)
OF_PLACES: Final = LiveProperties(
    shown={
        SHOWN_FOR[MEMBERS]: _or_unknown(array(_MEMBER, "The people who are rung, by number")),
        SHOWN_FOR[CALLERS]: _or_unknown(
            array(_CALLER, "The calls that wait, in the order in which they came")
        ),
    },
    prepare=_of_places,
    flags={
        MEMBERS: "true: show `memberStates`, what each member is doing",
        CALLERS: "true: show `callers`, the calls that wait",
    },
)
