"""The jobs beside the listeners: domains, repairs after a loss of Redis, re-checks, and housekeeping."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Final

from registrar.capacity import give_back_memory
from registrar.driver import mono
from registrar.errors import StoreUnavailable
from registrar.handlers.building import Handlers
from registrar.metrics import Metrics
from registrar.model import Change
from registrar.store.directory_cache import CachedDirectory
from registrar.store.geoip import CountryFile
from registrar.store.location_redis import RedisLocation
from registrar.store.nodes import Nodes
from registrar.transport import local
from registrar.transport.connections import Connections

DOMAIN_SECONDS: Final = 60.0
HOUSEKEEPING_SECONDS: Final = 5.0
LAG_SECONDS: Final = 0.1
MEND_SECONDS: Final = 0.5
REDIS_PATIENCE_SECONDS: Final = 2.0
"""How long a start waits for Redis; after that it listens without Redis and answers 503."""
MANY_GONE: Final = 25
"""After this number of ended connections, their memory is returned to the system."""

log = logging.getLogger("registrar.app")


class Jobs:
    """The jobs of the SIP side; each runs until it is cancelled."""

    def __init__(
        self,
        location: RedisLocation,
        directory: CachedDirectory,
        countries: CountryFile,
        connections: Connections,
        nodes: Nodes,
        metrics: Metrics,
    ) -> None:
        self._location = location
        self._directory = directory
        self._countries = countries
        self._connections = connections
        self._nodes = nodes
        self._metrics = metrics
        self.domains_known = asyncio.Event()
        """Set when the SIP domains of customers were read once."""

    def all(self, handlers: Handlers) -> list[Coroutine[None, None, None]]:
        """Return the jobs."""
        return [
            self._location.wire.run(),
            self._location.state_writer.run(),
            self._directory.run(),
            self._keep_domains(),
            self._housekeeping(),
            self._mend(handlers),
            self._recheck(handlers),
            self._connections.run(),
            handlers.flows.run(),
            handlers.pings.run(),
            handlers.trail.run(),
            self._adopt(handlers),
            self._measure_lag(),
            handlers.expiry.run(),
        ]

    async def prepare(self) -> None:
        """Wait for the country file and the SIP domains, and a little for Redis and our lease there.

        A phone that registers over a connection before there is a lease is shown as offline.
        """
        await asyncio.to_thread(self._countries.refresh)
        await self.domains_known.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REDIS_PATIENCE_SECONDS):
                await self._location.wire.opened.wait()
                await self._nodes.registered.wait()

    async def _keep_domains(self) -> None:
        while True:
            try:
                await self._directory.read_domains()
                self.domains_known.set()
                await asyncio.sleep(DOMAIN_SECONDS)
            except StoreUnavailable as error:
                log.warning("the SIP domains could not be read: %s", error)
                await asyncio.sleep(1)

    async def _housekeeping(self) -> None:
        """Look repeatedly whether the country file or the machine's addresses have changed.

        Return the memory of ended connections to the system, and set the metrics of the stores.
        """
        while True:
            await asyncio.to_thread(self._countries.refresh)
            if self._connections.have_gone(MANY_GONE):
                await asyncio.to_thread(give_back_memory)
            local.forget()
            up = self._metrics.store_up
            up.labels("redis").set(self._location.wire.up)
            up.labels("country_file").set(not self._countries.problem)
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    async def _mend(self, handlers: Handlers) -> None:
        """Write to Redis, when it is back, all that it has lost or could not be told."""
        back = self._location.back
        while True:
            await back.wait()
            back.clear()
            try:
                written = await self._location.mend()
            except StoreUnavailable:
                await asyncio.sleep(MEND_SECONDS)
                back.set()
                continue
            self._metrics.reconciled.inc(written)
            if written:
                log.warning("Redis was told again of %d phones", written)
                handlers.changes.note(Change(everybody=True))  # some of them may have changed meanwhile

    async def _recheck(self, handlers: Handlers) -> None:
        """Apply changes of the configuration, also earlier ones, as soon as the bindings can be read."""
        await self._location.wire.opened.wait()
        await handlers.changes.run()

    async def _adopt(self, handlers: Handlers) -> None:
        """Let the phones be pinged that an earlier start of this node left bound over UDP."""
        while True:
            await self._location.wire.opened.wait()
            try:
                handlers.pings.adopt(await self._location.everybody())
            except StoreUnavailable:
                await asyncio.sleep(MEND_SECONDS)
                continue
            return

    async def _measure_lag(self) -> None:
        observe = self._metrics.loop_lag.observe
        while True:
            before = mono()
            await asyncio.sleep(LAG_SECONDS)
            observe(max(0.0, mono() - before - LAG_SECONDS))
