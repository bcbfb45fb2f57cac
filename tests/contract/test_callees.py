"""Who is reached by what: the database behind it with the migrations of config."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.database import migrate, writing
from config.models import GENERIC
from config.operations.phones.write import new_phone
from config.operations.products import find_model
from config.tables import Customer, Extension, SipPhone
from registrar.model import Callee
from registrar.store.database import connect
from registrar.store.directory_sql import SqlPhones
from registrar.store.vault import Vault

VAULT = Vault("secret key of the tests, long enough for all")
ACME, RIVAL = "a" * 24, "b" * 24
PHONES = {"desk": "200", "soft": "200", "door": None, "hall": "203", "foreign": "200"}
"""Username, cut short, -> number of its extension; the last one is a rival's."""


def username(name: str) -> str:
    return name.ljust(32, "0")


async def _make(session: AsyncSession) -> None:
    model = await find_model(session, GENERIC)
    assert model is not None
    acme = Customer(oid=ACME, name="Acme", sip_domain="acme.test")
    rival = Customer(oid=RIVAL, name="Rival", sip_domain="rival.test")
    session.add_all([acme, rival])
    await session.flush()
    extensions = [
        _extension(acme, "200", "Anna Ø", "anna"),
        _extension(acme, "201", "Bent", "200"),
        _extension(acme, "202", "Nobody's desk", None),
        _extension(acme, "203", "", None),
        _extension(rival, "200", "Rita", "rita"),
        _extension(rival, "300", "Rolf", "anna"),
    ]
    session.add_all(extensions)
    await session.flush()
    ids = {(extension.customer_id, extension.number): extension.id for extension in extensions}
    for name, number in PHONES.items():
        customer = rival.id if name == "foreign" else acme.id
        owner = None if number is None else ids[customer, number]
        phone = new_phone(VAULT, customer_id=customer, extension_id=owner, model_id=model.id)
        phone.username = username(name)
        phone.codec_hd, phone.codec_video = name != "desk", name == "soft"
        session.add(phone)


def _extension(customer: Customer, number: str, name: str, user: str | None) -> Extension:
    return Extension(
        oid=f"{customer.oid[0]}{number}".ljust(24, "0"),
        customer_id=customer.id,
        number=number,
        name=name,
        sip_user=user,
        sip_ha1_md5=user and "1" * 32,
    )


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(database_url)
    try:
        await migrate(engine)
        await writing(engine, _make)
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture
async def phones(engine: AsyncEngine, database_url: str) -> AsyncIterator[SqlPhones]:
    reader = connect(database_url, read_only=True)
    phones = SqlPhones(reader, engine, VAULT)
    try:
        yield phones
    finally:
        await phones.close()
        await reader.dispose()


def ringing(callee: Callee | None) -> list[str]:
    assert callee is not None
    return sorted(phone.username.rstrip("0") if not phone.is_user else phone.login for phone in callee.phones)


ANNA = ("200", "Anna Ø", ["anna@acme.test", "desk", "soft"])
BENT = ("201", "Bent", ["200@acme.test"])


@pytest.mark.parametrize(
    ("dialled", "number", "name", "rings"),
    [
        pytest.param("200", *ANNA, id="a number goes before a user of that name"),
        pytest.param("anna", *ANNA, id="a user's name: all of its extension"),
        pytest.param(username("desk"), *ANNA, id="a phone's username: all of its extension"),
        pytest.param("201", *BENT, id="a user without a phone"),
        pytest.param("202", "202", "Nobody's desk", [], id="nothing to ring"),
        pytest.param("203", "203", "", ["hall"], id="no name"),
        pytest.param(username("door"), "", "", ["door"], id="a phone of no extension"),
    ],
)
async def test_whoever_is_dialled_is_reached_with_all_that_is_his(
    phones: SqlPhones, dialled: str, number: str, name: str, rings: list[str]
) -> None:
    callee = await phones.callee(ACME, dialled)
    assert callee is not None
    assert (callee.number, callee.name) == (number, name)
    assert ringing(callee) == rings
    assert {(phone.extension, phone.name) for phone in callee.phones} <= {(number, name)}


