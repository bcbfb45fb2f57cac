"""The services that are called by XML-RPC: those of Snom, Yealink (RPS) and Gigaset."""

from typing import Final

from ...settings import RedirectAccount
from ..client import Client
from ..outcome import DONE, Outcome, Verdict
from ..xmlrpc import call
from .judging import is_unknown, judge

PROVIDER: Final = "registrar"
"""The name under which our entries are at the vendor."""
OVERRIDE: Final = "1"
"""Replace the entry that the same account has already."""
IN_USE: Final = "mac_already_in_use"


class Caller:
    """An account at a service that is called by XML-RPC."""

    def __init__(self, client: Client, account: RedirectAccount) -> None:
        self._client = client
        self._url = account.url
        self._login = account.user, account.password

    async def call(self, method: str, *values: str) -> Outcome:
        """Call a method, and return what came of it. Raise Unanswered."""
        said = await call(self._client, self._url, self._login, method, *values)
        if isinstance(said, Outcome):
            return said
        return DONE if said.is_done else judge(said.text)

    async def forget(self, method: str, mac: str) -> Outcome:
        """Call a method that deletes an entry. It is DONE if there is none. Raise Unanswered."""
        outcome = await self.call(method, mac)
        return DONE if is_unknown(outcome.error) else outcome


class Snom:
    """The redirection of Snom by XML-RPC."""

    def __init__(self, client: Client, account: RedirectAccount) -> None:
        self._caller = Caller(client, account)

    async def register(self, mac: str, url: str) -> Outcome:
        """Let a phone be sent to a URL; an entry of the same account is replaced."""
        return await self._caller.call("redirect.registerPhone", mac.upper(), url)

    async def deregister(self, mac: str) -> Outcome:
        """Delete the entry of a phone."""
        return await self._caller.forget("redirect.deregisterPhone", mac.upper())


class Yealink:
    """The redirection of Yealink (RPS) by XML-RPC."""

    def __init__(self, client: Client, account: RedirectAccount) -> None:
        self._caller = Caller(client, account)

    async def register(self, mac: str, url: str) -> Outcome:
        """Let a phone be sent to a URL of its own."""
        method = "redirect.registerDeviceWithUniqueUrl"
        return await self._caller.call(method, _dashed(mac), PROVIDER, url, OVERRIDE)

    async def deregister(self, mac: str) -> Outcome:
        """Delete the entry of a phone."""
        return await self._caller.forget("redirect.deRegisterDevice", _dashed(mac))


class Gigaset:
    """The redirection of Gigaset by XML-RPC, for accounts that need no check code behind the MAC address."""

    def __init__(self, client: Client, account: RedirectAccount) -> None:
        self._caller = Caller(client, account)

    async def register(self, mac: str, url: str) -> Outcome:
        """Let a phone be sent to a URL. An entry is in use also if it is our own: then delete it first."""
        outcome = await self._register(mac, url)
        if outcome.verdict is not Verdict.FOREIGN or IN_USE not in outcome.error:
            return outcome
        await self.deregister(mac)
        return await self._register(mac, url)

    async def deregister(self, mac: str) -> Outcome:
        """Delete the entry of a phone."""
        return await self._caller.forget("autoprov.deregisterDevice", mac.upper())

    async def _register(self, mac: str, url: str) -> Outcome:
        return await self._caller.call("autoprov.registerDevice", mac.upper(), url, PROVIDER)


def _dashed(mac: str) -> str:
    return "-".join(mac.upper()[at : at + 2] for at in range(0, len(mac), 2))
