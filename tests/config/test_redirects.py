"""The redirect outbox: from a change of a phone by the API to what a mock of the vendor's service knows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from config.access import AccessLevel
from config.chores import Chores
from config.database import writing
from config.leases import take_lease
from config.redirect.client import Client
from config.redirect.outbox import AT_ONCE, Outbox
from config.redirect.queue import FIRST_SECONDS, LAST_SECONDS, retry_seconds
from config.redirect.services import made
from config.redirect.worker import Redirector, without_secrets
from config.settings import ProvisioningSettings
from config.tables import RedirectLease
from tests.config.receiving import Clock
from tests.config.vendors import SERVE, Vendor, account, faulty, spelled, vendor
from tests.config.world import MODEL, Json, World
from tests.patience import limit

MAC, OTHER = "0004139ABCDE", "0004139ABCDF"
PHONES = ProvisioningSettings(url="https://prov.test", legacy_url="https://prov.test:8445")


class Office:
    """A world with accounts at services, and the job that asks them."""

    def __init__(self, world: World, **vendors: Vendor) -> None:
        self.vendors = vendors
        self.accounts = tuple(account(name, here) for name, here in vendors.items())
        self.world = world.but(provisioning=PHONES, redirects=self.accounts)
        self.clock = Clock()

    def job(self, owner: str = "one") -> Redirector:
        client = Client(seconds=limit(5))
        services = made(self.accounts, client, self.clock)
        world = self.world
        engines = world.engine, world.read_engine
        return Redirector(*engines, world.vault, client, services, self.clock, owner, look_seconds=0.02)

    @contextlib.asynccontextmanager
    async def working(self, *jobs: Redirector) -> AsyncIterator[None]:
        """The job runs for the length of the block."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for job in jobs or (self.job(),):
                tasks.create_task(job.run(stop))
            try:
                yield
            finally:
                stop.set()

    async def phone(self, model: str = "snom", **body: Any) -> Json:
        return await self.world.create(**{"sipPhoneModel": MODEL.get(model, model), "macAddress": MAC} | body)

    async def asked(self, method: str, phone: Json, path: str = "", **body: Any) -> Json:
        """What the API answers about a phone."""
        async with self.world.client(AccessLevel.ADMIN, None) as api:
            answer = await api.request(method, f"/pbx/sipphone/{phone['_id']}{path}", json=body or None)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def redirect(self, phone: Json) -> Json:
        found: Json = (await self.asked("GET", phone, "/provisioning"))["redirect"]
        return found

    async def states(self) -> list[tuple[Any, ...]]:
        return await self.world.rows("SELECT mac, service, state FROM redirect ORDER BY mac, service")

    async def until(self, *expected: tuple[str, str, str]) -> None:
        """Wait until the outbox has these rows, and no others."""
        async with asyncio.timeout(limit(60)):
            while await self.states() != list(expected):
                await asyncio.sleep(0.02)


async def mitel(world: World) -> str:
    ((oid,),) = await world.rows("SELECT oid FROM sip_phone_model WHERE brand = 'MITEL' AND model = '6867i'")
    return str(oid)


