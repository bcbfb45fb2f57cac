"""What the doctor says of numbers that are emergency numbers or feature codes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from config.database import migrate, writing
from config.operations.audit import new_oid
from config.tables import Customer, Number
from registrar.commands.doctor_numbers import SHOWN, check_numbers, judge_numbers
from registrar.doctor import Level
from registrar.settings import read
from registrar.store.database import connect
from tests.peers.postgresql import PostgresServer

NUMBERS = {
    "112": "extension",
    "1120": "extension",
    "*45": "queue",
    "*98": "group",
    "114": "group",
    "_7": "queue",
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.wire)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/registrar.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


async def _make(session: AsyncSession) -> None:
    acme = Customer(oid="a" * 24, name="Acme", sip_domain="acme.test")
    session.add(acme)
    await session.flush()
    for number, kind in NUMBERS.items():
        session.add(Number(customer_id=acme.id, number=number, kind=kind, ref=new_oid()))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({}, "queue *45 of Acme, extension 112 of Acme", id="by default"),
        pytest.param({"REGISTRAR_FEATURES": "off"}, "extension 112 of Acme", id="no codes"),
        pytest.param(
            {"REGISTRAR_FEATURES": "dnd, pickup", "REGISTRAR_EMERGENCY_NUMBERS": "114"},
            "extension 112 of Acme, group 114 of Acme",
            id="another emergency number",
        ),
    ],
)
async def test_reserved_numbers_are_named(
    database_url: str, tmp_path: Path, given: dict[str, str], named: str
) -> None:
    engine = connect(database_url)
    await migrate(engine)
    settings = read({"REGISTRAR_DATABASE_URL": database_url} | given)
    (before,) = await check_numbers(settings, tmp_path)
    assert before.level is Level.OK
    await writing(engine, _make)
    (finding,) = await check_numbers(settings, tmp_path)
    await engine.dispose()
    assert (finding.level, finding.detail) == (Level.WARN, f"reserved, and in use: {named}")


async def test_without_a_database_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert await check_numbers(read({}), tmp_path) == []
    broken = read({"REGISTRAR_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/none.sqlite"})
    assert await check_numbers(broken, tmp_path) == []


def test_many_are_summed() -> None:
    finding = judge_numbers([f"extension *76{number} of Acme" for number in range(SHOWN + 2)])
    assert finding.detail.endswith("*769 of Acme and 2 more")
