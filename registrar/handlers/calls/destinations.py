"""Where a request goes: the destination that a URI names, and the devices there (RFC 3261 section 16.5)."""

from registrar.errors import RedirectionRefused
from registrar.model import NO_DESTINATION, Destination, Devices, Phone
from registrar.ports import Clock, DialPlan, Location
from registrar.rules import redirection
from registrar.rules.destination import dialled_word
from registrar.rules.hosts import OurHosts
from registrar.rules.identity import identity_of
from registrar.rules.routing import devices, same_device
from registrar.rules.tokens import Target
from registrar.sip import Request, Response, param

from .reach import Reach

Route = tuple[Destination, list[list[Target]]]
"""The destination, and if it is Devices those that are there, each with its flows, best first."""


class Destinations:
    """Finder of destinations: by the dial plan of the caller's customer, and by the tokens of devices."""

    def __init__(
        self, dial_plan: DialPlan, location: Location, reach: Reach, hosts: OurHosts, clock: Clock
    ) -> None:
        self._dial_plan = dial_plan
        self._location = location
        self._reach = reach
        self._hosts = hosts
        self._clock = clock

    async def find(self, request: Request, caller: Phone, here: Target | None) -> Route:
        """Return the destination of a request outside a dialog; `here` is left out of its devices.

        Raises StoreUnavailable.
        """
        uri = request.uri
        gr = param(uri.params, "gr")
        if gr and self._hosts.has(uri.host_key):
            return await self._device(gr, caller)
        word = dialled_word(uri)
        if not word or (uri.is_sip and not self._is_here(uri.host_key, caller)):
            return NO_DESTINATION, []
        return await self.dialled(caller, word, here)

    async def dialled(self, caller: Phone, word: str, here: Target | None = None) -> Route:
        """Return the destination of a word that a phone of the customer dials. Raises StoreUnavailable."""
        found = await self._dial_plan.called(caller.customer, word)
        if not isinstance(found, Devices):
            return found, []
        phones = [phone.id for phone in found.phones if phone.active]
        snapshots = await self._location.load(phones) if phones else []
        return found, devices(zip(phones, snapshots, strict=True), self._clock(), here)

    def named_by(self, caller: Phone, response: Response) -> list[str]:
        """Return the words that the Contacts of a 3xx dial, empty if one of them leads elsewhere."""
        users = redirection.users(response, lambda host: self._is_here(host, caller))
        return [user for user, _ in users or ()]

    async def redirected(self, caller: Phone, response: Response) -> tuple[tuple[str, str], ...]:
        """Return the Contact headers of a 3xx as `caller` may see them: numbers of its own customer.

        Raises RedirectionRefused if there is none, or if one is not a number of the customer. Raises
        StoreUnavailable.
        """
        users = redirection.users(response, lambda host: self._is_here(host, caller))
        if users is None:
            raise RedirectionRefused(redirection.STRANGER)
        if not users:
            raise RedirectionRefused(redirection.NOWHERE)
        found = []
        for user, q in users:
            destination = await self._dial_plan.called(caller.customer, user)
            if not isinstance(destination, Devices):
                raise RedirectionRefused(redirection.STRANGER)
            found.append((destination, q))
        return redirection.contacts(found, caller.domain)

    def _is_here(self, host: str, caller: Phone) -> bool:
        return host == caller.domain or self._hosts.is_service(host)

    async def _device(self, gr: str, caller: Phone) -> Route:
        """Return one device by the address that its peer in a call was shown: for transfers (RFC 5627).

        If that device is gone, all devices of its phone are returned. Raises StoreUnavailable.
        """
        named = self._reach.read_gr(gr)
        phone = await self._dial_plan.phone(named.phone) if named is not None else None
        if (
            named is None
            or phone is None
            or phone.customer != caller.customer
            or not identity_of(phone).number
        ):
            return NO_DESTINATION, []
        if not phone.active:
            return Devices("", "", (phone,)), []
        (snapshot,) = await self._location.load([phone.id])
        shown = identity_of(phone)
        live = devices([(phone.id, snapshot)], self._clock(), None)
        return Devices(shown.number, shown.name, (phone,)), same_device(live, named) or live
