"""/selftest in Chromium: it names what is in the way of a phone, where the browser says 1006 alone."""

import asyncio
import contextlib
import json
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn
from fastapi import FastAPI
from websockets.sync.server import Server, ServerConnection, serve

from config.page import base_routes
from config.phone import phone_routes, selftest_routes
from tests.config.world import SETTINGS
from tests.peers.accessible import examine
from tests.peers.browser import Browser, Tab
from tests.peers.browser_phone import MICROPHONE, NEAR
from tests.peers.certificate import certify
from tests.peers.coturn import PROGRAMS, Coturn
from tests.peers.ports import free_port
from tests.peers.websocket_phone import SIP
from tests.wire.looks import LOOKS
from tests.wire.need import need, need_browser
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

HERE: Final = "127.0.0.1"
NAME: Final = "localhost"
SEEN_SECONDS: Final = 60.0
RULES: Final = 8
SECRET: Final = "what coturn and this test know"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """It takes every certificate."""
    need_browser()
    with Browser(tmp_path_factory.mktemp("trusting")) as browser:
        yield browser


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """It takes certificates of authorities alone, as browsers do."""
    need_browser()
    with Browser(tmp_path_factory.mktemp("strict"), trusting=False) as browser:
        yield browser


@contextlib.contextmanager
def listening(folder: Path, name: str = NAME, days: float = 90, **options: Any) -> Iterator[int]:
    """A listener of SIP over secure WebSocket with a certificate of the test's own: its port."""
    files = folder / "c.pem", folder / "k.pem"
    for file, content in zip(files, certify(name, days=days), strict=True):
        file.write_bytes(content)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*files)

    def stay(connection: ServerConnection) -> None:
        if options.get("close"):
            connection.close(*options["close"])
        for _ in connection:
            pass

    given = {"origins": options["origins"]} if "origins" in options else {}
    server = serve(stay, HERE, 0, ssl=tls, subprotocols=[SIP], **given)
    with running(server):
        yield int(server.socket.getsockname()[1])


@contextlib.contextmanager
def running(server: Server) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def pages(**settings: Any) -> Iterator[str]:
    """The real pages and the real question to the listener, without the rest of the API."""
    app = FastAPI()
    own = replace(SETTINGS, public_host=NAME, **settings)
    app.include_router(base_routes())
    app.include_router(phone_routes(own, "test"))
    app.include_router(selftest_routes(own, "test"))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host=HERE, port=port, log_config=None, ws="none"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    within(SEEN_SECONDS, lambda: server.started, "the pages are served")
    try:
        yield f"http://{NAME}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def found(tab: Tab, url: str, account: dict[str, Any] | None = None) -> dict[str, str]:
    """Run the test as a page of `url`: what each step says, and `verdict`."""
    kept = json.dumps(json.dumps(account)) if account else ""
    script = f"sessionStorage.setItem('registrar-phone-account', {kept});" if account else ""
    assert tab.open(f"{url}/selftest", script=script, permissions=[NEAR, MICROPHONE]) == 200
    return result(tab)


def result(tab: Tab) -> dict[str, str]:
    within(SEEN_SECONDS, lambda: tab.state().get("state") == "done", "the test is done")
    steps = dict(step.split(": ", 1) for step in tab.state()["found"].split(" | "))
    return {**steps, "verdict": shown_text(tab, "verdict")}


# The connection


def test_everything_is_right_but_no_authority_vouches_for_it(trusting: Browser, tmp_path: Path) -> None:
    with listening(tmp_path) as port, pages(wss_port=port, wss_listener=(HERE, port)) as url:
        shown = found(trusting, url)
    assert (shown["Server"], shown["Certificate"]) == ("listening", "self-signed")
    assert shown["Connection"] == "connects"
    assert shown["verdict"].startswith("RESULT\nIt works. Certificate: self-signed\n")
    assert NAME in trusting.text()
    assert trusting.problems() == []


def test_the_browser_does_not_trust_the_certificate(strict: Browser, tmp_path: Path) -> None:
    with listening(tmp_path) as port, pages(wss_port=port, wss_listener=(HERE, port)) as url:
        shown = found(strict, url)
        assert f"open https://{NAME}:{port}/ once, and come back" in shown_text(strict, "connection")
    assert (shown["Server"], shown["Certificate"]) == ("listening", "self-signed")
    assert shown["Connection"] == "the certificate is refused"
    assert shown["verdict"].startswith("RESULT\nConnection: the certificate is refused\nIt is self-signed.")
    assert "1006" in shown_text(strict, "connection"), "what the browser says is shown beside its meaning"


