"""registrar/store/keyfile.py: one secret for each installation, whole or not at all, and nobody else's."""

import subprocess
import sys
from pathlib import Path

import pytest

from registrar.store.keyfile import data_directory, held, replace, secret


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    made = secret(tmp_path / "secret.key")
    assert len(made) == 64
    assert secret(tmp_path / "secret.key") == made != secret(tmp_path / "jwt.key")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["jwt.key", "secret.key"]


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    secret(tmp_path / "secret.key")
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert data_directory(tmp_path / "made" / "here").stat().st_mode & 0o777 == 0o700


def test_the_directory_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_directory(Path("here")) == tmp_path.resolve() / "here"


def test_a_secret_of_the_operator_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("  the operator's own secret, long enough \n")
    assert secret(tmp_path / "secret.key") == "the operator's own secret, long enough"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", b"\x00" * 8], ids=["empty", "a line", "short", "zeros"]
)
def test_a_file_that_was_cut_off_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret.key").write_bytes(content)
    with pytest.raises(OSError, match="holds no secret") as caught:
        secret(tmp_path / "secret.key")
    assert caught.value.filename == str(tmp_path / "secret.key")


def test_processes_that_start_at_once_have_the_same_secret(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from registrar.store.keyfile import secret;"
        "sys.stdin.read(1); print(secret(pathlib.Path(sys.argv[1])))"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "secret.key")]
    started = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go")
        process.stdin.flush()
    told = {process.communicate(timeout=20)[0].strip() for process in started}
    assert len(told) == 1
    assert len(told.pop()) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize(
    "content",
    ["0" * 64, "at-least-32-characters-of-your-own-randomness"],
    ids=["one character", "an example"],
)
def test_a_file_that_holds_no_secret_stops_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwt.key").write_text(content)
    with pytest.raises(OSError, match=r"different characters|placeholder"):
        secret(tmp_path / "jwt.key")


def test_a_replaced_secret_stays_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    before = held(path)
    replace(path)
    assert held(path)[1:] == before
    assert held(path)[0] != before[0]
    assert {one.name for one in tmp_path.iterdir()} == {"secret.key", "secret.key.old"}
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
