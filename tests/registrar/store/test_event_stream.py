"""registrar/store/event_stream.py: reading the stream of all events from a position, on a real server."""

import asyncio
import re
from pathlib import Path

import pytest

from registrar.store import event_stream, keys
from registrar.store.event_stream import FIRST, NAMES, Entry, order
from registrar.store.redis_client import connect
from tests.contract.servers import client, running
from tests.every import every
from tests.patience import limit

REDIS_MD = Path(__file__).parents[3] / "docs" / "redis.md"


@every(
    ("fields", "key"),
    [
        pytest.param({"key": "5f3a:7", "event": "lost"}, "5f3a:7", id="written"),
        pytest.param({"event": "call-started", "call": "c"}, "c:call-started", id="a call begins once"),
        pytest.param({"event": "call-answered", "call": "c"}, "c:call-answered", id="is answered once"),
        pytest.param({"event": "call-ended", "call": "c"}, "c:call-ended", id="ends once"),
        pytest.param({"event": "call-changed", "call": "c"}, "9-1", id="and is held many times"),
        pytest.param({"event": "call-ended"}, "9-1", id="no call"),
        pytest.param({"event": "dnd"}, "9-1", id="a wish"),
        pytest.param({}, "9-1", id="nothing"),
    ],
)
def test_an_event_has_a_key(fields: dict[str, str], key: str) -> None:
    assert Entry("9-1", fields).key == key


def test_positions_are_numbers() -> None:
    assert order("10-2") > order("9-30") > order("9-4") > order(FIRST)


@every("text", ["", "1", "1-", "-1", "a-1", "1-1-1", "1-1\n", "\u0661-1", "1" * 21 + "-0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the id of an entry"):
        order(text)


def test_every_event_of_the_documents_has_its_name_here() -> None:
    tables = REDIS_MD.read_text().split("| event | when |\n|---|---|\n")[1:]
    rows = [row for table in tables for row in table.partition("\n\n")[0].splitlines()]
    documented = [name for row in rows for name in re.findall("`([a-z-]+)`", row.split("|")[1])]
    assert sorted(documented) == sorted(NAMES)


async def test_the_stream_is_read_from_a_position() -> None:
    with running("valkey") as server:
        redis, writer = connect(server.url), client(server)
        try:
            assert await event_stream.newest(redis) == FIRST
            assert await event_stream.oldest_kept(redis) == FIRST, "there is no stream yet"
            ids = [str(await writer.xadd(keys.EVENTS, {"n": str(number)})) for number in range(6)]
            assert await event_stream.newest(redis) == ids[5]
            assert [one.id for one in await event_stream.page_after(redis, ids[3])] == ids[4:]
            assert [one.id for one in await event_stream.newest_before(redis, ids[3], 2)] == ids[2:4]
            assert [one.id for one in await event_stream.newest_before(redis, "+", 9)] == ids
            assert [one.fields for one in await event_stream.read_after(redis, ids[4])] == [{"n": "5"}]
            assert await event_stream.read_after(redis, ids[5]) == []
            assert await event_stream.oldest_kept(redis) == FIRST, "nothing was removed"
            await writer.xtrim(keys.EVENTS, maxlen=2, approximate=False)
            assert await event_stream.oldest_kept(redis) == ids[4]
            await writer.xtrim(keys.EVENTS, maxlen=0, approximate=False)
            assert await event_stream.oldest_kept(redis) == FIRST
        finally:
            await redis.aclose()
            await writer.aclose()


async def test_text_of_another_program_need_not_be_utf_8() -> None:
    with running("valkey") as server:
        redis, writer = connect(server.url), client(server)
        try:
            await writer.xadd(keys.EVENTS, {"userAgent": b"\xff\xfe"})
            (entry,) = await event_stream.page_after(redis, FIRST)
            assert entry.fields == {"userAgent": "\ufffd\ufffd"}
        finally:
            await redis.aclose()
            await writer.aclose()


async def test_an_outage_is_told_and_loses_nothing() -> None:
    told: list[str] = []
    with running("valkey") as server:
        redis, writer = connect(server.url), client(server)
        stream = event_stream.after(redis, FIRST, told.append)
        try:
            async with asyncio.timeout(limit(10)):
                await writer.xadd(keys.EVENTS, {"n": "1"})
                assert [one.fields for one in await anext(stream)] == [{"n": "1"}]
                server.kill9()
                waiting = asyncio.ensure_future(anext(stream))
                while not told:
                    await asyncio.sleep(0.01)
                await writer.aclose()
                server.start()
                writer = client(server)
                await writer.xadd(keys.EVENTS, {"n": "2"})
                assert [one.fields for one in await waiting] == [{"n": "2"}]
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
            await redis.aclose()
            await writer.aclose()
    assert told[0] and told[1:] == [""]


def test_an_id_that_no_entry_can_have_is_none() -> None:
    assert order(f"5-{2**64 - 1}") == (5, 2**64 - 1)
    with pytest.raises(ValueError, match="greater"):
        order(f"5-{2**64}")
