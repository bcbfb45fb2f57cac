"""Lists: formats, filters with every operand on every type, sorting, picking, paging."""

import csv
import io
from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from config.v2.asking import MAX_CONDITIONS, MAX_ROWS
from config.v2.rows import OPERANDS
from tests.config.v2 import domain, refused, row, rows
from tests.config.world import World
from tests.every import every

PEOPLE: list[dict[str, str]] = [
    {"user": "anna", "displayName": "Ærlig Anna", "ukPhoneId": "9", "dashboard": "1", "officeName": "a-b"},
    {"user": "Bob", "displayName": 'Bob "100%"', "ukPhoneId": "10"},
    {"user": "carl_x", "displayName": "Carl, =1+1", "mobileFollow": "1"},
]
MOMENTS = ("2026-01-31 23:59:59", "2026-02-01 00:00:00", "2026-02-01 12:00:00")
MOMENT = "YYYY-MM-DD HH:MM:SS"
FORM = "A filter is field-operand-value-..., field-null or field-notnull"
USERS = ["anna", "Bob", "carl_x"]
A, B, C = USERS


@pytest.fixture
async def people(world: World) -> str:
    """The path of a domain's users: three of them, and no others."""
    path = f"{await domain(world, 'rival')}/users"
    await world.execute("DELETE FROM number WHERE ref = :oid", oid=world.ids["foreign"])
    await world.execute("DELETE FROM extension WHERE oid = :oid", oid=world.ids["foreign"])
    async with world.client(AccessLevel.MANAGER, "rival") as client:
        for index, person in enumerate(PEOPLE):
            own = {"password": "a secret of mine", "extensionNumber": f"30{index}"}
            assert (await client.post(path, data=person | own)).status_code == 201
    for name, when in zip(USERS, MOMENTS, strict=True):
        zone = ".000000" if world.engine.dialect.name == "sqlite" else "+00"
        await world.execute(
            f"UPDATE extension SET created_at = '{when}{zone}' WHERE sip_user = :user", user=name
        )
    return path


async def listed(client: httpx.AsyncClient, path: str, **params: Any) -> list[str | None]:
    return [found["user"] for found in rows(await client.get(path, params=params))]


FILTERS: dict[str, list[str]] = {
    # texts
    "user-eq-value-anna": [A],
    "user-eq-value-Anna": [],
    "user-ne-value-anna": [B, C],
    "user-neq-value-anna": [B, C],
    "user-gt-value-anna": [C],
    "user-gte-value-anna": [A, C],
    "user-lt-value-anna": [B],
    "user-lte-value-anna": [A, B],
    "user-like-value-AN": [A],
    "user-nlike-value-an": [B, C],
    "user-null": [],
    "user-notnull": USERS,
    "officeName-eq-value-a-b": [A],
    "officeName-ne-value-a-b": [B, C],
    "officeName-nlike-value-a": [B, C],
    "officeName-null": [B, C],
    "officeName-notnull": [A],
    "officeName-eq-value-": [],
    "displayName-like-value-ærl": [A],
    "displayName-like-value-ÆRL": [A],
    "displayName-like-value-%": [B],
    "displayName-like-value-0%\"": [B],
    "user-like-value-_": [C],
    "user-like-value-/": [],
    "user-like-value-\\": [],
    "user-like-value-": USERS,
    "displayName-eq-value-' OR 1=1 --": [],
    # numbers compare as numbers: 9 is less than 10
    "ukPhoneId-eq-value-9": [A],
    "ukPhoneId-eq-value-09": [A],
    "ukPhoneId-ne-value-9": [B, C],
    "ukPhoneId-neq-value-9": [B, C],
    "ukPhoneId-gt-value-9": [B],
    "ukPhoneId-gt-value--1": [A, B],
    "ukPhoneId-gte-value-9": [A, B],
    "ukPhoneId-lt-value-10": [A],
    "ukPhoneId-lte-value-10": [A, B],
    "ukPhoneId-lt-value-999999999999999999": [A, B],
    "ukPhoneId-like-value-1": [B],
    "ukPhoneId-nlike-value-1": [A, C],
    "ukPhoneId-null": [C],
    "ukPhoneId-notnull": [A, B],
    # flags
    "dashboard-eq-value-1": [A],
    "dashboard-eq-value-true": [A],
    "dashboard-ne-value-1": [B, C],
    "mobileFollow-neq-value-0": [C],
    "dashboard-gt-value-0": [A],
    "dashboard-gte-value-0": USERS,
    "dashboard-lt-value-1": [B, C],
    "dashboard-lte-value-FALSE": [B, C],
    "dashboard-like-value-1": [A],
    "dashboard-nlike-value-1": [B, C],
    "dashboard-null": [],
    "dashboard-notnull": USERS,
    # moments
    "createDatetime-eq-value-2026-02-01 00:00:00": [B],
    "createDatetime-eq-value-2026-02-01": [B],
    "createDatetime-ne-value-2026-02-01T00:00:00": [A, C],
    "createDatetime-neq-value-2026-02-01 00:00:00": [A, C],
    "createDatetime-gt-value-2026-02-01 00:00:00": [C],
    "createDatetime-gte-value-2026-02-01": [B, C],
    "createDatetime-lt-value-2026-02-01 00:00:00": [A],
    "createDatetime-lte-value-2026-02-01 00:00:00": [A, B],
    "createDatetime-like-value-2026-02-01 1": [C],
    "createDatetime-nlike-value-2026-02": [A],
    "createDatetime-null": [],
    "createDatetime-notnull": USERS,
}  # fmt: skip


