"""Logins: passwords, tokens of people and of machines, and what each header is worth in each dialect."""

import asyncio
import base64
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Iterable
from ipaddress import ip_network
from typing import Any, Final

import httpx
import jwt
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from config.access import AccessLevel
from config.auth import issue_token
from config.operations import passwords as passwords_module
from config.operations.passwords import MAX_PASSWORD, REMEMBER_SECONDS, Passwords
from registrar.store.database import connect
from tests.config.test_access import BAD_TOKENS
from tests.config.world import JWT_SECRET, NOBODY, Json, World

EMAIL = "cilla@acme.test"
PASSWORD = "correct hørse:1"
ROWS = "/config/v2/sip/domains"
PHONES = "/pbx/sipphone"
PROXIES = (ip_network("127.0.0.0/8"),)


async def hired(world: World, **body: Any) -> str:
    """A person who can log in; the id."""
    person = {"name": "Cilla", "emailAddress": EMAIL, "password": PASSWORD, "accessLevel": "MANAGER"}
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.post("/employee", json=person | body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["_id"])


async def service_token(world: World, employee: str) -> Json:
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.post(f"/employee/{employee}/token", json={"note": "import"})
    assert answer.status_code == 200, answer.text
    created: Json = answer.json()
    return created


async def log_in(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/auth/login", json={"username": EMAIL, "password": PASSWORD} | body)


def basic(password: str = PASSWORD, email: str = EMAIL) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_login_gets_a_token_that_works(world: World) -> None:
    employee = await hired(world)
    async with world.client(None) as client:
        answer = await log_in(client, username=EMAIL.upper())
        body = answer.json()
        header = {"Authorization": f"Bearer {body.pop('token')}"}
        assert (await client.get(PHONES, headers=header)).status_code == 200
        assert (await client.get(ROWS, headers=header)).status_code == 200
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    ((session,),) = await world.rows("SELECT oid FROM login_session")
    assert body == {
        "session": session,
        "expiresInMinutes": 15,
        "employee": employee,
        "customer": world.ids["acme"],
        "accessLevel": "MANAGER",
        "name": "Cilla",
    }


async def test_a_token_that_persists_ends_with_its_persons_password(world: World) -> None:
    employee = await hired(world)
    async with world.client(None) as client:
        body = (await log_in(client, persist=True)).json()
        header = {"Authorization": f"Bearer {body['token']}"}
        assert body["expiresInMinutes"] == -1
        assert "exp" not in jwt.decode(body["token"], JWT_SECRET, algorithms=["HS256"])
        assert (await client.get(PHONES, headers=header)).status_code == 200
        async with world.client(AccessLevel.ADMIN) as admin:
            await admin.post(f"/employee/{employee}", json={"password": "another password"})
        assert code_of(await client.get(PHONES, headers=header)) == (401, "invalid_token")
        assert code_of(await log_in(client)) == (401, "credentials_invalid")
        assert (await log_in(client, password="another password")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"password": "wrong password"}, id="a wrong password"),
        pytest.param({"username": "nobody@acme.test"}, id="an unknown address"),
        pytest.param({"username": None}, id="no address"),
        pytest.param({"password": 5}, id="a number"),
        pytest.param({"password": ""}, id="an empty password"),
        pytest.param({"username": "", "password": ""}, id="nothing"),
        pytest.param({"username": EMAIL + "\0"}, id="a zero byte"),
        pytest.param({"username": "\udc80"}, id="half a character in the address"),
        pytest.param({"password": "\udc80"}, id="half a character in the password"),
        pytest.param({"password": "x" * (MAX_PASSWORD + 1)}, id="a long password"),
        pytest.param({"username": "x" * 5_000}, id="a long address"),
    ],
)
async def test_whatever_is_wrong_with_a_login_the_answer_is_the_same(world: World, body: Json) -> None:
    await hired(world)
    sent = json.dumps({"username": EMAIL, "password": PASSWORD} | body)
    async with world.client(None) as client:
        answer = await client.post("/auth/login", content=sent)
    assert code_of(answer) == (401, "credentials_invalid")
    assert answer.json()["error"]["message"] == "The credentials are invalid"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE employee SET state = 'BLOCKED'",
        "UPDATE employee SET access_level = 'NO_LOGIN'",
        "UPDATE employee SET password_hash = NULL",
        "UPDATE employee SET password_hash = 'rubbish'",
        "UPDATE customer SET state = 'BLOCKED'",
    ],
)
async def test_who_may_not_enter_is_not_told_that_the_password_is_right(world: World, change: str) -> None:
    await hired(world)
    await world.execute(change)
    async with world.client(None) as client:
        answer = await log_in(client)
        rows = await client.get(ROWS, headers=basic())
    assert code_of(answer) == (401, "credentials_invalid")
    assert answer.json()["error"]["message"] == "The credentials are invalid"
    assert (rows.status_code, rows.text) == (401, '"auth required"\n')


