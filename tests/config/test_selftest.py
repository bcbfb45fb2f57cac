"""config/phone/selftest.py, listener.py: what the server tells of its own listener, to whom, how often."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.server import ServerConnection, serve

from config.page import NOT_BUILT
from config.page import SCRIPT as PHONE_SCRIPT
from config.phone import selftest_routes
from config.phone.listener import FRESH_SECONDS, SIP, Listener
from config.phone.selftest import ASKED_AT_MOST, MAX_SOURCES, SCRIPT, WINDOW_SECONDS, Turnstile
from registrar.model import Mono
from tests.config.world import SETTINGS
from tests.peers.certificate import certify
from tests.peers.ports import free_port

NAME = "sip.test"
HERE = "127.0.0.1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> Mono:
        return Mono(self.now)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    for name in (SCRIPT, PHONE_SCRIPT):
        (tmp_path / name).write_text("// the script\n")
    return tmp_path


def client_of(built: Path, source: str = HERE, **settings: Any) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(selftest_routes(replace(SETTINGS, **settings), "1.2.3", built))
    transport = httpx.ASGITransport(app, client=(source, 4711))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{NAME}")


async def told(built: Path, source: str = HERE, origin: str = "", **settings: Any) -> dict[str, Any]:
    """What the server answers to one question."""
    async with client_of(built, source, **settings) as client:
        answer = await client.get("/selftest/server", params={"origin": origin})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    shown: dict[str, Any] = answer.json()
    return shown


Came = list[str]


@asynccontextmanager
async def listening(
    tmp_path: Path, *, name: str = NAME, days: float = 90, host: str = HERE
) -> AsyncIterator[tuple[tuple[str, int], Came]]:
    """A listener of SIP over secure WebSocket, and the addresses that have connected to it."""
    files = tmp_path / "c.pem", tmp_path / "k.pem"
    for file, content in zip(files, certify(name, days=days), strict=True):
        file.write_bytes(content)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*files)
    came: Came = []

    async def stay(connection: ServerConnection) -> None:
        came.append(connection.remote_address[0])
        await connection.wait_closed()

    port = free_port(host)
    async with serve(stay, host, port, ssl=tls, subprotocols=[SIP]):
        yield (host, port), came


async def test_it_sees_the_listener_and_its_certificate(built: Path, tmp_path: Path) -> None:
    async with listening(tmp_path) as (address, _):
        shown = await told(built, wss_listener=address)
    assert (shown["server"], shown["listening"], shown["why"]) == (f"wss://{NAME}:8443", True, "")
    certificate = shown["certificate"]
    assert certificate.pop("expires") - shown["now"] == pytest.approx(90 * 86_400, abs=3_600)
    assert certificate.pop("begins") < shown["now"]
    assert certificate == {
        "names": [NAME],
        "issuer": NAME,
        "selfSigned": True,
        "matches": True,
        "distrust": "self-signed certificate",
    }


@pytest.mark.parametrize(
    ("name", "days", "host", "matches", "expired"),
    [
        pytest.param("*.test", 90, "", True, False, id="a wildcard"),
        pytest.param("other.test", 90, "", False, False, id="another name"),
        pytest.param("other.test", 90, "other.test", True, False, id="the public host"),
        pytest.param(NAME, -1, "", True, True, id="expired"),
    ],
)
async def test_the_certificate_is_compared_with_the_name_that_the_phone_uses(
    built: Path, tmp_path: Path, name: str, days: float, host: str, matches: bool, expired: bool
) -> None:
    async with listening(tmp_path, name=name, days=days) as (address, _):
        shown = await told(built, wss_listener=address, public_host=host)
    certificate = shown["certificate"]
    assert (certificate["matches"], certificate["expires"] < shown["now"]) == (matches, expired)


async def test_a_listener_on_all_addresses_is_asked_at_loopback(built: Path, tmp_path: Path) -> None:
    async with listening(tmp_path) as ((_, port), came):
        assert (await told(built, wss_listener=("0.0.0.0", port)))["listening"] is True
    assert came == [HERE]


async def test_nothing_listens(built: Path) -> None:
    shown = await told(built, wss_listener=(HERE, free_port()))
    assert (shown["listening"], shown["why"]) == (False, "nothing listens on its port")
    assert shown["certificate"] is None


async def test_what_listens_is_something_else(built: Path) -> None:
    async with serve(lambda connection: connection.wait_closed(), HERE, port := free_port()):
        shown = await told(built, wss_listener=(HERE, port))
    assert (shown["listening"], "not as SIP" in shown["why"]) == (False, True)


async def test_a_process_without_a_sip_side_does_not_know(built: Path) -> None:
    shown = await told(built, wss_listener=None)
    assert (shown["server"], shown["listening"]) == (f"wss://{NAME}:8443", None)
    assert (await told(built, wss_listener=None, wss_port=None))["server"] == ""


@pytest.mark.parametrize(
    ("source", "settings", "seen"),
    [
        pytest.param(HERE, {}, True, id="from this machine"),
        pytest.param("192.0.2.7", {}, False, id="from elsewhere, which loopback does not reach"),
        pytest.param(HERE, {"trusted_proxies": (HERE,)}, False, id="a proxy shows its own certificate"),
    ],
)
async def test_who_sees_the_certificate(
    built: Path, tmp_path: Path, source: str, settings: dict[str, Any], seen: bool
) -> None:
    networks = tuple(ip_network(text) for text in settings.get("trusted_proxies", ()))
    async with listening(tmp_path) as (address, _):
        shown = await told(built, source, wss_listener=address, trusted_proxies=networks)
    assert (shown["listening"], shown["certificate"] is not None) == (True, seen)


@pytest.mark.parametrize(
    ("allowed", "origin", "good"),
    [
        pytest.param((), "https://any.test", True, id="any page"),
        pytest.param(("https://phone.test",), "https://phone.test", True, id="the page"),
        pytest.param(("https://phone.test",), "https://other.test", False, id="another page"),
        pytest.param(("https://phone.test",), "", False, id="no page"),
    ],
)
async def test_whether_the_page_may_connect(
    built: Path, allowed: tuple[str, ...], origin: str, good: bool
) -> None:
    assert (await told(built, origin=origin, ws_origins=allowed))["origin"] is good


async def test_the_request_does_not_choose_what_is_asked(built: Path, tmp_path: Path) -> None:
    """Only our own listener is connected to, whatever Host, query and headers say."""
    async with listening(tmp_path) as ((host, port), came):
        async with client_of(built, wss_listener=(HERE, free_port())) as client:
            answer = await client.get(
                "/selftest/server",
                params={"origin": f"https://{host}:{port}", "server": f"wss://{host}:{port}", "port": port},
                headers={
                    "Host": f"{host}:{port}",
                    "X-Forwarded-For": host,
                    "Origin": f"https://{host}:{port}",
                },
            )
        assert answer.json()["listening"] is False
        assert came == []


async def test_one_look_serves_all_who_ask_within_a_moment(tmp_path: Path) -> None:
    clock = Clock()
    async with listening(tmp_path) as (address, came):
        listener = Listener(address, clock)
        for _ in range(20):
            assert (await listener.look()).listening
        assert len(came) == 1
        clock.now += FRESH_SECONDS + 0.1
        await listener.look()
        assert len(came) == 2


async def test_a_source_that_asks_too_often_waits(built: Path) -> None:
    async with client_of(built) as client:
        answers = [await client.get("/selftest/server") for _ in range(ASKED_AT_MOST + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["retry-after"]) <= WINDOW_SECONDS


def test_the_turnstile_counts_each_source_and_forgets() -> None:
    clock = Clock()
    turnstile = Turnstile(clock)
    assert all(turnstile.lets("a") for _ in range(ASKED_AT_MOST))
    assert not turnstile.lets("a")
    assert turnstile.lets("b")
    clock.now += WINDOW_SECONDS + 1
    assert turnstile.lets("a")


def test_the_turnstile_keeps_only_so_many_sources() -> None:
    turnstile = Turnstile(Clock())
    assert all(turnstile.lets(str(number)) for number in range(MAX_SOURCES))
    assert not turnstile.lets("one more")
    assert turnstile.lets("7")


async def test_the_page_may_connect_to_its_own_server_besides(built: Path) -> None:
    async with client_of(built) as client:
        page = await client.get("/selftest")
        script = await client.get("/selftest/page.js")
    policy = page.headers["content-security-policy"]
    assert "connect-src 'self' ws: wss:;" in policy and "default-src 'none';" in policy
    assert 'data-server="wss://sip.test:8443"' in page.text and "1.2.3" in page.text
    assert script.headers["content-type"].startswith("text/javascript")


async def test_a_page_that_was_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        for path in ("/selftest", "/selftest/", "/selftest/page.js"):
            answer = await client.get(path)
            assert (answer.status_code, answer.text) == (503, f"{NOT_BUILT}\n")
