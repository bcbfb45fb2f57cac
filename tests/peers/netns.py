"""A network of the test's own: a namespace with loopback and one more address, where media may flow.

A thread *enters* it: whatever that thread then does happens inside, the sockets it opens (asyncio's too) and
the programs it starts (`Process`, `Browser`, `RegistrarServer`, `subprocess`: they ask for the namespace of
the thread that calls `start`). Threads that it starts are inside as well. Nothing else has to know of it:

    with Namespace() as network, network.entered():
        with Rtpengine(tmp, network.address) as engine: ...

Why not `ip netns add`: a namespace with a name outlives a run that is killed, two runs must agree on names,
and containers often forbid the mount. This one has no name: the kernel removes it with its last process and
the descriptor held here, and because nobody else sees it, every xdist worker and every test may use the same
addresses and ports. An entered namespace belongs to one thread of one worker, so workers do not disturb each
other; the other threads of the worker (xdist's own among them) stay where they are.

A session-scoped server that a test asks for while it is inside would be started inside: ask for it before.
To look inside from a terminal: `nsenter --net=/proc/<pid of any program in it>/ns/net ip address`.
"""

import ctypes
import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self, TypeVar

CLONE_NEWNET: Final = 0x40000000
"""Of linux/sched.h; Python 3.11 has neither unshare nor setns."""
OWN: Final = "/proc/thread-self/ns/net"
ADDRESS: Final = "10.77.0.1"
BRIDGE: Final = "br0"
CABLE: Final = "cable"
PATH: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
Result = TypeVar("Result")


def missing_parts() -> list[str]:
    """What a namespace needs and is not here, for people."""
    missing = [] if shutil.which("ip", path=PATH) else ["iproute2 (deploy/peers.sh)"]
    return missing if os.geteuid() == 0 else [*missing, "root"]


def here(work: Callable[[], Result]) -> Callable[[], Result]:
    """`work`, to be called once by any thread, done in the namespace of the thread that is here now."""
    name = os.readlink(OWN)
    inside = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)

    def carried() -> Result:
        try:
            if os.readlink(OWN) == name:  # entering, even one's own, takes root
                return work()
            with _inside(inside):
                return work()
        finally:
            os.close(inside)

    return carried


class Namespace:
    """A namespace with 127.0.0.1 and `addresses` on an empty bridge; they reach each other and nobody else.

    ICE leaves loopback out, so the media tests use `address`. There is no route to anywhere.
    """

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses or (ADDRESS,)
        self._descriptor = -1

    @property
    def address(self) -> str:
        """The first of its addresses."""
        return self.addresses[0]

    @property
    def descriptor(self) -> int:
        """What names it to `ip` and `nsenter`, as /proc/<pid>/fd/<descriptor>; while it lives."""
        return self._descriptor

    @contextmanager
    def entered(self) -> Iterator[Self]:
        """The calling thread is inside until the block ends; then it is back where it was."""
        with _inside(self._descriptor):
            yield self

    def socket(self, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        """A socket that is inside, for a thread that is not."""
        with self.entered():
            return socket.socket(socket.AF_INET, kind)

    def argv(self, *argv: str) -> list[str]:
        """A command line that runs a program inside, for what starts programs by itself; while we live."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self._descriptor}", *argv]

    def join(self, other: "Namespace", ours: str, theirs: str, *, mtu: int = 1_500) -> None:
        """Lay a cable to another one, with an address at either end."""
        place = f"/proc/{os.getpid()}/fd/{other._descriptor}"
        names = ("name", CABLE, "mtu", str(mtu), "type", "veth", "peer", "name", CABLE, "mtu", str(mtu))
        with self.entered():
            _ip("link", "add", *names, "netns", place)
        for network, address in ((self, ours), (other, theirs)):
            with network.entered():
                _ip("address", "add", f"{address}/24", "dev", CABLE)
                _ip("link", "set", CABLE, "up")

    def drop_fragments(self) -> None:
        """Let no piece of a packet in, as many home routers and VPNs do."""
        chain = "type filter hook prerouting priority -450\n ip frag-off & 0x3fff != 0 drop"
        self._nft(f"table ip whole {{\n chain in {{\n {chain}\n }}\n}}\n")

    def drop(self, *, coming: Sequence[str] = (), leaving: Sequence[str] = ()) -> None:
        """Lose the packets that these expressions of nftables match, until `deliver`."""
        chains = [_chain("input", coming), _chain("output", leaving)]
        self._nft("table ip losses {\n" + "".join(chains) + "}\n")

    def deliver(self) -> int:
        """Lose no packet any more, and return how many were lost."""
        counted = self._nft("list table ip losses\n")
        self._nft("delete table ip losses\n")
        return sum(map(int, re.findall(r"counter packets (\d+)", counted)))

    def _nft(self, commands: str) -> str:
        with self.entered():
            done = subprocess.run(
                ["nft", "-f", "-"], input=commands, capture_output=True, text=True, env={"PATH": PATH}
            )
        if done.returncode != 0:
            raise OSError(f"nft: {done.stderr.strip()}")
        return done.stdout

    def start(self) -> None:
        """Make it."""
        with ThreadPoolExecutor(1, "namespace") as thread:
            self._descriptor = thread.submit(self._make).result()

    def close(self) -> None:
        """Let go of it: it is gone when the last program inside has ended."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _make(self) -> int:
        """In a thread of its own, which ends after it and never sees another namespace again."""
        _called("unshare", CLONE_NEWNET)
        _ip("link", "set", "lo", "up")
        # Else its address changes with each cable that is laid, and neighbours go on sending to the old one.
        octets = ":".join(f"{octet:02x}" for octet in secrets.token_bytes(5))
        _ip("link", "add", BRIDGE, "address", f"02:{octets}", "type", "bridge")
        for address in self.addresses:
            length = "/64" if ":" in address else "/24"
            about = ["nodad"] if ":" in address else []  # nobody else is there who could have it
            _ip("address", "add", address + length, "dev", BRIDGE, *about)
        _ip("link", "set", BRIDGE, "up")
        return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _chain(hook: str, lost: Sequence[str]) -> str:
    """A chain that counts and drops what any of these expressions matches."""
    rules = "".join(f"  {one} counter drop\n" for one in lost)
    return f" chain {hook} {{\n  type filter hook {hook} priority 0\n{rules} }}\n"


@contextmanager
def _inside(descriptor: int) -> Iterator[None]:
    before = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _called("setns", descriptor, CLONE_NEWNET)
        try:
            yield
        finally:
            _called("setns", before, CLONE_NEWNET)
    finally:
        os.close(before)


def _called(function: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, env={"PATH": PATH})
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
