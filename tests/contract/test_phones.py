"""Who may register: the database behind it with the migrations of config, and what is believed of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from config.database import writing
from config.models import GENERIC
from config.operations.phones.write import new_phone
from config.operations.products import find_model
from config.tables import Customer, Extension, SipPhone, TrustedNetwork
from registrar.errors import StoreUnavailable
from registrar.model import Called, Devices, IpMode, Mono, Phone
from registrar.ports import Column, Phones
from registrar.store.database import connect
from registrar.store.directory_cache import CachedDirectory
from registrar.store.directory_sql import SqlPhones
from registrar.store.freshness import BELIEVED_SECONDS, FRESH_SECONDS
from registrar.store.state_members import SqlMembers
from registrar.store.vault import Vault
from tests.patience import limit

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
REALM = "acme.test"
VAULT = Vault("secret key of the tests, long enough for all")


@dataclass
class Installation:
    """A database with two customers, the first of which has three phones and two SIP users."""

    writer: AsyncEngine
    reader: AsyncEngine
    phones: list[Phone] = field(default_factory=list)
    opened: list[SqlPhones] = field(default_factory=list)

    def sql(self, vault: Vault = VAULT) -> SqlPhones:
        self.opened.append(SqlPhones(self.reader, self.writer, vault))
        return self.opened[-1]

    async def close(self) -> None:
        for phones in self.opened:
            await phones.close()

    async def execute(self, statement: str, **values: object) -> None:
        async with self.writer.begin() as connection:
            await connection.execute(text(statement), values)


async def _make(session: AsyncSession) -> list[str]:
    acme = Customer(oid="a" * 24, name="Acme", sip_domain="acme.test")
    rival = Customer(oid="b" * 24, name="Rival", sip_domain="rival.test")
    session.add_all([acme, rival])
    await session.flush()
    extension = _user(acme, "200", "anna", "A" * 32)
    session.add_all([extension, _user(acme, "201", "200", "b" * 32), _user(rival, "200", "200", "c" * 32)])
    session.add(Extension(oid="f" * 24, customer_id=acme.id, number="202", name="No password", sip_user="bo"))
    await session.flush()
    model = await find_model(session, GENERIC)
    assert model is not None
    made: list[SipPhone] = []
    for number, customer in enumerate((acme, acme, acme, rival)):
        owner = extension.id if number == 0 else None
        phone = new_phone(VAULT, customer_id=customer.id, extension_id=owner, model_id=model.id)
        session.add(phone)
        made.append(phone)
    await session.flush()
    return [phone.username for phone in made]


def _user(customer: Customer, number: str, name: str, ha1: str) -> Extension:
    return Extension(
        oid=ha1[0].lower() * 20 + f"{number}{customer.id % 10}",
        customer_id=customer.id,
        number=number,
        name=name,
        sip_user=name,
        sip_ha1_md5=ha1,
        sip_ha1_sha256=ha1 * 2,
    )


@pytest.fixture
async def installation(migrated_url: str) -> AsyncIterator[Installation]:
    writer, reader = connect(migrated_url), connect(migrated_url, read_only=True)
    made = Installation(writer, reader)
    try:
        usernames = await writing(writer, _make)
        found = {phone.username: phone for phone in await made.sql().select("login", usernames)}
        made.phones = [found[username] for username in usernames]
        yield made
    finally:
        await made.close()
        await reader.dispose()
        await writer.dispose()


# The database


async def test_a_phone_is_read_with_all_that_the_rules_need(installation: Installation) -> None:
    first, second, *_ = installation.phones
    assert (first.domain, first.customer, first.active) == ("acme.test", "a" * 24, True)
    assert (first.extension, second.extension) == ("200", "")
    assert (first.mode, first.address, first.countries) == (IpMode.OPEN, "", ())
    assert (first.name, second.name, first.hd_audio, first.video) == ("anna", "", True, False)
    assert len(first.username) == len(first.password) == 32
    assert first.password not in repr(first)


async def test_a_sip_user_is_read_with_all_that_the_rules_need(installation: Installation) -> None:
    (anna,) = await installation.sql().select("login", ["anna@acme.test"])
    assert anna.id.startswith("u") and anna.is_user and anna.login == "anna@acme.test"
    assert (anna.username, anna.domain, anna.extension) == ("anna", "acme.test", "200")
    assert (anna.customer, anna.active, anna.secret_version) == ("a" * 24, True, 1)
    assert (anna.password, anna.ha1_md5, anna.ha1_sha256) == ("", "a" * 32, "a" * 64)
    assert (anna.by_domain, anna.networks) == (True, ())
    assert (anna.name, anna.hd_audio, anna.video) == ("anna", True, False)
    assert "aaa" not in repr(replace(anna, customer="", person=""))
    assert await installation.sql().select("id", [anna.id]) == [anna]


async def test_one_name_may_be_a_user_of_many_domains(installation: Installation) -> None:
    found = await installation.sql().select("login", ["200@acme.test", "200@rival.test", "200@other.test"])
    assert sorted((user.login, user.ha1_md5[0]) for user in found) == [
        ("200@acme.test", "b"),
        ("200@rival.test", "c"),
    ]
    (only,) = await installation.sql().select("login", ["200@rival.test", "anna@rival.test"])
    assert only.extension == "200"


@pytest.mark.parametrize(
    ("policy", "networks"),
    [pytest.param("PHONE", 0, id="its own rule"), pytest.param("DOMAIN", 4, id="the rule of its domain")],
)
async def test_the_trusted_networks_are_read_with_whom_they_bind(
    installation: Installation, policy: str, networks: int, caplog: pytest.LogCaptureFixture
) -> None:
    listed = ["10.0.20.10/24", "2001:db8::/32", "::ffff:192.0.2.0/120", "nonsense"]

    async def trust(session: AsyncSession) -> None:
        (acme,) = await session.execute(text("SELECT id FROM customer WHERE sip_domain='acme.test'"))
        for number, network in enumerate(listed):
            session.add(
                TrustedNetwork(
                    oid=f"{number:024}", customer_id=acme[0], network=network, network_as_sent=network
                )
            )

    await writing(installation.writer, trust)
    phone = installation.phones[0]
    await installation.execute("UPDATE sip_phone SET ip_policy=:p WHERE oid=:o", p=policy, o=phone.id)
    (read,) = await installation.sql().select("id", [phone.id])
    assert (read.by_domain, len(read.networks)) == (policy == "DOMAIN", networks)
    (anna,) = await installation.sql().select("login", ["anna@acme.test"])
    assert set(anna.networks) == {
        ip_network("10.0.20.0/24"),
        ip_network("2001:db8::/32"),
        ip_network("192.0.2.0/24"),
        ip_network("255.255.255.255/32"),
    }
    (other,) = await installation.sql().select("login", ["200@rival.test"])
    assert other.networks == ()


@pytest.mark.parametrize(
    ("column", "values", "count"),
    [
        pytest.param("id", ["0" * 24], 0, id="an id that nothing has"),
        pytest.param(
            "id", ["u999999999999999999", "u" + "9" * 30, "u0", "u-1", "u"], 0, id="users of nobody"
        ),
        pytest.param("id", [f"u{n}" for n in range(1, 1_200)], 3, id="every user there may be"),
        pytest.param("login", [], 0, id="nobody"),
        pytest.param(
            "login", ["' OR 1=1 --", "%", "_" * 32, "%@acme.test", "@", "a@"], 0, id="looks like SQL"
        ),
        pytest.param("login", [f"{n:032}" for n in range(1_200)], 0, id="more than one SELECT holds"),
        pytest.param(
            "login", [f"200@d{n}.test" for n in range(1_200)], 0, id="one user in very many domains"
        ),
        pytest.param("login", ["bo@acme.test", "anna", "anna@rival.test"], 0, id="users without a password"),
    ],
)
async def test_phones_are_found_by(
    installation: Installation, column: Column, values: list[str], count: int
) -> None:
    assert len(await installation.sql().select(column, values)) == count


async def test_usernames_are_told_by_case(installation: Installation) -> None:
    username = installation.phones[0].username
    assert await installation.sql().select("login", [username.upper(), "Anna@acme.test"]) == []


async def test_the_members_of_a_customer_are_its_phones_and_its_users(installation: Installation) -> None:
    phones = {phone.id for phone in installation.phones if phone.customer == "a" * 24}
    users = await installation.sql().select("login", ["anna@acme.test", "200@acme.test"])
    found = await installation.sql().members("a" * 24)
    assert sorted(found) == sorted(phones | {user.id for user in users})
    assert await installation.sql().members("nobody") == []


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        pytest.param(
            "ip_mode='ROAMING', ip_countries='dk, NO se'", {"countries": ("DK", "NO", "SE")}, id="lists"
        ),
        pytest.param("ip_mode='LOCKED', ip_address='2001:db8::1'", {"address": "2001:db8::1"}, id="locks"),
        pytest.param("secret_version=7", {"secret_version": 7}, id="resets"),
        pytest.param("pbx_cluster=3", {"cluster": 3}, id="clusters"),
        pytest.param(
            "codec_hd=false, codec_video=true", {"hd_audio": False, "video": True}, id="other codecs"
        ),
    ],
)
async def test_a_row_is_read(installation: Installation, change: str, reads: dict[str, object]) -> None:
    await installation.execute(f"UPDATE sip_phone SET {change} WHERE oid=:oid", oid=installation.phones[0].id)
    (phone,) = await installation.sql().select("id", [installation.phones[0].id])
    assert {name: getattr(phone, name) for name in reads} == reads


async def test_a_blocked_customer_has_no_active_phone(installation: Installation) -> None:
    versions = [phone.version for phone in installation.phones]
    await installation.execute(
        "UPDATE customer SET state='BLOCKED', version=version+1 WHERE oid=:o", o="a" * 24
    )
    found = await installation.sql().select("id", [phone.id for phone in installation.phones])
    by_id = {phone.id: phone for phone in found}
    again = [by_id[phone.id] for phone in installation.phones]
    assert [phone.active for phone in again] == [False, False, False, True]
    assert all(new.version > old for new, old in zip(again[:3], versions[:3], strict=True))


async def test_every_domain_is_served(installation: Installation) -> None:
    assert await installation.sql().domains() == {"acme.test": False, "rival.test": False}


async def test_one_of_fifty_first_contacts_wins(installation: Installation) -> None:
    phone, phones = installation.phones[0], installation.sql()
    won = await asyncio.gather(*(phones.lock(phone.id, f"198.51.100.{n}") for n in range(50)))
    assert won.count(True) == 1
    (locked,) = await phones.select("id", [phone.id])
    assert (locked.mode, locked.address) == (IpMode.LOCKED, f"198.51.100.{won.index(True)}")
    assert locked.version > phone.version
    assert not await phones.lock(phone.id, ELSEWHERE)


async def test_what_is_not_open_or_not_there_is_not_locked(installation: Installation) -> None:
    await installation.execute(
        "UPDATE sip_phone SET ip_mode='ROAMING' WHERE oid=:o", o=installation.phones[0].id
    )
    assert not await installation.sql().lock(installation.phones[0].id, HOME)
    assert not await installation.sql().lock("0" * 24, HOME)


async def test_one_row_that_cannot_be_opened_does_not_take_the_others_with_it(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, *_ = installation.phones
    await installation.execute("UPDATE sip_phone SET password_enc='v1:AAAA' WHERE oid=:o", o=first.id)
    found = {phone.id: phone for phone in await installation.sql().select("id", [first.id, second.id])}
    assert found[second.id].password == second.password
    assert found[first.id].password not in ("", first.password)
    assert first.id in caplog.text


async def test_passwords_under_another_key_fit_nothing(installation: Installation) -> None:
    (phone,) = await installation.sql(Vault("x" * 32)).select("id", [installation.phones[0].id])
    assert phone.password != installation.phones[0].password


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_database_that_is_locked_is_a_store_that_is_away(installation: Installation) -> None:
    impatient = connect(str(installation.writer.url))
    phones = SqlPhones(impatient, impatient, VAULT)

    @event.listens_for(impatient.sync_engine, "connect")
    def wait_less(connection: DBAPIConnection, _record: object) -> None:
        connection.cursor().execute("PRAGMA busy_timeout=50")

    try:
        async with installation.writer.connect() as connection:
            await connection.execute(text("SELECT 1"))  # BEGIN IMMEDIATE: nobody else may write
            with pytest.raises(StoreUnavailable):
                await phones.lock(installation.phones[0].id, HOME)
        assert await phones.lock(installation.phones[0].id, HOME)
    finally:
        await phones.close()
        await impatient.dispose()


@pytest.mark.parametrize("what", ["no file", "no tables", "no database"])
async def test_a_database_that_is_not_there_is_a_store_that_is_away(tmp_path: Path, what: str) -> None:
    path = tmp_path / "missing" / "x.db" if what == "no file" else tmp_path / "x.db"
    if what == "no database":
        path.write_bytes(b"this is no database, whatever its name says" * 100)
    engine = connect(f"sqlite+aiosqlite:///{path}")
    phones = SqlPhones(engine, engine, VAULT)
    try:
        for work in (
            phones.select("id", ["x"]),
            phones.members("x"),
            phones.lock("x", HOME),
            phones.callee("x", "200"),
            phones.domains(),
        ):
            with pytest.raises(StoreUnavailable):
                await work
    finally:
        await phones.close()
        await engine.dispose()


# What is believed of it


class Rows:
    """Implements ports.Phones over a list; it counts what it is asked and answers when it is told to."""

    def __init__(self, *phones: Phone) -> None:
        self.rows = {phone.id: phone for phone in phones}
        self.asked: list[tuple[Column, list[str]]] = []
        self.dialled: list[tuple[str, str]] = []
        self.away = False
        self.gate: asyncio.Event | None = None
        """When set, a read takes its rows at once and gives them when the gate opens."""

    async def select(self, column: Column, values: Iterable[str]) -> list[Phone]:
        wanted = list(values)
        self.asked.append((column, wanted))
        if self.away:
            raise StoreUnavailable("the database: away")
        found = [phone for phone in self.rows.values() if getattr(phone, column) in wanted]
        if self.gate is not None:
            await self.gate.wait()
        return found

    async def members(self, customer: str) -> list[str]:
        if self.away:
            raise StoreUnavailable("the database: away")
        return [phone.id for phone in self.rows.values() if phone.customer == customer]

    async def lock(self, phone: str, address: str) -> bool:
        if self.away:
            raise StoreUnavailable("the database: away")
        row = self.rows.get(phone)
        if row is None or row.mode is not IpMode.OPEN:
            return False
        self.rows[phone] = replace(row, mode=IpMode.LOCKED, address=address, version=row.version + 1)
        return True

    async def pickable(self, person: str) -> frozenset[str]:
        raise NotImplementedError  # the tests of caches ask for no pickups

    async def callee(self, customer: str, user: str) -> Called | None:
        self.dialled.append((customer, user))
        if self.away:
            raise StoreUnavailable("the database: away")
        own = [phone for phone in self.rows.values() if phone.customer == customer]
        meant = next((one for one in own if user in (one.extension, one.username)), None)
        ring = [one for one in own if meant is not None and one.extension == meant.extension]
        if self.gate is not None:
            await self.gate.wait()
        return None if meant is None else Devices(meant.extension, meant.name, tuple(ring))

    async def domains(self) -> Mapping[str, bool]:
        return {phone.domain: phone.terms.sha256 for phone in self.rows.values()}


class Hands:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> Mono:
        return Mono(self.now)


def phone(name: str = "anna", **changes: object) -> Phone:
    made = Phone(
        id=f"id-{name}",
        version=1,
        username=name,
        domain="acme.test",
        customer="acme",
        active=True,
        extension="200",
        password="secret",
        secret_version=1,
        mode=IpMode.OPEN,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


@contextlib.asynccontextmanager
async def believing(
    rows: Phones, gone: list[str] | None = None
) -> AsyncIterator[tuple[CachedDirectory, Hands]]:
    """A directory that runs; `gone` gets the ids of those that it finds gone."""
    clock = Hands()
    told: list[str] = [] if gone is None else gone
    directory = CachedDirectory(rows, clock, lambda phone: told.append(phone.id))
    async with asyncio.timeout(limit(10)), asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(directory.run())
        try:
            yield directory, clock
        finally:
            reader.cancel()


async def test_a_phone_is_believed_for_a_minute_and_read_again_at_its_next_use() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, clock):
        assert directory.peek("anna", REALM) is None
        assert await directory.find("anna", REALM) == phone()
        clock.now += FRESH_SECONDS
        assert directory.peek("anna", REALM) == phone() == await directory.find("anna", REALM)
        assert len(rows.asked) == 1
        clock.now += 1
        rows.rows["id-anna"] = newer = phone(version=2, password="other")
        assert directory.peek("anna", REALM) is None
        assert await directory.find("anna", REALM) == newer
        assert directory.peek("anna", REALM) == newer
        assert len(rows.asked) == 2


@pytest.mark.parametrize(
    ("seconds", "believed"),
    [
        pytest.param(FRESH_SECONDS, True, id="fresh"),
        pytest.param(FRESH_SECONDS + 1, True, id="no longer fresh"),
        pytest.param(BELIEVED_SECONDS, True, id="ten minutes old"),
        pytest.param(BELIEVED_SECONDS + 1, False, id="older"),
    ],
)
async def test_without_a_database_a_phone_is_believed_for_ten_minutes(seconds: float, believed: bool) -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, clock):
        await directory.find("anna", REALM)
        await directory.find("nobody", REALM)
        rows.away = True
        clock.now += seconds
        if believed:
            assert await directory.find("anna", REALM) == phone()
            assert await directory.find("nobody", REALM) is None
        else:
            for username in ("anna", "nobody"):
                with pytest.raises(StoreUnavailable):
                    await directory.find(username, REALM)
        with pytest.raises(StoreUnavailable):
            await directory.find("never read", REALM)
        rows.away = False
        assert await directory.find("anna", REALM) == phone()


async def test_a_database_that_hangs_is_away_within_half_a_second() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, clock):
        await directory.find("anna", REALM)
        clock.now += FRESH_SECONDS + 1
        rows.gate = asyncio.Event()
        started = asyncio.get_running_loop().time()
        anna, bent = await asyncio.gather(
            directory.find("anna", REALM), directory.find("bent", REALM), return_exceptions=True
        )
        assert asyncio.get_running_loop().time() - started < limit(0.6)
        assert anna == phone()
        assert isinstance(bent, StoreUnavailable)


async def test_what_is_not_there_is_believed_for_a_minute_too() -> None:
    rows = Rows()
    async with believing(rows) as (directory, clock):
        assert await directory.find("anna", REALM) is None
        rows.rows["id-anna"] = phone()
        clock.now += FRESH_SECONDS
        assert await directory.find("anna", REALM) is None
        assert len(rows.asked) == 1
        clock.now += 1
        assert await directory.find("anna", REALM) == phone()


@pytest.mark.parametrize(
    "username",
    ["x" * 129, "ann\u00e4", "an\nna", "an\x00na"],
    ids=["too long", "outside ASCII", "a line break", "a NUL"],
)
async def test_a_name_that_no_phone_can_have_is_not_asked_for(username: str) -> None:
    rows = Rows()
    async with believing(rows) as (directory, _):
        assert await directory.find(username, REALM) is None
    assert rows.asked == []


async def test_all_misses_of_a_moment_are_one_select() -> None:
    names = [f"p{number}" for number in range(100)]
    rows = Rows(*(phone(name) for name in names))
    async with believing(rows) as (directory, _):
        found = await asyncio.gather(*(directory.find(name, REALM) for name in names * 3))
    assert [one.username for one in found if one is not None] == names * 3
    assert [len(values) for _, values in rows.asked] == [100]


async def test_who_gave_up_waiting_takes_nobody_with_him() -> None:
    rows = Rows(phone())
    rows.gate = asyncio.Event()
    async with believing(rows) as (directory, _):
        first, second = (asyncio.create_task(directory.find("anna", REALM)) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        rows.gate.set()
        assert await second == phone()


async def test_nobody_overtakes_those_who_wait() -> None:
    """The answer may be known before their own question is answered, and in the very turn that answers it."""
    rows = Rows(phone())
    rows.gate = slow = asyncio.Event()
    order: list[str] = []

    async def ask(name: str) -> None:
        if directory.peek("anna", REALM) is None:
            await directory.find("anna", REALM)
        order.append(name)

    async with believing(rows) as (directory, _):
        first = asyncio.create_task(ask("first"))
        await asyncio.sleep(0.01)
        rows.gate = None
        assert await directory.reread(["id-anna"]) == [phone()]
        second = asyncio.create_task(ask("second"))
        await asyncio.sleep(0.01)
        assert order == [], "both wait, although the phone is known by now"
        slow.set()
        others = []
        while not order:
            others.append(asyncio.create_task(ask("another")))
            await asyncio.sleep(0)
        await asyncio.gather(first, second, *others)
    assert order[:2] == ["first", "second"]


async def test_an_older_version_never_overwrites_a_newer_one() -> None:
    rows = Rows(phone(version=5))
    async with believing(rows) as (directory, clock):
        await directory.find("anna", REALM)
        rows.rows["id-anna"] = phone(version=4, password="old")
        clock.now += FRESH_SECONDS + 1
        assert await directory.find("anna", REALM) == phone(version=5)


async def test_a_phone_deleted_while_it_was_read_is_gone() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, clock):
        await directory.find("anna", REALM)
        clock.now += FRESH_SECONDS + 1
        rows.gate = slow = asyncio.Event()
        reading = asyncio.create_task(directory.find("anna", REALM))
        await asyncio.sleep(0.01)
        rows.gate, clock.now = None, clock.now + 1
        del rows.rows["id-anna"]
        assert await directory.reread(["id-anna"]) == []
        clock.now += 1
        slow.set()
        assert await reading is None
        assert await directory.find("anna", REALM) is None
        assert directory.by_id("id-anna") is None


async def test_a_phone_deleted_while_it_was_read_for_the_first_time_is_gone() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, clock):
        rows.gate = slow = asyncio.Event()
        reading = asyncio.create_task(directory.find("anna", REALM))
        await asyncio.sleep(0.01)
        rows.gate, clock.now = None, clock.now + 1
        del rows.rows["id-anna"]
        assert await directory.reread(["id-anna"]) == []
        slow.set()
        assert await reading is None
        assert directory.by_id("id-anna") is None
        clock.now += FRESH_SECONDS + 1
        rows.rows["id-anna"] = phone(version=2)
        assert await directory.find("anna", REALM) == phone(version=2), "a SIP user may be made again"


async def test_a_phone_created_while_it_was_looked_for_is_there() -> None:
    rows = Rows()
    async with believing(rows) as (directory, clock):
        rows.gate = slow = asyncio.Event()
        looking = asyncio.create_task(directory.find("anna", REALM))
        await asyncio.sleep(0.01)
        rows.gate, clock.now = None, clock.now + 1
        rows.rows["id-anna"] = phone()
        assert await directory.reread(["id-anna"]) == [phone()]
        clock.now += 1
        slow.set()
        await looking
        assert await directory.find("anna", REALM) == phone()


async def test_a_change_is_read_and_believed() -> None:
    rows = Rows(phone(), phone("bent"))
    async with believing(rows) as (directory, _):
        await asyncio.gather(directory.find("anna", REALM), directory.find("bent", REALM))
        rows.rows["id-anna"] = changed = phone(version=2, username="annas-new-name")
        assert await directory.reread(["id-anna"]) == [changed]
        assert directory.peek("anna", REALM) is None
        assert await directory.find("anna", REALM) is None, "the old name is nobody's"
        assert directory.peek("annas-new-name", REALM) == changed == directory.by_id("id-anna")
        assert directory.peek("bent", REALM) is not None
        assert len(rows.asked) == 2


async def test_a_customers_change_puts_all_its_phones_in_doubt() -> None:
    rows = Rows(phone(), phone("bent"), phone("carl", customer="rival"), phone("dora"))
    async with believing(rows) as (directory, clock):
        await asyncio.gather(*(directory.find(name, REALM) for name in ("anna", "bent", "carl")))
        clock.now += 1
        rows.rows["id-anna"] = blocked = phone(version=2, active=False)
        del rows.rows["id-bent"]
        members = await directory.members("acme")
        assert set(members[:2]) == {"id-anna", "id-bent"}, "whom this node knew, be they there or not"
        assert members[2:] == ["id-dora"]
        assert directory.peek("anna", REALM) is None
        assert directory.peek("carl", REALM) is not None
        assert await directory.reread(members) == [blocked, phone("dora")]
        assert directory.peek("anna", REALM) == blocked
        assert directory.by_id("id-bent") is None
        assert directory.serves("acme.test")
        assert not directory.serves("elsewhere.test")


async def test_a_customer_that_cannot_be_read_is_in_doubt() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, _):
        await directory.find("anna", REALM)
        rows.away = True
        with pytest.raises(StoreUnavailable):
            await directory.members("acme")
        assert directory.peek("anna", REALM) is None


async def test_a_phone_is_known_in_every_realm_and_a_user_in_its_own() -> None:
    name = "p" * 32
    rows = Rows(
        phone(username=name), phone("u7", username="200"), phone("u8", username="200", domain="b.test")
    )
    async with believing(rows) as (directory, _):
        for realm in (REALM, "b.test", "service.test"):
            found = await directory.find(name, realm)
            assert found is not None and found.id == "id-anna" and directory.peek(name, realm) == found
        assert len(rows.asked) == 1
        ids = [
            found and found.id for found in [await directory.find("200", r) for r in (REALM, "b.test", "c")]
        ]
        assert ids == ["id-u7", "id-u8", None]
        assert directory.peek("200", "c") is None
        assert await directory.find("200@acme.test", "acme.test") is None
        assert await directory.find("", REALM) is None


@pytest.mark.parametrize("how", ["by its name", "by its id", "the old one first"])
async def test_a_name_that_was_given_to_somebody_else_is_his(how: str) -> None:
    """However often the old one had changed; and what is heard of the old one later does not harm him."""
    old = phone("u7", username="anna", version=9)
    new = phone("u8", username="anna", password="another")
    rows = Rows(old)
    gone: list[str] = []
    async with believing(rows, gone) as (directory, clock):
        assert await directory.find("anna", REALM) == old
        clock.now += FRESH_SECONDS + 1
        rows.rows = {"id-u8": new}
        if how == "by its id":
            assert await directory.reread(["id-u8"]) == [new]
        if how == "the old one first":
            assert await directory.reread(["id-u7"]) == []
            clock.now += FRESH_SECONDS + 1
        assert await directory.find("anna", REALM) == new
        assert gone == ([] if how == "the old one first" else ["id-u7"])
        assert directory.by_id("id-u7") is None
        clock.now += 1
        assert await directory.reread(["id-u7"]) == []
        assert directory.peek("anna", REALM) == new == directory.by_id("id-u8")


async def test_whoever_finds_a_phone_gone_says_so_once() -> None:
    rows = Rows(phone(), phone("bent"), phone("carl"))
    gone: list[str] = []
    async with believing(rows, gone) as (directory, clock):
        known = [await directory.find(name, REALM) for name in ("anna", "bent", "carl")]
        clock.now += FRESH_SECONDS + 1
        rows.rows.clear()
        assert await directory.find("anna", REALM) is None
        assert await directory.find("anna", REALM) is None
        assert gone == ["id-anna"]
        assert known[1] is not None
        assert await directory.lock(known[1], HOME) == (None, False)
        assert gone == ["id-anna", "id-bent"]
        await directory.reread(["id-carl"])
        assert gone == ["id-anna", "id-bent"], "who re-reads it knows that it changed"


async def test_a_change_that_cannot_be_read_makes_the_phone_stale() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, _):
        await directory.find("anna", REALM)
        rows.away = True
        with pytest.raises(StoreUnavailable):
            await directory.reread(["id-anna"])
        assert directory.peek("anna", REALM) is None
        assert await directory.find("anna", REALM) == phone(), (
            "it is believed as long as there is nothing better"
        )


async def test_after_a_gap_everything_is_read_again_and_nothing_is_lost() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, clock):
        await directory.find("anna", REALM)
        await directory.find("nobody", REALM)
        clock.now += 1
        directory.forget_freshness()
        assert directory.peek("anna", REALM) is None
        rows.away = True
        assert await directory.find("anna", REALM) == phone()
        assert await directory.find("nobody", REALM) is None
        rows.away = False
        assert await directory.find("anna", REALM) == phone()
        assert directory.peek("anna", REALM) == phone()


async def test_a_re_check_of_everybody_does_not_hold_the_loop() -> None:
    """Row by row, 20,000 phones in chunks of 200: nothing of it grows with the square of the phones."""
    many = [phone(f"p{number}") for number in range(20_000)]
    rows = Rows()
    async with believing(rows) as (directory, _):
        directory._take(many, set(), 0.0)
        started = time.process_time()
        for start in range(0, len(many), 200):
            ids = tuple(one.id for one in many[start : start + 200])
            rows.rows = {one.id: one for one in many[start : start + 200]}
            await directory.reread(ids)
        assert time.process_time() - started < 2


async def test_the_first_contact_is_read_back_by_whoever_made_it_and_whoever_lost() -> None:
    rows = Rows(phone())
    async with believing(rows) as (one, _), believing(rows) as (other, _):
        mine, theirs = await one.find("anna", REALM), await other.find("anna", REALM)
        assert mine is not None and theirs is not None
        won, lost = await one.lock(mine, HOME), await other.lock(theirs, ELSEWHERE)
        assert (won[1], lost[1]) == (True, False)
        assert won[0] == lost[0] == one.peek("anna", REALM) == other.peek("anna", REALM)
        assert lost[0] is not None and lost[0].address == HOME


async def test_a_phone_that_is_gone_cannot_be_locked() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, _):
        known = await directory.find("anna", REALM)
        assert known is not None
        del rows.rows["id-anna"]
        assert await directory.lock(known, HOME) == (None, False)
        assert directory.peek("anna", REALM) is None


async def test_a_first_contact_that_cannot_be_written_is_no_contact() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, _):
        known = await directory.find("anna", REALM)
        assert known is not None
        rows.away = True
        with pytest.raises(StoreUnavailable):
            await directory.lock(known, HOME)


async def test_over_a_real_database_all_of_it_holds(installation: Installation) -> None:
    first = installation.phones[0]
    async with believing(installation.sql()) as (directory, clock):
        assert await directory.find(first.username, REALM) == first
        locked, won = await directory.lock(first, HOME)
        assert won and locked is not None and locked.mode is IpMode.LOCKED
        assert directory.peek(first.username, REALM) == locked
        await installation.execute("DELETE FROM sip_phone WHERE oid=:o", o=first.id)
        clock.now += 1
        assert await directory.reread([first.id]) == []
        assert await directory.find(first.username, REALM) is None


async def test_those_that_nobody_knows_are_learnt_once() -> None:
    rows = Rows(phone(), phone("bob"))
    async with believing(rows) as (directory, _):
        await directory.find("anna", REALM)
        await directory.learn(["id-anna", "id-bob", "id-nobody"])
        assert directory.by_id("id-bob") == phone("bob")
        assert directory.by_id("id-nobody") is None
        asked = len(rows.asked)
        await directory.learn(["id-anna", "id-bob"])
        assert len(rows.asked) == asked


async def test_without_a_database_nothing_is_learnt_and_nothing_breaks() -> None:
    rows = Rows(phone())
    rows.away = True
    async with believing(rows) as (directory, _):
        await directory.learn(["id-anna"])
        assert directory.by_id("id-anna") is None


async def test_a_phone_is_known_by_its_id_and_read_when_it_is_not_fresh() -> None:
    rows = Rows(phone())
    async with believing(rows) as (directory, clock):
        assert await directory.phone("id-anna") == phone() == await directory.phone("id-anna")
        assert await directory.find("anna", REALM) == phone()
        assert len(rows.asked) == 1
        clock.now += FRESH_SECONDS + 1
        rows.rows["id-anna"] = newer = phone(version=2, username="annette")
        assert await directory.phone("id-anna") == newer == directory.peek("annette", REALM)
        assert directory.peek("anna", REALM) is None


async def test_a_phone_that_is_gone_is_not_known_by_its_id_and_that_is_told() -> None:
    rows = Rows(phone())
    gone: list[str] = []
    async with believing(rows, gone) as (directory, clock):
        assert await directory.phone("id-nobody") is None
        await directory.find("anna", REALM)
        rows.rows.clear()
        assert await directory.phone("id-anna") == phone()
        clock.now += FRESH_SECONDS + 1
        assert await directory.phone("id-anna") is None
        assert await directory.phone("id-anna") is None
    assert gone == ["id-anna"]


async def test_without_a_database_a_phone_is_known_by_its_id_for_ten_minutes() -> None:
    rows = Rows(phone(), phone("bent"))
    async with believing(rows) as (directory, clock):
        await directory.phone("id-anna")
        rows.away = True
        clock.now += BELIEVED_SECONDS
        assert await directory.phone("id-anna") == phone()
        clock.now += 1
        for id in ("id-anna", "id-bent"):
            with pytest.raises(StoreUnavailable):
                await directory.phone(id)
        rows.away, rows.gate = False, asyncio.Event()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await directory.phone("id-bent")


async def test_a_walk_over_the_index_of_states_reads_all_phones_by_customer(
    installation: Installation,
) -> None:
    phones, directory = installation.phones, SqlMembers(installation.reader)
    members = await directory.members()
    found = members.phones
    assert {customer: len(some) for customer, some in found.items()} == {"a" * 24: 5, "b" * 24: 2}
    assert {phone.id for phone in phones[:3]} < set(found["a" * 24])
    assert {id[0] for id in set(found["a" * 24]) - {phone.id for phone in phones}} == {"u"}
    assert members.deleted == []
    assert await directory.members() == members, "the connection was given back as it was"
    broken = connect("postgresql+asyncpg://x@127.0.0.1:9/none", read_only=True)
    for asked in (SqlMembers(broken).members(), SqlMembers(broken).owners(["u1"])):
        with pytest.raises(StoreUnavailable):
            await asked
    await broken.dispose()


async def test_a_walk_asks_again_whose_some_phones_are(installation: Installation) -> None:
    directory = SqlMembers(installation.reader)
    found = (await directory.members()).phones
    every = {phone: customer for customer, phones in found.items() for phone in phones}
    assert await directory.owners([*every, "0" * 24, "u999", "u0", "x"]) == every
    assert await directory.owners([]) == {}
    many = [f"{number:024x}" for number in range(1_200)]
    assert await directory.owners([*many, *every]) == every
    await installation.execute("DELETE FROM sip_phone WHERE oid = :oid", oid=installation.phones[0].id)
    assert await directory.owners(list(every)) == {
        phone: customer for phone, customer in every.items() if phone != installation.phones[0].id
    }


async def test_a_customer_without_phones_is_walked_over_and_a_deleted_one_has_none(
    installation: Installation,
) -> None:
    directory = SqlMembers(installation.reader)
    phones = (await directory.members()).phones["b" * 24]
    await installation.execute(
        "UPDATE customer SET state = 'DELETED', sip_domain = NULL WHERE oid = :o", o="b" * 24
    )
    members = await directory.members()
    assert (set(members.phones), members.deleted) == ({"a" * 24}, ["b" * 24])
    assert phones and await directory.owners(phones) == {}
    await installation.execute("DELETE FROM sip_phone")
    await installation.execute("UPDATE extension SET sip_ha1_md5 = NULL")
    assert (await directory.members()).phones == {"a" * 24: []}
