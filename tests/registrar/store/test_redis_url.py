"""registrar/store/redis_url.py: every form of REGISTRAR_REDIS_URL, and what is wrong with the others."""

from pathlib import Path

import pytest

from registrar.errors import ConfigurationError
from registrar.store.redis_url import Address, parse_url
from tests.every import every
from tests.peers.certificate import certify


@every(
    ("url", "address"),
    [
        ("redis://h", Address("h")),
        ("redis://h:7000/3", Address("h", 7000, database=3)),
        ("redis://u:p%2Fw@h/0", Address("h", username="u", password="p/w")),
        ("redis://[::1]:7000", Address("::1", 7000)),
        ("rediss://:p@h", Address("h", tls=True, password="p")),
        ("rediss://h?ssl_ca_certs=/etc/ca.pem", Address("h", tls=True, authority="/etc/ca.pem")),
        ("unix:///run/v%20k.sock", Address(path="/run/v k.sock")),
        ("redis+sentinel://a/m", Address(sentinels=(("a", 26379),), master="m")),
        (
            "redis+sentinel://a:1,b,[::1]:3/my%20master/2",
            Address(sentinels=(("a", 1), ("b", 26379), ("::1", 3)), master="my master", database=2),
        ),
        (
            "rediss+sentinel://u:p%40w@a:1/m/?sentinel_username=s&sentinel_password=x%26y&ssl_ca_certs=/ca",
            Address(
                tls=True,
                username="u",
                password="p@w",
                authority="/ca",
                sentinels=(("a", 1),),
                master="m",
                sentinel_username="s",
                sentinel_password="x&y",
            ),
        ),
    ],
)
def test_a_url_says_where_redis_is(url: str, address: Address) -> None:
    assert parse_url(url) == address


@every(
    ("url", "words"),
    [
        ("http://h", "must be redis://"),
        ("redis://", "must be redis://"),
        ("redis+cluster://h/0", "must be redis://"),
        ("redis://h:port", "not a number"),
        ("redis://h/one", "not a number"),
        ("redis://h?password=secret", "nothing after"),
        ("redis://h?ssl_ca_certs=/ca", "nothing after"),
        ("rediss://h?ssl_ca_certs=/ca&db=1", "nothing after"),
        ("redis+sentinel://a:1", "name of the master is missing"),
        ("redis+sentinel:///m", "a sentinel is host:port"),
        ("redis+sentinel://a:1,/m", "a sentinel is host:port"),
        ("redis+sentinel://a:port/m", "not a number"),
        ("redis+sentinel://a/m/one", "not a number"),
        ("redis+sentinel://a/m/1/2", "not a number"),
        ("redis+sentinel://a/m?socket_timeout=1", "socket_timeout is no option"),
        ("redis+sentinel://a/m?ssl_ca_certs=/ca", "ssl_ca_certs is no option"),
    ],
)
def test_a_wrong_url_is_refused_with_words(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^REGISTRAR_REDIS_URL") as refusal:
        parse_url(url)
    assert words in str(refusal.value)
    assert "secret" not in str(refusal.value)


@every(
    ("url", "host"),
    [
        ("unix:///run/s", ""),
        ("redis://10.0.0.1", "10.0.0.1"),
        ("redis+sentinel://10.0.0.2:1,10.0.0.3:1/m", "10.0.0.2"),
    ],
)
def test_a_host_there_tells_the_way_to_it(url: str, host: str) -> None:
    assert parse_url(url).some_host == host


def test_an_authority_is_read_and_a_wrong_one_stops_the_start(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    good.write_bytes(certify("127.0.0.1")[0])
    bad.write_text("none")
    context = Address("h", tls=True, authority=str(good)).tls_context()
    assert context is not None
    default = Address("h", tls=True).tls_context()
    assert default is not None
    assert context.cert_store_stats()["x509"] == default.cert_store_stats()["x509"] + 1
    assert Address("h").tls_context() is None
    for file, words in ((bad, "holds no certificate"), (tmp_path / "no.pem", "No such file")):
        with pytest.raises(ConfigurationError, match=f"{file.name}:? {words}"):
            Address("h", tls=True, authority=str(file)).tls_context()
