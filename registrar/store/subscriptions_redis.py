"""Subscriptions in Redis (docs/redis.md): CSeq numbers and versions are counted there, so they never fall."""

import asyncio
import logging
from dataclasses import replace
from typing import Final

from registrar.model import Process
from registrar.ports import Clock
from registrar.rules.subscriptions import Subscription, Watcher

from . import keys
from .script_runner import Runner
from .scripts import NOTIFY, SUBSCRIBE
from .subscription_codec import (
    UNREADABLE,
    decode,
    decode_watcher,
    encode,
    encode_watcher,
    watcher_of,
)

INDEX_SECONDS: Final = 86_400
"""How long the list of a process outlives its last subscription; no process is away for longer than a day."""
WATCH_SECONDS: Final = 7_200
"""How long the list of a target outlives the last change: longer than any subscription lasts."""
CHUNK: Final = 500

log = logging.getLogger(__name__)


class RedisSubscriptions:
    """Subscriptions in Redis; implements ports.Subscriptions."""

    def __init__(self, runner: Runner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock

    async def write(self, subscription: Subscription) -> Subscription:
        """See ports.Subscriptions. The lists are written first: an entry without a hash is harmless."""
        runner, owner = self._runner, keys.node_subscriptions(subscription.process)
        watch = keys.watch(subscription.target)
        runner.command("SADD", owner, subscription.id)
        runner.command("EXPIRE", owner, INDEX_SECONDS)
        runner.command("HSET", watch, subscription.id, encode_watcher(watcher_of(subscription)).encode())
        runner.command("EXPIRE", watch, WATCH_SECONDS)
        words = [word.encode(errors="replace") for pair in encode(subscription).items() for word in pair]
        end = int(subscription.expires_at) + keys.SUBSCRIPTION_GRACE_SECONDS
        key = (keys.subscription(subscription.id),)
        cseq, version = await runner.run(SUBSCRIBE, key, subscription.cseq, subscription.version, end, *words)
        return replace(subscription, cseq=cseq, version=version)

    async def load(self, id: str) -> Subscription | None:
        """See ports.Subscriptions."""
        words = [
            word.decode(errors="replace") for word in await self._runner.ask("HGETALL", keys.subscription(id))
        ]
        if not words:
            return None
        try:
            return decode(dict(zip(words[::2], words[1::2], strict=True)))
        except UNREADABLE as error:
            log.error("subscription %s cannot be read: %s", id, error)
            return None

    async def watchers(self, target: str) -> list[Watcher]:
        """See ports.Subscriptions. Rows that have expired are removed from the list."""
        key = keys.watch(target)
        words = [word.decode(errors="replace") for word in await self._runner.ask("HGETALL", key)]
        found: list[Watcher] = []
        past: list[str] = []
        for id, text in zip(words[::2], words[1::2], strict=True):
            try:
                watcher = decode_watcher(id, text)
            except UNREADABLE:
                past.append(id)
                continue
            if watcher.expires_at > self._clock():
                found.append(watcher)
            else:
                past.append(id)
        if past:
            self._runner.command("HDEL", key, *past)
        return found

    async def number(self, subscription: Subscription) -> Subscription | None:
        """See ports.Subscriptions."""
        process = subscription.process
        key = (keys.subscription(subscription.id),)
        numbers = await self._runner.run(NOTIFY, key, process.node, process.generation)
        if not numbers:
            return None
        return replace(subscription, cseq=numbers[0], version=numbers[1])

    def remove(self, subscription: Subscription) -> None:
        """See ports.Subscriptions."""
        self._runner.command("DEL", keys.subscription(subscription.id))
        self._runner.command("HDEL", keys.watch(subscription.target), subscription.id)
        self._runner.command("SREM", keys.node_subscriptions(subscription.process), subscription.id)

    async def of_process(self, process: Process) -> list[Subscription]:
        """See ports.Subscriptions. Subscriptions that are listed but gone are removed from the list."""
        key = keys.node_subscriptions(process)
        ids = [id.decode(errors="replace") for id in await self._runner.ask("SMEMBERS", key)]
        found: list[Subscription] = []
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            for id, loaded in zip(chunk, await asyncio.gather(*map(self.load, chunk)), strict=True):
                if loaded is not None and loaded.process == process:
                    found.append(loaded)
                else:
                    self._runner.command("SREM", key, id)
        return found

    async def claim(self, subscription: Subscription) -> bool:
        """See ports.Subscriptions."""
        key = keys.node_subscriptions(subscription.process)
        return bool(await self._runner.ask("SREM", key, subscription.id))
