"""What a lookup costs the database: it touches the rows that it gives, by an index, and hardly any others."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.database import migrate, writing
from config.models import GENERIC
from config.operations.audit import new_oid
from config.operations.phones.write import new_phone
from config.operations.products import find_model
from config.tables import Customer, Extension, Queue, QueueMember, SipGroup, SipGroupMember, SipPhone
from registrar import model
from registrar.model import Called, Devices, Phone
from registrar.ports import Column
from registrar.store.database import connect
from registrar.store.directory_sql import SqlPhones
from registrar.store.vault import Vault
from tests.peers.postgresql import PostgresServer

CUSTOMERS, USERS = 30, 100
"""Each customer has as many SIP users, all of the same names, and as many phones."""
GROUPS, MEMBERS = 60, 4
"""Each customer has so many groups of so many people, each with a phone and a SIP user."""
TOUCHED = 150
"""Rows that a lookup of a few may touch: each user's customer, its networks, and the planner's liberty."""
STEPS = 3_000
"""Of SQLite's machine, with the policies of each phone; to look at every user would take far more."""
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
        ids = dict((await session.execute(select(Extension.number, Extension.id))).all())
        sealed = {"customer_id": customer.id, "model_id": model.id, "password_enc": phone.password_enc}
        rows = [
            sealed | {"oid": f"{n:024}", "username": f"p{n:031}", "extension_id": ids[str(n)]}
            for n in numbers
        ]
        rows[-1]["extension_id"] = None
        await session.execute(insert(SipPhone), rows)
        await _fill_groups(session, customer, [ids[str(n)] for n in numbers[:MEMBERS]])


async def _fill_groups(session: AsyncSession, customer: Customer, members: list[int]) -> None:
    """Make groups of the same members, and a queue of two of them; all customers have the same numbers."""
    groups = [
        {
            "oid": f"{customer.id:020}{number}f",
            "customer_id": customer.id,
            "name": f"group.{number}",
            "number": str(number),
        }
        for number in range(600, 600 + GROUPS)
    ]
    await session.execute(insert(SipGroup), groups)
    found = select(SipGroup.id).where(SipGroup.customer_id == customer.id).order_by(SipGroup.id)
    ids = list(await session.scalars(found))
    links = [{"group_id": group, "extension_id": member} for group in ids for member in members]
    await session.execute(insert(SipGroupMember), links)
    queue = Queue(oid=f"{customer.id:020}700f", customer_id=customer.id, name="line", number="700")
    session.add(queue)
    await session.flush()
    session.add_all(QueueMember(oid=new_oid(), queue_id=queue.id, group_id=group) for group in ids[:2])


