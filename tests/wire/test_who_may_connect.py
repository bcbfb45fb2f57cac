"""Who may have a connection: what a proxy of ours says, which page asks, how many come from one address."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from tests.peers.pipe import HungUp
from tests.peers.stream import TcpPipe
from tests.wire.connected import STREAMS, ConnectedPhone, NotUpgraded, connect, registered
from tests.wire.frames import RawWebSocket, upgrade
from tests.wire.need import need
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

PER_SOURCE: Final = 256
PROXY: Final = "127.0.0.3"
PROXIES: Final = f"{PROXY}/32,127.0.0.4/32"
NOBODY: Final = "127.0.0.2"
"""No proxy of ours."""
ORIGINS: Final = "https://phone.example, https://other.example:8443"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server behind proxies, for pages of two origins."""
    need("redis-cli")
    with Site(
        tmp_path_factory.mktemp("guarded"),
        transports=STREAMS,
        trusted_proxies=PROXIES,
        ws_origins=ORIGINS,
    ) as site:
        site.demo()
        yield site


# Proxies


def opening(*headers: tuple[str, str]) -> bytes:
    """An upgrade with more headers."""
    head = upgrade().removesuffix(b"\r\n\r\n").decode()
    return "\r\n".join([head, *(f"{name}: {value}" for name, value in headers), "", ""]).encode()


XFF: Final = "X-Forwarded-For"
FORWARDED: Final[dict[str, tuple[list[tuple[str, str]], str]]] = {
    "one address": ([(XFF, "192.0.2.1")], "192.0.2.1"),
    "blanks around": ([(XFF, "  192.0.2.1  ")], "192.0.2.1"),
    "another case": ([("x-forwarded-FOR", "192.0.2.1")], "192.0.2.1"),
    "the rightmost counts": ([(XFF, "198.51.100.1, 192.0.2.1")], "192.0.2.1"),
    "a claim of the client": ([(XFF, "127.0.0.1, 192.0.2.1")], "192.0.2.1"),
    "junk of the client": ([(XFF, "junk, 192.0.2.1")], "192.0.2.1"),
    "nothing of the client": ([(XFF, ", 192.0.2.1")], "192.0.2.1"),
    "over a proxy": ([(XFF, "192.0.2.1, 127.0.0.4")], "192.0.2.1"),
    "over all proxies": ([(XFF, "192.0.2.1, 127.0.0.4,127.0.0.3")], "192.0.2.1"),
    "a folded proxy": ([(XFF, "192.0.2.1, ::ffff:127.0.0.4")], "192.0.2.1"),
    "two rows": ([(XFF, "198.51.100.1"), (XFF, "192.0.2.1")], "192.0.2.1"),
    "folded": ([(XFF, "::ffff:192.0.2.1")], "192.0.2.1"),
    "IPv6": ([(XFF, "2001:db8::1")], "2001:db8::1"),
    "sixteen": ([(XFF, ",".join(["192.0.2.9"] * 15 + ["192.0.2.1"]))], "192.0.2.1"),
    "beside Forwarded": ([(XFF, "192.0.2.1"), ("Forwarded", "for=192.0.2.8")], "192.0.2.1"),
}
"""What a proxy of ours says, and where the phone then is."""
UNCLEAR: Final[dict[str, str]] = {
    "junk": "junk",
    "unknown": "unknown",
    "a port": "192.0.2.1:5060",
    "brackets": "[2001:db8::1]",
    "brackets and port": "[2001:db8::1]:443",
    "a zone": "2001:db8::1%eth0",
    "three numbers": "192.0.2",
    "too large": "192.0.2.256",
    "leading zeros": "192.0.02.1",
    "hexadecimal": "0xc0000201",
    "a number": "3221225985",
    "a network": "192.0.2.0/24",
    "nothing at the end": "192.0.2.1,",
    "a semicolon": "192.0.2.1;198.51.100.1",
    "a blank between": "192.0.2.1 198.51.100.1",
    "quotes": '"192.0.2.1"',
    "seventeen": ",".join(["192.0.2.1"] * 17),
    "junk behind a proxy": "junk, 127.0.0.4",
}
"""What a proxy of ours cannot have meant."""


@pytest.mark.parametrize("variant", FORWARDED)
def test_a_proxy_of_ours_says_where_a_phone_is(variant: str, guarded: Site) -> None:
    headers, address = FORWARDED[variant]
    handset = guarded.new_phone()
    with ConnectedPhone(
        handset.account, guarded.wss, "wss", source=(PROXY, 0), opening=opening(*headers)
    ) as phone:
        assert phone.register().status == 200
        assert guarded.status(handset)["publicIpAddress"] == address
        assert guarded.phone(handset)["ip"] == {
            "mode": "LOCKED",
            "countries": "",
            "address": address,
            "policy": "PHONE",
        }


@pytest.mark.parametrize("variant", UNCLEAR)
def test_what_a_proxy_of_ours_cannot_mean_is_refused(variant: str, guarded: Site) -> None:
    for transport in ("ws", "wss"):
        with RawWebSocket(
            guarded.listeners[transport],
            opening((XFF, UNCLEAR[variant])),
            secure=transport == "wss",
            source=(PROXY, 0),
        ) as refused:
            assert refused.http().status == 400
            assert refused.ended(2.0)


