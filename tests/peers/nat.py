"""Homes behind routers that translate addresses, each with a network of its own, around one public network.

A home is a `Namespace` whose packets leave by a router, which is another one: nftables gives them the
router's public address, and lets in only what answers. Two homes may use the same private addresses.
"""

import os
import subprocess
from types import TracebackType
from typing import Final, Self

from tests.peers.netns import BRIDGE, PATH, Namespace

RULES: Final = """
table ip nat {
  chain leaving {
    type nat hook postrouting priority 100;
    oifname "wan" masquerade;
  }
}
"""
PRIVATE: Final = "192.168.1"
"""The network of every home: routers come with it."""


class Home:
    """A home behind one router. Enter it by `inside.entered()`; `public` is the address that others see."""

    def __init__(self, outside: Namespace, public: str) -> None:
        """`outside` is the public network; it lives longer than the home."""
        self.public = public
        self.address = f"{PRIVATE}.2"
        self.inside = Namespace(self.address)
        self._outside = outside
        self._router = Namespace(f"{PRIVATE}.1")

    def __enter__(self) -> Self:
        self.inside.start()
        self._router.start()
        _cable(self._router, "lan", self.inside, "lan")
        _cable(self._router, "wan", self._outside, "home" + self.public.rpartition(".")[2])
        with self._router.entered():
            _run("ip", "link", "set", "lan", "master", BRIDGE)
            _run("ip", "address", "add", f"{self.public}/24", "dev", "wan")
            _run("nft", "-f", "-", text=RULES)
            with open("/proc/sys/net/ipv4/ip_forward", "w") as switch:
                switch.write("1")
        with self.inside.entered():
            _run("ip", "route", "add", "default", "via", f"{PRIVATE}.1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inside.close()
        self._router.close()


class Street:
    """A network with one address that everybody sees: no router translates it."""

    def __init__(self, outside: Namespace, address: str) -> None:
        self.public = self.address = address
        self.inside = Namespace(address)
        self._outside = outside

    def __enter__(self) -> Self:
        self.inside.start()
        _cable(self.inside, "road", self._outside, "road" + self.address.rpartition(".")[2])
        with self.inside.entered():
            _run("ip", "link", "set", "road", "master", BRIDGE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inside.close()


def _cable(one: Namespace, name: str, other: Namespace, other_name: str) -> None:
    """Two ends of a cable; the far end is on the bridge of `other`."""
    with one.entered():
        far = f"/proc/{os.getpid()}/fd/{other.descriptor}"
        _run("ip", "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", far)
        _run("ip", "link", "set", name, "up")
    with other.entered():
        _run("ip", "link", "set", other_name, "up")
        _run("ip", "link", "set", other_name, "master", BRIDGE)


def _run(*argv: str, text: str = "") -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, env={"PATH": PATH})
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
