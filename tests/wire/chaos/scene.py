"""Two nodes, each in a network of its own, and their stores on a network between them.

Nothing of it is seen outside: the test enters the network between them, and so do its phones. A node that is
cut off loses packets in its own network alone.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.peers.cable import Cable
from tests.peers.certificate import certify
from tests.peers.jumble import Jumble
from tests.peers.nat import Street
from tests.peers.netns import Namespace
from tests.peers.phone import Address
from tests.peers.postgresql import PostgresServer
from tests.peers.redis import RedisServer
from tests.wire.chaos.people import CONNECTED, COUNTRY, NODES, People, settle
from tests.wire.conftest import write_countries
from tests.wire.site import Site

HUB: Final = "10.77.0.1"
"""Where stores, phones and readers are."""
NETWORK: Final = "10.77.0.0/24"
PLACES: Final = {"a": "10.77.0.11", "b": "10.77.0.12"}
LISTENERS: Final = {"tcp": 5060, "tls": 5061, "wss": 8443}
DISK: Final = "24m"
"""Size of the file system of the data directory, where it has one of its own."""
FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
FIRST_PORT: Final = 7_001
OPEN_REDIS: Final = ("--bind", HUB, "127.0.0.1", "--protected-mode", "no")


@dataclass(frozen=True)
class Needs:
    """What a row needs beside the ordinary scene."""

    postgresql: bool = False
    redis_path: bool = False
    """A cable between the nodes and Redis."""
    sql_path: bool = False
    replica: bool = False
    """A second Redis, which follows the first."""
    embedded: bool = False
    """The Redis of the program itself, on a small disk."""
    jumble: bool = False
    clock: bool = False
    """Node b has a clock that can be set."""


class Node(Site):
    """A process with everything on, in a network of its own."""

    metrics_token = None

    def __init__(
        self,
        name: str,
        folder: Path,
        street: Street,
        tenant: dict[str, Any],
        variables: Mapping[str, str],
        **settings: str,
    ) -> None:
        self._variables = dict(variables)
        self.name, self.street, place = name, street, street.address
        listeners = {f"sip_{transport}": f"{place}:{port}" for transport, port in LISTENERS.items()}
        here = {"node": name, "http": f"{place}:8080", "sip_udp": f"{place}:5060", **listeners, **settings}
        super().__init__(folder, tenant=tenant, arguments=("serve",), transports=CONNECTED, **here)
        self.http, self.sip = (place, 8080), (place, 5060)
        self.listeners = {"udp": self.sip} | {name: (place, port) for name, port in LISTENERS.items()}

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self._variables

    def _place(self) -> list[str]:
        """Redis, also behind a cable: as the nodes find it."""
        url = self.settings.get("redis_url")
        return ["-h", HUB, "-p", str(urlsplit(url).port)] if url else super()._place()

    def start(self) -> None:
        with self.street.inside.entered():
            super().start()


@dataclass(frozen=True)
class Base:
    """A database with all phones, which each row gets a copy of."""

    hub: Namespace
    data: Path
    people: People
    postgres: PostgresServer | None = None
    database: str = ""


@dataclass
class Scene:
    """What a fault may break."""

    hub: Namespace
    people: People
    folder: Path
    data: Path
    nodes: dict[str, Node]
    redis: RedisServer | None
    replica: RedisServer | None = None
    postgres: PostgresServer | None = None
    database: str = ""
    redis_path: Cable | None = None
    sql_path: Cable | None = None
    jumbles: dict[str, Jumble] = field(default_factory=dict)
    struck: set[str] = field(default_factory=set)
    """Nodes whose connections the others must take for dead now."""

    @property
    def a(self) -> Node:
        return self.nodes["a"]

    @property
    def b(self) -> Node:
        return self.nodes["b"]

    @property
    def clock(self) -> Path:
        """By how many seconds the clock of node b is wrong."""
        return self.folder / "clock"

    @property
    def exceptions(self) -> float:
        """Unhandled ones, of both nodes, since they started."""
        return sum(node.metric("registrar_unhandled_exceptions_total") for node in self.nodes.values())

    def udp(self, node: str) -> Address:
        """Where phones over UDP reach a node."""
        return self.jumbles[node].address if self.jumbles else self.nodes[node].sip


def source(number: int) -> Address:
    """Where a socket of phones over UDP is, the same in each row: else each row would bind more contacts."""
    return HUB, FIRST_PORT + number


@contextmanager
def make_base(folder: Path, *, postgresql: bool) -> Iterator[Base]:
    """The network between the nodes, and the phones in a database."""
    with ExitStack() as stack:
        hub = stack.enter_context(Namespace(HUB))
        with hub.entered():
            postgres = stack.enter_context(_postgresql()) if postgresql else None
            base = _settled(hub, folder, postgres)
        yield base


def _postgresql() -> PostgresServer:
    options = {"listen_addresses": f"127.0.0.1,{HUB}"}
    return PostgresServer(network=NETWORK, **options)


def _settled(hub: Namespace, folder: Path, postgres: PostgresServer | None) -> Base:
    """Make the phones, and the country file beside them."""
    database = postgres.create() if postgres else ""
    site = Site(folder, database_url=postgres.url(database)) if postgres else Site(folder)
    if postgres:
        site.command("migrate")
    with site:
        people = settle(site)
    write_countries(folder / "data" / "geoip.mmdb", {NETWORK: COUNTRY})
    return Base(hub, folder / "data", people, postgres, database)


@contextmanager
def running(base: Base, folder: Path, needs: Needs) -> Iterator[Scene]:
    """Both nodes with their stores, for the length of a block that is inside of the network between them."""
    with ExitStack() as stack:
        scene = Scene(base.hub, base.people, folder, _data(base, folder, needs, stack), {}, None)
        settings = _stores(scene, base, needs, stack) | _certificate(folder)
        for name in NODES:
            street = stack.enter_context(Street(base.hub, PLACES[name]))
            variables = _clock(scene) if needs.clock and name == "b" else {}
            node = Node(name, folder / name, street, base.people.tenant, variables, **settings)
            scene.nodes[name] = stack.enter_context(node)
        if needs.jumble:
            scene.jumbles = {
                name: stack.enter_context(Jumble(node.sip, HUB)) for name, node in scene.nodes.items()
            }
        yield scene


def _data(base: Base, folder: Path, needs: Needs, stack: ExitStack) -> Path:
    """A copy of the data directory; on a small disk if the row needs one."""
    data = folder / "disk" / "data"
    data.parent.mkdir(parents=True)
    if needs.embedded:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(data.parent)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(data.parent)], check=True)
    shutil.copytree(base.data, data, ignore=shutil.ignore_patterns("valkey*", "appendonly*", "*.sock"))
    return data


def _stores(scene: Scene, base: Base, needs: Needs, stack: ExitStack) -> dict[str, str]:
    """Start them, and return the settings by which nodes find them."""
    settings = {"data_dir": str(scene.data)}
    if not needs.embedded:
        scene.redis = stack.enter_context(RedisServer(scene.folder, options=OPEN_REDIS))
        place = (HUB, scene.redis.port)
        if needs.redis_path:
            scene.redis_path = stack.enter_context(Cable(place, HUB))
            place = scene.redis_path.address
        settings["redis_url"] = "redis://{}:{}/0".format(*place)
    if needs.replica and scene.redis is not None:
        follows = ("--replicaof", f"{HUB} {scene.redis.port}")
        scene.replica = stack.enter_context(RedisServer(scene.folder, options=(*OPEN_REDIS, *follows)))
    if needs.postgresql and base.postgres:
        settings["database_url"] = _database(scene, base.postgres, base.database, needs, stack)
    return settings


def _database(scene: Scene, postgres: PostgresServer, template: str, needs: Needs, stack: ExitStack) -> str:
    scene.postgres, scene.database = postgres, postgres.create(template=template)
    place = (HUB, postgres.port)
    if needs.sql_path:
        scene.sql_path = stack.enter_context(Cable(place, HUB))
        place = scene.sql_path.address
    return postgres.url(scene.database, place)


def _certificate(folder: Path) -> dict[str, str]:
    """Files of ours, which a fault may replace."""
    certificate, key = folder / "given.crt", folder / "given.key"
    for path, content in zip((certificate, key), certify("chaos.example"), strict=True):
        path.write_bytes(content)
    return {"tls_cert": str(certificate), "tls_key": str(key)}


def _clock(scene: Scene) -> dict[str, str]:
    """The variables of a clock that is as wrong as a file says; the monotonic clock stays right."""
    scene.clock.write_text("+0")
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(scene.clock),
        "FAKETIME_CACHE_DURATION": "1",  # to read the file for each look at the clock would take all CPU
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
