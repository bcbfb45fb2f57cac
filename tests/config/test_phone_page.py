"""The page at /phone as it is served; what it does in a browser: tests/wire/test_browser.py."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from config.page import BASE, LICENCES, NOT_BUILT, SCRIPT, STYLE
from config.phone import PAGE, phone_routes
from tests.config.world import SETTINGS, World

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "ws: wss:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
FILES = {SCRIPT: "text/javascript", LICENCES: "text/plain", STYLE: "text/css"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What deploy/page.sh leaves behind, as far as serving it goes."""
    (tmp_path / SCRIPT).write_text("// the script\n")
    (tmp_path / LICENCES).write_text("the licences\n")
    return tmp_path


async def fetch(path: str, built: Path, *, host: str = "api.test:8080", **settings: Any) -> httpx.Response:
    """One page of an application that has nothing else."""
    app = FastAPI()
    app.include_router(phone_routes(replace(SETTINGS, **settings), "1.2.3", built))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        return await client.get(path, headers={"Host": host})


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def value(self, field: str) -> str | None:
        """What a field of the form is filled with."""
        return next(attrs.get("value") for tag, attrs in self.found if attrs.get("name") == field)


@pytest.mark.parametrize("path", ["/phone", "/phone/"])
async def test_the_page_may_do_little(path: str, built: Path) -> None:
    answer = await fetch(path, built)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy == POLICY
    assert answer.headers["referrer-policy"] == "no-referrer"
    allowed = answer.headers["permissions-policy"].split(", ")
    assert [feature for feature in allowed if not feature.endswith("=()")] == ["microphone=(self)"]


async def test_the_page_obeys_its_own_policy(built: Path) -> None:
    page = Elements((await fetch("/phone", built)).text)
    for tag, attrs in page.found:
        assert tag != "style" and "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
        assert tag != "script" or (attrs.get("src") or "").startswith("/phone/")
        assert tag != "form" or "action" not in attrs


async def test_what_the_page_refers_to_is_there(built: Path) -> None:
    page = Elements((await fetch("/phone", built)).text)
    named = {attrs.get("src") or attrs.get("href") for _, attrs in page.found} - {None}
    assert named == {BASE, "/selftest", *(f"/phone/{name}" for name in FILES)}


@pytest.mark.parametrize("name", FILES)
async def test_a_file_of_the_page_says_what_it_is(name: str, built: Path) -> None:
    answer = await fetch(f"/phone/{name}", built)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == FILES[name]
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.content


@pytest.mark.parametrize(
    ("settings", "server"),
    [
        ({}, "wss://api.test:8443"),
        ({"public_host": "sip.test"}, "wss://sip.test:8443"),
        ({"wss_port": None}, ""),
    ],
    ids=["the host of the request", "the public host", "no secure WebSocket"],
)
async def test_the_form_knows_domain_and_server(settings: dict[str, Any], server: str, built: Path) -> None:
    page = Elements((await fetch("/phone", built, **settings)).text)
    assert (page.value("domain"), page.value("server")) == ("demo.test", server)
    assert [attrs["data-version"] for tag, attrs in page.found if tag == "body"] == ["1.2.3"]


@pytest.mark.parametrize("host", ['"><script>', "a b", "$version", ""])
async def test_a_host_that_is_none_is_not_repeated(host: str, built: Path) -> None:
    answer = await fetch("/phone", built, host=host)
    assert answer.status_code == 200
    assert Elements(answer.text).value("server") == ""
    assert host == "" or host not in answer.text


@pytest.mark.parametrize("path", ["/phone", "/phone/", *(f"/phone/{name}" for name in FILES)])
async def test_a_page_that_was_not_built_says_how_to_build_it(path: str, tmp_path: Path) -> None:
    answer = await fetch(path, tmp_path / "nothing")
    assert (answer.status_code, answer.text) == (503, f"{NOT_BUILT}\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_application_has_the_page(world: World) -> None:
    async with world.client(None) as client:
        page = await client.get("/phone")
        other = await client.get("/phone/%2e%2e/app.py")
        schema = (await client.get("/openapi.json")).json()
    assert page.status_code == (200 if PAGE.is_built else 503)
    assert page.headers["x-content-type-options"] == "nosniff"
    assert other.status_code == 404
    assert not [path for path in schema["paths"] if path.startswith("/phone")]
