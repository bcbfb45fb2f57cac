"""Who may call what: levels, tenants, tokens."""

import base64
import json
import re
import time
from typing import Any

import httpx
import jwt
import pytest
from fastapi.routing import iter_route_contexts

from config import board, clock
from config.access import DOMAINS, RULES, AccessLevel, Scope, allowed_methods
from config.auth import MAX_TOKEN_LENGTH, issue_token
from registrar.model import Epoch
from tests.config.world import JWT_SECRET, MODEL, NOBODY, World
from tests.every import every

PRIVATE = sorted(route for route, rule in RULES.items() if rule.scope is not Scope.PUBLIC)
PUBLIC = sorted(route for route, rule in RULES.items() if rule.scope is Scope.PUBLIC)


PLACE = re.compile(r"{\w+}")
PHONES = [route for route in PRIVATE if route[1].startswith("/pbx/sipphone/{id}")]


def path_for(template: str, oid: str) -> str:
    return PLACE.sub(oid, template)


def is_refusal(answer: httpx.Response, path: str, code: str, words: str) -> bool:
    """Whether a dialect says `no` in its own way: by a code, or by words that clients compare with."""
    if path.startswith(DOMAINS):
        return answer.text.startswith(f'"{words}')
    return bool(answer.json()["error"]["code"] == code)


async def test_the_table_names_every_route_and_no_other(world: World) -> None:
    routes = {
        (method, str(context.path))
        for context in iter_route_contexts(world.app().routes)
        for method in context.methods or ()
        if method != "HEAD"
    }
    assert routes == set(RULES)


def test_a_path_knows_its_methods() -> None:
    assert allowed_methods("/pbx/sipphone/x/resetcredentials") == ("GET", "POST")
    assert allowed_methods("/nothing") == ()


@pytest.mark.parametrize("level", AccessLevel, ids=lambda level: level.name)
async def test_a_route_opens_from_its_level_on(world: World, level: AccessLevel) -> None:
    """What it then does is the matter of its own tests, and of the access matrix."""
    async with world.client(level, person="anna") as client:
        for method, template in PRIVATE:
            path = path_for(template, NOBODY)
            answer = await client.request(method, path, json={})
            denied = answer.status_code == 403
            assert denied is (level < RULES[method, template].level), (method, path, answer.text)
            assert not denied or is_refusal(answer, path, "access_denied", "access denied")


async def test_without_a_token_nothing_is_told(world: World) -> None:
    async with world.client(None) as client:
        for method, template in PRIVATE:
            path = path_for(template, NOBODY)
            answer = await client.request(method, path, content=b"{")
            assert answer.status_code == 401, (method, path)
            assert is_refusal(answer, path, "credentials_invalid", "auth required"), answer.text
            scheme = "Basic" if path.startswith(DOMAINS) else "Bearer"
            assert answer.headers["www-authenticate"].startswith(scheme)


@pytest.mark.parametrize("route", PUBLIC, ids=" ".join)
async def test_a_public_route_needs_no_token(world: World, route: tuple[str, str]) -> None:
    of_a_page = route[1] == "/" or route[1].startswith(("/board", "/phone"))
    expected = 503 if of_a_page and not board.PAGE.is_built else 200
    if route[1].startswith("/auth/"):
        expected = 400  # they read the body, and there is none
    async with world.client(None) as client:
        assert (await client.request(*route)).status_code == expected


@pytest.mark.parametrize("route", PHONES, ids=" ".join)
async def test_foreign_unknown_and_malformed_ids_are_the_same(world: World, route: tuple[str, str]) -> None:
    method, template = route
    phone = await world.create(customer=world.ids["rival"])
    answers = []
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        for oid in (phone["_id"], NOBODY, "webrtc%00", "x", "1 OR 1=1"):
            answer = await client.request(method, path_for(template, oid), json={"notes": "x"})
            answers.append((answer.status_code, answer.json()))
    assert (
        answers
        == [(404, {"error": {"code": "not_found", "status": 404, "message": "SIP phone not found"}})] * 5
    )
    assert await world.rows("SELECT notes, secret_version FROM sip_phone") == [(None, 1)]


