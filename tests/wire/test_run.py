"""The command as an operator meets it: it starts, says in one line what is wrong, leaves nothing behind."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.patience import limit
from tests.peers import forked, procfs, registrar
from tests.peers.phone import Account, UdpPhone
from tests.peers.ports import free_port
from tests.peers.redis import RedisServer
from tests.peers.registrar import DOMAIN
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.site import FreshSite, Handset, Site, within

pytestmark = pytest.mark.wire

GONE_SECONDS: Final = 3.0
OTHER_NODE_SECONDS: Final = 6.0
"""A lease is looked at each 2 s."""
COMMAND_SECONDS: Final = limit(60.0)
NAME: Final = "the-one-name"


# Starting and stopping


@pytest.fixture
def demo_site(tmp_path: Path) -> Iterator[Site]:
    """`registrar serve --demo` on an empty data directory."""
    with FreshSite(tmp_path, arguments=("serve", "--demo")) as site:
        yield site


def test_serve_demo_prints_what_registers_and_ctrl_c_ends_it(demo_site: Site, report: Report) -> None:
    within(5, lambda: "password" in demo_site.out, "the account is printed")
    account, server, token = _demo_text(demo_site.out)
    assert server == demo_site.sip
    with UdpPhone(account, server) as phone:
        assert phone.register().status == 200
    listed = demo_site.api("GET", "/pbx/sipphone?full=true", token=token)
    assert listed.status == 200
    shown = {phone["username"]: phone["status"]["online"] for phone in listed.body["sipPhones"]}
    assert shown[account.username] is True
    assert sum(shown.values()) == 1
    family = demo_site.family
    assert any(procfs.name(pid).startswith("valkey") for pid in family)
    assert demo_site.press_ctrl_c() == 0
    took = within(GONE_SECONDS, lambda: not any(map(procfs.alive, family)), "all processes are gone")
    report(f"nothing is left {1000 * took:.0f} ms after the end")
    assert "Traceback" not in demo_site.log_text


def _demo_text(printed: str) -> tuple[Account, tuple[str, int], str]:
    """The account, the server and the token in what `serve --demo` prints."""

    def value(name: str) -> str:
        found = re.search(rf"{name}\s+(\S+)", printed)
        assert found, printed
        return found[1]

    host, _, port = value("server").partition(":")
    account = Account(value("username"), value("password"), value("domain"))
    return account, (host, int(port)), value("ADMIN token")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_to_the_process_alone_ends_it_too(number: signal.Signals, tmp_path: Path) -> None:
    with FreshSite(tmp_path) as site:
        family = site.family
        assert site.stop(number) == 0
        within(GONE_SECONDS, lambda: not any(map(procfs.alive, family)), "all processes are gone")


def test_kill_9_leaves_no_process_behind(tmp_path: Path, report: Report) -> None:
    with FreshSite(tmp_path) as site:
        family = site.family
        assert site.valkeys
        site.kill9()
        took = within(GONE_SECONDS, lambda: not any(map(procfs.alive, family)), "its Redis is gone")
        report(f"the embedded Redis is gone after {1000 * took:.0f} ms")
        site.start()
        assert site.valkeys, "the next start takes over"


# The demo tenant


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`registrar <arguments>` to its end, with a data directory in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {"data_dir": str(folder / "data"), "domain": DOMAIN, **settings}
    names = {name if name.isupper() else f"REGISTRAR_{name.upper()}": given[name] for name in given}
    return registrar.run(folder, *arguments, environment=names)


def test_demo_json_is_one_object_and_finds_what_it_made(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    runs = [run(tmp_path, "demo", "--json", http="127.0.0.1:18080") for _ in range(2)]
    assert [done.returncode for done in runs] == [0, 0]
    first, again = (_one_object(done.stdout) for done in runs)
    assert first["api"] == "http://127.0.0.1:18080"
    keys = {"token", "customer", "domain", "domainId", "models", "extensions", "phones", "examples", "webrtc"}
    assert keys <= first.keys()
    accounts = [*first["examples"].values(), first["webrtc"]]
    assert set(first["examples"]) == {"sipp", "baresip", "desk phone"}
    assert len({account["username"] for account in accounts}) == 4, "an account for each example"
    assert len({account["extensionNumber"] for account in accounts}) == 4
    assert {"generic", "webrtc"} <= first["models"].keys()
    assert len(first["extensions"]) >= 3
    assert all(extension.keys() >= {"_id", "number", "name"} for extension in first["extensions"])
    expected = {"_id", "username", "password", "domain", "extensionNumber"}
    assert all(phone.keys() >= expected for phone in first["phones"])
    assert {**first, "token": ""} == {**again, "token": ""}
    assert not (tmp_path / "data" / "valkey.sock").exists(), "it starts no Redis"


def _one_object(text: str) -> dict[str, Any]:
    assert len(text.strip().splitlines()) == 1, text
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def test_demo_json_works_while_serve_runs(site: Site) -> None:
    told = _one_object(site.command("demo", "--json"))
    assert {**told, "token": ""} == {**site.demo(), "token": ""}
    assert site.api("GET", "/pbx/sipphone", token=told["token"]).status == 200


# An installation


COMMANDS: Final = (
    ("demo",),
    ("demo", "--json"),
    ("token", "--level", "ADMIN"),
    ("status",),
    ("status", "--watch"),
    ("geoip", "update", "--url", "file:///nonexistent"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_beside_serve_and_migrate_makes_no_installation(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = run(tmp_path, *command)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"registrar: there is no installation in {tmp_path / 'data'} (")
    assert "`registrar serve` or `registrar migrate` makes one" in line
    assert list(tmp_path.iterdir()) == []


def test_no_database_of_its_own_is_made_where_the_setting_names_one(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    other = tmp_path / "other.sqlite"
    done = run(tmp_path, "status", database_url=f"sqlite+aiosqlite:///{other}")
    assert (done.returncode, str(other) in done.stderr, other.exists()) == (2, True, False)


def test_a_command_that_needs_no_file_needs_no_folder(tmp_path: Path) -> None:
    keys = {
        "secret_key": "a-secret-of-more-than-32-characters",
        "jwt_secret": "another-one-of-32-characters-0123",
    }
    url = "postgresql+asyncpg://registrar@127.0.0.1:1/registrar"
    done = run(tmp_path, "token", "--level", "ADMIN", database_url=url, **keys)
    assert (done.returncode, done.stdout.count(".")) == (0, 2), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_redis_the_status_is_unknown(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    phones = len(_one_object(run(tmp_path, "demo", "--json").stdout)["phones"]) + 1
    done = run(tmp_path, "status")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("unknown: Redis does not answer") == phones
    assert "never registered" not in done.stdout
    rows = json.loads(run(tmp_path, "status", "--json").stdout)
    assert [(row["online"], row["state"], row["reason"]) for row in rows] == [(None, None, None)] * phones


def test_serve_prints_the_first_steps(tmp_path: Path) -> None:
    with FreshSite(tmp_path) as site:
        within(COMMAND_SECONDS, lambda: "registrar doctor" in site.out, "the first steps are printed")
        told = site.out
        assert f"API          http://{site.http[0]}:{site.http[1]}   documentation: " in told
        assert f"SIP server   {site.sip[0]}:{site.sip[1]} (UDP)\n" in told
        for step in ("registrar token --level ADMIN", "POST /customer", "registrar serve --demo"):
            assert step in told
        assert "password   " not in told
        token = site.command("token", "--level", "ADMIN").strip()
        assert site.api("POST", "/customer", {"name": "A", "sipDomain": "a.test"}, token=token).status == 200


# Wrong settings


@dataclass(frozen=True)
class Wrong:
    """A setting nobody can work with, and what the one line must name."""

    name: str
    named: str
    settings: dict[str, str]


def _taken(kind: socket.SocketKind) -> socket.socket:
    taken = socket.socket(socket.AF_INET, kind)
    taken.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        taken.listen()
    return taken


def _address(taken: socket.socket) -> str:
    return "{}:{}".format(*taken.getsockname())


WRONG: Final = (
    Wrong("an unknown setting", "REGISTRAR_FOO", {"foo": "1"}),
    Wrong("a setting that is written wrong", "did you mean REGISTRAR_SIP_UDP?", {"sip_upd": "127.0.0.1:1"}),
    Wrong("a listener without a port", "REGISTRAR_SIP_UDP", {"sip_udp": "127.0.0.1"}),
    Wrong("a listener that is a name", "REGISTRAR_HTTP", {"http": "localhost:8080"}),
    Wrong("a short secret key", "REGISTRAR_SECRET_KEY", {"secret_key": "short"}),
    Wrong("a short token secret", "REGISTRAR_JWT_SECRET", {"jwt_secret": "short"}),
    Wrong("another secret key", "REGISTRAR_SECRET_KEY is not", {"secret_key": "other-" * 8}),
    Wrong("a secret key that is none", "REGISTRAR_SECRET_KEY", {"secret_key": "k" * 40}),
    Wrong(
        "the placeholder of the example",
        "REGISTRAR_JWT_SECRET",
        {"jwt_secret": "another-32-characters-of-your-own-randomness"},
    ),
    Wrong("a database URL that is none", "REGISTRAR_DATABASE_URL", {"database_url": "nonsense"}),
    Wrong("an unknown database", "REGISTRAR_DATABASE_URL", {"database_url": "oracle://127.0.0.1/x"}),
    Wrong(
        "a database nobody can open",
        "REGISTRAR_DATABASE_URL",
        {"database_url": "sqlite+aiosqlite:////nonexistent/x.sqlite"},
    ),
    Wrong("a Redis URL that is none", "REGISTRAR_REDIS_URL", {"redis_url": "http://127.0.0.1:6379"}),
    Wrong("a Redis port that is none", "REGISTRAR_REDIS_URL", {"redis_url": "redis://127.0.0.1:port"}),
    Wrong("a UDP port in use", "REGISTRAR_SIP_UDP", {"sip_udp": "taken"}),
    Wrong("an HTTP port in use", "REGISTRAR_HTTP", {"http": "taken"}),
    Wrong("a file that is missing", "REGISTRAR_CONFIG", {"REGISTRAR_CONFIG": "/nonexistent.toml"}),
)


@pytest.fixture(scope="module")
def endings(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, subprocess.CompletedProcess[str]]:
    """How `registrar serve` ended with each of the wrong settings, on a database that exists."""
    folder = tmp_path_factory.mktemp("wrong")
    assert run(folder, "migrate").returncode == 0
    with closing(_taken(socket.SOCK_DGRAM)) as udp, closing(_taken(socket.SOCK_STREAM)) as tcp:
        sockets = {"sip_udp": _address(udp), "http": _address(tcp)}

        def serve(wrong: Wrong) -> subprocess.CompletedProcess[str]:
            given = {
                "sip_udp": f"127.0.0.1:{free_port()}",
                "http": f"127.0.0.1:{free_port()}",
                **{
                    name: sockets[name] if value == "taken" else value
                    for name, value in wrong.settings.items()
                },
            }
            off = {"sip_tcp": "", "sip_tls": "", "sip_wss": ""}
            done = run(folder, "serve", **off, **given)
            if done.returncode == forked.LOST:  # it has changed nothing, so ask again
                done = run(folder, "serve", **off, **given)
            return done

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(serve, WRONG))
    return {wrong.name: end for wrong, end in zip(WRONG, done, strict=True)}


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.name for wrong in WRONG])
def test_a_wrong_setting_ends_it_with_one_line(
    wrong: Wrong, endings: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    done = endings[wrong.name]
    assert done.returncode == 2, done.stderr[-2000:]
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith('{"time"')]
    assert len(lines) == 1, done.stderr[-2000:]
    assert wrong.named in lines[0]
    values = [value for name, value in wrong.settings.items() if "secret" in name]
    assert not [value for value in values if value in done.stderr], "no secret in it"


# Several processes


def test_a_second_serve_uses_the_first_ones_redis(site: Site, second: Site, handset: Handset) -> None:
    assert len(site.valkeys) == 1
    assert second.valkeys == []
    with UdpPhone(handset.account, second.sip) as phone:
        assert phone.register().status == 200
    assert site.status(handset)["online"] is True
    assert second.status(handset)["online"] is True


def test_the_second_process_of_a_name_makes_the_first_one_stop(
    site: Site, tmp_path: Path, report: Report
) -> None:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path) as redis:

        def named(folder: str) -> Site:
            data = site.settings["data_dir"]
            return Site(tmp_path / folder, tenant=site.demo(), data_dir=data, node=NAME, redis_url=redis.url)

        older, newer = named("older"), named("newer")
        with older, newer:
            took = within(OTHER_NODE_SECONDS, lambda: not older.running, "the first one stops")
            report(f"the first one stopped {took:.1f} s after the second was ready")
            assert older.wait_end() not in (0, None)
            lines = [line for line in older.log_text.splitlines() if not line.startswith('{"time"')]
            assert len(lines) == 1, older.log_text[-2000:]
            assert NAME in lines[0]
            assert newer.running
            assert newer.ready()
