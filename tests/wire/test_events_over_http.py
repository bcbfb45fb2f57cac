"""GET /events of a real server: through kills of the server and of Redis, and with many readers."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest

from config.access import AccessLevel
from config.auth import issue_token
from tests.config.receiving import receiver
from tests.patience import SOAK, limit
from tests.peers.phone import UdpPhone
from tests.peers.redis import RedisServer
from tests.peers.registrar import RegistrarServer
from tests.wire.conftest import Report
from tests.wire.need import need, rounds
from tests.wire.site import Handset, Site
from tests.wire.streaming import Stream, Writer, expected

pytestmark = pytest.mark.wire

SECRET = "the secret of the tokens of this test, long enough"
READERS, EVENTS, CUTS = rounds(6, 200), rounds(400, 10_000), rounds(3, 20)
A_SECOND = rounds(200, 100)
MANY = rounds(50, 1_000)
MAX_OCTETS = 60_000
FOLLOWERS, TIMES = rounds(6, 200), rounds(4, 100)
OF_A_REGISTRATION = ("evalsha", "eval", "xadd", "sadd", "srem", "publish")
"""Commands of the SIP side for a registration. Those of leases and inside scripts depend on time."""
ACME, RIVAL = "aa" * 12, "bb" * 12


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def api(redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, arguments=("serve", "api"), redis_url=redis.url, jwt_secret=SECRET)
    with site:
        for number, customer in enumerate((ACME, RIVAL)):
            site.sql(
                "INSERT INTO customer (oid, created_at, updated_at, name, state, is_reseller, version) "
                "VALUES (?, '2026-01-01', '2026-01-01', ?, 'ACTIVE', 0, 1)",
                customer,
                f"Customer {number}",
            )
        yield site


def token(number: int, customer: str = ACME) -> str:
    """Tokens of different persons, as far as the limit of streams is concerned."""
    return issue_token(SECRET, AccessLevel.MANAGER, customer, minutes=60 + number)


async def test_every_reader_is_told_each_event_once(api: Site, redis: RedisServer, report: Report) -> None:
    readers = [Stream(api.http, token(number // 6)) for number in range(READERS)]
    foreign = Stream(api.http, token(0, RIVAL))
    writer = Writer(redis.url, ACME)
    begun = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run()) for reader in (*readers, foreign)]
        for reader in (*readers, foreign):
            async with asyncio.timeout(limit(60)):
                await reader.begun.wait()
        writing = tasks.create_task(writer.write(EVENTS, A_SECOND))
        cutting = tasks.create_task(cut(readers))
        for part in (1, 2, 3, 4):
            async with asyncio.timeout(limit(600)):
                while writer.written < EVENTS * part / 5:
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(kill, api if part % 2 else redis)
        await writing
        await cutting
        wanted = await expected(redis.url, ACME)
        async with asyncio.timeout(limit(120)):
            while any(len(reader.ids) < len(wanted) for reader in readers):
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        for task in running:
            task.cancel()
    ids, keys = [id for id, _ in wanted], [key for _, key in wanted]
    assert len(keys) == len(set(keys)) == EVENTS
    for reader in readers:
        assert reader.ids == ids, "each position once, in order"
        assert reader.keys == keys, "each event once"
        assert reader.cuts >= CUTS
        assert set(reader.refused) <= {429, 503}, "429: the server had not yet seen that it was cut off"
    assert foreign.ids == []
    cuts = sum(reader.cuts for reader in readers)
    report(
        f"{READERS} readers of {EVENTS} events, {cuts} connections lost, server and Redis killed twice: "
        f"each event once and in order, in {time.monotonic() - begun:.0f} s"
    )


async def cut(readers: list[Stream]) -> None:
    """Cut each reader off so many times, over the time of the writing."""
    whole = EVENTS / A_SECOND
    cuts = [reader for reader in readers for _ in range(CUTS)]
    random.shuffle(cuts)
    for reader in cuts:
        await asyncio.sleep(whole / len(cuts))
        reader.cut()


def kill(victim: RegistrarServer | RedisServer) -> None:
    victim.kill9()
    victim.start()


async def test_many_readers_cost_one_read_of_the_stream_and_little_memory(
    api: Site, redis: RedisServer, report: Report
) -> None:
    writer = Writer(redis.url, ACME)
    warm = [Stream(api.http, token(number // 8)) for number in range(8)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run()) for reader in warm]
        for reader in warm:
            await reader.begun.wait()
        await writer.write(100, 1_000)
        before, reads = api.resident_bytes(), await calls(redis, "xread")
        readers = [Stream(api.http, token(1 + number // 8)) for number in range(MANY - 8)]
        running += [tasks.create_task(reader.run()) for reader in readers]
        async with asyncio.timeout(limit(60)):
            for reader in readers:
                await reader.begun.wait()
            at = await calls(redis, "xread")
            await writer.write(50, 50)
            while any(len(reader.ids) < 50 for reader in readers):
                await asyncio.sleep(0.05)
            took = await calls(redis, "xread") - at
        each = (api.resident_bytes() - before) / len(readers)
        cpu = api.cpu_seconds()
        for task in running:
            task.cancel()
    assert not any(reader.refused or reader.cuts for reader in readers)
    assert took < 40, f"{took} reads for 50 events and {MANY} readers"
    if SOAK:
        assert each < MAX_OCTETS
    report(
        f"{MANY} readers: {each / 1000:.1f} kB each, {took} reads of the stream for 50 events, "
        f"{reads} before, CPU {cpu:.1f} s since the start"
    )


async def calls(redis: RedisServer, command: str) -> int:
    """How often a command was run."""
    stats = await asyncio.to_thread(redis.info, "commandstats")
    row = stats.get(f"cmdstat_{command}", "calls=0,")
    return int(row.partition("calls=")[2].partition(",")[0])


def test_what_a_phone_does_is_told(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        handset = site.new_phone()
        headers = {"Authorization": f"Bearer {site.demo()['token']}"}
        url = "http://{}:{}/events?phone={}&snapshot=true".format(*site.http, handset.id)
        with (
            httpx.Client(headers=headers, timeout=limit(10), trust_env=False) as client,
            client.stream("GET", url) as answer,
        ):
            lines = answer.iter_lines()
            snapshot = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
            assert [phone["id"] for phone in snapshot["phones"]] == [handset.id]
            assert snapshot["phones"][0]["status"]["online"] is False
            with UdpPhone(handset.account, site.sip) as phone:
                assert phone.register().status == 200
                locked, told = (
                    json.loads(line[6:]) for line in islice((x for x in lines if x.startswith("data: ")), 2)
                )
                assert phone.register(0).status == 200
                gone = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
        assert locked["event"] == "locked"
        assert (told["event"], told["phone"], told["transport"]) == ("registered", handset.id, "udp")
        assert gone["event"] == "unregistered"
        assert told["customer"] == site.demo()["customer"] and told["key"].startswith(f"{handset.id}:")
        assert len({one["key"] for one in (locked, told, gone)}) == 3


async def test_readers_and_a_webhook_cost_the_sip_side_nothing(
    redis: RedisServer, tmp_path: Path, report: Report
) -> None:
    with Site(tmp_path, redis_url=redis.url, jwt_secret=SECRET, webhook_private="127.0.0.0/8") as site:
        handset = await asyncio.to_thread(site.new_phone)
        await spent(site, redis, handset)  # the first contact locks the phone
        alone = await spent(site, redis, handset)
        async with receiver() as web, asyncio.TaskGroup() as tasks:
            made = await asyncio.to_thread(site.api, "POST", "/webhook", {"url": web.url})
            assert made.status == 200, made
            customer = site.demo()["customer"]
            readers = [Stream(site.http, token(number // 6, customer)) for number in range(FOLLOWERS)]
            running = [tasks.create_task(reader.run()) for reader in readers]
            for reader in readers:
                await reader.begun.wait()
            followed = await spent(site, redis, handset)
            async with asyncio.timeout(limit(10)):
                while any(len(reader.ids) < 2 * TIMES for reader in readers):
                    await asyncio.sleep(0.05)
            await web.until(2 * TIMES, 20)
            for task in running:
                task.cancel()
    assert followed == alone
    report(f"{TIMES} registrations with {FOLLOWERS} readers and a webhook: {followed}, as without")


async def spent(site: Site, redis: RedisServer, handset: Handset) -> dict[str, int]:
    """How often each command of the location ran for registrations that come and go."""
    before = [await calls(redis, name) for name in OF_A_REGISTRATION]

    def come_and_go() -> None:
        with UdpPhone(handset.account, site.sip) as phone:
            for _ in range(TIMES):
                assert phone.register().status == 200
                assert phone.register(0).status == 200

    await asyncio.to_thread(come_and_go)
    await asyncio.sleep(0.5)
    after = [await calls(redis, name) for name in OF_A_REGISTRATION]
    return {name: b - a for name, a, b in zip(OF_A_REGISTRATION, before, after, strict=True)}
