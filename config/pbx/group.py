"""The routes below /pbx/group."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..operations import groups, numbered
from ..operations.audit import Work
from ..operations.customers import keys_of, lock_owned, require_customer
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft, read_fields
from ..operations.ids import parse_oid
from ..properties import fields_of
from ..tables import Customer, Extension, SipGroup, SipGroupController, SipGroupMember
from .resource import NOTHING_CHANGED, OWNER, Json, Resource, Written, routes_of
from .schema import array, sure

LINKS: Final[Mapping[str, groups.Link]] = {
    "members": SipGroupMember,
    "controllers": SipGroupController,
}

Extensions = Mapping[str, Sequence[int]]
"""Kind of link -> primary keys of the extensions; a kind that was not sent is missing."""


async def _create(work: Work, document: Document) -> Written:
    customer = await require_customer(work.session, work.caller, document.given("customer"))
    draft: Draft[SipGroup] = Draft(document)
    linked = await _read(work.session, draft, customer)
    group = await numbered.create(work, SipGroup, customer, draft.values)
    await _link(work.session, group, linked)
    return Written(group.oid)


async def _update(work: Work, oid: str, document: Document) -> Written:
    group, customer = await lock_owned(work.session, work.caller, SipGroup, oid, "Group")
    draft = Draft(document, group)
    linked = await _read(work.session, draft, customer)
    await numbered.update(work, group, draft.values)
    await _link(work.session, group, linked)
    return Written(group.oid)


async def _delete(work: Work, oid: str) -> Change:
    group, _ = await lock_owned(work.session, work.caller, SipGroup, oid, "Group")
    await numbered.delete(work, group)
    return NOTHING_CHANGED


async def _read(session: AsyncSession, draft: Draft[SipGroup], customer: Customer) -> Extensions:
    """Put the columns into the draft. Return the extensions of each kind of link that was sent."""
    read_fields(draft, fields_of(SipGroup))
    extensions = {name: await _read_link(session, draft, customer, name) for name in LINKS}
    draft.refuse_problems()
    return {name: ids for name, ids in extensions.items() if ids is not None}


async def _read_link(
    session: AsyncSession, draft: Draft[SipGroup], customer: Customer, name: str
) -> list[int] | None:
    """Return the extensions of one array, or None if the stored ones stay."""
    sent = draft.sent(name)
    if sent is NOT_SENT:
        return None
    if sent is not None and not isinstance(sent, list):
        draft.wrong(name, f"{name} must be an array")
        return None
    known = await keys_of(session, customer, Extension, sent or ())
    ids = [known.get(parse_oid(item) or "") for item in sent or ()]
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
    Resource(
        path="/pbx/group",
        one="group",
        table=SipGroup,
        version=SipGroup.revision,
        joined=select(SipGroup, Customer.oid).join(Customer, Customer.id == SipGroup.customer_id),
        references=OWNER,
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
        sorts={"number": (SipGroup.number,), "name": (SipGroup.name,)},
        searched=(SipGroup.number, SipGroup.name, SipGroup.display_name),
        searched_names="number, name or displayName",
        create=_create,
        update=_update,
        delete=_delete,
        parts=_linked,
        max_limit=1_000,
    ),
    "Groups",
)
