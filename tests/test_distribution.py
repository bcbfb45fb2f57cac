"""deploy/built_page.py: what is built of a source tree has the pages at / and /phone, or is not built."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PARTS: Final = ("pyproject.toml", "README.md", "deploy/built_page.py")
PAGES: Final = {"/": "config/board", "/phone": "config/phone"}
SECONDS: Final = 60


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A source tree as git has it, with pages of a test in place of the built ones."""
    tree = tmp_path / "clone"
    leave = shutil.ignore_patterns("built", "__pycache__")
    for package in ("registrar", "config"):
        shutil.copytree(ROOT / package, tree / package, ignore=leave)
    for name in PARTS:
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    for page in PAGES.values():
        (tree / page / "built").mkdir()
        for name in ("page.js", "licences.txt"):
            (tree / page / "built" / name).write_text("made by a test\n")
    return tree


def build(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=SECONDS)


def test_a_wheel_of_a_clone_with_the_page_has_it(clone: Path) -> None:
    assert build(clone, "-t", "wheel").returncode == 0
    (wheel,) = (clone / "dist").iterdir()
    assert wheel.name.startswith("sip_registrar-")
    names = zipfile.ZipFile(wheel).namelist()
    for page in PAGES.values():
        assert {f"{page}/built/page.js", f"{page}/built/licences.txt", f"{page}/page/page.html"} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"registrar", "config"}


@pytest.mark.parametrize("target", ["wheel", "sdist"])
@pytest.mark.parametrize(
    ("url", "missing"),
    [("/phone", "page.js"), ("/", "licences.txt"), ("/", ""), ("/phone", "")],
    ids=["script", "licences", "folder of the board", "folder of the phone"],
)
def test_without_a_page_nothing_is_built(clone: Path, target: str, url: str, missing: str) -> None:
    built = clone / PAGES[url] / "built"
    if missing:
        (built / missing).unlink()
    else:
        shutil.rmtree(built)
    done = build(clone, "-t", target)
    assert done.returncode != 0
    assert f"the page at {url} is not built; run `make page` first" in done.stderr
    assert not list((clone / "dist").glob("*")), "nothing is left behind"


def test_with_an_old_page_nothing_is_built(clone: Path) -> None:
    made = (clone / "config/phone/built/page.js").stat().st_mtime
    os.utime(clone / "config/phone/page/call.js", (made + 10, made + 10))
    done = build(clone, "-t", "wheel")
    assert done.returncode != 0
    assert "older than its source; run `make page` first" in done.stderr


def test_an_editable_install_waits_for_no_page(clone: Path) -> None:
    for page in PAGES.values():
        shutil.rmtree(clone / page / "built")
    assert build(clone, "-t", "wheel:editable").returncode == 0
    assert len(list((clone / "dist").glob("sip_registrar-*.whl"))) == 1


def test_the_distribution_is_ours_by_name() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == "sip-registrar"
    (script,) = distribution("sip-registrar").entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("registrar", "registrar.__main__:main")
