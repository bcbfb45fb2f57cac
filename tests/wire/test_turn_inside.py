"""Debian's coturn with the flags of deploy/compose.yaml: it leads nowhere but outside, and to rtpengine.

It runs in a network of the test's own, at a private MEDIA_ADDRESS, beside a host that nobody should reach.
"""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.coturn import PROGRAMS, ComposedCoturn, composed
from tests.peers.netns import Namespace, _ip
from tests.peers.rtp import RtpParty, assert_talk, audio_address
from tests.peers.rtpengine import Rtpengine
from tests.peers.turn import TCP, Pipe, TurnClient, relayed
from tests.wire.need import need, need_namespace

pytestmark = pytest.mark.wire

SECRET: Final = "what coturn and the registrar share"
MEDIA: Final = "10.77.0.1"
CLIENT: Final = "10.77.0.2"
SERVICE: Final = "10.77.0.3"
"""Something inside that talks to its neighbours."""
MEDIA_IPV6: Final = "fd77::1"
SERVER: Final = (MEDIA, 3478)
FORBIDDEN: Final = 403
QUOTA: Final = 12
INSIDE: Final = (
    SERVICE, "0.0.0.0", "0.0.0.1", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.168.0.1",
    "192.168.255.255", "198.18.0.1", "198.19.255.255", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255",
)  # fmt: skip
INSIDE_IPV6: Final = (
    "::", "::1", f"::ffff:{SERVICE}", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::10.77.0.3", "64:ff9b::a4d:3",
    "64:ff9b:1::a4d:3", "100::1", "2001::1", "2001:db8::1", "2002:a4d:3::1", "fc00::1", "fd77::2", "fdff::1",
    "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
)  # fmt: skip
OUTSIDE: Final = (
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "172.32.0.1",
    "192.169.0.1",
    "223.255.255.1",
)
OUTSIDE_IPV6: Final = ("2001:4860:4860::8888", "2a00::1", "2600::1")


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[Namespace]:
    """All tests of this module are inside."""
    need(*PROGRAMS, "rtpengine")
    need_namespace()
    with Namespace(MEDIA, CLIENT, SERVICE) as network, network.entered():
        _ip("address", "add", f"{MEDIA_IPV6}/64", "dev", "br0", "nodad")
        yield network


@pytest.fixture(scope="module")
def coturn(network: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedCoturn]:
    with ComposedCoturn(tmp_path_factory.mktemp("coturn"), SECRET, MEDIA) as server:
        yield server


@pytest.fixture(params=[False, True], ids=["UDP", "TCP"])
def client(coturn: ComposedCoturn, request: pytest.FixtureRequest) -> Iterator[TurnClient]:
    """A client with a relay, over one or the other."""
    with TurnClient(SERVER, SECRET, tcp=request.param, source=CLIENT) as client:
        assert client.allocate().code == 0
        yield client


def test_the_inside_is_refused(client: TurnClient) -> None:
    assert {peer: client.permit(peer) for peer in INSIDE} == dict.fromkeys(INSIDE, FORBIDDEN)
    assert {peer: client.bind(peer) for peer in INSIDE} == dict.fromkeys(INSIDE, FORBIDDEN)


def test_the_outside_and_rtpengine_are_not(client: TurnClient) -> None:
    assert {peer: client.permit(peer) for peer in (*OUTSIDE, MEDIA)} == dict.fromkeys((*OUTSIDE, MEDIA), 0)


def test_an_address_of_ipv6_is_none_for_a_relay_of_ipv4(client: TurnClient) -> None:
    assert client.permit(f"::ffff:{SERVICE}") == 443


