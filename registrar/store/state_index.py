"""Index in Redis of the states of phones, for each customer in one cluster slot (docs/redis.md).

Three keys belong together, and one script writes them: the entry of each phone, the phones ordered by kind,
reason and transport, and the number of phones with each of these words. So numbers and pages need no scan.

While a walk builds the index of a customer, the numbers have the field BUILDING with the mark of that walk.
The script that removes the old index writes it, so no reader takes the first numbers for all. If another walk
begins to build it, too, the mark is that of the later one, and only the end of that one removes it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from registrar.errors import StoreUnavailable
from registrar.rules.standing import NO_TRANSPORT, Entry, Standing, parse_entry

from . import keys
from .redis_wire import Argument
from .script_runner import Runner
from .scripts import AGREES, BUILT, CLEAR, DELETED, PLACE, RESTORED, STANDS

TRIES: Final = 5
PATIENCE_SECONDS: Final = 0.5
"""How long an entry may be ahead of its phone: its commit is under way, or has failed.

A process gives up a command sooner (redis_wire).
"""
ANY: Final = "*"
SOME: Final = 500
BUILDING: Final = "building"
"""The field of the numbers that says that they are not whole yet (scripts.CLEAR)."""


@dataclass(frozen=True, slots=True)
class Stands:
    """What the status of a phone says now."""

    version: int
    standing: Standing | None
    customer: str
    """Id of its customer; empty if an earlier version of this program wrote the status."""
    is_deleted: bool = False
    """Whether the status is marked: the phone was deleted, and has no entry."""


def placing(phone: str, entry: Entry, expected: str = ANY) -> tuple[Argument, ...]:
    """Return the arguments of the script that writes an entry; `expected` is the entry that must stand.

    Without a transport, the phone keeps the one that it has in the index.
    """
    return phone, entry.version, entry.standing.reason, entry.standing.transport, expected


class StateIndex:
    """The index, for all that is not a commit; implements ports.StateIndex."""

    def __init__(self, runner: Runner, *, patience: float = PATIENCE_SECONDS) -> None:
        self._runner = runner
        self._patience = patience

    async def entries(self, customer: str, phones: Sequence[str]) -> list[Entry | None]:
        """See ports.StateIndex."""
        if not phones:
            return []
        found = await self._runner.ask("HMGET", keys.states(customer)[0], *phones)
        return [parse_entry(_text(entry)) for entry in found]

    async def listed(self, customer: str, cursor: int) -> tuple[int, list[str]]:
        """Return some phones of the index, and the cursor for the next ones, which is 0 after the last."""
        answer = await self._runner.ask("HSCAN", keys.states(customer)[0], cursor, "COUNT", SOME)
        following, found = answer
        phones = list(found)[:: 1 if isinstance(found, dict) else 2]  # redis-py makes it a dictionary
        return int(following), list(map(_text, phones))

    async def stands(self, phone: str) -> Stands:
        """Return what the status of a phone says. Raises StoreUnavailable."""
        answer = await self._runner.run(STANDS, (keys.location(phone), keys.status(phone)))
        version, online, reason, transport, customer, deleted = map(_text, answer)
        standing = Standing(reason, transport) if online and reason else None
        return Stands(int(version) if version.isdigit() else 0, standing, customer, deleted == "1")

    async def settle(self, phone: str, customer: str) -> bool:
        """See ports.StateIndex.

        An entry that is ahead of its phone is left alone for `PATIENCE_SECONDS`. The script replaces only the
        entry that was read, and the phone is read once more afterwards, so no commit in between is lost.
        """
        for number in range(TRIES):
            known = customer or (await self.stands(phone)).customer
            if not known:
                return False
            entry = await self._entry(known, phone)
            now = await self.stands(phone)
            if number == 0 and _is_ahead(entry, now) and not now.is_deleted:
                await asyncio.sleep(self._patience)
                continue
            if await self._replace(phone, known, entry, now) and await self.stands(phone) == now:
                return True
        return False

    async def drop(self, phone: str, customer: str) -> None:
        """See ports.StateIndex.

        The status is marked: another process may have the entry in doubt, and would write it again.
        """
        known = customer or (await self.stands(phone)).customer
        await self._runner.run(DELETED, (keys.status(phone),))
        if known:
            await self.settle(phone, known)

    async def restore(self, phone: str, customer: str) -> None:
        """Write the entry of a phone that is there, also if it was dropped. Raises StoreUnavailable."""
        await self._runner.run(RESTORED, (keys.status(phone),), customer)
        await self.settle(phone, customer)

    async def remove(self, phone: str, customer: str) -> None:
        """Remove the entry of a phone of another customer. Raises StoreUnavailable."""
        await self._runner.run(
            PLACE, keys.states(customer), phone, 0, "", "", await self._entry(customer, phone)
        )

    async def clear(self, customer: str, mark: str) -> None:
        """Remove the index of a customer, to build it again. Call `built` with this mark when that is done.

        A walk that ends too early is due again at once, in any process. Raises StoreUnavailable.
        """
        await self._runner.ask("SET", keys.STATES_CHECKED, "0", "XX")
        await self._runner.run(CLEAR, keys.states(customer), mark)

    async def built(self, customer: str, mark: str) -> None:
        """Note that the index of a customer is whole again. Raises StoreUnavailable."""
        await self._runner.run(BUILT, keys.states(customer)[2:], mark)

    async def forget(self, customer: str) -> None:
        """Remove the index of a customer that was deleted. Raises StoreUnavailable."""
        await self._runner.ask("DEL", *keys.states(customer))

    async def agrees(self, customer: str) -> bool:
        """Return whether the index is whole, and its keys have the same numbers. Raises StoreUnavailable."""
        return bool(await self._runner.run(AGREES, keys.states(customer)))

    async def _replace(self, phone: str, customer: str, entry: str, now: Stands) -> bool:
        if now.standing is None or now.is_deleted:
            arguments: tuple[Argument, ...] = (phone, now.version, "", "", entry)
        else:
            standing = Standing(now.standing.reason, now.standing.transport or NO_TRANSPORT)
            arguments = placing(phone, Entry(now.version, standing), entry)
        return bool(await self._runner.run(PLACE, keys.states(customer), *arguments))

    async def _entry(self, customer: str, phone: str) -> str:
        return _text(await self._runner.ask("HGET", keys.states(customer)[0], phone))


def span(word: str) -> tuple[str, str]:
    """Return the limits, as ZRANGE takes them, of the members of the order that begin with this word."""
    return f"[{word} ", f"({word}!"  # the exclamation mark follows the space


def _is_ahead(entry: str, now: Stands) -> bool:
    known = parse_entry(entry)
    return known is not None and known.version > now.version


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str | bytes):
        return value if isinstance(value, str) else value.decode(errors="replace")
    raise StoreUnavailable(f"Redis: an answer of an unexpected type, {type(value).__name__}")
