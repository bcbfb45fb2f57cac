"""Numbers that no extension, group or queue gets: emergency numbers and feature codes, in both dialects."""

import pytest

from config.access import AccessLevel
from registrar.rules.features import reserved_words
from tests.config.v2 import JOE, QUEUE, SALES, domain, made, refused
from tests.config.world import World

KINDS = ["extension", "group", "queue"]
RESERVED = [
    pytest.param("112", "The number 112 is an emergency number", id="an emergency number"),
    pytest.param("9-1-1", "The number 911 is an emergency number", id="an emergency number with separators"),
    pytest.param("*76", "The number *76 begins like the feature code *76", id="a feature code"),
    pytest.param("*8600", "The number *8600 begins like the feature code *8", id="the beginning of one"),
]
ROWS = {"users": JOE, "groups": SALES, "queues": QUEUE}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("number", "message"), RESERVED)
async def test_a_reserved_number_is_422(world: World, kind: str, number: str, message: str) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        body = {"number": number, "name": "Front"}
        created = await client.post(f"/pbx/{kind}", json=body)
        there = (await client.post(f"/pbx/{kind}", json=body | {"number": "300"})).json()
        changed = await client.patch(f"/pbx/{kind}/{there['_id']}", json={"number": number})
    for answer in (created, changed):
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"] == {
            "code": "number",
            "status": 422,
            "message": message,
            "path": "number",
            "check": "allowed",
        }


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize(("number", "message"), RESERVED)
async def test_a_reserved_number_is_400_in_rows(world: World, kind: str, number: str, message: str) -> None:
    path = f"{await domain(world)}/{kind}"
    async with world.client(AccessLevel.MANAGER) as client:
        params = {"extensionNumber": number}
        assert refused(await client.post(path, data=ROWS[kind] | params)) == (400, message)
        there = await made(client, path, **ROWS[kind])
        assert refused(await client.post(f"{path}/{there}", data=params)) == (400, message)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_row_keeps_the_number_that_it_has(world: World, kind: str) -> None:
    """It had the number before it was reserved."""
    before = world.but(reserved=reserved_words([]))
    body = {"number": "*76", "name": "Front"}
    async with before.client(AccessLevel.MANAGER) as client:
        there = await client.post(f"/pbx/{kind}", json=body)
        assert there.status_code == 200, there.text
    async with world.client(AccessLevel.MANAGER) as client:
        path = f"/pbx/{kind}/{there.json()['_id']}"
        for change in ({"name": "Back"}, {"number": "*76"}, {"number": "301"}):
            assert (await client.patch(path, json=change)).status_code == 200, change
        assert (await client.patch(path, json={"number": "*76"})).status_code == 422


@pytest.mark.parametrize("number", ["1120", "*98", "*7", "#1"])
async def test_other_numbers_are_free(world: World, number: str) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post("/pbx/group", json={"number": number, "name": "Sales"})
    assert answer.status_code == 200, answer.text


async def test_an_installation_may_have_more_emergency_numbers(world: World) -> None:
    own = world.but(reserved=reserved_words(["queue"], ["114"]))
    async with own.client(AccessLevel.MANAGER) as client:
        statuses = [
            (await client.post("/pbx/group", json={"number": number, "name": "Sales"})).status_code
            for number in ("114", "*45700", "*76")
        ]
    assert statuses == [422, 422, 200]
