"""`registrar status`: lists the phones, and with --watch the events from then on."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config import clock
from config.live import Live
from config.operations.phones.overview import Name, Overview, names, overview
from registrar.errors import ConfigurationError
from registrar.store import event_stream, redis_client

from . import events
from .installation import Installation, Stores, opened

TABLE_WIDTH: Final = 400
"""The table is never truncated. A narrow terminal wraps its lines; another program reads whole lines."""


async def show(installation: Installation, phone: str | None, *, as_json: bool) -> None:
    """Print the table, or one JSON array. Raise ConfigurationError if `phone` does not exist."""
    async with opened(installation, upgrade=False) as stores:
        rows = await _look(stores, phone)
    if as_json:
        print(json.dumps([row.json() for row in rows]))
    else:
        _print_table(rows)


async def watch(
    installation: Installation, phone: str | None, *, as_json: bool, tell: Callable[[str], None]
) -> None:
    """Print the table, then a line for each event, until cancelled.

    Call `tell` when Redis goes away and when it is back. The end of the stream is read before the table, so
    events that happen meanwhile are printed after it.
    """
    async with opened(installation, upgrade=False) as stores:
        redis = redis_client.connect(installation.redis_url, errors="replace")
        try:
            last = await event_stream.newest_or_now(redis, clock.epoch_now())
            rows = await _look(stores, phone)
            _print_first(rows, as_json=as_json)
            known = Names(stores.reader, rows)
            async for entries in events.after(redis, last, tell):
                await known.learn(one for entry in entries for one in entry.phones)
                for entry in entries:
                    name = known.of(entry.phone)
                    if phone is None or _concerns(entry, phone, known):
                        print(_line(entry, name, as_json=as_json), flush=True)
        finally:
            await redis.aclose()


class Names:
    """Usernames and extensions of phones: the present ones, or the last ones of a deleted phone."""

    def __init__(self, reader: AsyncEngine, rows: Iterable[Overview]) -> None:
        self._reader = reader
        self._known = {row.id: Name(row.username, row.extension) for row in rows}

    async def learn(self, phones: Iterable[str]) -> None:
        """Look these phones up again. If the database is away, keep what is known."""
        try:
            async with asyncio.timeout(events.LOOK_SECONDS):
                self._known |= await names(self._reader, set(phones))
        except (SQLAlchemyError, OSError, TimeoutError):
            return

    def of(self, phone: str) -> Name:
        """Return the name of a phone, empty for an unknown phone."""
        return self._known.get(phone, Name("", ""))


async def _look(stores: Stores, phone: str | None) -> list[Overview]:
    rows = await overview(stores.reader, Live(stores.redis, clock.epoch_now), phone)
    if phone is not None and not rows:
        raise ConfigurationError(f"there is no phone {phone}")
    return rows


def _concerns(entry: events.Entry, phone: str, known: Names) -> bool:
    """Return whether the event is about this phone, which is given by id, username or extension."""
    return entry.concerns([phone]) or any(phone in known.of(one) for one in entry.phones)


def _line(entry: events.Entry, name: Name, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(entry.json(name.username, name.extension))
    return entry.line(name.username, name.extension)


def _print_first(rows: list[Overview], *, as_json: bool) -> None:
    if not as_json:
        _print_table(rows)
        print(flush=True)
        return
    for row in rows:
        about: dict[str, Any] = {"event": "status", "phone": row.id}
        print(json.dumps(about | row.json()), flush=True)


def _print_table(rows: list[Overview]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("phone", "extension", "online", "expires", "why", "since", "public", "local", "user agent"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        # Text, not str: a User-Agent may contain text that rich would interpret as markup.
        table.add_row(*(Text(events.visible(cell)) for cell in row.cells()))
    Console(width=TABLE_WIDTH).print(table)
