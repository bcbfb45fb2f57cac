"""The redirect services, and which of them takes the phones of a vendor."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from registrar.model import Epoch

from ...settings import RedirectAccount
from ..client import Client
from ..outcome import Service
from .by_xmlrpc import Gigaset, Snom, Yealink
from .gaps import Gaps
from .sraps import Sraps
from .ymcs import Ymcs

MANUAL: Final = "manual"
"""The vendor has no public interface: its entries are made by hand, from the list of `redirects.csv`."""
VENDORS: Final[Mapping[str, tuple[str, ...]]] = {
    "snom": ("sraps", "snom"),
    "yealink": ("ymcs", "yealink"),
    "gigaset": ("gigaset",),
    "gaps": ("gaps",),
    MANUAL: (MANUAL,),
}
"""Vendor, as models name it -> its services, the preferred one first."""

SERVICES: Final = tuple(service for services in VENDORS.values() for service in services)


def made(accounts: Iterable[RedirectAccount], client: Client, now: Callable[[], Epoch]) -> dict[str, Service]:
    """Return the services for which there is an account, by their names."""
    return {account.service: _made(account, client, now) for account in accounts}


def service_for(vendor: str | None, enabled: Collection[str]) -> str | None:
    """Return the service for the phones of a vendor: one that is enabled, else the one that could be.

    Return None if the vendor has none.
    """
    services = VENDORS.get(vendor or "", ())
    return next((one for one in services if one in enabled), services[-1] if services else None)


def _made(account: RedirectAccount, client: Client, now: Callable[[], Epoch]) -> Service:
    match account.service:
        case "snom":
            return Snom(client, account)
        case "sraps":
            return Sraps(client, account, now)
        case "yealink":
            return Yealink(client, account)
        case "ymcs":
            return Ymcs(client, account, now)
        case "gaps":
            return Gaps(client, account)
        case _:
            return Gigaset(client, account)
