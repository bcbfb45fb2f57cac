"""Queues: in which order members ring, how long, and who waits for whom (docs/calls.md)."""

import asyncio
import time
from functools import partial
from typing import Any, Final

import pytest

from tests.patience import limit
from tests.peers.calling import CallingPhone
from tests.peers.calling_session import Outgoing
from tests.wire.callers import Callers, eventually, talk
from tests.wire.conftest import Report
from tests.wire.office import Office, Person, Place, rung
from tests.wire.site import Site

pytestmark = pytest.mark.wire

SECONDS: Final = 3
QUIET_SECONDS: Final = 0.5
EARLY: Final = 0.3
LATE: Final = limit(0.5)


@pytest.fixture
def office(callers: Callers) -> Office:
    return Office(callers)


@pytest.fixture
async def caller(callers: Callers) -> CallingPhone:
    return await callers.phone(callers.extension().handset)


def sales(group: Place, **settings: Any) -> dict[str, Any]:
    """A member that is a group."""
    return {"group": group.id, "ringSecs": SECONDS, **settings}


async def ends(outgoing: Outgoing, begun: float) -> tuple[int, float]:
    """The final status, and after how many seconds it came."""
    final = await outgoing.final(60)
    return final.status, time.monotonic() - begun


def near(seconds: float, wanted: float) -> bool:
    return wanted - EARLY <= seconds <= wanted + LATE


@pytest.mark.parametrize("busy", [False, True], ids=["unanswered", "all of the first are in calls"])
async def test_members_ring_in_turn_and_each_attempt_lasts(
    office: Office, callers: Callers, caller: CallingPhone, report: Report, busy: bool
) -> None:
    """Sales twice, then Support: at 0, 3 and 6 s, and the end at 9 s, also if all of Sales talk."""
    people = await office.people(2)
    support = await office.person()
    talks = []
    if busy:
        for person in people:
            extension = callers.extension()
            talks.append(
                (await talk(person.phone, await callers.phone(extension.handset), extension.number))[0]
            )
    queue = office.queue(
        sales(office.group(people), ringAttempts=2), sales(office.group([support])), name="Help desk"
    )
    begun = time.monotonic()
    outgoing = await caller.call(queue.number)
    times = []
    if not busy:
        for nth in range(2):
            for incoming in await rung(people, nth):
                incoming.ring()
            times.append(time.monotonic() - begun)
    last = await support.phone.incoming(20)
    times.append(time.monotonic() - begun)
    status, seconds = await ends(outgoing, begun)
    times.append(seconds)
    report(", ".join(f"{one:.2f} s" for one in times))
    assert status == 480
    assert outgoing.invite.responses[-1].header("reason") == "SIP;cause=408"
    assert all(near(at, wanted) for at, wanted in zip(times[-2:], (6, 9), strict=True)), times
    if not busy:
        assert near(times[0], 0) and near(times[1], 3), times
    assert (await last.cancelled()).listed("reason") == []
    for talking in talks:
        assert (await talking.bye()).status == 200
    assert (182 in outgoing.statuses) is busy


def _has_talked(person: Person, site: Site) -> bool:
    return "lastEnd" in person.state(site)


async def test_the_longest_idle_rings_first(office: Office, caller: CallingPhone, callers: Callers) -> None:
    """Who never talked is first, then by the end of the last call; who declines is out for the attempt."""
    people = await office.people(3)
    extension = callers.extension()
    other = await callers.phone(extension.handset)
    for person in (people[2], people[0]):  # people[1] never talks
        talking, _ = await talk(person.phone, other, extension.number)
        assert (await talking.bye()).status == 200
        await eventually(partial(_has_talked, person, callers.site), "the end is noted")
        await asyncio.sleep(0.05)
    await asyncio.sleep(2.1)  # wrap-up
    queue = office.queue(sales(office.group(people), ringStrategy="huntLongestIdle"))
    outgoing = await caller.call(queue.number)
    for person in (people[1], people[2], people[0]):
        incoming = await person.phone.incoming(20)
        assert sum(len(one.phone.calls) for one in people) == 1 + [people[1], people[2], people[0]].index(
            person
        )
        incoming.refuse(486)
    assert (await outgoing.final(20)).status == 480
    assert [len(one.phone.calls) for one in people] == [1, 1, 1]


async def test_calls_are_shared_among_agents(office: Office, callers: Callers) -> None:
    """Four callers, two agents: two talk, two wait, and nobody has two calls."""
    agents = await office.people(2)
    queue = office.queue(sales(office.group(agents), ringStrategy="huntLongestIdle", ringAttempts=20))
    outgoing = [await (await callers.phone(callers.extension().handset)).call(queue.number) for _ in range(4)]
    for agent in agents:
        (await agent.phone.incoming()).answer()
    for one in outgoing[:2]:
        await one.answered()
    await outgoing[3].provisional(182)
    await asyncio.sleep(QUIET_SECONDS)
    assert [len(agent.phone.calls) for agent in agents] == [1, 1]
    assert len(queue.waiting(callers.site)) == 2
    for one in outgoing[:2]:
        assert (await one.bye()).status == 200
    for agent in agents:
        (await agent.phone.incoming(20, nth=1)).answer()
    for one in outgoing[2:]:
        await one.answered()
        assert (await one.bye()).status == 200
    await eventually(lambda: queue.waiting(callers.site) == [], "no call waits")
    await eventually(
        lambda: not any("claimCall" in agent.state(callers.site) for agent in agents), "no claim is left"
    )


async def test_the_caller_gives_up_while_it_waits(
    office: Office, callers: Callers, caller: CallingPhone
) -> None:
    agent = await office.person()
    extension = callers.extension()
    talking, _ = await talk(agent.phone, await callers.phone(extension.handset), extension.number)
    queue = office.queue({"extension": agent.id, "ringSecs": 60})
    outgoing = await caller.call(queue.number)
    await outgoing.provisional(182)
    assert len(queue.waiting(callers.site)) == 1
    outgoing.cancel()
    assert (await outgoing.final()).status == 487
    await eventually(lambda: queue.waiting(callers.site) == [], "no call waits")
    assert (await talking.bye()).status == 200