@pytest.mark.parametrize(
    ("level", "own", "seen"),
    [
        (AccessLevel.VIEWER, "acme", {"acme"}),
        (AccessLevel.OWNER, "acme", {"acme"}),
        (AccessLevel.OWNER, "reseller", {"reseller"}),
        (AccessLevel.RESELLER, "reseller", {"reseller", "acme", "below"}),
        (AccessLevel.RESELLER, "acme", {"acme", "below"}),
        (AccessLevel.RESELLER_ADMIN, "acme", {"reseller", "acme", "below", "rival"}),
        (AccessLevel.ADMIN, None, {"reseller", "acme", "below", "rival"}),
        (AccessLevel.OWNER, None, set()),
    ],
)
async def test_a_level_sees_its_customers(
    world: World, level: AccessLevel, own: str | None, seen: set[str]
) -> None:
    names = ("reseller", "acme", "below", "rival")
    phones = {name: await world.create(customer=world.ids[name]) for name in names}
    async with world.client(level, own) as client:
        got = {
            name
            for name, phone in phones.items()
            if (await client.get(f"/pbx/sipphone/{phone['_id']}")).status_code == 200
        }
        listed = {
            name
            for name in names
            if (await client.get("/pbx/sipphone", params={"customer": world.ids[name]})).status_code == 200
        }
    assert got == listed == seen


async def test_a_circle_of_parents_ends(world: World) -> None:
    below = "(SELECT id FROM customer WHERE name = 'Below')"
    await world.execute(f"UPDATE customer SET parent_customer_id = {below} WHERE name = 'Reseller'")
    async with world.client(AccessLevel.RESELLER, "acme") as client:
        assert (
            await client.get("/pbx/sipphone", params={"customer": world.ids["reseller"]})
        ).status_code == 200


@pytest.mark.parametrize("customer", ["rival", None], ids=["foreign", "unknown"])
async def test_a_foreign_customer_is_denied_like_an_unknown_one(world: World, customer: str | None) -> None:
    wanted = world.ids[customer] if customer else NOBODY
    async with world.client(AccessLevel.OWNER) as client:
        listed = await client.get("/pbx/sipphone", params={"customer": wanted})
        body = {"sipPhoneModel": MODEL["generic"], "customer": wanted}
        created = await client.post("/pbx/sipphone", json=body)
    for answer in (listed, created):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "access_denied")


@pytest.mark.parametrize("customer", ["blocked", None], ids=["blocked", "unknown"])
async def test_who_sees_all_is_told_that_a_customer_is_not_there(world: World, customer: str | None) -> None:
    wanted = world.ids[customer] if customer else NOBODY
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.get("/pbx/sipphone", params={"customer": wanted})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "customer")


