"""Bringing the models into the database at each migration.

A model that an ADMIN has changed stays as it is, and one that an ADMIN has deleted does not come back. The
table `seeded_model` has the ids that were brought, each with the digest of the values that were written. It
also has the versions of the writers. `configSaved` moves for phones whose files are others after an upgrade.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..saved import IN_FILES, Phones, note_saved
from ..tables import SeededModel, SipPhone, SipPhoneModel
from .ranges import Columns
from .seeds import MODELS, VALUES
from .versions import VERSIONS, writer_oid

_ROWS: Final = SipPhoneModel.__table__


def digest(row: Columns) -> str:
    """Return the digest of the values of a model; an empty one does not count, so a new column may be."""
    values = {column: row[column] for column in VALUES if row.get(column)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


async def seed_models(connection: AsyncConnection) -> None:
    """Insert the models that were never brought, and correct those that are as they were brought."""
    seeded = await connection.execute(select(SeededModel.oid, SeededModel.digest))
    brought = {row.oid: row.digest for row in seeded}
    there = {row["oid"]: dict(row) for row in (await connection.execute(select(_ROWS))).mappings()}
    names = {(row["brand"], row["model"]) for row in there.values()}
    new = [row for row in MODELS.values() if row["oid"] not in brought]
    await _insert(connection, [row for row in new if (row["brand"], row["model"]) not in names])
    for row in MODELS.values():
        oid = str(row["oid"])
        if oid in brought and oid in there and digest(there[oid]) == brought[oid] != digest(row):
            await _correct(connection, row, there[oid])
    for writer, version in VERSIONS.items():
        await _note_version(connection, writer, str(version), brought.get(writer_oid(writer)))


async def _insert(connection: AsyncConnection, rows: Sequence[Columns]) -> None:
    if rows:
        await connection.execute(insert(SipPhoneModel), [dict(row) for row in rows])
        seeded = [{"oid": row["oid"], "digest": digest(row)} for row in rows]
        await connection.execute(insert(SeededModel), seeded)


async def _correct(connection: AsyncConnection, row: Columns, read: Columns) -> None:
    """Write the values, unless another process has changed the row since it was read."""
    is_same = SipPhoneModel.oid == row["oid"], SipPhoneModel.revision == read["revision"]
    if (await connection.execute(update(SipPhoneModel).where(*is_same).values(**row))).rowcount:
        new = {"digest": digest(row)}
        await connection.execute(update(SeededModel).where(SeededModel.oid == row["oid"]).values(**new))
        if any(row.get(column) != read[column] for column in IN_FILES if column in VALUES):
            await note_saved(connection, _phones(SipPhoneModel.oid == row["oid"]))


async def _note_version(connection: AsyncConnection, writer: str, version: str, before: str | None) -> None:
    """Keep the version of a writer. If it was another one, the files of its phones have changed."""
    oid = writer_oid(writer)
    if before is None:  # a new database, or a new writer: no phone has a file of it
        await connection.execute(insert(SeededModel).values(oid=oid, digest=version))
    elif before != version:
        await connection.execute(update(SeededModel).where(SeededModel.oid == oid).values(digest=version))
        await note_saved(connection, _phones(SipPhoneModel.writer == writer))


def _phones(of: ColumnElement[bool]) -> Phones:
    """Return the phones of some models."""
    models = select(SipPhoneModel.id).where(of)
    return select(SipPhone.id).where(SipPhone.model_id.in_(models))
