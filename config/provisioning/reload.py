"""Orders that make phones load their configuration, or restart: a process of the SIP side sends the NOTIFY.

An order is published for the process that holds the phone, and its result comes back as a list in Redis
(docs/redis.md). Loaded is a phone only when it has fetched its files: `configLoaded` > `configSaved`.
"""

import asyncio
import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from redis.asyncio import Redis

from registrar.errors import StoreUnavailable
from registrar.rules.notify import KEPT_SECONDS, Order, Result, order_text, parse_result, wait
from registrar.store import keys
from registrar.store.many import ask, command

from ..live import READ_SECONDS, Live, away_is_unavailable, generations

LOOK_SECONDS: Final = 0.05
RESULT_SECONDS: Final = KEPT_SECONDS + 1.0
"""The longest time for a result: its turn, and the time that the phone may take."""
CHUNK: Final = 100
"""Orders published at once. Other tasks run in between, because the same event loop may serve SIP."""


class Deed(StrEnum):
    """What a phone shall do; also the action in the audit log."""

    RELOAD = "configreload"
    REBOOT = "reboot"


_SYNC: Final = "check-sync"
_LOAD: Final = "check-sync;reboot=false"
_BOOT: Final = "check-sync;reboot=true"
EVENTS: Final[Mapping[str, Mapping[Deed, str]]] = {
    writer: {Deed.RELOAD: reload, Deed.REBOOT: reboot}
    for writer, reload, reboot in (
        ("snom", _LOAD, _BOOT),
        ("snom8", _LOAD, _BOOT),
        ("snom-dect", _BOOT, _BOOT),
        ("mitel", _SYNC, _BOOT),
        ("yealink", _LOAD, _BOOT),
        ("yealink-dect", _LOAD, _BOOT),
        ("gigaset-n510", _SYNC, _BOOT),
        ("gigaset-nx70", _SYNC, _BOOT),
        ("maxwell", _SYNC, _BOOT),
        ("grandstream", "resync", _BOOT),
        ("spa", "resync", "reboot_now"),
        ("mpp", _SYNC, _SYNC),
        ("lg", _SYNC, _SYNC),
    )
}
"""Writer of the model -> the Event of each deed. Where both are alike, the phone decides."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that may be reached: one phone, or the handsets of a base, which share its MAC address."""

    key: str
    """Names the device: what its phones have in common, else the id of the phone."""
    phones: tuple[str, ...]
    """The ids of its phones, the preferred one first."""
    writer: str


class Reloads:
    """Publisher of orders. Every method raises StoreUnavailable while Redis is away."""

    def __init__(self, redis: Redis, live: Live) -> None:
        self._redis = redis
        self._live = live

    async def orders(self, devices: Sequence[Device], deed: Deed) -> list[Order | None]:
        """Return the order for each device, or None if none of its phones is online."""
        phones = list(dict.fromkeys(phone for device in devices for phone in device.phones))
        lives = dict(zip(phones, await self._live.told(phones), strict=True))
        living = await self._living()
        found: list[Order | None] = []
        for device in devices:
            phone = next((phone for phone in device.phones if lives[phone].online), None)
            if phone is None or not living:
                found.append(None)
                continue
            node = lives[phone].node or ""
            event = EVENTS[device.writer][deed]
            found.append(Order(phone, event, node if node in living else random.choice(living), device.key))
        return found

    async def send(self, order: Order) -> Result | None:
        """Publish an order, and return its result, or None if no process has told one in time."""
        id = secrets.token_hex(16)
        await self._publish([replace(order, id=id)])
        result = command("LPOP", keys.notified(id))
        for _ in range(round(RESULT_SECONDS / LOOK_SECONDS)):
            (found,) = await self._ask([result])
            if isinstance(found, str):
                return parse_result(found)
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def send_all(self, orders: Sequence[Order]) -> int:
        """Publish orders, and return in how many seconds about the last one leaves; do not wait for them."""
        for start in range(0, len(orders), CHUNK):
            await self._publish(orders[start : start + CHUNK])
            await asyncio.sleep(0)
        nodes = [order.node for order in orders]
        return round(max((wait(nodes.count(node)) for node in set(nodes)), default=0.0))

    async def _publish(self, orders: Iterable[Order]) -> None:
        await self._ask([command("PUBLISH", keys.NOTIFY, order_text(order)) for order in orders])

    async def _living(self) -> list[str]:
        """Return the names of the nodes whose lease is there. Any of them can send a datagram."""
        (rows,) = await self._ask([command("HKEYS", keys.NODES)])
        names = sorted({str(row).rpartition(" ")[0] for row in rows}) if isinstance(rows, list) else []
        leases = await self._ask([command("GET", keys.node(name)) for name in names]) if names else []
        return list(generations(names, leases))

    async def _ask(self, commands: Iterable[bytes]) -> list[object]:
        with away_is_unavailable():
            async with asyncio.timeout(READ_SECONDS):
                answers = await ask(self._redis, commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreUnavailable(f"Redis: {answer}")
        return answers
