"""The filters of the list of users by the states of their devices."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, Dialect, String, cast, false, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Reason

from ..auth import Caller
from ..deps import Parts
from ..operations.phones.find import is_selected, plan_for_values
from ..registrations import Selection
from ..tables import Extension, SipPhone
from ..wanted import TRANSPORTS, State, Wanted, read_wanted
from . import openapi
from .params import Params
from .resource import Filters, Path, find_domain

USER: Final = "u"
"""Begins the id of what registers with the password of a SIP user."""
ABOUT: Final = "A device is a phone of the user, or what registers as user@domain."
FILTERS: Final = (
    openapi.parameter(
        "state",
        "string",
        f"registered: a device is online; offline: none is, but one was; never: none was. {ABOUT}",
        enum=list(State),
    ),
    openapi.parameter("reason", "string", "Users with a device that has this reason", enum=list(Reason)),
    openapi.parameter(
        "transport",
        "string",
        "Users with a device that has this present or last transport",
        enum=list(TRANSPORTS),
    ),
    openapi.parameter("online", "boolean", "Whether a device of the user is online"),
)


async def narrowed(
    session: AsyncSession, caller: Caller, path: Path, params: Params, parts: Parts
) -> Sequence[ColumnElement[bool]]:
    """Return the conditions for the users that the filters ask for.

    Raise Refused (400) for an unknown word, and StoreUnavailable while Redis is away.
    """
    wanted = read_wanted(params.one)
    if wanted.is_any:
        return ()
    customer, _ = await find_domain(session, caller, path, False)

    await plan_for_values(session)
    questions = _questions(wanted)
    if questions is None:
        return [false()]
    conditions: list[ColumnElement[bool]] = []
    for devices, is_so in questions:
        found = await parts.registrations.select([customer.oid], devices, kinds="pu")
        has = _has_device(session.get_bind().dialect, found)
        conditions.append(has if is_so else ~has)
    return conditions


def _questions(wanted: Wanted) -> Sequence[tuple[Wanted, bool]] | None:
    """Return of which devices a user must have one, or, with False, none. None: no user can have these."""
    named = Wanted(reason=wanted.reason, transport=wanted.transport)
    is_online = wanted.online is True or wanted.state is State.REGISTERED
    is_offline = wanted.online is False or wanted.state in (State.OFFLINE, State.NEVER)
    if is_online and is_offline:
        return None
    if is_online:
        return [(replace(named, state=State.REGISTERED), True)]
    if not is_offline:
        return [(named, True)]
    none_online = (Wanted(State.REGISTERED), False)
    if wanted.state is State.NEVER:
        return [none_online, (Wanted(State.OFFLINE), False)] if named.is_any else None
    if wanted.state is State.OFFLINE or not named.is_any:
        return [none_online, (replace(named, state=State.OFFLINE), True)]
    return [none_online]


def _has_device(dialect: Dialect, found: Selection) -> ColumnElement[bool]:
    """Return the condition that a user has one of these devices."""
    users = [id for id in found.ids if id.startswith(USER)]
    phones = [id for id in found.ids if not id.startswith(USER)]
    own = is_selected(dialect, literal(USER).concat(cast(Extension.id, String)), Selection(users))
    linked = select(SipPhone.extension_id).where(
        SipPhone.extension_id.is_not(None), is_selected(dialect, SipPhone.__table__.c.oid, Selection(phones))
    )
    return or_(own, Extension.id.in_(linked))


BY_STATE: Final = Filters(FILTERS, narrowed)
