"""The routes below /pbx/queue."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..checks import Value, dialled
from ..operations import queues
from ..operations.customers import keys_of
from ..operations.draft import Columns, Draft, objects_in, read_array, read_object
from ..operations.ids import parse_oid
from ..properties import fields_of
from ..tables import Customer, Extension, Queue, QueueMember, SipGroup
from .numbered import numbered_resource
from .resource import Json, routes_of
from .resource_docs import shown
from .schema import array, sure

TARGETS: Final = {"extension": "extension_id", "group": "group_id", "number": "external_number"}
NOT_ONE: Final = "A member is exactly one of extension, group and number"
SETTINGS: Final = fields_of(QueueMember)

Known = Mapping[str, Mapping[str, int]]
"""Kind of target -> id -> primary key."""


async def _read(session: AsyncSession, draft: Draft[Queue], customer: Customer) -> list[Columns] | None:
    """Return the members, or None if the stored ones stay."""
    sent = read_array(draft, "members")
    if sent is None:
        return None
    objects = [item for item in sent if isinstance(item, Mapping)]
    known = {
        "extension": await keys_of(session, customer, Extension, [one.get("extension") for one in objects]),
        "group": await keys_of(session, customer, SipGroup, [one.get("group") for one in objects]),
    }
    return [
        _target(draft, name, item, known) | read_object(draft, name, item, SETTINGS)
        for name, item in objects_in(draft, "members", sent)
    ]


async def _write(session: AsyncSession, queue: Queue, members: list[Columns] | None) -> None:
    if members is not None:
        await queues.set_members(session, queue, members)


def _target(draft: Draft[Queue], name: str, item: Mapping[str, object], known: Known) -> dict[str, Value]:
    targets = [kind for kind in TARGETS if item.get(kind) not in (None, "")]
    if len(targets) != 1:
        draft.wrong(name, NOT_ONE, check="allowed" if targets else "required")
        return {}
    kind = targets[0]
    return {TARGETS[kind]: _pointed_at(draft, f"{name}.{kind}", kind, item[kind], known)}


def _pointed_at(draft: Draft[Queue], path: str, kind: str, sent: object, known: Known) -> Value:
    if kind == "number":
        return draft.refused(dialled(sent, f"{path} is not a valid phone number"), path)
    found = known[kind].get(parse_oid(sent) or "")
    if found is None:
        draft.wrong(path, f"{kind.capitalize()} not found", 404, "exists")
    return found


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
        members[member.queue_id].append(_member_json(member, extension, group))
    return {queue: {"members": members[queue]} for queue in ids}


def _member_json(member: QueueMember, extension: str | None, group: str | None) -> Json:
    targets = {"extension": extension, "group": group, "number": member.external_number}
    one: Json = {kind: target for kind, target in targets.items() if target is not None}
    settings: Json = {field.path: getattr(member, field.column) for field in SETTINGS}
    return {"_id": member.oid} | one | settings | {"priority": queues.priority(member.ring_order)}


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

routes = routes_of(
    numbered_resource(
        Queue,
        more={
            "members": array(_MEMBER, "Who takes the calls, in the order of priority; replaced as a whole")
        },
        examples={
            "number": "700",
            "name": "Support",
            "members": [{"number": "+4570305050", "priority": 2, "ringSecs": 15}],
        },
        read=_read,
        write=_write,
        parts=_members,
    ),
    "Queues",
)
