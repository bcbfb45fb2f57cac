"""`registrar audit verify`, and what the audit log is told of the other commands."""

import getpass
import sys
from collections.abc import Mapping
from typing import Final

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config.access import AccessLevel
from config.audit.accept import accept_fault
from config.audit.system import by_itself
from config.audit.verify import Verdict
from config.audit.verify import verify as walk
from config.auth import VIA_DIGITS, hash_token
from config.tables import AuditLog
from registrar.errors import ConfigurationError
from registrar.store.country_download import Fetched, day

from .installation import Installation, opened

COMMAND: Final = "COMMAND"
"""The level in the audit log of who runs a command: it may do everything."""
MAX_NAME: Final = 40
MAX_NAMED: Final = 320
"""The longest name of an object in the audit log."""
HASH_DIGITS: Final = 64


def this_command() -> str:
    """Return what the audit log calls a command: the user of the operating system who runs it."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container may have a user without a name
        name = "?"
    return f"command:{name[:MAX_NAME]}"


async def note(
    writer: AsyncEngine, action: str, *, named: str | None = None, oid: str = "", **changes: object
) -> None:
    """Write to the audit log what a command does."""
    async with writer.begin() as connection:
        await connection.execute(insert(AuditLog), [told(action, named=named, oid=oid, **changes)])


def told(action: str, *, named: str | None = None, oid: str = "", **changes: object) -> dict[str, object]:
    """Return the row of the audit log that tells what a command does."""
    row = by_itself(action, "", oid, None, named=named, changes=changes)
    return row | {"actor_level": COMMAND, "via": this_command()}


async def note_token(
    installation: Installation,
    token: str,
    level: AccessLevel,
    customer: str | None,
    employee: str | None,
) -> None:
    """Write to the audit log that a token was made; without a database it is made all the same."""
    named = f"jwt:{hash_token(token)[:VIA_DIGITS]}"
    after = {"level": level.name, "customer": customer, "employee": employee}
    await _note_done(installation, "token", named=named, after=after)


async def note_country_file(installation: Installation, fetched: Fetched) -> None:
    """Write to the audit log that a country file was replaced; without a database it is, all the same."""
    facts = fetched.facts
    after = {"source": fetched.source, "kind": facts.kind, "built": day(facts.built)}
    await _note_done(
        installation, "country-file", named=str(installation.country_file)[:MAX_NAMED], after=after
    )


async def _note_done(
    installation: Installation, what: str, *, named: str, after: Mapping[str, object]
) -> None:
    """Note what a command has done. It stays done if the database is away, and one line says so."""
    try:
        async with opened(installation, upgrade=False) as stores:
            await note(stores.writer, what, named=named, after=after)
    except (ConfigurationError, SQLAlchemyError, OSError) as error:
        print(f"registrar: the {what} is not in the audit log: {error}", file=sys.stderr)


def read_head(text: str | None) -> tuple[int, str] | None:
    """Return a place and its hash, written `4711:5f0c...`. Raise ConfigurationError for other text."""
    if text is None:
        return None
    place, _, digest = text.strip().partition(":")
    is_hash = len(digest) == HASH_DIGITS and set(digest) <= set("0123456789abcdef")
    if not (place.isascii() and place.isdigit() and len(place) < 19 and is_hash):
        raise ConfigurationError(f"--head: {text[:80]!r} is no place and hash such as 4711:5f0c...")
    return int(place), digest


async def verify(installation: Installation, noted: tuple[int, str] | None, *, accept: bool) -> bool:
    """Print what is wrong with the chain, and its head; return whether nothing is."""
    async with opened(installation, upgrade=False) as stores:
        verdict = await walk(stores.reader, stores.vault, noted)
        if accept and not verdict.is_good:
            await accept_fault(stores.writer, stores.vault)
            await note(stores.writer, "audit-accepted", after={"faults": verdict.faults})
    _print(verdict)
    if accept and not verdict.is_good:
        print("accepted: the chain goes on behind its newest row")
    return verdict.is_good


def _print(verdict: Verdict) -> None:
    for fault in verdict.faults:
        print(f"FAULT    {fault}")
    waits = f", {verdict.waiting} not chained yet" if verdict.waiting else ""
    print(f"rows     {verdict.rows}{waits}")
    print(f"head     {verdict.head.seq}:{verdict.head.hash}   (note it, and give it to --head later)")
