"""What calls cost that wait in a queue while nothing happens: the CPU of the server and of Redis."""

import asyncio
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from tests.peers import procfs
from tests.peers.registrar import NO_QUOTAS
from tests.wire.callers import Callers, talk
from tests.wire.office import Office
from tests.wire.site import Site

CALLS: Final = 100
AGENTS: Final = 50
SETTLE_SECONDS: Final = 3.0
CPU_AIM: Final = 5.0
STRATEGIES: Final = ("all", "huntLongestIdle")


@dataclass(frozen=True)
class Waiting:
    """The cost of calls that wait, in per cent of a core."""

    strategy: str
    calls: int
    agents: int
    cpu: float
    redis: float
    at_rest: float
    """CPU of the server when no call waits."""


def measure(tmp: Path, seconds: float) -> list[Waiting]:
    """Let `CALLS` calls wait in one queue whose agents all talk, once for each strategy."""
    quiet = redirect_stdout(StringIO())  # what its phones said is no figure
    with Site(tmp / "waiting", **NO_QUOTAS) as site, quiet:  # type: ignore[arg-type]  # by name
        site.demo()
        return asyncio.run(_measure(site, seconds))


async def _measure(site: Site, seconds: float) -> list[Waiting]:
    async with Callers(site) as callers:
        office = Office(callers)
        agents = await office.people(AGENTS)
        talks = [
            await talk(one.phone, two.phone, two.extension.number)
            for one, two in zip(agents[::2], agents[1::2], strict=True)
        ]
        group = office.group(agents)
        phones = [await callers.phone(callers.extension().handset) for _ in range(CALLS)]
        found = []
        for strategy in STRATEGIES:
            at_rest, _ = await _cpu(site, seconds)
            queue = office.queue({"group": group.id, "ringSecs": 600, "ringStrategy": strategy})
            outgoing = [await phone.call(queue.number) for phone in phones]
            for one in outgoing:
                await one.provisional(182)
            cpu, redis = await _cpu(site, seconds)
            found.append(Waiting(strategy, CALLS, AGENTS, cpu, redis, at_rest))
            for one in outgoing:
                one.cancel()
                await one.final()
        for call, _ in talks:
            await call.bye()
        return found


async def _cpu(site: Site, seconds: float) -> tuple[float, float]:
    """Return what the server and its Redis use, in per cent of a core."""
    await asyncio.sleep(SETTLE_SECONDS)
    begin, before = time.monotonic(), _used(site)
    await asyncio.sleep(seconds)
    length = time.monotonic() - begin
    server, redis = (100 * (after - first) / length for after, first in zip(_used(site), before, strict=True))
    return server, redis


def _used(site: Site) -> tuple[float, float]:
    return site.cpu_seconds(), procfs.cpu_seconds(site.valkeys)
