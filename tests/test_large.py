"""The table of tests that the soak alone runs."""

import ast
from pathlib import Path

from tests.large import LARGE, is_large

ROOT = Path(__file__).parent


def functions(module: str) -> set[str]:
    """The tests of all files of that name."""
    files = list(ROOT.rglob(f"{module}.py"))
    assert files, f"there is no {module}"
    trees = (ast.walk(ast.parse(file.read_text())) for file in files)
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for tree in trees for node in tree if isinstance(node, defined)}


def test_each_test_of_the_table_exists() -> None:
    for module, tests in LARGE.items():
        assert set(tests) <= functions(module), module


def test_a_case_that_is_kept_is_not_large() -> None:
    assert is_large("test_pings", "test_any_answer_is_a_sign_of_life[200 OK]")
    assert not is_large("test_pings", "test_any_answer_is_a_sign_of_life[404 Not Found]")
    assert is_large("test_board", "test_a_call_is_seen_and_ended")
    assert not is_large("test_board", "test_filters_and_the_figures_follow")
    assert not is_large("test_elsewhere", "test_a_call_is_seen_and_ended")
