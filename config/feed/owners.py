"""The customers of phones whose events name none; each phone is looked up once."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from registrar.store.event_stream import Entry

MAX_PHONES: Final = 50_000


class Owners:
    """Cache of phone -> customer. A phone never changes its customer."""

    def __init__(self, look_up: Callable[[Collection[str]], Awaitable[Mapping[str, str]]]) -> None:
        """`look_up` returns the customers of those phones that exist."""
        self._look_up = look_up
        self._known: OrderedDict[str, str] = OrderedDict()

    async def of(self, entries: Sequence[Entry]) -> list[str]:
        """Return the customer of each entry, empty if it belongs to none."""
        named = [entry.fields.get("customer", "") for entry in entries]
        for entry, customer in zip(entries, named, strict=True):
            if customer and entry.phone:
                self._remember(entry.phone, customer)
        pairs = zip(entries, named, strict=True)
        unknown = {entry.phone for entry, customer in pairs if not customer and entry.phone}
        await self._learn(unknown - self._known.keys())
        pairs = zip(entries, named, strict=True)
        return [customer or self._known.get(entry.phone, "") for entry, customer in pairs]

    async def _learn(self, phones: Collection[str]) -> None:
        if phones:
            found = await self._look_up(phones)
            for phone in phones:
                self._remember(phone, found.get(phone, ""))

    def _remember(self, phone: str, customer: str) -> None:
        self._known[phone] = customer
        self._known.move_to_end(phone)
        if len(self._known) > MAX_PHONES:
            self._known.popitem(last=False)
