"""The routes below /config/v2/sip/domains/{domain}/trustedNetworks."""

from registrar.model import Change

from ..access import DOMAIN
from ..operations import networks
from ..properties import row_fields_of
from ..tables import Customer, TrustedNetwork
from .resource import Done, Rows, Work, of_domain, owned, routes_of
from .rows import shape_of

FIELDS = row_fields_of(TrustedNetwork)


async def _create(work: Work) -> Done:
    customer = await work.domain(lock=True)
    row = await networks.create_network(work, customer, work.columns(FIELDS))
    return Done(Change(customer=customer.oid), {"trustedNetworkId": str(row.id)})


async def _update(work: Work, customer: Customer, row: TrustedNetwork) -> Change:
    columns = work.columns(FIELDS, row)
    return await networks.update_network(work, customer, row, columns)


async def _delete(work: Work, customer: Customer, row: TrustedNetwork) -> Change:
    return await networks.delete_network(work, customer, row)


routes = routes_of(
    Rows(
        path=f"{DOMAIN}/trustedNetworks",
        id="network",
        tag="SIP trusted networks",
        one="a trusted network",
        many="trusted networks",
        about={
            "List": "List the networks from which the domain's users and devices may register; if empty, "
            "from anywhere.",
            "Show": "Return one trusted network.",
            "Create": "Create a trusted network; registrations from outside all networks of the domain end "
            "at once.",
            "Change": "Change the properties that are sent; registrations from outside all networks end at "
            "once.",
            "Delete": "Delete a trusted network; registrations from it end at once, unless it was the last "
            "one.",
        },
        shape=shape_of(
            "Trusted network",
            TrustedNetwork,
            "trustedNetworkId",
            owner=TrustedNetwork.customer_id,
            edition=(TrustedNetwork.revision,),
        ),
        scope=of_domain(TrustedNetwork),
        find=owned(TrustedNetwork, "network", lock_domain=True),
        create=_create,
        update=_update,
        delete=_delete,
        new=FIELDS,
        fields=FIELDS,
        example={"network": "10.0.20.0/24", "description": "Head office"},
    )
)