def test_every_operand_is_tried_on_every_type() -> None:
    tried = {tuple(text.split("-")[:2]) for text in FILTERS}
    groups = ({"user", "officeName"}, {"ukPhoneId"}, {"dashboard", "mobileFollow"}, {"createDatetime"})
    assert all({operand for field, operand in tried if field in fields} == set(OPERANDS) for fields in groups)


async def test_filters_find_what_they_say(world: World, people: str) -> None:
    async with world.client(AccessLevel.VIEWER, "rival") as client:
        found = {text: await listed(client, people, **{"filter[]": text}) for text in FILTERS}
    assert found == FILTERS


async def test_several_filters_must_all_hold(world: World, people: str) -> None:
    both = ["user-like-value-a", "ukPhoneId-null"]
    async with world.client(AccessLevel.VIEWER, "rival") as client:
        for spelling in ({"filter[]": both}, {"filter": both}, {"filter[1]": both[0], "filter[0]": both[1]}):
            assert await listed(client, people, **spelling) == [C]


@every(
    ("text", "message"),
    [
        ("user", f"{FORM}, not 'user'"),
        ("user-eq", "A value is missing: user-eq-value-..."),
        ("user-eq-anna", f"{FORM}, not 'user-eq-anna'"),
        ("user-eq-value", f"{FORM}, not 'user-eq-value'"),
        ("user-null-value-1", "null takes no value: user-null"),
        ("user-is-value-1", f"Unknown operand 'is'; use one of {', '.join(OPERANDS)}"),
        ("ukPhoneId-eq-value-x", "The value for ukPhoneId must be a whole number"),
        ("ukPhoneId-eq-value-9999999999999999999", "The value for ukPhoneId must be a whole number"),
        ("dashboard-eq-value-2", "The value for dashboard must be 1 or 0"),
        ("createDatetime-eq-value-2026-13-01", f"The value for createDatetime must be a moment {MOMENT}"),
        ("user-eq-value-a\0b", "The value for user has control characters"),
        ("user-like-value-a\nb", "The value for user has control characters"),
    ],
)  # fmt: skip
async def test_a_wrong_filter_is_refused(world: World, text: str, message: str) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"{await domain(world)}/users", params={"filter[]": text})
    assert refused(answer) == (400, message)


@every(
    "params",
    [
        {"filter[]": "password-notnull"},
        {"filter[]": "pin-eq-value-1"},
        {"filter[]": "User-eq-value-anna"},
        {"filter[]": ["user-notnull"] * (MAX_CONDITIONS + 1)},
        {"sort[]": "password-asc"},
        {"sort[]": "user"},
        {"sort[]": "user-up"},
        {"display[]": "pin"},
        {"display[]": ["user", "user"]},
        {"display[]": ["user-a", "displayName-a"]},
        {"display[]": "user-" + "a" * 65},
        {"format": "xml"},
        {"format": "debug"},
        {"format": "csv"},
        {"limit": str(MAX_ROWS + 1)},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": "1.5"},
        {"limit": "٣"},
        {"offset": "-1"},
        {"offset": "x"},
        {"offset": str(2**31)},
    ],
    ids=str,
)
async def test_what_a_list_does_not_know_is_refused(world: World, params: dict[str, Any]) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        assert refused(await client.get(f"{await domain(world)}/users", params=params))[0] == 400


@every(
    ("sort", "users"),
    [
        ([], [A, B, C]),
        (["userId-desc"], [C, B, A]),
        (["user-asc"], [B, A, C]),
        (["user-desc"], [C, A, B]),
        (["ukPhoneId-asc"], [C, A, B]),
        (["ukPhoneId-desc"], [B, A, C]),
        (["dashboard-desc"], [A, B, C]),
        (["dashboard-asc", "user-desc"], [C, B, A]),
        (["createDatetime-desc"], [C, B, A]),
    ],
    ids=str,
)
async def test_rows_are_sorted(world: World, people: str, sort: list[str], users: list[str]) -> None:
    async with world.client(AccessLevel.VIEWER, "rival") as client:
        assert await listed(client, people, **{"sort[]": sort}) == users