@pytest.mark.parametrize(
    "headers",
    [[], [(XFF, "")], [(XFF, "127.0.0.4")], [("X-Real-IP", "192.0.2.1")], [("Forwarded", "for=192.0.2.1")]],
    ids=["no word", "nothing", "another proxy", "X-Real-IP", "Forwarded"],
)
def test_nobody_is_locked_to_a_proxy(headers: list[tuple[str, str]], guarded: Site) -> None:
    handset = guarded.new_phone()
    with ConnectedPhone(
        handset.account, guarded.wss, "wss", source=(PROXY, 0), opening=opening(*headers)
    ) as phone:
        assert phone.register().status == 403
    assert guarded.phone(handset)["ip"]["mode"] == "OPEN"
    assert guarded.status(handset)["lastRejectedReason"] == "proxy-address"


@pytest.mark.parametrize("value", ["192.0.2.1", "junk", f"192.0.2.1, {PROXY}", ",".join(["192.0.2.1"] * 17)])
def test_what_anybody_else_says_is_not_heard(value: str, guarded: Site) -> None:
    handset = guarded.new_phone()
    with ConnectedPhone(
        handset.account, guarded.wss, "wss", source=(NOBODY, 0), opening=opening((XFF, value))
    ) as phone:
        assert phone.register().status == 200
    assert guarded.phone(handset)["ip"]["address"] == NOBODY
    assert guarded.status(handset)["publicIpAddress"] == NOBODY


ALLOWED: Final[dict[str, list[tuple[str, str]]]] = {
    "none": [],
    "the first": [("Origin", "https://phone.example")],
    "the second": [("Origin", "https://other.example:8443")],
}
STRANGE: Final[dict[str, tuple[list[str], int]]] = {
    "another": (["https://evil.example"], 403),
    "null": (["null"], 403),
    "empty": ([""], 403),
    "a longer name": (["https://phone.example.evil.example"], 403),
    "a subdomain": (["https://a.phone.example"], 403),
    "a path": (["https://phone.example/"], 403),
    "a port": (["https://phone.example:443"], 403),
    "no port": (["https://other.example"], 403),
    "http": (["http://phone.example"], 403),
    "both": (["https://phone.example, https://other.example:8443"], 403),
    "two of them": (["https://phone.example", "https://phone.example"], 400),
}


@pytest.mark.parametrize("variant", ALLOWED)
def test_pages_of_our_origins_may_connect(variant: str, guarded: Site) -> None:
    handset = guarded.new_phone()
    with ConnectedPhone(handset.account, guarded.wss, "wss", opening=opening(*ALLOWED[variant])) as phone:
        assert phone.register().status == 200


@pytest.mark.parametrize("variant", STRANGE)
def test_pages_of_other_origins_may_not(variant: str, guarded: Site) -> None:
    values, status = STRANGE[variant]
    with pytest.raises(NotUpgraded) as refused:
        handset = guarded.new_phone()
        headers = [("Origin", value) for value in values]
        ConnectedPhone(handset.account, guarded.wss, "wss", opening=opening(*headers))
    assert refused.value.status == status


def test_without_a_list_any_page_may_connect(streams: Site) -> None:
    handset = streams.new_phone()
    headers = ("Origin", "https://evil.example")
    with ConnectedPhone(handset.account, streams.wss, "wss", opening=opening(headers)) as phone:
        assert phone.register().status == 200


# How many may come from one address


@contextmanager
def crowd(site: Site, source: str, count: int) -> Iterator[list[TcpPipe]]:
    """So many connections that say nothing."""
    with ExitStack() as stack:
        pipes = []
        for _ in range(count):
            pipe = TcpPipe(site.tcp, (source, 0))
            stack.callback(pipe.close)
            pipes.append(pipe)
        yield pipes


def is_closed(pipe: TcpPipe, within_seconds: float) -> bool:
    try:
        while pipe.read(within_seconds) is not None:
            pass
    except HungUp:
        return True
    return False


def test_an_address_has_so_many_places_for_strangers(guarded: Site) -> None:
    source = "127.0.0.50"
    handset, late = guarded.new_phone(), guarded.new_phone()
    refused = guarded.metric("registrar_connections_closed_total", reason="refused")
    with registered(guarded, handset, "tcp", source=(source, 0)), crowd(guarded, source, PER_SOURCE) as pipes:
        assert not is_closed(pipes[-1], 0.1), "who has proved an identity takes no place"
        with crowd(guarded, source, 2) as more:
            assert all(is_closed(pipe, 1.0) for pipe in more)
        assert guarded.metric("registrar_connections_closed_total", reason="refused") == refused + 2
        with registered(guarded, late, "tcp", source=("127.0.0.51", 0)):
            assert guarded.status(late)["online"] is True, "other addresses have theirs"
        left = guarded.metric("registrar_connections_closed_total", reason="peer")
        pipes[0].close()
        within(
            1,
            lambda: guarded.metric("registrar_connections_closed_total", reason="peer") > left,
            "it is noticed",
        )
        with connect(guarded, handset, "tcp", source=(source, 0)) as again:
            assert again.register().status == 200, "a place that was left is free"


def test_behind_a_proxy_the_places_are_those_of_the_address_it_names(guarded: Site) -> None:
    def come(address: str) -> RawWebSocket:
        return RawWebSocket(guarded.ws, opening((XFF, address)), source=(PROXY, 0))

    with ExitStack() as stack:
        crowd = [stack.enter_context(come("192.0.2.77")) for _ in range(PER_SOURCE)]
        assert {one.http().status for one in crowd} == {101}
        assert stack.enter_context(come("192.0.2.77")).ended(1.0), "one too many"
        assert stack.enter_context(come("192.0.2.78")).http().status == 101
        crowd[0].close()
        time.sleep(0.2)
        assert stack.enter_context(come("192.0.2.77")).http().status == 101
