"""registrar/store/country_download.py: a new file takes the old one's place whole, or nothing happens."""

import gzip
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Epoch, Mono
from registrar.store import country_download
from registrar.store.country_download import fetch, free_files, shown
from registrar.store.country_facts import country_facts
from registrar.store.geoip import CountryFile
from tests.peers.countries import countries
from tests.peers.web import Web


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("no_proxy", "*")
    web = Web()
    yield web
    web.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "geoip.mmdb"


def get(url: str, target: Path, *, force: bool = False) -> country_download.Fetched:
    return fetch([url], target, Epoch(time.time()), lambda: Mono(time.monotonic()), force=force)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["DBIP-Country-Lite", "GeoLite2-City"])
def test_the_file_takes_its_place(web: Web, target: Path, tmp_path: Path, packed: bool, kind: str) -> None:
    content = countries(kind)
    url = web.put("/f.mmdb", gzip.compress(content) if packed else content)
    fetched = get(url, target)
    assert (fetched.source, fetched.facts.kind) == (url, kind)
    assert target.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_running_reader_takes_the_new_file(web: Web, target: Path, tmp_path: Path) -> None:
    get(web.put("/1", countries(country="DK")), target)
    file = CountryFile(target)
    file.refresh()
    assert file.country("5.1.2.3") == "DK"
    get(web.put("/2", countries(country="SE")), target)
    file.refresh()
    assert file.country("5.1.2.3") == "SE"


def test_the_readers_of_the_old_file_may_read_the_new_one(web: Web, target: Path, tmp_path: Path) -> None:
    url = web.put("/f", countries())
    previous = os.umask(0o077)
    try:
        get(url, target)
        assert target.stat().st_mode & 0o777 == 0o644
        target.chmod(0o640)
        get(url, target)
        assert target.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(previous)


def test_a_link_stays_a_link(web: Web, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, real = tmp_path / "link.mmdb", tmp_path / "there" / "real.mmdb"
    real.write_bytes(b"old")
    link.symlink_to(real)
    content = countries()
    get(web.put("/f", content), link)
    assert link.is_symlink()
    assert real.read_bytes() == content


def test_the_month_before_is_taken_when_this_one_is_not_out_yet(
    web: Web, target: Path, tmp_path: Path
) -> None:
    there = web.put("/old", countries())
    now = Epoch(time.time())
    fetched = fetch([web.url + "/new", there], target, now, lambda: Mono(0.0))
    assert web.asked == ["/new", "/old"]
    assert fetched.source == there


@pytest.mark.parametrize(
    ("now", "months"),
    [
        pytest.param(1_900_000_000, ("2030-03", "2030-02"), id="March"),
        pytest.param(1_893_456_000, ("2030-01", "2029-12"), id="New Year"),
        pytest.param(1_711_843_200, ("2024-03", "2024-02"), id="the 31st"),
    ],
)
def test_the_free_file_has_the_month_in_its_name(now: int, months: tuple[str, str]) -> None:
    found = free_files(Epoch(float(now)))
    assert found == tuple(
        f"https://download.db-ip.com/free/dbip-country-lite-{month}.mmdb.gz" for month in months
    )


def test_a_redirection_is_followed(web: Web, target: Path, tmp_path: Path) -> None:
    web.put("/there", countries())
    fetched = get(web.lead("/here", "/there"), target)
    assert target.exists()
    assert fetched.source == web.url + "/here"


def _no_page(web: Web, tmp_path: Path) -> str:
    return web.url + "/none"


def _loop(web: Web, tmp_path: Path) -> str:
    return web.lead("/loop", "/loop")


def _to_a_file(web: Web, tmp_path: Path) -> str:
    (tmp_path.parent / f"{tmp_path.name}.mmdb").write_bytes(countries())
    return web.lead("/away", f"file://{tmp_path}.mmdb")


def _to_ftp(web: Web, tmp_path: Path) -> str:
    return web.lead("/away", "ftp://127.0.0.1/f.mmdb")


def _a_file(web: Web, tmp_path: Path) -> str:
    return f"file://{tmp_path}/geoip.mmdb"


def _nobody(web: Web, tmp_path: Path) -> str:
    return "http://127.0.0.1:9/f.mmdb"


def _not_an_address(web: Web, tmp_path: Path) -> str:
    return "http://[::1/f.mmdb"


def _bad_port(web: Web, tmp_path: Path) -> str:
    return "http://127.0.0.1:port/f"


def _control_characters(web: Web, tmp_path: Path) -> str:
    return "http://127.0.0.1/a b\r\nX: y"


def _broken_off(web: Web, tmp_path: Path) -> str:
    content = countries()
    return web.put("/f", content[:-100], announced=len(content))


def _cut(web: Web, tmp_path: Path) -> str:
    return web.put("/f", countries()[:-100])


def _half_a_gzip(web: Web, tmp_path: Path) -> str:
    return web.put("/f", gzip.compress(countries())[:-20])


def _damaged_gzip(web: Web, tmp_path: Path) -> str:
    packed = bytearray(gzip.compress(countries()))
    packed[len(packed) // 2] ^= 0xFF
    return web.put("/f", bytes(packed))


def _a_page(web: Web, tmp_path: Path) -> str:
    return web.put("/f", b"<html>please log in</html>")


def _nothing(web: Web, tmp_path: Path) -> str:
    return web.put("/f", b"")


def _another_kind(web: Web, tmp_path: Path) -> str:
    return web.put("/f", countries("GeoLite2-ASN"))


def _empty(web: Web, tmp_path: Path) -> str:
    return web.put("/f", countries(network="10.0.0.0/24"))


def _of_the_future(web: Web, tmp_path: Path) -> str:
    return web.put("/f", countries(days=-3))


def _older(web: Web, tmp_path: Path) -> str:
    return web.put("/f", countries(days=60))


def _damaged(web: Web, tmp_path: Path) -> str:
    content = countries()
    head = content.rindex(b"\xab\xcd\xefMaxMind.com")
    return web.put("/f", b"\xff" * head + content[head:])


def _not_http(web: Web, tmp_path: Path) -> str:
    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"\x00\x01\x02 hello\r\n\r\n")

    web.pages["/f"] = page
    return web.url + "/f"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(_no_page, "/none: HTTP 404", id="no page"),
        pytest.param(_loop, "/loop: HTTP 302", id="a redirection to itself"),
        pytest.param(_to_a_file, "/away: HTTP 302, a redirection that is not followed", id="to a file"),
        pytest.param(_to_ftp, "leads to ftp://127.0.0.1/f.mmdb, which is not followed", id="to FTP"),
        pytest.param(_a_file, "is not an http or https address", id="a file"),
        pytest.param(_nobody, "http://127.0.0.1:9/f.mmdb: Connection refused", id="nobody there"),
        pytest.param(_not_an_address, "the address", id="no address"),
        pytest.param(_bad_port, "the address: .*port", id="no port"),
        pytest.param(_control_characters, "control characters", id="control characters"),
        pytest.param(_broken_off, "broke off after", id="broken off"),
        pytest.param(_cut, "not usable: it is not a MaxMind DB, or a damaged one", id="cut"),
        pytest.param(_half_a_gzip, "damaged gzip", id="half a gzip"),
        pytest.param(_damaged_gzip, "damaged gzip", id="a damaged gzip"),
        pytest.param(_a_page, "not a MaxMind DB", id="a page"),
        pytest.param(_nothing, "not usable", id="nothing"),
        pytest.param(_another_kind, "'GeoLite2-ASN' file, not a Country or City one", id="another kind"),
        pytest.param(_empty, "knows the country of none of", id="an empty one"),
        pytest.param(_of_the_future, "which is to come", id="of the future"),
        pytest.param(_older, "older than the one there.*--force", id="older"),
        pytest.param(_damaged, "damaged", id="damaged"),
        pytest.param(_not_http, "f: ", id="no HTTP"),
    ],
)
def test_what_cannot_be_used_leaves_the_old_file(
    web: Web, target: Path, tmp_path: Path, make: Callable[[Web, Path], str], told: str
) -> None:
    old = countries(days=20)
    target.write_bytes(old)
    url = make(web, tmp_path)
    with pytest.raises(StoreUnavailable, match=told) as caught:
        get(url, target)
    assert "\n" not in str(caught.value) and "\r" not in str(caught.value)
    assert target.read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_an_older_file_is_taken_when_it_is_wanted(web: Web, target: Path, tmp_path: Path) -> None:
    target.write_bytes(countries(days=20))
    older = countries(days=60)
    get(web.put("/f", older), target, force=True)
    assert target.read_bytes() == older


