"""People with phones, and the groups and queues that they are members of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.peers.calling import CallingPhone
from tests.peers.calling_session import Incoming
from tests.wire.callers import Callers, Extension
from tests.wire.site import Site

_numbers = count(60_001)


@dataclass(frozen=True)
class Person:
    """Somebody with an extension, and the phones that are registered for it."""

    extension: Extension
    phones: tuple[CallingPhone, ...]

    @property
    def id(self) -> str:
        return self.extension.id

    @property
    def phone(self) -> CallingPhone:
        """The first one."""
        return self.phones[0]

    def state(self, site: Site) -> dict[str, str]:
        """What Redis has of the person."""
        return dict(site.redis("hgetall", f"registrar:person:{{{self.id}}}"))


@dataclass(frozen=True)
class Place:
    """A group or queue as the API made it."""

    kind: str
    id: str
    number: str

    def waiting(self, site: Site) -> list[str]:
        """The calls that wait there, first come first."""
        found: list[str] = site.redis("zrange", f"registrar:{self.kind}:{{{self.id}}}:waiting", "0", "-1")
        return [one.partition("|")[0] for one in found]


class Office:
    """Makes people, groups and queues for one test."""

    def __init__(self, callers: Callers) -> None:
        self.callers = callers

    async def person(self, devices: int = 1, transport: str = "udp", site: Site | None = None) -> Person:
        """Somebody whose phones are registered, with another server if `site` is given."""
        extension = self.callers.extension(devices)
        phones = [await self.callers.phone(one, transport, site=site) for one in extension.handsets]
        return Person(extension, tuple(phones))

    async def people(self, number: int, devices: int = 1) -> list[Person]:
        return [await self.person(devices) for _ in range(number)]

    def group(self, people: Sequence[Person], **fields: Any) -> Place:
        """A group of them; `fields` as the API names them."""
        return self._place("group", {"members": [one.id for one in people], **fields})

    def queue(self, *members: dict[str, Any], **fields: Any) -> Place:
        """A queue; each member is `{"group": id}` or `{"extension": id}` and its settings."""
        rows = [{"priority": at, **member} for at, member in enumerate(members, 1)]
        return self._place("queue", {"members": rows, **fields})

    def change(self, place: Place, **fields: Any) -> None:
        reply = self.callers.site.api("PATCH", f"/pbx/{place.kind}/{place.id}", fields)
        assert reply.status == 200, reply

    def _place(self, kind: str, fields: dict[str, Any]) -> Place:
        number = str(next(_numbers))
        about = {"number": number, "name": f"{kind.title()} {number}", **fields}
        reply = self.callers.site.api("POST", f"/pbx/{kind}", about)
        assert reply.status == 200, reply
        return Place(kind, reply.body["_id"], number)


async def rung(people: Sequence[Person], nth: int = 0) -> list[Incoming]:
    """The calls that ring at all phones of these people."""
    return [await phone.incoming(nth=nth) for one in people for phone in one.phones]
