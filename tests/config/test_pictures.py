"""The drawings: the files are what the program that draws them makes."""

import importlib.util
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from config import pictures

DEPLOY = Path(__file__).parent.parent.parent / "deploy" / "pictures.py"
MAX_DRAWING = 4 * 1024


@pytest.fixture(scope="module")
def drawer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drawer", DEPLOY)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels(png: bytes) -> bytes:
    """The pixels of a PNG with one IDAT chunk."""
    start = png.index(b"IDAT") + 4
    length = int.from_bytes(png[start - 8 : start - 4])
    return zlib.decompress(png[start : start + length])


def test_the_committed_files_are_drawn_by_the_program(drawer: ModuleType) -> None:
    assert tuple(drawer.DRAWINGS) == pictures.NAMES
    for name, boxes in drawer.DRAWINGS.items():
        drawn, kept = drawer.draw(boxes), pictures.drawings()[pictures.drawing_oid(name)]
        assert pixels(kept) == drawn, name
        assert pictures.is_picture(kept) and pictures.is_picture(drawer.png(drawn))
        assert len(kept) < MAX_DRAWING


def test_the_id_of_a_drawing_is_the_same_everywhere() -> None:
    assert pictures.drawing_oid("desk-colour") == "fc172875d89996163af56dd1"
    assert len(pictures.drawings()) == len(pictures.NAMES)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_other_octets_are_no_picture(content: bytes) -> None:
    assert not pictures.is_picture(content)
