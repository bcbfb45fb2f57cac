"""The routes below /config/v2/sip/domains for the SIP domains themselves and their trusted networks."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import DOMAIN, DOMAINS
from ..auth import Caller
from ..operations import customers
from ..operations.customers import ACTIVE, visible
from ..properties import row_fields_of
from ..tables import Customer, TrustedNetwork
from . import openapi
from .resource import Done, Path, Rows, Work, below, changes, find_domain, owned, routes_of
from .rows import Shape, columns_of, moments, shape_of, whole

ID: Final = "domainId"
NEW: Final = row_fields_of(Customer, new=True)
EXAMPLE: Final = {"displayName": "Company", "rec": 1}


async def _scope(_session: AsyncSession, caller: Caller, _path: Path) -> Sequence[ColumnElement[bool]]:
    return [visible(caller), Customer.state == ACTIVE, Customer.sip_domain.is_not(None)]


routes = routes_of(
    Rows(
        path=DOMAINS,
        id="domain",
        tag="SIP domains",
        one="a SIP domain",
        many="SIP domains",
        about={
            "List": "List the SIP domains you have access to.",
            "Change": "Change the properties that are sent; the host name cannot change.",
            "Delete": "Delete the customer with all its services; its host name can be used again.",
        },
        shape=Shape(
            "SIP domain",
            (whole(ID, Customer.id, "Number of the SIP domain"), *columns_of(Customer), *moments(Customer)),
            Customer.__table__,
            Customer.id,
            (Customer.revision,),
        ),
        scope=_scope,
        find=find_domain,
        update=customers.update_customer,
        delete=customers.delete_customer,
        fields=row_fields_of(Customer),
        example=EXAMPLE,
    )
)


@changes(
    routes, "POST", "Create a SIP domain", openapi.create(NEW, {"domain": "sip.company.com", **EXAMPLE}, ID)
)
async def _create(work: Work) -> Done:
    """Create a customer with this SIP domain and without a reseller."""
    columns = work.columns(NEW)
    name = columns["sip_display_name"] or columns["sip_domain"]
    row, change = await customers.create_customer(work, None, {**columns, "name": name})
    return Done(change, {ID: str(row.id)})


trusted_networks = routes_of(
    Rows(
        path=f"{DOMAIN}/trustedNetworks",
        id="network",
        tag="SIP trusted networks",
        one="a trusted network",
        many="trusted networks",
        about={
            "List": "List the networks from which the domain's users and devices may register; if empty, "
            "from anywhere.",
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
        scope=below(find_domain, TrustedNetwork.customer_id),
        find=owned(TrustedNetwork, "network", lock_domain=True),
        create=customers.create_network,
        update=customers.update_network,
        delete=customers.delete_network,
        lock_domain=True,
        fields=row_fields_of(TrustedNetwork),
        example={"network": "10.0.20.0/24", "description": "Head office"},
    )
)
