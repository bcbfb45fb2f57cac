"""The schema, the views of the SIP side, and the demo tenant."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.access import AccessLevel
from config.database import check_fingerprint, migrate, schema_problem, writing
from config.operations.demo import demo_tenant
from config.settings import ApiSettings
from config.tables import Table
from registrar.errors import ConfigurationError
from registrar.store.database import connect
from registrar.store.vault import Vault
from tests.config.world import SECRET_KEY, SETTINGS, World

FIRST_CONTACT = (
    "UPDATE sip_phone SET ip_mode='LOCKED', ip_address=:a, version=version+1 WHERE oid=:id AND ip_mode='OPEN'"
)


async def test_a_fresh_database_says_that_it_has_no_schema(database_url: str) -> None:
    engine = connect(database_url)
    assert await schema_problem(engine) == "the database has no schema yet: run registrar migrate"
    await migrate(engine)
    assert await schema_problem(engine) is None
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'future'"))
    assert "newer than this program" in str(await schema_problem(engine))
    await engine.dispose()


async def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    engines = [connect(database_url) for _ in range(4)]
    await asyncio.gather(*(migrate(engine) for engine in engines))
    assert await schema_problem(engines[0]) is None
    for engine in engines:
        await engine.dispose()


async def test_the_migrations_make_what_the_tables_say(world: World) -> None:
    def differences(connection: Connection) -> list[object]:
        found = compare_metadata(MigrationContext.configure(connection), Table.metadata)
        return [difference for difference in found if not is_of_trigrams(difference)]

    def is_of_trigrams(difference: tuple[Any, ...]) -> bool:
        """Those indexes are PostgreSQL's alone, where it has the extension."""
        return difference[0] == "remove_index" and str(difference[1].name).endswith("_trigrams")

    async with world.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_database_knows_its_secret_key(world: World) -> None:
    await asyncio.gather(*(check_fingerprint(world.engine, world.vault) for _ in range(3)))
    with pytest.raises(ConfigurationError, match="REGISTRAR_SECRET_KEY is not the key"):
        await check_fingerprint(world.engine, Vault("another key"))
    await check_fingerprint(world.engine, Vault(SECRET_KEY))


async def test_a_writer_that_lost_a_race_tries_again(world: World) -> None:
    tries = 0

    async def work(session: AsyncSession) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            await session.execute(text("INSERT INTO customer SELECT * FROM customer"))
        return tries

    assert await writing(world.engine, work) == 3


async def test_a_writer_that_always_loses_gives_up(world: World) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(text("INSERT INTO customer SELECT * FROM customer"))

    with pytest.raises(IntegrityError):
        await writing(world.engine, work)


async def test_writers_that_wait_for_each_other_both_get_their_way(world: World) -> None:
    both_hold_one = asyncio.Event()
    held: set[str] = set()

    def crossing(first: str, second: str) -> Callable[[AsyncSession], Awaitable[str]]:
        async def work(session: AsyncSession) -> str:
            lock = text("UPDATE customer SET version = version + 1 WHERE name = :name")
            await session.execute(lock, {"name": first})
            held.add(first)
            if len(held) == 2:
                both_hold_one.set()
            with contextlib.suppress(TimeoutError):  # SQLite has one writer at a time: nobody can cross it
                await asyncio.wait_for(both_hold_one.wait(), 0.5)
            await session.execute(lock, {"name": second})
            return first

        return work

    done = await asyncio.gather(
        writing(world.engine, crossing("Acme", "Rival")), writing(world.engine, crossing("Rival", "Acme"))
    )
    assert sorted(done) == ["Acme", "Rival"]
    versions = await world.rows("SELECT version FROM customer WHERE name IN ('Acme', 'Rival')")
    assert versions == [(3,), (3,)]


async def test_the_view_shows_what_the_sip_side_needs(world: World) -> None:
    phone = await world.create(
        extension=world.ids["ext200"], pbxCluster=2, ip={"mode": "ROAMING", "countries": "DK,SE"}
    )
    (row,) = await world.rows("SELECT * FROM phone_v1")
    ((sealed,),) = await world.rows("SELECT password_enc FROM sip_phone")
    assert row == (
        phone["_id"],
        3,
        phone["username"],
        "acme.test",
        sealed,
        None,
        None,
        world.ids["acme"],
        "ACTIVE",
        "200",
        1,
        "ROAMING",
        "DK,SE",
        "",
        "PHONE",
        2,
        0,
        "",
        "",
        "phone",
        None,
        "Ext 200",
        1,
        0,
        await number_of(world, "ext200"),
        world.ids["ext200"],
        "///////",
    )


async def number_of(world: World, extension: str) -> int:
    ((found,),) = await world.rows("SELECT id FROM extension WHERE oid = :oid", oid=world.ids[extension])
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    ("state", "domains"),
    [
        ("ACTIVE", ["acme.test", "rival.test"]),
        ("BLOCKED", ["acme.test", "rival.test"]),
        ("DELETED", ["acme.test"]),
    ],
)
async def test_domains_are_those_of_customers_that_are_not_deleted(
    world: World, state: str, domains: list[str]
) -> None:
    await world.execute("UPDATE customer SET state = :state WHERE name = 'Rival'", state=state)
    rows = await world.rows("SELECT domain FROM domain_v1 ORDER BY domain")
    assert rows == [(domain,) for domain in domains]


