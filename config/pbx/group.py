"""The routes below /pbx/group."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..operations import groups
from ..operations.customers import keys_of
from ..operations.draft import Draft, read_array
from ..operations.ids import parse_oid
from ..tables import Customer, Extension, SipGroup, SipGroupController, SipGroupMember
from .numbered import numbered_resource
from .resource import Json, routes_of
from .schema import array, sure

LINKS: Final[Mapping[str, groups.Link]] = {
    "members": SipGroupMember,
    "controllers": SipGroupController,
}

Extensions = Mapping[str, Sequence[int]]
"""Kind of link -> primary keys of the extensions; a kind that was not sent is missing."""


async def _read(session: AsyncSession, draft: Draft[SipGroup], customer: Customer) -> Extensions:
    """Return the extensions of each kind of link that was sent."""
    extensions = {name: await _read_link(session, draft, customer, name) for name in LINKS}
    return {name: ids for name, ids in extensions.items() if ids is not None}


async def _read_link(
    session: AsyncSession, draft: Draft[SipGroup], customer: Customer, name: str
) -> list[int] | None:
    """Return the extensions of one array, or None if the stored ones stay."""
    sent = read_array(draft, name)
    if sent is None:
        return None
    known = await keys_of(session, customer, Extension, sent)
    ids = [known.get(parse_oid(item) or "") for item in sent]
    for position in (position for position, found in enumerate(ids) if found is None):
        draft.wrong(f"{name}[{position}]", "Extension not found", 404, "exists")
    return [found for found in ids if found is not None]


async def _link(session: AsyncSession, group: SipGroup, linked: Extensions) -> None:
    for name, ids in linked.items():
        await groups.set_links(session, LINKS[name], group, ids)


async def _linked(session: AsyncSession, ids: Sequence[int]) -> Mapping[int, Json]:
    """Return group -> kind of link -> ids of the extensions, with one query of each kind for a whole page."""
    linked: defaultdict[int, dict[str, list[str]]] = defaultdict(lambda: {name: [] for name in LINKS})
    for name, table in LINKS.items():
        statement = (
            select(table.group_id, Extension.oid)
            .join(Extension, Extension.id == table.extension_id)
            .where(table.group_id.in_(ids))
            .order_by(table.extension_id)
        )
        for group, extension in await session.execute(statement):
            linked[group][name].append(extension)
    return {group: dict(linked[group]) for group in ids}


_EXTENSION: Final = sure("string", "Id of an extension of the same customer")

routes = routes_of(
    numbered_resource(
        SipGroup,
        more={
            "members": array(_EXTENSION, "Who rings; replaced as a whole"),
            "controllers": array(
                _EXTENSION, "Who may have a key that picks up the group's calls; replaced as a whole"
            ),
        },
        examples={
            "number": "600",
            "name": "Sales",
            "callerNameFormat": "Sales {srcPhoneNumber}",
            "members": ["5f0c2e9b7a1d4c3e8b6f0a12"],
        },
        read=_read,
        write=_link,
        parts=_linked,
    ),
    "Groups",
)