@pytest.mark.parametrize(
    ("name", "days", "headline", "why"),
    [
        pytest.param("other.test", 90, "for another name", f"connects to {NAME}", id="another name"),
        pytest.param(NAME, -1, "expired", "has run out", id="expired"),
    ],
)
def test_the_certificate_is_wrong(
    strict: Browser, tmp_path: Path, name: str, days: float, headline: str, why: str
) -> None:
    with listening(tmp_path, name, days) as port, pages(wss_port=port, wss_listener=(HERE, port)) as url:
        shown = found(strict, url)
    assert shown["Certificate"] == headline
    assert shown["Connection"] == "the certificate is refused"
    assert shown["verdict"].startswith(f"RESULT\nCertificate: {headline}\n")
    assert why in shown["verdict"]


def test_nothing_listens(strict: Browser) -> None:
    port = free_port()
    with pages(wss_port=port, wss_listener=(HERE, port)) as url:
        shown = found(strict, url)
    assert (shown["Server"], shown["Connection"]) == ("not listening", "nothing to connect to")
    assert "nothing listens on its port" in shown["verdict"]


def test_there_is_no_listener_at_all(strict: Browser) -> None:
    with pages(wss_port=None, wss_listener=None) as url:
        shown = found(strict, url)
    assert (shown["Server"], shown["Connection"]) == ("no listener", "not tested")
    assert "REGISTRAR_SIP_WSS" in shown["verdict"]


def test_the_server_takes_no_pages_from_there(trusting: Browser, tmp_path: Path) -> None:
    elsewhere = "https://elsewhere.test"
    with (
        listening(tmp_path, origins=[elsewhere, None]) as port,
        pages(wss_port=port, wss_listener=(HERE, port), ws_origins=(elsewhere,)) as url,
    ):
        shown = found(trusting, url)
    assert (shown["Server"], shown["Connection"]) == ("listening", "this page may not connect")
    assert f"The server takes no pages from {url}: add it to REGISTRAR_WS_ORIGINS." in shown["verdict"]


def test_a_port_that_the_network_keeps_back(trusting: Browser, tmp_path: Path) -> None:
    """The server reaches its listener, and this browser does not reach the proxy before it."""
    proxies, dead = (ip_network("10.9.0.0/16"),), free_port()
    with (
        listening(tmp_path) as port,
        pages(wss_port=dead, wss_listener=(HERE, port), trusted_proxies=proxies) as url,
    ):
        shown = found(trusting, url)
    assert (shown["Server"], shown["Certificate"]) == ("listening", "not known")
    assert shown["Connection"] == "not reached"
    assert f"The server listens, but this browser does not get through to {NAME}:{dead}." in shown["verdict"]


def test_a_server_that_closes_at_once_is_told_with_its_reason(trusting: Browser, tmp_path: Path) -> None:
    with (
        listening(tmp_path, close=(1013, "too many")) as port,
        pages(wss_port=port, wss_listener=(HERE, port)) as url,
    ):
        shown = found(trusting, url)
        assert "1013 too many" in shown_text(trusting, "connection")
    assert shown["Connection"] == "closed"
    assert "The server has too much to do; later it may work." in shown["verdict"]


def test_a_process_without_a_sip_side_leaves_it_to_the_browser(trusting: Browser, tmp_path: Path) -> None:
    with listening(tmp_path) as port, pages(wss_port=port, wss_listener=None) as url:
        shown = found(trusting, url)
    assert (shown["Server"], shown["Certificate"], shown["Connection"]) == (
        "not known",
        "not known",
        "connects",
    )


def test_the_test_can_be_repeated_and_a_server_that_is_asked_too_often_says_so(
    trusting: Browser, tmp_path: Path
) -> None:
    with listening(tmp_path) as port, pages(wss_port=port, wss_listener=(HERE, port)) as url:
        found(trusting, url)
        trusting.evaluate(
            "Promise.all(Array.from({length: 40}, () => fetch('/selftest/server'))).then(() => 1)"
        )
        trusting.press("#again")
        shown = result(trusting)
        assert "asked too often; ask again in" in shown_text(trusting, "server")
    assert (shown["Server"], shown["Connection"]) == ("not known", "connects")


def shown_text(tab: Tab, step: str) -> str:
    text = tab.evaluate(f"document.querySelector('#{step}').innerText")
    return re.sub(r"\n+", "\n", text)


