"""Phones of other people, over TCP and TLS: sipp, baresip, baresip-python. And openssl looks at the TLS."""

import contextlib
import functools
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.patience import limit
from tests.peers.baresip import Baresip
from tests.peers.baresip_python import BaresipPython
from tests.peers.certificate import certify
from tests.peers.phone import Address
from tests.peers.ports import free_port
from tests.peers.process import Process
from tests.peers.registrar import DOMAIN
from tests.peers.sipp import Pace, Scenario, Sipp, Sockets
from tests.peers.sockets import local_ports
from tests.wire.need import need, need_module
from tests.wire.site import Fields, Handset, Site, kinds, within
from tests.wire.timeline import Timeline

pytestmark = pytest.mark.wire

SOURCE: Final = "127.0.0.1"
ONLINE_SECONDS: Final = 10.0
EXPIRES: Final = 60
REFRESH_PERCENT: Final = 5
"""Of EXPIRES: the phones come again after three seconds."""
REFRESH_SECONDS: Final = 10.0
OFFLINE_SECONDS: Final = limit(10.0)
SIPP_CALLS: Final = 2
SIPP_AGENT: Final = "sipp"
AGENTS: Final = {Baresip: "baresip v1.0.0 (", BaresipPython: "baresip-python"}
"""How they call themselves, or how that begins."""
SIPP_HOLD: Final = 8.0
"""How long a call of the sipp lasts that ends by itself: the other phones are refreshed meanwhile."""
CONTACT, EXPIRY, CALL_ID, CSEQ = 0, 1, 2, 3
"""Positions in a stored binding."""


@dataclass
class Desk:
    """A phone of somebody else's, and what was seen of it while it was online."""

    handset: Handset
    transport: str
    agent: str
    pid: int
    end: Callable[[], object]
    """Returns when its connection has ended."""
    status: dict[str, Any] = field(default_factory=dict)
    """In the API."""
    stored: Fields = field(default_factory=dict)
    """In Redis."""
    binding: list[Any] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)
    """The local ports of its process's connections, as the kernel tells them."""


Desks = dict[str, Desk]


class Office:
    """Starts phones, and ends those in the end that still run."""

    def __init__(self, site: Site, tmp: Path, stack: ExitStack) -> None:
        self._site = site
        self._tmp = tmp
        self._stack = stack
        self.ca = certificate(site)
        self.desks: Desks = {}

    def sipp(self, name: str, sockets: Sockets, hold: float, *, killed: bool) -> None:
        """SIPP_CALLS phones of one sipp: `<name> 1`, `<name> 2`."""
        handsets = [self._site.new_phone() for _ in range(SIPP_CALLS)]
        accounts = [handset.account for handset in handsets]
        pace = Pace(SIPP_CALLS, in_flight=SIPP_CALLS, sockets=sockets)
        scenario = Scenario(user_agent=SIPP_AGENT, expires=EXPIRES, hold=hold)
        sipp = self._stack.enter_context(Sipp(self._tmp, self._site.tcp, accounts, pace, scenario))
        end = sipp.kill9 if killed else sipp.result
        for number, handset in enumerate(handsets, 1):
            self._take(f"{name} {number}", Desk(handset, "tcp", SIPP_AGENT, sipp.pid, end))

    def baresip(self, kind: type[Baresip | BaresipPython], name: str, transport: str) -> None:
        handset = self._site.new_phone()
        phone = kind(
            self._tmp,
            handset.account,
            self._site.listeners[transport],
            transport=transport,
            ca=self.ca if transport == "tls" else None,
            interval=EXPIRES,
            refresh_percent=REFRESH_PERCENT,
        )
        self._stack.enter_context(phone)
        self._take(f"{name} {transport}", Desk(handset, transport, AGENTS[kind], phone.pid, phone.kill9))

    def _take(self, name: str, desk: Desk) -> None:
        """Note what the world sees of the phone, as soon as it is online."""
        site, handset = self._site, desk.handset
        within(ONLINE_SECONDS, lambda: site.status(handset)["online"], f"{name} is online")
        desk.status, desk.stored = site.status(handset), site.status_hash(handset)
        [desk.binding] = site.bindings(handset)
        desk.ports = local_ports(desk.pid, site.listeners[desk.transport])
        self.desks[name] = desk


SIPP_ONE: Final = ["sipp t1 1", "sipp t1 2"]
SIPP_EACH: Final = ["sipp tn 1", "sipp tn 2"]
SIPPS: Final = [*SIPP_ONE, *SIPP_EACH]
BARESIPS: Final = ["baresip tcp", "baresip tls", "baresip-python tcp", "baresip-python tls"]


