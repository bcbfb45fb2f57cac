"""Debian's PostgreSQL on a port of its own, made for the run that uses it and thrown away afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.patience import limit
from tests.peers.phone import Address
from tests.peers.ports import free_port
from tests.peers.process import CLEAN_ENVIRONMENT, PeerFailed, Process, wait_until

OWNER: Final = "postgres"
"""Who runs the server when we are root: PostgreSQL itself refuses to be root's."""
PROGRAMS: Final = Path("/usr/lib/postgresql")
"""Debian keeps each version in a folder of its own, and not on the path."""
INITDB_SECONDS: Final = limit(120.0)
OPTIONS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "autovacuum": "off",
    "timezone": "Europe/Copenhagen",
}
"""Fast, small and private; its own time is not ours, as on many a machine."""
END_OF_ANSWER: Final = "-- end of answer --"

REMEMBER: Final = """
CREATE SCHEMA remembered;
CREATE TABLE remembered."the sequences" AS
    SELECT format('%I.%I', schemaname, sequencename) AS name, last_value AS last
    FROM pg_sequences WHERE schemaname = 'public';
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('CREATE TABLE remembered.%I AS TABLE public.%I', name, name);
    END LOOP;
END $$"""
REWIND: Final = """
DO $$
DECLARE name text;
BEGIN
    SET LOCAL session_replication_role = replica;
    SET LOCAL lock_timeout = '5s';
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('DELETE FROM public.%I', name);
        EXECUTE format('INSERT INTO public.%I SELECT * FROM remembered.%I', name, name);
    END LOOP;
    PERFORM setval(r.name, coalesce(r.last, 1), r.last IS NOT NULL) FROM remembered."the sequences" AS r;
END $$"""
"""Foreign keys do not matter while rows go back to what they were: hence the role of a replica."""


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`, the newest version there; None when there is none."""
    found = [path.parent for path in PROGRAMS.glob("*/bin/postgres") if (path.parent / "initdb").exists()]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    known = shutil.which("initdb", path=CLEAN_ENVIRONMENT["PATH"])
    return Path(known).resolve().parent if known else None


class PostgresServer:
    """One server with a superuser and no password; databases come and go by `create` and `drop`.

    Options given by name replace those above: `PostgresServer(shared_buffers="1GB")`. Clients may come from
    loopback, and from `network`.
    """

    def __init__(self, *, cores: str = "", network: str = "", **options: str) -> None:
        folder = binaries()
        if folder is None:
            raise PeerFailed("PostgreSQL is not installed (deploy/peers.sh installs it)")
        self._folder = folder
        self._network = network
        self._primary: PostgresServer | None = None
        self._home = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._data = self._home / "data"
        self.port = free_port()
        settings = {**OPTIONS, "port": str(self.port), **options}
        argv = [str(folder / "postgres"), "-D", str(self._data)]
        argv += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = Process("postgresql", _as_owner(argv), self._home, cores=cores)
        self._psql: subprocess.Popen[str] | None = None
        self._asked = ""
        self._made = 0

    def url(self, database: str = "postgres", place: Address | None = None) -> str:
        """For REGISTRAR_DATABASE_URL; `place` is another address that leads to it."""
        host, port = place or ("127.0.0.1", self.port)
        return f"postgresql+asyncpg://{OWNER}@{host}:{port}/{database}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> None:
        """Start, the first time with an empty cluster, and return when statements are answered."""
        if not self._data.exists():
            self._init()
        self._process.start()
        try:
            self._process.wait_ready(self._answers)
        except PeerFailed:
            self.close()
            raise

    def stop(self) -> None:
        """Its fast way to end: open transactions are rolled back, connections closed."""
        self._leave_psql()
        self._process.stop(signal.SIGINT)

    def kill9(self) -> None:
        """The server and all its helpers at once, as when the power fails."""
        self._leave_psql()
        self._process.kill9()
        lock = self._data / "postmaster.pid"
        wait_until(lambda: not self._answers(), "nobody answers for PostgreSQL any more")
        lock.unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop in an orderly way if it runs, and start on the same port with the same data."""
        self.stop()
        self.start()

    def create(self, *, template: str = "template1") -> str:
        """Make a database that is a copy of another one, and answer its name."""
        self._made += 1
        name = f"trial_{self._made}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def remember(self, name: str) -> None:
        """Keep what is in the tables of a database, so that it can be rewound to it."""
        self.sql(REMEMBER, name)

    def rewind(self, name: str) -> None:
        """Put the rows and the counters back that `remember` saw: much cheaper than a new database."""
        self.sql(REWIND, name)

    def sql(self, statement: str, database: str = "postgres") -> list[list[str]]:
        """What psql answers to one statement: rows of texts. PeerFailed when it is refused."""
        if self._psql is None or self._psql.poll() is not None:
            self._psql, self._asked = self._start_psql(), ""
        asked, answered = self._psql.stdin, self._psql.stdout
        if asked is None or answered is None:
            raise PeerFailed("psql has no pipes")
        change = f"\\c {database}\n" if database != self._asked else ""
        self._asked = database
        asked.write(f"{change}{statement};\n\\echo {END_OF_ANSWER}\n")
        asked.flush()
        lines: list[str] = []
        for line in answered:
            if line == f"{END_OF_ANSWER}\n":
                return [text.split("\t") for text in lines]
            lines.append(line.removesuffix("\n"))
        refusal = self._psql.stderr.read() if self._psql.stderr else ""
        self._leave_psql()
        raise PeerFailed(f"psql: {refusal.strip()}")

    def standby(self) -> "PostgresServer":
        """Another server, which is a copy of this one when it starts, and follows it until `promote`."""
        made = PostgresServer()
        made._primary = self
        return made

    def promote(self) -> None:
        """A standby takes writes from now on."""
        self.sql("SELECT pg_promote()")

    def _init(self) -> None:
        if os.getuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(self._home, owner.pw_uid, owner.pw_gid)
        argv = [str(self._folder / "initdb"), "-D", str(self._data), "-U", OWNER, "-A", "trust"]
        argv += ["--locale=C.UTF-8", "-E", "UTF8", "--no-sync", "--no-instructions"]
        if self._primary is not None:
            argv = [
                str(self._folder / "pg_basebackup"),
                "-D",
                str(self._data),
                "-U",
                OWNER,
                "-h",
                "127.0.0.1",
            ]
            argv += ["-p", str(self._primary.port), "-R", "--checkpoint=fast", "--no-sync"]
        done = subprocess.run(
            _as_owner(argv),
            cwd=self._home,
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=INITDB_SECONDS,
        )
        if done.returncode != 0:
            raise PeerFailed(f"initdb: {done.stderr.strip() or done.stdout.strip()}")
        if self._network:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self._network} trust\n")

    def _start_psql(self) -> subprocess.Popen[str]:
        """One psql for many statements: to start one costs more than most of what it is asked."""
        argv = ["psql", "-qAtX", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        argv += ["-p", str(self.port), "-U", OWNER, "-d", "postgres"]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=CLEAN_ENVIRONMENT)

    def _leave_psql(self) -> None:
        if self._psql is not None:
            self._psql.kill()
            self._psql.communicate()
            self._psql = None

    def _answers(self) -> bool:
        argv = [str(self._folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(argv, env=CLEAN_ENVIRONMENT).returncode == 0

    def close(self) -> None:
        """Stop and remove everything, whatever state it is in."""
        self._leave_psql()
        try:
            self._process.stop(signal.SIGINT)
        except PeerFailed:
            self._process.kill9()
        finally:
            shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _as_owner(argv: list[str]) -> list[str]:
    """The same as the user of PostgreSQL when we are root. The kernel ends it with us all the same."""
    if os.getuid() != 0:
        return argv
    identity = ["--reuid", OWNER, "--regid", OWNER, "--init-groups"]
    return ["setpriv", *identity, "--pdeathsig", "INT", *argv]
