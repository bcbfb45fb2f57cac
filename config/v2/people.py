"""The live properties of a SIP user, as this dialect shows them; they are only in Redis."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sqlalchemy import null
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.errors import StoreUnavailable

from .. import clock
from ..deps import Parts
from ..operations import presence
from ..operations.wishes import FIELDS, ROW_FIELDS
from ..people import LivePerson
from ..tables import Extension
from .resource import Live
from .rows import Column, Kind

ON_DASHBOARD: Final = "; null unless `dashboard` is 1"


def _column(name: str, kind: Kind, about: str, example: str = "") -> Column:
    return Column(name, null(), kind, about, example)


COLUMNS: Final = (
    _column("dnd", "flag", FIELDS[0].about, "0"),
    *(_column(field.path, "text", field.about) for field in FIELDS[1:]),
    _column(
        "state", "text", f"available, ringing, talking, calling, dnd or offline{ON_DASHBOARD}", "available"
    ),
    _column("stateReason", "text", f"Why the user is offline{ON_DASHBOARD}"),
    _column(
        "stateSince", "moment", f"The time from which the state holds{ON_DASHBOARD}", "2026-01-31 12:00:00"
    ),
)


async def _prepare(
    session: AsyncSession, user: Extension
) -> Callable[[Parts], Awaitable[Mapping[str, object]]]:
    (seat,) = await presence.seats(session, [user])
    is_on_dashboard = user.dashboard

    async def finish(parts: Parts) -> Mapping[str, object]:
        try:
            (person,) = await parts.people.look([seat])
        except StoreUnavailable:
            return {}
        return _wishes(person) | (_state(person) if is_on_dashboard else {})

    return finish


def _wishes(person: LivePerson) -> dict[str, object]:
    return {"dnd": int(person.dnd), "cfu": person.cfu, "cfb": person.cfb, "cfnr": person.cfnr}


def _state(person: LivePerson) -> dict[str, object]:
    since = None if person.since is None else clock.utc(person.since)
    return {"state": person.state, "stateReason": person.reason, "stateSince": since}


LIVE: Final = Live(ROW_FIELDS, COLUMNS, _prepare)
