"""The pictures that the program brings (`deploy/pictures.py` draws them), and what a picture may be."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

NAMES: Final = ("desk-colour", "desk-small", "dect-base", "adapter", "softphone", "generic")
ID_LENGTH: Final = 24
SIDE: Final = 200
"""Pixels; all pictures are squares of this size, so a list of phones is even."""
MAX_OCTETS: Final = 256 * 1024
"""A photo of this size, as PNG, has about half of it."""
PNG: Final = "image/png"
_FOLDER: Final = Path(__file__).parent
_START: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + 2 * SIDE.to_bytes(4)
"""The signature, and the head of the first chunk: its length and name, the width and the height."""
_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def drawing_oid(name: str) -> str:
    """Return the id of a drawing. A drawing that changes needs a new name: clients keep pictures for good."""
    return hashlib.sha256(f"registrar picture {name}".encode()).hexdigest()[:ID_LENGTH]


def content_oid(content: bytes) -> str:
    """Return the id of a picture that was uploaded."""
    return hashlib.sha256(content).hexdigest()[:ID_LENGTH]


@cache
def drawings() -> Mapping[str, bytes]:
    """Return the drawings by their ids."""
    return {drawing_oid(name): (_FOLDER / f"{name}.png").read_bytes() for name in NAMES}


def is_picture(content: bytes) -> bool:
    """Return whether this is a PNG of the right size, by its head and its end; its pixels are not decoded."""
    return content.startswith(_START) and content.endswith(_END)
