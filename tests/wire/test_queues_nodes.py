"""Queues and groups over two nodes: no agent rings twice, the oldest call is first, and one node may die."""

import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.patience import limit
from tests.peers.calling import CallingPhone
from tests.peers.calling_session import Incoming, Outgoing
from tests.peers.redis import RedisServer
from tests.wire.callers import Callers, eventually
from tests.wire.conftest import Report
from tests.wire.floor import Agent, Caller, ledger, working
from tests.wire.need import need, rounds
from tests.wire.office import Office, Person
from tests.wire.site import Site

pytestmark = pytest.mark.wire

TRANSPORTS: Final = ("tcp",)
ACQUAINTED_SECONDS: Final = 1.0
"""Each node looks for its neighbours twice a second."""
CALLERS: Final = 20
AGENTS: Final = 10
CALLS: Final = rounds(40, 260)
"""Of each strategy."""
SECONDS: Final = 5
SEED: Final = 7
ROUNDS: Final = rounds(20, 200)
IN_ORDER: Final = rounds(5, 50)
RINGING: Final = 5
WAITING: Final = 10
LOST_SECONDS: Final = 8.0
"""The lease of a process ends at most 6 s after its death; all look for it twice a second."""


@dataclass(frozen=True)
class Nodes:
    """Both nodes, and the people of one test."""

    a: Site
    b: Site
    office: Office

    @property
    def both(self) -> tuple[Site, Site]:
        return self.a, self.b

    async def agents(self, number: int) -> list[Person]:
        """People on both nodes in turn, over UDP and TCP."""
        ways = [(site, transport) for transport in ("udp", "tcp") for site in self.both]
        return [
            await self.office.person(transport=transport, site=site)
            for site, transport in (ways[at % len(ways)] for at in range(number))
        ]

    async def callers(self, *sites: Site) -> list[CallingPhone]:
        """A phone with each of these servers."""
        callers = self.office.callers
        return [await callers.phone(callers.extension().handset, site=site) for site in sites]

    def line(self, agent: Person) -> list[str]:
        """The calls of a person."""
        found: list[str] = self.b.redis("zrange", f"registrar:line:{{{agent.id}}}", "0", "-1")
        return found

    def no_claim(self, agents: list[Person]) -> bool:
        return not any("claimCall" in agent.state(self.b) for agent in agents)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """Their processes."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("queues")
    shared: dict[str, Any] = {"data_dir": str(folder / "data"), "wrap_up_seconds": "0"}
    with ExitStack() as stack:
        shared["redis_url"] = stack.enter_context(RedisServer(folder / "redis")).url
        a = stack.enter_context(Site(folder / "a", transports=TRANSPORTS, **shared))
        b = stack.enter_context(Site(folder / "b", tenant=a.demo(), transports=TRANSPORTS, **shared))
        time.sleep(ACQUAINTED_SECONDS)
        yield a, b


@pytest.fixture
async def nodes(sites: tuple[Site, Site]) -> AsyncIterator[Nodes]:
    """People are made through the API of node B, which lives longer."""
    a, b = sites
    async with Callers(b) as callers:
        yield Nodes(a, b, Office(callers))


@pytest.mark.parametrize("strategy", ["all", "huntLongestIdle"])
async def test_many_callers_and_agents_on_both_nodes(nodes: Nodes, report: Report, strategy: str) -> None:
    """No agent has two INVITEs open, the oldest call is first, and nothing is left in the end."""
    dice = random.Random(SEED)
    people = await nodes.agents(AGENTS)
    group = nodes.office.group(people)
    queue = nodes.office.queue(
        {"group": group.id, "ringSecs": SECONDS, "ringStrategy": strategy, "ringAttempts": 10}
    )
    phones = await nodes.callers(*nodes.both * (CALLERS // 2))
    agents = [Agent(person, dice) for person in people]
    callers = [Caller(phone, queue.number, dice) for phone in phones]
    begun = time.monotonic()
    await working(agents, callers, CALLS // CALLERS)
    seconds = time.monotonic() - begun
    seen = ledger(callers, agents)
    acknowledged = sum(caller.acknowledged for caller in callers)
    cancelled = sum(caller.cancelled for caller in callers)
    doubled, inversions = seen.doubled(), seen.inversions(spares=strategy == "huntLongestIdle")
    await eventually(lambda: nodes.no_claim(people), "no claim is left")
    await eventually(lambda: queue.waiting(nodes.b) == [], "no call waits")
    report(
        f"{len(seen.waits)} calls in {seconds:.1f} s, {acknowledged} acknowledged, {cancelled} given up; "
        f"{len(seen.offers)} offers; agents with two INVITEs open {len(doubled)}; "
        f"order inversions {len(inversions)}; claims left 0; waiting left 0"
    )
    assert acknowledged > 0
    assert acknowledged + cancelled == len(seen.waits) == CALLS // CALLERS * CALLERS
    assert doubled == []
    assert inversions == []


async def test_two_agents_answer_at_the_same_instant(nodes: Nodes, report: Report) -> None:
    """One talks, and the other gets ACK and BYE: its 200 has crossed the CANCEL."""
    people = await nodes.agents(4)
    pairs = [people[:2], people[2:]]  # the agents of each are on both nodes
    groups = [nodes.office.group(pair) for pair in pairs]
    places = [nodes.office.queue({"group": group.id, "ringSecs": 60}) for group in groups]
    phones = await nodes.callers(*nodes.both)
    winners = [0, 0]
    for nth in range(ROUNDS):
        which = nth % 2
        outgoing = await phones[nth // 2 % 2].call(places[which].number)
        rung = [await agent.phone.incoming(nth=nth // 2) for agent in pairs[which]]
        for one in rung if nth % 4 < 2 else reversed(rung):
            one.answer()
        await outgoing.answered()
        for one in rung:
            await one.acknowledged()
        (loser,) = await losers(rung, outgoing)
        winners[1 - rung.index(loser)] += 1
        assert (await outgoing.bye()).status == 200
        await eventually(lambda pair=pairs[which]: nodes.no_claim(pair), "no claim is left")  # type: ignore[misc]
        await eventually(
            lambda pair=pairs[which]: all(nodes.line(agent) == [] for agent in pair),  # type: ignore[misc]
            "both are free",
        )
    report(f"{ROUNDS} calls answered twice: one agent talked {winners[0]} times, the other one {winners[1]}")


async def losers(rung: list[Incoming], outgoing: Outgoing) -> list[Incoming]:
    """Return those whose call was ended, as soon as there is one; the caller has not hung up."""
    tag = outgoing.dialog.remote_tag

    def ended() -> list[Incoming]:
        return [
            one
            for one in rung
            if any(
                server.request.method == "BYE" and server.request.call_id == one.invite.call_id
                for server in one.phone.requests
            )
        ]

    await eventually(ended, "one of them gets a BYE")
    lost = ended()
    assert [one.server.tag for one in rung if one not in lost] == [tag], "the other one talks to the caller"
    return lost


async def test_an_exclusive_group_keeps_the_order_of_arrival(nodes: Nodes, report: Report) -> None:
    """Three callers on both nodes, one member: those who wait come in the order in which they called."""
    member = (await nodes.agents(1))[0]
    group = nodes.office.group([member], ringExclusive=True)
    phones = await nodes.callers(nodes.a, nodes.b, nodes.a)
    slowest = 0.0
    for nth in range(IN_ORDER):
        order = [phones[(nth + at) % 3] for at in range(3)]
        calls = []
        for at, phone in enumerate(order):
            calls.append(await phone.call(group.number))
            if at:
                queued = await calls[at].provisional(182)
                assert queued.first == f"SIP/2.0 182 Queued, Position {at + 1}"
            else:
                await member.phone.incoming(nth=3 * nth)
        for at, outgoing in enumerate(calls):
            begin = time.monotonic()
            incoming = await member.phone.incoming(nth=3 * nth + at)
            slowest = max(slowest, time.monotonic() - begin)
            assert incoming.invite.call_id == outgoing.invite.request.call_id
            incoming.answer()
            await outgoing.answered()
            await incoming.acknowledged()
            assert (await outgoing.bye()).status == 200
        await eventually(lambda: group.waiting(nodes.b) == [], "no call waits")
    report(f"{IN_ORDER} times three calls in order; the next one rang at most {slowest:.2f} s after a BYE")


async def test_in_the_end_a_node_is_killed_with_its_callers(nodes: Nodes, report: Report) -> None:
    """Its places are void, and the agents whose claims it held ring for the callers of the other node."""
    agents = [await nodes.office.person(site=nodes.both[at % 2]) for at in range(RINGING)]
    group = nodes.office.group(agents)
    queue = nodes.office.queue({"group": group.id, "ringSecs": 120, "ringStrategy": "huntLongestIdle"})
    for at, phone in enumerate(await nodes.callers(*[nodes.a] * RINGING), 1):
        await phone.call(queue.number)
        await eventually(lambda many=at: sum(len(one.phone.calls) for one in agents) == many, "it rings")  # type: ignore[misc]
    for agent in agents:
        (await agent.phone.incoming()).ring()
    waiting = []
    sites = [nodes.a] * WAITING + [nodes.b] * RINGING
    for at, phone in enumerate(await nodes.callers(*sites), 1 + RINGING):
        waiting.append(await phone.call(queue.number))
        assert (await waiting[-1].provisional(182)).first == f"SIP/2.0 182 Queued, Position {at}"
    staying = waiting[WAITING:]
    nodes.a.kill9()
    for agent in agents:
        agent.phone.turn_to(nodes.b.sip)
    begun = time.monotonic()
    times, acknowledged = [], 0
    for agent in agents:
        incoming = await agent.phone.incoming(LOST_SECONDS, nth=1)
        times.append(time.monotonic() - begun)
        incoming.answer()
        await incoming.acknowledged()
        acknowledged += 1
    for outgoing in staying:
        await outgoing.answered()
    report(
        f"the {len(times)} agents of a killed node rang after {min(times):.1f} to {max(times):.1f} s; "
        f"{acknowledged} acknowledged"
    )
    assert acknowledged == RINGING
    assert max(times) < limit(LOST_SECONDS)
    for outgoing in staying:
        assert (await outgoing.bye()).status == 200
    await eventually(lambda: nodes.no_claim(agents), "no claim is left")
