"""Models at an upgrade: those of before are corrected, those that an ADMIN touched stay."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from config import models
from config.access import AccessLevel
from config.database import migrate
from config.models import MODELS, seed_models, seeding
from config.models.seeding import digest
from config.models.versions import VERSIONS, writer_oid
from registrar.store.database import connect
from tests.config.test_migrations import load_former
from tests.config.world import MODEL, World

LONG_AGO = "2020-01-02"
ASK = "SELECT softkeys, writer FROM sip_phone_model WHERE oid = :oid"


async def execute(engine: AsyncEngine, statement: str, **values: object) -> Any:
    async with engine.begin() as connection:
        done = await connection.execute(text(statement), values)
        return done.one_or_none() if done.returns_rows else None


async def seed(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await seed_models(connection)


def models_of_before(engine: AsyncEngine) -> Callable[[], Awaitable[None]]:
    """Return a function that inserts the seven models as the program of before did, where there are none."""
    rows = """
        INSERT INTO sip_phone_model (oid, created_at, updated_at, brand, brand_name, model, description,
          extensions, softkeys, softkey_labels, softkey_capabilities, multiple_handsets, provision,
          mac_redirect, custom_ringtones, sip_config_reload, requires_serial, max_side_panels,
          ringer_volume_min, ringer_volume_max, ringer_tone_max, handset_mic_min, handset_mic_max,
          handset_speaker_min, handset_speaker_max, headset_mic_min, headset_mic_max, headset_speaker_min,
          headset_speaker_max, handsfree_mic_min, handsfree_mic_max, handsfree_speaker_min,
          handsfree_speaker_max)
        VALUES (:oid, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 'GRANDSTREAM', 'Grandstream', 'GXP2170',
          'Desk phone', 1, 12, true, :functions, false, true, true, false, true, true, 4,
          0, 8, 3, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8)
    """
    functions = "[" + ", ".join(f'"{function}"' for function in models.FUNCTIONS) + "]"

    async def insert() -> None:
        if engine.dialect.name == "postgresql":  # the former database is empty there
            await execute(engine, rows, oid=MODEL["grandstream"], functions=functions)

    return insert


async def test_models_of_the_earlier_list_are_corrected_at_an_upgrade(database_url: str) -> None:
    engine = await load_former(database_url)
    await models_of_before(engine)()
    before = await execute(
        engine, "SELECT softkeys FROM sip_phone_model WHERE oid = :oid", oid=MODEL["grandstream"]
    )
    await migrate(engine)
    async with engine.connect() as connection:
        oids = set(await connection.scalars(text("SELECT oid FROM sip_phone_model")))
    after = await execute(engine, ASK, oid=MODEL["grandstream"])
    await engine.dispose()
    assert (before.softkeys, after.softkeys, after.writer) == (12, 48, "grandstream")
    assert oids == set(MODEL.values())


async def test_a_model_of_before_that_was_touched_stays(database_url: str) -> None:
    engine = await load_former(database_url)
    await models_of_before(engine)()
    touch = "UPDATE sip_phone_model SET softkeys = 13 WHERE oid = :oid"
    await execute(engine, touch, oid=MODEL["grandstream"])
    for _ in range(2):
        await migrate(engine)
    after = await execute(engine, ASK, oid=MODEL["grandstream"])
    await engine.dispose()
    assert (after.softkeys, after.writer) == (13, None)


async def test_a_phone_of_before_keeps_its_settings(database_url: str) -> None:
    engine = await load_former(database_url)
    columns = "id, model_id, version, ringer_volume, vol_handset_mic, side_panel_count"
    async with engine.connect() as connection:
        phones = (await connection.execute(text(f"SELECT {columns} FROM sip_phone ORDER BY id"))).all()
        softkeys = (await connection.execute(text("SELECT * FROM sip_phone_softkey"))).all()
    await migrate(engine)
    async with engine.connect() as connection:
        again = (await connection.execute(text(f"SELECT {columns} FROM sip_phone ORDER BY id"))).all()
        keys = (await connection.execute(text("SELECT * FROM sip_phone_softkey"))).all()
    await engine.dispose()
    assert (phones, softkeys) == (again, keys)


@pytest.fixture
def newer(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A database with the list of today, and a later program: its D785 has a key more."""
    row = dict(MODELS["snom"]) | {"softkeys": 25}
    monkeypatch.setattr(seeding, "MODELS", {**MODELS, "snom": row})
    return world


async def test_a_later_list_corrects_what_no_admin_changed(newer: World) -> None:
    path = f"/pbx/sipphonemodels/{MODEL['snom']}"
    async with newer.client(AccessLevel.ADMIN) as client:
        tag = (await client.get(path)).headers["ETag"]
        await seed(newer.engine)
        corrected = await client.get(path)
        await seed(newer.engine)
        again = await client.get(path)
    assert corrected.json()["softkeys"] == 25
    assert tag != corrected.headers["ETag"] == again.headers["ETag"]


