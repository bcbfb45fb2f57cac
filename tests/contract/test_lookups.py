"""What a lookup costs the database: it touches the rows that it gives, by an index, and hardly any others."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.database import migrate, writing
from config.operations.models import GENERIC, find_model
from config.operations.phones.write import new_phone
from config.tables import Customer, Extension, SipPhone
from registrar.ports import Column
from registrar.store.database import connect
from registrar.store.directory_sql import SqlPhones
from registrar.store.vault import Vault

CUSTOMERS, USERS = 30, 100
"""Each customer has as many SIP users, all of the same names, and as many phones."""
TOUCHED = 150
"""Rows that a lookup of a few may touch: each user's customer, its networks, and the planner's liberty."""
STEPS = 2_000
"""Of SQLite's machine; to look at every user would take ten times as many."""
VAULT = Vault("secret key of the tests, long enough for all")


async def _fill(session: AsyncSession) -> None:
    model = await find_model(session, GENERIC)
    assert model is not None
    phone = new_phone(VAULT, customer_id=0, model_id=model.id)
    for number in range(1, CUSTOMERS + 1):
        customer = Customer(oid=f"{number:024}", name="C", sip_domain=f"c{number}.test")
        session.add(customer)
        await session.flush()
        numbers = [number * USERS + user for user in range(USERS)]
        users = [
            {"oid": f"{n:024}", "customer_id": customer.id, "number": str(n), "name": "U", "sip_ha1_md5": "a"}
            for n in numbers
        ]
        for user, row in enumerate(users):
            row["sip_user"] = str(200 + user)
        await session.execute(insert(Extension), users)
        sealed = {"customer_id": customer.id, "model_id": model.id, "password_enc": phone.password_enc}
        await session.execute(
            insert(SipPhone), [sealed | {"oid": f"{n:024}", "username": f"p{n:031}"} for n in numbers]
        )


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(database_url)
    try:
        await migrate(engine)
        await writing(engine, _fill)
        async with engine.begin() as connection:
            await connection.execute(text("ANALYZE"))
        yield engine
    finally:
        await engine.dispose()


LOOKUPS = [
    pytest.param("login", [f"p{n:031}" for n in (150, 151, 2_999)], 3, id="phones by name"),
    pytest.param("login", ["200@c1.test", "201@c2.test", "299@c30.test"], 3, id="users by name"),
    pytest.param("id", [f"{n:024}" for n in (150, 151, 2_999)], 3, id="phones by id"),
    pytest.param("id", ["u1", "u2", "u2999"], 3, id="users by id"),
]


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.wire)])
@pytest.mark.parametrize(("column", "values", "count"), LOOKUPS)
async def test_postgresql_touches_few_rows(
    engine: AsyncEngine, column: Column, values: list[str], count: int
) -> None:
    plans: list[dict[str, Any]] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def explain(
        _connection: Connection, _cursor: object, statement: str, parameters: object, *_more: object
    ) -> tuple[str, object]:
        if "phone_v1" in statement and not statement.startswith("EXPLAIN"):
            answer = _connection.exec_driver_sql(
                "EXPLAIN (ANALYZE, FORMAT JSON) " + statement,
                parameters,  # type: ignore[arg-type]  # as the driver has them
            ).scalar_one()
            plans.append((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"])
        return statement, parameters

    phones = SqlPhones(engine, engine, VAULT)
    assert len(await phones.select(column, values)) == count
    assert plans
    assert max(_touched(node) for plan in plans for node in _nodes(plan)) < TOUCHED


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _touched(node: dict[str, Any]) -> int:
    """Rows that one step of a plan looked at, those thrown away among them."""
    thrown = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return int((node["Actual Rows"] + thrown) * node["Actual Loops"])


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(("column", "values", "count"), LOOKUPS)
async def test_sqlite_takes_few_steps(
    engine: AsyncEngine, column: Column, values: list[str], count: int
) -> None:
    phones = SqlPhones(engine, engine, VAULT)
    steps = 0

    def stepped() -> None:
        nonlocal steps
        steps += 10

    try:
        await phones.select(column, values)
        driver = await phones._driver()
        await driver.set_progress_handler(stepped, 10)
        assert len(await phones.select(column, values)) == count
        await driver.set_progress_handler(None, 0)
        assert 0 < steps < STEPS
    finally:
        await phones.close()
