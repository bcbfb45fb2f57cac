"""registrar/commands/audit.py: what `verify` prints, what it accepts, and what is told of other commands."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from config.access import AccessLevel
from config.audit.chain import Head, seal
from registrar.commands import audit
from registrar.commands.installation import Installation, installed, opened
from registrar.errors import ConfigurationError
from registrar.settings import read

DIGEST = "5f" * 32


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(read({"REGISTRAR_DATA_DIR": str(tmp_path / "data")}))


async def rows(installation: Installation, statement: str) -> list[tuple[Any, ...]]:
    async with opened(installation, upgrade=False) as stores, stores.reader.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def put_head(installation: Installation, head: Head) -> None:
    """Write a head behind the back of the chain, with a seal of our own key."""
    async with opened(installation, upgrade=False) as stores, stores.writer.begin() as connection:
        values = {
            "base_seq": head.base_seq,
            "base_hash": head.base_hash,
            "seq": head.seq,
            "hash": head.hash,
            "seal": seal(head, stores.vault),
        }
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        await connection.execute(text(f"INSERT INTO audit_head (id, {names}) VALUES (1, {places})"), values)


async def test_a_fault_is_printed_and_can_be_accepted(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await audit.verify(installation, None, accept=False)
    await put_head(installation, Head(seq=7, hash=DIGEST))
    assert not await audit.verify(installation, None, accept=True)
    shown = capsys.readouterr().out.splitlines()
    assert "FAULT    the chain ends at row 0, but its head says row 7" in shown
    assert f"head     7:{DIGEST}   (note it, and give it to --head later)" in shown
    assert shown[-1].startswith("accepted")
    assert await audit.verify(installation, None, accept=False)
    ((action, level, via, changes),) = await rows(
        installation, "SELECT action, actor_level, via, changes FROM audit_log"
    )
    assert (action, level, via) == ("audit-accepted", audit.COMMAND, audit.this_command())
    assert "head says row 7" in changes


async def test_a_token_is_told_without_its_text(installation: Installation) -> None:
    await audit.note_token(installation, "the text of a token", AccessLevel.ADMIN, None, None)
    ((action, named, changes),) = await rows(installation, "SELECT action, named, changes FROM audit_log")
    assert (action, len(named), "ADMIN" in changes) == ("token", len("jwt:") + 16, True)
    assert "text" not in changes


def test_a_head_is_read_as_it_was_printed() -> None:
    assert audit.read_head(None) is None
    assert audit.read_head(f"4711:{DIGEST}") == (4711, DIGEST)


@pytest.mark.parametrize("word", ["", "4711", f":{DIGEST}", f"x:{DIGEST}", f"1:{DIGEST.upper()}", "1:5f"])
def test_another_head_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="--head"):
        audit.read_head(word)
