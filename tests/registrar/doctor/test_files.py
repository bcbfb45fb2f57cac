"""registrar/doctor/files.py: the data directory and the country file, looked at and left as they are."""

import os
import time
from pathlib import Path

import pytest

from registrar.doctor import Level
from registrar.doctor.files import country_file, data_directory
from registrar.model import Epoch
from tests.peers.countries import countries


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory as `serve` makes it."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    return path


def test_a_folder_of_ours_is_well_and_nothing_is_left_in_it(folder: Path) -> None:
    (finding,) = data_directory(folder)
    assert (finding.level, finding.detail) == (Level.OK, f"{folder} (mode 0700)")
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_made_by_the_first_start(tmp_path: Path) -> None:
    (finding,) = data_directory(tmp_path / "one" / "two")
    assert finding.level is Level.OK
    assert "the first start makes it" in finding.detail
    assert not (tmp_path / "one").exists()


def test_a_file_in_its_place_fails(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    (finding,) = data_directory(tmp_path / "data")
    assert (finding.level, finding.detail) == (Level.FAIL, f"{tmp_path / 'data'} is not a folder")
    (finding,) = data_directory(tmp_path / "data" / "below")
    assert finding.level is Level.FAIL


def test_a_folder_that_cannot_be_written_fails() -> None:
    (finding,) = data_directory(Path("/proc/self"))
    assert finding.level is Level.FAIL
    (finding,) = data_directory(Path("/proc/nothing/here"))
    assert finding.level is Level.FAIL
    assert finding.detail.startswith("/proc/nothing/here cannot be made in /proc: ")


def test_a_folder_that_others_can_look_into_is_told(folder: Path) -> None:
    folder.chmod(0o755)
    (finding,) = data_directory(folder)
    assert finding.level is Level.WARN
    assert (finding.detail, finding.advice) == (
        f"{folder} has mode 0755: others can look in",
        f"chmod 700 {folder}",
    )


def test_secrets_that_others_may_read_are_named(folder: Path) -> None:
    for name, mode in (("secret.key", 0o644), ("jwt.key", 0o600), ("tls.key", 0o640), ("tls.crt", 0o644)):
        (folder / name).write_text("")
        (folder / name).chmod(mode)
    _, finding = data_directory(folder)
    assert (finding.level, finding.detail) == (Level.WARN, "others may read secret.key, tls.key")


def _file(path: Path, **made: object) -> Path:
    path.write_bytes(countries(**made))  # type: ignore[arg-type]  # the test's own words
    return path


@pytest.mark.parametrize(
    ("days", "level"), [(0, Level.OK), (44, Level.OK), (46, Level.WARN), (400, Level.WARN)]
)
def test_an_old_country_file_is_told(tmp_path: Path, days: int, level: Level) -> None:
    path = _file(tmp_path / "c.mmdb", days=days)
    finding = country_file(path, Epoch(time.time()))
    assert finding.level is level
    assert f"{days} days old" in finding.detail
    assert "DBIP-Country-Lite" in finding.detail


def test_no_country_file_is_told(tmp_path: Path) -> None:
    finding = country_file(tmp_path / "none", Epoch(time.time()))
    assert (finding.level, finding.advice) == (Level.WARN, "registrar geoip update")


def test_a_country_file_that_cannot_be_used_fails(tmp_path: Path) -> None:
    path = tmp_path / "c.mmdb"
    for content, told in (
        (b"junk", "not a MaxMind DB"),
        (countries("GeoLite2-ASN"), "'GeoLite2-ASN' file"),
        (countries()[:-50], "not a MaxMind DB"),
    ):
        path.write_bytes(content)
        finding = country_file(path, Epoch(time.time()))
        assert finding.level is Level.FAIL
        assert told in finding.detail


def test_the_trial_does_not_touch_the_times_of_what_lies_there(folder: Path) -> None:
    (folder / "secret.key").write_text("x")
    os.utime(folder / "secret.key", (1, 1))
    data_directory(folder)
    assert (folder / "secret.key").stat().st_mtime == 1
