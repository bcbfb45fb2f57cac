"""The list of phones as the board asks for it: with status and country, sorted, of all customers."""

from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from redis.asyncio import Redis

from config.access import AccessLevel
from registrar.store import keys
from tests.config.world import MODEL, World

STATUS = {
    "online": "0",
    "state": "offline",
    "reason": "expired",
    "since": "1790000000",
    "publicIpAddress": "192.0.2.7",
    "transport": "udp",
}


async def write_status(redis: Redis, phone: str) -> None:
    for name, value in STATUS.items():
        await redis.hset(keys.status(phone), name, value)


async def asked(
    world: World, level: AccessLevel = AccessLevel.ADMIN, **params: str
) -> list[dict[str, object]]:
    async with world.client(level) as client:
        answer = await client.get("/pbx/sipphone", params={"status": "true"} | params)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, object]] = answer.json()["sipPhones"]
    return rows


@pytest.fixture
def countries(tmp_path: Path) -> Path:
    writer = MMDBWriter(6, "Test-GeoLite2-Country", languages=["en"], ipv4_compatible=True)
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": {"iso_code": "DK"}})
    writer.to_db_file(str(tmp_path / "country.mmdb"))
    return tmp_path / "country.mmdb"


async def test_a_row_has_the_status_with_its_country_and_the_customer(
    world: World, redis: Redis, countries: Path
) -> None:
    phone = await world.create(extension=world.ids["ext200"])
    await write_status(redis, phone["_id"])
    (row,) = await asked(world.but(country_file=countries))
    assert row["customer"] == {"_id": world.ids["acme"], "name": "Acme"}
    assert row["extension"] == {
        "_id": world.ids["ext200"],
        "number": "200",
        "direct": "+4570305050",
        "name": "Ext 200",
    }
    status = row["status"]
    assert isinstance(status, dict) and "configLoaded" not in status
    assert (status["reason"], status["publicIpAddress"], status["country"]) == ("expired", "192.0.2.7", "DK")
    assert "password" not in row and "online" not in row


async def test_the_routes_of_the_status_have_the_country(world: World, redis: Redis, countries: Path) -> None:
    phone = await world.create()
    await write_status(redis, phone["_id"])
    async with world.but(country_file=countries).client() as client:
        one = (await client.get(f"/pbx/sipphone/{phone['_id']}/status")).json()
        some = (await client.post("/pbx/sipphone/status", json={"ids": [phone["_id"]]})).json()
        events = (await client.get(f"/pbx/sipphone/{phone['_id']}/events")).json()
    assert [one["country"], some["sipPhones"][0]["country"], events["status"]["country"]] == ["DK"] * 3


async def test_without_a_country_file_no_country_is_known(world: World, redis: Redis, tmp_path: Path) -> None:
    phone = await world.create()
    await write_status(redis, phone["_id"])
    for file in (None, tmp_path / "nothing"):
        (row,) = await asked(world.but(country_file=file))
        assert isinstance(row["status"], dict) and row["status"]["country"] is None


@pytest.mark.parametrize(
    ("sort", "notes"),
    [
        ("", ["b", "none", "a"]),
        ("number", ["a", "b", "none"]),
        ("person", ["a", "b", "none"]),
    ],
)
async def test_a_list_is_sorted_and_what_has_no_value_is_last(
    world: World, sort: str, notes: list[str]
) -> None:
    await world.create(notes="b", extension=world.ids["ext201"])
    await world.create(notes="none")
    await world.create(notes="a", extension=world.ids["ext200"])
    assert [row["notes"] for row in await asked(world, sort=sort)] == notes
    paged = [(await asked(world, sort=sort, offset=str(at), limit="1"))[0]["notes"] for at in range(3)]
    assert paged == notes


async def test_models_sort_by_their_names(world: World) -> None:
    for model in ("yealink", "generic"):
        await world.create(notes=model, sipPhoneModel=MODEL[model])
    assert [row["notes"] for row in await asked(world, sort="model")] == ["generic", "yealink"]


async def test_numbers_sort_as_numbers(world: World) -> None:
    async with world.client() as client:
        for number in ("1000", "99"):
            made = await client.post("/pbx/extension", json={"number": number, "name": number})
            await world.create(notes=number, extension=made.json()["_id"])
    assert [row["notes"] for row in await asked(world, sort="number")] == ["99", "1000"]


async def test_an_unknown_order_is_refused(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("/pbx/sipphone", params={"sort": "mac"})).status_code == 400


@pytest.mark.parametrize(
    ("level", "customer", "seen"),
    [
        (AccessLevel.ADMIN, "acme", {"acme", "below", "rival"}),
        (AccessLevel.RESELLER, "acme", {"acme", "below"}),
        (AccessLevel.MANAGER, "acme", {"acme"}),
    ],
)
async def test_all_customers_are_those_in_sight(
    world: World, level: AccessLevel, customer: str, seen: set[str]
) -> None:
    for name in ("acme", "below", "rival"):
        await world.create(customer=world.ids[name])
    async with world.client(level, customer) as client:
        params = {"customer": "all", "status": "true"}
        phones = (await client.get("/pbx/sipphone", params=params)).json()
        summary = (await client.get("/pbx/sipphone/summary", params={"customer": "all"})).json()
        refusals = await client.get("/pbx/sipphone/refusals", params={"customer": "all"})
        extensions = await client.get("/pbx/extension", params={"customer": "all"})
        calls = await client.get("/pbx/call", params={"customer": "all"})
        history = await client.get("/pbx/call/history", params={"customer": "all"})
    assert {row["customer"]["_id"] for row in phones["sipPhones"]} == {world.ids[name] for name in seen}
    assert summary["total"] == len(seen)
    assert {answer.status_code for answer in (refusals, extensions, calls, history)} == {200}