async def test_a_login_body_must_be_an_object_that_is_not_too_deep(world: World) -> None:
    async with world.client(None) as client:
        for body in (b"", b"[]", b"{", b'{"a":' * 30 + b"1" + b"}" * 30):
            assert code_of(await client.post("/auth/login", content=body)) == (400, "bad_request")


@pytest.mark.parametrize("hash_cost", ["usual"])
async def test_an_unknown_login_takes_as_long_as_a_wrong_password(world: World) -> None:
    await hired(world)
    seconds = {}
    async with world.client(None) as client:
        for email in (EMAIL, "nobody@acme.test"):
            taken = []
            for _ in range(3):
                started = time.process_time()
                await log_in(client, username=email, password="wrong password")
                taken.append(time.process_time() - started)
            seconds[email] = min(taken)
    assert 0.5 < seconds[EMAIL] / seconds["nobody@acme.test"] < 2, seconds


async def test_no_password_reaches_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await hired(world)
    async with world.client(None) as client:
        token = (await log_in(client)).json()["token"]
        await log_in(client, password="quite another one")
        await client.get(ROWS, headers=basic())
    for secret in (PASSWORD, "quite another one", token, basic()["Authorization"]):
        assert secret not in caplog.text


async def test_basic_is_for_the_row_dialect_alone(world: World) -> None:
    await hired(world)
    async with world.client(None) as client:
        for _ in range(2):
            assert (await client.get(ROWS, headers=basic())).status_code == 200
        wrong = await client.get(ROWS, headers=basic("wrong password"))
        json_dialect = await client.get(PHONES, headers=basic())
    assert (wrong.status_code, wrong.text) == (401, '"auth required"\n')
    assert wrong.headers["www-authenticate"].startswith("Basic ")
    assert code_of(json_dialect) == (401, "format_error")


async def test_the_level_of_a_basic_login_is_the_persons(world: World) -> None:
    await hired(world, accessLevel="PERSONAL")
    async with world.client(None) as client:
        answer = await client.get(ROWS, headers=basic())
    assert (answer.status_code, answer.text) == (
        403,
        '"access denied: Insufficient access level: VIEWER is needed"\n',
    )


@pytest.mark.parametrize(
    "change", [{"password": "another password"}, {"state": "BLOCKED"}, {"emailAddress": "c@acme.test"}]
)
async def test_a_remembered_login_ends_with_a_change_of_its_person(world: World, change: Json) -> None:
    employee = await hired(world)
    async with world.client(None) as client, world.client(AccessLevel.ADMIN) as admin:
        assert (await client.get(ROWS, headers=basic())).status_code == 200
        assert (await admin.post(f"/employee/{employee}", json=change)).status_code == 200
        assert (await client.get(ROWS, headers=basic())).status_code == 401


async def test_a_right_password_is_remembered_for_a_minute() -> None:
    now = 1_000.0
    passwords = Passwords(lambda: now)
    passwords.remember("stored", "secret", "anna 1")
    now += REMEMBER_SECONDS - 1
    assert passwords.remembers("stored", "secret", "anna 1")
    for stored, password, about in (
        ("stored", "wrong", "anna 1"),
        ("stored", "secret", "anna 2"),
        ("another", "secret", "anna 1"),
    ):
        assert not passwords.remembers(stored, password, about)
    now += 2
    assert not passwords.remembers("stored", "secret", "anna 1")


@pytest.mark.parametrize("hash_cost", ["usual"])
async def test_a_password_is_stored_at_the_usual_cost_of_argon2(hash_cost: str) -> None:
    """RFC 9106 section 4, the second recommendation: 64 MiB, three passes, four lanes."""
    assert (await Passwords().hashed("secret")).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_only_so_many_passwords_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords()
    monkeypatch.setattr(passwords_module, "MAX_REMEMBERED", 2)
    for about in "abc":
        passwords.remember("stored", "secret", about)
    assert [passwords.remembers("stored", "secret", about) for about in "abc"] == [False, True, True]


