"""A process dies or freezes: the phones on its connections are offline for that, and no others."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.patience import limit
from tests.peers.phone import UdpPhone
from tests.peers.pipe import HungUp
from tests.peers.process import freeze, thaw
from tests.peers.redis import RedisServer
from tests.wire.conftest import Report
from tests.wire.connected import ConnectedPhone, registered
from tests.wire.need import need, rounds
from tests.wire.nodes import Process, flows, process, rows
from tests.wire.site import Handset, Site, kinds, within
from tests.wire.timeline import Timeline

pytestmark = pytest.mark.wire

LOST_SECONDS: Final = 10.0
SWEPT_SECONDS: Final = 10.0
"""A lease of 6 s, 2.5 s of certainty that it is gone, and the turns of half a second of those who look."""
FROZEN_SECONDS: Final = 15.0
THAWED_SECONDS: Final = 3.0
LOSABLE: Final = ("tcp", "tls", "wss")
EACH: Final = rounds(5, 17)
"""Phones of one transport: 15, or 51 on connections."""
FLEET: Final = EACH * (len(LOSABLE) + 1)
"""With as many over UDP."""
OTHERS: Final = 5
DEATHS: Final = rounds(2, 20)


@dataclass(frozen=True)
class Base:
    """A database with phones in it, which several processes share."""

    data: Path
    tenant: dict[str, Any]
    handsets: list[Handset]

    def fleet(self, number: int) -> list[Handset]:
        """The phones of one fleet or the other."""
        return self.handsets[number * FLEET : (number + 1) * FLEET]

    @property
    def others(self) -> list[Handset]:
        """Phones of no fleet."""
        return self.handsets[-OTHERS:]

    def site(self, folder: Path, redis: RedisServer | None = None) -> Site:
        """A server for them, with its embedded Redis or another one."""
        data, tenant = str(self.data), self.tenant
        if redis is None:
            return Site(folder, tenant=tenant, transports=LOSABLE, data_dir=data)
        return Site(folder, tenant=tenant, transports=LOSABLE, data_dir=data, redis_url=redis.url)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    need("redis-cli")
    folder = tmp_path_factory.mktemp("base")
    with Site(folder) as site:
        return Base(folder / "data", site.demo(), [site.new_phone() for _ in range(2 * FLEET + OTHERS)])


@dataclass
class Fleet:
    """Phones that are online at one server."""

    udp: list[Handset] = field(default_factory=list)
    connected: list[Handset] = field(default_factory=list)
    phones: list[ConnectedPhone] = field(default_factory=list)
    acknowledged: int = 0

    @classmethod
    def online(cls, site: Site, handsets: list[Handset]) -> "Fleet":
        """Each transport has as many of them."""
        fleet = cls()
        for number, handset in enumerate(handsets):
            transport = ("udp", *LOSABLE)[number % (len(LOSABLE) + 1)]
            if transport == "udp":
                with UdpPhone(handset.account, site.sip) as phone:
                    fleet.acknowledged += phone.register().status == 200
                fleet.udp.append(handset)
            else:
                fleet.phones.append(registered(site, handset, transport))
                fleet.acknowledged += 1
                fleet.connected.append(handset)
        return fleet

    def close(self) -> None:
        for phone in self.phones:
            phone.close()


def statuses(site: Site) -> dict[str, dict[str, Any]]:
    """The live status of every phone in the API."""
    reply = site.api("GET", "/pbx/sipphone?full=true&limit=1000")
    assert reply.status == 200, reply
    return {phone["_id"]: phone["status"] for phone in reply.body["sipPhones"]}


def lost(site: Site, handsets: list[Handset]) -> list[Handset]:
    """Those that the API calls lost with their process."""
    found = statuses(site)
    return [
        handset
        for handset in handsets
        if (found[handset.id]["online"], found[handset.id]["reason"]) == (False, "node-lost")
    ]


def are_swept(site: Site, handsets: list[Handset]) -> bool:
    """Whether the status in Redis says so, too: somebody has ended their bindings."""
    answers = site.redis_all(
        [("hmget", f"registrar:status:{{{one.id}}}", "online", "reason") for one in handsets]
    )
    return all(answer == ["0", "node-lost"] for answer in answers)


# One process is killed, one is frozen and thawed when it had been given up, one looks on


WAITS: Final = "waits"
REFRESHES: Final = "refreshes"
MOVES: Final = "moves"
HANGS_UP: Final = "hangs up"
UDP: Final = "udp"
ON_THE_FROZEN: Final = {WAITS: "tls", REFRESHES: "tcp", MOVES: "wss", HANGS_UP: "tcp"}
"""What phones of the frozen process do meanwhile, and their transports."""


@dataclass
class Struck:
    """Three processes, and what was seen of their phones."""

    victim: Process
    sleeper: Process
    frozen: Site
    witness: Site
    fleet: Fleet
    """The phones of the process that was killed."""
    handsets: dict[str, Handset]
    """Those of the one that is frozen."""
    phones: dict[str, ConnectedPhone]
    timeline: Timeline
    at: float
    """When it happened."""
    thawed_at: float = 0.0

    def lost_after(self, handset: Handset) -> float:
        """How long it took until readers of Redis had to call a phone offline."""
        # the API may have looked a moment before the timeline does
        within(1, lambda: self.timeline.offline(handset, self.at), "it is offline for readers, too")
        look = self.timeline.offline(handset, self.at)
        assert look is not None
        return look.at - self.at

    def wait(self, seconds: float) -> None:
        """Until so long after it happened."""
        time.sleep(max(0.0, self.at + seconds - time.monotonic()))


@pytest.fixture(scope="module", autouse=True)
def struck(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """It has just happened; other tests run while the leases run out."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("struck")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder))
        victim, frozen, witness = (
            stack.enter_context(base.site(folder / name, redis)) for name in ("victim", "frozen", "witness")
        )
        fleet = Fleet.online(victim, base.fleet(0))
        stack.callback(fleet.close)
        handsets = dict(zip((*ON_THE_FROZEN, UDP), base.others, strict=True))
        with UdpPhone(handsets[UDP].account, frozen.sip) as phone:
            assert phone.register().status == 200
        instance = str(uuid.uuid4())
        phones = {
            name: registered(frozen, handsets[name], transport, instance=instance)
            for name, transport in ON_THE_FROZEN.items()
        }
        timeline = stack.enter_context(Timeline(witness, [*fleet.connected, *fleet.udp, *handsets.values()]))
        here = process(victim), process(frozen)
        time.sleep(0.2)  # they are seen to be online
        victim.kill9()
        freeze(frozen.pid)
        stack.callback(thaw, frozen.pid)
        case = Struck(*here, frozen, witness, fleet, handsets, phones, timeline, time.monotonic())
        case.phones["moved"] = registered(witness, handsets[MOVES], "tcp", instance=instance)
        phones[HANGS_UP].hang_up()
        yield case
        for one in phones.values():
            one.close()


