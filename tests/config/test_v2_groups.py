"""Groups, their users, the groups of a user: rows 13-20, 25 and 26 of the checklist."""

import pytest

from config.access import AccessLevel
from tests.config.v2 import JOE, SALES, domain, made, number, refused, row, rows
from tests.config.world import World

ALL = {
    **SALES,
    "ringRetry": "1",
    "ringExclusive": "1",
    "callerNameFormat": "{displayName} - {srcPhoneNumber}",
}


async def test_a_group_is_shown_as_it_was_sent_and_changed(world: World) -> None:
    path = f"{await domain(world)}/groups"
    async with world.client(AccessLevel.MANAGER) as client:
        id = await made(client, path, **ALL)
        shown = row(await client.get(f"{path}/{id}"))
        moments = {name: shown[name] for name in ("createDatetime", "updateDatetime")}
        assert shown == {"groupId": id, "domainId": path.split("/")[-2], **ALL, **moments}
        assert rows(await client.get(path)) == [shown]
        for name, value in (ALL | {"groupName": "x", "extensionNumber": "601", "ringRetry": "0"}).items():
            assert (await client.post(f"{path}/{id}", data={name: value})).status_code == 204
            assert row(await client.get(f"{path}/{id}"))[name] == value
        await client.post(f"{path}/{id}", data={"callerNameFormat": ""})
        assert row(await client.get(f"{path}/{id}"))["callerNameFormat"] is None
        assert (await client.delete(f"{path}/{id}")).status_code == 204
        for method in ("GET", "POST", "DELETE"):
            assert refused(await client.request(method, f"{path}/{id}")) == (404, "not found: group")
        plain = row(await client.get(f"{path}/{await made(client, path, **SALES)}"))
    assert (plain["ringRetry"], plain["ringExclusive"], plain["callerNameFormat"]) == ("0", "0", None)
    actions = [action for (action,) in await world.rows("SELECT action FROM audit_log ORDER BY id")]
    assert (actions[0], actions[-2], actions[-1]) == ("create", "delete", "create")


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        ({"groupName": ""}, 400, "groupName is missing"),
        ({"displayName": ""}, 400, "displayName is missing"),
        ({"extensionNumber": ""}, 400, "extensionNumber is missing"),
        ({"extensionNumber": "200"}, 409, "The number 200 is in use by another extension"),
        ({"ringRetry": "2"}, 400, "ringRetry must be 1 or 0"),
        ({"callerNameFormat": "{name}"}, 400, "callerNameFormat is not a valid text: the placeholders are"),
        ({"groupName": "", "ringExclusive": "x"}, 400, "groupName is missing; ringExclusive must be 1 or 0"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_said(world: World, params: dict[str, str], status: int, message: str) -> None:
    path = f"{await domain(world)}/groups"
    async with world.client(AccessLevel.MANAGER) as client:
        answer = refused(await client.post(path, data=SALES | params))
        assert (answer[0], answer[1][: len(message)]) == (status, message)
        id = await made(client, path, **SALES)
        answer = refused(await client.post(f"{path}/{id}", data=params))
        assert (answer[0], answer[1][: len(message)]) == (status, message)


async def test_users_are_in_groups_seen_from_both_sides(world: World) -> None:
    path = await domain(world)
    first = await number(world, world.ids["ext200"], "extension")
    async with world.client(AccessLevel.MANAGER) as client:
        group = await made(client, f"{path}/groups", **SALES)
        other = await made(client, f"{path}/groups", **SALES | {"groupName": "b", "extensionNumber": "601"})
        joe = await made(client, f"{path}/users", **JOE)
        members, mine = f"{path}/groups/{group}/users", f"{path}/users/{joe}/groups"
        assert (await client.post(members, json={"userSpec": [first, joe, joe]})).status_code == 204
        assert (await client.post(members, json={"userSpec": [joe]})).status_code == 204
        listed = rows(await client.get(members))
        assert listed[1] == {
            "groupId": group,
            "groupName": "sales",
            "userId": joe,
            "user": "joe",
            "displayName": "Joe Blogs",
            "extensionNumber": "300",
            "updateDatetime": listed[1]["updateDatetime"],
        }
        assert [found["userId"] for found in listed] == [first, joe]
        assert (await client.post(mine, data={"groupSpec[]": [group, other]})).status_code == 204
        seen = rows(await client.get(mine, params={"sort[]": "groupId-desc"}))
        assert [(found["groupId"], found["displayName"], found["extensionNumber"]) for found in seen] == [
            (other, "Sales Dept", "601"),
            (group, "Sales Dept", "600"),
        ]
        assert rows(await client.get(mine, params={"filter[]": "groupName-eq-value-b"})) == seen[:1]
        gone = await client.request("DELETE", members, params={"userSpec[]": joe})
        again = await client.request("DELETE", members, params={"userSpec[]": joe})
        assert (gone.status_code, again.status_code) == (204, 204)
        assert [found["userId"] for found in rows(await client.get(members))] == [first]
        assert [found["groupId"] for found in rows(await client.get(mine))] == [other]
        await client.delete(f"{path}/users/{joe}")
        assert rows(await client.get(f"{path}/groups/{other}/users")) == []


@pytest.mark.parametrize("stranger", ["foreign", "unknown", "malformed"])
async def test_with_an_unknown_number_nothing_changes(world: World, stranger: str) -> None:
    path = await domain(world)
    first = await number(world, world.ids["ext200"], "extension")
    foreign = await number(world, world.ids["foreign"], "extension")
    async with world.client(AccessLevel.ADMIN) as client:
        group = await made(client, f"{path}/groups", **SALES)
        theirs = await made(client, f"{await domain(world, 'rival')}/groups", **SALES)
        user = {"foreign": foreign, "unknown": "99999", "malformed": "joe"}[stranger]
        wrong = {"foreign": theirs, "unknown": "99999", "malformed": "sales"}[stranger]
        members = f"{path}/groups/{group}/users"
        for method in ("POST", "DELETE"):
            answer = await client.request(method, members, data={"userSpec[]": [first, user]})
            assert refused(answer) == (404, f"not found: userSpec {user}")
        answer = await client.post(f"{path}/users/{first}/groups", data={"groupSpec[]": [group, wrong]})
        assert refused(answer) == (404, f"not found: groupSpec {wrong}")
        assert rows(await client.get(members)) == []
        assert refused(await client.post(f"{path}/users/{first}/groups")) == (400, "groupSpec is missing")
