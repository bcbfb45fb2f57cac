"""What people want by the API reaches calls, and what they are doing reaches the API and the command line."""

import json
import re
import subprocess
from typing import Any

import pytest

from tests.peers.registrar import COMMAND
from tests.wire.callers import Callers, eventually, talk
from tests.wire.office import Office, Person
from tests.wire.site import Site

pytestmark = pytest.mark.wire


@pytest.fixture
def office(callers: Callers) -> Office:
    return Office(callers)


def change(site: Site, person: Person, **wishes: Any) -> None:
    reply = site.api("PATCH", f"/pbx/extension/{person.id}", wishes)
    assert reply.status == 200, reply
    assert {name: reply.body[name] for name in wishes} == wishes


def state(site: Site, person: Person) -> str:
    return str(site.api("GET", f"/pbx/extension/{person.id}").body["state"]["state"])


def printed(site: Site, *arguments: str) -> str:
    done = subprocess.run(
        [str(COMMAND), *arguments], env=site.environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_person_with_dnd_is_not_called(office: Office, callers: Callers) -> None:
    anna, bent = await office.people(2)
    assert (await talk(bent.phone, anna.phone, anna.extension.number))[0].statuses[-1] == 200
    change(callers.site, anna, dnd=True)
    outgoing = await bent.phone.call(anna.extension.number)
    final = await outgoing.final()
    assert final.first == "SIP/2.0 480 Do Not Disturb"
    assert len(anna.phone.calls) == 1
    change(callers.site, anna, dnd=False)
    outgoing = await bent.phone.call(anna.extension.number)
    (await anna.phone.incoming(nth=1)).answer()
    await outgoing.answered()


async def test_a_call_goes_to_the_number_that_the_api_has_set(office: Office, callers: Callers) -> None:
    anna, bent, carl = await office.people(3)
    change(callers.site, anna, cfu=carl.extension.number)
    outgoing = await bent.phone.call(anna.extension.number)
    (await carl.phone.incoming()).answer()
    await outgoing.answered()
    assert len(anna.phone.calls) == 0
    assert (await outgoing.bye()).status == 200


async def test_a_queue_is_seen_by_the_api_the_command_and_the_stream(
    office: Office, callers: Callers
) -> None:
    """One member talks, one call waits: who, since when, and what the stream has of both calls."""
    site = callers.site
    agent, first, second = await office.people(3)
    queue = office.queue({"extension": agent.id, "ringSecs": 30}, name="Help desk")
    path = f"/pbx/queue/{queue.id}?members=true&callers=true"
    talking = await first.phone.call(queue.number)
    ringing = await agent.phone.incoming()
    await eventually(lambda: state(site, agent) == "ringing", "the member rings")
    assert state(site, first) == "calling"
    ringing.answer()
    await talking.answered()
    await eventually(lambda: state(site, agent) == "talking", "the member talks")
    waiting = await second.phone.call(queue.number)
    await waiting.provisional(182)
    found = site.api("GET", path).body
    (member,) = found["memberStates"]
    assert (member["extension"], member["state"], member["joined"]) == (agent.id, "talking", True)
    assert [(call["direction"], call["number"]) for call in member["calls"]] == [
        ("in", first.extension.number)
    ]
    (caller,) = found["callers"]
    assert (caller["position"], caller["number"], caller["name"]) == (
        1, second.extension.number, second.extension.name
    )  # fmt: skip
    assert site.api("GET", f"/pbx/call/{caller['call']}").status == 200
    assert 0 <= caller["waitedSeconds"] <= 10

    table = printed(site, "queue", queue.number)
    assert re.search(rf"Help desk .*{agent.extension.number} .*talking", table)
    assert re.search(rf"Help desk .* 1 +{second.extension.number} ", table)
    (told,) = json.loads(printed(site, "queue", queue.id, "--json"))
    assert told["callers"][0]["call"] == caller["call"]
    people = printed(site, "status", "--people", agent.extension.number)
    assert re.search(rf"{agent.extension.number} .*talking", people)

    waiting.cancel()
    await eventually(lambda: site.api("GET", path).body["callers"] == [], "no call waits")
    assert (await talking.bye()).status == 200
    await eventually(lambda: state(site, agent) == "available", "the member is free")
    events = queue_events(site, queue.id)
    number = agent.extension.number
    assert [(one["event"], one["reason"], one["callee"]) for one in events] == [
        ("queue-joined", "", ""),
        ("queue-offered", "", number),
        ("queue-answered", "", number),
        ("queue-left", "answered", number),
        ("queue-joined", "", ""),
        ("queue-left", "abandoned", ""),
    ]
    assert {one["via"] for one in events} == {queue.number}
    assert events[0]["position"] == "1"
    assert all(re.fullmatch(r"\d+\.\d{3}", one["waitedSeconds"]) for one in events)
    assert {one["person"] for one in events} == {"", agent.id}


@pytest.mark.parametrize("has_member", [True, False], ids=["a member does not answer", "no members"])
async def test_a_call_that_is_not_taken_leaves_with_a_reason(
    office: Office, callers: Callers, has_member: bool
) -> None:
    agent, caller = await office.people(2)
    queue = office.queue(*([{"extension": agent.id, "ringSecs": 1}] if has_member else []))
    outgoing = await caller.phone.call(queue.number)
    assert (await outgoing.final(20)).status == 480
    events = [(one["event"], one["reason"]) for one in queue_events(callers.site, queue.id)]
    offered = [("queue-offered", "")] if has_member else []
    assert events == [("queue-joined", ""), *offered, ("queue-left", "timeout" if has_member else "failed")]


def queue_events(site: Site, queue: str) -> list[dict[str, str]]:
    """The entries of the stream of all events about one queue."""
    rows = site.redis("xrange", "registrar:events", "-", "+")
    entries = [dict(zip(words[::2], words[1::2], strict=True)) for _, words in rows]
    return [one for one in entries if one.get("place") == f"queue:{queue}"]
