"""Events of waiting calls and of wishes of people, as entries of the stream of all events (docs/redis.md)."""

from collections.abc import Mapping
from typing import Final

from registrar.model import Notice

from . import keys
from .redis_wire import Argument
from .wish_cache import LEFT

DND: Final = "dnd"
FORWARDED: Final = "forwarded"
LOGGED_IN: Final = "queue-logged-in"
LOGGED_OUT: Final = "queue-logged-out"
FORWARDS: Final = ("cfu", "cfb", "cfnr")


def wish_notice(
    person: str, field: str, value: str, at: float, customer: str = "", via: str = ""
) -> Notice | None:
    """Return the event of a wish that was set to another value, or None if there is none for this wish.

    `via` is the number of the queue that the wish is about.
    """
    if field == DND:
        return Notice(DND, at, "on" if value else "off", customer, person=person)
    if field in FORWARDS:
        return Notice(FORWARDED, at, field, customer, callee=value, person=person)
    if field.startswith(LEFT):
        event, place = LOGGED_OUT if value else LOGGED_IN, f"queue:{field.removeprefix(LEFT)}"
        return Notice(event, at, "", customer, via=via, place=place, person=person)
    return None


def notice_fields(notice: Notice) -> Mapping[str, str]:
    """Return the fields of the entry. A value that is not known is empty."""
    return {
        "event": notice.event,
        "reason": notice.reason,
        "time": str(int(notice.at)),
        "customer": notice.customer,
        "phone": notice.phone,
        "call": notice.call,
        "caller": notice.caller,
        "callee": notice.callee,
        "via": notice.via,
        "place": notice.place,
        "person": notice.person,
        "position": str(notice.position or ""),
        "waitedSeconds": "" if notice.waited is None else f"{max(notice.waited, 0.0):.3f}",
    }


def appended(event: Mapping[str, str]) -> tuple[Argument, ...]:
    """Return the command that appends an entry to the stream of all events."""
    return ("XADD", keys.EVENTS, "MAXLEN", "~", keys.EVENTS_LENGTH, "*", *words_of(event))


def words_of(fields: Mapping[str, str]) -> list[bytes]:
    """Return names and values in turn. Text that cannot be written in UTF-8 must not stop a call."""
    return [word.encode(errors="replace") for pair in fields.items() for word in pair]
