"""Floods of twelve kinds: honest phones go on, and the server's memory stays as it is.

`make test` sends little and looks whether anybody fails; `make soak` sends 2,000 a second for ten seconds of
each kind, and the time of the honest ones has a limit.
"""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.peers.load import LoadResult, SteadyLoad
from tests.wire.conftest import Report
from tests.wire.flood import KINDS, Flood, Order
from tests.wire.need import in_soak, need, rounds
from tests.wire.site import Handset, Site

pytestmark = [pytest.mark.wire, pytest.mark.xdist_group("floods")]

RATE: Final = rounds(200, 2_000)
SECONDS: Final = rounds(1, 10)
LIMIT_SECONDS: Final = 0.150
HONEST: Final = 20
HONEST_RATE: Final = 20.0
MORE_MEMORY: Final = 24 * 2**20
"""What a flood may leave: caches that it fills once. In the soak a leak of one object a datagram is more."""
SOME: Final = frozenset({"register", "wrong", "contacts", "garbage"})
"""Those that `make test` runs: a digest, a wrong one, a body that costs before it, and what is no SIP."""
BLOCKS: Final = count(100)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("redis-cli")
    with Site(tmp_path_factory.mktemp("flooded"), log_level="warning") as site:
        site.demo()
        yield site


@pytest.fixture(scope="module")
def honest(server: Site) -> list[Handset]:
    return [server.new_phone() for _ in range(HONEST)]


async def going_on(server: Site, honest: list[Handset], flood: Flood | None, seconds: float) -> LoadResult:
    """Registrations of the honest ones while a flood goes on."""
    accounts = [handset.account for handset in honest]
    async with SteadyLoad(accounts, server.sip, rate=HONEST_RATE, source=("127.99.0.1", 0)) as load:
        if flood is None:
            await asyncio.sleep(seconds)
        else:
            flood.start()
            await asyncio.to_thread(flood.over)
    return load.result


@pytest.mark.parametrize("kind", [kind if kind in SOME else in_soak(kind) for kind in KINDS])
def test_honest_phones_go_on(
    server: Site, honest: list[Handset], kind: str, tmp_path: Path, report: Report
) -> None:
    asyncio.run(going_on(server, honest, None, 1.0))  # whatever is made once is made
    victim = server.new_phone()
    before = server.resident_bytes()
    order = Order(
        kind,
        server.sip,
        RATE,
        SECONDS,
        victim.account.username,
        victim.account.password,
        victim.account.domain,
        next(BLOCKS),
    )
    flood = Flood(tmp_path, order)
    result = asyncio.run(going_on(server, honest, flood, 0.0))
    grown = server.resident_bytes() - before
    p99 = sorted(done.seconds for done in result.acknowledged)[int(len(result.acknowledged) * 0.99)]
    report(
        f"flood {kind:<10} {flood.over() / SECONDS:>6,.0f}/s  honest {len(result.acknowledged):>4} "
        f"p99 {1_000 * p99:>7.1f} ms  memory {grown / 2**20:+.1f} MiB"
    )
    assert result.acknowledged and not result.refused and not result.timeouts, result
    assert server.metric("registrar_unhandled_exceptions_total") == 0
    assert grown < MORE_MEMORY
    if rounds(0, 1):
        assert p99 < LIMIT_SECONDS


MANY: Final = 200
"""Sources of the large floods; each stays little above what a stranger may send."""
HELD_SECONDS: Final = 0.250


@pytest.mark.parametrize("rate", [rounds(1_000, 5_000), in_soak(8_000)])
def test_honest_phones_notice_no_flood_from_many_sources(
    server: Site, honest: list[Handset], rate: int, tmp_path: Path, report: Report
) -> None:
    asyncio.run(going_on(server, honest, None, 1.0))
    victim = server.new_phone().account
    about = (victim.username, victim.password, victim.domain, next(BLOCKS), MANY)
    before = server.metric("registrar_limited_total")
    flood = Flood(tmp_path, Order("register", server.sip, rate, SECONDS, *about))
    result = asyncio.run(going_on(server, honest, flood, 0.0))
    limited = server.metric("registrar_limited_total") - before
    p99 = sorted(done.seconds for done in result.acknowledged)[int(len(result.acknowledged) * 0.99)]
    report(
        f"flood from {MANY} sources {flood.over() / SECONDS:>6,.0f}/s  {limited:,.0f} not read  "
        f"honest {len(result.acknowledged):>4} p99 {1_000 * p99:>7.1f} ms"
    )
    assert result.acknowledged and not result.refused and not result.timeouts, result
    if rounds(0, 1):
        assert p99 < HELD_SECONDS
