"""Signs messages to web servers and sends them; the test of a webhook, and the check of a new URL."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.store.vault import Vault

from ..tables import Webhook
from .message import TEST, headers_of, message_id, written
from .sender import Outcome, Sender

TESTED: Final = "A test of this webhook has not ended yet: wait for its result, at most 15 seconds"
CROWDED: Final = (
    "Too many requests to web servers of this customer have no answer yet: try again in 15 seconds"
)


class Busy(Exception):
    """A request that a person asks for may not begin now; the text says why."""


class Courier:
    """Signs messages, and sends them."""

    def __init__(self, vault: Vault, sender: Sender, now: Callable[[], Epoch]) -> None:
        """Create a courier. Messages are signed with the secrets in the vault, for the time `now`."""
        self.shares = sender.shares
        self._vault = vault
        self._sender = sender
        self._now = now
        self._tested: set[str] = set()
        """Ids of the webhooks that are being tested."""

    async def post(self, webhook: Webhook, customer: str, id: str, body: str) -> Outcome:
        """Send a message now, and return what came of it. The caller must have a permit of the customer."""
        try:
            secret = self._vault.open(webhook.secret_enc, webhook.oid)
        except StoreUnavailable as error:
            return Outcome(None, str(error), 0)
        return await self._sender.post(webhook.url, headers_of(id, self._now(), body, secret), body, customer)

    @contextlib.contextmanager
    def testing(self, webhook: str, customer: str) -> Iterator[None]:
        """Reserve what a test needs for the length of the block. Raise Busy."""
        if webhook in self._tested:
            raise Busy(TESTED)
        with self._permit(customer):
            self._tested.add(webhook)
            try:
                yield
            finally:
                self._tested.discard(webhook)

    async def test(self, webhook: Webhook, customer: str) -> Outcome:
        """Send a message of the type `test` now. Call this inside `testing`."""
        now = self._now()
        body = written(TEST, now, {"webhook": webhook.oid, "event": TEST})
        return await self.post(webhook, customer, message_id(f"{webhook.oid}:{now}"), body)

    async def check(self, host: str, port: int, customer: str) -> None:
        """Raise Forbidden if an address of a host may not be asked, Unresolved if it has none, or Busy."""
        with self._permit(customer):
            await self._sender.names.addresses_of(host, port, customer)

    async def close(self) -> None:
        """Close all connections."""
        await self._sender.close()

    @contextlib.contextmanager
    def _permit(self, customer: str) -> Iterator[None]:
        if not self.shares.take(customer):
            raise Busy(CROWDED)
        try:
            yield
        finally:
            self.shares.give(customer)
