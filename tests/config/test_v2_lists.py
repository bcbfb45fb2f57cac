"""Lists without an end: read in one snapshot, sent in pieces, and what they hold is given back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from sqlalchemy.pool import QueuePool
from starlette.requests import ClientDisconnect

from config.access import AccessLevel
from config.deps import MAX_STREAMS
from config.v2 import answers
from config.v2.asking import wants_array
from tests.config.auditing import write_notes
from tests.config.v2 import domain
from tests.config.world import World
from tests.every import every

MANY: Final = 5 * answers.AT_ONCE + 1
PIECE_BYTES: Final = answers.AT_ONCE * 300
"""A row of these has about 200."""

Heard = Callable[[dict[str, Any]], Awaitable[None]]


@every(
    ("accept", "array"),
    [
        ("application/json", True),
        ("text/html, Application/JSON;q=0.5", True),
        ("application/json;q=0", False),
        ("application/json, */*;q=0.1", False),
        ("application/json, text/plain, */*", False),
        ("application/json, application/x-ndjson", False),
        ("application/json, application/x-ndjson;q=0", True),
        ("*/*", False),
        ("application/*", False),
        ("text/csv", False),
        ("", False),
    ],
)
def test_accept_chooses_between_lines_and_an_array(accept: str, array: bool) -> None:
    assert wants_array(accept) is array


@pytest.fixture
async def networks(world: World) -> str:
    """The path of a list with many rows."""
    columns = "oid, customer_id, network, network_as_sent, created_at, updated_at"
    await world.execute(
        f"INSERT INTO trusted_network ({columns}) WITH RECURSIVE count(n) AS "
        f"(SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < {MANY}) "
        "SELECT 'o' || n, id, 'n' || n, 'n' || n, created_at, updated_at FROM count "
        "JOIN customer ON customer.oid = :acme",
        acme=world.ids["acme"],
    )
    return f"{await domain(world)}/trustednetworks"


def in_use(world: World) -> int:
    """How many connections of readers to the database are not in their pool."""
    pool = world.read_engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def ask(app: Any, world: World, path: str, heard: Heard, method: str = "GET", **headers: str) -> None:
    """One request, whose client hears each message as it comes."""
    sent = {"authorization": f"Bearer {world.token(AccessLevel.VIEWER)}", **headers}

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("api.test", 80),
    }
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def first_the_body() -> dict[str, Any]:
        return waiting.pop() if waiting else await receive()

    await app(scope, first_the_body, heard)


async def test_a_list_shows_one_moment(world: World, networks: str) -> None:
    """What is deleted, changed and made while it is sent does not show; no piece has more than its rows."""
    messages: list[dict[str, Any]] = []

    async def heard(message: dict[str, Any]) -> None:
        messages.append(message)
        if len(messages) == 2:  # the headers, and the first piece
            await world.execute("DELETE FROM trusted_network WHERE network <> 'n1'")
            await world.execute("UPDATE trusted_network SET network_as_sent = 'other'")

    await ask(world.app(), world, networks, heard)
    start, *pieces = messages
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert (start["status"], headers["x-total-count"]) == (200, str(MANY))
    assert "content-length" not in headers
    rows = b"".join(piece["body"] for piece in pieces).decode().splitlines()
    assert [json.loads(row)["network"] for row in rows] == [f"n{n}" for n in range(1, MANY + 1)]
    assert len(pieces) >= MANY // answers.AT_ONCE
    assert max(len(piece["body"]) for piece in pieces) < PIECE_BYTES
    assert await world.rows("SELECT count(*) FROM trusted_network") == [(1,)]
    assert in_use(world) == 0


@pytest.mark.parametrize("format", ["json", "jsonarray", "csv"])
async def test_a_streamed_list_is_whole_in_every_format(world: World, networks: str, format: str) -> None:
    pieces: list[bytes] = []

    async def heard(message: dict[str, Any]) -> None:
        pieces.append(message.get("body", b""))

    await ask(world.app(), world, f"{networks}?format={format}&display[]=network", heard)
    text = b"".join(pieces).decode()
    names = [f"n{n}" for n in range(1, MANY + 1)]
    if format == "csv":
        assert text == "".join(f"{name}\r\n" for name in ("network", *names))
    elif format == "jsonarray":
        assert json.loads(text) == [{"network": name} for name in names]
        assert text.endswith("]\n")
    else:
        assert text == "".join(f'{{"network":"{name}"}}\n' for name in names)


async def test_head_does_not_read_a_long_list(world: World, networks: str) -> None:
    messages: list[dict[str, Any]] = []

    async def heard(message: dict[str, Any]) -> None:
        messages.append(message)

    await ask(world.app(), world, networks, heard, "HEAD")
    assert [message["type"] for message in messages] == ["http.response.start", "http.response.body"]
    assert (messages[1]["body"], messages[1]["more_body"], in_use(world)) == (b"", False, 0)


async def test_only_some_long_lists_are_sent_at_a_time(world: World, networks: str) -> None:
    """Each holds a connection; the next is told to come again, short lists are answered all the same."""
    app, go_on, begun = world.app(), asyncio.Event(), asyncio.Semaphore(0)
    statuses: list[int] = []

    async def slow(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            begun.release()
            await go_on.wait()

    async def heard(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async with asyncio.TaskGroup() as readers:
        for _ in range(MAX_STREAMS):
            readers.create_task(ask(app, world, networks, slow))
        for _ in range(MAX_STREAMS):
            await begun.acquire()
        assert in_use(world) == MAX_STREAMS
        await ask(app, world, networks, heard)
        await ask(app, world, f"{networks}?limit=3", heard)
        go_on.set()
    await ask(app, world, networks, heard)
    assert statuses == [503, 200, 200]
    assert in_use(world) == 0


async def test_a_client_that_goes_away_leaves_nothing_behind(world: World, networks: str) -> None:
    async def gone(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            raise ClientDisconnect

    await ask(world.app(), world, networks, gone)
    assert in_use(world) == 0


async def test_a_list_that_is_taken_as_csv_is_in_the_audit_log(world: World, networks: str) -> None:
    """The tenant whose rows were taken sees it, also if the caller belongs to another one."""
    async with world.client(AccessLevel.ADMIN, "rival") as client:
        for path, query in (
            (networks, "?display[]=network&format=csv"),
            (networks, "?display[]=network&format=csv&offset=10&limit=7"),
            (networks, "?display[]=network&format=jsonarray&limit=7"),
            (networks.rpartition("/")[0] + "/users", "?display[]=user&format=csv"),
            ("/config/v2/sip/domains", "?display[]=domain&format=csv"),
        ):
            assert (await client.get(path + query)).status_code == 200
        await write_notes(client, world.engine)
    told = await world.rows(
        "SELECT named, changes, oid FROM audit_log LEFT JOIN customer ON customer.id = customer_id "
        "WHERE action = 'export' ORDER BY audit_log.id"
    )
    acme = world.ids["acme"]
    assert [
        (named.rpartition("/")[2], json.loads(changes)["after"]["rows"], oid) for named, changes, oid in told
    ] == [
        ("trustedNetworks", MANY, acme),
        ("trustedNetworks", 7, acme),
        ("users", 2, acme),
        ("domains", 2, world.ids["rival"]),
    ]
