"""Two first fetches of one phone at once, from two addresses, at two nodes: one gets the file.

Check 4 of the acceptance checks of provisioning. Two nodes need PostgreSQL: SQLite is for one.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.peers.phone import UdpPhone
from tests.peers.postgresql import PostgresServer
from tests.wire.conftest import Report
from tests.wire.need import need, rounds
from tests.wire.phone_files import Asker, Boxed, BoxSite, Told
from tests.wire.site import Fields, Site, kinds, within

pytestmark = pytest.mark.wire

ROUNDS: Final = rounds(6, 500)
SOURCES: Final = ("127.0.0.5", "127.0.0.6")
WAITING: Final = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@dataclass(frozen=True)
class Nodes:
    """Two `registrar serve` over one database and one Redis."""

    sites: tuple[BoxSite, BoxSite]
    postgres: PostgresServer
    database: str

    @contextmanager
    def held(self, table: str, where: str) -> Iterator[None]:
        """Keep a row locked until two others wait for it: both have read what it was before."""
        self.postgres.sql("BEGIN", self.database)
        self.postgres.sql(f"SELECT 1 FROM {table} WHERE {where} FOR UPDATE", self.database)
        try:
            yield
            within(60, lambda: self.postgres.sql(WAITING, self.database) == [["2"]], "both have read the row")
        finally:
            self.postgres.sql("COMMIT", self.database)


@pytest.fixture(scope="module")
def nodes(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    need("redis-cli")
    folder, database = tmp_path_factory.mktemp("first_fetches"), postgres.create()
    shared: dict[str, Any] = {"database_url": postgres.url(database), "data_dir": str(folder / "data")}
    one = BoxSite(folder / "one", prov_url="http://prov.example", **shared)
    one.command("migrate")
    with one:
        two = BoxSite(folder / "two", prov_url="http://prov.example", tenant=one.demo(), **shared)
        with two:
            yield Nodes((one, two), postgres, database)
    postgres.drop(database)


@dataclass(frozen=True)
class Race:
    """What became of two fetches of one phone."""

    box: Boxed
    told: tuple[Told, Told]

    @property
    def statuses(self) -> list[int]:
        return sorted(told.status for told in self.told)

    @property
    def winner(self) -> int:
        """The number of the node that has served the file."""
        (place,) = (place for place, told in enumerate(self.told) if told.status == 200)
        return place


def start(nodes: Nodes, box: Boxed, path: str, workers: ThreadPoolExecutor) -> list[Future[Told]]:
    """Two fetches at the same moment, each at a node of its own."""
    together = threading.Barrier(2, timeout=60)

    def fetch(site: BoxSite, source: str) -> Told:
        with Asker(site.files, source) as asker:
            together.wait()
            return asker.ask(path)

    return [workers.submit(fetch, site, source) for site, source in zip(nodes.sites, SOURCES, strict=True)]


def over(box: Boxed, fetches: list[Future[Told]]) -> Race:
    one, two = (fetch.result(60) for fetch in fetches)
    return Race(box, (one, two))


def judge(nodes: Nodes, race: Race) -> None:
    """One has the account, and its address is the lock, at both nodes; the other has learnt nothing."""
    box, won = race.box, race.winner
    account = box.handset.account
    here, there = SOURCES[won], SOURCES[1 - won]
    assert account.password in race.told[won].text
    assert account.username not in race.told[1 - won].text
    shown = nodes.sites[0].phone(box.handset)["ip"]
    assert (shown["mode"], shown["address"]) == ("LOCKED", here)
    for site in nodes.sites:
        assert registered(site, box, there) == 403
    assert registered(nodes.sites[1 - won], box, here) == 200
    journal = nodes.sites[0].journal(box.handset)
    for kind in ("locked", "configured"):
        assert [entry["ip"] for entry in of_kind(journal, kind)] == [here], journal


def registered(site: Site, box: Boxed, source: str) -> int:
    with UdpPhone(box.handset.account, site.sip, source=(source, 0)) as phone:
        return phone.register(60).status


def of_kind(journal: list[Fields], kind: str) -> list[Fields]:
    return [entry for entry in journal if entry["event"] == kind]


def mac(series: int, number: int) -> str:
    return f"805EC0{series:02X}{number:04X}"


def test_check_04_of_two_that_have_read_the_same_one_is_served(nodes: Nodes, report: Report) -> None:
    """Each round is a real race: both nodes have read the row before one of them may write."""
    winners: Counter[int] = Counter()
    with ThreadPoolExecutor(2) as workers:
        for number in range(ROUNDS):
            box = nodes.sites[number % 2].box("T46U", mac(1, number))
            with nodes.held("provisioning", f"mac = '{box.mac}'"):
                fetches = start(nodes, box, box.path, workers)
            race = over(box, fetches)
            assert race.statuses == [200, 403], race
            judge(nodes, race)
            assert "config-refused" in kinds(nodes.sites[0].events(box.handset))
            winners[race.winner] += 1
    report(
        f"{ROUNDS} races of two first fetches at two nodes: one 200, one 403, one lock; "
        f"won by {dict(winners)}"
    )


def test_check_04_two_that_come_at_once(nodes: Nodes, report: Report) -> None:
    """Without a held row: one that comes after the other has finished finds a spent secret, which is 404."""
    losers: Counter[int] = Counter()
    with ThreadPoolExecutor(2) as workers:
        for number in range(ROUNDS):
            box = nodes.sites[number % 2].box("T46U", mac(2, number))
            race = over(box, start(nodes, box, box.path, workers))
            (lost,) = (told.status for told in race.told if told.status != 200)
            assert lost in (403, 404), race
            judge(nodes, race)
            losers[lost] += 1
    report(f"{ROUNDS} times two first fetches at once at two nodes: one 200 each; the others {dict(losers)}")


def test_check_04_with_the_steady_secret_it_is_the_lock_that_decides(nodes: Nodes) -> None:
    """A phone that staff has opened again has no session of a first secret."""
    with ThreadPoolExecutor(2) as workers:
        for number in range(rounds(2, 100)):
            box = nodes.sites[0].box("T46U", mac(3, number))
            with Asker(nodes.sites[0].files, SOURCES[0]) as asker:
                file = asker.ask(box.path).text
            (steady,) = (line for line in file.splitlines() if "auto_provision.server.url" in line)
            path = f"/p/{steady.split('/')[-2]}/{box.mac.lower()}.cfg"
            with Asker(nodes.sites[0].files, SOURCES[0]) as asker:
                assert asker.ask(path).status == 200, "it ends the first secret"
            nodes.sites[0].patch(box.handset, ip={"mode": "OPEN"})
            with nodes.held("sip_phone", f"oid = '{box.handset.id}'"):
                fetches = start(nodes, box, path, workers)
            race = over(box, fetches)
            assert race.statuses == [200, 403], race
            shown = nodes.sites[1].phone(box.handset)["ip"]
            assert (shown["mode"], shown["address"]) == ("LOCKED", SOURCES[race.winner])
