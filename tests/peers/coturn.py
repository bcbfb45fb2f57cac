"""Debian's coturn on loopback, which checks credentials that run out by themselves, and its own client."""

import re
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml  # type: ignore[import-untyped]  # it has no types

from tests.patience import limit
from tests.peers.ports import free_port
from tests.peers.process import CLEAN_ENVIRONMENT, PeerFailed, Process

PROGRAMS: Final = ("turnserver", "turnutils_uclient")
CLIENT_SECONDS: Final = limit(30.0)
LOOK_SECONDS: Final = 0.2
BINDING_REQUEST: Final = bytes.fromhex("000100002112a442") + b"are you here"
"""STUN without credentials (RFC 8489 section 5): type, length, magic cookie, transaction id."""
BINDING_ANSWER: Final = bytes.fromhex("0101")
REALM: Final = "turn.example"


DEFAULT_PORT: Final = 3478
COMPOSITION: Final = Path(__file__).parents[2] / "deploy" / "compose.yaml"
SECRET_FILE: Final = "/etc/coturn/secret.conf"
"""Where the composition puts the secret in the container."""


class Coturn:
    """A TURN server; whoever knows its secret can make credentials for it."""

    def __init__(self, tmp: Path, secret: str, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = self._port()
        folder = tmp / f"coturn-{self.port}"
        self._process = Process("coturn", self._argv(folder, secret), folder)

    def _port(self) -> int:
        return free_port(self.host)

    def _argv(self, folder: Path, secret: str) -> list[str]:
        host = self.host
        options = {
            "listening-ip": host,
            "relay-ip": host,
            "listening-port": str(self.port),
            "static-auth-secret": secret,
            "realm": REALM,
            "db": str(folder / "turn.db"),
            "pidfile": str(folder / "turn.pid"),
            "log-file": "stdout",
        }
        flags = ("use-auth-secret", "no-cli", "no-tls", "no-dtls", "allow-loopback-peers", "simple-log")
        argv = ["turnserver", "-n", *(f"--{flag}" for flag in flags)]
        return argv + [f"--{name}={value}" for name, value in options.items()]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        """For REGISTRAR_TURN_URLS."""
        return f"turn:{self.host}:{self.port}?transport=udp"

    def relays(self, username: str, credential: str) -> bool:
        """Whether coturn's own client gets an allocation with these, and its packets through it.

        Raises PeerFailed when it says neither.
        """
        who = ["-u", username, "-w", credential]
        done = subprocess.run(
            ["turnutils_uclient", "-y", "-c", "-n", "1", "-m", "1", *who, "-p", str(self.port), self.host],
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=CLIENT_SECONDS,
        )
        said = done.stdout + done.stderr
        if "Cannot complete Allocation" in said:
            return False
        received = re.search(r"tot_send_msgs=([1-9]\d*), tot_recv_msgs=\1\b", said)
        if done.returncode != 0 or received is None:
            raise PeerFailed(f"turnutils_uclient: {said[-1_000:]}")
        return True

    def _answers(self) -> bool:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(LOOK_SECONDS)
            try:
                asking.sendto(BINDING_REQUEST, (self.host, self.port))
                return asking.recv(1_500).startswith(BINDING_ANSWER)
            except OSError:
                return False

    def __enter__(self) -> Self:
        self._process.start()
        self._process.wait_ready(self._answers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.close()


class ComposedCoturn(Coturn):
    """The same started with the very command line of deploy/compose.yaml, whose MEDIA_ADDRESS is `host`."""

    def _port(self) -> int:
        return DEFAULT_PORT

    def _argv(self, folder: Path, secret: str) -> list[str]:
        given = {"MEDIA_ADDRESS": self.host, "TURN_SECRET": secret}
        secret_file = folder.with_suffix(".conf")
        secret_file.write_text(_filled(composed()["configs"]["coturn"]["content"], given))
        words = [_filled(word, given) for word in composed()["services"]["coturn"]["command"]]
        assert words.count(SECRET_FILE) == 1
        own = [f"--db={folder / 'turn.db'}", f"--pidfile={folder / 'turn.pid'}", "--simple-log"]
        argv = [str(secret_file) if word == SECRET_FILE else word for word in words]
        return ["turnserver", *argv, *own]


def composed() -> Any:
    """deploy/compose.yaml."""
    return yaml.safe_load(COMPOSITION.read_text())


def _filled(text: str, given: dict[str, str]) -> str:
    """With the variables of the operator's environment in their places."""
    return re.sub(r"\$\{([A-Z_]+):\?\}", lambda found: given[found[1]], text)
