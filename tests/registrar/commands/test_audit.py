"""registrar/commands/audit.py: what `verify` prints, what it accepts, and what is told of other commands."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from config.access import AccessLevel
from config.audit.chain import Head, seal
from registrar.commands import audit
from registrar.commands.installation import Installation, installed, opened
from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.settings import read
from registrar.store.country_download import Fetched
from registrar.store.country_facts import CountryFacts

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


async def test_a_new_country_file_is_told(installation: Installation) -> None:
    facts = CountryFacts("DBIP-Country-Lite", Epoch(1_790_000_000), 3)
    await audit.note_country_file(installation, Fetched("https://example.com/f", facts))
    ((action, named, changes, level),) = await rows(
        installation, "SELECT action, named, changes, actor_level FROM audit_log"
    )
    assert (action, level, named) == ("country-file", audit.COMMAND, str(installation.country_file))
    built = {"built": "2026-09-21", "kind": "DBIP-Country-Lite", "source": "https://example.com/f"}
    assert json.loads(changes) == {"after": built}


async def test_what_is_done_stays_done_without_a_database(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    away = replace(installation, database_url="sqlite+aiosqlite:////no/such.db")
    await audit.note_country_file(away, Fetched("https://example.com/f", CountryFacts("x", Epoch(0), 0)))
    told = capsys.readouterr().err
    assert told.startswith("registrar: the country-file is not in the audit log: ") and told.count("\n") == 1


def test_a_head_is_read_as_it_was_printed() -> None:
    assert audit.read_head(None) is None
    assert audit.read_head(f"4711:{DIGEST}") == (4711, DIGEST)


@pytest.mark.parametrize("word", ["", "4711", f":{DIGEST}", f"x:{DIGEST}", f"1:{DIGEST.upper()}", "1:5f"])
def test_another_head_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="--head"):
        audit.read_head(word)
