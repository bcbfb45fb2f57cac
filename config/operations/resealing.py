"""Stored secrets, sealed again with the key that is in use. A row is changed only if it is as it was read.

So the work can be broken off, repeated, and done by several processes at once. ETags and times of the rows
stay as they are, because what a client may see of them has not changed.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, TableClause, bindparam, func, literal, select, table
from sqlalchemy import column as named
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import StoreUnavailable
from registrar.store.vault import Vault

from ..database import reading, writing

AT_ONCE: Final = 200
PAUSE_SECONDS: Final = 0.02
"""Between two steps, so that other writers have their turn."""

Stored = tuple[str, str, str]
"""The key of a row, the owner, and the sealed text."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column with sealed texts, and for whom they are sealed."""

    table: str
    column: str
    key: str
    """The column by which the rows are walked through."""
    owner: str = ""
    """The column with the owner; empty: the mark alone is the owner."""
    mark: str = ""
    """What stands before the owner's id."""
    whose: str = ""
    """The table with the owner, whose `id` is the key; empty: it is in the same row."""


COLUMNS: Final = (
    Sealed("sip_phone", "password_enc", "id", "oid"),
    Sealed("webhook", "secret_enc", "id", "oid"),
    Sealed("provisioning", "first_enc", "mac", "mac"),
    Sealed("provisioning", "steady_enc", "mac", "mac"),
    Sealed("provisioning", "admin_password_enc", "mac", "mac"),
    Sealed("redirect", "url_enc", "id", "mac", "redirect "),
    Sealed("employee_totp", "secret_enc", "employee_id", "oid", "totp:", whose="employee"),
    Sealed("audit_head", "seal", "id", mark="audit-head"),
)
"""All of them; a test compares this with the tables."""


async def count_left(engine: AsyncEngine, vault: Vault) -> int:
    """Return how many texts are not sealed with the key in use."""
    total = 0
    async with reading(engine) as session:
        for sealed in COLUMNS:
            rows = _table(sealed)
            old = _is_old(rows.c[sealed.column], vault)
            statement = select(func.count()).select_from(rows).where(old)
            total += await session.scalar(statement) or 0
    return total


async def any_left(engine: AsyncEngine, vault: Vault) -> bool:
    """Return whether there is a text that is not sealed with the key in use."""
    async with reading(engine) as session:
        for sealed in COLUMNS:
            text = _table(sealed).c[sealed.column]
            if await session.scalar(select(text).where(_is_old(text, vault)).limit(1)) is not None:
                return True
    return False


async def reseal(engine: AsyncEngine, vault: Vault, progress: Callable[[int], None]) -> int:
    """Seal everything with the key in use. Return how many texts cannot be read and stay as they are.

    `progress` is called after each step, with the number of texts that it has sealed.
    """
    unreadable = 0
    for sealed in COLUMNS:
        after: str | None = None
        while True:
            rows = await _next(engine, vault, sealed, after)
            if not rows:
                break
            after = rows[-1][0]
            done = await _seal(engine, vault, sealed, rows)
            unreadable += len(rows) - done
            progress(done)
            await asyncio.sleep(PAUSE_SECONDS)
    return unreadable


async def _next(engine: AsyncEngine, vault: Vault, sealed: Sealed, after: str | None) -> list[Stored]:
    here = _table(sealed)
    row, stored = here.c[sealed.key], here.c[sealed.column]
    whose = table(sealed.whose, named("id"), named(sealed.owner)) if sealed.whose else here
    owner = whose.c[sealed.owner] if sealed.owner else literal("")
    rows = select(row, owner.label("owner"), stored.label("text"))
    if sealed.whose:
        rows = rows.where(whose.c.id == row)
    statement = rows.where(_is_old(stored, vault)).order_by(row).limit(AT_ONCE)
    if after is not None:
        statement = statement.where(row > after)
    async with reading(engine) as session:
        return [(key, owner, text) for key, owner, text in await session.execute(statement)]


async def _seal(engine: AsyncEngine, vault: Vault, sealed: Sealed, rows: list[Stored]) -> int:
    """Seal these rows; return how many could be read."""
    changes = []
    for key, owner, text in rows:
        try:
            name = f"{sealed.mark}{owner}"
            changes.append(
                {"the_key": key, "before": text, "after": vault.seal(vault.open(text, name), name)}
            )
        except StoreUnavailable as error:
            log.warning("%s.%s: %s", sealed.table, sealed.column, error)
    here = _table(sealed)
    where = here.c[sealed.key] == bindparam("the_key"), here.c[sealed.column] == bindparam("before")
    statement = here.update().where(*where).values({sealed.column: bindparam("after")})

    async def write(session: AsyncSession) -> None:
        connection = await session.connection()
        await connection.execute(statement, changes)

    if changes:
        await writing(engine, write)
    return len(changes)


def _table(sealed: Sealed) -> TableClause:
    names = {sealed.key, sealed.column} | ({sealed.owner} if sealed.owner and not sealed.whose else set())
    return table(sealed.table, *[named(name) for name in sorted(names)])


def _is_old(text: ColumnElement[str], vault: Vault) -> ColumnElement[bool]:
    return text.is_not(None) & text.not_like(f"{vault.prefix}%")
