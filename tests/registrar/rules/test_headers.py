"""registrar/rules/headers.py: one row for each header, and docs/headers.md shows the same table."""

import re
from pathlib import Path

import pytest

from registrar.rules import headers
from registrar.rules.headers import TABLE, Verdict
from tests.every import every

PAGE = Path(__file__).parents[3] / "docs/headers.md"
COMMANDS = """Alert-Info Call-Info Error-Info Answer-Mode Priv-Answer-Mode P-Auto-Answer P-Early-Media
P-Asserted-Service P-Served-User P-Profile-Key P-Charging-Vector P-Charging-Function-Addresses
Geolocation""".split()


def test_each_header_has_one_row() -> None:
    keys = [row.key for row in TABLE]
    assert sorted(set(keys)) == sorted(keys)


@every("name", COMMANDS)
def test_what_commands_a_phone_is_removed(name: str) -> None:
    assert name.lower() in headers.REMOVED & headers.WITHHELD & headers.KEPT_BACK


@pytest.mark.parametrize("name", ["call-id", "cseq", "from", "to"])
def test_what_names_the_dialog_stays_in_a_request_and_is_made_in_an_answer(name: str) -> None:
    assert name not in headers.WITHHELD and name in headers.KEPT_BACK


def test_the_page_shows_the_table() -> None:
    rows = re.findall(
        r"^\| (.+) \| (\w+) \| (.+) \|$", PAGE.read_text().partition("## The table")[2], re.MULTILINE
    )
    shown = [(name, verdict, reason) for names, verdict, reason in rows[1:] for name in names.split(", ")]
    assert shown == [(row.name, row.verdict, row.reason) for row in TABLE]


@pytest.mark.parametrize("verdict", Verdict)
def test_the_page_explains_each_verdict(verdict: Verdict) -> None:
    assert f"\n| {verdict} | " in PAGE.read_text().partition("## Privacy")[0]