def test_a_damaged_old_file_stops_nothing(web: Web, target: Path, tmp_path: Path) -> None:
    target.write_bytes(b"junk")
    content = countries(days=60)
    get(web.put("/f", content), target)
    assert target.read_bytes() == content


def test_a_bomb_ends(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(country_download, "MAX_FILE", 1 << 20)
    with pytest.raises(StoreUnavailable, match="unpacks to more than 1 MB"):
        get(web.put("/f", gzip.compress(bytes(50 << 20))), target)
    with pytest.raises(StoreUnavailable, match="is over 1 MB"):
        get(web.put("/f", bytes(2 << 20)), target)
    assert not target.exists()


def test_a_server_that_drips_is_given_up(web: Web, target: Path) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(5):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    web.pages["/f"] = drip
    clock = iter(range(0, 10_000, 400))
    with pytest.raises(StoreUnavailable, match="took longer than 900 s"):
        fetch([web.url + "/f"], target, Epoch(time.time()), lambda: Mono(float(next(clock))))


def test_a_server_that_is_silent_is_given_up(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(country_download, "SILENCE_SECONDS", 0.2)
    web.pages["/f"] = lambda _handler: time.sleep(0.6)
    with pytest.raises(StoreUnavailable, match="/f: timed out"):
        get(web.url + "/f", target)


def test_a_folder_that_is_not_there_is_one_line(web: Web, tmp_path: Path) -> None:
    url = web.put("/f", countries())
    with pytest.raises(StoreUnavailable, match="none: No such file or directory"):
        get(url, tmp_path / "none" / "geoip.mmdb")


def test_neither_password_nor_key_is_shown() -> None:
    url = "https://user:word@files.test:8443/f.mmdb?license_key=word&x=1#word"
    assert shown(url) == "https://files.test:8443/f.mmdb"
    assert shown("http://[::1]:80/x") == "http://[::1]:80/x"


def test_facts_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no such file"):
        country_facts(tmp_path / "none")
    with pytest.raises(StoreUnavailable, match="Is a directory"):
        country_facts(tmp_path)
