"""ICE servers: what the API and the demo's link tell a browser of TURN lets it into a real coturn."""

import base64
import hmac
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.peers.coturn import PROGRAMS, Coturn
from tests.peers.ports import free_port
from tests.peers.process import CLEAN_ENVIRONMENT
from tests.peers.registrar import COMMAND
from tests.wire.need import need
from tests.wire.site import Site

pytestmark = pytest.mark.wire

SECRET = "what coturn and we know"


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    need(*PROGRAMS)
    with Coturn(tmp_path_factory.mktemp("turn"), SECRET) as server:
        yield server


@pytest.fixture(scope="module")
def site(coturn: Coturn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The API alone; no browser connects to it, it only says where one would."""
    running = Site(
        tmp_path_factory.mktemp("turn-site"),
        arguments=("serve", "api", "--demo"),
        sip_wss=f"127.0.0.1:{free_port()}",
        turn_urls=coturn.url,
        turn_secret=SECRET,
        turn_ttl="600",
    )
    with running:
        yield running


def told(site: Site) -> tuple[str, dict[str, Any]]:
    """The phone that a browser is given, and the one ICE server."""
    answer = site.api("POST", "/pbx/sipphone/webrtc", {"instanceId": "browser-1", "v2": True})
    assert answer.status == 200, answer
    (server,) = answer.body["iceServers"]
    return answer.body["_id"], server


def test_the_credentials_of_the_answer_let_a_phone_in(site: Site, coturn: Coturn) -> None:
    phone, server = told(site)
    end, _, owner = server["username"].partition(":")
    assert (server["urls"], owner) == ([coturn.url], phone)
    assert 590 <= int(end) - time.time() <= 600
    assert coturn.relays(server["username"], server["credential"])


def test_no_others_do(site: Site, coturn: Coturn) -> None:
    phone, server = told(site)
    longer = f"{int(time.time()) + 86_400}:{phone}"
    over = f"{int(time.time()) - 60}:{phone}"
    signed = base64.b64encode(hmac.digest(SECRET.encode(), over.encode(), "sha1")).decode()
    assert not coturn.relays(server["username"], server["credential"][::-1])
    assert not coturn.relays(longer, server["credential"])
    assert not coturn.relays(over, signed)
    assert not coturn.relays(phone, server["credential"])


def test_the_link_of_the_demo_has_them_too(site: Site, coturn: Coturn) -> None:
    printed = re.search(r"page +(http\S+)", site.out)
    if printed is None:
        pytest.skip("the page is not built (make page)")
    (ice,) = parse_qs(urlsplit(printed[1]).fragment)["ice"]
    (server,) = json.loads(ice)
    assert server["urls"] == [coturn.url]
    assert coturn.relays(server["username"], server["credential"])


def test_turn_without_a_secret_stops_the_start_with_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(COMMAND), "serve"],
        cwd=tmp_path,
        env={**CLEAN_ENVIRONMENT, "REGISTRAR_TURN_URLS": "turn:turn.example.com"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "REGISTRAR_TURN_URLS: turn:turn.example.com needs REGISTRAR_TURN_SECRET" in line
