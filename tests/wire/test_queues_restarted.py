"""The idle order of agents after a restart of the server, and of a Redis with an append-only file."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.calling_session import Outgoing
from tests.peers.redis import RedisServer
from tests.wire.callers import Callers, eventually, talk
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.office import Office, Person
from tests.wire.site import Site

pytestmark = pytest.mark.wire

NEWS: Final = "registrar:person-news"
SECONDS: Final = 20
APART_SECONDS: Final = 0.02
"""Between the ends of two calls, so that their order is certain."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis of `site`, to be restarted."""
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="module")
def restarted(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server to be restarted."""
    folder = tmp_path_factory.mktemp("restarted")
    with Site(folder, redis_url=redis.url, wrap_up_seconds="0") as site:
        site.demo()
        yield site


@pytest.fixture
async def office(restarted: Site) -> AsyncIterator[Office]:
    async with Callers(restarted) as callers:
        yield Office(callers)


async def test_the_longest_idle_is_first_also_after_restarts(
    office: Office, redis: RedisServer, report: Report
) -> None:
    """Never talked, then by the end of the last call; and who declines is not asked again in the attempt."""
    site, people = office.callers.site, await office.people(4)
    extension = office.callers.extension()
    other = await office.callers.phone(extension.handset)
    for person in (people[2], people[0], people[3]):  # people[1] never talks
        outgoing, _ = await talk(person.phone, other, extension.number)
        assert (await outgoing.bye()).status == 200
        await eventually(lambda one=person: "lastEnd" in one.state(site), "the end is noted")  # type: ignore[misc]
        await asyncio.sleep(APART_SECONDS)
    order = [people[1], people[2], people[0], people[3]]
    group = office.group(people)
    queue = office.queue({"group": group.id, "ringSecs": SECONDS, "ringStrategy": "huntLongestIdle"})
    caller = await office.callers.phone(office.callers.extension().handset)
    await refused_in_order(await caller.call(queue.number), order, 0)
    await asyncio.to_thread(site.restart)
    await refused_in_order(await caller.call(queue.number), order, 1)
    await asyncio.to_thread(redis.restart)
    await eventually(lambda: is_subscribed(redis), "the server hears of people again")
    await refused_in_order(await caller.call(queue.number), order, 2)
    report("4 agents in the order of their idle time before and after a restart of the server and of Redis")
    outgoing = await caller.call(queue.number)
    await answered_by(order[0], outgoing, 3, site)
    await refused_in_order(await caller.call(queue.number), [*order[1:], order[0]], 3, {order[0].id: 4})


def is_subscribed(redis: RedisServer) -> bool:
    """Whether the server listens to news of people."""
    return redis.cli("pubsub", "numsub", NEWS).split()[-1] != "0"


async def refused_in_order(
    outgoing: Outgoing, order: list[Person], nth: int, others: dict[str, int] | None = None
) -> None:
    """All of them ring, one after the other, and each one declines: then the call ends."""
    for at, person in enumerate(order):
        own = {one.id: (others or {}).get(one.id, nth) for one in order}
        incoming = await person.phone.incoming(limit(5.0), nth=own[person.id])
        rung = [len(one.phone.calls) - own[one.id] for one in order]
        assert rung == [1] * (at + 1) + [0] * (len(order) - at - 1)
        incoming.refuse(486)
    assert (await outgoing.final()).status == 480
    assert [len(one.phone.calls) - own[one.id] for one in order] == [1] * len(order)


async def answered_by(person: Person, outgoing: Outgoing, nth: int, site: Site) -> None:
    """A person takes a call, and the caller hangs up."""
    before = person.state(site).get("lastEnd")
    (await person.phone.incoming(limit(5.0), nth=nth)).answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200
    await eventually(lambda: person.state(site).get("lastEnd") != before, "the end is noted")
