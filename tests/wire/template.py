"""A data directory with the newest schema and the demo tenant: made once in a run, then copied.

A server that starts on a copy has nothing to migrate, and its demo tenant is known without a command. The
program itself makes what tests of the first start, of other keys and of other databases need: see `fits`.
"""

import contextlib
import fcntl
import json
import secrets
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from config.operations.keys import media_sessions
from tests.peers.process import PeerFailed
from tests.peers.registrar import DOMAIN, run

OTHER: Final = frozenset(
    {"config", "database_url", "secret_key", "secret_key_old", "jwt_secret", "jwt_secret_old"}
)
"""Settings of an installation whose keys or data are elsewhere."""
SECRET_FILE: Final = "_file"
TENANT: Final = "demo.json"
DATA: Final = "data"

home: Path | None = None
"""A folder that all processes of the run share; None leaves everything to the program, as in the soak."""


def fits(settings: Mapping[str, str], arguments: Sequence[str]) -> bool:
    """Return whether a server with these settings would make what the template holds."""
    if home is None or "--demo" in arguments or settings["domain"] != DOMAIN:
        return False
    if any(name in OTHER or name.endswith(SECRET_FILE) for name in settings):
        return False
    data = Path(settings["data_dir"])
    return not data.exists() or not any(data.iterdir())


def tells_tenant(settings: Mapping[str, str]) -> bool:
    """Return whether the description of the demo tenant holds nothing that depends on other settings."""
    return settings["http"].startswith("127.0.0.1:") and not any(
        name.startswith("turn_") for name in settings
    )


def copy(data: Path) -> dict[str, Any]:
    """Make `data` a copy of the template, and return the demo tenant in it.

    The copy appears in one step: another process on the same directory finds all of it or nothing.
    """
    assert home is not None
    made = _made(home)
    draft = data.with_name(f"{data.name}.{secrets.token_hex(4)}")
    shutil.copytree(made / DATA, draft)
    _be_another(draft / "registrar.sqlite")
    try:
        draft.rename(data)
    except OSError as error:
        raise PeerFailed(f"{data} was made by another at the same time") from error
    tenant: dict[str, Any] = json.loads((made / TENANT).read_text())
    return tenant


def _be_another(database: Path) -> None:
    """Give an installation its own sessions at the relay: a node deletes those that it does not know."""
    prefix = media_sessions(secrets.token_hex(32))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        changed = connection.execute("UPDATE installation SET media_sessions = ?", (prefix,))
        assert changed.rowcount == 1


@cache
def _made(shared: Path) -> Path:
    """Return the folder of the template. The first process of the run makes it, the others wait."""
    folder = shared / "template"
    with (shared / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    draft = folder.with_name("template.draft")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that failed
    draft.mkdir(parents=True)
    environment = {"REGISTRAR_DATA_DIR": str(draft / DATA), "REGISTRAR_DOMAIN": DOMAIN}
    for arguments in (("migrate",), ("demo", "--json")):
        done = run(draft, *arguments, environment=environment)
        if done.returncode != 0:
            raise PeerFailed(f"registrar {' '.join(arguments)} ended with {done.returncode}\n{done.stderr}")
    (draft / TENANT).write_text(done.stdout)
    draft.rename(folder)