async def test_a_new_phone_is_registered_and_a_deleted_one_forgotten(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom:
        office = Office(world, snom=snom)
        async with office.working():
            phone = await office.phone()
            await office.until((MAC, "snom", "registered"))
            assert await office.redirect(phone) == {"service": "snom", "state": "registered", "error": None}
            first = snom.known[MAC]
            assert first.startswith("https://prov.test/p/")
            rearmed = await office.asked("POST", phone, "/provisioning", rearm=True)
            async with asyncio.timeout(limit(60)):
                while snom.known[MAC] != rearmed["url"]:
                    await asyncio.sleep(0.02)
            assert first != rearmed["url"]
            await office.asked("DELETE", phone)
            await office.until()
    assert snom.known == {}
    assert snom.most_at_once == 1


async def test_a_phone_that_moves_to_another_mac_address_or_vendor_takes_its_entry_along(
    world: World,
) -> None:
    async with vendor(SERVE["sraps"]) as sraps, vendor(SERVE["ymcs"]) as ymcs:
        office = Office(world, sraps=sraps, ymcs=ymcs)
        async with office.working():
            phone = await office.phone()
            await office.until((MAC, "sraps", "registered"))
            await office.asked("PATCH", phone, macAddress=OTHER)
            await office.until((OTHER, "sraps", "registered"))
            assert set(sraps.known) == {spelled("sraps", OTHER)}
            await office.asked("PATCH", phone, sipPhoneModel=MODEL["yealink"])
            await office.until((OTHER, "ymcs", "registered"))
    assert (sraps.known, set(ymcs.known)) == ({}, {spelled("ymcs", OTHER)})
    assert sraps.forged == ymcs.forged == []


async def test_the_phones_of_a_model_move_to_another_service_with_it(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom, vendor(SERVE["sraps"]) as sraps:
        office = Office(world, snom=snom, sraps=sraps)
        async with office.working():
            phone = await office.phone()
            await office.until((MAC, "sraps", "registered"))
            async with office.world.client(AccessLevel.ADMIN) as api:
                path = f"/pbx/sipphonemodels/{phone['sipPhoneModel']}"
                answer = await api.patch(path, json={"redirectService": "manual"})
            assert answer.status_code == 200, answer.text
            await office.until((MAC, "manual", "manual"))
    assert sraps.known == {}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [({"writer": "yealink", "softkeyCapabilities": []}, ".cfg"), ({"legacyTls": True}, "prov.test:8445/")],
    ids=["writer", "old TLS"],
)
async def test_the_url_at_a_service_follows_the_model(world: World, changes: Json, shown: str) -> None:
    async with vendor(SERVE["snom"]) as snom:
        office = Office(world, snom=snom)
        async with office.working():
            phone = await office.phone()
            await office.until((MAC, "snom", "registered"))
            first = snom.known[MAC]
            async with office.world.client(AccessLevel.ADMIN) as api:
                path = f"/pbx/sipphonemodels/{phone['sipPhoneModel']}"
                answer = await api.patch(path, json=changes)
            assert answer.status_code == 200, answer.text
            async with asyncio.timeout(limit(60)):
                while snom.known[MAC] == first:
                    await asyncio.sleep(0.02)
    assert first.endswith(".xml") and shown not in first and shown in snom.known[MAC]


async def test_a_foreign_phone_is_asked_for_once_and_again_if_staff_says_so(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom:
        snom.foreign.add(MAC)
        office = Office(world, snom=snom)
        async with office.working():
            phone = await office.phone()
            await office.until((MAC, "snom", "foreign"))
            error = "Error:owned_by_other_user"
            assert await office.redirect(phone) == {"service": "snom", "state": "foreign", "error": error}
            office.clock.ahead += 10 * LAST_SECONDS
            await asyncio.sleep(0.2)
            assert len(snom.asked) == 1, "it is never tried again by itself"
            snom.foreign.clear()
            await office.asked("POST", phone, "/provisioning", redirect=True)
            await office.until((MAC, "snom", "registered"))


async def test_the_entry_of_another_provider_is_left_alone_when_its_phone_is_deleted(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom:
        snom.foreign.add(MAC)
        office = Office(world, snom=snom)
        async with office.working():
            phone = await office.phone()
            await office.until((MAC, "snom", "foreign"))
            await office.asked("DELETE", phone)
            assert await office.states() == []
    assert len(snom.asked) == 1


async def test_a_service_that_is_down_is_asked_again_and_the_api_does_not_wait(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom:
        office = Office(world, snom=snom)
        with faulty(snom, lambda _: (503, b"")):
            async with office.working():
                phone = await office.phone()
                other = await office.phone(macAddress=OTHER)
                async with asyncio.timeout(limit(60)):
                    while (await office.redirect(other))["error"] is None:
                        await asyncio.sleep(0.02)
                assert await office.redirect(phone) == {
                    "service": "snom", "state": "pending", "error": "status 503"
                }  # fmt: skip
                asked = len(snom.asked)
                office.clock.ahead += FIRST_SECONDS - 5
                await asyncio.sleep(0.2)
                assert len(snom.asked) == asked == 2, "each waits for its time"
                await office.asked("DELETE", other)
                async with asyncio.timeout(limit(60)):
                    while len(snom.asked) == asked:
                        await asyncio.sleep(0.02)
                assert (OTHER, "snom", "pending") in await office.states(), "until it is forgotten there"
        office.clock.ahead += 600
        async with office.working(office.job("two")):
            await office.until((MAC, "snom", "registered"))
    assert snom.most_at_once == 1


async def test_without_an_account_nothing_is_sent_until_there_is_one(world: World) -> None:
    office = Office(world)
    phone = await office.phone()
    assert await office.redirect(phone) == {"service": "snom", "state": "off", "error": None}
    assert await office.states() == [], "no secret was made for it"
    await office.asked("POST", phone, "/provisioning", rearm=True)
    assert (await office.redirect(phone))["state"] == "off"
    async with vendor(SERVE["sraps"]) as sraps:
        later = Office(world, sraps=sraps)
        async with later.working():
            await later.until((MAC, "sraps", "registered"))


async def test_phones_from_before_the_account_are_settled_by_themselves(world: World) -> None:
    """Phones from before an upgrade have no row at all; three batches here, and no phone twice."""
    office = Office(world)
    macs = [f"0004139AB{number:03X}" for number in range(2 * AT_ONCE + 2)]
    for mac in macs:
        await office.phone(macAddress=mac)
    await office.phone("grandstream", macAddress="000B82000001", serial="S1")
    used = macs[0]
    await office.asked("POST", {"_id": await _id(world, used)}, "/provisioning", rearm=True)
    await world.execute("UPDATE provisioning SET first_sha256 = NULL, first_enc = NULL")
    await world.execute("DELETE FROM redirect")
    async with vendor(SERVE["sraps"]) as sraps:
        later = Office(world, sraps=sraps)
        chores = Chores(later.world.app().state.parts)
        assert await chores.settle() == len(macs)
        assert await later.states() == [(mac, "sraps", "pending") for mac in macs if mac != used]
        assert await chores.settle() == 0, "each phone once in the life of a process"
    off = Chores(world.app().state.parts)
    assert await off.settle() == 0


async def test_a_phone_that_cannot_be_settled_does_not_hold_up_those_behind_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(world)
    macs = [f"0004139AC{number:03X}" for number in range(AT_ONCE + 2)]
    for mac in macs:
        await office.phone(macAddress=mac)
        await office.asked("POST", {"_id": await _id(world, mac)}, "/provisioning", rearm=True)
    spoiled = macs[3]
    await world.execute("UPDATE provisioning SET first_enc = 'of a lost key' WHERE mac = :mac", mac=spoiled)
    await world.execute("DELETE FROM redirect")
    async with vendor(SERVE["sraps"]) as sraps:
        later = Office(world, sraps=sraps)
        chores = Chores(later.world.app().state.parts)
        assert await chores.settle() == len(macs)
    assert await later.states() == [(mac, "sraps", "pending") for mac in macs if mac != spoiled]
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert spoiled in told.getMessage() and "not told" in told.getMessage()


async def test_phones_are_settled_again_after_the_database_was_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Office(world).phone()
    await world.execute("DELETE FROM redirect")

    async def away(*_: object) -> None:
        raise OperationalError("SELECT", {}, OSError("gone"))

    async with vendor(SERVE["sraps"]) as sraps:
        later = Office(world, sraps=sraps)
        chores = Chores(later.world.app().state.parts)
        with monkeypatch.context() as broken:
            broken.setattr(Outbox, "settle", away)
            with pytest.raises(OperationalError):
                await chores.settle()
        assert await chores.settle() == 1
    assert await later.states() == [(MAC, "sraps", "pending")]


async def _id(world: World, mac: str) -> str:
    ((oid,),) = await world.rows("SELECT oid FROM sip_phone WHERE mac = :mac", mac=mac)
    return str(oid)


async def test_a_phone_that_was_never_told_of_is_not_forgotten_by_a_request(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom:
        office = Office(world, snom=snom)
        phone = await office.phone()
        await office.until((MAC, "snom", "pending"))
        await office.asked("DELETE", phone)
        assert await office.states() == []
        async with office.working():
            await asyncio.sleep(0.1)
    assert snom.asked == []


async def test_a_vendor_without_an_interface_is_a_list_to_hand_in(world: World) -> None:
    office = Office(world)
    phone = await office.phone(await mitel(world), macAddress="00085DABCDEF")
    assert await office.redirect(phone) == {"service": "manual", "state": "manual", "error": None}
    async with office.world.client(AccessLevel.MANAGER) as api:
        answer = await api.get("/pbx/provisioning/redirects.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    head, row = answer.text.split("\r\n")[:-1]
    assert head == "mac,url,service,customer"
    mac, url, service, customer = row.split(",")
    assert (mac, service, customer) == ("00085DABCDEF", "manual", world.ids["acme"])
    assert url.startswith("https://prov.test/p/")
    async with office.world.client(AccessLevel.MANAGER, "rival") as api:
        assert (await api.get("/pbx/provisioning/redirects.csv")).text == head + "\r\n"
    await office.asked("DELETE", phone)
    assert await office.states() == []


async def test_the_list_needs_the_level_that_reads_passwords(world: World) -> None:
    strict = world.but(secrets_level=AccessLevel.OWNER)
    async with strict.client(AccessLevel.MANAGER) as api:
        assert (await api.get("/pbx/provisioning/redirects.csv")).status_code == 403
    async with strict.client(AccessLevel.OWNER) as api:
        assert (await api.get("/pbx/provisioning/redirects.csv")).status_code == 200


async def test_the_phones_of_a_deleted_customer_are_forgotten(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom:
        office = Office(world, snom=snom)
        async with office.working():
            await office.phone(customer=world.ids["below"])
            await office.until((MAC, "snom", "registered"))
            async with office.world.client(AccessLevel.ADMIN, None) as api:
                assert (await api.delete(f"/customer/{world.ids['below']}")).status_code == 200
            await office.until()
    assert snom.known == {}


async def test_one_of_two_processes_asks_the_services(world: World) -> None:
    async with vendor(SERVE["snom"]) as snom:
        office = Office(world, snom=snom)
        async with office.working(office.job("one"), office.job("two")):
            for number in range(6):
                await office.phone(macAddress=f"0004139ABC{number:02}")
            rows = [(f"0004139ABC{number:02}", "snom", "registered") for number in range(6)]
            await office.until(*rows)
    assert (len(snom.asked), snom.most_at_once) == (6, 1)
    taken = await writing(world.engine, lambda session: take_lease(session, RedirectLease, "x", Clock()()))
    assert taken, "a process that stops gives up its lease"


async def test_neither_log_nor_database_has_the_secret(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with vendor(lambda here, asked: SERVE["snom"](here, asked)) as snom:
        office = Office(world, snom=snom)
        secret = "abcdefghijklmnopqrstuvwxyz"
        answer = (
            f"<methodResponse><fault><value>https://prov.test/p/{secret}/x</value></fault></methodResponse>"
        )
        assert secret not in without_secrets(answer, f"https://prov.test/p/{secret}/{MAC}.xml")
        with caplog.at_level("DEBUG", "config.redirect"):
            async with office.working():
                await office.phone()
                await office.until((MAC, "snom", "registered"))
        told = snom.known[MAC].split("/")[4]
        rows = await world.rows("SELECT * FROM redirect")
    assert len(told) == 26
    assert told not in caplog.text and told not in repr(rows)


@pytest.mark.parametrize(
    ("tries", "chance", "seconds"),
    [(1, 0.0, 30), (1, 1.0, 37.5), (2, 0.0, 45), (2, 1.0, 75), (7, 0.5, 1_920), (8, 0.0, 2_700)],
)
def test_the_time_to_the_next_try_grows(tries: int, chance: float, seconds: float) -> None:
    assert retry_seconds(tries, chance) == seconds
    assert all(FIRST_SECONDS <= retry_seconds(one, chance) <= LAST_SECONDS for one in range(1, 200))