async def test_an_error_does_not_tell_the_parameters(world: World) -> None:
    with pytest.raises(IntegrityError) as caught:
        await world.execute(
            "INSERT INTO installation (id, secret_fingerprint, created_at)"
            " VALUES (2, :mark, CURRENT_TIMESTAMP)",
            mark="the value of a parameter",
        )
    assert "INSERT INTO installation" in str(caught.value)
    assert "the value of a parameter" not in str(caught.value)


def test_errors_of_postgresql_do_not_tell_the_parameters_either() -> None:
    pytest.importorskip("asyncpg")
    assert connect("postgresql+asyncpg://host/name").sync_engine.hide_parameters


async def test_the_version_of_a_phone_never_shrinks(world: World) -> None:
    await world.execute("UPDATE extension SET version = 40 WHERE oid = :oid", oid=world.ids["ext200"])
    phone = await world.create(extension=world.ids["ext200"])
    versions = await world.rows("SELECT version FROM phone_v1")
    async with world.client() as client:
        for extension in (world.ids["ext201"], world.ids["ext200"], None, world.ids["ext201"], None):
            path = f"/pbx/sipphone/{phone['_id']}"
            assert (await client.patch(path, json={"extension": extension})).status_code == 200
            versions += await world.rows("SELECT version FROM phone_v1")
    assert versions == sorted(set(versions))


async def test_the_first_contact_of_the_sip_side_locks_once(world: World) -> None:
    phone = await world.create()
    for address in ("192.0.2.1", "192.0.2.2"):
        await world.execute(FIRST_CONTACT, a=address, id=phone["_id"])
    rows = await world.rows("SELECT ip_mode, ip_address, version FROM phone_v1")
    assert rows == [("LOCKED", "192.0.2.1", 3)]


async def test_the_demo_tenant_is_made_once(database_url: str) -> None:
    engines: list[AsyncEngine] = [connect(database_url) for _ in range(3)]
    await migrate(engines[0])
    vault = Vault(SECRET_KEY)
    found = await asyncio.gather(*(demo_tenant(engine, SETTINGS, vault) for engine in engines))
    found.append(await demo_tenant(engines[0], SETTINGS, vault))
    for engine in engines:
        await engine.dispose()
    assert all({**one, "token": ""} == {**found[0], "token": ""} for one in found)
    keys = {"token", "login", "customer", "domain", "domainId", "models", "extensions", "phones"}
    keys |= {"examples", "webrtc"}
    assert set(found[0]) == keys


async def test_a_demo_tenant_whose_number_is_taken_is_one_line(world: World) -> None:
    await demo_tenant(world.engine, world.settings, world.vault)
    await world.execute(
        "DELETE FROM sip_phone WHERE extension_id = (SELECT id FROM extension WHERE number = '203')"
    )
    await world.execute("DELETE FROM extension WHERE number = '203'")
    await world.execute("UPDATE number SET kind = 'queue' WHERE number = '203'")
    with pytest.raises(
        ConfigurationError, match=r"^the demo tenant: The number 203 is in use by another queue$"
    ):
        await demo_tenant(world.engine, world.settings, world.vault)


async def test_a_demo_tenant_of_before_gets_its_phone_for_the_browser(world: World) -> None:
    first = await demo_tenant(world.engine, world.settings, world.vault)
    await world.execute("DELETE FROM sip_phone WHERE instance_id IS NOT NULL")
    again, found = [await demo_tenant(world.engine, world.settings, world.vault) for _ in range(2)]
    assert again["phones"] == first["phones"]
    assert again["webrtc"] == found["webrtc"] != first["webrtc"]
    rows = await world.rows("SELECT oid, webrtc FROM sip_phone WHERE instance_id = 'demo-browser'")
    assert isinstance(again["webrtc"], dict)
    assert [(oid, bool(webrtc)) for oid, webrtc in rows] == [(again["webrtc"]["_id"], True)]


async def test_the_demo_token_opens_everything(world: World) -> None:
    demo = await demo_tenant(world.engine, world.settings, world.vault)
    headers = {"Authorization": f"Bearer {demo['token']}"}
    async with world.client(None) as client:
        listed = (await client.get("/pbx/sipphone", headers=headers)).json()
        webrtc = await client.post("/pbx/sipphone/webrtc", json={"instanceId": "demo"}, headers=headers)
    assert listed["total"] == 5
    assert webrtc.json()["extensionNumber"] == "200"
    assert demo["domain"] == "demo.test"


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_a_short_secret_stops_the_start(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="REGISTRAR_JWT_SECRET must have at least 32 bytes"):
        ApiSettings("a.test", "", None, "", secret, AccessLevel.VIEWER)
