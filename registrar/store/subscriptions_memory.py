"""Subscriptions in memory: the meaning of the port without a server, for tests of handlers."""

from dataclasses import replace

from registrar.errors import StoreUnavailable
from registrar.model import Process
from registrar.ports import Clock
from registrar.rules.subscriptions import Subscription, Watcher

from . import keys
from .subscription_codec import watcher_of


class MemorySubscriptions:
    """Subscriptions in memory; implements ports.Subscriptions. Set `away` to make it fail."""

    def __init__(self, clock: Clock) -> None:
        self.stored: dict[str, Subscription] = {}
        self.away = False
        self._clock = clock
        self._claimed: set[tuple[str, Process]] = set()

    def share(self, other: "MemorySubscriptions") -> None:
        """Use the store of `other`, like two processes over one Redis."""
        self.stored, self._claimed = other.stored, other._claimed

    async def write(self, subscription: Subscription) -> Subscription:
        """See ports.Subscriptions."""
        self._ask()
        known = self.stored.get(subscription.id)
        if known is not None:
            cseq, version = max(known.cseq, subscription.cseq), max(known.version, subscription.version)
            subscription = replace(subscription, cseq=cseq, version=version)
        self.stored[subscription.id] = subscription
        return subscription

    async def load(self, id: str) -> Subscription | None:
        """See ports.Subscriptions."""
        self._ask()
        return self._there(id)

    async def watchers(self, target: str) -> list[Watcher]:
        """See ports.Subscriptions."""
        self._ask()
        now = self._clock()
        return [
            watcher_of(subscription)
            for subscription in self.stored.values()
            if subscription.target == target and subscription.expires_at > now
        ]

    async def number(self, subscription: Subscription) -> Subscription | None:
        """See ports.Subscriptions."""
        self._ask()
        known = self._there(subscription.id)
        if known is None or known.process != subscription.process:
            return None
        self.stored[known.id] = replace(known, cseq=known.cseq + 1, version=known.version + 1)
        return replace(subscription, cseq=known.cseq + 1, version=known.version + 1)

    def remove(self, subscription: Subscription) -> None:
        """See ports.Subscriptions."""
        if not self.away:
            self.stored.pop(subscription.id, None)

    async def of_process(self, process: Process) -> list[Subscription]:
        """See ports.Subscriptions."""
        self._ask()
        mine = [subscription for subscription in self.stored.values() if subscription.process == process]
        return [
            one for one in mine if self._there(one.id) is not None and (one.id, process) not in self._claimed
        ]

    async def claim(self, subscription: Subscription) -> bool:
        """See ports.Subscriptions."""
        self._ask()
        left = subscription.id, subscription.process
        is_first = left not in self._claimed
        self._claimed.add(left)
        return is_first

    def _there(self, id: str) -> Subscription | None:
        known = self.stored.get(id)
        if known is None or known.expires_at + keys.SUBSCRIPTION_GRACE_SECONDS <= self._clock():
            return None
        return known

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
