"""The routes below /config/v2/sip/domains/{domain}/queues, except for their members."""

from registrar.model import Change

from ..access import DOMAIN
from ..operations import numbered
from ..properties import row_fields_of
from ..tables import Customer, Queue
from .resource import NO_CHANGE, Done, Rows, Work, of_domain, owned, routes_of
from .rows import shape_of

FIELDS = row_fields_of(Queue)
SHAPE = shape_of("SIP queue", Queue, "queueId", owner=Queue.customer_id, edition=(Queue.revision,))


async def _create(work: Work) -> Done:
    customer = await work.domain()
    row = await numbered.create(work.session, work.actor, Queue, customer, work.columns(FIELDS))
    return Done(ids={"queueId": str(row.id)})


async def _update(work: Work, _customer: Customer, row: Queue) -> Change:
    await numbered.update(work.session, work.actor, row, work.columns(FIELDS, row))
    return NO_CHANGE


async def _delete(work: Work, _customer: Customer, row: Queue) -> Change:
    await numbered.delete(work.session, work.actor, row)
    return NO_CHANGE


routes = routes_of(
    Rows(
        path=f"{DOMAIN}/queues",
        id="queue",
        tag="SIP queues",
        one="a queue",
        many="queues",
        about={
            "List": "List the queues of the domain.",
            "Show": "Return one queue.",
            "Create": "Create a queue without members.",
            "Change": "Change the properties that are sent.",
            "Delete": "Delete a queue and its memberships.",
        },
        shape=SHAPE,
        scope=of_domain(Queue),
        find=owned(Queue, "queue"),
        create=_create,
        update=_update,
        delete=_delete,
        new=FIELDS,
        fields=FIELDS,
        example={"queueName": "sales", "displayName": "Sales Dept", "extensionNumber": "700"},
    )
)
