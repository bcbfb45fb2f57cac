"""The history of calls over the API: who sees which calls, the filters, deep pages, lines and CSV."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from config import clock
from config.access import AccessLevel
from config.chores import Chores
from config.operations.history import DAY_MS, DELETED_AT_ONCE
from registrar.metrics import Metrics
from registrar.model import Call, CallResult, CallState, Cause, Ending, Party, PastCall, Process
from registrar.store.history_sql import SqlHistory
from tests.config.world import NOBODY, World
from tests.every import every

NOON = 1_790_000_000.0
"""2026-09-21T14:13:20Z"""


class Past:
    """Past calls of the tenants of a world, one a minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.history = SqlHistory(world.engine, Metrics())
        self.count = 0

    def call(
        self,
        caller: str = "ext200",
        to: str = "ext201",
        cause: Cause = Cause.HUNG_UP,
        status: int = 0,
        customer: str = "acme",
        rung: tuple[str, ...] = (),
        result: CallResult | None = None,
        **changes: Any,
    ) -> str:
        """Add a call and return its id; `answered` says whether it was."""
        at = NOON + 60 * self.count
        self.count += 1
        ids = self.world.ids
        call = Call(
            id=f"{self.count:032x}",
            call_id=f"call-{self.count}@host",
            customer=ids[customer],
            domain=f"{customer}.test",
            caller=Party(NOBODY, caller[-3:], f"Name of {caller}", "udp", person=ids.get(caller, "")),
            callee=Party("", to[-3:], f"Name of {to}", person=ids.get(to, "")),
            state=CallState.RINGING,
            started_at=at,
            answered_at=at + 5 if cause is Cause.HUNG_UP else 0.0,
            process=Process("n1", "g1"),
            dialled=to[-3:],
        )
        call = replace(call, **changes)
        people = tuple(ids[one] for one in rung)
        self.history.add(PastCall(call, Ending(cause, at + 30, status), people, result))
        return call.id

    async def listed(self, query: str = "", level: AccessLevel = AccessLevel.VIEWER, **who: Any) -> Any:
        await self.history.write()
        async with self.world.client(level, **who) as client:
            answer = await client.get(f"/pbx/call/history?{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ids(self, query: str = "", level: AccessLevel = AccessLevel.VIEWER, **who: Any) -> list[int]:
        return [int(row["_id"], 16) for row in (await self.listed(query, level, **who))["calls"]]


@pytest.fixture
def past(world: World) -> Past:
    return Past(world)


async def test_a_past_call_is_shown_whole(past: Past) -> None:
    past.call(is_private=True)
    body = await past.listed()
    (row,) = body.pop("calls")
    assert body == {"offset": 0, "limit": 50, "total": 1, "next": None}
    ids = past.world.ids
    assert row == {
        "_id": f"{1:032x}",
        "customer": ids["acme"],
        "startedAt": "2026-09-21T14:13:20Z",
        "answeredAt": "2026-09-21T14:13:25Z",
        "endedAt": "2026-09-21T14:13:50Z",
        "dialled": "201",
        "direction": None,
        "result": "answered",
        "missed": False,
        "caller": {
            "phone": NOBODY,
            "extension": ids["ext200"],
            "number": "200",
            "name": "Name of ext200",
            "transport": "udp",
        },
        "callee": {
            "phone": None,
            "extension": ids["ext201"],
            "number": "201",
            "name": "Name of ext201",
            "transport": None,
        },
        "via": {"number": None, "name": None},
        "cause": "hung-up",
        "status": None,
        "reason": None,
        "endedBy": None,
        "ringSeconds": 5.0,
        "talkSeconds": 25.0,
        "media": "direct",
        "private": True,
        "node": "n1",
        "callId": "call-1@host",
    }


async def test_the_newest_call_comes_first_and_deep_pages_go_on_after_the_last_one(past: Past) -> None:
    for _ in range(7):
        past.call()
    first = await past.listed("limit=3")
    assert [int(row["_id"], 16) for row in first["calls"]] == [7, 6, 5] and first["total"] == 7
    past.call()  # a new call does not move the pages that follow
    second = await past.listed(f"limit=3&after={first['next']}")
    assert [int(row["_id"], 16) for row in second["calls"]] == [4, 3, 2] and second["total"] is None
    third = await past.listed(f"limit=3&after={second['next']}")
    assert [int(row["_id"], 16) for row in third["calls"]] == [1] and third["next"] is None
    assert await past.ids("limit=3&offset=2") == [6, 5, 4]


async def test_filters(past: Past) -> None:
    past.call()
    past.call("ext201", "ext200", Cause.BUSY, 486)
    past.call("ext200", "ext999", Cause.FAILED, 404, callee=Party("", ""), dialled="999")
    past.call("ext202", "ext203", callee=Party("c" * 24, "203"), dialled="600", via="600")
    assert await past.ids("from=2026-09-21T14:14:20Z&to=2026-09-21T14:16:20Z") == [3, 2]
    assert await past.ids("number=999") == [3]
    assert await past.ids("number=203") == [4] == await past.ids("number=600")
    assert await past.ids("number=200") == [3, 2, 1]
    assert await past.ids(f"phone={'C' * 24}") == [4]
    assert await past.ids(f"phone={NOBODY}&number=202") == [4]
    assert await past.ids("result=not-found,busy") == [3, 2]
    assert await past.ids("extension=201") == [2, 1]
    assert await past.ids("extension=201&direction=in") == [1]
    assert await past.ids("extension=201&direction=out&result=busy&number=200") == [2]
    assert await past.ids("extension=777") == [] == await past.ids("number=777")
    assert await past.ids(f"extension=201&phone={'c' * 24}") == []


async def test_each_person_sees_what_became_of_a_call_for_it(past: Past) -> None:
    group: dict[str, Any] = {"via": "600", "via_name": "Sales", "dialled": "600"}
    past.call(to="ext201", rung=("ext200", "ext201"), caller="ext999", **group)
    past.call("ext999", "ext600", Cause.UNREACHABLE, 480, rung=("ext200", "ext201"), **group)
    past.call("ext201", "ext200", Cause.CANCELLED, 487)
    past.call("ext201", "ext200", Cause.DECLINED, 603)
    rows = (await past.listed("extension=200"))["calls"]
    assert [(int(row["_id"], 16), row["direction"], row["result"], row["missed"]) for row in rows] == [
        (4, "in", "declined", False),
        (3, "in", "cancelled", True),
        (2, "in", "no-answer", True),
        (1, "in", "answered-elsewhere", False),
    ]
    assert await past.ids("missed=true&extension=200") == [3, 2]
    assert await past.ids("missed=true&extension=201") == [2]
    assert await past.ids("missed=true&result=cancelled") == [3]


async def test_a_person_sees_its_own_calls_and_not_who_called_anonymously(past: Past) -> None:
    past.call("ext201", "ext200", is_private=True)
    past.call("ext201", "ext202")
    past.call("ext200", "ext201", is_private=True)
    anna = {"person": "anna"}
    rows = (await past.listed("", AccessLevel.PERSONAL, **anna))["calls"]
    assert [(int(row["_id"], 16), row["direction"]) for row in rows] == [(3, "out"), (1, "in")]
    assert rows[0]["caller"]["number"] == "200"
    assert set(rows[1]["caller"].values()) == {None} and rows[1]["callId"] is None
    assert await past.ids("extension=201", AccessLevel.PERSONAL, **anna) == []
    assert await past.ids("direction=out", AccessLevel.PERSONAL, **anna) == [3]
    assert await past.ids("number=201", AccessLevel.PERSONAL, **anna) == [3], "nor can it be guessed"
    assert await past.ids("customer=all", AccessLevel.PERSONAL, **anna) == [3, 1]
    assert await past.ids("", AccessLevel.PERSONAL, person="single") == []
    assert await past.ids("", AccessLevel.PERSONAL) == []


async def test_other_customers_see_none_of_it(past: Past) -> None:
    past.call()
    past.call("foreign", "foreign", customer="rival")
    past.call("ext777", "ext778", customer="below")
    rival, acme = past.world.ids["rival"], past.world.ids["acme"]
    assert await past.ids("", customer="rival") == [2]
    assert await past.ids("extension=200", customer="rival") == [2]
    assert await past.ids("number=201", customer="rival") == []
    assert await past.ids("", AccessLevel.RESELLER, customer="reseller") == []
    assert await past.ids(f"customer={acme}", AccessLevel.RESELLER, customer="reseller") == [1]
    assert await past.ids("", AccessLevel.ADMIN, customer=None) == [3, 2, 1]
    assert await past.ids("extension=200", AccessLevel.ADMIN, customer=None) == [2, 1]
    async with past.world.client(AccessLevel.MANAGER) as client:
        assert (await client.get(f"/pbx/call/history?customer={rival}")).status_code == 403


@every(
    "query",
    ["from=yesterday", "result=lost,x", "direction=in", "direction=up&extension=200", "after=1", "limit=x",
     "format=xml", "number=%00", "missed=maybe", "missed=true&direction=out&extension=200",
     f"number={'1' * 256}"],
)  # fmt: skip
async def test_a_query_that_cannot_be_read_is_400(world: World, query: str) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        assert (await client.get(f"/pbx/call/history?{query}")).status_code == 400


async def test_lines_and_csv(past: Past) -> None:
    past.call("ext200", "ext201", callee=Party("", "201", '=cmd|"/c calc"!A0'))
    past.call("ext201", "ext200", Cause.BUSY, 486)
    await past.history.write()
    async with past.world.client(AccessLevel.VIEWER) as client:
        lines = await client.get("/pbx/call/history", headers={"Accept": "application/x-ndjson"})
        table = await client.get("/pbx/call/history?limit=1&number=200", headers={"Accept": "text/csv"})
        rest = await client.get(table.links["next"]["url"], headers={"Accept": "text/csv"})
        named = await client.get("/pbx/call/history?format=csv&limit=0")
    assert lines.headers["content-type"] == "application/x-ndjson" and lines.text.count("\n") == 2
    assert (table.headers["x-total-count"], table.headers["vary"]) == ("2", "Accept, Accept-Encoding")
    (first,), (second,) = (list(csv.DictReader(io.StringIO(one.text))) for one in (table, rest))
    assert (first["result"], first["status"], first["caller.number"]) == ("busy", "486", "201")
    assert (second["startedAt"], second["ringSeconds"]) == ("2026-09-21T14:13:20Z", "5.0")
    assert second["callee.name"] == '\'=cmd|"/c calc"!A0' and second["private"] == "false"
    assert "next" not in rest.links and len(list(csv.DictReader(io.StringIO(named.text)))) == 1


async def test_old_calls_are_deleted_in_small_steps(past: Past) -> None:
    now_ms = round(clock.epoch_now() * 1_000)
    for _ in range(DELETED_AT_ONCE + 2):
        past.call(started_at=(now_ms - 31 * DAY_MS) / 1_000)
    young = past.call(started_at=(now_ms - 29 * DAY_MS) / 1_000)
    while past.history._waiting:
        await past.history.write()
    chores = Chores(past.world.but(call_history_days=30).app().state.parts)
    assert [await chores.tidy(), await chores.tidy()] == [DELETED_AT_ONCE + 2, 0]
    assert await past.world.rows("SELECT call FROM call_history") == [(young,)]
    assert len(await past.world.rows("SELECT history_id FROM call_history_person")) == 2
