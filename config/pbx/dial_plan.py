"""The routes below /pbx/extension, /pbx/group and /pbx/queue; members are shown with what they belong to."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..checks import Wrong, boolean, dialled
from ..operations import dial_plan, extensions
from ..operations.audit import Work, parse_oid
from ..operations.customers import keys_of
from ..operations.dial_plan import KINDS, LINKS, Numbered, priority
from ..operations.draft import Draft
from ..properties import fields_of
from ..tables import Customer, Employee, Extension, Queue, QueueMember, SipGroup
from .live import OF_EXTENSIONS, OF_PLACES
from .resource import OWNER, Json, Resource, customer_of, locked, routes_of, shown
from .schema import array, sure

TARGETS: Final = {"extension": "extension_id", "group": "group_id", "number": "external_number"}
NOT_ONE: Final = "A member is exactly one of extension, group and number"
SETTINGS: Final = fields_of(QueueMember)

Known = Mapping[str, Mapping[str, int]]
"""Kind of target -> id -> primary key."""


async def _read_extension(work: Work, draft: Draft[Extension], customer: Customer) -> None:
    async def find(sent: object) -> int | None:
        return next(iter((await keys_of(work.session, customer, Employee, [sent])).values()), None)

    await draft.read_reference("employee", "employee_id", find, "Employee")
    sent = draft.given("primary")
    if sent is None:
        return
    checked = boolean(sent, "primary must be true or false")
    if isinstance(checked, Wrong):
        draft.wrong("primary", checked.message)
    elif checked and draft.column("employee_id") is None:
        draft.wrong("primary", "Only an extension with an employee can be primary", check="required")
    else:
        draft.values["is_primary"] = checked


extension_routes = routes_of(
    Resource(
        path="/pbx/extension",
        one="extension",
        table=Extension,
        version=Extension.version,
        joined=select(Extension, Customer.oid, Employee.oid)
        .join(Customer, Customer.id == Extension.customer_id)
        .outerjoin(Employee, Employee.id == Extension.employee_id),
        references=OWNER | {"employee": "Id of the person whose extension it is"},
        more={
            "primary": sure("boolean", "Whether it is the person's primary one; the first one is by itself")
        },
        columns={"primary": "is_primary"},
        examples={"number": "200", "name": "Anna", "direct": "+4570305050"},
        sorts={
            "name": (Extension.name,),
            "number": (Extension.number,),
            "direct": (Extension.direct_number,),
            "employee": (Employee.name,),
        },
        searched=(Extension.number, Extension.name, Extension.direct_number, Employee.name),
        searched_names="number, name, direct or employee name",
        owner=customer_of,
        lock=locked(Extension, "Extension"),
        create=extensions.create_extension,
        update=extensions.update_extension,
        delete=extensions.delete_extension,
        read=_read_extension,
        live=OF_EXTENSIONS,
        flags={"dashboard": (Extension.dashboard, "Only extensions that are on the dashboard, or are not")},
        max_limit=1_000,
    )
)


# Groups and queues


def _numbered(
    table: type[Numbered],
    *,
    examples: Mapping[str, object],
    more: Mapping[str, Json],
    read: Callable[[Work, Draft[Numbered], Customer], Awaitable[None]],
    parts: Callable[[AsyncSession, Sequence[int]], Awaitable[Mapping[int, Json]]],
) -> Resource[Numbered, Customer]:
    """Return a resource whose members `read` checks and `parts` shows."""
    one = KINDS[table]
    return Resource(
        path=f"/pbx/{one}",
        one=one,
        table=table,
        version=table.revision,
        joined=select(table, Customer.oid).join(Customer, Customer.id == table.customer_id),
        references=OWNER,
        more=more,
        examples=examples,
        sorts={"number": (table.number,), "name": (table.name,)},
        searched=(table.number, table.name, table.display_name),
        searched_names="number, name or displayName",
        owner=customer_of,
        lock=locked(table, one.capitalize()),
        create=lambda work, customer, columns: dial_plan.create(work, table, customer, columns),
        update=dial_plan.change,
        delete=dial_plan.remove,
        read=read,
        parts=parts,
        live=OF_PLACES,
        max_limit=1_000,
    )


# Groups


async def _read_links(work: Work, draft: Draft[SipGroup], customer: Customer) -> None:
    for name in LINKS:
        sent = draft.read_array(name)
        if sent is None:
            continue
        known = await keys_of(work.session, customer, Extension, sent)
        ids = [known.get(parse_oid(item) or "") for item in sent]
        for position in (position for position, found in enumerate(ids) if found is None):
            draft.wrong(f"{name}[{position}]", "Extension not found", 404, "exists")
        draft.values[name] = ids


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

group_routes = routes_of(
    _numbered(
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
        read=_read_links,
        parts=_linked,
    )
)


# Queues


async def _read_members(work: Work, draft: Draft[Queue], customer: Customer) -> None:
    sent = draft.read_array("members")
    if sent is None:
        return
    objects = [item for item in sent if isinstance(item, Mapping)]
    known = {
        "extension": await keys_of(
            work.session, customer, Extension, [one.get("extension") for one in objects]
        ),
        "group": await keys_of(work.session, customer, SipGroup, [one.get("group") for one in objects]),
    }
    draft.values["members"] = [
        _target(draft, name, item, known) | draft.read_object(name, item, SETTINGS)
        for name, item in draft.objects_in("members", sent)
    ]


def _target(draft: Draft[Queue], name: str, item: Mapping[str, object], known: Known) -> dict[str, object]:
    targets = [kind for kind in TARGETS if item.get(kind) not in (None, "")]
    if len(targets) != 1:
        draft.wrong(name, NOT_ONE, check="allowed" if targets else "required")
        return {}
    kind = targets[0]
    path, sent = f"{name}.{kind}", item[kind]
    if kind == "number":
        return {TARGETS[kind]: draft.refused(dialled(sent, f"{path} is not a valid phone number"), path)}
    found = known[kind].get(parse_oid(sent) or "")
    if found is None:
        draft.wrong(path, f"{kind.capitalize()} not found", 404, "exists")
    return {TARGETS[kind]: found}


async def _members(session: AsyncSession, ids: Sequence[int]) -> Mapping[int, Json]:
    """Return queue -> its members in the order in which they ring, with one query for a whole page."""
    statement = (
        select(QueueMember, Extension.oid, SipGroup.oid)
        .outerjoin(Extension, Extension.id == QueueMember.extension_id)
        .outerjoin(SipGroup, SipGroup.id == QueueMember.group_id)
        .where(QueueMember.queue_id.in_(ids))
        .order_by(QueueMember.ring_order, QueueMember.id)
    )
    members: defaultdict[int, list[Json]] = defaultdict(list)
    for member, extension, group in await session.execute(statement):
        targets = {"extension": extension, "group": group, "number": member.external_number}
        one: Json = {kind: target for kind, target in targets.items() if target is not None}
        settings: Json = {field.path: getattr(member, field.column) for field in SETTINGS}
        place = {"priority": priority(member.ring_order)}
        members[member.queue_id].append({"_id": member.oid} | one | settings | place)
    return {queue: {"members": members[queue]} for queue in ids}


_MEMBER: Final[Json] = {
    "type": "object",
    "description": NOT_ONE,
    "properties": {
        "_id": sure("string", readOnly=True),
        "extension": sure("string", "Id of an extension of the same customer"),
        "group": sure("string", "Id of a group of the same customer"),
        "number": sure("string", "A number outside"),
        **{field.path: shown(field) for field in SETTINGS},
    },
}

queue_routes = routes_of(
    _numbered(
        Queue,
        more={
            "members": array(_MEMBER, "Who takes the calls, in the order of priority; replaced as a whole")
        },
        examples={
            "number": "700",
            "name": "Support",
            "members": [{"number": "+4570305050", "priority": 2, "ringSecs": 15}],
        },
        read=_read_members,
        parts=_members,
    )
)