@pytest.mark.parametrize("scheme", ["Bearer", "ApiKey", "apikey"])
async def test_a_token_of_a_machine_has_the_rights_of_its_person(world: World, scheme: str) -> None:
    employee = await hired(world)
    created = await service_token(world, employee)
    header = {"Authorization": f"{scheme} {created['token']}"}
    url = f"/employee/{employee}/token/{created['_id']}"
    async with world.client(None) as client:
        assert (await client.get(ROWS, headers=header)).status_code == 200
        listed = await client.get(PHONES, headers=header)
        if scheme == "Bearer":
            assert listed.status_code == 200
            assert code_of(await client.post("/customer", json={}, headers=header)) == (403, "access_denied")
            assert (await client.get(PHONES, params={"token": created["token"]})).status_code == 200
        else:
            assert code_of(listed) == (401, "format_error")
        async with world.client(AccessLevel.ADMIN) as admin:
            assert (await admin.delete(url)).json() == {"success": True}
            assert code_of(await admin.delete(url)) == (404, "not_found")
        assert (await client.get(ROWS, headers=header)).status_code == 401
    assert len(created["token"]) == 48


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE employee SET state = 'BLOCKED'",
        "UPDATE customer SET state = 'BLOCKED'",
        "DELETE FROM employee WHERE name = 'Cilla'",
    ],
)
async def test_a_token_of_a_machine_dies_with_its_person(world: World, change: str) -> None:
    created = await service_token(world, await hired(world))
    header = {"Authorization": f"Bearer {created['token']}"}
    async with world.client(None) as client:
        assert (await client.get(PHONES, headers=header)).status_code == 200
        await world.execute(change)
        assert code_of(await client.get(PHONES, headers=header)) == (401, "invalid_token")


@pytest.mark.parametrize("level", [AccessLevel.RESELLER, AccessLevel.RESELLER_ADMIN, AccessLevel.ADMIN])
async def test_operators_are_not_locked_out_with_their_customer(world: World, level: AccessLevel) -> None:
    await hired(world, accessLevel=level.name)
    await world.execute("UPDATE customer SET state = 'BLOCKED' WHERE name = 'Acme'")
    works = level >= AccessLevel.RESELLER_ADMIN
    async with world.client(None) as client:
        assert (await log_in(client)).status_code == (200 if works else 401)
        assert (await client.get(ROWS, headers=basic())).status_code == (200 if works else 401)
    async with world.client(level) as client:
        answer = await client.get("/customer")
    assert answer.status_code == (200 if works else 401)
    if not works:
        assert answer.json()["error"]["message"] == "Please login"


async def test_a_person_may_be_bound_to_networks(world: World) -> None:
    employee = await hired(world, ipRestriction="192.0.2.0/24, 2001:db8::/32,198.51.100.7")
    machine = (await service_token(world, employee))["token"]
    behind = world.but(trusted_proxies=PROXIES)
    async with behind.client(None) as client:
        near = {"X-Forwarded-For": "192.0.2.9"}
        person = (await client.post("/auth/login", json=LOGIN, headers=near)).json()["token"]
        for source, allowed in (
            ("192.0.2.9", True),
            ("::ffff:192.0.2.9", True),
            ("2001:db8::5", True),
            ("198.51.100.7", True),
            ("198.51.100.8", False),
            ("2001:db9::5", False),
        ):
            place = {"X-Forwarded-For": source}
            answers = [
                await client.post("/auth/login", json=LOGIN, headers=place),
                await client.get(PHONES, headers=place | {"Authorization": f"Bearer {person}"}),
                await client.get(PHONES, headers=place | {"Authorization": f"Bearer {machine}"}),
                await client.get(PHONES, headers=place, params={"token": person}),
            ]
            rows = await client.get(ROWS, headers=place | basic())
            assert [answer.status_code for answer in [*answers, rows]] == [200 if allowed else 401] * 5
            if not allowed:
                errors = [answer.json()["error"] for answer in answers]
                assert {(error["code"], error["message"]) for error in errors} == {
                    ("invalid_token", "IP address not authenticated")
                }
        wrong = await client.post("/auth/login", json=LOGIN | {"password": "wrong password"})
    assert code_of(wrong) == (401, "credentials_invalid"), "strangers learn nothing of the restriction"


