"""registrar/doctor/certificate.py: the pair, its term, its names."""

import time
from pathlib import Path

import pytest

from registrar.doctor import Finding, Level
from registrar.doctor.certificate import given_certificate, own_certificate
from registrar.model import Epoch
from registrar.store.certificate import covers, ensure
from tests.peers.certificate import certify

NOW = Epoch(time.time())


def given(folder: Path, content: tuple[bytes, bytes], *names: str) -> list[Finding]:
    (folder / "c").write_bytes(content[0])
    (folder / "k").write_bytes(content[1])
    return given_certificate(folder / "c", folder / "k", names, NOW)


def test_a_good_pair_is_well(tmp_path: Path) -> None:
    (finding,) = given(tmp_path, certify("a.test", days=90.5), "a.test")
    assert finding.level is Level.OK
    assert finding.detail == f"{tmp_path / 'c'}, self-signed: 90 days left"


@pytest.mark.parametrize(
    ("days", "level", "told"),
    [
        pytest.param(13, Level.WARN, "13 days left", id="soon"),
        pytest.param(-2, Level.FAIL, "it ran out 2 days ago", id="over"),
    ],
)
def test_its_end_is_told(tmp_path: Path, days: float, level: Level, told: str) -> None:
    (finding,) = given(tmp_path, certify("a.test", days=days))
    assert finding.level is level
    assert told in finding.detail


def test_one_that_is_not_valid_yet_fails(tmp_path: Path) -> None:
    pair = ensure(tmp_path, ["a.test"], Epoch(NOW + 86_400))
    (finding,) = given_certificate(*pair, ("a.test",), NOW)
    assert (finding.level, "not valid yet" in finding.detail) == (Level.FAIL, True)


def test_names_that_it_does_not_have_are_told(tmp_path: Path) -> None:
    _, finding = given(tmp_path, certify("*.a.test"), "sip.a.test", "a.test", "b.test")
    assert (finding.level, finding.detail) == (Level.WARN, "it is not for a.test, b.test")


def test_a_pair_that_does_not_match_fails(tmp_path: Path) -> None:
    (finding,) = given(tmp_path, (certify("a.test")[0], certify("a.test")[1]))
    assert finding.level is Level.FAIL
    assert "do not belong together" in finding.detail


def test_our_own_may_not_be_there_yet(tmp_path: Path) -> None:
    pair = tmp_path / "tls.crt", tmp_path / "tls.key"
    (finding,) = own_certificate(*pair, ("a.test",), NOW)
    assert (finding.level, "the first start makes it" in finding.detail) == (Level.OK, True)
    assert list(tmp_path.iterdir()) == []
    ensure(tmp_path, ["a.test", "192.0.2.7"], NOW)
    (finding,) = own_certificate(*pair, ("a.test", "192.0.2.7"), NOW)
    assert (finding.level, "397 days left" in finding.detail) == (Level.OK, True)


@pytest.mark.parametrize(
    ("entry", "name", "good"),
    [
        ("a.test", "A.test.", True),
        ("*.a.test", "b.a.test", True),
        ("*.a.test", "c.b.a.test", False),
        ("*.a.test", "a.test", False),
        ("*.a.test", ".a.test", False),
        ("*", "test", False),
    ],
)
def test_a_star_is_one_label(entry: str, name: str, good: bool) -> None:
    assert covers(entry, name) is good
