"""What phones do, in the audit log: written by the SIP side, chained by the HTTP side, on both databases."""

import json
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from config import clock
from config.audit.notes import Notes
from config.audit.verify import verify
from config.audit.writer import Chainer
from config.tables import AuditLog, Customer
from registrar.metrics import Metrics
from registrar.model import Switched
from registrar.store import deeds_sql
from registrar.store.database import connect
from registrar.store.deeds_sql import SqlDeeds
from registrar.store.vault import Vault

CUSTOMER = "a" * 24
DEED = Switched(1_790_000_000.25, "b" * 24, CUSTOMER, "c" * 24, "2001:db8::7", "cfu", "201", "+4570305050")
VAULT = Vault("secret key of the tests, long enough for all")


@pytest.fixture
async def engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(migrated_url)
    yield engine
    await engine.dispose()


async def told(engine: AsyncEngine) -> list[AuditLog]:
    async with engine.connect() as connection:
        rows = await connection.execute(select(AuditLog.__table__).order_by(AuditLog.id))
        return list(rows)  # type: ignore[arg-type]  # rows are sequences


async def make_customer(engine: AsyncEngine) -> int:
    new = {"oid": CUSTOMER, "name": "Acme", "created_at": clock.utc_now(), "updated_at": clock.utc_now()}
    async with engine.begin() as connection:
        await connection.execute(insert(Customer).values(new))
        found: int | None = await connection.scalar(text("SELECT id FROM customer"))
    assert found is not None
    return found


async def test_a_switched_wish_is_a_row_of_the_chain(engine: AsyncEngine) -> None:
    number = await make_customer(engine)
    deeds = SqlDeeds(engine, Metrics())
    deeds.switched(DEED)
    await deeds.write()
    (row,) = await told(engine)
    assert row.at.timestamp() == DEED.at
    assert (row.action, row.table_name, row.row_oid, row.customer_id) == (
        "update",
        "person",
        "b" * 24,
        number,
    )
    assert (row.actor, row.actor_level, row.via) == (None, "PHONE", f"phone:{'c' * 24}")
    assert row.source_ip == "2001:db8::7"
    assert json.loads(row.changes or "") == {"after": {"cfu": "+4570305050"}, "before": {"cfu": "201"}}
    chainer = Chainer(engine, engine, Redis(), VAULT, Metrics(), Notes(), 0)
    assert await chainer.step() == 1
    assert (await verify(engine, VAULT)).faults == []


async def test_the_end_of_the_process_writes_what_waits(engine: AsyncEngine) -> None:
    deeds = SqlDeeds(engine, Metrics())
    for _ in range(deeds_sql.AT_ONCE + 5):
        deeds.switched(DEED)
    await deeds.close()
    assert [row.customer_id for row in await told(engine)] == [None] * (deeds_sql.AT_ONCE + 5), (
        "it is unknown"
    )


async def test_what_waits_for_a_database_that_is_away_comes_later(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    deeds = SqlDeeds(engine, Metrics())
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_log RENAME TO away"))
    for _ in range(2):
        deeds.switched(DEED)
        await deeds.write()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO audit_log"))
    await deeds.write()
    assert len(await told(engine)) == 2


async def test_what_does_not_fit_is_counted(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeds_sql, "MAX_WAITING", 1)
    metrics = Metrics()
    deeds = SqlDeeds(engine, metrics)
    for _ in range(3):
        deeds.switched(DEED)
    await deeds.write()
    assert len(await told(engine)) == 1
    assert metrics.registry.get_sample_value("registrar_audit_deeds_dropped_total") == 2
