"""The history of calls: phones that really call each other, a node that dies, a database that is away."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.patience import limit
from tests.peers.calling import CallingPhone
from tests.peers.postgresql import PostgresServer
from tests.peers.redis import RedisServer
from tests.wire.callers import Callers, eventually, talk
from tests.wire.conftest import Report
from tests.wire.need import need, need_postgresql
from tests.wire.office import Office, rung
from tests.wire.site import Site

pytestmark = pytest.mark.wire

WRITTEN_SECONDS: Final = 3.0
LOCKED_SECONDS: Final = 1.5
SETUP_SECONDS: Final = 1.0
"""A call that waited for the database would take longer: it waits 5 s for a writer."""
Row = dict[str, Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of its own: it is killed, and its database is locked."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("history")
    with (
        RedisServer(folder / "redis") as redis,
        Site(folder / "site", redis_url=redis.url, wrap_up_seconds="0") as site,
    ):
        site.demo()
        yield site


@pytest.fixture
async def office(kept: Site) -> AsyncIterator[Office]:
    async with Callers(kept) as callers:
        yield Office(callers)


def rows(site: Site, query: str = "") -> list[Row]:
    """Past calls, the newest first."""
    reply = site.api("GET", f"/pbx/call/history?limit=1000&{query}")
    assert reply.status == 200, reply
    found: list[Row] = reply.body["calls"]
    return found


async def rows_of(site: Site, query: str, number: int = 1) -> list[Row]:
    """So many rows, as soon as they are written."""
    found: list[Row] = []

    def are_there() -> bool:
        found[:] = rows(site, query)
        return len(found) >= number

    await eventually(are_there, f"{number} rows of {query}", WRITTEN_SECONDS)
    return found


async def refused(phone: CallingPhone, number: str) -> int:
    """The final answer to a call."""
    return (await (await phone.call(number)).final()).status


async def test_every_call_leaves_a_row_that_says_what_became_of_it(office: Office) -> None:
    site, callers = office.callers.site, office.callers
    anna, bert, cora = await office.people(3)
    a, b = anna.phone, bert.phone
    number = anna.extension.number

    outgoing, _ = await talk(a, b, bert.extension.number)
    await outgoing.bye()
    busy = await a.call(bert.extension.number)
    (await b.incoming(nth=1)).refuse(486, reason="Busy Here")
    assert (await busy.final()).status == 486
    given_up = await a.call(bert.extension.number)
    (await b.incoming(nth=2)).ring()
    await given_up.provisional(180)
    given_up.cancel()
    assert (await given_up.final()).status == 487
    assert await refused(a, "77777") == 404
    assert await refused(a, callers.extension().number) == 480
    assert await refused(a, "112") == 503
    group = office.group([bert, cora])
    rings = await a.call(group.number)
    calls = [*await rung([bert], 3), *await rung([cora])]
    for one in calls:
        one.ring()
    calls[1].answer()
    await rings.answered()
    await calls[1].acknowledged()
    await rings.bye()
    queue = office.queue({"extension": cora.id, "ringSecs": 1})
    assert await refused(a, queue.number) == 480
    site.api("PATCH", f"/pbx/extension/{bert.id}", {"cfu": cora.extension.number})
    outgoing, _ = await talk(a, cora.phone, bert.extension.number)
    await outgoing.bye()

    found = await rows_of(site, f"number={number}", 9)
    assert [(one["dialled"], one["result"], one["status"]) for one in reversed(found)] == [
        (bert.extension.number, "answered", None),
        (bert.extension.number, "busy", 486),
        (bert.extension.number, "cancelled", 487),
        ("77777", "not-found", 404),
        (found[4]["dialled"], "unreachable", 480),
        ("112", "emergency", 503),
        (group.number, "answered", None),
        (queue.number, "no-answer", 480),
        (bert.extension.number, "answered", None),
    ]
    assert {one["caller"]["phone"] for one in found} == {anna.extension.handset.id}
    assert found[7]["reason"] == "Busy Here" and found[5]["reason"] == "Request-URI: no such number here"
    assert (found[2]["via"]["number"], found[2]["callee"]["number"]) == (group.number, cora.extension.number)
    assert (found[0]["callee"]["number"], found[0]["cause"]) == (cora.extension.number, "hung-up")
    assert all(one["ringSeconds"] >= 0 for one in found) and found[8]["talkSeconds"] is not None
    missed = rows(site, f"extension={bert.extension.number}&missed=true")
    assert [one["result"] for one in missed] == ["cancelled", "busy"]
    elsewhere = rows(site, f"extension={bert.extension.number}&result=answered-elsewhere")
    assert [one["dialled"] for one in elsewhere] == [group.number]
    assert f'"dialled": "77777", "reason": "{found[5]["reason"]}"' in site.log_text


async def test_a_phone_that_may_not_call_leaves_a_row(office: Office) -> None:
    site = office.callers.site
    bare = site.new_phone(extension=None)
    phone = await office.callers.phone(bare)
    assert await refused(phone, "201") == 403
    (row,) = await rows_of(site, f"phone={bare.id}")
    assert (row["result"], row["status"], row["dialled"]) == ("forbidden", 403, "201")
    stranger = await office.callers.connect(site.new_phone())
    assert row["caller"]["extension"] is None and stranger.account.username


async def test_no_call_waits_for_a_database_that_is_locked_and_none_is_lost(
    office: Office, report: Report
) -> None:
    site = office.callers.site
    anna, bert = await office.people(2)
    for _ in range(2):  # what a call asks the database is known now
        outgoing, _ = await talk(anna.phone, bert.phone, bert.extension.number)
        await outgoing.bye()
    await rows_of(site, f"number={anna.extension.number}", 2)
    slowest, made = 0.0, 0
    with closing(sqlite3.connect(database(site), isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")  # no other writer until the end
        until = time.monotonic() + LOCKED_SECONDS
        while time.monotonic() < until or not made:
            begin = time.monotonic()
            outgoing, _ = await talk(anna.phone, bert.phone, bert.extension.number)
            slowest = max(slowest, time.monotonic() - begin)
            await outgoing.bye()
            made += 1
            await asyncio.sleep(0.1)  # a phone makes ten calls a second at most (quota phone-rate)
        assert len(rows(site, f"number={anna.extension.number}")) == 2
        file.execute("ROLLBACK")
    found = await rows_of(site, f"number={anna.extension.number}", 2 + made)
    assert len(found) == 2 + made and slowest < limit(SETUP_SECONDS)
    report(f"{made} calls beside a locked database: the slowest took {slowest * 1000:.0f} ms, none is lost")


def database(site: Site) -> str:
    (file,) = Path(site.settings["data_dir"]).glob("*.sqlite")
    return str(file)


async def test_a_call_that_rings_when_its_node_is_killed_is_lost_once(office: Office) -> None:
    site = office.callers.site
    anna, bert = await office.people(2)
    outgoing = await anna.phone.call(bert.extension.number)
    (await bert.phone.incoming()).ring()
    await outgoing.provisional(180)
    await eventually(lambda: site.redis("zcard", "registrar:calls") == 1, "the call is in Redis")
    site.kill9()
    await asyncio.to_thread(site.start)
    (row,) = await rows_of(site, f"number={anna.extension.number}")
    assert (row["result"], row["cause"], row["dialled"]) == ("lost", "lost", bert.extension.number)
    assert row["callee"]["extension"] == bert.id and row["answeredAt"] is None


async def test_calls_that_wait_are_written_when_the_process_stops(office: Office) -> None:
    site = office.callers.site
    anna = await office.person()
    assert await refused(anna.phone, "77778") == 404
    await asyncio.to_thread(site.stop)
    await asyncio.to_thread(site.start)
    (row,) = rows(site, f"number={anna.extension.number}")
    assert row["result"] == "not-found"


@pytest.mark.soak
async def test_calls_wait_for_a_postgresql_that_was_killed(tmp_path: Path, report: Report) -> None:
    need_postgresql()
    with PostgresServer() as postgres:
        made = Site(tmp_path, database_url=postgres.url(postgres.create()))
        made.command("migrate")
        with made as site:
            site.demo()
            async with Callers(site) as callers:
                anna, bert = await Office(callers).people(2)
                outgoing, _ = await talk(anna.phone, bert.phone, bert.extension.number)
                await outgoing.bye()
                await rows_of(site, f"number={anna.extension.number}")
                await asyncio.to_thread(postgres.kill9)
                slowest = 0.0
                for _ in range(20):
                    begin = time.monotonic()
                    outgoing, _ = await talk(anna.phone, bert.phone, bert.extension.number)
                    slowest = max(slowest, time.monotonic() - begin)
                    await outgoing.bye()
                await asyncio.to_thread(postgres.start)
                found = await rows_of(site, f"number={anna.extension.number}", 21)
                assert len(found) == 21 and slowest < limit(3.0)
                report(f"20 calls without PostgreSQL: the slowest took {slowest * 1000:.0f} ms, none is lost")
