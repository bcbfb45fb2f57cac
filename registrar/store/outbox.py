"""Outbox of events: from the location of a phone, which was written with them, to the stream of all events.

A commit writes its events into the location and the journal, in one script. The stream of all events is in
another slot of a cluster, so it is written afterwards. Until that is done, the events stay in the location.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from registrar.errors import StoreUnavailable
from registrar.model import Event, Update
from registrar.ports import Clock

from . import keys
from .redis_wire import Wire
from .scripts import PUBLISHED

UNPUBLISHED_SECONDS: Final = 5
"""Events that were not published for so long have lost their writer: any process that reads them publishes
them."""

log = logging.getLogger(__name__)
Fields = Mapping[str, str | int]


class Outbox:
    """Publisher of events, at least once each."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock

    def publish(self, phone: str, events: str) -> None:
        """Append the events to the stream of all events, then remove them from the location of the phone."""

        def done(future: asyncio.Future[Any]) -> None:
            if future.cancelled() or future.exception() is not None:
                return
            try:
                self._wire.tell("EVALSHA", PUBLISHED.sha, 1, keys.location(phone), events, linger=True)
            except StoreUnavailable:  # they stay in the location, and are published once more
                log.debug("published events of phone %s stay in its location", phone)

        try:
            futures = [
                self._wire.send("XADD", keys.EVENTS, "MAXLEN", "~", keys.EVENTS_LENGTH, "*", *words(fields))
                for fields in json.loads(events)
            ]
        except StoreUnavailable:
            return
        asyncio.gather(*futures).add_done_callback(done)

    def adopt(self, phone: str, events: bytes) -> None:
        """Publish events that were read with a location, if the process that wrote them must be dead."""
        if _is_left_behind(events, self._clock()):
            self.publish(phone, events.decode())


def dump_events(phone: str, update: Update) -> str:
    """Return the events of an update as JSON, with the fields of the stream of all events.

    The key of an event is made here, so that it is the same each time the event is appended.
    """
    about: dict[str, str | int] = {"phone": phone, "customer": update.customer}
    key = f"{phone}:{update.after.version}"
    told = [
        {"key": f"{key}:{place}" if place else key} | about | event_fields(event)
        for place, event in enumerate(update.events)
    ]
    return json.dumps(told, separators=(",", ":"))


def event_fields(event: Event) -> dict[str, str | int]:
    """Return one event as the fields of a stream entry."""
    return {
        "event": event.kind,
        "reason": event.reason,
        "time": event.at,
        "ip": event.ip,
        "port": event.port,
        "transport": event.transport,
        "userAgent": event.user_agent,
        "count": event.count,
        "by": event.by,
    }


def words(fields: Fields) -> list[str | int]:
    """Return the names and values of a stream entry in the order in which XADD takes them."""
    return [word for pair in fields.items() for word in pair]


def _is_left_behind(events: bytes, now: float) -> bool:
    """Return whether unpublished events are so old that the process that wrote them must be dead."""
    try:
        return bool(json.loads(events)[0]["time"] + UNPUBLISHED_SECONDS < now)
    except (ValueError, TypeError, KeyError, IndexError):
        return False
