"""The faults. Each function injects one, takes it away again, and returns how often it struck."""

import os
import random
import resource
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from tests.peers.cable import Cable
from tests.peers.certificate import name_in, swap
from tests.peers.phone import Address
from tests.peers.postgresql import PostgresServer
from tests.peers.process import frozen
from tests.peers.redis import RedisServer
from tests.peers.stalled import stall
from tests.peers.stream import TcpPipe, trusting
from tests.wire.chaos.scene import HUB, PLACES, Scene
from tests.wire.locks import everybody_locked_out, writers_locked_out
from tests.wire.site import Site

Fault = Callable[[Scene], int]
SPELL_SECONDS: Final = 8.0
"""The length of most faults: longer than the lease of a process (6 s)."""
LONG_SECONDS: Final = 14.0
"""Longer than the time after which others sweep a process."""
KILLS: Final = 3
DOWN_SECONDS: Final = 2.0
SLOW_SECONDS: Final = 0.1
"""Each way: 200 ms more for an answer, which is half of what a command may take (0.4 s)."""
STALL_SECONDS: Final = 2.0
HOUR: Final = 3_600
CACHED_SECONDS: Final = 1.5
"""After this time a program sees what its clock was set to."""
LOSS: Final = "meta l4proto udp numgen random mod 100 < 20"
CERTIFICATE: Final = "chaos.example"
BLOCK: Final = 65_536


def redis(scene: Scene) -> RedisServer:
    """The Redis that the nodes use."""
    assert scene.redis is not None, "this row has no Redis of its own"
    return scene.redis


def postgres(scene: Scene) -> PostgresServer:
    """The PostgreSQL that the nodes use."""
    assert scene.postgres is not None, "this row has no PostgreSQL"
    return scene.postgres


# Redis


def redis_killed(scene: Scene) -> int:
    """kill -9; started again it reads its append-only file."""
    for _ in range(KILLS):
        redis(scene).kill9()
        time.sleep(DOWN_SECONDS)
        redis(scene).start()
        time.sleep(DOWN_SECONDS)
    return KILLS


def redis_frozen(scene: Scene) -> int:
    """SIGSTOP for longer than a lease lives."""
    with frozen(redis(scene).pid):
        time.sleep(SPELL_SECONDS)
    return 1


def redis_slow(scene: Scene) -> int:
    """Each answer comes 200 ms later."""
    return _slow(scene.redis_path)


def redis_full(scene: Scene) -> int:
    """maxmemory is reached, and noeviction: Redis refuses what needs memory."""
    return _refused(scene, "OOM", ("config", "set", "maxmemory", "1"), ("config", "set", "maxmemory", "0"))


def redis_read_only(scene: Scene) -> int:
    """It became a replica of a master that is not there."""
    return _refused(scene, "READONLY", ("replicaof", HUB, "1"), ("replicaof", "no", "one"))


def _refused(scene: Scene, error: str, begin: tuple[str, ...], end: tuple[str, ...]) -> int:
    """How many commands Redis refused with an error between two commands of ours."""
    server = redis(scene)
    before = _errors(server, error)
    server.cli(*begin)
    time.sleep(SPELL_SECONDS)
    server.cli(*end)
    return _errors(server, error) - before


def _errors(server: RedisServer, error: str) -> int:
    text = server.info("errorstats").get(f"errorstat_{error}", "count=0")
    return int(text.removeprefix("count="))


def redis_emptied(scene: Scene) -> int:
    """FLUSHALL: Redis has lost everything, and says nothing."""
    redis(scene).cli("flushall")
    return 1


def redis_fails_over(scene: Scene) -> int:
    """The master dies, its replica is promoted and gets the name; the master returns as its replica."""
    old, new, path = redis(scene), scene.replica, scene.redis_path
    assert new is not None, "this row has no replica"
    assert path is not None, "this row has no path to Redis"
    old.kill9()
    time.sleep(DOWN_SECONDS)
    new.cli("replicaof", "no", "one")
    path.turn_to((HUB, new.port))
    old.start()
    old.cli("replicaof", HUB, str(new.port))
    return 1


