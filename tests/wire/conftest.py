"""The servers that many tests share, and the figures that a run prints in its end."""

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from tests.figures import FIGURE
from tests.patience import SOAK
from tests.peers.baresip import Baresip
from tests.peers.ports import free_port, has_ipv6
from tests.peers.postgresql import PostgresServer
from tests.peers.process import STARTED
from tests.peers.redis import RedisServer
from tests.peers.registrar import TRANSPORTS
from tests.wire import template, waits
from tests.wire.callers import Callers
from tests.wire.cluster import Cluster, Tenant
from tests.wire.need import need
from tests.wire.site import Customer, Handset, Site
from tests.wire.waits import Waits

COUNTRIES: Final = {"127.10.0.0/16": "DK", "127.20.0.0/16": "SE"}
"""What the generated country file knows; 127.30.0.1 is in no country."""
IN_THE_END: Final = "in_the_end"
"""Tests with this in their name run after all others."""

LATE: Final = ("test_chaos", "test_faults", "test_limits", "test_node_lost")
"""Modules that measure under load: they run when the tests beside them are done."""

LAST_LINES: Final = 8
MANY_STRANGERS: Final = "off"
"""`limits` of the servers that many tests share.

The tests of framing, of torture and of equal answers send hundreds of requests without credentials from one
socket, which a stranger may not. Servers of single modules, and those of test_bans.py, have the default.
"""
Report = Callable[[str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (IN_THE_END in item.name, item.path.stem in LATE))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the newest servers wrote last; one that died says why."""
    report = yield
    if report.failed:
        for program in dict.fromkeys(STARTED):
            report.sections.append((f"{program.err}", program.last_lines(LAST_LINES)))
    return report


@pytest.fixture(scope="session", autouse=True)
def template_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the processes of a run share one template of a data directory; the soak starts without."""
    if not SOAK:
        base = tmp_path_factory.getbasetemp()
        template.home = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Takes a line with a figure; the run prints all of them in its end."""
    return lambda text: record_property(FIGURE, text)


@pytest.fixture(scope="session")
def country_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A country file of a few networks of loopback."""
    path = tmp_path_factory.mktemp("countries") / "country.mmdb"
    write_countries(path, COUNTRIES)
    return path


def write_countries(path: Path, countries: dict[str, str]) -> None:
    """A GeoIP2 file that knows these networks."""
    writer = MMDBWriter(6, "Test-GeoLite2-Country", languages=["en"], ipv4_compatible=True)
    for network, code in countries.items():
        writer.insert_network(IPSet([network]), {"country": {"iso_code": code}})
    writer.to_db_file(str(path))


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory, country_file: Path) -> Iterator[Site]:
    """`registrar serve` on embedded defaults."""
    need("redis-cli")
    folder = tmp_path_factory.mktemp("first")
    with Site(folder, geoip_database=str(country_file), limits=MANY_STRANGERS) as site:
        site.demo()
        yield site


@pytest.fixture(scope="session")
def long_waits(first: Site) -> Iterator[Waits]:
    """Phones that were registered first of all and then left alone."""
    begun = waits.begin(first)
    yield begun
    begun.line.close()


@pytest.fixture(scope="session")
def site(first: Site, long_waits: Waits) -> Site:
    """The server that the tests share. They leave it running, and make phones of their own."""
    return first


@pytest.fixture(scope="session")
def second(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Another process on the same data directory: same database, secret key and Redis. No country file."""
    folder = tmp_path_factory.mktemp("second")
    data = site.settings["data_dir"]
    with Site(folder, tenant=site.demo(), data_dir=data, limits=MANY_STRANGERS) as other:
        yield other


@pytest.fixture(scope="session")
def streams(tmp_path_factory: pytest.TempPathFactory, country_file: Path) -> Iterator[Site]:
    """A server with every transport on, and data of its own; shared, like `site`, and left running."""
    need("redis-cli")
    folder = tmp_path_factory.mktemp("streams")
    file = str(country_file)
    with Site(folder, transports=TRANSPORTS, geoip_database=file, limits=MANY_STRANGERS) as site:
        site.demo()
        yield site


@pytest.fixture(scope="session")
def neighbour(streams: Site) -> Customer:
    """Another customer, whom `spare` knows from its start."""
    return streams.new_customer()


@pytest.fixture(scope="session")
def spare_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis of `spare`, to be broken and mended again."""
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path_factory.mktemp("spare-redis")) as redis:
        yield redis


