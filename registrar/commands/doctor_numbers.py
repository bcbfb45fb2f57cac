"""The check of `registrar doctor` for numbers that cannot be dialled: emergency numbers and feature codes.

The API refuses such numbers. A database may have them from before, or from before a setting was changed.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from config.tables import Customer, Number
from registrar.doctor import Finding, ok, warn
from registrar.errors import ConfigurationError
from registrar.rules.features import ReservedWords, reserved_words
from registrar.settings import Settings
from registrar.store import database

WHAT: Final = "numbers"
STORE_SECONDS: Final = 8.0
MAX_NUMBERS: Final = 1_000
SHOWN: Final = 10
ADVICE: Final = "give each another number; calls to it reach the emergency service or the feature"


async def check_numbers(settings: Settings, directory: Path) -> list[Finding]:
    """Return the finding about reserved numbers.

    Return nothing if the database cannot be read, which another check has reported.
    """
    given = settings.database_url.get_secret_value()
    file = directory / "registrar.sqlite"
    if not given and not file.exists():
        return []
    reserved = reserved_words(settings.features, settings.emergency_numbers)
    try:
        engine = database.connect(given or f"sqlite+aiosqlite:///{file}", read_only=True)
    except ConfigurationError:
        return []
    try:
        async with asyncio.timeout(STORE_SECONDS), engine.connect() as connection:
            return [judge_numbers(await _reserved_numbers(connection, reserved))]
    except (SQLAlchemyError, OSError):
        return []
    finally:
        await engine.dispose()


def judge_numbers(found: Sequence[str]) -> Finding:
    """Return the finding about the reserved numbers that extensions, groups and queues have."""
    if not found:
        return ok(WHAT, "no extension, group or queue has an emergency number or a feature code")
    rest = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return warn(WHAT, f"reserved, and in use: {', '.join(found[:SHOWN])}{rest}", ADVICE)


async def _reserved_numbers(connection: AsyncConnection, reserved: ReservedWords) -> list[str]:
    """Return a text for each of the first MAX_NUMBERS reserved numbers: kind, number and customer."""
    codes = [Number.number.startswith(code, autoescape=True) for code in reserved.codes]
    statement = (
        select(Number.kind, Number.number, Customer.name)
        .join(Customer, Customer.id == Number.customer_id)
        .where(or_(Number.number.in_(reserved.emergency_numbers), *codes))
        .order_by(Number.customer_id, Number.number)
        .limit(MAX_NUMBERS)
    )
    return [f"{kind} {number} of {name}" for kind, number, name in await connection.execute(statement)]
