"""A login made on the command line, and the login of the demo tenant."""

import pytest

from config.access import AccessLevel
from config.operations.demo import demo_tenant
from config.operations.first_login import OPERATOR, NewLogin, create_login
from registrar.errors import ConfigurationError
from tests.config.world import World

PASSWORD = "correct horse battery"


async def create(world: World, login: NewLogin) -> str:
    return await create_login(world.engine, world.settings, world.vault, login)


async def log_in(world: World, email: str, password: str = PASSWORD) -> dict[str, str]:
    async with world.client(None) as client:
        answer = await client.post("/auth/login", json={"username": email, "password": password})
    assert answer.status_code == 200, answer.text
    told: dict[str, str] = answer.json()
    return told


async def test_the_first_login_needs_no_customer(world: World) -> None:
    assert await create(world, NewLogin("Ops@Acme.test", AccessLevel.ADMIN, PASSWORD)) == OPERATOR
    assert await create(world, NewLogin("noc@acme.test", AccessLevel.RESELLER_ADMIN, PASSWORD)) == OPERATOR
    told = await log_in(world, "ops@acme.test")
    assert (told["accessLevel"], told["name"]) == ("ADMIN", "Ops")
    rows = await world.rows("SELECT sip_domain FROM customer WHERE name = :name", name=OPERATOR)
    assert rows == [(None,)], "one customer for both"


@pytest.mark.parametrize("word", ["acme.test", "Acme", "id"])
async def test_a_customer_is_named_by_id_domain_or_name(world: World, word: str) -> None:
    named = world.ids["acme"] if word == "id" else word
    login = NewLogin("anna@acme.test", AccessLevel.MANAGER, PASSWORD, named)
    assert await create(world, login) == "Acme"
    assert (await log_in(world, "anna@acme.test"))["customer"] == world.ids["acme"]


@pytest.mark.parametrize(
    ("login", "problem"),
    [
        (NewLogin("a@acme.test", AccessLevel.MANAGER, PASSWORD), "--customer: a login of level MANAGER"),
        (NewLogin("a@acme.test", AccessLevel.MANAGER, PASSWORD, "Nobody"), "there is no such customer"),
        (NewLogin("a@acme.test", AccessLevel.MANAGER, PASSWORD, "Blocked"), "there is no such customer"),
        (NewLogin("no address", AccessLevel.ADMIN, PASSWORD), "is not a valid e-mail address"),
        (NewLogin("a@acme.test", AccessLevel.ADMIN, "password12"), "guessed first"),
        (NewLogin("a@acme.test", AccessLevel.ADMIN, "short"), "at least 10 characters"),
        (NewLogin("a@acme.test", AccessLevel.ADMIN, ""), "at least 10 characters"),
    ],
)
async def test_a_login_that_cannot_be_is_refused_in_a_line(
    world: World, login: NewLogin, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        await create(world, login)
    assert await world.rows("SELECT id FROM employee WHERE login_email = 'a@acme.test'") == []


async def test_a_name_of_two_customers_names_none(world: World) -> None:
    await world.execute("UPDATE customer SET name = 'Acme' WHERE name = 'Rival'")
    with pytest.raises(ConfigurationError, match="several customers have this name"):
        await create(world, NewLogin("a@acme.test", AccessLevel.MANAGER, PASSWORD, "Acme"))


async def test_a_login_that_is_taken_is_refused(world: World) -> None:
    login = NewLogin("ops@acme.test", AccessLevel.ADMIN, PASSWORD)
    await create(world, login)
    with pytest.raises(ConfigurationError, match="Another employee logs in with this address"):
        await create(world, login)


async def test_the_demo_tenant_has_a_login_that_each_run_can_show(world: World) -> None:
    first = (await demo_tenant(world.engine, world.settings, world.vault))["login"]
    second = (await demo_tenant(world.engine, world.settings, world.vault))["login"]
    assert isinstance(first, dict) and first == second
    assert (await log_in(world, first["username"], first["password"]))["accessLevel"] == "ADMIN"
    await world.execute("UPDATE employee SET password_hash = NULL WHERE login_email LIKE 'demo@%'")
    changed = (await demo_tenant(world.engine, world.settings, world.vault))["login"]
    assert changed == {"username": first["username"], "password": None}
