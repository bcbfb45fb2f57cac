"""Rude clients of the listener for phones: they are answered or closed in time, and phones go on meanwhile.

Check 20 of the acceptance checks of provisioning. `make soak` opens 10,000 connections that say nothing, and
then a REGISTER has a limit.
"""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.patience import SOAK, limit
from tests.peers.postgresql import PostgresServer
from tests.peers.redis import RedisServer
from tests.wire.conftest import Report
from tests.wire.fleet import Calm, Fleet
from tests.wire.need import need, need_postgresql, rounds
from tests.wire.phone_files import Asker, Boxed, BoxSite, load, without_date
from tests.wire.siege import Order, Siege, hello
from tests.wire.site import within
from tests.wire.usage import BACK_SECONDS, MEMORY, Usage, files, memory

pytestmark = pytest.mark.wire

HERE: Final = "127.0.0.5"
IDLE: Final = rounds(200, 10_000)
SLOW: Final = rounds(20, 200)
DEAF: Final = rounds(2, 20)
COME_SECONDS: Final = rounds(1, 10)
POOL: Final = 16
"""Connections to the database that a pool may open meanwhile, and keeps."""
LARGE: Final = 256 * 1024
ROUNDS: Final = rounds(1, 50)
P99_SECONDS: Final = 0.150
CLOSED_SECONDS: Final = limit(25.0)
"""A head must come within 10 s; a peer that does not read has 10 s and one more for each 64 KiB."""
CLOSE: Final = b"Host: prov.example\r\nConnection: close\r\n\r\n"
RUDE: Final[dict[str, tuple[bytes, tuple[int, ...]]]] = {
    "HTTP/1.0 without Host": (b"GET /none HTTP/1.0\r\n\r\n", (404,)),
    "HTTP/1.1 without Host": (b"GET /none HTTP/1.1\r\n\r\n", (400,)),
    "64 KiB of path": (b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\n" + CLOSE, (400, 404)),
    "encoded slashes": (b"GET /p/..%2f..%2fsecret.key HTTP/1.1\r\n" + CLOSE, (404,)),
    "dots": (b"GET /p/x/../../secret.key HTTP/1.1\r\n" + CLOSE, (404,)),
    "NUL": (b"GET /a\0b HTTP/1.1\r\n" + CLOSE, (400,)),
    "encoded NUL": (b"GET /%00 HTTP/1.1\r\n" + CLOSE, (404,)),
    "double slashes": (b"GET //p//x//none.xml HTTP/1.1\r\n" + CLOSE, (404,)),
    "PUT of a log": (b"PUT /log HTTP/1.1\r\nContent-Length: 4\r\n" + CLOSE + b"log\n", (405,)),
    "TLS on the plain port": (hello() + b"\r\n\r\n", (400,)),
    "no HTTP": (b"\xff\xfe\0\r\n\r\n", (400,)),
}


@dataclass
class Stage:
    """The server, ordinary phones on it, and rude clients that have begun."""

    site: BoxSite
    postgres: PostgresServer
    redis: RedisServer
    fleet: Fleet
    boxes: list[Boxed]
    before: Usage
    siege: Siege


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    need("redis-server", "redis-cli")
    need_postgresql()
    folder = tmp_path_factory.mktemp("rude")
    with RedisServer(folder) as redis, PostgresServer() as postgres:
        site = BoxSite(
            folder,
            secure=True,
            transports=("tcp",),
            redis_url=redis.url,
            database_url=postgres.url(postgres.create()),
        )
        site.command("migrate")
        with site:
            boxes = [site.box("T46U", f"805EC00000{number:02X}") for number in range(4)]
            with Fleet(site, rate=20, transports=("udp", "tcp")) as fleet:
                Calm.of(fleet)  # every phone has its connection
                if (
                    SOAK
                ):  # the system does not get back what a first wave took: a leak is what the next one adds
                    with Siege(tmp_path_factory.mktemp("first"), orders(site, boxes[3])) as first:
                        first.over()
                before = Usage.of(site)
                with Siege(folder, orders(site, boxes[3])) as siege:
                    yield Stage(site, postgres, redis, fleet, boxes, before, siege)


def orders(site: BoxSite, box: Boxed) -> list[Order]:
    """Clients that say nothing, that say it slowly, and that do not read the large file that they ask for."""
    assets = Path(site.settings["data_dir"]) / "provisioning" / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    (assets / "large.bin").write_bytes(bytes(LARGE))
    wanted = [("nothing", "tcp", IDLE), ("slow_get", "tcp", SLOW), ("slow_get", "tls", SLOW)]
    wanted += [("nothing", "tls", SLOW), ("deaf_get", "tcp", DEAF)]
    where = {"tcp": site.files, "tls": site.secure_files}
    return [
        Order(
            attack,
            transport,
            where[transport],
            count,
            rate=count / COME_SECONDS,
            path=f"/p/{box.secret}/a/large.bin",
        )
        for attack, transport, count in wanted
    ]


def test_check_20_each_rude_request_is_answered(stage: Stage) -> None:
    for _ in range(ROUNDS):
        for name, (octets, statuses) in RUDE.items():
            assert answered(stage, octets) in statuses, name


def answered(stage: Stage, octets: bytes) -> int:
    """The status for these octets. 400 if the rest of them came after the listener had closed."""
    with Asker(stage.site.files, "127.0.0.9") as asker:
        try:
            return without_date(asker.exchange(octets)).status
        except (BrokenPipeError, ConnectionResetError):
            return 400


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_check_20_old_tls_is_refused(stage: Stage) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        pytest.raises((ssl.SSLError, ConnectionError), match=r"(?i)alert|reset|EOF"),
        socket.create_connection(stage.site.secure_files, 60) as plain,
        old.wrap_socket(plain) as peer,
    ):
        peer.sendall(b"GET /none HTTP/1.0\r\n\r\n")


