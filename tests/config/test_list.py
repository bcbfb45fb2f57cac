"""Filtering and paging the list of phones."""

import pytest

from config.access import AccessLevel
from tests.config.world import MODEL, World
from tests.every import every


async def listed(world: World, **params: str) -> tuple[int, list[str]]:
    """The total, and the notes of the phones on the page."""
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get("/pbx/sipphone", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["total"], [phone["notes"] for phone in answer.json()["sipPhones"]]


@pytest.fixture
async def phones(world: World) -> World:
    await world.create(notes="desk", macAddress="4EE8A34B56F3", extension=world.ids["ext200"])
    await world.create(notes="100% Ærlig_", ip={"mode": "LOCKED", "address": "192.0.2.77"})
    base = {"sipPhoneModel": MODEL["dect"], "handsetAddress": "HSET-9"}
    await world.create(notes="spare", extension=world.ids["ext201"], **base)
    return world


@every(
    ("text", "notes"),
    [
        ("4ee8a3", ["desk"]),
        ("4E:E8:A3:4b", ["desk"]),
        ("192.0.2.7", ["100% Ærlig_"]),
        ("hset-9", ["spare"]),
        ("201", ["spare"]),
        ("70305050", ["desk"]),
        ("ØSTERGÅRD", ["desk"]),
        ("ærlig", ["100% Ærlig_"]),
        ("%", ["100% Ærlig_"]),
        ("_", ["100% Ærlig_"]),
        ("/", []),
        ("' OR 1=1 --", []),
        ("\0", []),
        ("x" * 300, []),
        ("  spare ", ["spare"]),
        ("", ["desk", "100% Ærlig_", "spare"]),
    ],
)
async def test_a_filter_finds_its_text_in_any_property(phones: World, text: str, notes: list[str]) -> None:
    assert await listed(phones, filter=text) == (len(notes), notes)


async def test_available_phones_have_no_extension(phones: World) -> None:
    assert await listed(phones, available="true") == (1, ["100% Ærlig_"])
    assert (await listed(phones, available="false"))[0] == 3


@every(
    ("params", "offset", "limit", "notes"),
    [
        ({}, 0, 50, ["desk", "100% Ærlig_", "spare"]),
        ({"offset": "1"}, 1, 50, ["100% Ærlig_", "spare"]),
        ({"limit": "1", "offset": "1"}, 1, 1, ["100% Ærlig_"]),
        ({"limit": "0"}, 0, 1, ["desk"]),
        ({"limit": "-5", "offset": "-5"}, 0, 1, ["desk"]),
        ({"limit": "5000"}, 0, 1000, ["desk", "100% Ærlig_", "spare"]),
        ({"limit": "", "offset": ""}, 0, 50, ["desk", "100% Ærlig_", "spare"]),
        ({"limit": "0" * 30 + "2"}, 0, 2, ["desk", "100% Ærlig_"]),
        ({"limit": "-" + "0" * 30 + "2", "offset": "0" * 40}, 0, 1, ["desk"]),
        ({"offset": "9" * 40}, 2**31 - 1, 50, []),
    ],
)
async def test_a_page_stays_inside_its_limits(
    phones: World, params: dict[str, str], offset: int, limit: int, notes: list[str]
) -> None:
    async with phones.client() as client:
        page = (await client.get("/pbx/sipphone", params=params)).json()
    assert (page["offset"], page["limit"], page["total"]) == (offset, limit, 3)
    assert [phone["notes"] for phone in page["sipPhones"]] == notes


async def test_a_row_of_the_list_names_model_extension_and_person(phones: World) -> None:
    async with phones.client() as client:
        first, second, _ = (await client.get("/pbx/sipphone")).json()["sipPhones"]
    assert set(first["sipPhoneModel"]) == {"_id", "brand", "brandName", "model", "picture"}
    assert first["extension"] == {"_id": phones.ids["ext200"], "number": "200", "direct": "+4570305050"}
    assert first["employee"] == {"_id": phones.ids["anna"], "name": "Anna Østergård"}
    assert first["online"] is False
    assert (second["extension"], second["employee"]) == (None, None)


async def test_a_list_shows_its_customer_alone(phones: World) -> None:
    await phones.create(notes="foreign", customer=phones.ids["rival"])
    assert (await listed(phones))[0] == 3
    async with phones.client(AccessLevel.ADMIN) as client:
        of_rival = await client.get("/pbx/sipphone", params={"customer": phones.ids["rival"].upper()})
    assert [phone["notes"] for phone in of_rival.json()["sipPhones"]] == ["foreign"]
    async with phones.client(AccessLevel.ADMIN, None) as client:
        assert (await client.get("/pbx/sipphone")).json()["total"] == 4


@pytest.mark.parametrize("full", ["true", "false"])
async def test_a_page_costs_the_same_few_queries_however_long_it_is(phones: World, full: str) -> None:
    from sqlalchemy import event

    statements: list[str] = []

    @event.listens_for(phones.read_engine.sync_engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    for _ in range(5):
        await phones.create(softkeys=[{"index": 0, "function": "DND"}])
    statements.clear()
    async with phones.client() as client:
        page = await client.get("/pbx/sipphone", params={"full": full})
    assert len(page.json()["sipPhones"]) == 8
    assert len([line for line in statements if line.startswith("SELECT")]) == (5 if full == "true" else 3)
