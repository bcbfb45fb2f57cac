"""The 3xx of a called phone: only numbers of the caller's own customer are passed on."""

from registrar.errors import RedirectionRefused
from registrar.model import Phone
from registrar.rules import redirection
from registrar.sip import Response

from .parts import Parts, called


async def redirected(parts: Parts, caller: Phone, response: Response) -> tuple[tuple[str, str], ...]:
    """Return the Contact headers of a 3xx as `caller` may see them.

    Raises RedirectionRefused if there is none, or if one is not a number of the customer. Raises
    StoreUnavailable.
    """

    def is_here(host: str) -> bool:
        return host == caller.domain or parts.is_our_name(host)

    users = redirection.users(response, is_here)
    if users is None:
        raise RedirectionRefused(redirection.STRANGER)
    if not users:
        raise RedirectionRefused(redirection.NOWHERE)
    found = []
    for user, q in users:
        callee = await called(parts.dial_plan, caller.customer, user)
        if callee is None or not callee.number:
            raise RedirectionRefused(redirection.STRANGER)
        found.append((callee, q))
    return redirection.contacts(found, caller.domain)