def test_check_20_a_phone_is_served_meanwhile(stage: Stage) -> None:
    box = stage.boxes[0]
    told = load(stage.site, box.path, HERE)
    assert told.status == 200
    assert box.handset.account.password in told.text
    assert stage.site.api("GET", "/pbx/sipphonemodels").status == 200


def test_check_20_all_are_closed_in_time_and_phones_go_on(stage: Stage, report: Report) -> None:
    since = stage.before.at
    results = [seconds for result in stage.siege.over() for seconds in result]
    until = Usage.of(stage.site).at
    left = results.count(None)
    closed = [seconds for seconds in results if seconds is not None]
    p99 = stage.fleet.p99(since, until)
    report(
        f"{len(results):,} rude connections, the last closed after {max(closed):.1f} s; meanwhile "
        f"{stage.fleet.acknowledged:,} registrations, {len(stage.fleet.failures)} failed, "
        f"p99 {p99 * 1e3:.0f} ms"
    )
    assert not left, f"{left} connections were never closed"
    assert not stage.fleet.failures
    assert stage.fleet.acknowledged
    if SOAK:
        assert max(closed) < CLOSED_SECONDS
        assert p99 < P99_SECONDS
    is_back(stage.site, stage.before)


def is_back(site: BoxSite, before: Usage) -> None:
    """Nothing is left of the rude clients, and none of them has caused an error."""
    most = before.files + POOL
    within(BACK_SECONDS, lambda: files(site) <= most, "the file descriptors are back")
    within(BACK_SECONDS, lambda: memory(site) <= before.memory + MEMORY, "the memory is back")
    assert "Traceback" not in site.log_text
    assert site.metric("registrar_unhandled_exceptions_total") == 0


def test_check_20_without_sql_a_phone_keeps_what_it_has(stage: Stage) -> None:
    """503, not 404: after a 404 some phones would look for another file."""
    box = stage.boxes[1]
    stage.postgres.stop()
    try:
        for path in (box.path, "/805ec0d57d72.cfg"):
            told = load(stage.site, path, HERE)
            assert told.status == 503
            assert b"\r\nretry-after: " in told.octets.lower()
    finally:
        stage.postgres.start()
    told = load(stage.site, box.path, HERE)
    assert told.status == 200
    assert box.handset.account.password in told.text


def test_check_20_without_redis_a_phone_is_served(stage: Stage) -> None:
    box = stage.boxes[2]
    stage.redis.kill9()
    try:
        told = load(stage.site, box.path, HERE)
    finally:
        stage.redis.start()
    assert told.status == 200
    assert box.handset.account.password in told.text
    shown = stage.site.phone(box.handset)
    assert (shown["ip"]["mode"], shown["ip"]["address"]) == ("LOCKED", HERE)
    assert shown["status"]["configLoaded"]
