"""Processes and stores die under load: what was acknowledged is kept, and no fault is the phone's fault."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.patience import limit
from tests.peers import procfs
from tests.peers.phone import Account
from tests.peers.postgresql import PostgresServer
from tests.peers.process import frozen
from tests.peers.redis import RedisServer
from tests.peers.sentinel import PASSWORD, RedisGroup
from tests.wire.conftest import Report
from tests.wire.ledger import Book, Load, lost
from tests.wire.locks import everybody_locked_out, writers_locked_out
from tests.wire.need import in_soak, need, need_postgresql, rounds
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

PHONES: Final = 200
RATE: Final = 100
SPELL_SECONDS: Final = 1.5
"""How long the load runs before and after each fault."""
VISIBLE_SECONDS: Final = limit(10.0)
"""After the end of a fault every promise is to be seen by then."""
KILLS: Final = 3
"""Faults in one test; more of them are more tests."""
FAILOVERS: Final = rounds(1, 3)
STRANGERS: Final = 20
"""Phones that register for the first time during a failover."""
REFUSED_SECONDS: Final = 5.0
"""From the death of a master to the last refusal; its sentinels wait for a second of them."""


@dataclass(frozen=True)
class Fleet:
    """Phones that exist in a database, and the folder that holds it."""

    data: Path
    tenant: dict[str, Any]
    handsets: list[Handset]

    @property
    def accounts(self) -> list[Account]:
        return [handset.account for handset in self.handsets]

    def site(self, folder: Path, redis: RedisServer | None = None) -> Site:
        """A server for them, with its embedded Redis or another one."""
        data = str(self.data)
        if redis is None:
            return Site(folder, tenant=self.tenant, data_dir=data)
        return Site(folder, tenant=self.tenant, data_dir=data, redis_url=redis.url)

    def guarded_site(self, folder: Path, group: RedisGroup) -> Site:
        """A server for them whose Redis has sentinels."""
        return GuardedSite(group, folder, tenant=self.tenant, data_dir=str(self.data))


class GuardedSite(Site):
    """A server whose Redis has sentinels: the test, too, looks at the present master."""

    def __init__(self, group: RedisGroup, folder: Path, **settings: Any) -> None:
        super().__init__(folder, redis_url=group.url(), **settings)
        self._group = group

    def _place(self) -> list[str]:
        return ["-p", str(self._group.master.port), "-a", PASSWORD, "--no-auth-warning"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    need("redis-cli")
    folder = tmp_path_factory.mktemp("fleet")
    with Site(folder) as site:
        handsets = [site.new_phone() for _ in range(PHONES)]
        return Fleet(folder / "data", site.demo(), handsets)


# What was promised


def nothing_is_lost(site: Site, fleet: Fleet, book: Book) -> None:
    """All that was promised up to now is seen in time; a load may go on meanwhile."""
    now = Book(promises=dict(book.promises))
    deadline = time.monotonic() + VISIBLE_SECONDS
    while missing := lost(site, fleet.handsets, now):
        assert time.monotonic() < deadline, f"{len(missing)} lost: {missing[:5]}"


def judge(load: Load, site: Site, fleet: Fleet, faults: int, report: Report) -> None:
    """After the load: nothing acknowledged is lost, nobody was refused for a fault of ours."""
    result, book = load.result, load.book
    slowest = max((one.seconds for one in result.acknowledged), default=0.0)
    report(
        f"{len(result.acknowledged)} acknowledged, {faults} faults between, {dict(result.codes)}, "
        f"{len(result.timeouts)} timeouts, slowest {slowest:.1f} s"
    )
    assert result.acknowledged
    assert faults
    nothing_is_lost(site, fleet, book)
    assert Counter(book.violations) == {}
    assert site.metric("registrar_unhandled_exceptions_total") == 0


def serve_a_spell(load: Load, seconds: float = SPELL_SECONDS) -> None:
    """Let the load go on: for a while, and until registrations are acknowledged again."""
    until = load.acknowledged + RATE * seconds / 2
    within(20, lambda: load.acknowledged >= until, "registrations are acknowledged again")


# The server


@pytest.mark.parametrize("batch", range(rounds(1, 7)))
@pytest.mark.parametrize("redis_is", ["embedded", in_soak("external")])
def test_the_server_is_killed_under_load(
    redis_is: str, batch: int, fleet: Fleet, tmp_path: Path, report: Report
) -> None:
    with _redis(tmp_path, redis_is) as redis, fleet.site(tmp_path, redis) as site:
        with Load(fleet.accounts, site.sip, rate=RATE) as load:
            for _ in range(KILLS):
                serve_a_spell(load)
                site.kill9()
                assert not site.running
                site.start()
                nothing_is_lost(site, fleet, load.book)
            serve_a_spell(load)
        judge(load, site, fleet, KILLS, report)


@contextmanager
def _redis(folder: Path, kind: str) -> Iterator[RedisServer | None]:
    if kind == "embedded":
        yield None
        return
    need("redis-server", "redis-cli")
    with RedisServer(folder) as redis:
        yield redis


# Redis


@pytest.mark.parametrize("batch", range(rounds(1, 4)))
def test_redis_is_killed_under_load(batch: int, fleet: Fleet, tmp_path: Path, report: Report) -> None:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path) as redis, fleet.site(tmp_path, redis) as site:
        with Load(fleet.accounts, site.sip, rate=RATE) as load:
            for _ in range(KILLS):
                serve_a_spell(load)
                redis.kill9()
                within(2, lambda: site.health("ready") == 503, "it is noticed")
                redis.start()
                took = within(2, site.ready, "ready again")
                report(f"ready {took:.2f} s after Redis was back")
            serve_a_spell(load)
        judge(load, site, fleet, KILLS, report)


@pytest.mark.parametrize("batch", range(rounds(1, 7)))
def test_the_master_of_redis_fails_over_under_load(
    batch: int, fleet: Fleet, tmp_path: Path, report: Report
) -> None:
    """Phones that were never here are refused while there is no master; the others notice nothing."""
    need("redis-server", "redis-cli")
    with RedisGroup(tmp_path) as group, fleet.guarded_site(tmp_path, group) as site:
        with Load(fleet.accounts, site.sip, rate=RATE) as load:
            for _ in range(FAILOVERS):
                serve_a_spell(load)
                strangers = [site.new_phone() for _ in range(STRANGERS)]
                with Load([one.account for one in strangers], site.sip, rate=RATE / 10) as new:
                    former, killed = group.kill_master(), time.time()
                    group.wait_for_another_than(former)
                    within(5, site.ready, "ready again")
                    serve_a_spell(load)
                group.bring_back(former)
                last = max((one.at for one in new.result.refused), default=killed)
                report(
                    f"{dict(new.result.codes)} to new phones, the last refusal after {last - killed:.1f} s"
                )
                assert last - killed <= limit(REFUSED_SECONDS)
                assert Counter(new.book.violations) == {}
                assert lost(site, strangers, new.book) == []
        judge(load, site, fleet, FAILOVERS, report)


def test_the_embedded_redis_is_killed_under_load(fleet: Fleet, tmp_path: Path, report: Report) -> None:
    with fleet.site(tmp_path) as site:
        with Load(fleet.accounts, site.sip, rate=RATE) as load:
            for _ in range(KILLS):
                serve_a_spell(load)
                (old,) = site.valkeys
                os.kill(old, signal.SIGKILL)
                began = time.monotonic()
                within(1, partial(_is_another, site, old), "another one is started")
                within(1 - (time.monotonic() - began), lambda: _pings(site), "it answers")
                report(f"answers again after {1000 * (time.monotonic() - began):.0f} ms")
                within(2, site.ready, "ready again")
            serve_a_spell(load)
        judge(load, site, fleet, KILLS, report)


def _is_another(site: Site, old: int) -> bool:
    return site.valkeys not in ([], [old])


def _pings(site: Site) -> bool:
    try:
        return bool(site.redis("ping") == "PONG")
    except Exception:  # refused, loading, no socket yet: not yet
        return False


def test_redis_hangs_under_load(fleet: Fleet, tmp_path: Path, report: Report) -> None:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path) as redis, fleet.site(tmp_path, redis) as site:
        with Load(fleet.accounts, site.sip, rate=RATE) as load:
            serve_a_spell(load)
            with frozen(redis.pid):
                stopped = load.acknowledged
                time.sleep(3)  # the length of the fault
                during = load.acknowledged - stopped
            report(f"{during} refreshes were granted in the 3 s")
            took = within(2, site.ready, "ready again")
            report(f"ready {took:.2f} s after it went on")
            serve_a_spell(load)
        judge(load, site, fleet, 1, report)


# SQL


@pytest.mark.parametrize(
    ("lock", "forget"),
    [
        pytest.param(writers_locked_out, False, id="writers"),
        in_soak(everybody_locked_out, False, id="everybody"),
        pytest.param(everybody_locked_out, True, id="everybody, and changes may have been missed"),
    ],
)
def test_the_database_is_locked_under_load(
    lock: Callable[[Site], AbstractContextManager[None]],
    forget: bool,
    fleet: Fleet,
    tmp_path: Path,
    report: Report,
) -> None:
    """Phones that were read before go on; `forget`: all of them must be read again, and cannot be."""
    with fleet.site(tmp_path) as site:
        strangers = [site.new_phone() for _ in range(20)]
        with Load(fleet.accounts, site.sip, rate=RATE, deadline=12) as load:
            serve_a_spell(load, 2 * PHONES / RATE)
            accounts = [one.account for one in strangers]
            # The lock is given back before the load of the new phones waits for their answers.
            with Load(accounts, site.sip, rate=10, deadline=12) as new, lock(site):
                if forget:
                    site.redis("client", "kill", "type", "pubsub")
                before = load.acknowledged
                time.sleep(3)  # the length of the fault
                during = load.acknowledged - before
            serve_a_spell(load)
            within(2, site.ready, "ready again")
        report(f"{during} of known phones were acknowledged in the 3 s; new phones: {dict(new.result.codes)}")
        judge(load, site, fleet, 1, report)
        assert Counter(new.book.violations) == {}
        assert during > RATE


@pytest.mark.soak
def test_postgresql_fails_over_under_load(tmp_path: Path, report: Report) -> None:
    """The URL names both servers; the standby becomes the one that takes writes."""
    need_postgresql()
    with PostgresServer() as primary:
        name = primary.create()
        with primary.standby() as standby:
            hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in (primary, standby))
            url = f"postgresql+asyncpg://postgres@/{name}?{hosts}&target_session_attrs=read-write"
            site = Site(tmp_path, database_url=url)
            site.command("migrate")
            with site:
                fleet = Fleet(tmp_path, site.demo(), [site.new_phone() for _ in range(PHONES // 4)])
                with Load(fleet.accounts, site.sip, rate=RATE / 2) as load:
                    serve_a_spell(load)
                    primary.kill9()
                    within(5, lambda: site.health("ready") == 503, "it is noticed")
                    before = load.acknowledged
                    time.sleep(SPELL_SECONDS)  # the length of the fault
                    assert load.acknowledged > before, "phones that were read before go on"
                    standby.promote()
                    took = within(5, site.ready, "ready again")
                    report(f"ready {took:.2f} s after the standby took over")
                    assert site.new_phone().account.password
                    serve_a_spell(load)
                judge(load, site, fleet, 1, report)


def test_nothing_is_left_of_them(fleet: Fleet) -> None:
    """The servers above share a folder; the next start must find no living Redis of theirs."""
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        if procfs.name(pid).startswith("valkey") and procfs.alive(pid):
            assert os.readlink(f"/proc/{pid}/cwd") != str(fleet.data)
