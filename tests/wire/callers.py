"""Phones that call each other over a server, and the extensions that they belong to."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

from tests.patience import limit, pause
from tests.peers.calling import CallingPhone
from tests.peers.calling_dialog import Dialog
from tests.peers.calling_line import LOCAL
from tests.peers.calling_session import SOON, Incoming, Outgoing
from tests.peers.phone import Account, Address
from tests.wire.site import Handset, Site, within

CALLS: Final = "registrar:call:*"
DOMAIN_SECONDS: Final = 3.0
_numbers = count(2001)


@dataclass(frozen=True)
class Extension:
    """A number with phones that nobody has registered yet."""

    id: str
    number: str
    name: str
    """What others see of it."""
    handsets: tuple[Handset, ...]

    @property
    def handset(self) -> Handset:
        """The first one."""
        return self.handsets[0]


class Callers:
    """The phones of one test over one server. In its end all are closed, and names are looked for.

    Nobody ever receives a byte sequence that is the username of somebody else: each test proves it.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._phones: list[CallingPhone] = []
        self._told: set[str] = set()

    def told(self, username: str) -> None:
        """Somebody dialled this name, and so may hear it again."""
        self._told.add(username)

    def extension(
        self, phones: int = 1, *, customer: str = "", domain: str = "", code: bool = False
    ) -> Extension:
        """A new extension of the demo tenant, or of another customer, with so many phones.

        `code`: its number begins with `*` and ends with `#`.
        """
        number = f"*{next(_numbers)}#" if code else str(next(_numbers))
        name = f"Person {number}"
        whose = {"customer": customer} if customer else {}
        reply = self.site.api("POST", "/pbx/extension", {"number": number, "name": name, **whose})
        assert reply.status == 200, reply
        made = [self.site.new_phone(extension=reply.body["_id"], **whose) for _ in range(phones)]
        if domain:
            made = [
                Handset(one.id, Account(one.account.username, one.account.password, domain)) for one in made
            ]
        return Extension(reply.body["_id"], number, name, tuple(made))

    def customer(self) -> tuple[str, str]:
        """Another customer and its domain, which the server serves now."""
        domain = f"d{time.time_ns()}.example"
        reply = self.site.api("POST", "/customer", {"name": "Other", "sipDomain": domain})
        assert reply.status == 200, reply
        return reply.body["_id"], domain

    def user(self, domain: str, name: str, number: str, password: str = "a secret of theirs") -> Handset:
        """A SIP user of that domain, who has no phone of ours."""
        rows = self.site.api("GET", f"/config/v2/sip/domains?filter[]=domain-eq-value-{domain}")
        assert rows.status == 200, rows
        about = {"user": name, "password": password, "displayName": name.title(), "extensionNumber": number}
        reply = self.site.api("POST", f"/config/v2/sip/domains/{rows.body['domainId']}/users", about)
        assert reply.status in (200, 201), reply
        return Handset(f"u{reply.body['userId']}", Account(name, password, domain))

    async def connect(
        self,
        handset: Handset,
        transport: str = "udp",
        *,
        source: Address = LOCAL,
        instance: str = "",
        name: str = "",
        site: Site | None = None,
    ) -> CallingPhone:
        """A phone that has said nothing yet."""
        server = (site or self.site).listeners[transport]
        phone = await CallingPhone.open(
            handset.account, server, transport, source=source, instance=instance, name=name
        )
        self._phones.append(phone)
        return phone

    async def phone(
        self,
        handset: Handset,
        transport: str = "udp",
        *,
        source: Address = LOCAL,
        instance: str = "",
        name: str = "",
        site: Site | None = None,
    ) -> CallingPhone:
        """A phone that is registered."""
        phone = await self.connect(handset, transport, source=source, instance=instance, name=name, site=site)
        answer = await phone.register()
        assert answer.status == 200, answer
        return phone

    async def pair(
        self, first: str = "udp", second: str = "udp"
    ) -> tuple[CallingPhone, CallingPhone, Extension, Extension]:
        """Two phones of two extensions over these transports, and the extensions."""
        a, b = self.extension(), self.extension()
        return await self.phone(a.handset, first), await self.phone(b.handset, second), a, b

    async def talking(
        self, first: str = "udp", second: str = "udp"
    ) -> tuple[Outgoing, Incoming, CallingPhone, CallingPhone]:
        """Two phones in a call: its two sides, and the phones."""
        a, b, _, called = await self.pair(first, second)
        outgoing, incoming = await talk(a, b, called.number)
        return outgoing, incoming, a, b

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        faults: list[str] = []
        for phone in self._phones:
            await phone.close()
            print(phone.trace())
            faults += [f"{phone.account.username}: {fault}" for fault in phone.faults]
        for phone in self._phones:
            names = {other.account.username for other in self._phones} - {phone.account.username} - self._told
            faults += [f"{phone.account.username} saw {name}" for name in names if saw(phone, name)]
        assert not faults, "\n".join(faults)


async def talk(a: CallingPhone, b: CallingPhone, number: str) -> tuple[Outgoing, Incoming]:
    """A calls a number, B takes the call: its two sides, when both know that they talk."""
    before = len(b.calls)
    outgoing = await a.call(number)
    incoming = await b.incoming(nth=before)
    incoming.ring()
    await outgoing.provisional(180)
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    return outgoing, incoming


async def eventually(holds: Callable[[], object], what: str, seconds: float = SOON) -> float:
    """How long it took until `holds()` was true; fails when it takes longer than `limit(seconds)`.

    Phones go on meanwhile.
    """
    begin, most = time.monotonic(), limit(seconds)
    while not holds():
        waited = time.monotonic() - begin
        assert waited < most, f"not within {most:g} s: {what}"
        await asyncio.sleep(pause(waited))
    return time.monotonic() - begin


def saw(phone: CallingPhone, text: str) -> bool:
    """Whether a phone received these octets, in whichever case."""
    return text.lower().encode() in phone.octets.lower()


def call_keys(site: Site) -> list[str]:
    """The keys of all calls in Redis."""
    found: list[str] = site.redis("keys", CALLS)
    return found


def calls_of(site: Site, call_id: str) -> list[dict[str, Any]]:
    """The calls in Redis with that Call-ID."""
    hashes = [dict(site.redis("hgetall", key)) for key in call_keys(site)]
    return [one for one in hashes if one.get("callId") == call_id]


def call_events(site: Site, call_id: str) -> list[dict[str, str]]:
    """The events of one call, oldest first."""
    entries = site.redis("xrange", "registrar:events", "-", "+") or []
    rows = [dict(zip(words[::2], words[1::2], strict=True)) for _, words in entries]
    return [row for row in rows if row.get("callId") == call_id]


def is_served(site: Site, domain: str) -> None:
    """Wait until a server has heard of a domain; blocks."""
    from tests.wire.cluster import _serves

    within(DOMAIN_SECONDS, lambda: _serves(site, domain), "the domain is served")


def stranger(dialog: Dialog, **changes: object) -> Dialog:
    """The dialog as somebody may forge it."""
    return Dialog(**{**vars(dialog), **changes})
