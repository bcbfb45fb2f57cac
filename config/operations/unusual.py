"""Registrations from a country, or by a brand of phone, that an account was not used with before.

They are found behind the path of a REGISTER: the events of registrations are read from the stream, and
compared with what is stored of each account. One process at a time does it, which has the lease.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Epoch, EventKind
from registrar.store.event_stream import FIRST, Entry, order

from ..leases import take_lease
from ..tables import AccountSeen, SeenFeed

MAX_SEEN: Final = 24
"""Countries, and brands, that are kept of an account; the one seen longest ago goes first."""
MAX_BRAND: Final = 24
NEW_COUNTRY: Final = "country"
NEW_BRAND: Final = "user-agent"
REGISTRATIONS: Final = (EventKind.REGISTERED, EventKind.MOVED)
_BRAND: Final = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Sighting:
    """One registration, as far as it tells who uses an account."""

    entry: Entry
    country: str
    """Empty if the address has none, or if there is no country file."""

    @property
    def phone(self) -> str:
        """Return the id of the account."""
        return self.entry.phone

    @property
    def brand(self) -> str:
        """Return the first word of the User-Agent: the version changes with each update of a phone."""
        found = _BRAND.search(self.entry.fields.get("userAgent", ""))
        return found[0][:MAX_BRAND].lower() if found else ""

    def event(self, what: str) -> Mapping[str, str]:
        """Return the fields of the event; its key is the same if it is written twice."""
        told = self.entry.fields
        kept = ("phone", "customer", "time", "ip", "port", "transport", "userAgent")
        fields = {name: told.get(name, "") for name in kept}
        key = f"unusual:{what}:{self.entry.key}"
        return {"key": key, "event": "unusual", "reason": what, "country": self.country, **fields}


def is_registration(entry: Entry) -> bool:
    """Return whether an event tells from where an account is used."""
    return entry.fields.get("event") in REGISTRATIONS and bool(entry.phone and entry.fields.get("ip"))


def learned(known: str, new: str) -> tuple[str, bool]:
    """Return a list of words with one more, and whether that is unusual: the first one is not."""
    words = known.split()
    if not new or (words and words[-1] == new):
        return known, False
    is_unusual = bool(words) and new not in words
    kept = [word for word in words if word != new]
    return " ".join([*kept, new][-MAX_SEEN:]), is_unusual


async def position(session: AsyncSession) -> str:
    """Return up to where the events were read."""
    return await session.scalar(select(SeenFeed.position)) or FIRST


async def settle(
    session: AsyncSession, sightings: Sequence[Sighting], last: str, owner: str, now: Epoch
) -> list[Mapping[str, str]] | None:
    """Compare the sightings up to the position `last`, and return the events to tell.

    Return None if another process has the lease: then it does this. What was read already is left out.
    """
    if not await take_lease(session, SeenFeed, owner, now):
        return None
    begun = order(await position(session))
    told = await compare(session, [one for one in sightings if order(one.entry.id) > begun])
    if order(last) > begun:
        await session.execute(update(SeenFeed).values(position=last))
    return told


async def compare(session: AsyncSession, sightings: Sequence[Sighting]) -> list[Mapping[str, str]]:
    """Store what was seen, and return the events of what was not seen before."""
    wanted = {one.phone for one in sightings}
    rows = await session.scalars(select(AccountSeen).where(AccountSeen.phone_oid.in_(wanted)))
    accounts = {row.phone_oid: row for row in rows}
    told: list[Mapping[str, str]] = []
    for one in sightings:
        seen = accounts.get(one.phone)
        if seen is None:
            seen = accounts[one.phone] = AccountSeen(phone_oid=one.phone, countries="", brands="")
            session.add(seen)
        seen.countries, is_new_country = learned(seen.countries, one.country)
        seen.brands, is_new_brand = learned(seen.brands, one.brand)
        told += [one.event(NEW_COUNTRY)] if is_new_country else []
        told += [one.event(NEW_BRAND)] if is_new_brand else []
    return told
