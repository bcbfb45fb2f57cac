"""The living processes: leases, generations, and the sweep of what dead processes left (docs/redis.md)."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.errors import AnotherNode, StoreUnavailable
from registrar.model import Process
from registrar.ports import Clock

from . import keys
from .living import Living
from .redis_client import heed_cancellation

LEASE_SECONDS: Final = 6.0
RENEW_SECONDS: Final = 2.0
DEAD_SECONDS: Final = 2.5
"""How long a lease must be missing on an unbroken Redis connection until its process is dead. Together with
the lease's own time, its phones are offline within 10 s of its death."""
LOOK_SECONDS: Final = 0.5
FIRST_SECONDS: Final = 0.1
"""How soon a first lease that failed is tried again: without one, phones on our connections look offline."""
AGAIN_SECONDS: Final = 0.25
"""The same for a renewal: if Redis was away longer than a lease lives, it comes back without ours."""
OVER_TLS: Final = ";transport=tls"
"""Ends the address of a process that is asked over TLS; it is a parameter of its SIP URI, too."""
FAULTS: Final = (RedisError, OSError, TimeoutError, StoreUnavailable)

log = logging.getLogger(__name__)


class Nodes:
    """The lease of this process, and the sweep of generations whose lease is gone."""

    def __init__(
        self,
        redis: Redis,
        process: Process,
        sip: str,
        clock: Clock,
        *,
        tls: str = "",
        lost_lease: Callable[[], Awaitable[None]],
        sweep: Callable[[Process, frozenset[str]], Awaitable[None]],
        lease_seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        dead_seconds: float = DEAD_SECONDS,
    ) -> None:
        """Create the lease. `sip` and `tls` are where this process takes requests of other nodes.

        With `tls`, those that take TLS, too, are asked over TLS only. `lost_lease` is called if the lease
        was gone: other processes may have swept us.

        `sweep(process, phones)` ends the bindings on connections of a dead process.
        """
        self._redis = redis
        self._process = process
        self._name = process.node
        lease = {"generation": process.generation, "sip": sip} | ({"tls": tls} if tls else {})
        self._lease = json.dumps(lease, separators=(",", ":"))
        self._speaks_tls = bool(tls)
        self._clock = clock
        self._lost_lease = lost_lease
        self._sweep = sweep
        self._lease_ms = round(lease_seconds * 1000)
        self._renew_seconds = renew_seconds
        self._look_seconds = look_seconds
        self._dead_seconds = dead_seconds
        self.registered = asyncio.Event()
        """Set when the lease was written for the first time."""
        self._predecessors: list[Process] = []
        """Generations of our own name that are still to be swept."""
        self._missing: dict[str, float] = {}
        self._neighbours: dict[str, tuple[str, str]] = {}
        self._places: frozenset[tuple[str, int]] = frozenset()
        """The addresses and ports of the SIP of neighbours."""
        self._living = Living(process)
        self._sure_at = 0.0
        """Until then, leases may be missing because Redis was away: their processes will renew them."""

    async def run(self) -> None:
        """Take over the name, keep the lease and sweep dead processes, until cancelled.

        Raises AnotherNode, in an ExceptionGroup, if a living process uses our name.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._beat, self._renew_seconds))
            # a separate task: the lease is kept however long a sweep takes
            tasks.create_task(self._repeat(self._sweep_the_dead, self._look_seconds))

    def neighbour(self, name: str) -> tuple[str, str] | None:
        """Return generation and SIP address of another living process, at most half a second old, or None."""
        return self._neighbours.get(name)

    def over_tls(self) -> dict[str, str]:
        """Return the `host:port` of each living process that takes TLS, by name."""
        found = {name: address for name, (_, address) in self._neighbours.items()}
        return {name: one.removesuffix(OVER_TLS) for name, one in found.items() if one.endswith(OVER_TLS)}

    @property
    def has_neighbours(self) -> bool:
        """Return whether there is another living process."""
        return bool(self._neighbours)

    def is_place(self, ip: str, port: int) -> bool:
        """Return whether another living process sends its SIP from there."""
        return (ip, port) in self._places

    def lives(self, process: Process) -> bool:
        """Return whether a process lives, from memory: see `Living`."""
        return self._living.lives(process)

    async def _repeat(self, step: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            wait = seconds
            try:
                await step()
            except FAULTS as error:
                wait = min(seconds, AGAIN_SECONDS)
                self._missing.clear()  # a lease must be missing without a break of the connection
                self._sure_at = asyncio.get_running_loop().time() + self._dead_seconds
                log.debug("no lease renewed, or nothing swept: %s", error)
            heed_cancellation()
            await asyncio.sleep(wait if self.registered.is_set() else min(seconds, FIRST_SECONDS))

    async def leave(self) -> None:
        """Give up the lease at an orderly stop."""
        try:
            held = await self._redis.get(keys.node(self._name))
            if held == self._lease:
                await self._redis.delete(keys.node(self._name))
        except FAULTS as error:
            log.debug("the lease runs out by itself: %s", error)

    async def _beat(self) -> None:
        if not self.registered.is_set():
            await self._take_over()
            return
        held = await self._redis.get(keys.node(self._name))
        if held is not None and held != self._lease:
            raise AnotherNode(f"another living process has the node name {self._name}; set REGISTRAR_NODE")
        await self._redis.set(keys.node(self._name), self._lease, px=self._lease_ms)
        if held is None:
            log.warning("the lease of node %s was gone and is renewed", self._name)
            await self._redis.hset(keys.NODES, self._row(), str(int(self._clock())))
            await self._lost_lease()

    async def _take_over(self) -> None:
        """Take the name: the latest start wins, and an older living process notices that and stops."""
        await self._redis.hset(keys.NODES, self._row(), str(int(self._clock())))
        await self._redis.set(keys.node(self._name), self._lease, px=self._lease_ms)
        self._predecessors = [
            other for other in await self._rows() if other.node == self._name and other != self._process
        ]
        self.registered.set()

    async def _sweep_the_dead(self) -> None:
        await self.registered.wait()
        while self._predecessors:
            await self._bury(self._predecessors[-1])
            self._predecessors.pop()
        look = self._living.begin()
        others = [other for other in await self._rows() if other.node != self._name]
        seen: set[str] = set()
        neighbours: dict[str, tuple[str, str]] = {}
        places: set[tuple[str, int]] = set()
        for other in others:
            lease = await self._redis.get(keys.node(other.node))
            if _generation(lease) == other.generation:
                neighbours[other.node] = (other.generation, self._address(lease))
                places.add(_place(_text(lease, "sip")))
                continue
            row = str(other)
            seen.add(row)
            now = asyncio.get_running_loop().time()  # time of the answer; an earlier outage does not count
            since = self._missing.setdefault(row, now)
            if now - since >= self._dead_seconds:
                await self._bury(other)
        self._neighbours = neighbours
        self._places = frozenset(places)
        found = [Process(name, generation) for name, (generation, _) in neighbours.items()]
        self._living.looked(look, found, sure=asyncio.get_running_loop().time() >= self._sure_at)
        self._missing = {row: since for row, since in self._missing.items() if row in seen}

    def _address(self, lease: object) -> str:
        """Return where a process takes requests; empty if it takes none."""
        tls = _text(lease, "tls") if self._speaks_tls else ""
        return tls + OVER_TLS if tls else _text(lease, "sip")

    async def _bury(self, process: Process) -> None:
        flows = keys.flows(process)
        phones = frozenset(_texts(await self._redis.smembers(flows)))
        await self._sweep(process, phones)
        await self._redis.delete(flows)
        await self._redis.hdel(keys.NODES, str(process))
        log.info("node %s generation %s is swept: %d phones", process.node, process.generation, len(phones))

    async def _rows(self) -> list[Process]:
        rows = [row.rpartition(" ") for row in _texts(await self._redis.hkeys(keys.NODES))]
        return [Process(name, generation) for name, _, generation in rows]

    def _row(self) -> str:
        return str(self._process)


def _generation(lease: object) -> str:
    """Return the generation in a lease; empty if there is no lease, or none that can be read."""
    try:
        return str(json.loads(str(lease))["generation"])
    except (ValueError, TypeError, KeyError):
        return ""


def _text(lease: object, name: str) -> str:
    """Return a field of a lease; empty if there is none."""
    try:
        return str(json.loads(str(lease)).get(name, ""))
    except (ValueError, AttributeError):
        return ""


def _place(sip: str) -> tuple[str, int]:
    """Return the address and port of `host:port`; port 0, from which nothing comes, if there is none."""
    host, _, port = sip.rpartition(":")
    return host.strip("[]"), int(port) if port.isascii() and port.isdigit() else 0


def _texts(values: Iterable[bytes | str]) -> list[str]:
    """Return the values as text: redis-py's types do not know that the client decodes."""
    return [value if isinstance(value, str) else value.decode() for value in values]