LOGIN = {"username": EMAIL, "password": PASSWORD}


async def test_a_token_can_be_checked_by_other_services(world: World) -> None:
    employee = await hired(world)
    async with world.client(None) as client:
        token = (await log_in(client)).json()["token"]
        endless = (await log_in(client, persist=1)).json()["token"]
        by_header = await client.get("/auth/validateToken", headers={"Authorization": f"Bearer {token}"})
        by_query = await client.get("/auth/validatetoken", params={"token": token})
        without_end = (await client.get("/auth/validateToken", params={"token": endless})).json()
        simple = await client.get("/auth/validateToken", params={"token": token, "simple": "true"})
        refused = [
            await client.get("/auth/validateToken", params={"simple": "1", **more})
            for more in ({}, {"token": "x"}, {"token": token[:-2]}, {"token": token, "ip": "x"})
        ]
        unknown = await client.get("/auth/validateToken", params={"token": "x"})
        nobody = await client.get("/auth/validateToken", params={"token": world.token(AccessLevel.ADMIN)})
    expiry = by_query.json()["expiresAt"]
    assert by_header.json() == by_query.json()
    assert without_end == {
        "success": True,
        "employee": employee,
        "customer": world.ids["acme"],
        "accessLevel": "MANAGER",
    }
    assert by_query.json() == without_end | {"expiresAt": expiry}
    assert abs(jwt.decode(token, JWT_SECRET, algorithms=["HS256"])["exp"] - time.time() - 900) < 10
    assert (simple.status_code, simple.content) == (200, b"")
    assert [(answer.status_code, answer.content) for answer in refused] == [(403, b"")] * 4
    assert code_of(unknown) == (401, "invalid_token")
    assert (nobody.json()["employee"], nobody.json()["accessLevel"]) == (None, "ADMIN")


async def test_a_service_passes_the_address_of_its_user_on(world: World) -> None:
    employee = await hired(world, ipRestriction="192.0.2.0/24")
    machine = (await service_token(world, employee))["token"]
    async with world.client(None) as client:
        answers = {
            ip: await client.get("/auth/validateToken", params={"token": machine, "ip": ip})
            for ip in ("192.0.2.9", "192.0.3.9", "rubbish", "")
        }
    assert answers["192.0.2.9"].json()["employee"] == employee
    assert "expiresAt" not in answers["192.0.2.9"].json()
    assert code_of(answers["192.0.3.9"]) == (401, "invalid_token")
    assert code_of(answers["rubbish"]) == (422, "ip")
    assert code_of(answers[""]) == (401, "invalid_token"), "the service's own address is none of those"


@pytest.mark.parametrize("header", [row[1] for row in BAD_TOKENS], ids=[row[0] for row in BAD_TOKENS])
async def test_the_row_dialect_refuses_a_bad_token_in_its_own_words(world: World, header: str) -> None:
    async with world.client(None) as client:
        answer = await client.get(ROWS, headers={"Authorization": header})
    assert (answer.status_code, answer.text) == (401, '"auth required"\n')


RUBBISH = [
    b"Basic",
    b"Basic !!!!",
    b"Basic Og==",
    b"Basic " + base64.b64encode(b"no colon"),
    b"Basic " + base64.b64encode(b"\xff\xfe:\xff"),
    b"Basic " + base64.b64encode(b"a\0@b:c\0"),
    b"Basic " + base64.b64encode(b"a@b:" + b"x" * 2_000),
    b"Basic " + b"A" * 60_000,
    b"Basic dTpw=",
    b"Basic \xff\xff\xff",
    b"ApiKey",
    b"ApiKey x",
    b"ApiKey " + b"a" * 48,
    b"ApiKey " + b"a" * 60_000,
    b"ApiKey \xc3\xa6",
    b"Bearer \xff\xfe",
    b"Bearer " + b"b" * 48,
    b"Bearer " + b"." * 60_000,
    b"\xff",
    b"Digest username=x",
    b" ",
    b"\t",
]


