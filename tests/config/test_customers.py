"""Customers: their properties, who may make and change them, and what goes with them."""

import asyncio
from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from registrar.sip import MD5, ha1
from tests.config.test_changes import heard
from tests.config.world import MODEL, NOBODY, Json, World
from tests.every import every

PASSWORD = "seven odd geese"

EVERYTHING = {
    "name": "Bakery",
    "state": "BLOCKED",
    "isReseller": True,
    "features": ["voicemail", "recording"],
    "sipDomain": "bakery.test",
    "sipDisplayName": "The Bakery",
    "callRecording": True,
}


async def made(client: httpx.AsyncClient, **body: Any) -> Json:
    answer = await client.post("/customer", json={"name": "Bakery"} | body)
    assert answer.status_code == 200, answer.text
    created: Json = answer.json()
    return created


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_what_is_sent_is_what_is_shown(world: World) -> None:
    sent = EVERYTHING | {"parentReseller": world.ids["reseller"]}
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        created = await made(client, **sent)
        shown = (await client.get(f"/customer/{created['_id']}")).json()
        listed = (await client.get("/customer", params={"filter": "BAKERY.test"})).json()
    assert created == shown == listed["customers"][0]
    assert {name: shown[name] for name in sent} == sent
    assert shown["createdAt"] == shown["updatedAt"] and shown["createdAt"].endswith("Z")
    assert await world.rows(
        "SELECT action, table_name FROM audit_log WHERE row_oid = :id", id=shown["_id"]
    ) == [("create", "customer")]


async def test_what_is_not_sent_has_its_default(world: World) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        created = await made(client, state=None)
    assert {name: created[name] for name in EVERYTHING} == {
        "name": "Bakery",
        "state": "ACTIVE",
        "isReseller": False,
        "features": [],
        "sipDomain": None,
        "sipDisplayName": None,
        "callRecording": False,
    }


async def test_one_property_changes_alone(world: World) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        created = await made(client, **EVERYTHING)
        for method, change in (
            ("POST", {"name": "A"}),
            ("PUT", {"sipDomain": "A.Bakery.Test"}),
            ("PATCH", {"features": None}),
            ("POST", {"state": "ACTIVE"}),
        ):
            answer = await client.request(method, f"/customer/{created['_id']}", json=change)
            expected = {"sipDomain": "a.bakery.test", "features": []}
            created |= {name: expected.get(name, value) for name, value in change.items()}
            got = answer.json()
            assert got | {"updatedAt": created["updatedAt"]} == created


@every(
    ("body", "status", "code"),
    [
        pytest.param({"name": None}, 422, "name", id="no name"),
        pytest.param({"name": "a\nb"}, 422, "name", id="a line break"),
        pytest.param({"state": "DELETED"}, 422, "state", id="a state only DELETE gives"),
        pytest.param({"state": 1}, 422, "state", id="a state that is none"),
        pytest.param({"isReseller": "yes"}, 422, "isReseller", id="no boolean"),
        pytest.param({"features": "voicemail"}, 422, "features", id="a text instead of an array"),
        pytest.param({"features": ["a", 5]}, 422, "features", id="a number among the features"),
        pytest.param({"features": ["a\0"]}, 422, "features", id="a feature with a zero byte"),
        pytest.param({"features": ["a"] * 101}, 422, "features", id="too many features"),
        pytest.param({"sipDomain": "a b"}, 422, "sipDomain", id="a domain with a blank"),
        pytest.param({"sipDomain": "-a.test"}, 422, "sipDomain", id="a domain with a bad label"),
        pytest.param({"sipDomain": "192.0.2.7"}, 422, "sipDomain", id="an address"),
        pytest.param({"sipDomain": "ø.test"}, 422, "sipDomain", id="letters beyond ASCII"),
        pytest.param({"sipDomain": "a" * 64 + ".test"}, 422, "sipDomain", id="a long label"),
        pytest.param({"sipDomain": "a.test\n"}, 422, "sipDomain", id="a line end"),
        pytest.param(
            {"sipDomain": ".".join("a" * 60 for _ in range(5))}, 422, "sipDomain", id="a long domain"
        ),
        pytest.param({"sipDomain": 5}, 422, "sipDomain", id="a number"),
        pytest.param({"sipDomain": "Rival.Test"}, 409, "sipDomain", id="a domain that is taken"),
        pytest.param({"parentReseller": NOBODY}, 404, "parentReseller", id="an unknown reseller"),
        pytest.param({"parentReseller": "x"}, 404, "parentReseller", id="no id"),
        pytest.param({"parentReseller": 5}, 404, "parentReseller", id="a number as id"),
        pytest.param({"name": "", "state": "x"}, 422, "multiple", id="two at once"),
    ],
)
async def test_what_is_wrong_is_said(world: World, body: Json, status: int, code: str) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        answer = await client.post("/customer", json={"name": "Bakery"} | body)
        changed = await client.post(f"/customer/{world.ids['below']}", json=body)
    assert code_of(answer) == (status, code), answer.text
    assert code_of(changed) == (status, code), changed.text
    assert await world.rows("SELECT * FROM customer WHERE name = 'Bakery'") == []


