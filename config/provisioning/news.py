"""What the listener for phones tells: entries in a phone's journal and in the stream of all events.

They are told beside the answer: a phone is served while Redis is away, and then these entries are lost.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.model import Epoch, Event, EventKind, Phone
from registrar.rules.proxies import one_source
from registrar.rules.register import printable
from registrar.store import keys
from registrar.store.outbox import event_fields, words

JOURNAL_LENGTH: Final = 100
QUIET_SECONDS: Final = 3_600
"""A refused phone asks again and again: one entry for a phone, a source and this time."""
MAX_AGENT: Final = 256
WAIT_SECONDS: Final = 2.0
FIRST_CONTACT: Final = "first-contact"
FAULTS: Final = (RedisError, OSError, TimeoutError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """The sender of a request."""

    address: str
    port: int
    transport: str
    """http or https."""
    user_agent: str = ""

    @staticmethod
    def of(address: str, port: int, transport: str, user_agent: str) -> "Asker":
        """Return the sender with a User-Agent that is fit to be shown."""
        return Asker(address, port, transport, printable(user_agent, MAX_AGENT))


class News:
    """Appends events of the listener to the journals and to the stream."""

    def __init__(self, redis: Redis, now: Callable[[], Epoch]) -> None:
        self._redis = redis
        self._now = now

    async def loaded(self, phones: Iterable[Phone], locked: Iterable[str], way: str, asker: Asker) -> None:
        """Tell that phones have loaded their configuration, and which of them this has locked."""
        first = frozenset(locked)
        told = []
        for phone in phones:
            if phone.id in first:
                told.append((phone, self._event(EventKind.LOCKED, FIRST_CONTACT, asker)))
            told.append((phone, self._event(EventKind.CONFIGURED, way, asker)))
        await self._tell(told)

    async def refused(self, phone: Phone, reason: str, asker: Asker) -> None:
        """Tell that a phone with a right secret may not come from where it came from."""
        mark = keys.prov_told(phone.id, f"{one_source(asker.address)}:{reason}")
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                is_new = await self._redis.set(mark, "1", ex=QUIET_SECONDS, nx=True)
        except FAULTS as error:
            log.warning("a refusal of phone %s is not noted: %s", phone.id, type(error).__name__)
            return
        if is_new:
            await self._tell([(phone, self._event(EventKind.CONFIG_REFUSED, reason, asker))])

    def _event(self, kind: EventKind, reason: str, asker: Asker) -> Event:
        at = int(self._now())
        return Event(kind, reason, at, asker.address, asker.port, asker.transport, asker.user_agent)

    async def _tell(self, told: Iterable[tuple[Phone, Event]]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for phone, event in told:
            fields, journal = event_fields(event), keys.journal(phone.id)
            key = f"{phone.id}:{secrets.token_hex(8)}"
            about = {"key": key, "phone": phone.id, "customer": phone.customer}
            pipeline.execute_command("XADD", journal, "MAXLEN", JOURNAL_LENGTH, "*", *words(fields))
            pipeline.expire(journal, keys.STATUS_SECONDS)
            pipeline.execute_command(
                "XADD", keys.EVENTS, "MAXLEN", "~", keys.EVENTS_LENGTH, "*", *words(about | fields)
            )
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await pipeline.execute()
        except FAULTS as error:
            log.warning("events of provisioning are lost, Redis is away: %s", type(error).__name__)
