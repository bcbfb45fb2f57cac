"""The commands say in one line what keeps them from their work."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registrar.__main__ import _run
from registrar.errors import StoreUnavailable

LOCKED = OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))


@pytest.mark.parametrize(
    ("error", "told"),
    [(LOCKED, "the database: database is locked"), (PoolTimeout("no place"), "the database: no place")],
)
def test_a_database_that_does_not_answer_is_told_and_no_traceback(error: Exception, told: str) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(StoreUnavailable, match=told):
        _run(work())