def token(secret: str = JWT_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    now = int(time.time())
    claims = {"lvl": "ADMIN", "iat": now, "exp": now + 86_400} | changes
    claims = {name: value for name, value in claims.items() if value != "absent"}
    return jwt.encode(claims, secret, algorithm=algorithm)


def raw(header: object, payload: object) -> str:
    """A token that is not signed at all."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, payload)
    ]
    return ".".join([*parts, ""])


DEEP = base64.urlsafe_b64encode(b"[" * 2_900).decode().rstrip("=")
BAD_TOKENS = [
    ("no scheme", "abc", "format_error"),
    ("another scheme", "Basic dTpw", "format_error"),
    ("no token", "Bearer", "format_error"),
    ("only blanks", "Bearer  ", "format_error"),
    ("two words", f"Bearer {token()} x", "format_error"),
    ("rubbish", "Bearer rubbish", "invalid_token"),
    ("three parts of rubbish", "Bearer a.b.c", "invalid_token"),
    ("another secret", f"Bearer {token('x' * 40)}", "invalid_token"),
    ("another algorithm", f"Bearer {token(JWT_SECRET * 2, 'HS512')}", "invalid_token"),
    ("the right secret, another algorithm", f"Bearer {token(JWT_SECRET * 2, 'HS384')}", "invalid_token"),
    (
        "no signature",
        "Bearer " + raw({"alg": "none"}, {"lvl": "ADMIN", "exp": 9e9, "iat": 1}),
        "invalid_token",
    ),
    ("cut off", f"Bearer {token()[:-3]}", "invalid_token"),
    ("expired", f"Bearer {token(exp=int(time.time()) - 31)}", "expired"),
    ("no expiry", f"Bearer {token(exp='absent')}", "invalid_token"),
    ("no issue time", f"Bearer {token(iat='absent')}", "invalid_token"),
    ("issued tomorrow", f"Bearer {token(iat=int(time.time()) + 86_400)}", "invalid_token"),
    ("endless", f"Bearer {token(exp=float('inf'))}", "invalid_token"),
    ("expiry a word", f"Bearer {token(exp='never')}", "invalid_token"),
    ("no level", f"Bearer {token(lvl='absent')}", "invalid_token"),
    ("unknown level", f"Bearer {token(lvl='GOD')}", "invalid_token"),
    ("level a number", f"Bearer {token(lvl=7)}", "invalid_token"),
    ("for another audience", f"Bearer {token(aud='others')}", "invalid_token"),
    ("unknown person", f"Bearer {token(sub=NOBODY)}", "invalid_token"),
    ("person a number", f"Bearer {token(sub=7)}", "invalid_token"),
    ("customer a list", f"Bearer {token(cus=[NOBODY])}", "invalid_token"),
    ("version a word", f"Bearer {token(ver='1')}", "invalid_token"),
    ("too long", "Bearer " + "a" * (MAX_TOKEN_LENGTH + 1), "invalid_token"),
    ("a header too deep", f"Bearer {DEEP}.e30.", "invalid_token"),
]


@every(("header", "code"), [row[1:] for row in BAD_TOKENS], ids=[row[0] for row in BAD_TOKENS])
async def test_a_bad_token_is_refused(world: World, header: str, code: str) -> None:
    async with world.client(None) as client:
        answer = await client.get("/pbx/sipphone", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert answer.json()["error"]["status"] == 401


async def test_tokens_are_judged_by_the_clock_of_all_nodes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by that of the machine, which may be wrong."""
    header = {"Authorization": f"Bearer {token()}"}
    async with world.client(None) as client:
        for hours, status in ((0, 200), (-1, 401), (25, 401)):
            monkeypatch.setattr(clock, "epoch_now", lambda late=hours: Epoch(time.time() + 3_600 * late))
            assert (await client.get("/pbx/sipphone", headers=header)).status_code == status


async def test_a_token_may_be_thirty_seconds_over(world: World) -> None:
    async with world.client(None) as client:
        header = {"Authorization": f"bearer {token(exp=int(time.time()) - 20)}"}
        assert (await client.get("/pbx/sipphone", headers=header)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE employee SET version = version + 1",
        "UPDATE employee SET state = 'BLOCKED'",
        "UPDATE employee SET customer_id = (SELECT id FROM customer WHERE name = 'Rival')",
    ],
)
async def test_a_token_dies_with_its_person(world: World, change: str) -> None:
    issued = issue_token(
        JWT_SECRET, AccessLevel.VIEWER, world.ids["acme"], world.ids["anna"], employee_version=1
    )
    headers = {"Authorization": f"Bearer {issued}"}
    async with world.client(None) as client:
        assert (await client.get("/pbx/sipphone", headers=headers)).status_code == 200
        await world.execute(change)
        answer = await client.get("/pbx/sipphone", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")


async def test_a_token_in_the_query_reads_but_never_resets(world: World) -> None:
    phone = await world.create()
    params = {"token": world.token(AccessLevel.ADMIN)}
    async with world.client(None) as client:
        assert (await client.get(f"/pbx/sipphone/{phone['_id']}", params=params)).status_code == 200
        answer = await client.get(f"/pbx/sipphone/{phone['_id']}/resetcredentials", params=params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "credentials_invalid")


@pytest.mark.parametrize("level", [AccessLevel.OWNER, AccessLevel.RESELLER])
async def test_purchases_are_shown_from_reseller_on(world: World, level: AccessLevel) -> None:
    phone = await world.create(purchaseInfo={"orderId": "7"})
    async with world.client(level) as client:
        answer = (await client.get(f"/pbx/sipphone/{phone['_id']}")).json()
    assert ("purchaseInfo" in answer) is (level >= AccessLevel.RESELLER)


@pytest.mark.parametrize("level", [AccessLevel.MANAGER, AccessLevel.OWNER])
async def test_passwords_are_shown_from_their_level_on(world: World, level: AccessLevel) -> None:
    phone = await world.create()
    strict = world.but(secrets_level=AccessLevel.OWNER)
    async with strict.client(level) as client:
        answers = [
            (await client.get(f"/pbx/sipphone/{phone['_id']}")).json(),
            (await client.post(f"/pbx/sipphone/{phone['_id']}/resetcredentials")).json(),
            (await client.get("/pbx/sipphone?full=true")).json()["sipPhones"][0],
            (await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]})).json(),
        ]
    assert ["password" in answer for answer in answers] == [level >= AccessLevel.OWNER] * 4
    assert all(re.fullmatch("[a-z0-9]{32}", answer["username"]) for answer in answers)
