"""The location over a Redis whose master dies again and again: what was committed is there in the end."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Binding, Epoch, Process
from registrar.rules.update import build_update
from registrar.store.location_redis import RedisLocation
from tests.patience import limit
from tests.peers.process import wait_until
from tests.peers.sentinel import RedisGroup
from tests.wire.conftest import Report
from tests.wire.need import need

pytestmark = [pytest.mark.wire, pytest.mark.soak]

PHONES: Final = [f"{number:024x}" for number in range(200)]
RATE: Final = 100
FAILOVERS: Final = 20
BACK_SECONDS: Final = 5.0


def now() -> Epoch:
    return Epoch(time.time())


@asynccontextmanager
async def committing(location: RedisLocation, numbers: Iterator[int]) -> AsyncIterator[dict[str, int]]:
    """Commits go on, each with the next CSeq; yields the last one of each phone that was acknowledged."""
    acknowledged: dict[str, int] = {}
    stop = asyncio.Event()

    async def run() -> None:
        while not stop.is_set():
            cseq = next(numbers)
            phone = random.choice(PHONES)
            binding = Binding(f"sip:{phone}@10.0.0.7", int(now()) + 600, "c", cseq, node="a", generation="g")
            before = location.known(phone)
            with suppress(StoreUnavailable):
                update = build_update(before, (binding,), (), now(), customer="c" * 24)
                if await location.commit(phone, before, update) is None:
                    acknowledged[phone] = cseq
            await asyncio.sleep(1 / RATE)

    task = asyncio.create_task(run())
    try:
        yield acknowledged
    finally:
        stop.set()
        await task


async def test_what_was_committed_survives_each_failover(tmp_path: Path, report: Report) -> None:
    need("redis-server", "redis-cli")
    with RedisGroup(tmp_path) as group:
        location = RedisLocation(group.url(), now, Process("a", "g"))
        running = asyncio.create_task(location.wire.run())
        async with asyncio.timeout(limit(20)):
            await location.wire.opened.wait()
        numbers = count(1)
        for number in range(FAILOVERS):
            await asyncio.to_thread(wait_until, group.is_whole, "the replica has caught up")
            async with committing(location, numbers) as acknowledged:
                await asyncio.sleep(1)
                location.back.clear()
                began = time.monotonic()
                former = await asyncio.to_thread(group.kill_master)
                await asyncio.to_thread(group.wait_for_another_than, former)
                named = time.monotonic() - began
                async with asyncio.timeout(limit(30)):
                    await location.back.wait()
                took = time.monotonic() - began
                await location.mend()
                await asyncio.sleep(0.5)
            stands = dict(zip(PHONES, await location.load(PHONES), strict=True))
            lost = [
                phone
                for phone, cseq in acknowledged.items()
                if max((one.cseq for one in stands[phone].bindings), default=0) < cseq
            ]
            away = f"away {took:.1f} s, the sentinels took {named:.1f} s of them"
            report(f"failover {number + 1}: {len(acknowledged)} phones, {len(lost)} lost, {away}")
            assert acknowledged
            assert lost == []
            assert took <= limit(BACK_SECONDS)
            await asyncio.to_thread(group.bring_back, former)
        location.wire.close()
        running.cancel()
