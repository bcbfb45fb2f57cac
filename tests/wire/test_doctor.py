"""`registrar doctor`: what it says of a site that runs, of one that does not, and of one that cannot."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers import registrar
from tests.peers.ports import free_port
from tests.peers.process import frozen
from tests.peers.redis import RedisServer
from tests.peers.rtpengine import Rtpengine
from tests.wire.need import need
from tests.wire.site import FreshSite, Site

pytestmark = pytest.mark.wire

PHONES: Final = ("prov_http", "prov_https", "prov_https_legacy")
OFF: Final = dict.fromkeys(("sip_udp", "sip_tcp", "sip_tls", "sip_wss", "http"), "")
SECRET: Final = "a-secret-that-nobody-may-see-anywhere"


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command to its end, with a data directory in `folder`; no listener unless asked for."""
    given = {"data_dir": str(folder / "data"), **OFF, **settings}
    environment = {f"REGISTRAR_{name.upper()}": given[name] for name in given}
    return registrar.run(folder, "doctor", *arguments, environment=environment)


def checks(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What --json says; the exit code says the same."""
    assert done.stderr == ""
    told = json.loads(done.stdout)
    found: list[dict[str, Any]] = told["checks"]
    failed = any(check["level"] == "FAIL" for check in found)
    assert (told["ok"], done.returncode) == (not failed, int(failed))
    return found


def about(found: list[dict[str, Any]], what: str) -> list[tuple[str, str]]:
    return [(check["level"], check["detail"]) for check in found if check["what"] == what]


def examined(folder: Path, what: str, **settings: str) -> list[tuple[str, str]]:
    return about(checks(run(folder, "--json", **settings)), what)


def ask(site: Site, **settings: str) -> list[dict[str, Any]]:
    """The doctor with the settings of a site that runs."""
    return checks(run(Path(site.settings["data_dir"]).parent, "--json", **{**site.settings, **settings}))


# Nothing runs


def test_an_empty_folder_is_fit_and_stays_empty(tmp_path: Path) -> None:
    done = run(tmp_path, sip_udp=f"127.0.0.1:{free_port()}", sip_wss=f"127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    looked_at = [line[6:20].strip() for line in lines]
    assert looked_at == [
        "settings", "data directory", "database", "Redis", "country file", "certificate", "port", "port",
        "media relay", "open files",
    ]  # fmt: skip
    warned = [line for line in lines if not line.startswith("ok ")]
    assert [line.partition(" -> ")[2] for line in warned] == ["registrar geoip update"]
    assert list(tmp_path.iterdir()) == []


def test_settings_that_cannot_be_used_are_told_with_the_rest(tmp_path: Path) -> None:
    found = checks(run(tmp_path, "--json", sip_udp="nowhere", unheard_of="1", digest="rot13"))
    lines = about(found, "settings")
    assert [level for level, _ in lines] == ["FAIL", "FAIL", "FAIL"]
    assert {line.split()[0].rstrip(":") for _, line in lines} == {
        "unknown", "REGISTRAR_SIP_UDP", "REGISTRAR_DIGEST",
    }  # fmt: skip
    assert about(found, "data directory")
    assert [line.split()[:2] for _, line in about(found, "port")] == [["udp", "0.0.0.0:5060"]]


def test_a_file_of_settings_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("digest = 'rot13'\n")
    (level, line), *_ = examined(tmp_path, "settings", config=str(tmp_path / "c.toml"))
    assert (level, line.split(":")[0]) == ("FAIL", "REGISTRAR_DIGEST")
    (level, line), *_ = examined(tmp_path, "settings", config=str(tmp_path / "none.toml"))
    assert (level, line.split(":")[0]) == ("FAIL", "REGISTRAR_CONFIG")


def test_the_key_of_another_database_is_told(tmp_path: Path) -> None:
    with FreshSite(tmp_path):
        pass
    assert examined(tmp_path, "database")[1] == ("ok", "the secret key is the one it was made with")
    assert examined(tmp_path, "database", secret_key=SECRET)[1] == (
        "FAIL", "it was made with another secret key"
    )  # fmt: skip
    (tmp_path / "data" / "secret.key").unlink()
    assert examined(tmp_path, "database")[1] == ("FAIL", "it was made with a secret key that is not here")
    assert not (tmp_path / "data" / "secret.key").exists()


def test_a_database_that_is_none_fails(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "registrar.sqlite").write_bytes(b"this is no database, it is a text" * 100)
    ((level, line),) = examined(tmp_path, "database")
    assert (level, "not a database" in line) == ("FAIL", True)
    (tmp_path / "data" / "registrar.sqlite").write_bytes(b"")
    assert [level for level, _ in examined(tmp_path, "database")] == ["warn", "ok"]


@pytest.mark.parametrize(
    ("setting", "url", "what", "told"),
    [
        pytest.param(
            "database_url", f"postgresql+asyncpg://u:{SECRET}@127.0.0.1:9/x", "database",
            "postgresql 127.0.0.1/x", id="no PostgreSQL",
        ),
        pytest.param("database_url", f"mysql://u:{SECRET}@h/x", "database", "mysql", id="not PostgreSQL"),
        pytest.param("redis_url", f"redis://:{SECRET}@127.0.0.1:9/0", "Redis", "127.0.0.1:9", id="no Redis"),
        pytest.param("redis_url", f"http://:{SECRET}@127.0.0.1/", "Redis", "must be redis://", id="a page"),
        pytest.param("redis_url", f"redis://h/?password={SECRET}", "Redis", "nothing after", id="a query"),
        pytest.param(
            "redis_url", f"redis+sentinel://127.0.0.1:9/m?sentinel_password={SECRET}", "Redis",
            "127.0.0.1:9", id="no sentinel",
        ),
    ],
)  # fmt: skip
def test_a_store_that_is_away_fails_and_its_password_stays_hidden(
    tmp_path: Path, setting: str, url: str, what: str, told: str
) -> None:
    done = run(tmp_path, "--json", **{setting: url})
    lines = about(checks(done), what)
    assert [level for level, _ in lines] == ["FAIL"]
    assert told in lines[0][1]
    assert SECRET not in done.stdout


def test_a_certificate_that_cannot_be_served_fails(tmp_path: Path) -> None:
    port = f"127.0.0.1:{free_port()}"
    assert examined(tmp_path, "certificate")[0][0] == "ok"
    assert examined(tmp_path, "certificate", https=port, tls_cert="x")[0][0] == "FAIL"
    ((level, line),) = examined(tmp_path, "certificate", https=port, tls_cert="x", tls_key="y")
    assert (level, line) == ("FAIL", "REGISTRAR_TLS_CERT: x: No such file or directory")


def test_a_port_that_is_taken_fails(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{other.getsockname()[1]}"
        ((level, line),) = examined(tmp_path, "port", sip_udp=where)
    assert (level, line.startswith(f"udp {where} is held by something else")) == ("FAIL", True)


# Something runs


def test_a_running_site_on_all_transports_is_fit(tmp_path: Path) -> None:
    kinds = ("sip_tcp", "sip_tls", "sip_ws", "sip_wss", "https")
    places = {kind: f"127.0.0.1:{free_port()}" for kind in (*kinds, *PHONES)}
    url = f"https://{places['prov_https']}/phones"
    with Site(tmp_path, prov_url=url, **places) as site:  # type: ignore[arg-type]  # by name
        found = ask(site)
        ports = about(found, "port")
        secure = ["tls", "ws", "wss", "http", "https"]
        assert [line.split()[0] for _, line in ports] == ["udp", "tcp", *secure, *PHONES]
        assert {line.split(" is ")[1] for _, line in ports} == {"held by a running registrar"}
        assert about(found, "database")[1] == ("ok", "the secret key is the one it was made with")
        redis = [line for _, line in about(found, "Redis")]
        assert redis[0].startswith("Valkey ")
        assert redis[2] == "kept on disk: append-only"
        assert about(found, "clock")[0][0] == "ok"
        phones = about(found, "phones' URL")
        assert [level for level, _ in phones] == ["warn", "ok", "warn", "ok"] * 2
        assert phones[3][1] == f"{url} is answered by this installation"
        assert (
            phones[7][1] == f"https://{places['prov_https_legacy']}/phones is answered by this installation"
        )
        assert [line.split(": ")[1] for _, line in about(found, "certificate")] == ["397 days left"]
        assert "Traceback" not in site.log_text
        foreign = about(ask(site, secret_key=SECRET), "port")
        assert [level for level, _ in foreign[:3]] == ["FAIL"] * 3, "another installation's SIP is not ours"
        with frozen(site.valkeys[0]):
            assert about(ask(site), "Redis") == [("FAIL", "the embedded Valkey does not answer")]


def test_the_media_relay_is_asked(tmp_path: Path) -> None:
    need("rtpengine")
    with Rtpengine(tmp_path) as engine:
        assert examined(tmp_path, "media relay", rtpengine=engine.name) == [("ok", f"{engine.name} answers")]
    ((level, line),) = examined(tmp_path, "media relay", rtpengine=engine.name)
    assert (level, line.startswith(engine.name)) == ("FAIL", True)
    ((level, line),) = examined(tmp_path, "media relay", rtpengine="a..b:2223")
    assert (level, line.startswith("a..b:2223: ")) == ("FAIL", True)


def test_a_redis_of_somebody_else_is_judged(tmp_path: Path) -> None:
    need("redis-server", "redis-cli")
    options = ("--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(tmp_path, options=options) as redis:
        lines = examined(tmp_path, "Redis", redis_url=redis.url)
        assert [level for level, _ in lines] == ["ok", "FAIL", "warn"]
        redis.cli("config", "set", "requirepass", SECRET)
        ((level, line),) = examined(tmp_path, "Redis", redis_url=redis.url)
        assert (level, "uthentication" in line) == ("FAIL", True)
        url = redis.url.replace("://", f"://:{SECRET}@")
        done = run(tmp_path, "--json", redis_url=url)
        assert len(about(checks(done), "Redis")) == 3
        assert SECRET not in done.stdout
