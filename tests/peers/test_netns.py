"""A namespace holds what is started inside, lets nothing out, and leaves the rest of the process alone."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import limit
from tests.peers.netns import OWN, Namespace
from tests.peers.process import Process
from tests.wire.need import need_namespace

pytestmark = pytest.mark.wire


@pytest.fixture
def network() -> Iterator[Namespace]:
    need_namespace()
    with Namespace() as network:
        yield network


def reaches(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.bind((address, 0))
        except OSError:
            return False
        return True


def test_a_thread_is_inside_for_as_long_as_it_says(network: Namespace) -> None:
    assert not reaches(network.address)
    with network.entered():
        assert reaches(network.address)
    assert not reaches(network.address)


def test_two_namespaces_use_one_address_and_port(network: Namespace) -> None:
    with Namespace() as other, network.socket() as ours, other.socket() as theirs:
        with network.entered():
            ours.bind((network.address, 5060))
        with other.entered():
            theirs.bind((network.address, 5060))
        assert ours.getsockname() == theirs.getsockname()


def test_programs_are_started_where_the_thread_is(network: Namespace, tmp_path: Path) -> None:
    with network.entered():
        inside = os.readlink(OWN)
        with Process("sleeper", ["sleep", "20"], tmp_path) as program:
            assert os.readlink(f"/proc/{program.pid}/ns/net") == inside
    with Process("sleeper", ["sleep", "20"], tmp_path) as program:
        assert os.readlink(f"/proc/{program.pid}/ns/net") == os.readlink(OWN) != inside


def test_a_command_line_runs_inside(network: Namespace) -> None:
    listing = subprocess.run(network.argv("ip", "-o", "address"), capture_output=True, text=True, check=True)
    assert "10.77.0.1/24" in listing.stdout


async def test_an_event_loop_works_inside(network: Namespace) -> None:
    heard = asyncio.get_running_loop().create_future()

    class Listener(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.set_result(data)

    with network.entered():
        loop = asyncio.get_running_loop()
        listener, _ = await loop.create_datagram_endpoint(Listener, local_addr=(network.address, 7000))
        speaker, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(network.address, 7000)
        )
        speaker.sendto(b"here")
        assert await asyncio.wait_for(heard, limit(5)) == b"here"
        listener.close()
        speaker.close()


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    need_namespace()

    def is_known() -> bool:
        listing = subprocess.run(["lsns", "--type", "net", "--noheadings"], capture_output=True, text=True)
        return name.strip("net:[]") in listing.stdout

    before = len(os.listdir("/proc/self/fd"))
    with Namespace() as network, network.entered(), Process("sleeper", ["sleep", "20"], tmp_path):
        name = os.readlink(OWN)
        assert is_known()
    assert len(os.listdir("/proc/self/fd")) == before
    assert not is_known()
