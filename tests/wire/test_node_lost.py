"""A process dies or freezes: the phones on its connections are offline because of that, all others are not."""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.phone import UdpPhone
from tests.peers.redis import RedisServer
from tests.wire.conftest import Report
from tests.wire.connected import ConnectedPhone, connect, registered
from tests.wire.need import need, rounds
from tests.wire.nodes import Process, flows, process, rows
from tests.wire.site import Handset, Site, kinds, within
from tests.wire.timeline import Timeline

pytestmark = pytest.mark.wire

LOST_SECONDS: Final = 10.0
SWEPT_SECONDS: Final = 20.0
"""A lease of 6 s, 6 s of certainty that it is gone, and the turns of 2 s of those who look."""
FROZEN_SECONDS: Final = 15.0
THAWED_SECONDS: Final = 3.0
LOSABLE: Final = ("tcp", "tls", "wss")
EACH: Final = rounds(5, 17)
"""Phones of one transport: 15, or 51 on connections."""
DEATHS: Final = rounds(2, 20)


@dataclass(frozen=True)
class Base:
    """A database with phones in it, which several processes share."""

    data: Path
    tenant: dict[str, Any]
    handsets: list[Handset]

    def site(self, folder: Path, redis: RedisServer | None = None) -> Site:
        """A server for them, with its embedded Redis or another one."""
        place = {} if redis is None else {"redis_url": redis.url}
        return Site(folder, tenant=self.tenant, transports=LOSABLE, data_dir=str(self.data), **place)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    need("redis-cli")
    folder = tmp_path_factory.mktemp("base")
    with Site(folder) as site:
        handsets = [site.new_phone() for _ in range(2 * EACH * (len(LOSABLE) + 1) + len(Frozen.NAMES))]
        return Base(folder / "data", site.demo(), handsets)


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


def swept(site: Site, handsets: list[Handset]) -> bool:
    """Whether the status in Redis says so, too: somebody has ended their bindings."""
    answers = site.redis_all(
        [("hmget", f"registrar:status:{{{one.id}}}", "online", "reason") for one in handsets]
    )
    return all(answer == ["0", "node-lost"] for answer in answers)


# Killed, and looked at by a process that lives on; frozen, and thawed when it had been given up


class Frozen:
    """What phones of a frozen process do meanwhile."""

    NAMES: Final = ("waits", "refreshes", "moves", "hangs up", "udp")


@dataclass
class Struck:
    """Three processes: one was killed, one frozen, one looks on."""

    killed: Process
    frozen: Process
    frozen_site: Site
    witness: Site
    fleet: Fleet
    handsets: dict[str, Handset]
    phones: dict[str, ConnectedPhone]
    timeline: Timeline
    at: float
    """When it happened."""

    @property
    def on_the_frozen(self) -> list[Handset]:
        return [self.handsets[name] for name in Frozen.NAMES if name != "udp"]


@pytest.fixture(scope="module", autouse=True)
def struck(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """It has just happened; other tests run while the lease runs out."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("struck")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder))
        victim, sleeper, witness = (
            stack.enter_context(base.site(folder / name, redis)) for name in ("victim", "sleeper", "witness")
        )
        count = EACH * (len(LOSABLE) + 1)
        fleet = Fleet.online(victim, base.handsets[:count])
        stack.callback(fleet.close)
        handsets = dict(zip(Frozen.NAMES, base.handsets[-len(Frozen.NAMES) :], strict=True))
        with UdpPhone(handsets["udp"].account, sleeper.sip) as phone:
            assert phone.register().status == 200
        instances = {name: str(uuid.uuid4()) for name in Frozen.NAMES}
        phones = {
            name: registered(sleeper, handsets[name], "tls" if name == "waits" else "tcp", instance=instances[name])
            for name in Frozen.NAMES
            if name != "udp"
        }
        killed, frozen = process(victim), process(sleeper)
        watched = [*fleet.connected, *fleet.udp, *handsets.values()]
        timeline = stack.enter_context(Timeline(witness, watched))
        time.sleep(0.2)  # they are seen to be online
        began = time.monotonic()
        victim.kill9()
        os.kill(sleeper.pid, signal.SIGSTOP)
        stack.callback(lambda: os.kill(sleeper.pid, signal.SIGCONT))
        yield Struck(killed, frozen, sleeper, witness, fleet, handsets, phones, timeline, began)
        for one in phones.values():
            one.close()