@pytest.fixture(scope="module")
def desks(streams: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    """All of them, online at once."""
    need("sipp", "baresip")
    need_module("baresip")
    with ExitStack() as stack:
        office = Office(streams, tmp_path_factory.mktemp("office"), stack)
        for transport in ("tcp", "tls"):
            office.baresip(Baresip, "baresip", transport)
            office.baresip(BaresipPython, "baresip-python", transport)
        office.sipp("sipp t1", Sockets.ONE_TCP, 60.0, killed=True)
        office.sipp("sipp tn", Sockets.TCP_PER_CALL, SIPP_HOLD, killed=False)
        yield office.desks


def certificate(site: Site) -> Path:
    """What the server made for itself: its own authority."""
    return Path(site.settings["data_dir"]) / "tls.crt"


# Online: who, where, by what


@pytest.mark.parametrize("name", [*SIPPS, *BARESIPS])
def test_the_api_tells_what_the_kernel_knows(name: str, desks: Desks) -> None:
    desk = desks[name]
    status = desk.status
    assert (status["online"], status["state"], status["transport"]) == (True, "registered", desk.transport)
    assert (status["publicIpAddress"], status["localIpAddress"]) == (SOURCE, SOURCE)
    assert status["publicPort"] in desk.ports
    assert status["userAgent"].startswith(desk.agent)
    assert max(0, EXPIRES - limit(ONLINE_SECONDS)) < status["expires"] <= EXPIRES


@pytest.mark.parametrize("name", [*SIPPS, *BARESIPS])
def test_redis_tells_the_same(name: str, desks: Desks) -> None:
    desk = desks[name]
    same = "publicIpAddress", "localIpAddress", "userAgent", "transport", "state", "reason"
    assert {key: desk.stored[key] for key in same} == {key: desk.status[key] for key in same}
    assert desk.stored["publicPort"] == str(desk.status["publicPort"])
    assert (desk.stored["online"], int(desk.stored["expiresAt"])) == ("1", desk.binding[EXPIRY])


def test_phones_of_one_connection_have_one_port_and_others_have_their_own(desks: Desks) -> None:
    assert [len(desks[name].ports) for name in [*SIPP_ONE, *SIPP_EACH]] == [1, 1, 2, 2]
    assert {desks[name].status["publicPort"] for name in SIPP_ONE} == desks["sipp t1 1"].ports
    assert {desks[name].status["publicPort"] for name in SIPP_EACH} == desks["sipp tn 1"].ports


# A refresh is no event


def later(site: Site, desk: Desk) -> bool:
    """Whether it is bound for longer than it was at first."""
    return any(row[EXPIRY] > desk.binding[EXPIRY] for row in site.bindings(desk.handset))


@pytest.fixture(scope="module")
def refreshed(streams: Site, desks: Desks) -> dict[str, list[list[Any]]]:
    """The bindings of the phones that refresh by themselves, after they did."""
    for name in BARESIPS:
        within(REFRESH_SECONDS, functools.partial(later, streams, desks[name]), f"{name} is refreshed")
    return {name: streams.bindings(desks[name].handset) for name in BARESIPS}


@pytest.mark.parametrize("name", BARESIPS)
def test_a_refresh_keeps_the_binding_and_the_connection(
    name: str, streams: Site, desks: Desks, refreshed: dict[str, list[list[Any]]]
) -> None:
    desk = desks[name]
    assert len(refreshed[name]) == 1
    [row] = refreshed[name]
    assert (row[CONTACT], row[CALL_ID]) == (desk.binding[CONTACT], desk.binding[CALL_ID])
    assert row[CSEQ] > desk.binding[CSEQ]
    assert kinds(streams.journal(desk.handset)) == ["locked", "registered"], "all of it is of the first time"
    assert int(streams.status_hash(desk.handset)["publicPort"]) == desk.status["publicPort"]
    assert local_ports(desk.pid, streams.listeners[desk.transport]) == desk.ports


# Offline: why, and how soon


@dataclass
class Over:
    """All phones were ended; when, and what was seen of them from then on."""

    timeline: Timeline
    at: dict[str, float]


@pytest.fixture(scope="module")
def over(streams: Site, desks: Desks, refreshed: dict[str, list[list[Any]]]) -> Over:
    assert set(refreshed) == set(BARESIPS)
    at: dict[str, float] = {}
    with Timeline(streams, [desk.handset for desk in desks.values()]) as timeline:
        for name, desk in desks.items():
            desk.end()
            at[name] = time.monotonic()
        within(
            OFFLINE_SECONDS + 1,
            lambda: all(timeline.offline(desk.handset, at[name]) for name, desk in desks.items()),
            "all are offline",
        )
    return Over(timeline, at)


@pytest.mark.parametrize("name", [*SIPPS, *BARESIPS])
def test_the_end_of_its_connection_takes_a_phone_offline(
    name: str, streams: Site, desks: Desks, over: Over
) -> None:
    handset = desks[name].handset
    look = over.timeline.offline(handset, over.at[name])
    assert look is not None
    assert look.at - over.at[name] <= OFFLINE_SECONDS
    assert (look.state, look.reason) == ("offline", "socket-closed")
    status = streams.status(handset)
    assert (status["online"], status["reason"], status["expires"]) == (False, "socket-closed", -1)
    assert status["transport"] == desks[name].transport, "it says still by what it was there"


def test_sipp_counts_no_failed_call(streams: Site, tmp_path: Path) -> None:
    need("sipp")
    phones = [streams.new_phone().account for _ in range(20)]
    for sockets in (Sockets.ONE_TCP, Sockets.TCP_PER_CALL):
        pace = Pace(len(phones), in_flight=10, sockets=sockets, timeout=20)
        with Sipp(tmp_path, streams.tcp, phones, pace) as sipp:
            result = sipp.result()
        assert (result.succeeded, result.failed, result.retransmitted) == (len(phones), 0, 0)
        assert result.codes == {401: len(phones), 200: len(phones)}


def test_a_phone_that_verifies_goes_away_from_a_stranger(
    streams: Site, device: Handset, tmp_path: Path
) -> None:
    """baresip-python asks for proof; Debian's baresip 1.0 does not."""
    need_module("baresip")
    stranger = tmp_path / "stranger.crt"
    stranger.write_bytes(certify(DOMAIN)[0])
    phone = BaresipPython(tmp_path, device.account, streams.tls, transport="tls", ca=stranger)
    assert "certificate verify failed" in phone.refusal(within=15)
    assert streams.bindings(device) == []
    assert "publicIpAddress" not in streams.status_hash(device), "it never got as far as a REGISTER"


# openssl s_client

OPENSSL_SECONDS: Final = 10.0
ANY_CIPHER: Final = ("-cipher", "DEFAULT@SECLEVEL=0")
"""Else openssl itself would refuse what is older than TLS 1.2."""
OLD: Final = ["tls1", "tls1_1"]
NEW: Final = {"tls1_2": "TLSv1.2", "tls1_3": "TLSv1.3"}
LISTENERS: Final = ["tls", "wss"]
GIVES_UP_SECONDS: Final = 1.0
NO_CIPHER: Final = "Cipher is (NONE)"


@pytest.fixture(scope="module")
def lenient(streams: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A server of openssl's that does all that ours must not, with our certificate."""
    need("openssl")
    address = ("127.0.0.1", free_port())
    own = certificate(streams)
    argv = ["openssl", "s_server", "-www", "-accept", "{}:{}".format(*address), "-client_renegotiation"]
    argv += ["-cert", str(own), "-key", str(own.with_suffix(".key")), *ANY_CIPHER]
    process = Process("openssl", argv, tmp_path_factory.mktemp("openssl"))
    with process:
        process.wait_ready(lambda: "ACCEPT" in process.last_lines())
        yield address


def s_client(server: Address, *options: str) -> subprocess.CompletedProcess[str]:
    """What openssl says of a handshake, after which it leaves."""
    need("openssl")
    return subprocess.run(
        ["openssl", "s_client", "-connect", "{}:{}".format(*server), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=OPENSSL_SECONDS,
    )


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("listener", LISTENERS)
def test_old_tls_is_refused(listener: str, version: str, streams: Site, lenient: Address) -> None:
    options = (f"-{version}", *ANY_CIPHER)
    assert NO_CIPHER not in s_client(lenient, *options).stdout, "this openssl can speak it"
    refused = s_client(streams.listeners[listener], *options)
    assert refused.returncode != 0
    assert NO_CIPHER in refused.stdout


@pytest.mark.parametrize(
    "name", ["-verify_ip 127.0.0.1", "-verify_hostname localhost", f"-verify_hostname {DOMAIN}"]
)
@pytest.mark.parametrize("version", NEW)
@pytest.mark.parametrize("listener", LISTENERS)
def test_new_tls_is_spoken_under_each_name(listener: str, version: str, name: str, streams: Site) -> None:
    trust = ("-CAfile", str(certificate(streams)), "-verify_return_error")
    done = s_client(streams.listeners[listener], f"-{version}", *trust, *name.split())
    assert done.returncode == 0, done.stderr
    assert "Verification: OK" in done.stdout
    assert f"New, {NEW[version]}, Cipher is " in done.stdout
    assert NO_CIPHER not in done.stdout


@pytest.mark.parametrize("listener", LISTENERS)
def test_under_another_name_it_is_not_believed(listener: str, streams: Site) -> None:
    trust = ("-CAfile", str(certificate(streams)), "-verify_return_error")
    done = s_client(streams.listeners[listener], *trust, "-verify_hostname", "elsewhere.example")
    assert done.returncode != 0
    assert "hostname mismatch" in (done.stdout + done.stderr).lower()


def renegotiate(server: Address) -> tuple[int, str]:
    """Ask for new keys within a connection of TLS 1.2: how openssl ended, and what it said."""
    need("openssl")
    argv = ["openssl", "s_client", "-connect", "{}:{}".format(*server), "-tls1_2"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as client:
        assert client.stdin
        client.stdin.write("R\n")
        client.stdin.flush()
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(GIVES_UP_SECONDS)  # or goes on, until its input ends
        said, _ = client.communicate(timeout=OPENSSL_SECONDS)
    assert "RENEGOTIATING" in said
    return client.returncode, said


def test_new_keys_within_a_connection_are_refused(streams: Site, lenient: Address) -> None:
    code, said = renegotiate(lenient)
    assert (code, "no renegotiation" in said) == (0, False), "this openssl can do it"
    for listener in LISTENERS:
        code, said = renegotiate(streams.listeners[listener])
        assert code != 0
        assert "no renegotiation" in said
