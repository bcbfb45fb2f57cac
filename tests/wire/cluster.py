"""A split deployment: one process of the API and two of SIP, over one database and one Redis."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis

from tests.patience import limit
from tests.peers.phone import Account, UdpPhone
from tests.peers.postgresql import PostgresServer
from tests.wire.site import Fields, Handset, Site, within

LIVE_SECONDS: Final = 1.0
"""Within which a change must have reached every process (decision 7)."""
LIVE_POLL_SECONDS: Final = 0.005


class SipProcess(Site):
    """`registrar serve sip`: it has no HTTP, and says in its log that it is ready."""

    def ready(self) -> bool:
        return "ready" in self.log_text


@dataclass(frozen=True)
class Tenant:
    """A customer with a SIP domain that every process serves."""

    id: str
    domain: str
    path: str
    """Of its domain in the row dialect."""


class Cluster:
    """The three processes and the ways to look at what they share."""

    def __init__(self, folder: Path, postgres: PostgresServer | None) -> None:
        data = str(folder / "data")
        self._postgres = postgres
        self._database = postgres.create() if postgres else ""
        settings: dict[str, Any] = {"data_dir": data} | (
            {"database_url": postgres.url(self._database)} if postgres else {}
        )
        self.api = Site(folder / "api", arguments=("serve", "api"), **settings)
        if postgres:
            self.api.command("migrate")
        self._settings = settings
        self._folder = folder

    @contextmanager
    def running(self) -> Iterator["Cluster"]:
        """Everything runs for the length of the block."""
        with ExitStack() as stack:
            stack.enter_context(self.api)
            tenant = self.api.demo()
            self.a = stack.enter_context(self._sip("a", tenant, ("wss", "tcp")))
            self.b = stack.enter_context(self._sip("b", tenant, ("tcp",)))
            socket = str(Path(self._settings["data_dir"]) / "valkey.sock")
            self._redis: Redis = stack.enter_context(Redis(unix_socket_path=socket, decode_responses=True))
            yield self
        if self._postgres:
            self._postgres.drop(self._database)

    def _sip(self, name: str, tenant: dict[str, Any], transports: tuple[str, ...]) -> SipProcess:
        """B offers both algorithms of digest."""
        return SipProcess(
            self._folder / name,
            tenant=tenant,
            arguments=("serve", "sip"),
            transports=transports,
            digest="both" if name == "b" else "md5",
            **self._settings,
        )

    # What it holds

    def sql(self, statement: str) -> list[list[str]]:
        """Run one statement on the database; values are texts."""
        if self._postgres:
            return self._postgres.sql(statement, self._database)
        return [[str(value) for value in row] for row in self.api.sql(statement)]

    @contextmanager
    def held(self, *statements: str) -> Iterator[None]:
        """Run statements in a transaction that commits after the block; no one else may use `sql` in it."""
        if self._postgres:
            for statement in ("BEGIN", *statements):
                self.sql(statement)
            yield
            self.sql("COMMIT")
            return
        with closing(sqlite3.connect(self.api.database, timeout=5, isolation_level=None)) as connection:
            for statement in ("BEGIN IMMEDIATE", *statements):
                connection.execute(statement)
            yield
            connection.execute("COMMIT")

    @property
    def has_many_writers(self) -> bool:
        """Whether others can write while a transaction is open."""
        return self._postgres is not None

    def cut_subscriptions(self) -> None:
        """Close the connections over which processes hear of changes."""
        self._redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]  # redis-py

    def publish(self, word: str) -> None:
        """Announce what was changed in the database by hand."""
        self._redis.publish("registrar:changed", word)

    def status(self, id: str) -> Fields:
        """The public status hash of a phone or a SIP user."""
        found: Any = self._redis.hgetall(f"registrar:status:{{{id}}}")
        return dict(found)

    def journal(self, id: str) -> list[Fields]:
        """The events of one phone."""
        found: Any = self._redis.xrange(f"registrar:journal:{{{id}}}")
        return [fields for _, fields in found]

    def events(self, id: str) -> list[Fields]:
        """The events about one phone in the stream of all."""
        found: Any = self._redis.xrange("registrar:events")
        return [fields for _, fields in found if fields["phone"] == id]

    def offline_after(self, id: str, began: float) -> float:
        """How long after `began` its status said so; fails when that took more than a second."""
        while self.status(id).get("online") != "0":
            assert time.monotonic() - began < limit(LIVE_SECONDS), f"{id} is still online: {self.status(id)}"
            time.sleep(LIVE_POLL_SECONDS)
        return time.monotonic() - began

    # Who is in it, and what happens to it

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers to one request that it grants."""
        reply = self.api.api(method, path, body)
        assert reply.status in (200, 201, 204), reply
        return reply.body

    def new_tenant(self) -> Tenant:
        """Another customer, whose domain both processes serve as soon as they have heard of it."""
        domain = f"d{time.time_ns()}.example"
        customer = self.ask("POST", "/customer", {"name": "Other", "sipDomain": domain})["_id"]
        row = self.ask("GET", f"/config/v2/sip/domains?filter[]=domain-eq-value-{domain}")
        within(1, lambda: all(_serves(site, domain) for site in (self.a, self.b)), "the domain is served")
        return Tenant(customer, domain, f"/config/v2/sip/domains/{row['domainId']}")

    def new_phone(self, tenant: Tenant) -> Handset:
        """A phone of that customer."""
        made = self.api.new_phone(customer=tenant.id, extension=None)
        return Handset(made.id, Account(made.account.username, made.account.password, tenant.domain))

    def new_user(self, tenant: Tenant, name: str, number: str, password: str) -> Handset:
        """A SIP user of that customer."""
        about = {"user": name, "password": password, "displayName": name, "extensionNumber": number}
        made = self.ask("POST", f"{tenant.path}/users", about)
        return Handset(f"u{made['userId']}", Account(name, password, tenant.domain))

    def block(self, tenant: Tenant) -> None:
        """Its customer does not pay."""
        self.ask("PUT", f"/customer/{tenant.id}", {"state": "BLOCKED"})

    def trust(self, tenant: Tenant, network: str) -> str:
        """Another trusted network of its domain; its path."""
        made = self.ask("POST", f"{tenant.path}/trustedNetworks", {"network": network})
        return f"{tenant.path}/trustedNetworks/{made['trustedNetworkId']}"

    def set_password(self, tenant: Tenant, user: Handset, password: str) -> None:
        """Another password of a SIP user."""
        self.ask("POST", f"{tenant.path}/users/{user.id[1:]}", {"password": password})


def _serves(site: Site, domain: str) -> bool:
    """Whether a process challenges for a domain with its name."""
    with UdpPhone(Account("nobody", "x", domain), site.sip) as phone:
        (challenge, *_) = phone.exchange(phone.caller.register()).challenges
    return challenge.realm == domain