async def test_a_page_is_cut_out(world: World, people: str) -> None:
    async with world.client(AccessLevel.VIEWER, "rival") as client:
        for params, users in (
            ({"limit": "2"}, [A, B]),
            ({"offset": "2"}, [C]),
            ({"limit": "1", "offset": "1"}, [B]),
            ({"limit": str(MAX_ROWS)}, USERS),
            ({"offset": str(2**31 - 1)}, []),
            ({"limit": "0"}, []),
            ({"limit": ""}, USERS),
        ):
            assert await listed(client, people, **params) == users


async def test_fields_are_picked_ordered_and_renamed(world: World, people: str) -> None:
    async with world.client(AccessLevel.VIEWER, "rival") as client:
        params = {"display[]": ["dashboard", "user-who-is-it", "ukPhoneId"], "limit": "1"}
        answer = await client.get(people, params=params)
        assert answer.text == '{"dashboard":"1","who-is-it":"anna","ukPhoneId":"9"}\n'
        first = rows(await client.get(people))[0]["userId"]
        single = await client.get(f"{people}/{first}", params=params)
        assert (single.text, single.headers["content-type"]) == (answer.text, "application/json")


async def test_an_array_and_csv_say_the_same(world: World, people: str) -> None:
    async with world.client(AccessLevel.VIEWER, "rival") as client:
        lines = rows(await client.get(people))
        array = await client.get(people, params={"format": "jsonarray"})
        assert (array.json(), array.headers["content-type"]) == (lines, "application/json")
        assert all(value is None or isinstance(value, str) for line in lines for value in line.values())
        table = await client.get(people, params={"format": "csv", "display[]": list(lines[0])})
        single = await client.get(
            f"{people}/{lines[1]['userId']}", params={"format": "csv", "display[]": "displayName"}
        )
    assert table.headers["content-type"].startswith("text/csv")
    read = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert read == [{name: value or "" for name, value in line.items()} for line in lines]
    assert table.text.count("\r\n") == 4
    assert '"Bob ""100%"""' in table.text and '"Carl, =1+1"' in table.text
    assert single.text == 'displayName\r\n"Bob ""100%"""\r\n'


@every("first", ["=", "+", "-", "@", "\t", "\r"], ids=repr)
async def test_no_cell_is_a_formula(world: World, people: str, first: str) -> None:
    name = f"{first}1+1"
    await world.execute("UPDATE extension SET name = :name WHERE sip_user = :user", name=name, user=B)
    wanted = {"display[]": ["user", "displayName"], "filter[]": f"user-eq-value-{B}"}
    async with world.client(AccessLevel.VIEWER, "rival") as client:
        answer = await client.get(people, params=wanted | {"format": "csv"})
        (line,) = rows(await client.get(people, params=wanted))
    _, cells = csv.reader(io.StringIO(answer.text, newline=""))
    assert cells == [B, f"'{name}"]
    assert line["displayName"] == name


async def test_nothing_is_a_lone_line_break(world: World) -> None:
    path = f"{await domain(world)}/queues"
    async with world.client(AccessLevel.VIEWER) as client:
        assert (await client.get(path)).text == "\n"
        assert (await client.get(path, params={"format": "jsonarray"})).text == "[]\n"
        csv_answer = await client.get(path, params={"format": "csv", "display[]": ["queueId", "queueName-n"]})
        assert csv_answer.text == "queueId,n\r\n"


async def test_a_list_without_a_limit_has_all_rows(world: World) -> None:
    path = await domain(world)
    columns = "oid, customer_id, network, network_as_sent, created_at, updated_at"
    values = "(SELECT id FROM customer WHERE oid = :acme), 'n' || n, 'n' || n, created_at, updated_at"
    await world.execute(
        f"INSERT INTO trusted_network ({columns}) WITH RECURSIVE count(n) AS "
        f"(SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n <= {MAX_ROWS}) "
        f"SELECT 'o' || n, {values} FROM count JOIN customer ON customer.oid = :acme",
        acme=world.ids["acme"],
    )
    async with world.client(AccessLevel.VIEWER) as client:
        whole = await client.get(f"{path}/trustedNetworks")
        rest = await client.get(f"{path}/trustedNetworks", params={"offset": str(MAX_ROWS)})
        array = await client.get(f"{path}/trustedNetworks", headers={"Accept": "application/json"})
    assert [found["network"] for found in rows(whole)] == [f"n{n}" for n in range(1, MAX_ROWS + 2)]
    assert [found["network"] for found in rows(rest)] == [f"n{MAX_ROWS + 1}"]
    assert array.json() == rows(whole)
    assert {answer.headers["x-total-count"] for answer in (whole, rest, array)} == {str(MAX_ROWS + 1)}


async def test_a_single_row_is_one_object(world: World) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        path = await domain(world)
        shown = row(await client.get(path))
        assert shown["domain"] == "acme.test"
        assert (await client.get(path, params={"format": "jsonarray"})).json() == [shown]