@pytest.mark.parametrize("header", RUBBISH, ids=[repr(header[:24]) for header in RUBBISH])
async def test_no_header_breaks_anything(world: World, header: bytes) -> None:
    async with world.client(None) as client:
        answers = [
            await client.get(path, headers={b"Authorization": header})
            for path in (ROWS, PHONES, "/auth/validateToken")
        ]
    assert [answer.status_code for answer in answers] == [401] * 3, [answer.text for answer in answers]


async def test_only_what_dies_with_its_person_may_be_without_an_end(world: World) -> None:
    def endless(employee: str | None, version: int | None) -> str:
        return issue_token(JWT_SECRET, AccessLevel.VIEWER, None, employee, None, version)

    tokens = {
        "with both": endless(world.ids["anna"], 1),
        "of no version": endless(world.ids["anna"], None),
        "of nobody": endless(None, 1),
        "of another": endless(NOBODY, 1),
    }
    async with world.client(None) as client:
        answers = {
            name: (await client.get(PHONES, headers={"Authorization": f"Bearer {token}"})).status_code
            for name, token in tokens.items()
        }
    assert answers == {"with both": 200, "of no version": 401, "of nobody": 401, "of another": 401}


# The budget of wrong passwords, and whose turn it is


LONG: Final = "x" * (MAX_PASSWORD + 1)
"""Wrong, and no work: nobody hashes it."""


def wrongs(
    client: httpx.AsyncClient, emails: Iterable[str], password: str = LONG
) -> list[Awaitable[httpx.Response]]:
    return [log_in(client, username=email, password=password) for email in emails]


