"""Two workers share the ports of one machine: their phones call each other, and one of them dies."""

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.patience import limit
from tests.peers import procfs
from tests.peers.calling import CallingPhone
from tests.peers.phone import UdpPhone
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed
from tests.wire.callers import Callers, Extension, eventually, talk
from tests.wire.conftest import Report
from tests.wire.ledger import Load, lost
from tests.wire.need import need, rounds
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

PAIRS: Final = [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp"), ("wss", "wss")]
TRIES: Final = 40
"""The kernel gives each phone to one of two workers: that all fall to one has a chance of 1 in 10^12."""
PHONES: Final = rounds(10, 100)
RATE: Final = rounds(20, 50)
KILLS: Final = rounds(2, 60)
EACH_SECONDS: Final = rounds(0, 5)
AGAIN_SECONDS: Final = 60.0
OFFLINE_SECONDS: Final = 10.0
SO_REUSEPORT: Final = socket.SO_REUSEPORT


@dataclass(frozen=True)
class Crew:
    """The server, and the phones of one test."""

    site: Site
    callers: Callers

    def worker(self, handset: Handset) -> str:
        """The node that holds a phone."""
        return str(self.site.redis("hget", f"registrar:status:{{{handset.id}}}", "node"))

    async def pair(self, first: str, second: str) -> tuple[CallingPhone, CallingPhone, Extension, Extension]:
        """Two phones at different workers, and their extensions."""
        anna = self.callers.extension()
        a = await self.callers.phone(anna.handset, first)
        for _ in range(TRIES):
            bert = self.callers.extension()
            b = await self.callers.phone(bert.handset, second)
            if self.worker(anna.handset) != self.worker(bert.handset):
                return a, b, anna, bert
        raise AssertionError("all phones came to one worker")


def pid_of(site: Site, name: str) -> int:
    """The process `registrar:<name>`: the number of a worker, `front` or `redis`; 0 if there is none."""
    found = [pid for pid in site.family if procfs.name(pid) == f"registrar:{name}"]
    return found[0] if found else 0


def kill(site: Site, name: str) -> int:
    """Kill one of its processes with SIGKILL, and return which it was."""
    pid = pid_of(site, name)
    assert pid, f"{name} does not run"
    os.kill(pid, signal.SIGKILL)
    return pid


def number_of(node: str) -> str:
    """The number of the worker that is this node."""
    return node.partition("/")[2] or "1"


def starts(site: Site, worker: str) -> float:
    """How often a worker was started; 0 while it does not answer."""
    text = site.api("GET", "/metrics", token="").body
    found = re.search(rf'^registrar_worker_starts{{worker="{worker}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def ends_with_one_line(site: Site, words: str) -> None:
    """It does not start, and says why."""
    with pytest.raises(PeerFailed), site:
        pass
    lines = [line for line in site.log_text.splitlines() if line.startswith("registrar: ")]
    assert len(lines) == 1, site.log_text
    assert words in lines[0]
    assert "Traceback" not in site.log_text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("redis-cli")
    folder = tmp_path_factory.mktemp("workers")
    with Site(folder, workers="2", transports=("tcp", "wss"), ping_seconds="1") as running:
        running.demo()
        yield running


@pytest.fixture
async def crew(site: Site) -> AsyncIterator[Crew]:
    async with Callers(site) as callers:
        yield Crew(site, callers)


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_phones_of_two_workers_call_each_other(crew: Crew, first: str, second: str) -> None:
    a, b, anna, bert = await crew.pair(first, second)
    before = crew.site.metric("registrar_handed_over_total")
    for caller, callee, number in ((a, b, bert.number), (b, a, anna.number)):
        outgoing, incoming = await talk(caller, callee, number)
        assert incoming.invite.body == caller.sdp()
        assert (await outgoing.request("INFO")).status == 200
        assert (await incoming.request("INFO")).status == 200
        assert (await outgoing.reinvite(caller.sdp(version=2))).status == 200
        assert (await incoming.bye()).status == 200
    handed = crew.site.metric("registrar_handed_over_total") - before
    assert (handed > 0) == (second == "udp" or first == "udp"), (
        "responses of a phone over UDP came to its worker"
    )


def test_serve_says_how_many_workers_it_has_and_all_are_ready(site: Site) -> None:
    assert "workers      2 for phones, and one for the API (REGISTRAR_WORKERS)" in site.out
    ready = site.api("GET", "/health/ready", token="")
    assert (ready.status, ready.body["parts"]["sip"]) == (200, "up")
    assert [starts(site, worker) for worker in ("1", "2", "api")] == [1, 1, 1]


async def test_a_worker_that_died_is_started_again(crew: Crew) -> None:
    """Its phone over UDP goes on as if nothing was; that on a connection is offline until it is back."""
    site = crew.site
    a, b, _anna, bert = await crew.pair("udp", "tcp")
    node = crew.worker(bert.handset)
    number = number_of(node)
    before = starts(site, number)
    neighbours: list[CallingPhone] = []
    for _ in range(TRIES):
        extension = crew.callers.extension()
        neighbours.append(await crew.callers.phone(extension.handset))
        if crew.worker(extension.handset) == node:
            break
    began = time.monotonic()
    old = kill(site, number)
    answers = await asyncio.gather(*(phone.register() for phone in (a, *neighbours)))
    assert {answer.status for answer in answers} == {200}
    assert await eventually(lambda: pid_of(site, number) not in (0, old), "it is back", AGAIN_SECONDS) >= 0
    await eventually(lambda: starts(site, number) == before + 1, "it answers", AGAIN_SECONDS)
    await eventually(lambda: site.health("ready") == 200, "all are ready", AGAIN_SECONDS)
    key = f"registrar:status:{{{bert.handset.id}}}"
    await eventually(
        lambda: site.redis("hget", key, "online") == "0", "the lost connection is seen", AGAIN_SECONDS
    )
    assert time.monotonic() - began < limit(OFFLINE_SECONDS + AGAIN_SECONDS)
    assert site.redis("hget", key, "reason") == "node-lost"
    b.forget("connection")
    back = await crew.callers.phone(bert.handset, "tcp")
    outgoing, _ = await talk(a, back, bert.number)
    assert (await outgoing.bye()).status == 200


def test_the_other_processes_are_started_again_too(site: Site) -> None:
    """With the keeper, the embedded Redis dies: the phones of all workers are written to the next one."""
    with UdpPhone(site.new_phone().account, site.sip) as phone:
        for name in ("front", "redis"):
            old = kill(site, name)
            within(AGAIN_SECONDS, lambda: pid_of(site, name) not in (0, old), f"{name} is back")  # noqa: B023  # called at once
            within(AGAIN_SECONDS, lambda: site.health("ready") == 200, f"all is ready after {name}")
            assert phone.register().status == 200
    assert site.out.count("First steps") == 1
    assert site.log_text.count('"ready"') == 1


def test_the_sip_side_alone_has_pages_for_monitoring(tmp_path: Path) -> None:
    port = free_port()
    site = Site(tmp_path, arguments=("serve", "sip"), workers="2", sip_http=f"127.0.0.1:{port}")
    site.http = ("127.0.0.1", port)
    with site.begun():
        within(AGAIN_SECONDS, lambda: site.health("ready") == 200, "all are ready")
        assert [starts(site, worker) for worker in ("1", "2")] == [1, 1]
        within(AGAIN_SECONDS, lambda: "workers      2 for phones (REGISTRAR_WORKERS)" in site.out, "says so")


def test_no_acknowledged_registration_is_lost_with_its_worker(site: Site, report: Report) -> None:
    """One of both is killed again and again while phones register; UDP phones have at most to ask again."""
    handsets = [site.new_phone() for _ in range(PHONES)]
    with Load([one.account for one in handsets], site.sip, rate=RATE) as load:
        within(AGAIN_SECONDS, lambda: len(load.book.promises) == PHONES, "everybody is there")
        for round in range(KILLS):
            number = str(1 + round % 2)
            old, before = kill(site, number), load.acknowledged
            time.sleep(EACH_SECONDS)
            within(AGAIN_SECONDS, lambda: pid_of(site, number) not in (0, old), "it is back")  # noqa: B023  # called at once
            within(AGAIN_SECONDS, lambda: load.acknowledged > before, "phones register")  # noqa: B023  # called at once
        within(AGAIN_SECONDS, lambda: site.health("ready") == 200, "all are ready")
    report(
        f"{KILLS} workers killed, {load.acknowledged} registrations, {len(load.result.timeouts)} unanswered"
    )
    assert load.book.violations == []
    assert lost(site, handsets, load.book) == []


def test_a_port_of_another_program_stops_the_start_with_one_line(tmp_path: Path) -> None:
    """The other one, of our own user, would share it: the kernel would give it a half of our phones."""
    for kind, transport in ((socket.SOCK_DGRAM, "udp"), (socket.SOCK_STREAM, "tcp")):
        refused = Site(tmp_path / transport, workers="2", transports=("tcp",))
        with socket.socket(socket.AF_INET, kind) as foreign:
            foreign.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, 1)
            foreign.bind(refused.listeners[transport])
            if transport == "tcp":
                foreign.listen()
            ends_with_one_line(refused, "{}:{}: Address already in use".format(*refused.listeners[transport]))


def test_a_port_of_the_api_that_is_taken_stops_all_with_one_line(tmp_path: Path) -> None:
    refused = Site(tmp_path, workers="2")
    with socket.create_server(refused.http):
        ends_with_one_line(refused, "REGISTRAR_HTTP: {}:{}".format(*refused.http))


def test_all_end_with_their_parent(tmp_path: Path) -> None:
    with Site(tmp_path, workers="2") as site:
        pids = site.family
        kill(site, "2")
        within(AGAIN_SECONDS, lambda: starts(site, "2") == 2, "a process of a second start ends, too")
        pids = [*pids, *site.family]
        os.kill(site.pid, signal.SIGKILL)
        within(AGAIN_SECONDS, lambda: not any(map(procfs.alive, pids)), "all are gone")


def test_sigterm_ends_all_in_order(tmp_path: Path) -> None:
    """The Redis is the last one: the workers write to it that their phones are gone."""
    site = Site(tmp_path, workers="2", transports=("tcp",))
    with site:
        account = site.accounts()[0]
        with UdpPhone(account, site.sip) as phone:
            assert phone.register().status == 200
        pids = site.family
        assert site.stop() == 0
        within(AGAIN_SECONDS, lambda: not any(map(procfs.alive, pids)), "all are gone")
    assert "Traceback" not in site.log_text
    assert "could not" not in site.log_text
