"""Who is reached by what: the database behind it with the migrations of config."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.database import writing
from config.models import GENERIC
from config.operations.audit import new_oid
from config.operations.phones.write import new_phone
from config.operations.products import find_model
from config.tables import Customer, Extension, SipGroup, SipGroupMember, SipPhone
from config.tables import Queue as QueueRow
from config.tables import QueueMember as QueueMemberRow
from registrar.model import Called, Change, Devices, Group, Queue, QueueMember, Strategy
from registrar.store.database import connect
from registrar.store.directory_cache import CachedDirectory
from registrar.store.directory_sql import SqlPhones
from registrar.store.vault import Vault
from tests.contract.test_phones import Hands

VAULT = Vault("secret key of the tests, long enough for all")
ACME, RIVAL = "a" * 24, "b" * 24
QUEUE: Final = "c" * 24
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
    await _make_groups(session, {"acme": acme.id, "rival": rival.id}, ids)


GROUPS: Final = {
    "sales": ("acme", "600", ["203", "200", "202"], "Sales Dept"),
    "support": ("acme", "601", [], None),
    "bent": ("acme", "602", ["201"], "Bent's"),
    "anna": ("acme", "603", ["201"], "Named like a user"),
    "rivals": ("rival", "600", ["200", "300"], "Rivals"),
}
"""Name of a group -> its customer, its number, the numbers of its members, and the name that is shown."""


async def _make_groups(
    session: AsyncSession, customers: dict[str, int], ids: dict[tuple[int, str], int]
) -> None:
    groups: dict[str, SipGroup] = {}
    for name, (customer, number, members, shown) in GROUPS.items():
        owner = customers[customer]
        oid = f"{customer[0]}{number}".ljust(24, "f")
        group = SipGroup(oid=oid, customer_id=owner, name=name, display_name=shown, number=number)
        groups[name] = group
        session.add(group)
        await session.flush()
        for member in members:
            session.add(SipGroupMember(group_id=group.id, extension_id=ids[owner, member]))
    groups["sales"].ring_retry, groups["sales"].caller_name_format = True, "{displayName} - {srcPhoneNumber}"
    groups["bent"].ring_exclusive = True
    queue = QueueRow(oid=QUEUE, customer_id=customers["acme"], name="line", display_name="Line", number="700")
    session.add(queue)
    await session.flush()
    hunt = Strategy.LONGEST_IDLE
    for target, order, attempts, seconds, strategy in (
        ({"extension_id": ids[customers["acme"], "201"]}, 5, 1, 15, Strategy.ALL),
        ({"external_number": "+4512345678"}, 2, 1, 20, Strategy.ALL),
        ({"group_id": groups["sales"].id}, 2, 0, 20, hunt),
        ({"group_id": groups["support"].id}, 3, 2, 30, Strategy.ALL),
        ({"group_id": groups["sales"].id}, 2, 3, 10, Strategy.ALL),
    ):
        row = QueueMemberRow(oid=new_oid(), queue_id=queue.id, **target)
        row.ring_order, row.ring_attempts, row.ring_secs, row.ring_strategy = (
            order,
            attempts,
            seconds,
            strategy,
        )
        session.add(row)
        await session.flush()


def _extension(customer: Customer, number: str, name: str, user: str | None) -> Extension:
    return Extension(
        oid=person(number, customer.oid[0]),
        customer_id=customer.id,
        number=number,
        name=name,
        sip_user=user,
        sip_ha1_md5=user and "1" * 32,
    )


@pytest.fixture
async def engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(migrated_url)
    try:
        await writing(engine, _make)
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture
async def phones(engine: AsyncEngine, migrated_url: str) -> AsyncIterator[SqlPhones]:
    reader = connect(migrated_url, read_only=True)
    phones = SqlPhones(reader, engine, VAULT)
    try:
        yield phones
    finally:
        await phones.close()
        await reader.dispose()


async def reached(phones: SqlPhones, customer: str, dialled: str) -> Devices:
    called = await phones.callee(customer, dialled)
    assert isinstance(called, Devices)
    return called


def ringing(callee: Called | None) -> list[str]:
    assert isinstance(callee, Devices)
    return sorted(phone.username.rstrip("0") if not phone.is_user else phone.login for phone in callee.phones)


def person(number: str, customer: str = "a") -> str:
    return f"{customer}{number}".ljust(24, "0")


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
    callee = await reached(phones, ACME, dialled)
    assert (callee.number, callee.name) == (number, name)
    assert ringing(callee) == rings
    assert callee.person == (person(number) if number else "")
    assert {phone.person for phone in callee.phones} <= {callee.person}
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
    callee = await reached(phones, RIVAL, "200")
    assert callee.name == "Rita"
    assert ringing(callee) == ["foreign", "rita@rival.test"]
    assert ringing(await phones.callee(RIVAL, "anna")) == ["anna@rival.test"]


async def test_a_callee_says_which_codecs_each_phone_may_use(phones: SqlPhones) -> None:
    callee = await reached(phones, ACME, "200")
    codecs = {phone.username.rstrip("0"): (phone.hd_audio, phone.video) for phone in callee.phones}
    assert codecs == {"desk": (False, False), "soft": (True, True), "anna": (True, False)}


async def test_a_callee_is_what_a_select_by_its_ids_shows(phones: SqlPhones) -> None:
    callee = await reached(phones, ACME, "200")
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
    callee = await reached(phones, ACME, dialled)
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
    callee = await reached(phones, ACME, "210")
    assert (callee.number, callee.name) == ("210", "Anna B")
    assert ringing(callee) == ["anna@acme.test", "desk"]
    assert ringing(await phones.callee(ACME, "200")) == ["200@acme.test"], "now it is the user of that name"
    assert ringing(await phones.callee(ACME, username("soft"))) == ["soft"]


async def test_rows_are_read_while_somebody_writes(engine: AsyncEngine, phones: SqlPhones) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text("UPDATE sip_phone SET version = version + 1"))
        assert ringing(await phones.callee(ACME, "203")) == ["hall"]
        assert await session.get(SipPhone, 1) is not None


def numbers(people: Sequence[Devices]) -> list[tuple[str, list[str]]]:
    return [(devices.number, ringing(devices)) for devices in people]


SALES: Final = [
    ("200", ["anna@acme.test", "desk", "soft"]),
    ("202", []),
    ("203", ["hall"]),
]
"""The people of the group in the order of their extensions, and what rings for them."""


def without_people(called: Called | None) -> Group:
    assert isinstance(called, Group)
    return replace(called, people=())


@pytest.mark.parametrize("dialled", ["600", "sales"])
async def test_a_group_is_its_people_with_their_phones(phones: SqlPhones, dialled: str) -> None:
    called = await phones.callee(ACME, dialled)
    assert isinstance(called, Group)
    assert numbers(called.people) == SALES
    assert [devices.person for devices in called.people] == [person(number) for number, _ in SALES]
    assert [devices.name for devices in called.people] == ["Anna Ø", "Nobody's desk", ""]
    assert without_people(called) == Group(
        "a600".ljust(24, "f"),
        "600",
        "Sales Dept",
        (),
        retries=True,
        caller_name="{displayName} - {srcPhoneNumber}",
    )


async def test_a_group_without_members_has_its_name_and_its_flags(phones: SqlPhones) -> None:
    assert await phones.callee(ACME, "601") == Group("a601".ljust(24, "f"), "601", "support", ())
    called = await phones.callee(ACME, "bent")
    assert isinstance(called, Group)
    assert (called.retries, called.is_exclusive) == (False, True)
    assert numbers(called.people) == [("201", ["200@acme.test"])]


@pytest.mark.parametrize("dialled", ["700", "line"])
async def test_a_queue_is_its_members_in_their_order(phones: SqlPhones, dialled: str) -> None:
    called = await phones.callee(ACME, dialled)
    assert isinstance(called, Queue)
    assert replace(called, members=()) == Queue(QUEUE, "700", "Line", ())
    assert [replace(member, people=()) for member in called.members] == [
        QueueMember((), Strategy.LONGEST_IDLE, 1, 20, "{displayName} - {srcPhoneNumber}"),
        QueueMember((), Strategy.ALL, 3, 10, "{displayName} - {srcPhoneNumber}"),
        QueueMember((), Strategy.ALL, 2, 30),
        QueueMember((), Strategy.ALL, 1, 15),
    ], "0 attempts are 1; the external number is left out"
    assert [numbers(member.people) for member in called.members] == [
        SALES,
        SALES,
        [],
        [("201", ["200@acme.test"])],
    ]


@pytest.mark.parametrize(
    ("strategy", "steps"),
    [
        ("CONCURRENT", [(["200", "203"], Strategy.ALL, 2, 30, [person("203")])]),
        ("longest_idle", [(["200", "203"], Strategy.LONGEST_IDLE, 2, 30, [person("203")])]),
        ("SEQUENTIAL", [(["200"], Strategy.ALL, 1, 30, []), (["203"], Strategy.ALL, 2, 15, [person("203")])]),
    ],
)
async def test_the_strategy_of_a_queue_joins_its_extensions(
    engine: AsyncEngine, phones: SqlPhones, strategy: str, steps: list[tuple[object, ...]]
) -> None:
    await _execute(engine, "DELETE FROM queue_member")
    await _execute(engine, f"UPDATE queue SET strategy = '{strategy}'")
    for number, place, attempts, seconds, stays in (("200", 1, 1, 30, "false"), ("203", 2, 2, 15, "true")):
        await _execute(
            engine,
            "INSERT INTO queue_member (oid, queue_id, extension_id, ring_strategy, ring_attempts, ring_secs,"
            " ring_order, permanent, revision, created_at, updated_at)"
            f" SELECT '{number:0>24}', queue.id, extension.id, 'all', {attempts}, {seconds}, {place},"
            f" {stays}, 1, queue.created_at, queue.updated_at"
            f" FROM queue JOIN extension ON extension.number = '{number}'"
            " AND extension.customer_id = queue.customer_id WHERE queue.number = '700'",
        )
    called = await phones.callee(ACME, "700")
    assert isinstance(called, Queue)
    found = [
        ([one.number for one in step.people], step.strategy, step.attempts, step.seconds, [*step.permanent])
        for step in called.members
    ]
    assert found == steps


async def test_a_word_of_several_kinds_is_what_comes_first(engine: AsyncEngine, phones: SqlPhones) -> None:
    assert (await reached(phones, ACME, "anna")).number == "200", "a user goes before a group"
    await _execute(engine, "UPDATE sip_group SET name = '600' WHERE number = '601'")
    called = await phones.callee(ACME, "600")
    assert isinstance(called, Group) and called.name == "Sales Dept", "a number goes before a name"
    await _execute(engine, "UPDATE queue SET name = 'sales'")
    assert isinstance(await phones.callee(ACME, "sales"), Group), "a group goes before a queue"
    await _execute(engine, f"UPDATE queue SET name = '{username('desk')}'")
    assert isinstance(await phones.callee(ACME, username("desk")), Queue), "a queue goes before a phone"
    await _execute(engine, "UPDATE sip_group SET name = 'twice'")
    called = await phones.callee(ACME, "twice")
    assert isinstance(called, Group) and called.number == "600", "the oldest one"


@pytest.mark.parametrize("state", ["BLOCKED", "DELETED"])
@pytest.mark.parametrize("dialled", ["600", "sales", "700", "line"])
async def test_a_customer_that_is_not_active_has_no_groups(
    engine: AsyncEngine, phones: SqlPhones, state: str, dialled: str
) -> None:
    await _execute(engine, f"UPDATE customer SET state = '{state}' WHERE oid = '{ACME}'")
    assert await phones.callee(ACME, dialled) is None


async def test_groups_and_queues_belong_to_one_customer(engine: AsyncEngine, phones: SqlPhones) -> None:
    called = await phones.callee(RIVAL, "600")
    assert isinstance(called, Group)
    assert numbers(called.people) == [
        ("200", ["foreign", "rita@rival.test"]),
        ("300", ["anna@rival.test"]),
    ]
    assert await phones.callee(RIVAL, "700") is None
    assert await phones.callee(RIVAL, "sales") is None
    # The API never writes such rows: members of another customer do not ring.
    await _execute(
        engine,
        "INSERT INTO sip_group_member SELECT sip_group.id, extension.id, sip_group.updated_at "
        "FROM sip_group, extension WHERE sip_group.number = '602' AND extension.number = '300'",
        "UPDATE queue_member SET group_id = (SELECT id FROM sip_group WHERE name = 'rivals') "
        "WHERE ring_secs = 30",
        "UPDATE queue_member SET extension_id = (SELECT id FROM extension WHERE number = '300') "
        "WHERE ring_secs = 15",
    )
    called = await phones.callee(ACME, "602")
    assert isinstance(called, Group) and numbers(called.people) == [("201", ["200@acme.test"])]
    queue = await phones.callee(ACME, "700")
    assert isinstance(queue, Queue) and [numbers(member.people) for member in queue.members] == [SALES, SALES]


async def test_a_phone_of_a_deleted_extension_does_not_ring(engine: AsyncEngine, phones: SqlPhones) -> None:
    await _execute(
        engine,
        "UPDATE sip_phone SET extension_id = NULL WHERE extension_id = "
        "(SELECT id FROM extension WHERE number = '203')",
        "DELETE FROM sip_group_member WHERE extension_id = (SELECT id FROM extension WHERE number = '203')",
        "DELETE FROM extension WHERE number = '203'",
    )
    called = await phones.callee(ACME, "600")
    assert isinstance(called, Group) and numbers(called.people) == SALES[:2]
    assert (await reached(phones, ACME, username("hall"))).person == ""


async def test_a_group_is_read_again_when_a_phone_of_a_member_comes_or_goes(
    engine: AsyncEngine, phones: SqlPhones
) -> None:
    directory = CachedDirectory(phones, Hands(), lambda gone: None)

    async def rings() -> list[str]:
        called = await directory.called(ACME, "602")
        assert isinstance(called, Group)
        return [phone.id for devices in called.people for phone in devices.phones if not phone.is_user]

    async def new(session: AsyncSession) -> str:
        model = await find_model(session, GENERIC)
        bent = (await session.scalars(select(Extension).where(Extension.oid == person("201")))).one()
        assert model is not None
        phone = new_phone(VAULT, customer_id=bent.customer_id, extension_id=bent.id, model_id=model.id)
        session.add(phone)
        return str(phone.oid)

    assert await rings() == []
    phone = await writing(engine, new)
    assert await rings() == []
    await directory.reread([phone])  # the API announces the phone
    assert await rings() == [phone]
    await _execute(engine, f"DELETE FROM sip_phone WHERE oid = '{phone}'")
    await directory.reread([phone])
    assert await rings() == []
    await _execute(engine, "DELETE FROM sip_group_member")
    directory.heard(Change(dial_plan=ACME))
    called = await directory.called(ACME, "602")
    assert isinstance(called, Group) and called.people == ()


async def _execute(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