@pytest.mark.parametrize("name", ["rival", "acme"], ids=["out of sight", "no reseller"])
async def test_a_parent_is_a_reseller_in_sight(world: World, name: str) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        answer = await client.post("/customer", json={"name": "B", "parentReseller": world.ids[name]})
    assert code_of(answer) == (404, "parentReseller")


@pytest.mark.parametrize(
    ("level", "own", "parent"),
    [
        (AccessLevel.RESELLER, "reseller", "reseller"),
        (AccessLevel.RESELLER, "acme", "acme"),
        (AccessLevel.RESELLER_ADMIN, "acme", None),
        (AccessLevel.ADMIN, None, None),
    ],
)
async def test_a_new_customer_belongs_to_who_makes_it(
    world: World, level: AccessLevel, own: str | None, parent: str | None
) -> None:
    async with world.client(level, own) as client:
        created = await made(client)
        explicit = await made(client, parentReseller=None)
    assert created["parentReseller"] == explicit["parentReseller"] == (world.ids[parent] if parent else None)


async def test_a_reseller_cannot_lift_a_customer_out_of_its_sight(world: World) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        created = await made(client)
        path = f"/customer/{created['_id']}"
        assert code_of(await client.post(path, json={"parentReseller": None})) == (422, "parentReseller")
        same = await client.post(path, json={"parentReseller": world.ids["reseller"].upper()})
        assert same.json()["parentReseller"] == world.ids["reseller"]
        own = f"/customer/{world.ids['reseller']}"
        assert (await client.post(own, json={"parentReseller": None, "name": "R"})).status_code == 200
    async with world.client(AccessLevel.ADMIN) as client:
        assert (await client.post(path, json={"parentReseller": None})).json()["parentReseller"] is None


