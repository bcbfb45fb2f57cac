"""Every table as it is, and what of the audit log explains each difference between two moments."""

from collections.abc import Sequence
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from config.audit.trail import NOT_TOLD
from config.audit.values import AFTER, BEFORE, BOOKKEEPING, shown
from config.tables import Table

Json = dict[str, Any]
Key = tuple[str, tuple[Any, ...]]
State = dict[Key, Json]


async def write_notes(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Write what the API behind a client keeps for the audit log, without waiting for its two seconds."""
    transport: Any = client._transport
    await transport.app.state.parts.notes.write(engine)


async def state(engine: AsyncEngine) -> State:
    """Return every row of every table that people change."""
    found: State = {}
    async with engine.connect() as connection:
        for table in Table.metadata.sorted_tables:
            if table.name in NOT_TOLD:
                continue
            keys = [column.name for column in table.primary_key]
            for row in (await connection.execute(select(table))).mappings():
                found[table.name, tuple(row[key] for key in keys)] = dict(row)
    return found


def unexplained(before: State, after: State, rows: Sequence[Json]) -> list[str]:
    """Return the differences that these rows of the audit log do not tell."""
    missing = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        wanted_before, wanted_after = _wanted(old, new)
        if not (wanted_before or wanted_after):
            continue
        told = _told(key, new or old or {}, rows)
        if not any(_tells(one, wanted_before, wanted_after) for one in told):
            missing.append(f"{key}: {wanted_before} -> {wanted_after}, told {told}")
    return missing


def _wanted(old: Json | None, new: Json | None) -> tuple[Json, Json]:
    names = [name for name in (new or old or {}) if name not in BOOKKEEPING]
    if old is None or new is None:
        return _whole(old, names, BEFORE), _whole(new, names, AFTER)
    names = [name for name in names if old[name] != new[name]]
    return (
        {name: shown(name, old[name], BEFORE) for name in names},
        {name: shown(name, new[name], AFTER) for name in names},
    )


def _whole(row: Json | None, names: list[str], secret: str) -> Json:
    return {name: shown(name, row[name], secret) for name in names if row[name] is not None} if row else {}


def _told(key: Key, row: Json, rows: Sequence[Json]) -> list[Json]:
    table, place = key
    if "oid" in row:
        return [one for one in rows if (one["type"], one["object"]) == (table, row["oid"])]
    name = [table, list(map(str, place))]
    return [part for one in rows for part in one["parts"] if [part["table"], part["key"]] == name]


def _tells(told: Json, before: Json, after: Json) -> bool:
    was, now = told["before"], told["after"]
    return bool(before.items() <= was.items() and after.items() <= now.items())


async def newest(client: httpx.AsyncClient, after: int) -> list[Json]:
    """Return the rows of the audit log behind a number."""
    answer = await client.get("/audit", params={"customer": "all", "limit": 1000})
    assert answer.status_code == 200, answer.text
    return [row for row in answer.json()["rows"] if row["_id"] > after]
