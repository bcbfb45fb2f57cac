"""A certificate is replaced while phones register: new handshakes get it in a second, nobody is dropped."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.certificate import certify, name_in, swap
from tests.peers.phone import Address
from tests.peers.stream import TcpPipe, trusting
from tests.wire.conftest import Report
from tests.wire.fleet import Fleet
from tests.wire.need import rounds
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

SECURE: Final = ("tls", "wss")
RATE: Final = 100
AT_MOST_SECONDS: Final = limit(1.0)
CALM_SECONDS: Final = 1.0
"""Registrations go on so long after the last change, to show whom it has dropped."""


@pytest.fixture
def given(tmp_path: Path) -> Iterator[tuple[Site, Path, Path]]:
    """A server on a certificate that lies in files of ours."""
    certificate, key = tmp_path / "given.crt", tmp_path / "given.key"
    replace_pair(certificate, key, "cert-0.example")
    with Site(
        tmp_path, transports=SECURE, tls_cert=str(certificate), tls_key=str(key), log_level="warning"
    ) as site:
        yield site, certificate, key


def replace_pair(certificate: Path, key: Path, name: str) -> None:
    chain, secret = certify(name)
    swap(key, secret)
    swap(certificate, chain)


def served(server: Address) -> str:
    """Whose certificate a handshake gets now."""
    pipe = TcpPipe(server, tls=trusting())
    try:
        assert isinstance(pipe.socket, ssl.SSLSocket)
        return name_in(pipe.socket.getpeercert(binary_form=True))
    finally:
        pipe.close()


def until_served(server: Address, name: str) -> float:
    """How long it takes until a handshake gets the certificate of `name`."""
    return within(AT_MOST_SECONDS, lambda: served(server) == name, f"{name} on {server}")


def ports(site: Site) -> dict[str, str]:
    """By phone, the port of the connection that it is bound to: another one after a reconnection."""
    ids = list(site.redis("keys", "registrar:status:*"))
    found = dict(zip(ids, site.redis_all([("hget", key, "publicPort") for key in ids]), strict=True))
    return {key: port for key, port in found.items() if port}


def test_a_certificate_is_replaced_while_phones_register(
    given: tuple[Site, Path, Path], report: Report
) -> None:
    site, certificate, key = given
    slowest = 0.0
    with Fleet(site, rate=RATE, transports=SECURE) as fleet:
        within(10, lambda: len(ports(site)) == 16, "every phone is registered")
        before, begin = ports(site), time.time()
        for number in range(1, rounds(3, 20) + 1):
            name = f"cert-{number}.example"
            replace_pair(certificate, key, name)
            for transport in SECURE:
                slowest = max(slowest, until_served(site.listeners[transport], name))
        time.sleep(CALM_SECONDS)
        answered = len(fleet.answered(begin, time.time()))
        after = ports(site)
    assert after == before  # no phone had to connect again
    assert fleet.failures == []
    assert answered > 0
    report(f"{number} certificates replaced, served after {slowest * 1e3:.0f} ms at most")
    report(f"{answered} registrations meanwhile at {RATE}/s over {len(before)} connections, none dropped")


def test_a_bad_pair_is_told_and_nobody_notices(given: tuple[Site, Path, Path]) -> None:
    site, certificate, _ = given
    with Fleet(site, rate=RATE, transports=SECURE) as fleet:
        within(10, lambda: len(ports(site)) == 16, "every phone is registered")
        before = ports(site)
        other, _ = certify("other.example")
        swap(certificate, other)  # its key does not follow
        within(5, lambda: told(site), "the fault stands in /health/ready")
        assert {served(site.listeners[transport]) for transport in SECURE} == {"cert-0.example"}
        time.sleep(CALM_SECONDS)
        assert ports(site) == before
    assert fleet.failures == []
    assert fleet.acknowledged > 0


def told(site: Site) -> list[str]:
    """What /health/ready says about certificates; the code stays 200."""
    reply = site.api("GET", "/health/ready", token="")
    assert reply.status == 200
    return [line for line in reply.body["degraded"] if "REGISTRAR_TLS" in line]
