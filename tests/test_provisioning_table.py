"""The table of checks in docs/provisioning.md: each test that it names is there, and all twenty have one."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
TABLE: Final = (ROOT / "docs" / "provisioning.md").read_text().split("\n## Checks\n", 1)[1]
ROWS: Final = re.findall(r"^\| (\d+) \| .+ \| (.+) \|$", TABLE, re.MULTILINE)


def test_each_of_the_twenty_checks_has_a_test_of_its_own() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 21))
    assert all("::test_" in cell for _, cell in ROWS)


def test_each_test_of_the_table_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TABLE)
    assert len(named) > 30
    missing = [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert not missing


def test_each_numbered_test_is_in_the_table() -> None:
    files = [path for folder in ("config", "wire") for path in (ROOT / "tests" / folder).glob("test_*.py")]
    texts = [path.read_text() for path in files]
    numbered = {name for text in texts for name in re.findall(r"def (test_check_\d\d_\w+)\(", text)}
    assert len(numbered) > 20
    assert not [name for name in numbered if f"::{name}`" not in TABLE]
