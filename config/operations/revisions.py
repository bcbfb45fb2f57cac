"""New revisions of rows whose parts changed: members are separate rows, but are shown with their owner."""

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..tables import Queue, SipGroup


def revise(row: SipGroup | Queue) -> None:
    """Give the row a new revision with the next flush, even if none of its columns changes."""
    row.revision = type(row).revision + 1


async def revise_all(
    session: AsyncSession, table: type[SipGroup] | type[Queue], where: ColumnElement[bool]
) -> None:
    """Give a new revision to the rows that lose or get a part; `updated_at` stays, as they did not change."""
    statement = update(table).where(where).execution_options(synchronize_session=False)
    await session.execute(statement.values(revision=table.revision + 1, updated_at=table.updated_at))
