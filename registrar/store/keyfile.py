"""Secrets that are generated once in the data directory, readable by their owner only."""

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import Final

from registrar.rules.weak_secrets import weakness

SECRET_BYTES: Final = 32
MIN_LENGTH: Final = 32


def data_directory(path: Path) -> Path:
    """Return the directory as an absolute path; create it if it is missing. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.resolve()


def secret(path: Path) -> str:
    """Return the secret in `path`. The first process that asks creates it. Raises OSError.

    A file that is empty or cut off is an error too: a key that can be guessed is worse than no start.
    """
    if not path.exists():
        _make(path)
    text = path.read_text(errors="replace").strip()
    if len(text) < MIN_LENGTH:
        raise OSError(errno.EINVAL, f"holds no secret of {MIN_LENGTH} characters", str(path))
    if problem := weakness(text):
        raise OSError(errno.EINVAL, problem, str(path))
    return text


def former(path: Path) -> Path:
    """Return where the key is kept that the key in `path` replaces."""
    return path.with_name(path.name + ".old")


def held(path: Path) -> tuple[str, ...]:
    """Return the secret in `path`, made if it is missing, and the one that it replaces. Raises OSError."""
    old = former(path)
    return (secret(path), secret(old)) if old.exists() else (secret(path),)


def replace(path: Path) -> None:
    """Put a new secret into `path`, and the one of now beside it. Raises OSError.

    The one of now is written first: it is never in neither of the files.
    """
    now = secret(path)
    _draft(former(path), now).replace(former(path))
    _draft(path, secrets.token_hex(SECRET_BYTES)).replace(path)


def _make(path: Path) -> None:
    """Write the whole file in one step under its name, unless another process has written it already."""
    draft = _draft(path, secrets.token_hex(SECRET_BYTES))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _draft(path: Path, text: str) -> Path:
    """Return a file beside `path` with this text, which is on the disk."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())  # a power cut must not leave the name without the secret
    return draft
