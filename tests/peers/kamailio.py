"""Kamailio 5.6 as a registrar that writes each binding through to Redis before it answers 200.

The reference that `tests/bench` measures beside us: one SIP worker, one contact a user, digest with one
password for everybody, the location table in Redis by `db_redis` with `db_mode` 1 (write-through).
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.peers import phone, procfs
from tests.peers.ports import free_port
from tests.peers.process import Process
from tests.peers.redis import RedisServer

REALM: Final = "registrar.localhost"
PASSWORD: Final = "0123456789abcdefghijklmnopqrstuv"
"""As long as ours: 32 characters."""

CONFIGURATION: Final = """#!KAMAILIO
debug=0
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}

# tm before sl: the other way round tm complains at the start.
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "db_redis.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"

modparam("db_redis", "schema_path", "/usr/share/kamailio/db_redis/kamailio")
modparam("db_redis", "keys", "version=entry:table_name")
modparam("db_redis", "keys", "location=entry:ruid&usrdom:username,domain&timer:partition,keepalive")
modparam("usrloc", "db_url", "{redis_url}")
modparam("usrloc", "db_mode", 1)
modparam("registrar", "max_contacts", 1)

request_route {{
    if (!is_method("REGISTER")) {{
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }}
    if (!pv_www_authenticate("{realm}", "{password}", "0")) {{
        www_challenge("{realm}", "1");
        exit;
    }}
    save("location");
    exit;
}}
"""

PACKAGED: Final = ("-m", "64", "-M", "8")
"""Memory as Debian's service file gives it, with the allocator that is compiled in (qm)."""
TUNED: Final = (*PACKAGED, "-x", "tlsf", "-X", "tlsf")
"""The same with the TLSF allocator: under this load qm spends two thirds of the worker's time in walks along
its list of free fragments, TLSF has no such list."""


class KamailioServer:
    """One Kamailio on a free UDP port, with a script that answers OPTIONS by 405."""

    def __init__(
        self, tmp: Path, script: Callable[[int], str], *, memory: tuple[str, ...] = PACKAGED, cores: str = ""
    ) -> None:
        """`script` gives the configuration file for a port."""
        port = free_port()
        self.sip: phone.Address = ("127.0.0.1", port)
        self._folder = tmp / f"kamailio-{port}"
        self._folder.mkdir(parents=True)
        file = self._folder / "kamailio.cfg"
        file.write_text(script(port))
        argv = ["kamailio", "-f", str(file), "-DD", "-E", *memory]
        argv += ["-P", str(self._folder / "kamailio.pid"), "-Y", str(self._folder)]
        self._process = Process("kamailio", argv, self._folder, cores=cores)

    @property
    def pids(self) -> list[int]:
        """The main process, its SIP worker, its timers."""
        return procfs.tree(self._process.pid)

    @property
    def log(self) -> str:
        return self._process.last_lines()

    def start(self) -> None:
        """Start, and return when it answers."""
        self._process.start()
        self._process.wait_ready(self._answers)

    def _answers(self) -> bool:
        """Whether it answers anything at all."""
        with phone.UdpPhone(phone.Account("ready", "", REALM), self.sip) as client:
            try:
                return client.exchange(client.caller.options(), deadline=0.2).status == 405
            except (TimeoutError, OSError):
                return False

    def cpu_seconds(self) -> float:
        return procfs.cpu_seconds(self.pids)

    def resident_bytes(self) -> int:
        return procfs.resident_bytes(self.pids)

    def stop(self) -> None:
        self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()


class Kamailio(KamailioServer):
    """A registrar with its location table in `redis`."""

    def __init__(
        self, tmp: Path, redis: RedisServer, *, memory: tuple[str, ...] = PACKAGED, cores: str = ""
    ) -> None:
        self._redis = redis
        super().__init__(tmp, self._script, memory=memory, cores=cores)

    def _script(self, port: int) -> str:
        return CONFIGURATION.format(port=port, redis_url=self._redis.url, realm=REALM, password=PASSWORD)

    def start(self) -> None:
        self._redis.cli("hset", "version:entry::location", "table_version", "9", "table_name", "location")
        super().start()