def test_nothing_arrives_inside(client: TurnClient) -> None:
    """Permission for an allowed address opens no other one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service, contextlib.ExitStack() as stack:
        service.bind((SERVICE, 0))
        media = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        media.bind((MEDIA, 0))
        assert client.permit(MEDIA) == 0
        client.send(SERVICE, service.getsockname()[1], b"from outside")
        client.send(MEDIA, media.getsockname()[1], b"to rtpengine")
        media.settimeout(60)
        assert media.recv(100) == b"to rtpengine"
        service.settimeout(0.5)
        with pytest.raises(TimeoutError):
            service.recv(100)


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_there_is_no_relay_over_tcp(coturn: ComposedCoturn, tcp: bool) -> None:
    with TurnClient(SERVER, SECRET, tcp=tcp, source=CLIENT) as client:
        assert client.allocate(transport=TCP).code in (442, 400)
        assert client.connect(SERVICE, 22) != 0
        assert client.allocate().code == 0
        assert client.connect(SERVICE, 22) != 0
        assert client.connect(MEDIA, 22) != 0


def test_no_credential_has_more_relays_than_its_quota(coturn: ComposedCoturn) -> None:
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(TurnClient(SERVER, SECRET, phone="greedy", source=CLIENT))
            for _ in range(QUOTA + 1)
        ]
        assert [client.allocate().code for client in clients] == [0] * QUOTA + [486]
        with TurnClient(SERVER, SECRET, phone="another", source=CLIENT) as other:
            assert other.allocate().code == 0


def test_a_wrong_secret_gets_nothing(coturn: ComposedCoturn) -> None:
    with TurnClient(SERVER, SECRET[::-1], source=CLIENT) as client:
        assert client.allocate().code == 401


def test_the_secret_stands_on_no_command_line(coturn: ComposedCoturn) -> None:
    command = Path(f"/proc/{coturn.pid}/cmdline").read_text()
    assert "--use-auth-secret" in command
    assert SECRET not in command
    assert not [word for word in composed()["services"]["coturn"]["command"] if "SECRET" in word]


def test_the_inside_of_ipv6_is_refused(network: Namespace, coturn: ComposedCoturn, tmp_path: Path) -> None:
    with (
        ComposedCoturn(tmp_path, SECRET, MEDIA_IPV6),
        TurnClient((MEDIA_IPV6, 3478), SECRET) as client,
    ):
        assert client.allocate(ipv6=True).code == 0
        assert {peer: client.permit(peer) for peer in INSIDE_IPV6} == dict.fromkeys(INSIDE_IPV6, FORBIDDEN)
        allowed = (*OUTSIDE_IPV6, MEDIA_IPV6)
        assert {peer: client.permit(peer) for peer in allowed} == dict.fromkeys(allowed, 0)


def test_sound_comes_through_the_relay_to_rtpengine(coturn: ComposedCoturn, tmp_path: Path) -> None:
    """One party only reaches the TURN server; both sides send to rtpengine at the private MEDIA_ADDRESS."""
    with (
        Rtpengine(tmp_path, MEDIA) as engine,
        TurnClient(SERVER, SECRET, source=CLIENT) as client,
        RtpParty(CLIENT, 1_000) as far,
        RtpParty(SERVICE, 440) as near,
    ):
        relay = relayed(client.allocate())
        assert relay[0] == MEDIA
        for_far = describe(engine, "offer", far.sdp().replace(*at(far, relay)), "far")
        assert audio_address(for_far)[0] == MEDIA
        near.follow(for_far)
        answer = describe(engine, "answer", near.sdp(), "far", "near")
        assert client.bind(*audio_address(answer)) == 0
        with Pipe(client, CLIENT) as pipe:
            far.remote = pipe.address
            assert_talk(far, near)


def at(party: RtpParty, relay: tuple[str, int]) -> tuple[bytes, bytes]:
    """The line of a description that names the port of a party, and what stands there for its relay."""
    return f"m=audio {party.address[1]} ".encode(), f"m=audio {relay[1]} ".encode()


def describe(engine: Rtpengine, command: str, sdp: bytes, *tags: str) -> bytes:
    """A description through the engine, of the first party or of both."""
    names = dict(zip(("from_tag", "to_tag"), tags, strict=False))
    answer = engine.ask(command, call_id="turn", sdp=sdp.replace(CLIENT.encode(), MEDIA.encode()), **names)
    assert answer[b"result"] == b"ok", answer
    changed = answer[b"sdp"]
    assert isinstance(changed, bytes)
    return changed