async def _make(url: str) -> None:
    engine = connect(url)
    try:
        await migrate(engine)
        await writing(engine, _fill)
        async with engine.begin() as connection:
            await connection.execute(text("ANALYZE"))
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def filled_sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A full database, made once: the tests only read it."""
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('filled')}/phones.db"
    asyncio.run(_make(url))
    return url


@pytest.fixture(scope="module")
def filled_postgresql(postgres: PostgresServer) -> str:
    url = postgres.url(postgres.create())
    asyncio.run(_make(url))
    return url


@pytest.fixture
def filled_url(backend: str, request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"filled_{backend}")
    return url


@pytest.fixture
async def engine(filled_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(filled_url)
    yield engine
    await engine.dispose()


LOOKUPS = [
    pytest.param("login", [f"p{n:031}" for n in (150, 151, 2_999)], 3, id="phones by name"),
    pytest.param("login", ["200@c1.test", "201@c2.test", "299@c30.test"], 3, id="users by name"),
    pytest.param("id", [f"{n:024}" for n in (150, 151, 2_999)], 3, id="phones by id"),
    pytest.param("id", ["u1", "u2", "u2999"], 3, id="users by id"),
]


DIALLED = [
    pytest.param("3000", 2, id="a number"),
    pytest.param("200", 2, id="a user of every domain"),
    pytest.param(f"p{3_000:031}", 2, id="a phone of an extension"),
    pytest.param(f"p{3_099:031}", 1, id="a phone of no extension"),
    pytest.param("100", 0, id="a number of somebody else"),
    pytest.param("99999", 0, id="a number of nobody"),
]
"""What is dialled inside the last customer, and how many ring."""
TOGETHER = [
    pytest.param("600", 2 * MEMBERS, id="a group"),
    pytest.param("group.659", 2 * MEMBERS, id="a group by its name"),
    pytest.param("700", 2 * 2 * MEMBERS, id="a queue of two groups"),
    pytest.param("line", 2 * 2 * MEMBERS, id="a queue by its name"),
]
LAST = f"{CUSTOMERS:024}"


@pytest.fixture
def plans(engine: AsyncEngine) -> list[dict[str, Any]]:
    """How PostgreSQL did what it was asked of the views."""
    plans: list[dict[str, Any]] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def explain(
        _connection: Connection, _cursor: object, statement: str, parameters: object, *_more: object
    ) -> tuple[str, object]:
        if "_v1" in statement and not statement.startswith("EXPLAIN"):
            answer = _connection.exec_driver_sql(
                "EXPLAIN (ANALYZE, FORMAT JSON) " + statement,
                parameters,  # type: ignore[arg-type]  # as the driver has them
            ).scalar_one()
            plans.append((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"])
        return statement, parameters

    return plans


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.wire)])
@pytest.mark.parametrize(("column", "values", "count"), LOOKUPS)
async def test_postgresql_touches_few_rows(
    engine: AsyncEngine, plans: list[dict[str, Any]], column: Column, values: list[str], count: int
) -> None:
    phones = SqlPhones(engine, engine, VAULT)
    assert len(await phones.select(column, values)) == count
    assert plans
    assert max(_touched(node) for plan in plans for node in _nodes(plan)) < TOUCHED


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.wire)])
@pytest.mark.parametrize(("user", "count"), DIALLED)
async def test_postgresql_touches_few_rows_for_a_callee(
    engine: AsyncEngine, plans: list[dict[str, Any]], user: str, count: int
) -> None:
    callee = await SqlPhones(engine, engine, VAULT).callee(LAST, user)
    assert len(_ringing(callee)) == count
    assert len(plans) == (2 if count else 1)
    assert max(_touched(node) for plan in plans for node in _nodes(plan)) < TOUCHED


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.wire)])
@pytest.mark.parametrize(("user", "count"), TOGETHER)
async def test_postgresql_touches_few_rows_for_many(
    engine: AsyncEngine, plans: list[dict[str, Any]], user: str, count: int
) -> None:
    callee = await SqlPhones(engine, engine, VAULT).callee(LAST, user)
    assert len(_ringing(callee)) == count
    assert len(plans) == 3
    assert max(_touched(node) for plan in plans for node in _nodes(plan)) < TOUCHED


def _ringing(callee: Called | None) -> list[Phone]:
    """All phones of a destination, as often as they ring."""
    if callee is None:
        return []
    if isinstance(callee, Devices):
        return list(callee.phones)
    parts = callee.members if isinstance(callee, model.Queue) else [callee]
    return [phone for part in parts for devices in part.people for phone in devices.phones]


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

    async def look_up() -> Sequence[Phone]:
        return await phones.select(column, values)

    assert 0 < await _steps(phones, look_up, count) < STEPS


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(("user", "count"), [*DIALLED, *TOGETHER])
async def test_sqlite_takes_few_steps_for_a_callee(engine: AsyncEngine, user: str, count: int) -> None:
    phones = SqlPhones(engine, engine, VAULT)

    async def look_up() -> Sequence[Phone]:
        return _ringing(await phones.callee(LAST, user))

    assert 0 < await _steps(phones, look_up, count) < STEPS


async def _steps(phones: SqlPhones, look_up: Callable[[], Awaitable[Sequence[Phone]]], count: int) -> int:
    """Of SQLite's machine, for a lookup that gives `count` phones."""
    steps = 0

    def stepped() -> None:
        nonlocal steps
        steps += 10

    try:
        await look_up()
        driver = await phones._driver()
        await driver.set_progress_handler(stepped, 10)
        assert len(await look_up()) == count
        await driver.set_progress_handler(None, 0)
    finally:
        await phones.close()
    return steps
