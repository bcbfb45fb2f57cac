"""What the tests of the row dialect share: the numbers of things, and rows read back."""

import json
from typing import Any

import httpx

from tests.config.world import World

ROOT = "/config/v2/sip/domains"
JOE = {"user": "joe", "password": "joe's secret", "displayName": "Joe Blogs", "extensionNumber": "300"}
SALES = {"groupName": "sales", "displayName": "Sales Dept", "extensionNumber": "600"}
QUEUE = {"queueName": "waiting", "displayName": "Please wait", "extensionNumber": "700"}
MEMBER = {"ringStrategy": "all", "ringAttempts": "3", "ringSecs": "20", "ringOrder": "5"}
MAC = "10:20:30:1A:2B:3C"
DEVICE = {"pbxDeviceName": "Desk", "deviceMacAddress": MAC}

Rows = list[dict[str, str | None]]


async def number(world: World, oid: str, table: str) -> str:
    """The number in this dialect of what has the id `oid` in the other one."""
    ((id,),) = await world.rows(f"SELECT id FROM {table} WHERE oid = :oid", oid=oid)
    return str(id)


async def domain(world: World, name: str = "acme") -> str:
    """The path of a tenant's SIP domain."""
    return f"{ROOT}/{await number(world, world.ids[name], 'customer')}"


def rows(answer: httpx.Response) -> Rows:
    """The rows of a list."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines() if line]


def row(answer: httpx.Response) -> dict[str, str | None]:
    """A single row."""
    assert answer.status_code == 200, answer.text
    assert (answer.headers["content-type"], answer.text[-1]) == ("application/json", "\n")
    read: dict[str, str | None] = answer.json()
    return read


def refused(answer: httpx.Response) -> tuple[int, str]:
    """The status and the text of an error, which is one JSON string and a line break."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.text.endswith('"\n')
    message = answer.json()
    assert isinstance(message, str)
    return answer.status_code, message


async def made(client: httpx.AsyncClient, path: str, **params: Any) -> str:
    """The number of what a POST to `path` makes; its Location leads to it."""
    answer = await client.post(path, data=params)
    assert answer.status_code == 201, answer.text
    id = str(next(iter(answer.json().values())))
    assert answer.headers["location"].lower() == f"{path}/{id}".lower()
    assert (await client.get(answer.headers["location"])).status_code == 200
    return id
