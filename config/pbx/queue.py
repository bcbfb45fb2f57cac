"""The routes below /pbx/queue."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..checks import Value, dialled
from ..operations import numbered, queues
from ..operations.audit import Work
from ..operations.customers import keys_of, lock_owned, require_customer
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Columns, Draft, read_fields, read_object
from ..operations.ids import parse_oid
from ..properties import fields_of
from ..tables import Customer, Extension, Queue, QueueMember, SipGroup
from .resource import NOTHING_CHANGED, OWNER, Json, Resource, Written, routes_of
from .resource_docs import shown
from .schema import array, sure

TARGETS: Final = {"extension": "extension_id", "group": "group_id", "number": "external_number"}
NOT_ONE: Final = "A member is exactly one of extension, group and number"
SETTINGS: Final = fields_of(QueueMember)

Known = Mapping[str, Mapping[str, int]]
"""Kind of target -> id -> primary key."""


async def _create(work: Work, document: Document) -> Written:
    customer = await require_customer(work.session, work.caller, document.given("customer"))
    draft: Draft[Queue] = Draft(document)
    members = await _read(work.session, draft, customer)
    queue = await numbered.create(work, Queue, customer, draft.values)
    if members is not None:
        await queues.set_members(work.session, queue, members)
    return Written(queue.oid)


async def _update(work: Work, oid: str, document: Document) -> Written:
    queue, customer = await lock_owned(work.session, work.caller, Queue, oid, "Queue")
    draft = Draft(document, queue)
    members = await _read(work.session, draft, customer)
    await numbered.update(work, queue, draft.values)
    if members is not None:
        await queues.set_members(work.session, queue, members)
    return Written(queue.oid)


async def _delete(work: Work, oid: str) -> Change:
    queue, _ = await lock_owned(work.session, work.caller, Queue, oid, "Queue")
    await numbered.delete(work, queue)
    return NOTHING_CHANGED


async def _read(session: AsyncSession, draft: Draft[Queue], customer: Customer) -> list[Columns] | None:
    """Put the columns into the draft. Return the members, or None if the stored ones stay."""
    read_fields(draft, fields_of(Queue))
    sent = draft.sent("members")
    members: list[Columns] | None = None
    if sent is None:
        members = []
    elif isinstance(sent, list):
        members = await _read_members(session, draft, customer, sent)
    elif sent is not NOT_SENT:
        draft.wrong("members", "members must be an array")
    draft.refuse_problems()
    return members


async def _read_members(
    session: AsyncSession, draft: Draft[Queue], customer: Customer, sent: list[object]
) -> list[Columns]:
    objects = [item for item in sent if isinstance(item, Mapping)]
    known = {
        "extension": await keys_of(session, customer, Extension, [one.get("extension") for one in objects]),
        "group": await keys_of(session, customer, SipGroup, [one.get("group") for one in objects]),
    }
    members: list[Columns] = []
    for position, item in enumerate(sent):
        name = f"members[{position}]"
        if isinstance(item, Mapping):
            members.append(_target(draft, name, item, known) | read_object(draft, name, item, SETTINGS))
        else:
            draft.wrong(name, f"{name} must be an object")
    return members


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
    Resource(
        path="/pbx/queue",
        one="queue",
        table=Queue,
        version=Queue.revision,
        joined=select(Queue, Customer.oid).join(Customer, Customer.id == Queue.customer_id),
        references=OWNER,
        more={
            "members": array(_MEMBER, "Who takes the calls, in the order of priority; replaced as a whole")
        },
        examples={
            "number": "700",
            "name": "Support",
            "members": [{"number": "+4570305050", "priority": 2, "ringSecs": 15}],
        },
        sorts={"number": (Queue.number,), "name": (Queue.name,)},
        searched=(Queue.number, Queue.name, Queue.display_name),
        searched_names="number, name or displayName",
        create=_create,
        update=_update,
        delete=_delete,
        parts=_members,
        max_limit=1_000,
    ),
    "Queues",
)
