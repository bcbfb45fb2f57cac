"""config/origins.py: the countries of addresses."""

import os
from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

from config.origins import LOOK_SECONDS, Origins
from registrar.model import Mono


def write(path: Path, code: str) -> None:
    writer = MMDBWriter(6, "Test-GeoLite2-Country", languages=["en"], ipv4_compatible=True)
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": {"iso_code": code}})
    writer.to_db_file(str(path))


class Clock:
    now = 100.0

    def __call__(self) -> Mono:
        return Mono(self.now)


def test_a_file_that_comes_or_changes_is_read_within_a_minute(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "country.mmdb"
    origins = Origins(path, clock)
    assert origins.country("192.0.2.7") is None
    write(path, "DK")
    assert origins.country("192.0.2.7") is None
    clock.now += LOOK_SECONDS
    assert origins.country("192.0.2.7") == "DK"
    write(path, "SE")
    os.utime(path, (1, 1))
    clock.now += LOOK_SECONDS
    assert origins.country("192.0.2.7") == "SE"


def test_what_is_no_address_or_in_no_country_has_none(tmp_path: Path) -> None:
    write(tmp_path / "country.mmdb", "DK")
    origins = Origins(tmp_path / "country.mmdb", Clock())
    for address in (None, "", "nonsense", "198.51.100.1"):
        assert origins.country(address) is None


def test_a_file_that_is_none_gives_no_country(tmp_path: Path) -> None:
    (tmp_path / "country.mmdb").write_bytes(b"no database")
    assert Origins(tmp_path / "country.mmdb", Clock()).country("192.0.2.7") is None
    assert Origins(None, Clock()).country("192.0.2.7") is None
