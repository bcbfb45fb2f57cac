"""Groups: extensions that ring together, and the extensions that control them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..tables import SipGroup, SipGroupController, SipGroupMember
from .audit import Work
from .revisions import revise

Link = type[SipGroupMember] | type[SipGroupController]


async def add_members(work: Work, group: SipGroup, extension_ids: Sequence[int]) -> None:
    """Make these extensions of the same customer members; those that are members already do not change."""
    await _link(work.session, SipGroupMember, group, extension_ids)
    revise(group)
    await work.update(group)


async def remove_members(work: Work, group: SipGroup, extension_ids: Sequence[int]) -> None:
    """Remove these extensions from the members; an extension that is not a member is ignored."""
    await _unlink(work.session, SipGroupMember, group, extension_ids)
    revise(group)
    await work.update(group)


async def set_links(
    session: AsyncSession, table: Link, group: SipGroup, extension_ids: Sequence[int]
) -> None:
    """Make these extensions of the same customer the only members, or controllers, of the group."""
    there = set(await session.scalars(select(table.extension_id).where(table.group_id == group.id)))
    await _unlink(session, table, group, there - set(extension_ids))
    await _link(session, table, group, extension_ids)


async def _link(session: AsyncSession, table: Link, group: SipGroup, wanted: Sequence[int]) -> None:
    there = set(await session.scalars(select(table.extension_id).where(table.group_id == group.id)))
    fresh = [extension for extension in dict.fromkeys(wanted) if extension not in there]
    session.add_all(table(group_id=group.id, extension_id=extension) for extension in fresh)
    await session.flush()


async def _unlink(session: AsyncSession, table: Link, group: SipGroup, gone: Iterable[int]) -> None:
    ids = list(gone)
    if ids:
        await session.execute(delete(table).where(table.group_id == group.id, table.extension_id.in_(ids)))
