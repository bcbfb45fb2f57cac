"""The routes below .../groups and .../queues of a domain, except for the users and members in them."""

from collections.abc import Mapping
from typing import Final

from registrar.model import Change

from ..access import DOMAIN
from ..operations import numbered
from ..operations.numbered import Numbered
from ..properties import row_fields_of
from ..tables import Customer, Queue, SipGroup
from .resource import Done, Rows, Work, of_domain, owned, routes_of
from .rows import Shape, shape_of


async def _update(work: Work, customer: Customer, row: SipGroup | Queue) -> Change:
    await numbered.update(work, row, work.columns(row_fields_of(type(row)), row))
    return Change(dial_plan=customer.oid)


async def _delete(work: Work, customer: Customer, row: SipGroup | Queue) -> Change:
    await numbered.delete(work, row)
    return Change(dial_plan=customer.oid)


def _rows(
    table: type[Numbered], shape: Shape, id: str, about: Mapping[str, str], example: Mapping[str, object]
) -> Rows[Numbered]:
    fields = row_fields_of(table)

    async def create(work: Work) -> Done:
        customer = await work.domain()
        row = await numbered.create(work, table, customer, work.columns(fields))
        return Done(Change(dial_plan=customer.oid), {shape.names[0]: str(row.id)})

    return Rows(
        path=f"{DOMAIN}/{id}s",
        id=id,
        tag=f"SIP {id}s",
        one=f"a {id}",
        many=f"{id}s",
        about={
            "List": f"List the {id}s of the domain.",
            "Show": f"Return one {id}.",
            "Change": "Change the properties that are sent.",
            **about,
        },
        shape=shape,
        scope=of_domain(table),
        find=owned(table, id),
        create=create,
        update=_update,
        delete=_delete,
        new=fields,
        fields=fields,
        example=example,
    )


GROUP: Final = shape_of(
    "SIP group", SipGroup, "groupId", owner=SipGroup.customer_id, edition=(SipGroup.revision,)
)
QUEUE: Final = shape_of("SIP queue", Queue, "queueId", owner=Queue.customer_id, edition=(Queue.revision,))

groups = routes_of(
    _rows(
        SipGroup,
        GROUP,
        "group",
        {
            "Create": "Create a group without users.",
            "Delete": "Delete a group; its users stay, and queues lose it as a member.",
        },
        {"groupName": "sales", "displayName": "Sales Dept", "extensionNumber": "600", "ringRetry": 1},
    )
)
queues = routes_of(
    _rows(
        Queue,
        QUEUE,
        "queue",
        {"Create": "Create a queue without members.", "Delete": "Delete a queue and its memberships."},
        {"queueName": "sales", "displayName": "Sales Dept", "extensionNumber": "700"},
    )
)
