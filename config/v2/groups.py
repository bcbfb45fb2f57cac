"""The routes below /config/v2/sip/domains/{domain}/groups, except for their users."""

from registrar.model import Change

from ..access import DOMAIN
from ..operations import numbered
from ..properties import row_fields_of
from ..tables import Customer, SipGroup
from .resource import NO_CHANGE, Done, Rows, Work, of_domain, owned, routes_of
from .rows import shape_of

FIELDS = row_fields_of(SipGroup)
SHAPE = shape_of("SIP group", SipGroup, "groupId", owner=SipGroup.customer_id, edition=(SipGroup.revision,))


async def _create(work: Work) -> Done:
    customer = await work.domain()
    row = await numbered.create(work.session, work.actor, SipGroup, customer, work.columns(FIELDS))
    return Done(ids={"groupId": str(row.id)})


async def _update(work: Work, _customer: Customer, row: SipGroup) -> Change:
    await numbered.update(work.session, work.actor, row, work.columns(FIELDS, row))
    return NO_CHANGE


async def _delete(work: Work, _customer: Customer, row: SipGroup) -> Change:
    await numbered.delete(work.session, work.actor, row)
    return NO_CHANGE


routes = routes_of(
    Rows(
        path=f"{DOMAIN}/groups",
        id="group",
        tag="SIP groups",
        one="a group",
        many="groups",
        about={
            "List": "List the groups of the domain.",
            "Show": "Return one group.",
            "Create": "Create a group without users.",
            "Change": "Change the properties that are sent.",
            "Delete": "Delete a group; its users stay, and queues lose it as a member.",
        },
        shape=SHAPE,
        scope=of_domain(SipGroup),
        find=owned(SipGroup, "group"),
        create=_create,
        update=_update,
        delete=_delete,
        new=FIELDS,
        fields=FIELDS,
        example={
            "groupName": "sales",
            "displayName": "Sales Dept",
            "extensionNumber": "600",
            "ringRetry": 1,
        },
    )
)