@pytest.mark.parametrize(
    ("customer", "dialled"),
    [
        pytest.param(ACME, "300", id="a number of another customer"),
        pytest.param(ACME, "rita", id="a user of another customer"),
        pytest.param(ACME, username("foreign"), id="a phone of another customer"),
        pytest.param(ACME, "Anna", id="another case"),
        pytest.param(ACME, "", id="nothing"),
        pytest.param(ACME, "' OR 1=1 --", id="looks like SQL"),
        pytest.param(ACME, "20_", id="looks like a pattern"),
        pytest.param("c" * 24, "200", id="no such customer"),
    ],
)
async def test_what_is_not_in_the_dial_plan_reaches_nobody(
    phones: SqlPhones, customer: str, dialled: str
) -> None:
    assert await phones.callee(customer, dialled) is None


async def test_the_same_number_is_somebody_else_elsewhere(phones: SqlPhones) -> None:
    callee = await phones.callee(RIVAL, "200")
    assert callee is not None and callee.name == "Rita"
    assert ringing(callee) == ["foreign", "rita@rival.test"]
    assert ringing(await phones.callee(RIVAL, "anna")) == ["anna@rival.test"]


async def test_a_callee_says_which_codecs_each_phone_may_use(phones: SqlPhones) -> None:
    callee = await phones.callee(ACME, "200")
    assert callee is not None
    codecs = {phone.username.rstrip("0"): (phone.hd_audio, phone.video) for phone in callee.phones}
    assert codecs == {"desk": (False, False), "soft": (True, True), "anna": (True, False)}


async def test_a_callee_is_what_a_select_by_its_ids_shows(phones: SqlPhones) -> None:
    callee = await phones.callee(ACME, "200")
    assert callee is not None
    read = await phones.select("id", [phone.id for phone in callee.phones])
    assert sorted(read, key=lambda phone: phone.id) == sorted(callee.phones, key=lambda phone: phone.id)


@pytest.mark.parametrize("state", ["BLOCKED", "DELETED"])
@pytest.mark.parametrize("dialled", ["200", "anna", username("desk"), username("door")])
async def test_a_customer_that_is_not_active_has_no_callees(
    engine: AsyncEngine, phones: SqlPhones, state: str, dialled: str
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE customer SET state=:s WHERE oid=:o"), {"s": state, "o": ACME})
    assert await phones.callee(ACME, dialled) is None


@pytest.mark.parametrize("dialled", ["200", "anna", username("desk"), username("door")])
async def test_all_phones_of_an_extension_ring_however_many_they_are(
    engine: AsyncEngine, phones: SqlPhones, dialled: str
) -> None:
    async def more(session: AsyncSession) -> None:
        model = await find_model(session, GENERIC)
        assert model is not None
        for owner in (await session.execute(text("SELECT id, customer_id FROM extension"))).all():
            for _ in range(20):
                columns = {"extension_id": owner.id, "customer_id": owner.customer_id, "model_id": model.id}
                session.add(new_phone(VAULT, **columns))

    await writing(engine, more)
    callee = await phones.callee(ACME, dialled)
    assert callee is not None
    assert len(callee.phones) == (1 if dialled == username("door") else 23)
    assert {phone.customer for phone in callee.phones} == {ACME}


async def test_a_number_that_moves_is_read_as_it_is_now(engine: AsyncEngine, phones: SqlPhones) -> None:
    async def move(session: AsyncSession) -> None:
        for statement in (
            "UPDATE extension SET number='210', name='Anna B', version=version+1 WHERE number='200'"
            " AND sip_user='anna'",
            "UPDATE sip_phone SET extension_id=NULL, version=version+9 WHERE username=:soft",
        ):
            values = {"soft": username("soft")} if ":soft" in statement else {}
            await session.execute(text(statement), values)

    await writing(engine, move)
    callee = await phones.callee(ACME, "210")
    assert callee is not None and (callee.number, callee.name) == ("210", "Anna B")
    assert ringing(callee) == ["anna@acme.test", "desk"]
    assert ringing(await phones.callee(ACME, "200")) == ["200@acme.test"], "now it is the user of that name"
    assert ringing(await phones.callee(ACME, username("soft"))) == ["soft"]


async def test_rows_are_read_while_somebody_writes(engine: AsyncEngine, phones: SqlPhones) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text("UPDATE sip_phone SET version = version + 1"))
        assert ringing(await phones.callee(ACME, "203")) == ["hall"]
        assert await session.get(SipPhone, 1) is not None
