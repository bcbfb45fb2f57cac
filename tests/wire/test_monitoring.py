"""What a monitoring sees: /metrics and /health of both sides, and Prometheus' own checks of them."""

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.peers import registrar
from tests.peers.phone import UdpPhone
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed
from tests.peers.stream import TcpPhone
from tests.wire.need import need
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

RULES: Final = Path(__file__).parents[2] / "deploy" / "prometheus"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose SIP side has pages of its own beside the API."""
    pages = f"127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("watched")
    with Site(folder, transports=("tcp", "tls"), ping_seconds="30", sip_http=pages) as site:
        site.demo()
        yield site


def page(site: Site, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://{site.settings['sip_http']}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def promtool(*arguments: str, given: str = "") -> None:
    need("promtool")
    done = subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, timeout=60, cwd=RULES
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr


def test_promtool_finds_nothing_wrong_with_the_metrics(watched: Site) -> None:
    with UdpPhone(watched.new_phone().account, watched.sip) as phone:
        assert phone.register().status == 200
        promtool("check", "metrics", given=watched.api("GET", "/metrics", token="").body)


def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    promtool("check", "rules", "rules.yaml")
    promtool("check", "config", "prometheus.yaml")
    promtool("test", "rules", "rules_test.yaml")


def test_registered_phones_are_shown_by_transport(watched: Site) -> None:
    def shown(transport: str) -> float:
        return watched.metric("registrar_phones", transport=transport)

    udp, tcp = shown("udp"), shown("tcp")
    with (
        UdpPhone(watched.new_phone().account, watched.sip) as over_udp,
        TcpPhone(watched.new_phone().account, watched.tcp) as over_tcp,
    ):
        assert over_udp.register().status == 200
        assert over_tcp.register().status == 200
        assert (shown("udp"), shown("tcp")) == (udp + 1, tcp + 1)
        assert over_tcp.register().status == 200
        assert shown("tcp") == tcp + 1, "a refresh is no other phone"
        assert over_tcp.register(0).status == 200
        assert over_udp.register(0).status == 200
        assert (shown("udp"), shown("tcp")) == (udp, tcp), "the connection of one of them is still open"
        assert over_tcp.register().status == 200
        assert shown("tcp") == tcp + 1
    within(5, lambda: shown("tcp") == tcp, "it is gone with its connection")


def test_the_sip_side_has_pages_of_its_own(watched: Site) -> None:
    status, body = page(watched, "/health")
    assert (status, '"ready":true' in body) == (200, True)
    status, body = page(watched, "/metrics")
    assert status == 200
    assert re.search(r'^registrar_redis_seconds_count\{client="sip"\} [1-9]', body, re.MULTILINE)
    assert re.search(r'^registrar_phones\{transport="tls"\} ', body, re.MULTILINE)
    assert page(watched, "/pbx/sipphone")[0] == 404


def test_requests_of_the_api_are_measured(watched: Site) -> None:
    before = watched.metric("registrar_http_requests_total", route="/pbx/sipphone/{id}", status="2xx")
    handset = watched.new_phone()
    watched.phone(handset)
    name = "registrar_http_requests_total"
    assert watched.metric(name, method="GET", route="/pbx/sipphone/{id}", status="2xx") == before + 1
    assert watched.metric("registrar_sql_seconds_count", engine="read") > 0
    assert watched.metric("registrar_sql_seconds_count", engine="write") > 0
    assert watched.metric("registrar_redis_seconds_count", client="api") > 0
    assert watched.metric("registrar_sql_connections_limit", engine="read") == 15
    assert watched.metric("registrar_process_open_fds") > 10
    assert watched.metric("registrar_build_info") == 1
    assert handset.id not in watched.api("GET", "/metrics", token="").body


def test_serve_sip_alone_has_the_pages_and_no_api(tmp_path: Path) -> None:
    port = free_port()
    site = Site(tmp_path, arguments=("serve", "sip"), sip_http=f"127.0.0.1:{port}")
    api, site.http = site.http, ("127.0.0.1", port)
    with site:
        assert page(site, "/health")[0] == 200
        assert site.metric("registrar_build_info") == 1
        assert page(site, "/pbx/sipphone")[0] == 404
        with pytest.raises(ConnectionRefusedError), socket.create_connection(api, timeout=2):
            pass
        assert site.stop() == 0


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        site = Site(tmp_path, arguments=("serve", "sip"), sip_http=where)
        with pytest.raises(PeerFailed, match=f"REGISTRAR_SIP_HTTP: {where}: Address already in use"):
            site.start()


def test_the_doctor_looks_at_the_address_of_the_pages(watched: Site, tmp_path: Path) -> None:
    where = watched.settings["sip_http"]
    told = registrar.run(tmp_path, "doctor", environment=watched.environment).stdout
    assert f"http {where} is held by a running registrar" in told
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = {**watched.environment, "REGISTRAR_SIP_HTTP": f"127.0.0.1:{taken.getsockname()[1]}"}
        assert "REGISTRAR_SIP_HTTP" in registrar.run(tmp_path, "doctor", environment=other).stdout