@pytest.fixture(scope="module")
def swept(struck: Struck) -> Struck:
    """The survivor has ended what was bound to connections of the other two."""
    phones = [*struck.fleet.connected, *(struck.handsets[name] for name in (WAITS, REFRESHES, HANGS_UP))]
    left = SWEPT_SECONDS - (time.monotonic() - struck.at)
    within(max(0.0, left), lambda: are_swept(struck.witness, phones), "the survivor has swept both")
    return struck


@pytest.fixture(scope="module")
def thawed(swept: Struck) -> Struck:
    """The frozen process goes on, and finds a request of a phone that did not know."""
    swept.wait(FROZEN_SECONDS)
    phone = swept.phones[REFRESHES]
    uri = f"sip:{phone.caller.account.domain}"
    phone.send(phone.caller.register(extra=[phone.caller.credentials("REGISTER", uri)]))
    thaw(swept.frozen.pid)
    swept.thawed_at = time.monotonic()
    time.sleep(THAWED_SECONDS)
    return swept


# Killed, and started again


@pytest.mark.parametrize("redis_is", ["embedded", "external"])
def test_after_a_kill_the_next_start_tells_who_was_lost(
    redis_is: str, base: Base, tmp_path: Path, report: Report
) -> None:
    with _redis(tmp_path, redis_is) as redis, base.site(tmp_path, redis) as site:
        acknowledged = [_die_and_start(site, base.fleet(1), report) for _ in range(DEATHS)]
    report(f"{sum(acknowledged)} registrations were acknowledged, {len(acknowledged)} kills")
    assert acknowledged == [FLEET] * DEATHS


def _die_and_start(site: Site, handsets: list[Handset], report: Report) -> int:
    """How many registrations had been acknowledged before."""
    fleet, before = Fleet.online(site, handsets), process(site)
    site.kill9()
    began = time.monotonic()
    site.start()
    ready = time.monotonic() - began

    def told() -> bool:
        return len(lost(site, fleet.connected)) == len(fleet.connected)

    within(LOST_SECONDS - ready, told, "the API tells that they were lost")
    took = time.monotonic() - began
    within(LOST_SECONDS - took, lambda: are_swept(site, fleet.connected), "it stands in Redis, too")
    _is_over(site, fleet, before)
    report(f"ready {ready:.2f} s after the start, {len(fleet.connected)} phones lost after {took:.2f} s")
    fleet.close()
    return fleet.acknowledged


