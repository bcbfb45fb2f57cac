"""The board at / as it is served; what it does in a browser: tests/wire/test_board.py."""

import json
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from config.access import RULES, AccessLevel
from config.board import PAGE, board_routes
from config.page import BASE, LICENCES, NOT_BUILT, SCRIPT, STYLE
from tests.config.test_phone_page import POLICY, Elements
from tests.config.world import World

FILES = {SCRIPT: "text/javascript", LICENCES: "text/plain", STYLE: "text/css"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What deploy/page.sh leaves behind, as far as serving it goes."""
    (tmp_path / SCRIPT).write_text("// the script\n")
    (tmp_path / LICENCES).write_text("the licences\n")
    return tmp_path


async def fetch(path: str, built: Path) -> httpx.Response:
    """One page of an application that has nothing else."""
    app = FastAPI()
    app.include_router(board_routes("1.2.3", built))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        return await client.get(path)


async def test_the_board_may_ask_its_own_server_alone(built: Path) -> None:
    answer = await fetch("/", built)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy == POLICY | {"connect-src": "'self'"}
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert all(feature.endswith("=()") for feature in answer.headers["permissions-policy"].split(", "))


async def test_the_board_obeys_its_own_policy(built: Path) -> None:
    for tag, attrs in Elements((await fetch("/", built)).text).found:
        assert tag != "style" and "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
        assert tag != "script" or attrs.get("src") == f"/board/{SCRIPT}"


async def test_what_the_board_refers_to_is_there(built: Path, world: World) -> None:
    page = Elements((await fetch("/", built)).text)
    named = {attrs.get("src") or attrs.get("href") for _, attrs in page.found} - {None}
    assert named == {BASE, "/docs", "/phone", *(f"/board/{name}" for name in FILES)}
    assert {("GET", path) for path in named} <= RULES.keys()


@pytest.mark.parametrize("name", FILES)
async def test_a_file_of_the_board_says_what_it_is(name: str, built: Path) -> None:
    answer = await fetch(f"/board/{name}", built)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == FILES[name]
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_board_knows_what_each_level_may_do(built: Path) -> None:
    (body,) = [attrs for tag, attrs in Elements((await fetch("/", built)).text).found if tag == "body"]
    assert (body["data-levels"] or "").split() == [level.name for level in AccessLevel]
    rules = json.loads(body["data-rules"] or "")
    assert rules["DELETE /pbx/call/{id}"] == "MANAGER"
    assert rules["GET /pbx/sipphone/own"] == "PERSONAL"
    assert "POST /auth/login" not in rules


@pytest.mark.parametrize("path", ["/", *(f"/board/{name}" for name in FILES)])
async def test_a_board_that_was_not_built_says_how_to_build_it(path: str, tmp_path: Path) -> None:
    answer = await fetch(path, tmp_path / "nothing")
    assert (answer.status_code, answer.text) == (503, f"{NOT_BUILT}\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_application_has_the_board(world: World) -> None:
    async with world.client(None) as client:
        page = await client.get("/")
        other = await client.get("/board/%2e%2e/app.py")
        schema = (await client.get("/openapi.json")).json()
    assert page.status_code == (200 if PAGE.is_built else 503)
    assert page.headers["x-content-type-options"] == "nosniff"
    assert other.status_code == 404
    assert not [path for path in schema["paths"] if path == "/" or path.startswith("/board")]
