"""How the scripts of the pages at / and /phone are built and written.

Where deploy/page.sh cannot do its work one line says so, and only CI takes it for a failure.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.every import every

ROOT = Path(__file__).parent.parent
TOOLS: Final = ("bash", "cat", "cp", "dirname", "ln", "mkdir", "mv")
PAGES: Final = ("config/board", "config/phone")
PARTS: Final = (
    "deploy/page.sh",
    *(f"{page}/{name}" for page in PAGES for name in ("package.json", "package-lock.json")),
)
MODULES: Final = sorted(path for page in PAGES for path in (ROOT / page / "page").glob("*.js"))
LONGEST_LINE: Final = 120
LONGEST_MODULE: Final = 250
MAKES_MARKUP: Final = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|\beval\b|Function\("
)
"""What could turn text from the network into elements or code."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with a Python that has no pip, and a PATH that has no node."""
    for name in PARTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    return tmp_path


def build(tree: Path, path: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(tree / "deploy/page.sh"), "page"],
        env={"PATH": path, "HOME": str(tree), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)], ids=["at home", "in CI"])
def test_without_node_and_pip_it_says_so(tree: Path, ci: str, code: int) -> None:
    done = build(tree, str(tree / "bin"), CI=ci)
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "the pages at / and /phone are not built: there is no node >= 18 with npm on the PATH"
    )
    assert line.endswith("; everything else works")
    assert (done.returncode, done.stdout) == (code, "")
    assert not [page for page in PAGES if (tree / page / "built").exists()]


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here")
def test_without_the_network_it_says_so(tree: Path) -> None:
    offline = {"npm_config_offline": "true", "npm_config_cache": str(tree / "cache")}
    done = build(tree, os.environ["PATH"], **offline)
    (line,) = done.stderr.splitlines()
    assert line.startswith("the pages at / and /phone are not built: npm could not fetch the packages")
    assert done.returncode == 0
    assert not [page for page in PAGES if (tree / page / "built").exists()]


@every("module", MODULES, ids=lambda path: f"{path.parent.parent.name} {path.name}")
def test_a_module_of_the_page_is_small_and_says_what_it_is(module: Path) -> None:
    lines = module.read_text().splitlines()
    assert lines[0].startswith("// ")
    assert len(lines) <= LONGEST_MODULE
    assert max(map(len, lines)) <= LONGEST_LINE
    assert not [line for line in lines if line != line.rstrip() or "\t" in line]


@every("module", MODULES, ids=lambda path: f"{path.parent.parent.name} {path.name}")
def test_no_text_becomes_markup_or_code(module: Path) -> None:
    assert not re.findall(MAKES_MARKUP, module.read_text())


@pytest.mark.parametrize("page", PAGES)
def test_every_module_of_the_page_is_used(page: str) -> None:
    texts = {path.name: path.read_text() for path in (ROOT / page / "page").glob("*.js")}
    named = {name for text in texts.values() for name in re.findall(r"from '\./(\w+\.js)'", text)}
    assert named | ({"page.js", "selftest.js"} & set(texts)) == set(texts)
