"""What compiles and then behaves otherwise: traps of mypyc in the modules that deploy/compile.sh compiles."""

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

from tests.every import every

ROOT: Final = Path(__file__).parents[2]


def compiled() -> list[str]:
    """The files that the script names, its patterns expanded by the shell that runs it."""
    script = (ROOT / "deploy" / "compile.sh").read_text()
    found = re.search(r"-m mypyc [^\n]*\\\n(.*?)>", script, re.DOTALL)
    assert found is not None
    patterns = found[1].replace("\\\n", " ")
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {patterns}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def caught(function: ast.AST) -> dict[str, set[str]]:
    """Under which names a function catches which exceptions."""
    names: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(function):
        if isinstance(node, ast.ExceptHandler) and node.name and node.type:
            names[node.name].add(ast.unparse(node.type))
    return names


def test_the_script_names_what_there_is() -> None:
    assert len(compiled()) > 40
    assert all((ROOT / path).is_file() for path in compiled())


@every("path", compiled())
def test_no_name_stands_for_two_kinds_of_exceptions(path: str) -> None:
    """Compiled, a local name has one type: the second kind raises TypeError where it is caught."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            twice = {name: kinds for name, kinds in caught(node).items() if len(kinds) > 1}
            assert not twice, f"{path}: {node.name}"


SIZED: Final = frozenset({"Amplification", "CallTable", "Connections", "Flows", "Inflow", "Layer"})
"""Classes that have a length. No code asks whether one of them is true; a new one must be looked at."""


def test_no_class_has_a_length_that_decides_whether_it_is_true() -> None:
    """Compiled, an object of ours that is not None is true, whatever its length is."""
    sized = set()
    for path in compiled():
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ClassDef):
                methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                if "__len__" in methods and "__bool__" not in methods:
                    sized.add(node.name)
    assert sized <= SIZED


def singleton(node: ast.expr) -> bool:
    """None, True, False, or a constant of ours."""
    return ast.unparse(node).rpartition(".")[2] in ("None", "True", "False") or ast.unparse(node).isupper()


@every("path", compiled())
def test_no_item_of_a_container_is_known_by_its_identity(path: str) -> None:
    """Compiled, a tuple is no object: each time that one is taken out of a queue another is made."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
            sides = [node.left, node.comparators[0]]
            taken_out = any(isinstance(side, ast.Subscript) for side in sides)
            assert not taken_out or any(map(singleton, sides)), f"{path}:{node.lineno}: {ast.unparse(node)}"


@every("path", compiled())
def test_no_names_are_given_to_the_results_of_separate_awaitables(path: str) -> None:
    """To a type checker `gather(a, b)` returns a tuple: compiled, the list that comes is refused."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Await):
            call = node.value.value
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "asyncio.gather":
                starred = [isinstance(argument, ast.Starred) for argument in call.args]
                assert starred == [True], f"{path}:{node.lineno}: {ast.unparse(node)}"
