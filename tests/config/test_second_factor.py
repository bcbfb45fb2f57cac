"""The second factor of logins: set up, asked for, used once, guessed, lost; and the sessions of logins."""

from typing import Any

import httpx
import pyotp
import pytest
from httpx import Response
from sqlalchemy.ext.asyncio import AsyncSession

from config import clock
from config.access import AccessLevel
from config.audit.notes import Notes
from config.operations.people import find_login
from config.operations.second_factor import CODES, MAX_MISSES, STEP_SECONDS, begin
from registrar.model import Epoch
from tests.config.test_logins import EMAIL, PASSWORD, PHONES, PROXIES, ROWS, basic, code_of, hired, log_in
from tests.config.world import World

Json = dict[str, Any]
LOGIN = {"username": EMAIL, "password": PASSWORD}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which codes are judged; it moves only if a test moves it."""
    moment = [float(clock.epoch_now())]
    monkeypatch.setattr(clock, "epoch_now", lambda: Epoch(moment[0]))
    return moment


def code(secret: str, at: list[float], steps: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(int(at[0]) // STEP_SECONDS + steps)


async def armed(client: httpx.AsyncClient, at: list[float]) -> tuple[str, list[str]]:
    """A confirmed authenticator and its recovery codes; the time has moved on to the next code."""
    begun = await client.post("/auth/totp", json=LOGIN)
    assert begun.status_code == 200, begun.text
    secret = begun.json()["secret"]
    assert f"secret={secret}" in begun.json()["uri"]
    done = await client.post("/auth/totp/confirm", json=LOGIN | {"code": code(secret, at)})
    assert done.status_code == 200, done.text
    at[0] += STEP_SECONDS
    codes: list[str] = done.json()["recoveryCodes"]
    return secret, codes


async def shown(client: httpx.AsyncClient, token: str) -> int:
    answer = await client.get(PHONES, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def test_a_code_is_asked_for_and_good_once(world: World, at: list[float]) -> None:
    await hired(world)
    async with world.client(None) as client:
        before = (await log_in(client)).json()["token"]
        secret, codes = await armed(client, at)
        assert await shown(client, before) == 401, "tokens that were given without a code are void"
        assert code_of(await log_in(client)) == (401, "totp_required")
        right = code(secret, at)
        assert code_of(await log_in(client, code=code(secret, at, 5))) == (401, "totp_invalid")
        entered = await log_in(client, code=f" {right[:3]} {right[3:]} ")
        assert await shown(client, entered.json()["token"]) == 200
        assert code_of(await log_in(client, code=right)) == (401, "totp_invalid"), "a replay"
        assert code_of(await log_in(client, code=code(secret, at, -1))) == (401, "totp_invalid"), (
            "an older one"
        )
        assert (await log_in(client, code=code(secret, at, 1))).status_code == 200, "a clock may be 30 s off"
        assert code_of(await log_in(client, password="wrong", code=code(secret, at, 2))) == (
            401,
            "credentials_invalid",
        )
    assert len(set(codes)) == CODES


async def test_an_authenticator_that_was_confirmed_meanwhile_is_not_replaced(
    world: World, at: list[float]
) -> None:
    await hired(world)
    async with world.read_engine.connect() as connection:
        before = await find_login(connection, EMAIL)
    assert before is not None and not before.has_totp
    async with world.client(None) as client:
        secret, _ = await armed(client, at)
        async with AsyncSession(world.engine) as session, session.begin():
            assert await begin(session, world.vault, before) is None
        assert code_of(await log_in(client)) == (401, "totp_required")
        assert (await log_in(client, code=code(secret, at))).status_code == 200
        assert code_of(await client.post("/auth/totp", json=LOGIN | {"code": code(secret, at, 1)})) == (
            409,
            "totp",
        )


async def test_a_recovery_code_is_good_once(world: World, at: list[float]) -> None:
    await hired(world)
    async with world.client(None) as client:
        secret, (first, second, *_) = await armed(client, at)
        assert (await log_in(client, code=first.upper())).status_code == 200
        assert code_of(await log_in(client, code=first)) == (401, "totp_invalid")
        assert (await log_in(client, code=second.replace("-", " "))).status_code == 200
        renewed = await client.post("/auth/totp/codes", json=LOGIN | {"code": code(secret, at)})
        assert code_of(await log_in(client, code=second)) == (401, "totp_invalid")
        assert (await log_in(client, code=renewed.json()["recoveryCodes"][0])).status_code == 200
    stored = await world.rows("SELECT code_sha256 FROM recovery_code")
    assert not {first, second} & {row[0] for row in stored}


async def test_the_secret_is_sealed(world: World, at: list[float]) -> None:
    await hired(world)
    async with world.client(None) as client:
        secret, _ = await armed(client, at)
    ((sealed,),) = await world.rows("SELECT secret_enc FROM employee_totp")
    assert secret not in sealed and sealed.startswith("v1:")
    assert secret not in str(await world.rows("SELECT changes FROM audit_log"))


async def test_wrong_codes_hold_a_person_whatever_their_source(world: World, at: list[float]) -> None:
    """The budget of a source is 10: each code comes from another one."""
    await hired(world)
    proxied = world.but(trusted_proxies=PROXIES)
    async with proxied.client(None) as client:
        secret, _ = await armed(client, at)
        for place in range(MAX_MISSES):
            answer = await _from(client, f"198.51.100.{place}", code(secret, at, 7))
            assert code_of(answer) == (401, "totp_invalid")
        held = await _from(client, "198.51.100.99", code(secret, at))
        assert (held.status_code, int(held.headers["Retry-After"]) > 600) == (429, True)
        await world.execute("UPDATE employee_totp SET held_until = NULL")
        assert (await _from(client, "198.51.100.99", code(secret, at))).status_code == 200


async def test_codes_share_the_budget_of_wrong_passwords(world: World, at: list[float]) -> None:
    await hired(world)
    async with world.client(None) as client:
        secret, _ = await armed(client, at)
        answers = [(await log_in(client, code=code(secret, at, 9))).status_code for _ in range(11)]
        assert answers[0] == 401 and answers[-1] == 429


async def test_a_customer_can_require_it(world: World, at: list[float]) -> None:
    await hired(world)
    async with world.client(AccessLevel.ADMIN) as admin:
        change = await admin.patch(f"/customer/{world.ids['acme']}", json={"totpRequired": True})
        assert change.json()["totpRequired"] is True
    async with world.client(None) as client:
        assert code_of(await log_in(client)) == (403, "totp_setup_required")
        assert (await client.get(ROWS, headers=basic())).status_code == 401
        secret, _ = await armed(client, at)
        assert (await log_in(client, code=code(secret, at))).status_code == 200
        off = await client.post("/auth/totp/off", json=LOGIN | {"code": code(secret, at, 1)})
        assert code_of(off) == (409, "totpRequired")


async def test_it_can_be_removed_by_its_owner_and_by_a_manager(world: World, at: list[float]) -> None:
    employee = await hired(world)
    async with world.client(None) as client, world.client(AccessLevel.MANAGER) as manager:
        secret, _ = await armed(client, at)
        assert code_of(await client.post("/auth/totp", json=LOGIN)) == (401, "totp_required")
        again = await client.post("/auth/totp", json=LOGIN | {"code": code(secret, at)})
        assert code_of(again) == (409, "totp")
        off = await client.post("/auth/totp/off", json=LOGIN | {"code": code(secret, at)})
        assert off.json() == {"success": True}, "the code of the refused request was not used up"
        assert (await log_in(client)).status_code == 200
        assert code_of(await client.post("/auth/totp/codes", json=LOGIN)) == (409, "totp")
        await armed(client, at)
        assert (await manager.delete(f"/employee/{employee}/totp")).json() == {"success": True}
        assert code_of(await manager.delete(f"/employee/{employee}/totp")) == (409, "totp")
        entered: Response = await log_in(client)
    assert entered.status_code == 200
    told = await world.rows("SELECT action FROM audit_log WHERE row_oid = :oid ORDER BY id", oid=employee)
    assert [one for (one,) in told if one.startswith("totp")] == [
        "totp-on",
        "totp-off",
        "totp-on",
        "totp-reset",
    ]


async def test_sessions_are_listed_and_ended(world: World) -> None:
    employee = await hired(world)
    async with world.client(None) as client, world.client(AccessLevel.MANAGER) as manager:
        first, second, third = [(await log_in(client)).json() for _ in range(3)]
        mine = {"Authorization": f"Bearer {first['token']}"}
        listed = (await client.get("/auth/session", headers=mine)).json()
        assert [(one["_id"], one["current"]) for one in listed] == [
            (third["session"], False),
            (second["session"], False),
            (first["session"], True),
        ]
        assert (await client.delete(f"/auth/session/{second['session']}", headers=mine)).status_code == 200
        assert [await shown(client, one["token"]) for one in (first, second, third)] == [200, 401, 200]
        assert (await client.delete(f"/auth/session/{second['session']}", headers=mine)).status_code == 404
        assert (await client.delete("/auth/session/current", headers=mine)).status_code == 200
        assert await shown(client, first["token"]) == 401
        assert [one["_id"] for one in (await manager.get(f"/employee/{employee}/session")).json()] == [
            third["session"]
        ]
        assert (await manager.delete(f"/employee/{employee}/session")).status_code == 200
        assert await shown(client, third["token"]) == 401
    assert await world.rows("SELECT id FROM login_session WHERE ended_at IS NULL") == []


async def test_another_person_s_session_is_not_there(world: World) -> None:
    await hired(world)
    async with world.client(None) as client, world.client(AccessLevel.MANAGER, person="anna") as anna:
        entered = (await log_in(client)).json()
        assert (await anna.delete(f"/auth/session/{entered['session']}")).status_code == 404
        assert (await anna.delete("/auth/session/current")).status_code == 404
        assert (await anna.get("/auth/session")).json() == []
        assert await shown(client, entered["token"]) == 200


async def test_logins_are_in_the_audit_log_and_failed_ones_are_counted(world: World) -> None:
    employee = await hired(world)
    app = world.app()
    notes: Notes = app.state.parts.notes
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://api.test", headers={"User-Agent": "test"}
    ) as client:
        for _ in range(3):
            assert (await log_in(client, password="wrong horse")).status_code == 401
        entered = (await log_in(client)).json()
        assert await notes.write(world.engine, all=True) == 1
    async with world.client(AccessLevel.OWNER) as owner:
        rows = (await owner.get("/audit", params={"object": employee})).json()["rows"]
    failed, login, _ = rows
    assert (failed["action"], failed["after"], failed["name"]) == (
        "login-failed",
        {"count": 3, "reason": "wrong-password"},
        EMAIL,
    )
    assert (login["action"], login["via"], login["after"]) == (
        "login",
        f"session:{entered['session']}",
        {"factor": "password"},
    )


async def _from(client: httpx.AsyncClient, address: str, code: str) -> Response:
    body = LOGIN | {"code": code}
    return await client.post("/auth/login", json=body, headers={"X-Forwarded-For": address})
