"""Another process that holds the locks of SQLite."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from tests.wire.site import Site, within

WAL_LOCKS: Final = (120, 8)
"""Where SQLite's locks lie in the -shm file: while we hold all of them, nobody reads or writes."""


@contextmanager
def writers_locked_out(site: Site) -> Iterator[None]:
    """Another process' BEGIN EXCLUSIVE."""
    with closing(sqlite3.connect(site.database, timeout=5, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@contextmanager
def everybody_locked_out(site: Site) -> Iterator[None]:
    """All locks of the write-ahead log: nobody reads either."""
    start, length = WAL_LOCKS
    with open(f"{site.database}-shm", "r+b") as file:

        def locked() -> bool:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
            except OSError:
                return False
            return True

        within(10, locked, "nobody reads for a moment")
        try:
            yield
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN, length, start)
