"""registrar/store/geoip.py: a country for an address, from a file that may come, go, and be broken."""

import os
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from registrar.errors import StoreUnavailable
from registrar.store.geoip import CountryFile

DENMARK, SWEDEN, NOWHERE = "192.0.2.7", "198.51.100.7", "203.0.113.9"


def build(path: Path, kind: str = "GeoIP2-Country", *, country: str = "DK") -> Path:
    """A file that knows two networks of each family, the first in `country`."""
    writer = MMDBWriter(ip_version=6, database_type=kind, languages=["en"], ipv4_compatible=True)
    writer.insert_network(IPSet(["192.0.2.0/24", "2001:db8:1::/48"]), {"country": {"iso_code": country}})
    writer.insert_network(IPSet(["198.51.100.0/24"]), {"country": {"iso_code": "SE"}})
    writer.insert_network(IPSet(["198.18.0.0/15"]), {"continent": {"code": "EU"}})
    writer.to_db_file(str(path.with_suffix(".new")))
    os.replace(path.with_suffix(".new"), path)
    return path


def loaded(path: Path) -> CountryFile:
    file = CountryFile(path)
    file.refresh()
    return file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "geoip.mmdb"


@pytest.mark.parametrize("kind", ["GeoIP2-Country", "GeoLite2-Country", "GeoLite2-City", "DBIP-Country-Lite"])
@pytest.mark.parametrize(
    ("address", "country"),
    [
        pytest.param(DENMARK, "DK", id="IPv4"),
        pytest.param("2001:db8:1::7", "DK", id="IPv6"),
        pytest.param(SWEDEN, "SE", id="another country"),
        pytest.param(NOWHERE, None, id="an address of no record"),
        pytest.param("198.18.0.1", None, id="a record of no country"),
        pytest.param("10.0.0.1", None, id="a private address"),
        pytest.param("127.0.0.1", None, id="loopback"),
        pytest.param("junk", None, id="no address"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_country_of(path: Path, kind: str, address: str, country: str | None) -> None:
    file = loaded(build(path, kind))
    assert file.problem == ""
    assert file.country(address) == country


def test_before_it_was_read_there_is_none(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="not read yet"):
        CountryFile(build(path)).country(DENMARK)


def damaged(path: Path) -> bytes:
    """The metadata is whole, the data is not."""
    data = build(path).read_bytes()
    head = data.rindex(b"\xab\xcd\xefMaxMind.com")
    return b"\xff" * head + data[head:]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: None, id="no file"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
        pytest.param(lambda path: path.write_bytes(b""), id="an empty file"),
        pytest.param(lambda path: path.write_bytes(b"nonsense" * 1_000), id="nonsense"),
        pytest.param(lambda path: path.write_bytes(build(path).read_bytes()[:-80]), id="a file cut off"),
        pytest.param(lambda path: path.write_bytes(damaged(path)), id="a damaged file"),
        pytest.param(lambda path: build(path, "GeoLite2-ASN"), id="a file about something else"),
    ],
)
def test_without_a_usable_file_nobody_has_a_country(path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(path)
    file = loaded(path)
    assert file.problem
    with pytest.raises(StoreUnavailable):
        file.country(DENMARK)
    if path.is_dir():
        path.rmdir()
    build(path)
    file.refresh()
    assert file.country(DENMARK) == "DK"
    assert file.problem == ""


@pytest.mark.parametrize("bad", ["missing", "nonsense", "cut off", "damaged", "another kind"])
def test_a_bad_file_leaves_the_one_before_in_use(path: Path, bad: str) -> None:
    file = loaded(build(path))
    if bad == "missing":
        path.unlink()
    elif bad == "another kind":
        build(path, "GeoLite2-ASN")
    else:
        data = {"nonsense": b"x" * 5_000, "cut off": path.read_bytes()[:-80], "damaged": damaged(path)}[bad]
        path.write_bytes(data)
    file.refresh()
    assert file.country(DENMARK) == "DK"
    assert file.problem
    build(path, country="NO")
    file.refresh()
    assert (file.country(DENMARK), file.problem) == ("NO", "")


def test_a_file_is_read_again_only_when_it_has_changed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    file = loaded(build(path))
    for _ in range(5):
        file.refresh()
    assert len(caplog.records) == 1


def test_one_that_is_swapped_for_one_of_the_same_size_and_time_is_read(path: Path) -> None:
    file = loaded(build(path))
    before = path.stat()
    build(path, country="NO")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    file.refresh()
    assert file.country(DENMARK) == "NO"


def test_a_problem_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = loaded(path)
    for _ in range(5):
        file.refresh()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_good_and_bad_files_swapped_under_use_never_give_a_wrong_country(path: Path) -> None:
    file = loaded(build(path))
    whole = path.read_bytes()
    for number in range(40):
        path.write_bytes(whole if number % 4 == 0 else whole[: -20 * (number % 4)] + b"\x00" * number)
        file.refresh()
        assert file.country(DENMARK) == "DK"
        assert file.country(SWEDEN) == "SE"
        assert file.country(NOWHERE) is None
