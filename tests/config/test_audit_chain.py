"""The chain of the audit log: its writer, the alarm, its start and its end, and what `verify` finds."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert

from config import clock
from config.access import AccessLevel
from config.audit import chain
from config.audit import verify as verifying
from config.audit.accept import accept_fault
from config.audit.notes import AGAIN_SECONDS, MAX_GATHERED, Notes
from config.audit.system import by_itself
from config.audit.verify import verify
from config.audit.writer import BATCH, LATE_SECONDS, BrokenHead, Chainer
from config.tables import AuditLog
from registrar.metrics import Metrics
from registrar.model import Mono
from registrar.store import keys
from registrar.store.vault import Vault
from tests.config.world import World

BY: Final = {"actor": None, "actor_level": "VIEWER", "via": "jwt:x", "source_ip": "192.0.2.7"}


def chainer_of(
    world: World, notes: Notes | None = None, days: int = 0, vault: Vault | None = None
) -> Chainer:
    engines = world.engine, world.read_engine
    return Chainer(*engines, world.redis, vault or world.vault, Metrics(), notes or Notes(), days)


async def add(world: World, count: int = 1, age: timedelta = timedelta()) -> None:
    """Write rows without a change; they are as old as that."""
    rows = [by_itself("test", "", "", None, named=str(n)) for n in range(count)]
    async with world.engine.begin() as connection:
        await connection.execute(insert(AuditLog), [row | {"at": clock.exact_now() - age} for row in rows])


async def faults(world: World, noted: tuple[int, str] | None = None) -> list[str]:
    return (await verify(world.read_engine, world.vault, noted)).faults


async def test_all_rows_get_a_place_and_two_writers_do_not_meet(world: World) -> None:
    assert await chainer_of(world).step() == 0
    await add(world, BATCH + 10)
    assert (await verify(world.read_engine, world.vault)).waiting == BATCH + 10
    await asyncio.gather(*(chainer_of(world).step() for _ in range(3)))
    verdict = await verify(world.read_engine, world.vault)
    assert (verdict.rows, verdict.waiting, verdict.faults) == (BATCH + 10, 0, [])
    await add(world)
    await chainer_of(world).step()
    assert (await verify(world.read_engine, world.vault)).head.seq == BATCH + 11


async def test_rows_that_are_chained_during_a_walk_are_no_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(world, 3)
    await chainer_of(world).step()
    walk = verifying._walk

    async def late(*about: Any) -> None:
        await add(world)
        assert await chainer_of(world).step() == 1
        await walk(*about)

    monkeypatch.setattr(verifying, "_walk", late)
    verdict = await verify(world.read_engine, world.vault)
    assert (verdict.rows, verdict.faults) == (3, [])
    monkeypatch.undo()
    assert (await verify(world.read_engine, world.vault)).rows == 4


@pytest.mark.parametrize(
    ("deed", "fault"),
    [
        pytest.param("UPDATE audit_log SET named = 'x' WHERE seq = 2", "changed", id="a changed row"),
        pytest.param("UPDATE audit_log SET at = :at WHERE seq = 2", "changed", id="another time"),
        pytest.param("DELETE FROM audit_log WHERE seq = 2", "row 2: deleted", id="a deleted row"),
        pytest.param("DELETE FROM audit_log WHERE seq > 2", "ends at row 2", id="the end is cut"),
        pytest.param("UPDATE audit_head SET seq = seq - 1", "head of the chain", id="another head"),
    ],
)
async def test_verify_finds_what_was_done_in_sql(world: World, deed: str, fault: str) -> None:
    await add(world, 4)
    await chainer_of(world).step()
    await world.execute(deed, **({"at": clock.exact_now()} if ":at" in deed else {}))
    assert any(fault in one for one in await faults(world))


async def test_a_cut_end_is_not_covered_up(world: World) -> None:
    """Without the secret key the head cannot be sealed, and the writer does not do it either."""
    await add(world, 4)
    await chainer_of(world).step()
    await world.execute("DELETE FROM audit_log WHERE seq = 4")
    ((digest,),) = await world.rows("SELECT hash FROM audit_log WHERE seq = 3")
    await world.execute("UPDATE audit_head SET seq = 3, hash = :hash", hash=digest)
    await add(world)
    with pytest.raises(BrokenHead):
        await chainer_of(world).step()
    await world.execute("DELETE FROM audit_head")
    with pytest.raises(BrokenHead):
        await chainer_of(world).step()
    await accept_fault(world.engine, world.vault)
    assert await chainer_of(world).step() == 1
    assert await faults(world) == []


async def test_a_new_chain_is_found_by_a_head_that_was_noted(world: World) -> None:
    await add(world, 3)
    await chainer_of(world).step()
    head = (await verify(world.read_engine, world.vault)).head
    assert await faults(world, (head.seq, head.hash)) == []
    await world.execute("UPDATE audit_log SET named = 'forged', seq = NULL, hash = NULL")
    await world.execute("DELETE FROM audit_head")
    await chainer_of(world).step()
    assert await faults(world) == []
    assert await faults(world, (head.seq, head.hash)) == ["row 3: its hash is not the one that was noted"]


async def test_old_rows_are_deleted_from_the_start_alone(world: World) -> None:
    await add(world, 5, timedelta(days=40))
    await add(world, 2)
    await add(world, 2, timedelta(days=40))
    writer = chainer_of(world, days=30)
    await writer.step()
    assert await writer.tidy() == 0, "the step has done it"
    verdict = await verify(world.read_engine, world.vault)
    assert (verdict.rows, verdict.head.base_seq, verdict.faults) == (4, 5, [])
    await world.execute("DELETE FROM audit_log WHERE seq = 6")
    assert await faults(world) == ["row 6: deleted"]


async def test_a_row_that_waits_is_an_alarm_once(world: World, redis: Redis) -> None:
    other = chainer_of(world, vault=Vault("another secret key, long enough for all"))
    await add(world)
    await chainer_of(world).step()
    assert await other.watch() == 0
    await add(world, 2, timedelta(seconds=LATE_SECONDS + 2))
    with pytest.raises(BrokenHead):
        await other.step()
    assert await other.watch() > LATE_SECONDS
    assert await other.watch() > LATE_SECONDS
    events: Any = await redis.xrange(keys.EVENTS)
    assert [fields["event"] for _, fields in events] == ["audit-late"]
    await chainer_of(world).step()
    assert await other.watch() == 0


async def test_the_job_chains_until_the_stop_and_writes_what_is_noted(world: World) -> None:
    notes, stop = Notes(), asyncio.Event()
    notes.failed("192.0.2.7", "anna@acme.test", "wrong-password", None, None)
    await add(world)
    running = asyncio.create_task(chainer_of(world, notes).run(stop))
    async with asyncio.timeout(60):
        while (await verify(world.read_engine, world.vault)).rows == 0:
            await asyncio.sleep(0.02)
        notes.export(BY, "/x", None)
        stop.set()
        await running
    told = await world.rows("SELECT action FROM audit_log ORDER BY id")
    assert sorted(one for (one,) in told) == ["export", "login-failed", "test"]


async def test_reads_of_passwords_are_noted_once_an_hour(world: World) -> None:
    now = [Mono(0.0)]
    notes = Notes(now=lambda: now[0])
    for _ in range(3):
        notes.read(BY, "sip_phone", ["a" * 24], world.ids["acme"])
    notes.read(BY | {"via": "jwt:y"}, "sip_phone", ["a" * 24], world.ids["acme"])
    now[0] = Mono(AGAIN_SECONDS)
    notes.read(BY, "sip_phone", ["a" * 24], world.ids["acme"])
    assert await notes.write(world.engine) == 3
    ((customers,),) = await world.rows("SELECT count(customer_id) FROM audit_log")
    assert customers == 3


async def test_failed_logins_of_a_flood_are_counted_together(world: World) -> None:
    notes = Notes()
    for number in range(MAX_GATHERED + 500):
        notes.failed("192.0.2.7", f"n{number}@x.test", "wrong-password", None, None)
    assert await notes.write(world.engine, all=True) == MAX_GATHERED + 1
    ((changes,),) = await world.rows("SELECT changes FROM audit_log WHERE named = 'others'")
    assert changes == '{"after":{"count":500,"reason":"many"}}'


async def test_a_failed_login_with_characters_that_no_database_stores_does_not_stop_the_log(
    world: World,
) -> None:
    notes = Notes()
    notes.failed("192.0.2.7", "\ud800\0x@example.com", "wrong-password", None, None)
    assert await notes.write(world.engine, all=True) == 1
    await chainer_of(world, notes).step()
    verdict = await verify(world.read_engine, world.vault)
    assert (verdict.rows, verdict.waiting, verdict.faults) == (1, 0, [])
    assert await world.rows("SELECT named FROM audit_log") == [("\ufffd\ufffdx@example.com",)]


async def test_a_phone_that_is_shown_with_its_password_is_noted(world: World) -> None:
    phone = await world.create()
    async with world.client(AccessLevel.VIEWER) as client:
        for path in (
            f"/pbx/sipphone/{phone['_id']}",
            "/pbx/sipphone?full=true",
            "/pbx/call/history?format=csv",
        ):
            assert (await client.get(path)).status_code == 200
        parts = client._transport.app.state.parts  # type: ignore[attr-defined]
        await parts.notes.write(world.engine)
    told = await world.rows("SELECT action, row_oid, named FROM audit_log WHERE action != 'create'")
    assert told == [
        ("read", phone["_id"], None),
        ("export", "", "/pbx/call/history"),
    ], "the list with one phone shows the same password again"


def test_a_hash_covers_every_column() -> None:
    told = {column.name for column in AuditLog.__table__.columns} - {"id", "seq", "hash"}
    row = AuditLog(at=clock.exact_now(), **dict.fromkeys(told - {"at"}))
    plain = chain.link(chain.START, 1, row)
    for name in told:
        was = getattr(row, name)
        setattr(row, name, was + timedelta(seconds=1) if name == "at" else "x")
        assert chain.link(chain.START, 1, row) != plain, name
        setattr(row, name, was)
    assert chain.link(chain.START, 2, row) != plain
    assert chain.link("1" * 64, 1, row) != plain