@pytest.fixture(scope="session")
def spare(
    streams: Site, neighbour: Customer, spare_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A process beside `streams` with all that is unusual, which tests may stop if they start it again.

    Both digest algorithms, a Redis of its own, and the port of UDP on ::1 too, where there is one.
    """
    port = free_port()
    other = Site(
        tmp_path_factory.mktemp("spare"),
        tenant=streams.demo(),
        transports=("tcp", "ws"),
        data_dir=streams.settings["data_dir"],
        redis_url=spare_redis.url,
        digest="both",
        sip_udp=f"127.0.0.1:{port},[::1]:{port}" if has_ipv6() else f"127.0.0.1:{port}",
    )
    other.sip = other.listeners["udp"] = ("127.0.0.1", port)
    with other:
        yield other


@pytest.fixture(scope="session")
def api_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis of `api_site`."""
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path_factory.mktemp("api-redis")) as redis:
        yield redis


@pytest.fixture(scope="session")
def api_site(
    postgres: PostgresServer, api_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """`registrar serve api` on PostgreSQL, shared by the tests of the whole API."""
    site = Site(
        tmp_path_factory.mktemp("api"),
        arguments=("serve", "api"),
        database_url=postgres.url(postgres.create()),
        redis_url=api_redis.url,
        sip_wss="127.0.0.1:8443",  # nobody listens there: it is what softphones are told
        webhook_private="127.0.0.0/8",
    )
    site.command("migrate")
    with site:
        site.demo()
        yield site


@pytest.fixture(scope="session")
def second_api(api_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Another process of it, on the same database and Redis and with the same keys."""
    shared = {name: api_site.settings[name] for name in ("data_dir", "database_url", "redis_url")}
    folder = tmp_path_factory.mktemp("second-api")
    with Site(folder, tenant=api_site.demo(), arguments=("serve", "api"), **shared) as other:
        yield other


@pytest.fixture(scope="session")
def switchboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with every transport, for the tests of calls; left running."""
    need("redis-cli")
    with Site(tmp_path_factory.mktemp("switchboard"), transports=TRANSPORTS, limits=MANY_STRANGERS) as site:
        site.demo()
        yield site


@pytest.fixture
async def callers(switchboard: Site) -> AsyncIterator[Callers]:
    """The phones of the test's own."""
    async with Callers(switchboard) as callers:
        yield callers


@pytest.fixture
def handset(site: Site) -> Handset:
    """A phone of the test's own."""
    return site.new_phone()


@pytest.fixture
def device(streams: Site) -> Handset:
    """A phone of the test's own, for the server with every transport."""
    return streams.new_phone()


@pytest.fixture(scope="session")
def baresip(
    site: Site, long_waits: Waits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Handset, Baresip]]:
    """A registered baresip, whose power is cut when nobody needs it any more."""
    need("baresip")
    handset = site.new_phone()
    with Baresip(tmp_path_factory.mktemp("baresip"), handset.account, site.sip) as phone:
        yield handset, phone


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two SIP processes and one of the API, over either database."""
    need("redis-cli")
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with Cluster(tmp_path_factory.mktemp("cluster"), postgres).running() as cluster:
        yield cluster


@pytest.fixture
def tenant(cluster: Cluster) -> Tenant:
    """A customer of the test's own."""
    return cluster.new_tenant()
