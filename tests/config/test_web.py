"""Bodies, paths, methods, headers and faults: what surrounds every route."""

import logging
from collections.abc import AsyncIterator
from ipaddress import ip_network

import httpx
import pytest
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from config.access import AccessLevel
from config.web import MAX_BODY
from registrar.store.database import connect
from tests.config.world import MODEL, World
from tests.every import every

BODIES = [
    ("nothing", b""),
    ("no JSON", b"{bare: 1}"),
    ("an array", b"[]"),
    ("a text", b'"x"'),
    ("half", b'{"a":'),
    ("not a number", b'{"a": NaN}'),
    ("endless", b'{"a": Infinity}'),
    ("not UTF-8", b'{"a": "\xff"}'),
    ("too deep for us", b'{"a":' + b"[" * 25 + b"]" * 25 + b"}"),
    ("too deep for anybody", b"[" * 60_000),
    ("a number of 5000 digits", b'{"a": ' + b"9" * 5_000 + b"}"),
]


@every("body", [row[1] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_a_body_that_is_no_object_is_refused(world: World, body: bytes) -> None:
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_a_body_that_is_too_long_is_refused(world: World, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1_024 + 1):
            yield b" " * 1_024

    content = chunks() if chunked else b" " * (MAX_BODY + 1)
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_the_longest_body_is_read(world: World) -> None:
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", content=b"{}" + b" " * (MAX_BODY - 2))
    assert answer.json()["error"]["code"] == "sipPhoneModel"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/pbx/unknown", 404, "not_found"),
        ("GET", "/pbx/sipphone/x/unknown", 404, "not_found"),
        ("PUT", "/pbx/sipphone", 405, "method_not_allowed"),
        ("POST", "/health/live", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_answers_in_the_envelope(
    world: World, method: str, path: str, status: int, code: str
) -> None:
    async with world.client() as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["status"] == status


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/pbx/sipphone", "GET, POST, HEAD"),
        ("/pbx/sipphone/x", "GET, POST, PUT, PATCH, DELETE, HEAD"),
        ("/pbx/sipphone/x/resetcredentials", "GET, POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(world: World, path: str, allowed: str) -> None:
    async with world.client() as client:
        answer = await client.request("OPTIONS", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_head_request_resets_nothing(world: World) -> None:
    phone = await world.create()
    async with world.client() as client:
        await client.head(f"/pbx/sipphone/{phone['_id']}/resetcredentials")
    assert await world.rows("SELECT username FROM sip_phone") == [(phone["username"],)]


async def test_paths_may_be_spelled_in_any_case_and_end_with_a_slash(world: World) -> None:
    phone = await world.create()
    async with world.client() as client:
        for path in ("/pbx/SipPhone/", f"/PBX/sipPhone/{phone['_id'].upper()}"):
            assert (await client.get(path)).status_code == 200
        answer = await client.post(f"/pbx/sipPhone/{phone['_id']}/resetCredentials/")
    assert answer.status_code == 200


async def test_no_cache_keeps_an_answer_with_credentials(world: World) -> None:
    async with world.client() as client:
        for path in ("/pbx/sipphone", "/pbx/sipphone/x", "/health/live"):
            answer = await client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers.get("cache-control") == ("no-store" if "pbx" in path else None)


async def test_another_origin_may_call_when_it_is_listed(world: World) -> None:
    asked = {"Origin": "https://app.test", "Access-Control-Request-Method": "POST"}
    asked |= {"Access-Control-Request-Headers": "authorization,content-type"}
    async with world.but(cors_origins=("https://app.test",)).client(None) as client:
        allowed = await client.options("/pbx/sipphone/webrtc", headers=asked)
        refused = await client.get("/pbx/sipphone", headers={"Origin": "https://app.test"})
        stranger = await client.get("/health/live", headers={"Origin": "https://evil.test"})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.test"
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (401, True)
    assert "access-control-allow-origin" not in stranger.headers


async def test_without_a_list_no_other_origin_may_call(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/pbx/sipphone", headers={"Origin": "https://app.test"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health/live", "/pbx/sipphone", "/config/v2/sip/domains", "/docs"])
async def test_a_request_whose_source_cannot_be_told_is_refused(world: World, path: str) -> None:
    behind = world.but(trusted_proxies=(ip_network("127.0.0.0/8"),))
    unreadable = {"X-Forwarded-For": "unknown"}
    async with behind.client(None) as client, world.client(None) as unbelieved:
        assert (await client.get(path, headers=unreadable)).status_code == 400
        assert (await client.get(path, headers={"X-Forwarded-For": "198.51.100.1"})).status_code != 400
        assert (await unbelieved.get(path, headers=unreadable)).status_code != 400


async def test_a_database_that_is_away_answers_503(world: World) -> None:
    away = connect("sqlite+aiosqlite:////nowhere/at/all.db")
    async with world.but(engine=away, read_engine=away).client() as client:
        answers = [
            await client.get("/pbx/sipphone"),
            await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]}),
        ]
    await away.dispose()
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0


async def test_what_nobody_expected_tells_no_details_and_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.app()

    @app.get("/broken")
    async def broken() -> None:
        raise KeyError("the secret detail")

    with caplog.at_level(logging.ERROR):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api.test"
        ) as client:
            answer = await client.get("/broken")
    assert answer.json() == {"error": {"code": "internal_error", "status": 500, "message": "Internal error"}}
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (DBAPIError, 503, "unavailable"),
        (OperationalError, 503, "unavailable"),
        (InterfaceError, 503, "unavailable"),
        (InternalError, 503, "unavailable"),
        (IntegrityError, 500, "internal_error"),
        (DataError, 500, "internal_error"),
        (ProgrammingError, 500, "internal_error"),
    ],
)
async def test_only_faults_of_our_own_are_internal_errors(
    world: World, caplog: pytest.LogCaptureFixture, kind: type[DBAPIError], status: int, code: str
) -> None:
    app = world.app()

    @app.get("/failing")
    async def failing() -> None:
        raise kind("SELECT 1", {}, Exception("terminating connection due to administrator command"))

    transport = httpx.ASGITransport(app)
    with caplog.at_level(logging.ERROR):
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
            answer = await client.get("/failing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert len(caplog.records) == 1


async def test_a_password_that_cannot_be_opened_takes_no_other_phone_with_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    broken, whole = await world.create(), await world.create()
    await world.execute("UPDATE sip_phone SET password_enc = 'v1:AAAA' WHERE oid = :id", id=broken["_id"])
    with caplog.at_level(logging.ERROR):
        async with world.client() as client:
            answer = await client.get("/pbx/sipphone", params={"full": "true"})
    assert answer.status_code == 200
    passwords = {phone["_id"]: phone["password"] for phone in answer.json()["sipPhones"]}
    assert passwords == {broken["_id"]: None, whole["_id"]: whole["password"]}
    assert [broken["_id"] in record.getMessage() for record in caplog.records] == [True]


async def test_the_documentation_names_every_route(world: World) -> None:
    async with world.client(None) as client:
        document = (await client.get("/openapi.json")).json()
        page = await client.get("/docs")
    assert "/pbx/sipphone/{id}/resetcredentials" in document["paths"]
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert page.status_code == 200


async def test_readiness_and_metrics_are_handed_through(world: World) -> None:
    async with world.client(None) as client:
        ready = await client.get("/health/ready")
        metrics = await client.get("/metrics")
    assert ready.json() == {"ready": True, "parts": {"redis": "up"}, "degraded": []}
    assert metrics.content == b"up 1\n"


async def test_the_level_of_a_stranger_is_checked_before_the_body(world: World) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        assert (await client.post("/pbx/sipphone", content=b"{")).status_code == 403


def test_an_error_of_the_driver_is_one_of_the_store() -> None:
    from config.database import STORE_ERRORS

    assert issubclass(OperationalError, STORE_ERRORS)
    assert issubclass(ConnectionRefusedError, STORE_ERRORS)
