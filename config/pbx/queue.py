"""The routes below /pbx/queue."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..auth import Caller
from ..deps import Parts
from ..errors import not_found
from ..operations import numbered, queues
from ..operations.audit import Actor
from ..operations.checks import (
    Check,
    Value,
    Wrong,
    boolean,
    dialled,
    integer,
    one_of,
)
from ..operations.customers import listed, require_customer, visible
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft
from ..operations.extensions import read_extensions
from ..operations.fields import caller_name_format, dial_plan_number, read_fields
from ..operations.fields import text as text_field
from ..operations.groups import read_groups
from ..operations.ids import parse_oid
from ..operations.listing import Page, Sorts, read_page
from ..tables import Customer, Extension, Queue, QueueMember, SipGroup
from .resource import Json, Resource, Shown, Written, columns_json, routes_of

MAX_STRATEGY: Final = 32
FIELDS: Final = (
    text_field("name", "name", "Name of the queue", required=True),
    text_field("displayName", "display_name", "Name that phones show"),
    dial_plan_number(),
    caller_name_format(),
    text_field("strategy", "strategy", "In which order members are called", MAX_STRATEGY),
)
SORTS: Final[Sorts] = {"number": (Queue.number,), "name": (Queue.name,)}
SEARCHED: Final = (Queue.number, Queue.name, Queue.display_name)
TARGETS: Final = {"extension": "extension_id", "group": "group_id", "number": "external_number"}
NOT_ONE: Final = "A member is exactly one of extension, group and number"

_PRIORITY: Final = f"priority must be a number from 1 to {queues.LAST_PRIORITY}"
_ATTEMPTS: Final = f"ringAttempts must be a number from 1 to {queues.MAX_ATTEMPTS}"
_SECONDS: Final = f"ringSecs must be a number from 1 to {queues.MAX_RING_SECONDS}"
_STRATEGY: Final = f"ringStrategy must be one of {', '.join(queues.RING_STRATEGIES)}"
SETTINGS: Final[Mapping[str, tuple[str, Check, Value]]] = {
    "priority": ("ring_order", integer(1, queues.LAST_PRIORITY, _PRIORITY), 1),
    "permanent": ("permanent", boolean("permanent must be true or false"), False),
    "ringStrategy": ("ring_strategy", one_of(queues.RING_STRATEGIES, _STRATEGY), "all"),
    "ringAttempts": ("ring_attempts", integer(1, queues.MAX_ATTEMPTS, _ATTEMPTS), 1),
    "ringSecs": ("ring_secs", integer(1, queues.MAX_RING_SECONDS, _SECONDS), 20),
}
"""Property of a member -> its column, its check, and its default."""

Known = Mapping[str, Mapping[str, int]]
"""Kind of target -> id -> primary key."""


async def _page(session: AsyncSession, caller: Caller, page: Page) -> tuple[int, list[Json]]:
    scope = await listed(session, caller, page.customer)
    statement = _joined().where(scope)
    total, rows = await read_page(session, statement, page, SEARCHED, SORTS, Queue.id)
    members = await _members(session, [queue.id for queue, _ in rows])
    return total, [_json(queue, owner, members[queue.id]) for queue, owner in rows]


async def _show(session: AsyncSession, caller: Caller, oid: str) -> Shown:
    statement = _joined().where(Queue.oid == (parse_oid(oid) or ""), visible(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found("Queue")
    queue, owner = found
    return Shown(_json(queue, owner, (await _members(session, [queue.id]))[queue.id]), queue.revision)


async def _create(session: AsyncSession, actor: Actor, document: Document, parts: Parts) -> Written:
    customer = await require_customer(session, actor.caller, document.given("customer"))
    draft: Draft[Queue] = Draft(document)
    members = await _read(session, draft, customer)
    queue = await numbered.create(session, actor, Queue, customer, draft.values)
    if members is not None:
        await queues.set_members(session, queue, members)
    return Written(queue.oid, Change(dial_plan=customer.oid))


async def _update(session: AsyncSession, actor: Actor, oid: str, document: Document, parts: Parts) -> Written:
    queue, customer = await queues.find_queue(session, actor.caller, oid)
    draft = Draft(document, queue)
    members = await _read(session, draft, customer)
    await numbered.update(session, actor, queue, draft.values)
    if members is not None:
        await queues.set_members(session, queue, members)
    return Written(queue.oid, Change(dial_plan=customer.oid))


async def _delete(session: AsyncSession, actor: Actor, oid: str) -> Change:
    queue, customer = await queues.find_queue(session, actor.caller, oid)
    await numbered.delete(session, actor, queue)
    return Change(dial_plan=customer.oid)


async def _read(
    session: AsyncSession, draft: Draft[Queue], customer: Customer
) -> list[queues.Columns] | None:
    """Put the columns into the draft. Return the members, or None if the stored ones stay."""
    read_fields(draft, FIELDS)
    sent = draft.sent("members")
    members: list[queues.Columns] | None = None
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
) -> list[queues.Columns]:
    objects = [item for item in sent if isinstance(item, Mapping)]
    known = {
        "extension": await read_extensions(session, customer, [item.get("extension") for item in objects]),
        "group": await read_groups(session, customer, [item.get("group") for item in objects]),
    }
    members: list[queues.Columns] = []
    for position, item in enumerate(sent):
        name = f"members[{position}]"
        if isinstance(item, Mapping):
            members.append(_target(draft, name, item, known) | _settings(draft, name, item))
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
        checked = dialled(f"{path} is not a valid phone number")(sent)
        if isinstance(checked, Wrong):
            draft.wrong(path, checked.message, check=checked.check)
            return None
        return checked
    found = known[kind].get(parse_oid(sent) or "")
    if found is None:
        draft.wrong(path, f"{kind.capitalize()} not found", 404, "exists")
    return found


def _settings(draft: Draft[Queue], name: str, item: Mapping[str, object]) -> dict[str, Value]:
    columns: dict[str, Value] = {}
    for path, (column, check, default) in SETTINGS.items():
        sent = item.get(path)
        checked = default if sent is None else check(sent)
        if isinstance(checked, Wrong):
            draft.wrong(f"{name}.{path}", checked.message, check=checked.check)
        else:
            columns[column] = checked
    return columns


async def _members(session: AsyncSession, ids: Sequence[int]) -> Mapping[int, list[Json]]:
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
    return members


def _member_json(member: QueueMember, extension: str | None, group: str | None) -> Json:
    targets = {"extension": extension, "group": group, "number": member.external_number}
    one: Json = {kind: target for kind, target in targets.items() if target is not None}
    settings: Json = {path: getattr(member, column) for path, (column, _, _) in SETTINGS.items()}
    return {"_id": member.oid} | one | settings | {"priority": queues.priority(member.ring_order)}


def _joined() -> Select[Queue, str]:
    columns: Select[Queue, str] = select(Queue, Customer.oid)
    return columns.join(Customer, Customer.id == Queue.customer_id)


def _json(queue: Queue, customer: str, members: Iterable[Json]) -> Json:
    return {"_id": queue.oid, "customer": customer} | columns_json(queue, FIELDS) | {"members": list(members)}


_MEMBER: Final[Json] = {
    "type": "object",
    "description": NOT_ONE,
    "properties": {
        "_id": {"type": "string", "readOnly": True},
        "extension": {"type": "string", "description": "Id of an extension of the same customer"},
        "group": {"type": "string", "description": "Id of a group of the same customer"},
        "number": {"type": "string", "description": "A number outside"},
        "priority": {"type": "integer", "minimum": 1, "maximum": queues.LAST_PRIORITY, "default": 1},
        "permanent": {"type": "boolean", "default": False},
        "ringStrategy": {"type": "string", "enum": list(queues.RING_STRATEGIES), "default": "all"},
        "ringAttempts": {"type": "integer", "minimum": 1, "maximum": queues.MAX_ATTEMPTS, "default": 1},
        "ringSecs": {"type": "integer", "minimum": 1, "maximum": queues.MAX_RING_SECONDS, "default": 20},
    },
}

routes = routes_of(
    Resource(
        path="/pbx/queue",
        version=Queue.revision,
        one="queue",
        many="queues",
        fields=FIELDS,
        references={"customer": "Id of the customer, by default one's own; read only after the creation"},
        more={
            "members": {
                "type": "array",
                "items": _MEMBER,
                "description": "Who takes the calls, in the order of priority; replaced as a whole",
            }
        },
        examples={
            "number": "700",
            "name": "Support",
            "members": [{"number": "+4570305050", "priority": 2, "ringSecs": 15}],
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
    "Queues",
)
