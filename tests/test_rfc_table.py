"""Every statement of the RFCs has its test, and docs/rfc.md names all of them and no other."""

import ast
import re
from pathlib import Path
from typing import Final

from tests.every import every

ROOT: Final = Path(__file__).parent.parent
STATEMENTS: Final = [*range(1, 41), *range(42, 61), *range(63, 69)]
NUMBERED: Final = re.compile(r"test_([0-9]{2})_[a-z0-9_]+")
ROW: Final = re.compile(r"^\| ([0-9]+) \|.*\| ((?:`\w+` ?)+)\|$", re.MULTILINE)
PARAGRAPH: Final = re.compile(r"RFC [0-9]{4},? (?:\(.*\) )?sections? [0-9]+(?:\.[0-9]+)*")

Tests = dict[str, ast.FunctionDef]


def numbered_tests(module: Path) -> Tests:
    """The numbered tests of a module."""
    functions = [node for node in ast.parse(module.read_text()).body if isinstance(node, ast.FunctionDef)]
    return {node.name: node for node in functions if NUMBERED.fullmatch(node.name)}


MODULES: Final = {
    path.relative_to(ROOT).as_posix(): numbered_tests(path)
    for path in sorted((ROOT / "tests/wire").glob("test_statements_*.py"))
}
EVERY: Final = [(name, node) for tests in MODULES.values() for name, node in tests.items()]


def sections() -> dict[str, dict[str, str]]:
    """Of each part of the page: the module that it names, and its tests, each with the number of its row."""
    found: dict[str, dict[str, str]] = {}
    for part in (ROOT / "docs/rfc.md").read_text().split("\n## ")[1:]:
        (module,) = re.findall(r"`(tests/\w+/\w+\.py)`", part)
        rows = ROW.findall(part)
        found[module] = {name: number for number, names in rows for name in re.findall(r"\w+", names)}
        assert len(rows) == part.count("\n| ") - 1, "a row that names no test"
    return found


def test_every_statement_has_a_test() -> None:
    numbers = {int(name.split("_")[1]) for name, _ in EVERY}
    assert sorted(numbers) == STATEMENTS


def test_no_two_tests_have_one_name() -> None:
    names = [name for name, _ in EVERY]
    assert sorted(set(names)) == sorted(names)


def test_the_page_names_every_test_and_no_other() -> None:
    assert {module: set(tests) for module, tests in sections().items()} == {
        module: set(tests) for module, tests in MODULES.items()
    }


def test_the_page_has_every_statement_once_and_in_its_row() -> None:
    numbers = [int(number) for number, _ in ROW.findall((ROOT / "docs/rfc.md").read_text())]
    assert sorted(numbers) == STATEMENTS
    wrong = [
        name
        for tests in sections().values()
        for name, number in tests.items()
        if int(name.split("_")[1]) != int(number)
    ]
    assert wrong == []


@every(("name", "node"), EVERY, ids=[name for name, _ in EVERY])
def test_each_test_says_which_paragraph_it_is_about(name: str, node: ast.FunctionDef) -> None:
    assert PARAGRAPH.search(ast.get_docstring(node) or ""), name


def test_the_readme_leads_to_the_page() -> None:
    assert "(docs/rfc.md)" in (ROOT / "README.md").read_text()
