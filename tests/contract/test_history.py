"""The history of calls: the table that config migrates, written by the SIP side, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.metrics import Metrics
from registrar.model import CallResult, Cause, Ending, Party, PastCall, Process
from registrar.store import history_sql
from registrar.store.database import connect
from registrar.store.history_memory import MemoryHistory
from registrar.store.history_sql import SqlHistory
from tests.patience import limit
from tests.registrar.rules.test_history import CALL, GROUP

ENDED = PastCall(
    replace(
        CALL,
        customer="a" * 24,
        callee=Party("id-b", "201", "Bert", "wss", person="bert"),
        answered_at=1_004.5,
        process=Process("n1", "g1"),
        is_private=True,
        relay="engine session",
        dialled="+45-2%301;isub=1",
    ),
    Ending(Cause.HUNG_UP, 1_064.75, by="201"),
)


@pytest.fixture
async def engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(migrated_url)
    yield engine
    await engine.dispose()


async def rows(engine: AsyncEngine, table: str = "call_history") -> list[Any]:
    async with engine.connect() as connection:
        return list(await connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")))


def counted(metrics: Metrics) -> dict[str, float]:
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    return {one.labels["result"]: one.value for one in samples if one.name == "registrar_call_history_total"}


def numbered(number: int) -> PastCall:
    return replace(ENDED, call=replace(ENDED.call, id=f"{number:032x}"))


async def test_a_past_call_is_a_row(engine: AsyncEngine) -> None:
    metrics = Metrics()
    history = SqlHistory(engine, metrics)
    history.add(ENDED)
    await history.write()
    (row,) = await rows(engine)
    assert (row.call, row.customer, row.sip_call_id, row.node) == ("0" * 32, "a" * 24, "c@host", "n1")
    assert (row.started_ms, row.answered_ms, row.ended_ms) == (1_000_000, 1_004_500, 1_064_750)
    assert (row.caller_number, row.caller_name, row.caller_person) == ("200", "Anna", "anna")
    assert (row.callee_phone, row.callee_transport, row.dialled) == ("id-b", "wss", "+45201")
    assert (row.result, row.cause, row.status, row.ended_by) == ("answered", "hung-up", None, "201")
    assert (bool(row.private), bool(row.relayed), row.via) == (True, True, "")
    people = await rows(engine, "call_history_person")
    assert {(one.person, one.side, one.result, one.started_ms) for one in people} == {
        ("anna", "caller", "answered", 1_000_000),
        ("bert", "callee", "answered", 1_000_000),
    }
    assert counted(metrics) == {"written": 1}


async def test_the_first_report_of_a_call_stays(engine: AsyncEngine) -> None:
    first, second = SqlHistory(engine, Metrics()), SqlHistory(engine, Metrics())
    first.add(ENDED)
    await first.write()
    second.add(replace(ENDED, ending=Ending(Cause.LOST, 2_000.0, by="n2"), rung=("cat",)))
    second.add(numbered(7))
    await second.write()
    assert [(row.call[-1], row.cause) for row in await rows(engine)] == [("0", "hung-up"), ("7", "hung-up")]
    assert "cat" not in {one.person for one in await rows(engine, "call_history_person")}
    memory = MemoryHistory()
    for past in (ENDED, replace(ENDED, rung=("cat",)), numbered(7)):
        memory.add(past)
    assert memory.past == [ENDED, numbered(7)]


async def test_many_calls_are_written_in_their_order(engine: AsyncEngine) -> None:
    history = SqlHistory(engine, Metrics())
    for number in range(history_sql.AT_ONCE * 2 + 50):
        history.add(numbered(number))
    await history.close()
    assert [int(row.call, 16) for row in await rows(engine)] == list(range(250))


async def test_a_text_of_a_peer_is_shortened_and_has_no_control_characters(engine: AsyncEngine) -> None:
    odd = replace(ENDED.call, call_id="x\0\ud800\n" + "y" * 300, dialled="\N{SNOWMAN}" * 300)
    history = SqlHistory(engine, Metrics())
    history.add(replace(ENDED, call=odd, ending=Ending(Cause.FAILED, 1_064.0, 500, why="a\tb")))
    await history.write()
    (row,) = await rows(engine)
    assert (row.sip_call_id, row.reason) == ("x" + "y" * 251, "ab")
    assert row.dialled == "\N{SNOWMAN}" * 255


async def test_everyone_at_whom_a_group_rang_has_a_row(engine: AsyncEngine) -> None:
    history = SqlHistory(engine, Metrics())
    history.add(PastCall(GROUP, Ending(Cause.UNREACHABLE, 1_060.0, 480), ("bert", "cat")))
    await history.write()
    people = await rows(engine, "call_history_person")
    assert {(one.person, one.result) for one in people} == {
        ("anna", CallResult.NO_ANSWER),
        ("bert", CallResult.NO_ANSWER),
        ("cat", CallResult.NO_ANSWER),
    }


async def test_a_row_that_the_database_refuses_does_not_stop_the_others(engine: AsyncEngine) -> None:
    metrics = Metrics()
    history = SqlHistory(engine, metrics)
    bad = replace(ENDED.call, id="f" * 32, started_at=float(2**70))  # no 64-bit number
    for past in (numbered(1), replace(ENDED, call=bad), numbered(2)):
        history.add(past)
    await history.write()
    if engine.dialect.name == "postgresql":  # SQLite takes any number
        assert [int(row.call, 16) for row in await rows(engine)] == [1, 2]
        assert counted(metrics) == {"written": 2, "refused": 1}


async def test_calls_wait_for_a_database_that_is_away(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the table is away: tests/wire/test_call_history.py has a server that is down."""
    monkeypatch.setattr(history_sql, "WRITE_SECONDS", 0.1)
    metrics = Metrics()
    history = SqlHistory(engine, metrics)
    running = asyncio.create_task(history.run())
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE call_history RENAME TO elsewhere"))
    history.add(ENDED)
    await asyncio.sleep(history_sql.WRITE_SECONDS * 2)
    assert counted(metrics) == {}
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO call_history"))
    history.add(numbered(9))
    async with asyncio.timeout(limit(10)):
        while counted(metrics) != {"written": 2}:
            await asyncio.sleep(0.02)
    running.cancel()
    assert [row.call[-1] for row in await rows(engine)] == ["0", "9"]


async def test_what_cannot_be_kept_is_counted(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_sql, "MAX_WAITING", 2)
    metrics = Metrics()
    history = SqlHistory(engine, metrics)
    for number in range(5):
        history.add(numbered(number))
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE call_history_person"))
    await history.close()
    assert counted(metrics) == {"dropped": 5}
