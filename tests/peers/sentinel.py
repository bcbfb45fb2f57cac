"""A master of Redis, its replica, and sentinels that replace it when it is gone."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.patience import limit
from tests.peers.certificate import certify
from tests.peers.ports import free_port
from tests.peers.process import CLEAN_ENVIRONMENT, PeerFailed, Process, wait_until

NAME: Final = "phones"
HOST: Final = "127.0.0.1"
PASSWORD: Final = "of-the-servers"
SENTINEL_PASSWORD: Final = "of the sentinels/?@"
DOWN_MILLISECONDS: Final = 1_000
CLI_SECONDS: Final = limit(30.0)


class Member:
    """One process of them: a server or a sentinel."""

    def __init__(self, folder: Path, program: str, password: str, tls: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.folder = folder / f"member-{self.port}"
        self.folder.mkdir(parents=True)
        self._program = program
        self._password = password
        self._tls = tls
        self._process: Process | None = None

    @property
    def listening(self) -> list[str]:
        """Its options for where it listens."""
        plain = ["--port", str(self.port)] if not self._tls else ["--port", "0", "--tls-port", str(self.port)]
        return ["--bind", HOST, *plain, *self._tls]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Start it, again with other options if it ran before, and return when it answers."""
        self._process = Process("member", [self._program, *options], self.folder)
        self._process.start()
        self._process.wait_ready(self._answers)

    def _answers(self) -> bool:
        try:
            return self.cli("ping") == "PONG"
        except PeerFailed:
            return False

    def cli(self, *arguments: str) -> str:
        """What redis-cli prints for one command; PeerFailed when it is away or answers an error."""
        secure = (
            ["--tls", "--cacert", self._tls[self._tls.index("--tls-ca-cert-file") + 1]] if self._tls else []
        )
        done = subprocess.run(
            ["redis-cli", "-e", "-h", HOST, "-p", str(self.port), *secure, *arguments],
            capture_output=True,
            text=True,
            timeout=CLI_SECONDS,
            env={**CLEAN_ENVIRONMENT, "REDISCLI_AUTH": self._password},
        )
        if done.returncode != 0:
            raise PeerFailed(f"redis-cli {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def kill9(self) -> None:
        assert self._process is not None
        self._process.kill9()

    def close(self) -> None:
        if self._process is not None:
            self._process.close()


class RedisGroup:
    """All of them. `secure`: over TLS alone, with a certificate of its own."""

    def __init__(
        self, folder: Path, program: str = "redis-server", *, secure: bool = False, sentinels: int = 3
    ) -> None:
        self.folder = folder / "group"
        self.folder.mkdir()
        self._secure = secure
        tls = self._certified() if secure else ()
        self.servers = [Member(self.folder, program, PASSWORD, tls) for _ in range(2)]
        self.sentinels = [Member(self.folder, program, SENTINEL_PASSWORD, tls) for _ in range(sentinels)]

    @property
    def authority(self) -> Path:
        """The file with the certificate that clients must trust."""
        return self.folder / "tls.crt"

    def _certified(self) -> list[str]:
        certificate, key = certify(HOST)
        self.authority.write_bytes(certificate)
        (self.folder / "tls.key").write_bytes(key)
        names = {"cert": self.authority, "key": self.folder / "tls.key", "ca-cert": self.authority}
        files = [word for name, file in names.items() for word in (f"--tls-{name}-file", str(file))]
        return [*files, "--tls-auth-clients", "no", "--tls-replication", "yes"]

    def url(self, database: int = 0) -> str:
        """For REGISTRAR_REDIS_URL."""
        scheme = "rediss" if self._secure else "redis"
        places = ",".join(f"{HOST}:{one.port}" for one in self.sentinels)
        options = "sentinel_password=of%20the%20sentinels%2F%3F%40"
        if self._secure:
            options += f"&ssl_ca_certs={self.authority}"
        return f"{scheme}+sentinel://:{PASSWORD}@{places}/{NAME}/{database}?{options}"

    # Who is what

    @property
    def master(self) -> Member:
        """The server that more than one sentinel take for the master."""
        named = [one.cli("sentinel", "get-master-addr-by-name", NAME).split()[-1] for one in self.sentinels]
        ports = {server.port: server for server in self.servers}
        return ports[int(max(named, key=named.count))]

    @property
    def replica(self) -> Member:
        """The other one."""
        master = self.master
        return next(server for server in self.servers if server is not master)

    def is_whole(self) -> bool:
        """Whether the replica has what the master has, and all sentinels know of it and of each other."""
        try:
            told = [one.cli("sentinel", "master", NAME).split("\n") for one in self.sentinels]
            seen = [dict(zip(words[::2], words[1::2], strict=True)) for words in told]
            others = str(len(self.sentinels) - 1)
            whole = all((one["num-slaves"], one["num-other-sentinels"]) == ("1", others) for one in seen)
            return whole and "master_link_status:up" in self.replica.cli("info", "replication")
        except PeerFailed:
            return False

    # What happens to them

    def hand_over(self) -> None:
        """The living master becomes the replica, as for work on its machine."""
        former = self.master
        self.sentinels[0].cli("sentinel", "failover", NAME)
        self.wait_for_another_than(former)

    def kill_master(self) -> Member:
        """The master dies; who it was."""
        master = self.master
        master.kill9()
        return master

    def wait_for_another_than(self, former: Member) -> None:
        """Return when the sentinels have made the other one the master."""
        wait_until(lambda: self.master is not former, "another one is the master")

    def bring_back(self, server: Member) -> None:
        """A server that died is the replica of the other one from now on."""
        self._start(server, "--replicaof", HOST, str(self.master.port))
        wait_until(self.is_whole, "the replica has caught up")

    def _start(self, server: Member, *options: str) -> None:
        server.start(
            *server.listening,
            *("--dir", str(server.folder), "--save", "", "--appendonly", "yes"),
            *("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"),
            *options,
        )

    def _start_sentinel(self, sentinel: Member) -> None:
        """The file must be there: a sentinel writes into it."""
        file = sentinel.folder / "sentinel.conf"
        file.write_text(
            f"sentinel monitor {NAME} {HOST} {self.servers[0].port} {len(self.sentinels) // 2 + 1}\n"
            f"sentinel auth-pass {NAME} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_MILLISECONDS}\n"
            f"sentinel failover-timeout {NAME} 3000\n"
            f'requirepass "{SENTINEL_PASSWORD}"\n'
            f'sentinel sentinel-pass "{SENTINEL_PASSWORD}"\n'
        )
        sentinel.start(str(file), "--sentinel", *sentinel.listening)

    def __enter__(self) -> Self:
        try:
            self._start(self.servers[0])
            self._start(self.servers[1], "--replicaof", HOST, str(self.servers[0].port))
            for sentinel in self.sentinels:
                self._start_sentinel(sentinel)
            wait_until(self.is_whole, "master, replica and sentinels know each other")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in (*self.sentinels, *self.servers):
            member.close()