def _is_over(site: Site, fleet: Fleet, before: Process) -> None:
    """Only what was bound to a connection of the dead process has ended, once, and nothing is left of it."""
    found = statuses(site)
    assert [found[one.id]["online"] for one in fleet.udp] == [True] * len(fleet.udp)
    for handset in fleet.connected:
        last = site.journal(handset)[-2:]
        assert [(event["event"], event["reason"]) for event in last] == [
            ("registered", "registered"),
            ("lost", "node-lost"),
        ]
    within(1, lambda: before.row not in rows(site), "its row is gone")
    assert flows(site, before) == set()
    assert process(site).generation != before.generation


@contextmanager
def _redis(folder: Path, kind: str) -> Iterator[RedisServer | None]:
    if kind == "embedded":
        yield None
        return
    with RedisServer(folder) as redis:
        yield redis


# Killed or frozen, and looked at by a survivor


def test_the_phones_of_a_killed_process_are_lost_without_any_restart(struck: Struck, report: Report) -> None:
    fleet = struck.fleet
    left = LOST_SECONDS - 2 - (time.monotonic() - struck.at)
    within(
        left,
        lambda: len(lost(struck.witness, fleet.connected)) == len(fleet.connected),
        "all of them are lost",
    )
    after = [struck.lost_after(handset) for handset in fleet.connected]
    assert len(after) == EACH * len(LOSABLE)
    assert max(after) <= limit(LOST_SECONDS)
    report(f"{fleet.acknowledged} acknowledged, 1 kill: {len(after)} lost after {max(after):.2f} s")
    assert fleet.acknowledged == FLEET


def test_phones_over_udp_do_not_care(struck: Struck) -> None:
    for handset in [*struck.fleet.udp, struck.handsets[UDP]]:
        assert struck.timeline.offline(handset, struck.at) is None
        assert struck.witness.status(handset)["online"] is True


def test_a_phone_that_moves_at_once_is_never_offline(swept: Struck) -> None:
    assert swept.timeline.offline(swept.handsets[MOVES], swept.at) is None
    assert swept.witness.status(swept.handsets[MOVES])["online"] is True


def test_the_survivor_sweeps_the_dead_once(swept: Struck, report: Report) -> None:
    within(
        3, lambda: not {swept.victim.row, swept.sleeper.row} & set(rows(swept.witness)), "their rows are gone"
    )
    report(f"swept {time.monotonic() - swept.at:.1f} s after the kill, at the latest")
    for handset in swept.fleet.connected:
        assert kinds(swept.witness.journal(handset))[-2:] == ["registered", "lost"]
        assert not swept.witness.contacts(handset)
    assert flows(swept.witness, swept.victim) == set()


def test_what_was_swept_does_not_come_back_to_life(thawed: Struck) -> None:
    """The thawed process hangs up on whom it does not hold any more."""
    for name in (WAITS, MOVES):
        ending = thawed.phones[name].ending(0.1)
        assert ending is not None, f"{name}: connected to nothing"
        assert ending.how == "fin"
    for name in (WAITS, HANGS_UP):
        handset = thawed.handsets[name]
        assert thawed.timeline.back(handset, thawed.at) is None
        assert thawed.witness.status(handset)["reason"] == "node-lost"
        assert kinds(thawed.witness.journal(handset)).count("lost") == 1


def test_who_has_moved_stays_where_he_is(thawed: Struck) -> None:
    handset, moved = thawed.handsets[MOVES], thawed.phones["moved"]
    assert thawed.timeline.offline(handset, thawed.at) is None
    assert thawed.witness.contacts(handset) == {moved.caller.contact}
    assert moved.register(reuse=True).status == 200


def test_who_asked_meanwhile_is_online_or_knows_better(thawed: Struck) -> None:
    handset, phone = thawed.handsets[REFRESHES], thawed.phones[REFRESHES]
    try:
        raw = phone.pipe.receive(0.1)
    except HungUp:  # the process noticed first what it had missed: the phone knows that it must come again
        within(10, lambda: thawed.witness.status(handset)["online"] is False, "nobody says it is there")
        return
    assert raw is not None
    assert raw.startswith(b"SIP/2.0 200 ")
    assert phone.ending(0.1) is None
    assert thawed.witness.status(handset)["online"] is True
    assert handset.id in flows(thawed.frozen), "or nobody would miss it after the next death"


def test_the_thawed_process_is_one_of_the_living(thawed: Struck) -> None:
    assert process(thawed.frozen) == thawed.sleeper
    assert thawed.sleeper.row in rows(thawed.witness)
    with registered(thawed.frozen, thawed.handsets[WAITS], "wss") as phone:
        assert thawed.witness.status(thawed.handsets[WAITS])["online"] is True
        assert phone.ending(0.5) is None
    for site in (thawed.frozen, thawed.witness):
        assert site.metric("registrar_unhandled_exceptions_total") == 0
        assert "Traceback" not in site.log_text
