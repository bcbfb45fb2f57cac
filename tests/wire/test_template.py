"""The template of a data directory: who starts on it, and what its copies do not share."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.peers.registrar import DOMAIN
from tests.wire import template

OTHERS = [
    {"domain": "another.example"},
    {"database_url": "sqlite+aiosqlite:///elsewhere.sqlite"},
    {"secret_key": "k" * 40},
    {"jwt_secret": "k" * 40},
    {"jwt_secret_file": "/a/file"},
    {"config": "settings.toml"},
]


def test_only_what_would_be_the_same_starts_on_the_template(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path / "data"), "domain": DOMAIN, "redis_url": "redis://127.0.0.1:6379"}
    assert template.fits(settings, ("serve",))
    assert [other for other in OTHERS if template.fits(settings | other, ("serve",))] == []
    assert not template.fits(settings, ("serve", "--demo"))
    (tmp_path / "data").mkdir()
    assert template.fits(settings, ("serve",)), "an empty folder is filled"
    (tmp_path / "data" / "secret.key").write_text("k" * 40)
    assert not template.fits(settings, ("serve",)), "an installation that is there stays"


def test_the_soak_starts_as_users_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "home", None)
    assert not template.fits({"data_dir": str(tmp_path / "data"), "domain": DOMAIN}, ("serve",))


def test_copies_have_the_tenant_and_their_own_sessions_at_the_media_relay(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert template.copy(one) == template.copy(two)
    assert len(_sessions(one) | _sessions(two)) == 2
    assert (one.stat().st_mode & 0o777, (one / "secret.key").stat().st_mode & 0o777) == (0o700, 0o600)


def _sessions(data: Path) -> set[str]:
    with closing(sqlite3.connect(data / "registrar.sqlite")) as connection:
        ((prefix,),) = connection.execute("SELECT media_sessions FROM installation")
    return {prefix}
