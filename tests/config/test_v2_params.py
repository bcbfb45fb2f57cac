"""Parameters: query string, forms and JSON, arrays in every spelling, and what cannot be read."""

import json
import time
from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from config.v2.params import MAX_KEYS
from tests.config.v2 import JOE, SALES, domain, made, refused, row, rows
from tests.config.world import World
from tests.every import every

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
SENT = {"groupName": "Ærø & 100%", "displayName": "a+b c", "extensionNumber": "600", "ringRetry": "1"}


def multipart(**params: str) -> str:
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in params.items()
    )
    return "".join(parts) + "--b--\r\n"


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param({"params": SENT}, id="query"),
        pytest.param({"data": SENT}, id="form"),
        pytest.param({"content": multipart(**SENT), "headers": {"Content-Type": MULTIPART}}, id="multipart"),
        pytest.param({"json": SENT | {"extensionNumber": 600, "ringRetry": True}}, id="JSON"),
        pytest.param({"content": json.dumps(SENT)}, id="JSON without a type"),
        pytest.param({"content": str(httpx.QueryParams(SENT))}, id="form without a type"),
        pytest.param(
            {"params": SENT | {"displayName": "-"}, "json": {"displayName": "a+b c"}}, id="body wins"
        ),
        pytest.param({"params": {"displayName": "a+b c"}, "data": SENT}, id="both add up"),
    ],
)
async def test_parameters_come_in_any_way(world: World, request_of: dict[str, Any]) -> None:
    path = f"{await domain(world)}/groups"
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(path, **request_of)
        assert answer.status_code == 201, answer.text
        shown = row(await client.get(answer.headers["location"]))
    assert {name: shown[name] for name in SENT} == SENT


async def test_arrays_come_in_every_spelling(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        group = await made(client, f"{path}/groups", **SALES)
        users = [
            await made(client, f"{path}/users", **JOE | {"user": name, "extensionNumber": number})
            for name, number in (("a", "301"), ("b", "302"))
        ]
        one, two = users
        members = f"{path}/groups/{group}/users"
        spellings: list[dict[str, Any]] = [
            {"data": {"userSpec[]": users}},
            {"data": {"userSpec": users}},
            {"data": {"userSpec[0]": one, "userSpec[1]": two}},
            {"data": {"userSpec[]": one, "userSpec[7]": two}},
            {"params": {"userSpec[]": users}},
            {"json": {"userSpec": [int(one), two]}},
            {"json": {"userSpec[]": users}},
            {
                "content": multipart(**{"userSpec[0]": one, "userSpec[1]": two}),
                "headers": {"Content-Type": MULTIPART},
            },
        ]
        for spelling in spellings:
            answer = await client.post(members, **spelling)
            assert (answer.status_code, answer.content) == (204, b""), spelling
            assert [member["userId"] for member in rows(await client.get(members))] == users, spelling
            answer = await client.request("DELETE", members, **spelling)
            assert answer.status_code == 204, spelling
            assert (await client.get(members)).text == "\n", spelling
        answer = await client.post(members, data={"userSpec": f"{one},{two}"})
        assert refused(answer) == (404, f"not found: userSpec {one},{two}")
        nothing: list[dict[str, Any]] = [{}, {"data": {"userSpec[]": ""}}, {"json": {"userSpec": []}}]
        for nobody in nothing:
            assert refused(await client.post(members, **nobody)) == (400, "userSpec is missing")


@every(
    ("kind", "body"),
    [
        pytest.param("application/json", b"[]", id="a JSON array"),
        pytest.param("application/json", b'{"a": {"b": 1}}', id="an object in JSON"),
        pytest.param("application/json", b'{"a": [["b"]]}', id="an array in an array"),
        pytest.param("application/json", b'{"\\ud800": {}}', id="an object under half a character"),
        pytest.param("application/json", b'{"a":', id="half a JSON"),
        pytest.param("application/json", b'{"a": "\xff"}', id="JSON that is not UTF-8"),
        pytest.param(FORM, b"displayName=%ff", id="a form that is not UTF-8"),
        pytest.param(FORM, b"displayName=\xff", id="a raw form that is not UTF-8"),
        pytest.param(FORM, b"displayName=100%", id="half an escape"),
        pytest.param(FORM, b"a[b]=1", id="a word as an index"),
        pytest.param(FORM, b"a[0][1]=1", id="two indexes"),
        pytest.param(FORM, b"a[9999999999]=1", id="a huge index"),
        pytest.param(FORM, "&".join(f"k{n}=" for n in range(MAX_KEYS + 1)).encode(), id="too many"),
        pytest.param(
            MULTIPART, multipart(a="b").replace("form-data", "x").encode()[:-9], id="half a multipart"
        ),
        pytest.param(MULTIPART, multipart(a="\xff").encode("latin-1"), id="multipart that is not UTF-8"),
        pytest.param("multipart/form-data", multipart(a="b").encode(), id="multipart without its boundary"),
        pytest.param(MULTIPART, multipart(a="b").replace('"a"', '"a"; filename="f"').encode(), id="a file"),
    ],
)
async def test_what_cannot_be_read_is_refused(world: World, kind: str, body: bytes) -> None:
    path = f"{await domain(world)}/groups"
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(path, params=SALES, content=body, headers={"Content-Type": kind})
    assert refused(answer)[0] == 400
    assert await world.rows("SELECT * FROM sip_group") == []


async def test_a_query_that_cannot_be_read_is_refused(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        for query in ("a=%ff", "a=%zz", "a[b]=1", "&".join(f"k{n}=" for n in range(MAX_KEYS + 1))):
            assert refused(await client.get(f"{path}?{query}"))[0] == 400, query


async def test_a_body_is_read_only_of_those_who_were_let_in(world: World) -> None:
    path = f"{await domain(world)}/groups"
    broken: dict[str, Any] = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    async with world.client(AccessLevel.VIEWER) as client:
        assert refused(await client.post(path, **broken))[0] == 403
    async with world.client(None) as client:
        answer = await client.post(path, **broken)
        assert refused(answer) == (401, "auth required")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    async with world.client(AccessLevel.MANAGER) as client:
        assert refused(await client.post(path, **broken))[0] == 400
        assert refused(await client.post(path, content=b" " * 70_000))[0] == 413


async def test_unknown_parameters_are_ignored_and_of_several_values_the_last_counts(world: World) -> None:
    path = f"{await domain(world)}/groups"
    async with world.client(AccessLevel.MANAGER) as client:
        group = await made(client, path, **SALES, unknown="x", groupId="7")
        await client.post(f"{path}/{group}?groupName=a&groupName=b")
        assert row(await client.get(f"{path}/{group}"))["groupName"] == "b"


async def test_the_longest_array_costs_no_more_than_its_length(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        group = await made(client, f"{path}/groups", **SALES)
        for values in ("1," * 32_000 + "1", ",".join(map(str, range(20_000, 30_500)))):
            body = f'{{"userSpec":[{values}]}}'
            assert len(body) > 63_000
            started = time.process_time()
            answer = await client.post(
                f"{path}/groups/{group}/users", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in (204, 404)
            assert time.process_time() - started < 5, "as many steps as there are pairs of values"
