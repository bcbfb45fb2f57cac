"""Who may call what in the row dialect: levels, tenants, the words of refusals; and its documentation."""

from typing import Any

import pytest

from config.access import DOMAINS, RULES, AccessLevel
from tests.config.v2 import DEVICE, JOE, MEMBER, QUEUE, ROOT, SALES, domain, made, refused, rows
from tests.config.world import World

ROUTES = sorted(route for route in RULES if route[1].startswith(DOMAINS))
SENT = {
    **JOE, **SALES, **QUEUE, **MEMBER, **DEVICE, "network": "10.0.0.0/8", "domain": "new.test",
    "userSpec": "1", "groupSpec": "1", "queueMemberId": "1", "groupId": "1", "pbxDeviceId": "1",
}  # fmt: skip


async def furnished(world: World, tenant: str = "acme") -> dict[str, str]:
    """One thing of each kind in a domain: the number of each, by its name in the paths."""
    path = await domain(world, tenant)
    async with world.client(AccessLevel.ADMIN) as client:
        numbers = {"domain": path.rpartition("/")[2]}
        numbers["user"] = await made(client, f"{path}/users", **JOE | {"extensionNumber": "390"})
        numbers["group"] = await made(client, f"{path}/groups", **SALES | {"extensionNumber": "690"})
        numbers["queue"] = await made(client, f"{path}/queues", **QUEUE | {"extensionNumber": "790"})
        numbers["network"] = await made(client, f"{path}/trustedNetworks", network="192.0.2.0/24")
        mac = "00:00:00:00:00:0" + ("1" if tenant == "acme" else "2")
        numbers["device"] = await made(client, f"{path}/devices", **DEVICE | {"deviceMacAddress": mac})
        members = f"{path}/queues/{numbers['queue']}/members"
        numbers["member"] = await made(client, members, groupId=numbers["group"], **MEMBER)
        given = f"{path}/users/{numbers['user']}/devices"
        assert (await client.post(given, data={"pbxDeviceId": numbers["device"]})).status_code == 201
    return numbers


def parameters(numbers: dict[str, str]) -> dict[str, str]:
    """A body that every route takes."""
    return SENT | {
        "userSpec": numbers["user"],
        "groupSpec": numbers["group"],
        "groupId": numbers["group"],
        "queueMemberId": numbers["member"],
        "pbxDeviceId": numbers["device"],
        "user": "new.user",
        "extensionNumber": "999",
    }


def filled(template: str, numbers: dict[str, str]) -> str:
    return template.format(**numbers)


@pytest.mark.parametrize("level", AccessLevel, ids=lambda level: level.name)
async def test_a_route_opens_from_its_level_on(world: World, level: AccessLevel) -> None:
    numbers = await furnished(world, "rival")
    deletes_last = sorted(ROUTES, key=lambda route: (route[0] == "DELETE", -len(route[1].split("/"))))
    wrong: list[Any] = []
    async with world.client(level, "rival") as client:
        for index, (method, template) in enumerate(deletes_last):
            sent = parameters(numbers) | {"extensionNumber": f"50{index}", "network": f"10.{index}.0.0/16"}
            sent["deviceMacAddress"] = f"{index:012}"
            answer = await client.request(method, filled(template, numbers), data=sent)
            may = level >= RULES[method, template].level
            expected = {200, 201, 204} if may else {403}
            if answer.status_code not in expected:
                wrong.append((method, template, answer.status_code, answer.text))
            if not may:
                needed = RULES[method, template].level.name
                assert refused(answer) == (
                    403,
                    f"access denied: Insufficient access level: {needed} is needed",
                )
    assert wrong == []


async def test_without_credentials_nothing_is_told(world: World) -> None:
    async with world.client(None) as client:
        for method, template in ROUTES:
            path = template.replace("{", "").replace("}", "")
            answer = await client.request(method, path, content=b"{")
            assert refused(answer) == (401, "auth required"), (method, template)


async def test_foreign_unknown_and_malformed_are_the_same(world: World) -> None:
    own, theirs = await furnished(world), await furnished(world, "rival")
    counted = "SELECT count(*) FROM audit_log"
    before = await world.rows(counted)
    wrong = []
    async with world.client(AccessLevel.OWNER) as client:
        for method, template in ROUTES:
            if RULES[method, template].level > AccessLevel.OWNER:
                continue
            for name in own:
                for bad in (theirs[name], "9999999", "x", "1%00", "-1"):
                    if f"{{{name}}}" not in template or bad == own[name]:
                        continue
                    path = filled(template, own | {name: bad})
                    answer = await client.request(method, path, data=parameters(own))
                    if refused(answer) != (404, f"not found: {name}"):
                        wrong.append((method, path, answer.status_code, answer.text))
    assert wrong == []
    assert await world.rows(counted) == before


async def test_lists_show_nothing_of_others(world: World) -> None:
    own, _ = await furnished(world), await furnished(world, "rival")
    async with world.client(AccessLevel.VIEWER) as client:
        for kind in ("users", "groups", "queues", "devices", "trustedNetworks"):
            listed = rows(await client.get(f"{ROOT}/{own['domain']}/{kind}"))
            assert {found["domainId"] for found in listed} == {own["domain"]}


async def test_a_wrong_method_and_a_wrong_path_answer_in_strings(world: World) -> None:
    path = await domain(world)
    async with world.client() as client:
        answer = await client.put(f"{path}/users")
        assert (refused(answer)[0], answer.headers["allow"]) == (405, "GET, POST, HEAD")
        no_route = (404, "not found: Unknown route")
        assert refused(await client.get(f"{path}/nothing")) == no_route
        assert refused(await client.get("/config/v2/nothing")) == no_route


async def test_every_route_is_documented(world: World) -> None:
    async with world.client(None) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    seen = set()
    for method, template in ROUTES:
        operation = paths[template][method.lower()]
        seen.add(operation["operationId"])
        assert operation["tags"] and operation["summary"]
        assert set(operation["responses"]) >= {"401", "403", "404", "500", "503"}
        ok = {"200", "201", "204"} & set(operation["responses"])
        assert len(ok) == 1, (method, template)
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        is_list = method == "GET" and not template.endswith("}")
        assert ({"filter[]", "sort[]", "limit", "offset", "display[]", "format"} <= names) is is_list
        if method in ("POST", "PUT"):
            assert set(operation["requestBody"]["content"]) == {
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "application/json",
            }
    assert len(seen) == len(ROUTES)