# SQL


def sql_away(scene: Scene) -> int:
    """PostgreSQL is stopped, and started again."""
    postgres(scene).stop()
    time.sleep(SPELL_SECONDS)
    postgres(scene).start()
    return 1


def sql_slow(scene: Scene) -> int:
    """Each answer comes 200 ms later."""
    return _slow(scene.sql_path)


def sql_locked(scene: Scene) -> int:
    """A session holds all tables of PostgreSQL."""
    server, database = postgres(scene), scene.database
    names = server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database)
    server.sql("BEGIN", database)
    server.sql(f"LOCK TABLE {', '.join(row[0] for row in names)} IN ACCESS EXCLUSIVE MODE", database)
    time.sleep(SPELL_SECONDS)
    server.sql("ROLLBACK", database)
    return 1


def sqlite_writers_locked(scene: Scene) -> int:
    """Another process writes all the time."""
    return _locked(scene, writers_locked_out)


def sqlite_locked(scene: Scene) -> int:
    """Another process lets nobody read or write."""
    return _locked(scene, everybody_locked_out)


def _locked(scene: Scene, lock: Callable[[Site], AbstractContextManager[None]]) -> int:
    with lock(scene.a):
        time.sleep(SPELL_SECONDS)
    return 1


# The machine


def disk_full(scene: Scene) -> int:
    """Not an octet is left on the disk of the data directory."""
    filler = scene.data.parent / "filler"
    with _filled(filler):
        time.sleep(SPELL_SECONDS)
    return 1


@contextmanager
def _filled(path: Path) -> Iterator[None]:
    with path.open("wb", buffering=0) as file:
        for size in (BLOCK, 1):
            try:
                while file.write(os.urandom(size)):
                    pass
            except OSError:  # no space left
                continue
    try:
        yield
    finally:
        path.unlink()


def descriptors_gone(scene: Scene) -> int:
    """Both nodes may open nothing more. How often a new connection to them got no answer."""
    before = {node.pid: resource.prlimit(node.pid, resource.RLIMIT_NOFILE) for node in scene.nodes.values()}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_lowest_free(pid), hard))
    end, waiting = time.monotonic() + SPELL_SECONDS, 0
    while time.monotonic() < end:
        waiting += sum(not _answers(node.http) for node in scene.nodes.values())
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    return waiting


def _lowest_free(pid: int) -> int:
    """The number that the next descriptor of a process would have: it may not be as high as the limit."""
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in count() if number not in used)


def _answers(place: Address) -> bool:
    """Whether a new connection gets an answer within a second."""
    with socket.create_connection(place, 1.0) as asked:
        try:
            asked.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return bool(asked.recv(1))
        except OSError:
            return False


def clock_ahead(scene: Scene) -> int:
    """The clock of node b jumps an hour ahead, and back."""
    return _jump(scene, HOUR)


def clock_behind(scene: Scene) -> int:
    """The clock of node b jumps an hour back, and ahead."""
    return _jump(scene, -HOUR)


def _jump(scene: Scene, seconds: int) -> int:
    for offset in (seconds, 0):
        swap(scene.clock, f"{offset:+d}".encode())
        time.sleep(SPELL_SECONDS if offset else CACHED_SECONDS)
    return 2


def loop_stalled(scene: Scene) -> int:
    """The thread with the event loop of node b does nothing for 2 s."""
    for _ in range(KILLS):
        stall(scene.b.pid, STALL_SECONDS)
        time.sleep(DOWN_SECONDS)
    return KILLS


def process_frozen(scene: Scene) -> int:
    """SIGSTOP of node b until the others have swept it."""
    scene.struck.add("b")
    with frozen(scene.b.pid):
        time.sleep(LONG_SECONDS)
    return 1


