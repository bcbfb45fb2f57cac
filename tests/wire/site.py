"""One `registrar serve` and the ways to look at it from outside: API, Redis, database, log, processes."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.patience import limit, pause
from tests.peers import procfs
from tests.peers.phone import Account
from tests.peers.process import PeerFailed
from tests.peers.registrar import RegistrarServer
from tests.wire import template

LOCALHOST: Final = "localhost"
CLI_SECONDS: Final = limit(30.0)
PUBLISHED_SECONDS: Final = 5.0
"""The events of a request leave its location a moment after the answer."""
Fields = dict[str, str]


@dataclass(frozen=True)
class Handset:
    """A phone as the API made it."""

    id: str
    account: Account


@dataclass(frozen=True)
class Customer:
    """A customer, and the SIP domain of its phones."""

    id: str
    domain: str


class Site(RegistrarServer):
    """A server whose tenant may be known already: then no command is run to ask for it.

    It starts on a copy of `tests.wire.template` where that is the same.
    """

    fresh = False
    """Whether the program itself shall make the data directory."""

    metrics_token: str | None = ""
    """Loopback needs none; None is that of the demo tenant."""

    def __init__(
        self,
        tmp: Path,
        *,
        tenant: dict[str, Any] | None = None,
        arguments: tuple[str, ...] = ("serve",),
        transports: Collection[str] = (),
        **settings: str,
    ) -> None:
        super().__init__(tmp, arguments=arguments, transports=transports, **settings)
        self._demo = tenant or {}
        self._arguments = arguments

    # The process

    def start(self) -> None:
        """Start, and return when it says that it is ready."""
        self._furnish()
        super().start()

    def _furnish(self) -> None:
        """Copy the template, unless there is a data directory or it would be another one."""
        if self.fresh or not template.fits(self.settings, self._arguments):
            return
        tenant = template.copy(Path(self.settings["data_dir"]))
        if template.tells_tenant(self.settings):
            self._demo = self._demo or tenant | {"api": f"http://{self.settings['http']}"}

    @property
    def out(self) -> str:
        """All that it ever wrote to standard output."""
        return _text(self._process.out)

    @property
    def log_text(self) -> str:
        """All that it ever wrote to standard error."""
        return _text(self._process.err)

    @property
    def family(self) -> list[int]:
        """The process and all its descendants, its Redis among them."""
        return procfs.tree(self.pid)

    @property
    def valkeys(self) -> list[int]:
        """The embedded Redis of this process."""
        return [pid for pid in self.family if procfs.name(pid).startswith("valkey")]

    @contextmanager
    def begun(self) -> Iterator[Self]:
        """Run for the length of the block, which begins when HTTP answers: it need not be ready."""
        self._furnish()
        self._process.start()
        try:
            self._process.wait_ready(lambda: self.health("live") == 200)
            yield self
        finally:
            self._process.close()

    def press_ctrl_c(self) -> int:
        """What a terminal does: SIGINT to the whole process group. The exit code."""
        os.killpg(self.pid, signal.SIGINT)
        return self.wait_end()

    def wait_end(self, within: float = 10.0) -> int:
        """The exit code of a program that ends by itself."""
        return self._process.wait(within)

    # HTTP

    def health(self, page: str) -> int:
        """The status of /health/<page>, 0 while nobody answers."""
        try:
            return self._request("GET", f"/health/{page}", None, {}, 2.0).status
        except OSError:
            return 0

    def new_phone(self, **fields: object) -> Handset:
        """A phone made through the API, of the generic model and on the first extension."""
        tenant = self.demo()
        body = {"sipPhoneModel": tenant["models"]["generic"], "extension": tenant["extensions"][0]["_id"]}
        reply = self.api("POST", "/pbx/sipphone", {**body, **fields})
        assert reply.status == 200, reply
        account = Account(reply.body["username"], reply.body["password"], tenant["domain"])
        return Handset(reply.body["_id"], account)

    def new_customer(self) -> Customer:
        """Another customer with a domain of its own; a SIP side that is running already learns it later."""
        oid = f"{time.time_ns():024x}"
        domain = f"{oid}.example"
        self.sql(
            "INSERT INTO customer "
            "(oid, created_at, updated_at, name, state, is_reseller, sip_domain, version) "
            "SELECT ?, created_at, updated_at, 'Another', 'ACTIVE', 0, ?, 1 FROM customer WHERE id = 1",
            oid,
            domain,
        )
        return Customer(oid, domain)

    def new_blocked_phone(self) -> Handset:
        """A phone of a customer who was blocked afterwards, before the SIP side ever read it.

        It writes a name of the server in place of its domain, which a running SIP side learns later.
        """
        customer = self.new_customer()
        handset = self.new_phone(customer=customer.id, extension=None)
        self.sql("UPDATE customer SET state = 'BLOCKED', version = version + 1 WHERE oid = ?", customer.id)
        return replace(handset, account=replace(handset.account, domain=LOCALHOST))

    def phone(self, handset: Handset) -> dict[str, Any]:
        """The whole phone as the API shows it."""
        reply = self.api("GET", f"/pbx/sipphone/{handset.id}")
        assert reply.status == 200, reply
        shown: dict[str, Any] = reply.body
        return shown

    def status(self, handset: Handset) -> dict[str, Any]:
        """Its live status in the API."""
        shown: dict[str, Any] = self.phone(handset)["status"]
        return shown

    def patch(self, handset: Handset, **fields: object) -> None:
        reply = self.api("PATCH", f"/pbx/sipphone/{handset.id}", fields)
        assert reply.status == 200, reply

    def metric(self, name: str, **labels: str) -> float:
        """One figure of /metrics, the sum over the labels not given."""
        text = self.api("GET", "/metrics", token=self.metrics_token).body
        family = re.sub("_(bucket|sum|count)$", "", name)
        assert re.search(rf"^# TYPE ({name}|{family}) ", text, re.MULTILINE), f"there is no metric {name}"
        rows = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(float(value) for given, value in rows if wanted <= set(given.split(",")))

    # Redis

    def redis(self, *arguments: str) -> Any:
        """What redis-cli says to one command, as JSON."""
        return self.redis_all([arguments])[0]

    def redis_all(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """The answers to many commands, with one run of redis-cli."""
        done = subprocess.run(
            ["redis-cli", *self._place(), "-e", "--json"],
            input="\n".join(" ".join(command) for command in commands) + "\n",
            capture_output=True,
            text=True,
            timeout=CLI_SECONDS,
        )
        lines = done.stdout.split("\n")[:-1]  # a value may hold other ends of lines
        if done.returncode != 0 or len(lines) != len(commands):
            raise PeerFailed(f"redis-cli: {done.stderr or done.stdout[-500:]}")
        return [json.loads(line) for line in lines]

    def _place(self) -> list[str]:
        if "redis_url" in self.settings:
            return ["-p", str(urlsplit(self.settings["redis_url"]).port)]
        return ["-s", str(Path(self.settings["data_dir"]) / "valkey.sock")]

    def status_hash(self, handset: Handset) -> Fields:
        """The public status hash of a phone."""
        return dict(self.redis("hgetall", _key("status", handset)))

    def location(self, handset: Handset) -> Fields:
        """The bindings and nonces of a phone as they are stored."""
        return dict(self.redis("hgetall", _key("loc", handset)))

    def stored(self, handset: Handset) -> tuple[Fields, Fields]:
        """All that a request may change of a phone, as soon as no event waits for the stream any more."""
        within(PUBLISHED_SECONDS, lambda: "e" not in self.location(handset), "its events are published")
        location, status = self.redis_all(
            [("hgetall", _key("loc", handset)), ("hgetall", _key("status", handset))]
        )
        return location, status

    def bindings(self, handset: Handset) -> list[list[Any]]:
        """The rows in `b`: contact, expiry, Call-ID, CSeq and the rest in the documented order."""
        text = self.location(handset).get("b", "")
        rows: list[list[Any]] = json.loads(text) if text else []
        return rows

    def contacts(self, handset: Handset) -> set[str]:
        """The contacts that are bound."""
        return {row[0] for row in self.bindings(handset)}

    def journal(self, handset: Handset) -> list[Fields]:
        """The events of one phone."""
        return _entries(self.redis("xrange", _key("journal", handset), "-", "+"))

    def events(self, handset: Handset) -> list[Fields]:
        """The events about one phone in the stream of all."""
        entries = _entries(self.redis("xrange", "registrar:events", "-", "+"))
        return [entry for entry in entries if entry["phone"] == handset.id]

    # SQL

    @property
    def database(self) -> Path:
        return Path(self.settings["data_dir"]) / "registrar.sqlite"

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement on the database file."""
        with closing(sqlite3.connect(self.database, timeout=5)) as connection, connection:
            return connection.execute(statement, values).fetchall()


class FreshSite(Site):
    """A server that makes its data directory itself, as at a first start."""

    fresh = True


def within(seconds: float, holds: Callable[[], object], what: str) -> float:
    """How long it took until `holds()` was true; fails the test when that is more than `limit(seconds)`."""
    begin, most = time.monotonic(), limit(seconds)
    while not holds():
        waited = time.monotonic() - begin
        if waited > most:
            raise AssertionError(f"not within {most:g} s: {what}")
        time.sleep(pause(waited))
    return time.monotonic() - begin


def kinds(entries: Sequence[Fields]) -> list[str]:
    """The events in their order."""
    return [entry["event"] for entry in entries]


def _key(kind: str, handset: Handset) -> str:
    return f"registrar:{kind}:{{{handset.id}}}"


def _entries(answer: list[tuple[str, list[str]]]) -> list[Fields]:
    """Stream entries as fields; `id` is the entry's own."""
    return [
        {"id": number, **dict(zip(words[::2], words[1::2], strict=True))} for number, words in answer or []
    ]


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
