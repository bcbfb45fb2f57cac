"""Thousands of phones of three customers, written into the database of a site, and how they register."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from config.models import GENERIC
from config.operations.audit import new_oid
from config.operations.phones.write import new_phone
from config.operations.products import find_model
from config.tables import Customer, Employee, Extension, SipPhone
from registrar.store.database import connect
from registrar.store.vault import Vault
from tests.peers.endpoint import Endpoint, Phone
from tests.peers.phone import Account, Address
from tests.peers.stream import StreamEndpoint
from tests.wire.site import Handset, Site

NAMES: Final = ("Acme", "Brugsen", "Contoso")
"""The customers, each with a third of the phones."""
FIRST_NAMES: Final = "Anna Bo Carla Dorte Erik Freja Gitte Hans Ida Jens Kirsten Lars Mette Ole".split()
LAST_NAMES: Final = "Andersen Bruun Dahl Eriksen Frandsen Gade Hansen Iversen Jensen Kjær Lund Madsen".split()
AGENTS: Final = ("Yealink SIP-T46U 108.86.0.20", "snomD785/10.1.184.15", "Polycom VVX 411")
AT_ONCE: Final = 40
"""Registrations that wait for their answers at the same time."""
PAUSE_SECONDS: Final = 0.5
TRIES: Final = 40
Work = Callable[[Handset], Awaitable[object]]


@dataclass(frozen=True)
class Crowd:
    """The phones, in the order in which a list has them."""

    customers: Sequence[str]
    handsets: Sequence[Handset]


async def settle(site: Site, number: int) -> Crowd:
    """Write `number` phones into the database, each of a person with an extension."""
    vault = Vault((Path(site.settings["data_dir"]) / "secret.key").read_text().strip())
    engine = connect(f"sqlite+aiosqlite:///{site.database}")
    try:
        async with AsyncSession(engine) as session, session.begin():
            customers = await _customers(session)
            return Crowd([one.oid for one in customers], await _phones(session, vault, customers, number))
    finally:
        await engine.dispose()


async def _customers(session: AsyncSession) -> list[Customer]:
    made = [
        Customer(oid=new_oid(), name=name, sip_domain=f"{name.lower()}.example", sip_display_name=name)
        for name in NAMES
    ]
    session.add_all(made)
    await session.flush()
    return made


async def _phones(
    session: AsyncSession, vault: Vault, customers: Sequence[Customer], number: int
) -> list[Handset]:
    model = await find_model(session, GENERIC)
    assert model is not None
    owners = [customers[place % len(customers)] for place in range(number)]
    people = [
        Employee(oid=new_oid(), customer_id=owner.id, name=_name(place), access_level="PERSONAL")
        for place, owner in enumerate(owners)
    ]
    session.add_all(people)
    await session.flush()
    extensions = [
        Extension(
            oid=new_oid(),
            customer_id=person.customer_id,
            number=str(1_000 + place),
            name=person.name,
            employee_id=person.id,
        )
        for place, person in enumerate(people)
    ]
    session.add_all(extensions)
    await session.flush()
    phones = [
        new_phone(vault, customer_id=one.customer_id, model_id=model.id, webrtc=False, extension_id=one.id)
        for one in extensions
    ]
    session.add_all(phones)
    await session.flush()
    return [_handset(phone, owner, vault) for phone, owner in zip(phones, owners, strict=True)]


def _handset(phone: SipPhone, owner: Customer, vault: Vault) -> Handset:
    password = vault.open(phone.password_enc, phone.oid)
    return Handset(phone.oid, Account(phone.username, password, owner.sip_domain or ""))


def _name(place: int) -> str:
    return f"{FIRST_NAMES[place % len(FIRST_NAMES)]} {LAST_NAMES[place // 7 % len(LAST_NAMES)]}"


async def each(handsets: Sequence[Handset], work: Work) -> None:
    """Do the work for each phone, AT_ONCE at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(handset: Handset) -> None:
        async with turns:
            await work(handset)

    await asyncio.gather(*map(one, handsets))


class Crew:
    """Phones over the listeners of one site; connections stay open until `close`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._connections: list[StreamEndpoint] = []
        self._shared: dict[Address, Endpoint] = {}
        self._opening = asyncio.Lock()

    async def udp(self, handset: Handset, *, expires: int = 3600) -> None:
        """Register over UDP, or with no time unregister."""
        assert await self.ask(handset, expires=expires) == 200

    async def ask(self, handset: Handset, source: Address = ("127.0.0.1", 0), expires: int = 3600) -> int:
        """Register over UDP from an address; the status of the answer."""
        async with self._opening:
            if source not in self._shared:
                self._shared[source] = await Endpoint.open(self._site.sip, source)
        phone = Phone(handset.account, self._shared[source], user_agent=agent_of(handset))
        return await patiently(phone, expires)

    async def tcp(self, handset: Handset) -> StreamEndpoint:
        """Register over a TCP connection of its own, which stays open."""
        endpoint = await StreamEndpoint.open(self._site.tcp)
        self._connections.append(endpoint)
        assert await patiently(Phone(handset.account, endpoint, user_agent=agent_of(handset)), 3600) == 200
        return endpoint

    async def close(self) -> None:
        """Close all sockets, and let the loop see it."""
        for endpoint in (*self._connections, *self._shared.values()):
            endpoint.close()
        await asyncio.sleep(PAUSE_SECONDS)


async def patiently(phone: Phone, expires: int) -> int:
    """The status of a registration, which is tried again while the database has too many first contacts."""
    for _ in range(TRIES):
        status = (await phone.register(expires)).status
        if status != 503:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return status


def agent_of(handset: Handset) -> str:
    """The same user agent for a phone each time."""
    return AGENTS[int(handset.id[:4], 16) % len(AGENTS)]
