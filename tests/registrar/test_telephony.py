"""registrar/telephony.py: the messages of other processes reach the store that they are for."""

import time

from registrar.handlers.calls.pickup import Pickup
from registrar.handlers.calls.table import CallTable
from registrar.metrics import Metrics
from registrar.model import Epoch, Mono, Process
from registrar.store import keys
from registrar.store.location_redis import RedisLocation
from registrar.telephony import CHANNELS, Telephony
from tests.registrar.handlers.world import World


def clock() -> Epoch:
    return Epoch(time.time())


def made() -> tuple[Telephony, CallTable, Pickup]:
    location = RedisLocation("redis://127.0.0.1:1", clock)
    telephony = Telephony(
        (),
        "k" * 40,
        location,
        Metrics(),
        clock,
        lambda: Mono(0.0),
        Process("a", "g1"),
        lambda process: True,
        wrap_up_seconds=2,
    )
    world = World()
    return telephony, world.calls, world.pickup


async def test_news_of_a_person_reach_those_who_wait_for_it() -> None:
    telephony, table, pickup = made()
    heard = []
    telephony.people.on_news = lambda person, what: heard.append((person, what))
    assert keys.PERSON_NEWS in CHANNELS
    await telephony.hear(keys.PERSON_NEWS, '{"person":"p","what":"free"}', table, pickup)
    await telephony.hear(keys.PERSON_NEWS, "spoiled", table, pickup)
    await telephony.hear(keys.PERSON_NEWS, '{"person":"p","what":"dnd"}', table, pickup)
    assert heard == [("p", "free"), ("p", "dnd")]
