"""The hosts that are this service: its names and addresses, and the domains of its customers."""

from collections.abc import Callable
from typing import Final

LOCALHOST: Final = "localhost"


class OurHosts:
    """Tells a host of this service from others. Hosts are in small letters (`Uri.host_key`)."""

    def __init__(
        self,
        public: str,
        domain: str,
        serves: Callable[[str], bool],
        is_local: Callable[[str], bool],
    ) -> None:
        """Store the names.

        `public` is the public host name, or empty; `domain` is the service's own domain. `serves` returns
        whether a host is a customer's SIP domain, `is_local` whether it is an address of this machine.
        """
        self.public = public
        self._key = public.lower()
        self.domain = domain
        self._serves = serves
        self._is_local = is_local

    def is_address(self, host: str) -> bool:
        """Return whether a host is an address of this process."""
        return host == self._key or self._is_local(host)

    def is_service(self, host: str) -> bool:
        """Return whether a host is the service itself; any phone may write it in place of its own domain."""
        if self.is_address(host):
            return True
        return host in (self.domain, LOCALHOST) and not self._serves(host)

    def has(self, host: str) -> bool:
        """Return whether a host is any name or address of this service."""
        return self._serves(host) or host == self.domain or self.is_service(host)
