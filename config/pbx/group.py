"""The routes below /pbx/group."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..auth import Caller
from ..deps import Parts
from ..errors import not_found
from ..operations import groups, numbered
from ..operations.audit import Actor
from ..operations.customers import listed, require_customer, visible
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft
from ..operations.extensions import read_extensions
from ..operations.fields import caller_name_format, dial_plan_number, flag, read_fields
from ..operations.fields import text as text_field
from ..operations.ids import parse_oid
from ..operations.listing import Page, Sorts, read_page
from ..tables import Customer, Extension, SipGroup, SipGroupController, SipGroupMember
from .resource import Json, Resource, Shown, Written, columns_json, routes_of

FIELDS: Final = (
    text_field("name", "name", "Name of the group", required=True),
    text_field("displayName", "display_name", "Name that phones show"),
    dial_plan_number(),
    flag("ringRetry", "ring_retry", "Ring again if the call was not answered"),
    flag("ringExclusive", "ring_exclusive", "Do not ring members who are in a call"),
    caller_name_format(),
    flag("pickup", "pickup", "Members may pick up each other's calls"),
    flag("steal", "steal", "Members may take over each other's calls"),
    flag("spy", "spy", "Members may listen to each other's calls"),
    flag("setPresence", "set_presence", "Members may set each other's presence"),
    flag("queueMember", "queue_member", "Members may log each other in to queues and out of them"),
)
SORTS: Final[Sorts] = {"number": (SipGroup.number,), "name": (SipGroup.name,)}
SEARCHED: Final = (SipGroup.number, SipGroup.name, SipGroup.display_name)
LINKS: Final[Mapping[str, type[SipGroupMember] | type[SipGroupController]]] = {
    "members": SipGroupMember,
    "controllers": SipGroupController,
}

Linked = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A checked body: columns of the group, and the extensions of each kind of link that was sent."""

    columns: groups.Columns
    extensions: Mapping[str, Sequence[int]] = field(default_factory=dict)


async def _page(session: AsyncSession, caller: Caller, page: Page) -> tuple[int, list[Json]]:
    scope = await listed(session, caller, page.customer)
    statement = _joined().where(scope)
    total, rows = await read_page(session, statement, page, SEARCHED, SORTS, SipGroup.id)
    linked = await _linked(session, [group.id for group, _ in rows])
    return total, [_json(group, owner, linked[group.id]) for group, owner in rows]


async def _show(session: AsyncSession, caller: Caller, oid: str) -> Shown:
    statement = _joined().where(SipGroup.oid == (parse_oid(oid) or ""), visible(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found("Group")
    group, owner = found
    return Shown(_json(group, owner, (await _linked(session, [group.id]))[group.id]), group.revision)


async def _create(session: AsyncSession, actor: Actor, document: Document, parts: Parts) -> Written:
    customer = await require_customer(session, actor.caller, document.given("customer"))
    sent = await _read(session, Draft(document), customer)
    group = await numbered.create(session, actor, SipGroup, customer, sent.columns)
    await _link(session, group, sent)
    return Written(group.oid, Change(dial_plan=customer.oid))


async def _update(session: AsyncSession, actor: Actor, oid: str, document: Document, parts: Parts) -> Written:
    group, customer = await groups.find_group(session, actor.caller, oid)
    sent = await _read(session, Draft(document, group), customer)
    await numbered.update(session, actor, group, sent.columns)
    await _link(session, group, sent)
    return Written(group.oid, Change(dial_plan=customer.oid))


async def _delete(session: AsyncSession, actor: Actor, oid: str) -> Change:
    group, customer = await groups.find_group(session, actor.caller, oid)
    await numbered.delete(session, actor, group)
    return Change(dial_plan=customer.oid)


async def _read(session: AsyncSession, draft: Draft[SipGroup], customer: Customer) -> _Sent:
    read_fields(draft, FIELDS)
    extensions = {name: await _read_link(session, draft, customer, name) for name in LINKS}
    draft.refuse_problems()
    return _Sent(draft.values, {name: ids for name, ids in extensions.items() if ids is not None})


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
    known = await read_extensions(session, customer, sent or ())
    ids = [known.get(parse_oid(item) or "") for item in sent or ()]
    for position in (position for position, found in enumerate(ids) if found is None):
        draft.wrong(f"{name}[{position}]", "Extension not found", 404, "exists")
    return [found for found in ids if found is not None]


async def _link(session: AsyncSession, group: SipGroup, sent: _Sent) -> None:
    if "members" in sent.extensions:
        await groups.set_members(session, group, sent.extensions["members"])
    if "controllers" in sent.extensions:
        await groups.set_controllers(session, group, sent.extensions["controllers"])


async def _linked(session: AsyncSession, ids: Iterable[int]) -> Mapping[int, Linked]:
    """Return group -> kind of link -> ids of the extensions, with one query of each kind for a whole page."""
    wanted = list(ids)
    linked: defaultdict[int, dict[str, list[str]]] = defaultdict(lambda: {name: [] for name in LINKS})
    for name, table in LINKS.items():
        statement = (
            select(table.group_id, Extension.oid)
            .join(Extension, Extension.id == table.extension_id)
            .where(table.group_id.in_(wanted))
            .order_by(table.extension_id)
        )
        for group, extension in await session.execute(statement):
            linked[group][name].append(extension)
    return linked


def _joined() -> Select[SipGroup, str]:
    columns: Select[SipGroup, str] = select(SipGroup, Customer.oid)
    return columns.join(Customer, Customer.id == SipGroup.customer_id)


def _json(group: SipGroup, customer: str, linked: Linked) -> Json:
    return {"_id": group.oid, "customer": customer} | columns_json(group, FIELDS) | dict(linked)


_EXTENSIONS: Final[Json] = {
    "type": "array",
    "items": {"type": "string", "description": "Id of an extension of the same customer"},
}

routes = routes_of(
    Resource(
        path="/pbx/group",
        version=SipGroup.revision,
        one="group",
        many="groups",
        fields=FIELDS,
        references={"customer": "Id of the customer, by default one's own; read only after the creation"},
        more={
            "members": _EXTENSIONS | {"description": "Who rings; replaced as a whole"},
            "controllers": _EXTENSIONS
            | {"description": "Who may have a key that picks up the group's calls; replaced as a whole"},
        },
        examples={
            "number": "600",
            "name": "Sales",
            "callerNameFormat": "Sales {srcPhoneNumber}",
            "members": ["5f0c2e9b7a1d4c3e8b6f0a12"],
        },
        sorts=tuple(SORTS),
        searched="number, name or displayName",
        page=_page,
        show=_show,
        create=_create,
        update=_update,
        delete=_delete,
        max_limit=1_000,
    ),
    "Groups",
)
