"""What the tests of the API play with: an application, tenants with people and extensions, tokens."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
from fastapi import APIRouter, FastAPI
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.access import AccessLevel
from config.app import create_app
from config.auth import issue_token
from config.database import migrate, writing
from config.health import Readiness
from config.models import MODELS
from config.operations.audit import new_oid
from config.operations.dial_plan import claim
from config.settings import ApiSettings
from config.tables import Customer, Employee, Extension, Product
from registrar.rules.features import reserved_words
from registrar.store.database import connect
from registrar.store.vault import Vault

SECRET_KEY = "secret key of the tests, long enough for all"
JWT_SECRET = "jwt secret of the tests, more than 32 bytes"
SETTINGS = ApiSettings(
    domain="demo.test", public_host="", wss_port=8443, sip_udp="127.0.0.1:5060", jwt_secret=JWT_SECRET
)
MODEL = {name: str(row["oid"]) for name, row in MODELS.items()}
NOBODY = "0123456789abcdef01234567"
"""A well-formed id that nothing has."""

_ROUTERS: Final[dict[str, APIRouter]] = {}
"""Settings -> the routes of an application with them: all of its parts hang on the application, none on them.

FastAPI makes each route ready at its first use, which takes longer than most tests.
"""

Json = dict[str, Any]  # what a test reads of an answer is checked by the test itself


@dataclass
class World:
    """The application and the ids of what is in its database."""

    settings: ApiSettings
    engine: AsyncEngine
    read_engine: AsyncEngine
    redis: Redis
    vault: Vault
    ids: Mapping[str, str] = field(default_factory=dict)

    def app(self) -> FastAPI:
        async def ready() -> Readiness:
            return Readiness(True, {"redis": "up"})

        async def exposition() -> bytes:
            return b"up 1\n"

        return create_app(
            self.settings, self.engine, self.read_engine, self.redis, self.vault, ready, exposition
        )

    def but(self, **changes: Any) -> "World":
        """The same world with another part, or with other settings."""
        own = {name: changes.pop(name) for name in ("redis", "engine", "read_engine") if name in changes}
        return replace(self, **own, settings=replace(self.settings, **changes))

    def token(self, level: AccessLevel, customer: str | None = "acme", person: str | None = None) -> str:
        return issue_token(
            JWT_SECRET,
            level,
            self.ids[customer] if customer else None,
            self.ids[person] if person else None,
        )

    @asynccontextmanager
    async def client(
        self,
        level: AccessLevel | None = AccessLevel.ADMIN,
        customer: str | None = "acme",
        person: str | None = None,
    ) -> AsyncIterator[httpx.AsyncClient]:
        """Somebody with this level at the API; None: without a token."""
        headers = (
            {"Authorization": f"Bearer {self.token(level, customer, person)}"} if level is not None else {}
        )
        app = self.app()
        app.router = _ROUTERS.setdefault(repr(self.settings), app.router)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://api.test:8080", headers=headers
        ) as client:
            try:
                yield client
            finally:
                await app.state.parts.changes.close()

    async def create(self, **body: Any) -> Json:
        """A phone of acme, made by its manager."""
        async with self.client(AccessLevel.RESELLER_ADMIN) as client:
            answer = await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]} | body)
        assert answer.status_code == 200, answer.text
        created: Json = answer.json()
        return created

    async def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """What the database holds."""
        async with self.read_engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def execute(self, statement: str, **values: object) -> None:
        """Do to the database what no route does."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)


async def found_tenants(url: str) -> dict[str, str]:
    """Make the database of all tests at `url`. Answers the ids of what is in it."""
    engine = connect(url)
    try:
        await migrate(engine)
        return await writing(engine, _tenants)
    finally:
        await engine.dispose()


async def _tenants(session: AsyncSession) -> dict[str, str]:
    reseller = await _customer(session, "Reseller", is_reseller=True)
    acme = await _customer(session, "Acme", parent_customer_id=reseller.id, sip_domain="acme.test")
    below = await _customer(session, "Below", parent_customer_id=acme.id)
    blocked = await _customer(session, "Blocked", parent_customer_id=reseller.id, state="BLOCKED")
    rival = await _customer(session, "Rival", sip_domain="rival.test")
    anna = await _employee(session, acme, "Anna Østergård")
    single = await _employee(session, acme, "Single")
    first = await _extension(session, acme, "200", employee_id=anna.id, is_primary=True, direct="+4570305050")
    second = await _extension(session, acme, "201")
    foreign = await _extension(session, rival, "200")
    product = Product(oid=new_oid(), type="PBX_SIP_PHONE", product_code="p1", name="Phone")
    panel = Product(oid=new_oid(), type="SIDE_PANEL", product_code="p2", name="Panel")
    session.add_all([product, panel])
    rows: dict[str, Customer | Employee | Extension | Product] = {
        "reseller": reseller,
        "acme": acme,
        "below": below,
        "blocked": blocked,
        "rival": rival,
        "anna": anna,
        "single": single,
        "ext200": first,
        "ext201": second,
        "foreign": foreign,
        "product": product,
        "panel": panel,
    }
    return {name: row.oid for name, row in rows.items()}


async def _customer(session: AsyncSession, name: str, **columns: Any) -> Customer:
    customer = Customer(oid=new_oid(), name=name, **columns)
    session.add(customer)
    await session.flush()
    return customer


async def _employee(session: AsyncSession, customer: Customer, name: str) -> Employee:
    employee = Employee(oid=new_oid(), customer_id=customer.id, name=name, access_level="MANAGER")
    session.add(employee)
    await session.flush()
    return employee


async def _extension(
    session: AsyncSession, customer: Customer, number: str, direct: str | None = None, **columns: Any
) -> Extension:
    extension = Extension(
        oid=new_oid(),
        customer_id=customer.id,
        number=number,
        name=f"Ext {number}",
        direct_number=direct,
        **columns,
    )
    await claim(session, customer.id, number, "extension", extension.oid, reserved_words())
    session.add(extension)
    await session.flush()
    return extension
