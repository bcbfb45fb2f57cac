"""Debian's rtpengine in userspace, the media relay, on an address and ports of the test's own."""

import contextlib
import itertools
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from registrar.store.ng import Decoded, Encodable, decode, encode
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed, Process, freeze, thaw

PROGRAM: Final = "rtpengine"
ASK_SECONDS: Final = 1.0
ASK_TIMES: Final = 5
PORTS: Final = 200
"""Of one engine: a call with two legs takes four."""
FIRST: Final = 61_000
"""Above the ports that the kernel gives away by itself."""
_blocks: Final = itertools.cycle(range(FIRST, 65_400, PORTS))
"""Where the ports of the next engine begin: two in one network must not share any."""


class Rtpengine:
    """One daemon; in a `Namespace` give it an address there, since browsers leave loopback out."""

    def __init__(
        self, tmp: Path, address: str = "127.0.0.1", *, ports: int = PORTS, options: tuple[str, ...] = ()
    ) -> None:
        self.address = address
        self.control = (address, free_port(address))
        first = next(_blocks)
        self._cookies = itertools.count()
        self._process = Process(
            "rtpengine",
            [
                PROGRAM,
                "--config-file=none",
                "--table=-1",  # no kernel module
                f"--interface={address}",
                f"--listen-ng={address}:{self.control[1]}",
                f"--port-min={first}",
                f"--port-max={first + ports - 1}",
                "--foreground",
                "--log-stderr",
                "--log-level=6",
                *options,
            ],
            tmp / f"rtpengine-{self.control[1]}",
        )

    @property
    def name(self) -> str:
        """As it stands in REGISTRAR_RTPENGINE."""
        return "{}:{}".format(*self.control)

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """The last lines it wrote: which leg got no packets, whether DTLS went well."""
        return self._process.last_lines()

    def start(self) -> None:
        """Start, and return when it answers."""
        self._process.start()
        self._process.wait_ready(self._answers)

    def stop(self) -> None:
        self._process.stop()

    def kill9(self) -> None:
        self._process.kill9()

    def pause(self) -> None:
        """It is there, and answers nothing, until `resume`."""
        freeze(self.pid)

    def resume(self) -> None:
        thaw(self.pid)

    def ask(self, command: str, **arguments: Encodable) -> dict[bytes, Decoded]:
        """One command of the ng protocol. PeerFailed when nobody answers."""
        cookie = f"test{next(self._cookies)}".encode()
        body = encode(
            {"command": command, **{key.replace("_", "-"): value for key, value in arguments.items()}}
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(ASK_SECONDS)
            sender.connect(self.control)
            for _ in range(ASK_TIMES):
                with contextlib.suppress(TimeoutError, ConnectionError):
                    sender.send(cookie + b" " + body)
                    value = decode(sender.recv(65_536).partition(b" ")[2])
                    if isinstance(value, dict):
                        return value
        raise PeerFailed(f"rtpengine does not answer {command}\n{self.log}")

    def sessions(self) -> list[str]:
        """The sessions that are there; empty when nothing has leaked."""
        calls = self.ask("list", limit=500)[b"calls"]
        assert isinstance(calls, list)
        return sorted(call.decode() for call in calls if isinstance(call, bytes))

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.05)
            sender.connect(self.control)
            try:
                sender.send(b"ready d7:command4:pinge")
                return b"pong" in sender.recv(1024)
            except (TimeoutError, ConnectionError):
                return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
