"""What sipvicious learns: nothing of our users, no password, and no name of this program."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.wire.conftest import Report
from tests.wire.guessing import addresses
from tests.wire.need import need, need_module
from tests.wire.site import Handset, Site

pytestmark = [pytest.mark.wire, pytest.mark.soak]

SOURCES: Final = addresses(94)
SECONDS: Final = 90
WORDS: Final = 1_000
RIGHT: Final = 900
"""The line of the dictionary that has the right password."""


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("redis-cli")
    need_module("sipvicious")
    with Site(tmp_path_factory.mktemp("scanned"), log_level="warning") as site:
        site.demo()
        yield site


def scan(tool: str, folder: Path, *arguments: str) -> str:
    """What a tool of sipvicious prints; one that is held goes on until it is ended."""
    script = Path(sys.executable).parent / f"sipvicious_{tool}"
    source = next(SOURCES)[0]
    words = [str(script), "-b", source, "-x", source, "-v", *arguments]
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, timeout=SECONDS, env={"HOME": str(folder)}
        )
    except subprocess.TimeoutExpired as late:
        return ((late.stdout or b"") + (late.stderr or b"")).decode()
    return (done.stdout + done.stderr).decode()


def told(output: str) -> str:
    """The last lines of it, in one."""
    return " / ".join(line.strip() for line in output.splitlines()[-6:])


def test_svmap_learns_that_someone_speaks_sip_and_no_name(
    scanned: Site, tmp_path: Path, report: Report
) -> None:
    output = scan("svmap", tmp_path, "-p", str(scanned.sip[1]), scanned.sip[0])
    report(f"svmap: {told(output)}")
    assert "registrar" not in output.lower()


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_svwar_finds_no_user(scanned: Site, tmp_path: Path, report: Report, method: str) -> None:
    handset: Handset = scanned.new_phone()
    names = tmp_path / "names"
    names.write_text("".join(f"{number:032}\n" for number in range(500)) + handset.account.username + "\n")
    where = ["-p", str(scanned.sip[1]), "--domain", handset.account.domain]
    output = scan("svwar", tmp_path, "-m", method, *where, "-d", str(names), "--force", scanned.sip[0])
    report(f"svwar {method}: {told(output)}")
    assert handset.account.username not in output, output


def test_svcrack_does_not_find_a_password_that_is_in_its_list(
    scanned: Site, tmp_path: Path, report: Report
) -> None:
    handset = scanned.new_phone()
    words = [f"{number:032}" for number in range(WORDS)]
    words[RIGHT] = handset.account.password
    (tmp_path / "words").write_text("\n".join(words) + "\n")
    before = scanned.metric("registrar_digests_total", result="bad")
    where = ["-p", str(scanned.sip[1]), "--domain", handset.account.domain]
    output = scan("svcrack", tmp_path, "-u", handset.account.username, *where, "-d", "words", scanned.sip[0])
    checked = scanned.metric("registrar_digests_total", result="bad") - before
    report(f"svcrack: {checked:.0f} of its guesses were checked; {told(output)}")
    assert handset.account.password not in output
    assert 0 < checked <= 60
