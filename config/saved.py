"""`configSaved` of phones whose files have changed by something else than themselves."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from . import clock
from .tables import SipPhone

SECOND: Final = timedelta(seconds=1)
IN_FILES: Final = (
    "brand", "model", "writer", "extensions", "softkeys", "panel_softkeys", "configuration_template",
    "legacy_tls",
)  # fmt: skip
"""Columns of a model that are in files, in their names, or in the URL that a file names."""

Phones = Select[int]
"""A SELECT of the ids of phones."""


async def note_saved(session: AsyncSession | AsyncConnection, *phones: Phones) -> None:
    """Note that the files of these phones have changed.

    The time is a later second than that of the last load (`write.saved_now`). PostgreSQL reads all phones if
    two conditions are joined by OR, and looks at an index for each part of a UNION.
    """
    now, found = clock.utc_now(), SipPhone.id.in_(union(*phones))
    is_before = or_(SipPhone.config_loaded_at.is_(None), SipPhone.config_loaded_at < now)
    await _set(session, and_(found, is_before), now)
    # After the UPDATE, which waits for a load that is being noted: that one is seen here.
    loaded_now = select(SipPhone.id, SipPhone.config_loaded_at).where(found, SipPhone.config_loaded_at >= now)
    for id, loaded in (await session.execute(loaded_now.with_for_update())).all():
        await _set(session, SipPhone.id == id, (loaded or now) + SECOND)


async def _set(session: AsyncSession | AsyncConnection, where: ColumnElement[bool], moment: datetime) -> None:
    values: dict[str, object] = {"config_saved_at": moment, "updated_at": SipPhone.updated_at}
    statement = update(SipPhone).where(where).values(values)
    await session.execute(statement.execution_options(synchronize_session=False))