# The sound


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    need(*PROGRAMS)
    with Coturn(tmp_path_factory.mktemp("turn"), SECRET) as server:
        yield server


@pytest.fixture(scope="module")
def given(coturn: Coturn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, str]]]:
    """A real server with TURN, and the account that its API gives a browser."""
    folder = tmp_path_factory.mktemp("turned")
    with Site(folder, transports=["wss"], turn_urls=coturn.url, turn_secret=SECRET) as site:
        answer = site.api("POST", "/pbx/sipphone/webrtc", {"instanceId": "browser-1", "v2": True})
        assert answer.status == 200, answer
        account = {name: answer.body[name] for name in ("username", "password")}
        server = "wss://{}:{}".format(*site.wss)
        ice = json.dumps(answer.body["iceServers"])
        yield site, {**account, "domain": site.settings["domain"], "server": server, "ice": ice}


def test_without_an_account_there_are_direct_ways(given: tuple[Site, Any], trusting: Browser) -> None:
    site, _ = given
    shown = found(trusting, "http://{}:{}".format(*site.http))
    assert (shown["Sound"], shown["Relay"]) == ("only direct ways", "no TURN server")
    assert "the addresses of this machine" in shown_text(trusting, "sound")


def test_turn_answers_and_lets_sound_through(
    given: tuple[Site, dict[str, str]], coturn: Coturn, trusting: Browser
) -> None:
    site, account = given
    shown = found(trusting, "http://{}:{}".format(*site.http), account)
    assert (shown["Connection"], shown["Sound"], shown["Relay"]) == ("connects", "finds a way", "answers")
    assert coturn.url in shown_text(trusting, "relay")


def test_turn_refuses_credentials(given: tuple[Site, dict[str, str]], trusting: Browser) -> None:
    site, account = given
    (server,) = json.loads(account["ice"])
    wrong = {**account, "ice": json.dumps([{**server, "credential": "wrong"}])}
    shown = found(trusting, "http://{}:{}".format(*site.http), wrong)
    assert shown["Relay"] == "refuses the credentials"
    assert "401" in shown_text(trusting, "relay")
    assert shown["verdict"].startswith("RESULT\nRelay: refuses the credentials\n")


def test_turn_does_not_answer(given: tuple[Site, dict[str, str]], trusting: Browser) -> None:
    site, account = given
    (server,) = json.loads(account["ice"])
    dead = {**server, "urls": [f"turn:{HERE}:{free_port()}?transport=tcp"]}  # UDP would take 10 s
    shown = found(trusting, "http://{}:{}".format(*site.http), {**account, "ice": json.dumps([dead])})
    assert (shown["Sound"], shown["Relay"]) == ("only direct ways", "does not answer")


def test_the_link_of_the_phone_brings_the_account(
    given: tuple[Site, dict[str, str]], trusting: Browser
) -> None:
    site, account = given
    url = "http://{}:{}".format(*site.http)
    trusting.open(
        f"{url}/phone",
        script=f"sessionStorage.setItem('registrar-phone-account', {json.dumps(json.dumps(account))});",
        permissions=[NEAR, MICROPHONE],
    )
    link = trusting.evaluate(
        "(({href, target, rel}) => ({href, target, rel}))(document.querySelector('#selftest'))"
    )
    assert link == {"href": f"{url}/selftest", "target": "_blank", "rel": "opener"}
    trusting.evaluate("window.other = window.open('/selftest'), 0")
    told = "window.other.document.body?.dataset?.found ?? ''"
    within(SEEN_SECONDS, lambda: "Relay: answers" in trusting.evaluate(told), "it knows the TURN server")
    within(SEEN_SECONDS, lambda: trusting.state()["registration"] == "registered", "the phone goes on")
    trusting.evaluate("window.other.close()")


# For everybody


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_the_page_is_for_everybody(trusting: Browser, tmp_path: Path, good: bool) -> None:
    with listening(tmp_path) as port, pages(wss_port=port, wss_listener=(HERE, port if good else 9)) as url:
        shown = found(trusting, url)
        assert shown["Server"] == ("listening" if good else "not listening")
        for width, dark in LOOKS:
            path = tmp_path / f"{good}-{width}-{dark}.png"
            assert trusting.screenshot(path, width=width, dark=dark) == width
            seen = examine(trusting)
            assert seen.serious == []
            assert seen.passed >= RULES
