"""The files of the operator for phones: pictures, ringtones, languages.

A file is opened by the name that was found in the folder, never by the name in a request. So a request cannot
name anything outside of the folder. Files that begin with a dot, links and folders are not served.
"""

import mimetypes
import os
from pathlib import Path
from typing import Final

MAX_OCTETS: Final = 16 * 1024 * 1024
"""A larger file would stay in memory for each phone that reads slowly."""
OCTETS: Final = "application/octet-stream"


def read_asset(folder: Path | None, name: str) -> tuple[str, bytes] | None:
    """Return the type and the content of a file, or None if there is none. Raise OSError."""
    entry = None if folder is None else _found(folder, name)
    if entry is None or entry.stat(follow_symlinks=False).st_size > MAX_OCTETS:
        return None
    kind, encoding = mimetypes.guess_type(entry.name)
    content = Path(entry.path).read_bytes()
    return (kind if kind and not encoding else OCTETS), content


def _found(folder: Path, name: str) -> "os.DirEntry[str] | None":
    if name.startswith(".") or not folder.is_dir():
        return None
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == name and entry.is_file(follow_symlinks=False):
                return entry
    return None