async def phones_of_before(world: World) -> None:
    """One phone of each of three models, saved long ago."""
    for model in ("snom", "snom-d735", "yealink"):
        await world.create(sipPhoneModel=MODEL[model])
    await world.execute(f"UPDATE sip_phone SET config_saved_at = '{LONG_AGO} 12:00:00'")


async def saved_since(world: World) -> set[str]:
    """The models whose phones have other files than long ago."""
    rows = await world.rows(
        "SELECT model.oid, phone.config_saved_at FROM sip_phone phone "
        "JOIN sip_phone_model model ON model.id = phone.model_id"
    )
    names = {oid: name for name, oid in MODEL.items()}
    return {names[oid] for oid, saved in rows if not str(saved).startswith(LONG_AGO)}


async def test_a_corrected_model_moves_config_saved_of_its_phones(newer: World) -> None:
    await phones_of_before(newer)
    await seed(newer.engine)
    assert await saved_since(newer) == {"snom"}


async def test_a_correction_that_is_in_no_file_moves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = dict(MODELS["snom"]) | {"description": "Another one", "ringer_volume_max": 9}
    monkeypatch.setattr(seeding, "MODELS", {**MODELS, "snom": row})
    await phones_of_before(world)
    await seed(world.engine)
    ((description,),) = await world.rows(
        "SELECT description FROM sip_phone_model WHERE oid = :id", id=MODEL["snom"]
    )
    assert (description, await saved_since(world)) == ("Another one", set())


async def test_a_new_version_of_a_writer_moves_config_saved_of_its_phones_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await phones_of_before(world)
    await seed(world.engine)
    assert await saved_since(world) == set(), "it has the versions of today"
    writer = str(MODELS["snom"]["writer"])
    monkeypatch.setattr(seeding, "VERSIONS", {**VERSIONS, writer: VERSIONS[writer] + 1})
    await seed(world.engine)
    same = {name for name in ("snom", "snom-d735", "yealink") if MODELS[name]["writer"] == writer}
    assert await saved_since(world) == same < {"snom", "snom-d735", "yealink"}
    await world.execute(f"UPDATE sip_phone SET config_saved_at = '{LONG_AGO} 12:00:00'")
    await seed(world.engine)
    assert await saved_since(world) == set()


async def test_a_later_list_leaves_what_an_admin_changed_until_it_is_undone(newer: World) -> None:
    path = f"/pbx/sipphonemodels/{MODEL['snom']}"
    async with newer.client(AccessLevel.ADMIN) as client:
        before = (await client.get(path)).json()
        await client.patch(path, json={"description": "Reception"})
        await seed(newer.engine)
        kept = (await client.get(path)).json()
        await client.patch(path, json={"description": before["description"]})
        await seed(newer.engine)
        undone = (await client.get(path)).json()
    assert before["softkeys"] == 24
    assert kept == before | {"description": "Reception"}
    assert undone == before | {"softkeys": 25}


async def test_a_deleted_model_does_not_come_back(world: World) -> None:
    path = f"/pbx/sipphonemodels/{MODEL['snom']}"
    async with world.client(AccessLevel.ADMIN) as client:
        await client.delete(path)
        await migrate(world.engine)
        assert (await client.get(path)).status_code == 404
        assert (await client.get("/pbx/sipphonemodels")).json()["total"] == len(MODELS) - 1


async def test_a_name_that_an_admin_has_taken_is_left_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = dict(MODELS["snom"]) | {"oid": "0" * 24, "model": "D999"}
    monkeypatch.setattr(seeding, "MODELS", {**MODELS, "new": row})
    async with world.client(AccessLevel.ADMIN) as client:
        body = {"brand": "SNOM", "brandName": "Snom", "model": "D999"}
        own = (await client.post("/pbx/sipphonemodels", json=body)).json()
        await seed(world.engine)
        listed = (await client.get("/pbx/sipphonemodels?filter=D999")).json()["sipPhoneModels"]
    assert listed == [own]


async def test_each_value_of_a_model_counts_for_its_digest(database_url: str) -> None:
    engine = connect(database_url)
    await migrate(engine)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT oid, digest FROM seeded_model"))
        stored = {row.oid: row.digest for row in rows}
    await engine.dispose()
    versions = {writer_oid(writer): str(version) for writer, version in VERSIONS.items()}
    assert stored == {str(row["oid"]): digest(row) for row in MODELS.values()} | versions
    row = dict(MODELS["snom"])
    changes = {"softkeys": 25, "provision": False, "handset_mic_min": -1, "legacy_tls": True, "writer": "lg"}
    digests = {digest(row | {name: value}) for name, value in changes.items()}
    assert len(digests | {digest(row)}) == len(changes) + 1