# Networks


def b_to_redis(scene: Scene) -> int:
    """What node b says does not reach Redis."""
    scene.struck.add("b")
    return _cut(scene, leaving=f"ip daddr {HUB} tcp dport {redis(scene).port}")


def redis_to_b(scene: Scene) -> int:
    """What Redis says does not reach node b."""
    scene.struck.add("b")
    return _cut(scene, coming=f"ip saddr {HUB} tcp sport {redis(scene).port}")


def b_to_sql(scene: Scene) -> int:
    """What node b says does not reach PostgreSQL."""
    return _cut(scene, leaving=f"ip daddr {HUB} tcp dport {postgres(scene).port}")


def sql_to_b(scene: Scene) -> int:
    """What PostgreSQL says does not reach node b."""
    return _cut(scene, coming=f"ip saddr {HUB} tcp sport {postgres(scene).port}")


def b_to_a(scene: Scene) -> int:
    """What node b says does not reach node a."""
    return _cut(scene, leaving=f"ip daddr {PLACES['a']}")


def a_to_b(scene: Scene) -> int:
    """What node a says does not reach node b."""
    return _cut(scene, coming=f"ip saddr {PLACES['a']}")


def _cut(scene: Scene, *, coming: str = "", leaving: str = "") -> int:
    network = scene.b.street.inside
    network.drop(coming=[coming] if coming else [], leaving=[leaving] if leaving else [])
    time.sleep(LONG_SECONDS)
    return network.deliver()


def packets_lost(scene: Scene) -> int:
    """A fifth of all datagrams, each way, at both nodes."""
    networks = [node.street.inside for node in scene.nodes.values()]
    for network in networks:
        network.drop(coming=[LOSS], leaving=[LOSS])
    time.sleep(LONG_SECONDS)
    return sum(network.deliver() for network in networks)


def packets_jumbled(scene: Scene) -> int:
    """A third of all datagrams comes late, and a third comes twice."""
    for jumble in scene.jumbles.values():
        jumble.on = True
    time.sleep(LONG_SECONDS)
    for jumble in scene.jumbles.values():
        jumble.on = False
    return sum(jumble.late + jumble.twice for jumble in scene.jumbles.values())


def _slow(path: Cable | None) -> int:
    """How many pieces were late."""
    assert path is not None, "this row has no path that can be slow"
    before, path.delay_seconds = path.carried, SLOW_SECONDS
    time.sleep(SPELL_SECONDS)
    path.delay_seconds = 0.0
    return path.carried - before


# Files


def certificate_spoilt(scene: Scene) -> int:
    """The certificate is rubbish, then its key, then both are right. New handshakes see nothing of it."""
    files = [Path(scene.a.settings[name]) for name in ("tls_cert", "tls_key")]
    for path in files:
        right = path.read_bytes()
        for rubbish in (b"", random.randbytes(2_000), right[: len(right) // 2]):
            swap(path, rubbish)
            time.sleep(DOWN_SECONDS)
            _handshakes(scene)
        swap(path, right)
    return 3 * len(files)


def _handshakes(scene: Scene) -> None:
    for node in scene.nodes.values():
        for transport in ("tls", "wss"):
            pipe = TcpPipe(node.listeners[transport], (HUB, 0), trusting())
            try:
                assert isinstance(pipe.socket, ssl.SSLSocket)
                assert name_in(pipe.socket.getpeercert(binary_form=True)) == CERTIFICATE
            finally:
                pipe.close()


def country_file_spoilt(scene: Scene) -> int:
    """The country file is rubbish, and then it is right again."""
    path = scene.data / "geoip.mmdb"
    right = path.read_bytes()
    for rubbish in (b"", random.randbytes(2_000), right[: len(right) // 2]):
        swap(path, rubbish)
        time.sleep(DOWN_SECONDS)
    swap(path, right)
    return 3
