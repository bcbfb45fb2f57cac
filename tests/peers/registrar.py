"""The program under test as a user starts it: `registrar serve`, with settings as environment variables."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.patience import limit
from tests.peers import procfs
from tests.peers.phone import Account, Address
from tests.peers.ports import free_port
from tests.peers.process import CLEAN_ENVIRONMENT, PeerFailed, Process, Program, ran

DOMAIN: Final = "registrar.localhost"
COMMAND: Final = Path(sys.executable).parent / "registrar"
"""The console script beside our interpreter; `python -m` would first import a `config` of the folder."""
HTTP_SECONDS: Final = limit(10.0)
COMMAND_SECONDS: Final = 60.0
DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy of the environment between us and loopback."""
TRANSPORTS: Final = ("tcp", "tls", "ws", "wss")
NO_QUOTAS: Final = {
    "phone_calls": "100000",
    "phone_ringing": "100000",
    "phone_call_rate": "10000",
    "extension_calls": "100000",
    "extension_call_rate": "10000",
    "callee_calls": "100000",
    "callee_call_rate": "10000",
    "customer_calls": "1000000",
    "customer_call_rate": "100000",
    "customer_transactions": "200000",
}
"""Settings of a server whose load is that of many customers, and comes from one."""
REDIS_NAMES: Final = ("redis", "valkey")


def run(folder: Path, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`registrar <arguments>` in this folder to its end."""
    return ran(COMMAND, arguments, folder, {**CLEAN_ENVIRONMENT, **environment}, COMMAND_SECONDS)


@dataclass(frozen=True)
class Reply:
    """An answer of the HTTP API."""

    status: int
    body: Any
    """Parsed JSON, or the text when it is none."""
    headers: dict[str, str]


class RegistrarServer:
    """One `registrar serve` on free loopback ports; only UDP and HTTP are on unless asked for.

    Settings are given without their prefix, in small letters: `RegistrarServer(tmp, redis_url=redis.url)`.
    `transports` names listeners to turn on beside them: tcp, tls, ws, wss.
    """

    def __init__(
        self,
        tmp: Path,
        *,
        arguments: tuple[str, ...] = ("serve",),
        cores: str = "",
        transports: Collection[str] = (),
        **settings: str,
    ) -> None:
        self.sip: Address = ("127.0.0.1", free_port())
        self.http: Address = ("127.0.0.1", free_port())
        self.listeners: dict[str, Address] = {"udp": self.sip}
        """The address of each SIP transport that is on."""
        self.listeners |= {name: ("127.0.0.1", free_port()) for name in TRANSPORTS if name in transports}
        listeners = {f"sip_{name}": self._listener(name) for name in ("udp", *TRANSPORTS)}
        self.settings = {
            "data_dir": str(tmp / "data"),
            "domain": DOMAIN,
            **listeners,
            "http": "{}:{}".format(*self.http),
            "prov_http": "",  # `serve --demo` would listen on one port for all
            "workers": "1",  # one process for all, unless a test is about several
            "ping_seconds": "0",  # many a phone of the tests answers nothing
            **settings,
        }
        self._folder = tmp / "registrar"
        self._process: Process = Program(
            COMMAND, arguments, self._folder, environment=self.environment, cores=cores
        )
        self._demo: dict[str, Any] = {}

    def _listener(self, transport: str) -> str:
        return "{}:{}".format(*self.listeners[transport]) if transport in self.listeners else ""

    @property
    def tcp(self) -> Address:
        return self.listeners["tcp"]

    @property
    def tls(self) -> Address:
        return self.listeners["tls"]

    @property
    def ws(self) -> Address:
        return self.listeners["ws"]

    @property
    def wss(self) -> Address:
        return self.listeners["wss"]

    @property
    def environment(self) -> dict[str, str]:
        """The settings as the program reads them."""
        return {f"REGISTRAR_{name.upper()}": value for name, value in self.settings.items()}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def log(self) -> str:
        """The last lines it wrote."""
        return self._process.last_lines()

    def start(self) -> None:
        """Start, and return when it says that it is ready."""
        self._process.start()
        self._process.wait_ready(self.ready)

    def ready(self) -> bool:
        """Whether /health/ready answers 200."""
        try:
            return self._request("GET", "/health/ready", None, {}, 1.0).status == 200
        except OSError:
            return False

    def kill9(self) -> None:
        self._process.kill9()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Ask it to end (SIGTERM or SIGINT) and return its exit code."""
        return self._process.stop(number)

    def restart(self) -> None:
        """Stop in an orderly way if it runs, and start with the same ports and data."""
        self._process.stop()
        self.start()

    @property
    def pids(self) -> list[int]:
        """Its processes, without the embedded Redis."""
        return [pid for pid in procfs.tree(self.pid) if not procfs.name(pid).startswith(REDIS_NAMES)]

    def cpu_seconds(self) -> float:
        """User and system time of its processes since they started."""
        return procfs.cpu_seconds(self.pids)

    def resident_bytes(self) -> int:
        """Memory its processes hold, shared pages counted once."""
        return procfs.resident_bytes(self.pids)

    def command(self, *arguments: str) -> str:
        """What `registrar <arguments>` with the same settings prints; PeerFailed when it fails."""
        done = run(self._folder, *arguments, environment=self.environment)
        if done.returncode != 0:
            raise PeerFailed(f"registrar {' '.join(arguments)} ended with {done.returncode}\n{done.stderr}")
        return done.stdout

    def demo(self) -> dict[str, Any]:
        """The demo tenant: `token`, `customer`, `phones` and the rest of `registrar demo --json`."""
        if not self._demo:
            self._demo = json.loads(self.command("demo", "--json"))
        return self._demo

    def accounts(self) -> list[Account]:
        """The demo tenant's phones."""
        return [
            Account(phone["username"], phone["password"], phone["domain"]) for phone in self.demo()["phones"]
        ]

    def api(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Reply:
        """One request to the HTTP API with the demo tenant's token, another one, or (empty) none."""
        chosen = self.demo()["token"] if token is None else token
        headers = {"Authorization": f"Bearer {chosen}"} if chosen else {}
        return self._request(method, path, body, headers, HTTP_SECONDS)

    def _request(
        self, method: str, path: str, body: object, headers: dict[str, str], timeout: float
    ) -> Reply:
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers = {**headers, "Content-Type": "application/json"}
        url = "http://{}:{}{}".format(*self.http, path)
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with DIRECT.open(request, timeout=timeout) as answer:
                return _reply(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _reply(refusal.code, refusal.read(), dict(refusal.headers))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()


def _reply(status: int, raw: bytes, headers: dict[str, str]) -> Reply:
    try:
        return Reply(status, json.loads(raw), headers)
    except ValueError:
        return Reply(status, raw.decode(errors="replace"), headers)
