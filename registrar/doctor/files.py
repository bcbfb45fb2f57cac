"""The checks of the data directory and the country file."""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.store.country_facts import country_facts

from .finding import Finding, fail, ok, warn

DAY: Final = 86_400
OLD_COUNTRIES: Final = 45 * DAY
"""Networks move between countries. The free file is updated each month."""
LITTLE_SPACE: Final = 200 << 20
SECRETS: Final = ("secret.key", "jwt.key", "tls.key", "registrar.sqlite")
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

DATA: Final = "data directory"
COUNTRIES: Final = "country file"


def data_directory(path: Path) -> list[Finding]:
    """Return whether the directory exists, is private to us and writable. `serve` makes a missing one."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return [_missing(path)]
    except OSError as error:
        return [fail(DATA, f"{path}: {error.strerror}", "set REGISTRAR_DATA_DIR to a folder of yours")]
    if not stat.S_ISDIR(seen.st_mode):
        return [fail(DATA, f"{path} is not a folder", "set REGISTRAR_DATA_DIR to one")]
    problem = _write_problem(path)
    if problem:
        return [fail(DATA, f"{path}: {problem}", f"let uid {os.geteuid()} write there, or run as its owner")]
    mode = seen.st_mode & 0o777
    found = [ok(DATA, f"{path} (mode {mode:04o})")]
    if mode & OTHERS:
        found = [warn(DATA, f"{path} has mode {mode:04o}: others can look in", f"chmod 700 {path}")]
    return found + _open_secrets(path) + _space(path)


def _missing(path: Path) -> Finding:
    above = next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
    problem = _write_problem(above)
    if not problem:
        return ok(DATA, f"{path} is not there yet; the first start makes it")
    return fail(DATA, f"{path} cannot be made in {above}: {problem}", "make it, or set REGISTRAR_DATA_DIR")


def _write_problem(path: Path) -> str:
    """Return why nothing can be written there, or empty if it can. The trial file is removed."""
    try:
        with tempfile.TemporaryFile(dir=path) as trial:
            trial.write(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _open_secrets(path: Path) -> list[Finding]:
    """Return a warning for secrets that other users may read, in a directory that they may enter."""
    names = [name for name in SECRETS if _mode(path / name) & OTHERS]
    if not names:
        return []
    return [warn(DATA, f"others may read {', '.join(names)}", f"chmod 600 the files in {path}")]


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _space(path: Path) -> list[Finding]:
    free = shutil.disk_usage(path).free
    if free >= LITTLE_SPACE:
        return []
    return [warn(DATA, f"only {free >> 20} MB are free on its disk", "make room: Redis and SQL write there")]


def country_file(path: Path, now: Epoch) -> Finding:
    """Return whether the country of ROAMING phones can be looked up, and how old the country file is."""
    try:
        facts = country_facts(path)
    except StoreUnavailable as error:
        if not path.exists():
            return warn(
                COUNTRIES, f"there is no {path}: ROAMING phones are refused", "registrar geoip update"
            )
        return fail(COUNTRIES, f"{path}: {error}", "registrar geoip update")
    days = int((now - facts.built) // DAY)
    if now - facts.built > OLD_COUNTRIES:
        return warn(COUNTRIES, f"{path} ({facts.kind}) is {days} days old", "registrar geoip update")
    return ok(COUNTRIES, f"{path} ({facts.kind}), {days} days old")
