"""Products: whose they are, who sees them, and what may refer to them."""

from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from tests.config.world import MODEL, NOBODY, Json, World
from tests.every import every

EVERYTHING = {"type": "SIDE_PANEL", "productCode": "D7-C", "name": "Panel", "price": 99.95}


async def made(client: httpx.AsyncClient, **body: Any) -> Json:
    product = {"type": "PBX_SIP_PHONE", "productCode": "T46U", "name": "Phone"}
    answer = await client.post("/product", json=product | body)
    assert answer.status_code == 200, answer.text
    created: Json = answer.json()
    return created


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_what_is_sent_is_what_is_shown(world: World) -> None:
    sent = EVERYTHING | {"reseller": world.ids["reseller"]}
    async with world.client(AccessLevel.ADMIN) as client:
        created = await made(client, **sent)
        shown = (await client.get(f"/product/{created['_id']}")).json()
        listed = (await client.get("/product", params={"filter": "d7-c"})).json()
    assert created == shown == listed["products"][0] == sent | {"_id": created["_id"]}
    audit = "SELECT action, table_name FROM audit_log WHERE row_oid = :id"
    assert await world.rows(audit, id=shown["_id"]) == [("create", "product")]


async def test_one_property_changes_alone(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        created = await made(client, **EVERYTHING, reseller=world.ids["reseller"])
        for method, change in (
            ("POST", {"name": "P"}),
            ("PUT", {"price": None}),
            ("PATCH", {"price": 0}),
            ("POST", {"reseller": None}),
        ):
            answer = await client.request(method, f"/product/{created['_id']}", json=change)
            created |= change
            assert answer.json() == created


@every(
    ("body", "status", "code"),
    [
        pytest.param({"type": None}, 422, "type", id="no type"),
        pytest.param({"type": "phone"}, 422, "type", id="lower case"),
        pytest.param({"type": "A" * 33}, 422, "type", id="a long type"),
        pytest.param({"type": "A\n"}, 422, "type", id="a line end"),
        pytest.param({"productCode": ""}, 422, "productCode", id="no code"),
        pytest.param({"productCode": "x" * 65}, 422, "productCode", id="a long code"),
        pytest.param({"name": ""}, 422, "name", id="no name"),
        pytest.param({"price": -1}, 422, "price", id="a price below zero"),
        pytest.param({"price": "5"}, 422, "price", id="a text as price"),
        pytest.param({"price": True}, 422, "price", id="a boolean as price"),
        pytest.param({"price": 1.005}, 422, "price", id="three decimals"),
        pytest.param({"price": 10**10}, 422, "price", id="a price that is too high"),
        pytest.param({"price": 10**400}, 422, "price", id="a price beyond all numbers"),
        pytest.param({"reseller": NOBODY}, 404, "reseller", id="an unknown reseller"),
        pytest.param({"reseller": 5}, 404, "reseller", id="a number as reseller"),
        pytest.param({"name": "", "price": -1}, 422, "multiple", id="two at once"),
    ],
)
async def test_what_is_wrong_is_said(world: World, body: Json, status: int, code: str) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        product = {"type": "OTHER", "productCode": "x", "name": "Phone two"}
        answer = await client.post("/product", json=product | body)
        changed = await client.post(f"/product/{world.ids['product']}", json=body)
    assert code_of(answer) == (status, code), answer.text
    assert code_of(changed) == (status, code), changed.text
    assert await world.rows("SELECT * FROM product WHERE name = 'Phone two'") == []


async def test_a_price_beyond_all_floats_is_none(world: World) -> None:
    body = '{"type": "OTHER", "productCode": "x", "name": "n", "price": 1e400}'
    async with world.client(AccessLevel.ADMIN) as client:
        assert code_of(await client.post("/product", content=body)) == (422, "price")


@pytest.mark.parametrize("price", [0, 0.01, 0.1, 1.1, 19.99, 1234567.89, 9_999_999_999.99])
async def test_a_price_comes_back_as_it_was(world: World, price: float) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        created = await made(client, price=price)
    assert created["price"] == price


async def test_a_product_is_seen_below_its_reseller(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as admin:
        own = await made(admin, name="Resellers", reseller=world.ids["reseller"])
        other = await made(admin, name="Others", reseller=(await other_reseller(admin))["_id"])
    seen = {}
    for customer in ("reseller", "acme", "below", "rival"):
        async with world.client(AccessLevel.MANAGER, customer) as client:
            listed = {row["_id"] for row in (await client.get("/product")).json()["products"]}
            shown = {
                product["_id"]
                for product in (own, other)
                if (await client.get(f"/product/{product['_id']}")).status_code == 200
            }
        assert listed == shown | {world.ids["product"], world.ids["panel"]}
        seen[customer] = shown
    assert seen == {"reseller": {own["_id"]}, "acme": {own["_id"]}, "below": {own["_id"]}, "rival": set()}
    async with world.client(AccessLevel.ADMIN) as admin:
        assert (await admin.get("/product")).json()["total"] == 4
        below = (await admin.get("/product", params={"customer": world.ids["below"], "sort": "type"})).json()
    assert [row["name"] for row in below["products"]] == ["Phone", "Resellers", "Panel"]


async def other_reseller(admin: httpx.AsyncClient) -> Json:
    answer = await admin.post("/customer", json={"name": "Other", "isReseller": True})
    found: Json = answer.json()
    return found


async def test_a_reseller_changes_its_own_products_alone(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as admin:
        foreign = await made(admin, reseller=(await other_reseller(admin))["_id"])
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        own = await made(client)
        assert own["reseller"] == world.ids["reseller"]
        same = await client.post(f"/product/{own['_id']}", json={"reseller": own["reseller"], "name": "N"})
        assert (same.status_code, same.json()["name"]) == (200, "N")
        for sent in (None, world.ids["rival"], world.ids["acme"], NOBODY):
            created = await client.post("/product", json=EVERYTHING | {"reseller": sent})
            changed = await client.post(f"/product/{own['_id']}", json={"reseller": sent})
            assert code_of(created) == code_of(changed) == (403, "access_denied")
        for method in ("POST", "DELETE"):
            everybodys = await client.request(method, f"/product/{world.ids['product']}", json={"name": "N"})
            assert code_of(everybodys) == (403, "access_denied")
        answers = set()
        for oid in (foreign["_id"], NOBODY, "x"):
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, f"/product/{oid}", json={"name": "N"})
                answers.add((answer.status_code, answer.text))
        assert answers == {(404, '{"error":{"code":"not_found","status":404,"message":"Product not found"}}')}
        assert (await client.delete(f"/product/{own['_id']}")).json() == {"success": True}
        assert code_of(await client.get(f"/product/{own['_id']}")) == (404, "not_found")
    audit = "SELECT action FROM audit_log WHERE row_oid = :id ORDER BY id"
    assert await world.rows(audit, id=own["_id"]) == [("create",), ("update",), ("delete",)]


async def test_a_phone_refers_to_what_its_customer_may_use(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as admin:
        usable = await made(admin, reseller=world.ids["reseller"])
        panel = await made(admin, type="SIDE_PANEL", reseller=world.ids["reseller"])
        foreign = await made(admin, reseller=(await other_reseller(admin))["_id"])
        phone = await world.create(
            product=usable["_id"],
            purchaseInfo={"sidePanels": [{"serial": "1", "product": panel["_id"]}]},
        )
        assert phone["product"] == usable["_id"]
        assert phone["purchaseInfo"]["sidePanels"][0]["product"] == panel["_id"]
        for oid in (foreign["_id"], NOBODY, panel["_id"]):
            body = {"sipPhoneModel": MODEL["generic"], "product": oid}
            assert code_of(await admin.post("/pbx/sipphone", json=body)) == (404, "product")
        panels = [{"serial": "2", "product": foreign["_id"]}]
        body = {"sipPhoneModel": MODEL["generic"], "purchaseInfo": {"sidePanels": panels}}
        answer = await admin.post("/pbx/sipphone", json=body)
        assert code_of(answer) == (404, "purchaseInfo.sidePanels[0].product")


async def test_a_product_stays_while_something_was_bought_as_it(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        one, two = await made(client), await made(client, type="SIDE_PANEL")
        phone = await world.create(
            product=one["_id"], purchaseInfo={"sidePanels": [{"serial": "1", "product": two["_id"]}]}
        )
        for product in (one, two):
            assert code_of(await client.delete(f"/product/{product['_id']}")) == (409, "id")
        await client.delete(f"/pbx/sipphone/{phone['_id']}")
        for product in (one, two):
            assert (await client.delete(f"/product/{product['_id']}")).json() == {"success": True}