async def test_resellers_make_no_circle(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        one = await made(client, isReseller=True)
        two = await made(client, isReseller=True, parentReseller=one["_id"])
        three = await made(client, isReseller=True, parentReseller=two["_id"])
        for parent in (one, two, three):
            answer = await client.post(f"/customer/{one['_id']}", json={"parentReseller": parent["_id"]})
            assert code_of(answer) == (409, "parentReseller")
        moved = await client.post(f"/customer/{three['_id']}", json={"parentReseller": one["_id"]})
        assert moved.json()["parentReseller"] == one["_id"]


async def test_two_moves_at_once_make_no_circle(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        one, two = await made(client, isReseller=True), await made(client, isReseller=True)
        moves = [
            client.post(f"/customer/{child['_id']}", json={"parentReseller": parent["_id"]})
            for child, parent in ((one, two), (two, one))
        ]
        statuses = sorted(answer.status_code for answer in await asyncio.gather(*moves))
    assert statuses == [200, 409]


@pytest.mark.parametrize(
    ("level", "own", "seen"),
    [
        (AccessLevel.MANAGER, "acme", {"acme"}),
        (AccessLevel.OWNER, "reseller", {"reseller"}),
        (AccessLevel.RESELLER, "reseller", {"reseller", "acme", "below", "blocked"}),
        (AccessLevel.RESELLER, "acme", {"acme", "below"}),
        (AccessLevel.RESELLER_ADMIN, "acme", {"reseller", "acme", "below", "blocked", "rival"}),
        (AccessLevel.ADMIN, None, {"reseller", "acme", "below", "blocked", "rival"}),
    ],
)
async def test_a_level_sees_its_customers(
    world: World, level: AccessLevel, own: str | None, seen: set[str]
) -> None:
    names = ("reseller", "acme", "below", "blocked", "rival")
    async with world.client(level, own) as client:
        listed = (await client.get("/customer")).json()
        shown = {
            name for name in names if (await client.get(f"/customer/{world.ids[name]}")).status_code == 200
        }
    assert {row["_id"] for row in listed["customers"]} == {world.ids[name] for name in seen}
    assert (listed["total"], shown) == (len(seen), seen)


async def test_a_list_can_be_that_of_one_reseller(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        rows = (await client.get("/customer", params={"customer": world.ids["reseller"]})).json()
        unknown = await client.get("/customer", params={"customer": NOBODY})
        by_domain = (await client.get("/customer?sort=domain&filter=.test&limit=1&offset=1")).json()
    assert [row["name"] for row in rows["customers"]] == ["Acme", "Blocked"]
    assert code_of(unknown) == (404, "customer")
    assert (by_domain["total"], by_domain["customers"][0]["name"]) == (2, "Rival")
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        answers = [
            await client.get("/customer", params={"customer": oid}) for oid in (world.ids["rival"], NOBODY)
        ]
    assert [code_of(answer) for answer in answers] == [(403, "access_denied")] * 2


async def test_a_foreign_customer_is_an_unknown_one(world: World) -> None:
    answers = set()
    async with world.client(AccessLevel.RESELLER, "acme") as client:
        for oid in (world.ids["rival"], world.ids["reseller"], NOBODY, "x"):
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, f"/customer/{oid}", json={"name": "x"})
                answers.add((answer.status_code, answer.text))
    assert answers == {(404, '{"error":{"code":"not_found","status":404,"message":"Customer not found"}}')}


async def test_what_the_sip_side_sees_raises_the_version_and_is_announced(world: World) -> None:
    version = "SELECT version FROM customer WHERE name = 'Below'"
    path, word = f"/customer/{world.ids['below']}", f"customer {world.ids['below']}"
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        for body, heard_of in (
            ({"sipDisplayName": "B"}, []),
            ({"state": "BLOCKED"}, [word]),
            ({"state": "BLOCKED"}, []),
            ({"sipDomain": "below.test", "state": "ACTIVE"}, [word]),
            ({"sipDomain": None}, [word]),
        ):
            ((before,),) = await world.rows(version)
            async with heard(world.redis, 0.1) as words:
                assert (await client.post(path, json=body)).status_code == 200
            ((after,),) = await world.rows(version)
            assert (words, after - before) == (heard_of, len(heard_of)), body


async def test_a_domain_with_sip_users_keeps_its_name(world: World) -> None:
    path = f"/customer/{world.ids['acme']}"
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        user = {
            "number": "300",
            "name": "J",
            "sipUser": "joe",
            "sipPassword": PASSWORD,
            "customer": world.ids["acme"],
        }
        extension = (await client.post("/pbx/extension", json=user)).json()
        for domain in ("other.test", None):
            assert code_of(await client.post(path, json={"sipDomain": domain})) == (409, "sipDomain")
        assert (await client.post(path, json={"sipDomain": "ACME.test", "name": "A"})).status_code == 200
        await client.post(f"/pbx/extension/{extension['_id']}", json={"sipUser": None})
        assert (await client.post(path, json={"sipDomain": "other.test"})).json()["sipDomain"] == "other.test"


@pytest.mark.parametrize(
    ("level", "status"),
    [(AccessLevel.RESELLER, 409), (AccessLevel.RESELLER_ADMIN, 200)],
)
async def test_who_does_not_see_all_cannot_lock_himself_out(
    world: World, level: AccessLevel, status: int
) -> None:
    path = f"/customer/{world.ids['acme']}"
    async with world.client(AccessLevel.ADMIN) as admin:
        assert (await admin.delete(f"/customer/{world.ids['below']}")).status_code == 200
    async with world.client(level) as client:
        assert (await client.post(path, json={"state": "ACTIVE", "name": "A"})).status_code == 200
        blocked = await client.post(path, json={"state": "BLOCKED"})
        deleted = await client.delete(path)
    assert (blocked.status_code, deleted.status_code) == (status, status)
    if status == 409:
        assert (code_of(blocked)[1], code_of(deleted)[1]) == ("state", "id")


async def test_a_deleted_customer_takes_what_is_its_own_and_frees_what_others_want(world: World) -> None:
    acme = f"/customer/{world.ids['acme']}"
    phone = await world.create(macAddress="AABBCCDDEEFF")
    person = {"name": "C", "emailAddress": "c@acme.test", "password": "long enough"}
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        employee = (await client.post("/employee", json=person | {"customer": world.ids["acme"]})).json()
        token = (await client.post(f"/employee/{employee['_id']}/token", json={})).json()["token"]
        assert code_of(await client.delete(acme)) == (409, "id"), "it has customers"
        assert (await client.delete(f"/customer/{world.ids['below']}")).json() == {"success": True}
        async with heard(world.redis) as words:
            assert (await client.delete(acme)).json() == {"success": True}
        assert words == [f"customer {world.ids['acme']}"]
        for method in ("GET", "POST", "DELETE"):
            assert code_of(await client.request(method, acme, json={})) == (404, "not_found")
        listed = (await client.get("/customer")).json()["customers"]
        assert world.ids["acme"] not in [row["_id"] for row in listed]
        assert code_of(await client.get(f"/employee/{employee['_id']}")) == (404, "not_found")
        created = await made(client, sipDomain="acme.test")
        again = await client.post("/employee", json=person | {"customer": created["_id"]})
        assert again.status_code == 200, "the login is free again"
        model = {"sipPhoneModel": MODEL["generic"], "customer": created["_id"], "macAddress": "AABBCCDDEEFF"}
        assert (await client.post("/pbx/sipphone", json=model)).status_code == 200, "the MAC is free again"
    async with world.client(None) as client:
        answer = await client.get("/pbx/sipphone", headers={"Authorization": f"Bearer {token}"})
    assert code_of(answer) == (401, "invalid_token")
    assert await world.rows(
        "SELECT customer_state, domain FROM phone_v1 WHERE id = :id", id=phone["_id"]
    ) == [("DELETED", None)]
    audit = "SELECT action, actor_level FROM audit_log WHERE row_oid = :id ORDER BY id"
    assert await world.rows(audit, id=world.ids["acme"]) == [("delete", "RESELLER")]


@pytest.mark.parametrize("level", [AccessLevel.RESELLER, AccessLevel.ADMIN])
async def test_what_belonged_to_a_deleted_customer_is_there_no_more(world: World, level: AccessLevel) -> None:
    things: dict[str, Json] = {
        "/pbx/sipphone": {"sipPhoneModel": MODEL["generic"], "macAddress": "AABBCCDDEEFF"},
        "/pbx/extension": {"number": "200", "name": "Anna"},
        "/pbx/group": {"number": "600", "name": "Sales"},
        "/pbx/queue": {"number": "700", "name": "Help"},
        "/employee": {"name": "Anna"},
    }
    async with world.client(level, "reseller") as client:
        customer = (await made(client, sipDomain="gone.test"))["_id"]
        paths = []
        for path, body in things.items():
            created = (await client.post(path, json=body | {"customer": customer})).json()
            paths.append(f"{path}/{created['_id']}")
        assert (await client.delete(f"/customer/{customer}")).status_code == 200
        for path in paths:
            for method in ("GET", "PATCH", "DELETE"):
                answer = await client.request(method, path, json={"macAddress": "AABBCCDDEEFF"})
                assert code_of(answer) == (404, "not_found"), (method, path)
        assert code_of(await client.post(f"{paths[0]}/resetcredentials")) == (404, "not_found")
        phone = {"sipPhoneModel": MODEL["generic"], "customer": customer}
        assert code_of(await client.post("/pbx/sipphone", json=phone)) == (404, "customer")


async def test_a_reseller_with_customers_stays_one(world: World) -> None:
    path = f"/customer/{world.ids['reseller']}"
    async with world.client(AccessLevel.ADMIN) as client:
        assert code_of(await client.post(path, json={"isReseller": False})) == (409, "isReseller")
        for name in ("below", "acme", "blocked"):
            assert (await client.delete(f"/customer/{world.ids[name]}")).status_code == 200
        assert (await client.post(path, json={"isReseller": False})).json()["isReseller"] is False


async def test_of_many_that_want_a_domain_one_gets_it(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        wishes = [client.post("/customer", json={"name": "B", "sipDomain": "b.test"}) for _ in range(8)]
        answers = await asyncio.gather(*wishes)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {code_of(answer)[1] for answer in answers if answer.status_code == 409} == {"sipDomain"}


async def test_a_child_is_never_that_of_a_deleted_reseller(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        for turn in range(6):
            reseller = await made(client, isReseller=True)
            child = {"name": f"Child {turn}", "parentReseller": reseller["_id"]}
            requests = [client.post("/customer", json=child), client.delete(f"/customer/{reseller['_id']}")]
            if turn % 2:
                requests.reverse()
            answers = await asyncio.gather(*requests)
            statuses = [answer.status_code for answer in (reversed(answers) if turn % 2 else answers)]
            assert statuses in ([200, 409], [404, 200])
    orphans = (
        "SELECT child.name FROM customer AS child JOIN customer AS parent "
        "ON parent.id = child.parent_customer_id WHERE parent.state = 'DELETED'"
    )
    assert await world.rows(orphans) == []


async def test_a_password_of_a_sip_user_is_never_that_of_an_older_domain(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        for turn in range(6):
            customer = await made(client, sipDomain=f"old{turn}.test")
            path = f"/customer/{customer['_id']}"
            user = {"number": "1", "name": "J", "sipUser": "joe", "sipPassword": PASSWORD}
            renamed, created = await asyncio.gather(
                client.post(path, json={"sipDomain": f"new{turn}.test"}),
                client.post("/pbx/extension", json=user | {"customer": customer["_id"]}),
            )
            assert created.status_code == 200 and renamed.status_code in (200, 409), renamed.text
            domain = (await client.get(path)).json()["sipDomain"]
            stored = await world.rows(
                "SELECT sip_ha1_md5 FROM extension WHERE oid = :id", id=created.json()["_id"]
            )
            assert stored == [(ha1("joe", domain, PASSWORD, MD5),)]
