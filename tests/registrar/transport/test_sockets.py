"""Sockets of one address for several processes, and an address that another program has."""

import errno
import socket
from contextlib import ExitStack
from functools import partial

import pytest

from registrar.transport import sockets
from tests.every import every


def test_all_sockets_of_an_address_get_a_part_and_each_peer_stays_at_one() -> None:
    with ExitStack() as stack:
        ours = [stack.enter_context(one) for one in sockets.several(sockets.udp, "127.0.0.1", 0, 2)]
        assert ours[0].getsockname() == ours[1].getsockname()
        peers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(64)]
        for text in (b"one", b"two"):
            for peer in peers:
                peer.sendto(text, ours[0].getsockname())
        heard = [_all(one) for one in ours]
    assert sum(map(len, heard)) == 128
    assert all(heard), "the kernel gave all to one: by chance in 1 of 2^63 runs"
    assert not {place for place, _ in heard[0]} & {place for place, _ in heard[1]}


@every(("open_one", "kind"), [(sockets.udp, socket.SOCK_DGRAM), (sockets.stream, socket.SOCK_STREAM)])
def test_an_address_of_another_program_is_refused(open_one: sockets.Open, kind: socket.SocketKind) -> None:
    """The other one has set SO_REUSEPORT, too, so the kernel would let both have it."""
    with socket.socket(socket.AF_INET, kind) as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        foreign.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            foreign.listen()
        port = foreign.getsockname()[1]
        with partial(open_one, shared=True)("127.0.0.1", port):
            pass  # the kernel lets both have it
        with pytest.raises(OSError, match="in use") as refused:
            sockets.several(open_one, "127.0.0.1", port, 2)
    assert refused.value.errno == errno.EADDRINUSE


def _all(opened: socket.socket) -> list[tuple[tuple[str, int], bytes]]:
    found: list[tuple[tuple[str, int], bytes]] = []
    while True:
        try:
            data, place = opened.recvfrom(100)
        except BlockingIOError:
            return found
        found.append((place, data))
