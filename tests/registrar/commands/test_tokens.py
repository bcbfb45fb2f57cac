"""registrar/commands/tokens.py: for whom a token is made."""

from pathlib import Path
from typing import Any

import jwt
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from config.access import AccessLevel
from config.tables import Customer, Employee
from registrar.commands.installation import Installation, installed, opened
from registrar.commands.tokens import make
from registrar.errors import ConfigurationError
from registrar.settings import read

OIDS = {"acme": "a" * 24, "rival": "b" * 24, "anna": "c" * 24}


@pytest.fixture
async def installation(tmp_path: Path) -> Installation:
    """An installation with two customers, and one person of the first."""
    made = installed(read({"REGISTRAR_DATA_DIR": str(tmp_path / "data")}))
    async with opened(made, upgrade=True) as stores, AsyncSession(stores.writer) as session, session.begin():
        acme = Customer(oid=OIDS["acme"], name="Acme", sip_domain="acme.test")
        session.add_all([acme, Customer(oid=OIDS["rival"], name="Rival")])
        await session.flush()
        session.add(Employee(oid=OIDS["anna"], customer_id=acme.id, name="Anna", access_level="MANAGER"))
    return made


def claims(installation: Installation, token: str) -> dict[str, Any]:
    told: dict[str, Any] = jwt.decode(token, installation.jwt_keys.secret, algorithms=["HS256"])
    return {name: told.get(name) for name in ("lvl", "cus", "sub")}


@pytest.mark.parametrize("word", ["a" * 24, "A" * 24, "acme.test", "Acme"])
async def test_a_customer_is_named_in_three_ways(installation: Installation, word: str) -> None:
    token = await make(installation, AccessLevel.MANAGER, word, OIDS["anna"].upper(), 5)
    assert claims(installation, token) == {"lvl": "MANAGER", "cus": OIDS["acme"], "sub": OIDS["anna"]}


async def test_a_token_needs_no_customer(installation: Installation) -> None:
    token = await make(installation, AccessLevel.ADMIN, None, None, 5)
    assert claims(installation, token) == {"lvl": "ADMIN", "cus": None, "sub": None}


@pytest.mark.parametrize(
    ("customer", "employee", "told"),
    [
        ("nope", None, "--customer 'nope': there is no such customer"),
        ("", None, "--customer '': there is no such customer"),
        (None, "nope", "--employee 'nope': there is no such person"),
        (OIDS["rival"], OIDS["anna"], "this person belongs to another customer"),
    ],
)
async def test_who_is_not_there_gets_no_token(
    installation: Installation, customer: str | None, employee: str | None, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told) as refused:
        await make(installation, AccessLevel.MANAGER, customer, employee, 5)
    assert "\n" not in str(refused.value)