def counts(answers: Iterable[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_ten_wrong_passwords_for_a_login_and_no_more(world: World) -> None:
    await hired(world)
    behind = world.but(trusted_proxies=PROXIES)
    async with behind.client(None) as client:
        for _ in range(10):
            answer = await log_in(client, password=f"{LONG}{_}")
            assert code_of(answer) == (401, "credentials_invalid")
        held = await log_in(client)
        assert code_of(held) == (429, "too_many")
        assert 0 < int(held.headers["Retry-After"]) <= 300
        rows = await client.get(ROWS, headers=basic())
        assert (rows.status_code, rows.text[:28]) == (429, '"Too many wrong passwords, p')
        other = await log_in(client, username="nobody@acme.test")
        assert other.status_code == 401, "other logins go on"
        elsewhere = await client.post("/auth/login", json=LOGIN, headers={"X-Forwarded-For": "192.0.2.9"})
        assert elsewhere.status_code == 200


async def test_sixty_wrong_passwords_from_a_source_but_who_was_good_there_gets_in(world: World) -> None:
    await hired(world)
    await hired(world, emailAddress="bent@acme.test")
    async with world.client(None) as client:
        assert (await log_in(client)).status_code == 200
        answers = [
            await answer for answer in wrongs(client, (f"x{number}@acme.test" for number in range(62)))
        ]
        assert counts(answers) == {401: 60, 429: 2}
        assert (await log_in(client)).status_code == 200
        assert (await log_in(client, username="bent@acme.test")).status_code == 429
        for _ in range(10):
            assert (await log_in(client, password=f"{LONG}{_}")).status_code == 401
        assert (await log_in(client)).status_code == 429


@pytest.mark.soak  # it costs 14 s of CPU
@pytest.mark.parametrize("hash_cost", ["usual"])
async def test_a_hundred_and_fifty_wrong_logins_at_once_keep_no_honest_one_out(world: World) -> None:
    """One that was here before, from the same address, and one that is new, from another."""
    await hired(world)
    await hired(world, emailAddress="bent@acme.test")
    behind = world.but(trusted_proxies=PROXIES)
    async with behind.client(None) as client:
        assert (await log_in(client)).status_code == 200
        flood = asyncio.gather(*wrongs(client, (f"x{number}@acme.test" for number in range(150)), "wrong"))
        await asyncio.sleep(0)
        honest = await asyncio.gather(
            log_in(client),
            client.post(
                "/auth/login",
                json=LOGIN | {"username": "bent@acme.test"},
                headers={"X-Forwarded-For": "192.0.2.9"},
            ),
        )
        assert not flood.done(), "they did not wait for all the wrong ones"
        assert [answer.status_code for answer in honest] == [200, 200]
        assert counts(await flood) == {401: 60, 429: 90}


@pytest.mark.parametrize("hash_cost", ["usual"])
async def test_one_login_many_times_at_once_is_one_try(world: World) -> None:
    await hired(world)
    async with world.client(None) as client:
        right = await asyncio.gather(*[client.get(ROWS, headers=basic()) for _ in range(30)])
        wrong = await asyncio.gather(*[client.get(ROWS, headers=basic("wrong")) for _ in range(30)])
        assert counts(right) == {200: 30} and counts(wrong) == {401: 30}
        more = [(await log_in(client, password=f"{LONG}{number}")).status_code for number in range(10)]
        assert more == sorted(more) and set(more) == {401, 429}
        assert more.count(401) > 5, "the thirty were one try, or few if the machine could not ask all at once"


async def test_a_login_that_was_right_a_moment_ago_is_not_counted(world: World) -> None:
    await hired(world)
    async with world.client(None) as client:
        assert (await client.get(ROWS, headers=basic())).status_code == 200
        for number in range(11):
            await log_in(client, password=f"{LONG}{number}")
        assert (await log_in(client)).status_code == 429
        assert (await client.get(ROWS, headers=basic())).status_code == 200


async def test_while_redis_is_away_this_process_counts_by_itself(world: World, dead_redis: Redis) -> None:
    await hired(world)
    async with world.but(redis=dead_redis).client(None) as client:
        assert (await log_in(client)).status_code == 200
        answers = [await log_in(client, password=f"{LONG}{number}") for number in range(11)]
        assert counts(answers) == {401: 10, 429: 1}


async def test_a_password_that_nobody_looked_at_is_not_counted(world: World) -> None:
    await hired(world)
    away = connect("sqlite+aiosqlite:////nowhere/at/all.db")
    async with world.but(read_engine=away).client(None) as client:
        answers = [await log_in(client, password=f"{LONG}{number}") for number in range(11)]
    await away.dispose()
    assert counts(answers) == {503: 11}
    async with world.client(None) as client:
        assert (await log_in(client)).status_code == 200


async def test_a_wrong_password_leaves_a_line_and_a_count(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    employee = await hired(world)
    async with world.client(None) as client:
        agent = {"User-Agent": "curl/8 [/x]"}
        for number in range(3):
            wrong = LOGIN | {"password": f"{LONG}{number}"}
            assert (await client.post("/auth/login", json=wrong, headers=agent)).status_code == 401
    lines = [record for record in caplog.records if record.getMessage() == "wrong password"]
    assert [vars(line)["account"] for line in lines] == [EMAIL] * 3
    assert {(vars(line)["transport"], vars(line)["userAgent"], vars(line)["reason"]) for line in lines} == {
        ("http", "curl/8 [/x]", "wrong-password")
    }
    told = await world.redis.hgetall(f"registrar:login:{{{employee}}}")
    assert (told["wrongPasswords"], told["lastRejectedReason"]) == ("3", "wrong-password")
    assert await world.redis.xlen(f"registrar:login-journal:{{{employee}}}") == 1
    assert not await world.redis.exists("registrar:events"), "that stream is about phones"


async def test_a_weak_password_is_noted_when_it_is_seen(world: World) -> None:
    """One from before there was a rule; only a hash is stored."""
    employee = await hired(world)
    hashed = await Passwords().hashed("password1")
    statement = "UPDATE employee SET password_hash = :hash WHERE oid = :oid"
    async with world.engine.begin() as connection:
        await connection.execute(text(statement), {"hash": hashed, "oid": employee})
    async with world.client(None) as client:
        assert (await log_in(client, password="password1")).status_code == 200, "it goes on"
    async with asyncio.timeout(60):
        while await world.redis.zrange("registrar:weak-passwords", 0, -1) != [employee]:
            await asyncio.sleep(0.02)
    async with world.client(AccessLevel.ADMIN) as admin:
        changed = await admin.post(f"/employee/{employee}", json={"password": "password1"})
        assert code_of(changed) == (422, "password"), "and cannot be set again"
        assert (await admin.post(f"/employee/{employee}", json={"password": PASSWORD})).status_code == 200
    async with world.client(None) as client:
        assert (await log_in(client)).status_code == 200
    async with asyncio.timeout(60):
        while await world.redis.exists("registrar:weak-passwords"):
            await asyncio.sleep(0.02)
