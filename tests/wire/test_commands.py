"""The commands beside `serve`, as an operator meets them."""

import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers import registrar
from tests.peers.countries import countries
from tests.peers.ports import free_port
from tests.peers.web import Web
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`registrar <arguments>` to its end, with a data directory in `folder`."""
    given = {"data_dir": str(folder / "data"), **settings}
    environment = {"no_proxy": "*", **{f"REGISTRAR_{name.upper()}": given[name] for name in given}}
    return registrar.run(folder, *arguments, environment=environment)


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


def test_a_country_file_is_fetched_and_a_running_server_takes_it(tmp_path: Path, web: Web) -> None:
    url = web.put("/dbip.mmdb.gz?license_key=hidden", gzip.compress(countries(days=3)))
    with Site(tmp_path) as site:
        assert "country file" in str(site.api("GET", "/health/ready", token="").body["degraded"])
        done = run(tmp_path, "geoip", "update", "--url", url)
        assert (done.returncode, done.stderr) == (0, "")
        told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
        assert told["source"] == url.partition("?")[0]
        assert told["kind"] == "DBIP-Country-Lite"
        assert told["file"] == str(tmp_path / "data" / "geoip.mmdb")
        assert "CC BY 4.0" in told["licence"] and "https://db-ip.com" in told["licence"]
        within(
            15,
            lambda: site.api("GET", "/health/ready", token="").body["degraded"] == [],
            "the server has read it",
        )


def test_a_country_file_goes_where_the_setting_says(tmp_path: Path, web: Web) -> None:
    url = web.put("/city", countries("GeoLite2-City"))
    assert run(tmp_path, "migrate").returncode == 0
    done = run(tmp_path, "geoip", "update", "--url", url, geoip_database=str(tmp_path / "here.mmdb"))
    assert done.returncode == 0, done.stderr
    assert "as its maker says" in done.stdout
    assert (tmp_path / "here.mmdb").exists()


def a_page() -> bytes:
    return b"<html>"


def a_bomb() -> bytes:
    return gzip.compress(bytes(300 << 20))


@pytest.mark.parametrize(
    ("content", "told"), [(a_page, "not a MaxMind DB"), (a_bomb, "unpacks to more than 200 MB")]
)
def test_a_country_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, web: Web, content: Callable[[], bytes], told: str
) -> None:
    old = countries(days=10)
    assert run(tmp_path, "migrate").returncode == 0
    (tmp_path / "data" / "geoip.mmdb").write_bytes(old)
    done = run(tmp_path, "geoip", "update", "--url", web.put("/f", content()))
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("geoip.mmdb is as it was\n")
    assert (tmp_path / "data" / "geoip.mmdb").read_bytes() == old
    assert not list((tmp_path / "data").glob(".geoip*"))


def test_an_older_country_file_needs_force(tmp_path: Path, web: Web) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    (tmp_path / "data" / "geoip.mmdb").write_bytes(countries(days=10))
    url = web.put("/f", countries(days=20))
    done = run(tmp_path, "geoip", "update", "--url", url)
    assert (done.returncode, "--force" in done.stderr) == (2, True)
    assert run(tmp_path, "geoip", "update", "--url", url, "--force").returncode == 0


def test_the_demo_names_the_secure_pages_when_there_are_no_others(tmp_path: Path) -> None:
    port = free_port()
    assert run(tmp_path, "migrate").returncode == 0
    done = run(tmp_path, "demo", "--json", http="", https=f"0.0.0.0:{port}")
    assert json.loads(done.stdout)["api"] == f"https://127.0.0.1:{port}"


@pytest.mark.parametrize("command", [["doctor"], ["geoip"], ["geoip", "update"], ["status"]])
def test_a_command_explains_itself(tmp_path: Path, command: list[str]) -> None:
    done = run(tmp_path, *command, "--help")
    assert done.returncode == 0
    assert "Usage: registrar " + " ".join(command) in done.stdout
    assert not (tmp_path / "data").exists()
