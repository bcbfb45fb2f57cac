"""Webhooks through the death of the process that sends: another one goes on, and nothing is lost."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.access import AccessLevel
from config.auth import issue_token
from registrar.store.redis_client import connect
from tests.config.receiving import Message, Receiver, receiver
from tests.config.streaming import write_all
from tests.patience import SOAK, limit
from tests.peers.phone import UdpPhone
from tests.peers.redis import RedisServer
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

SECRET = "the secret of the tokens of this test, long enough"
KEY = "the secret key of this test, long enough for all of it"
DEATHS = 5
EACH = 400
"""Events of one round."""
PHONES = [f"{number:024x}" for number in range(1, 8)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def nodes(redis: RedisServer, tmp_path: Path) -> Iterator[list[Site]]:
    """Two processes over one database and one Redis."""
    one, two = (
        Site(
            tmp_path / name,
            arguments=("serve", "api"),
            redis_url=redis.url,
            jwt_secret=SECRET,
            secret_key=KEY,
            database_url=f"sqlite+aiosqlite:///{tmp_path}/shared.sqlite",
            webhook_private="127.0.0.0/8",
        )
        for name in ("one", "two")
    )
    with one, two:
        yield [one, two]


if SOAK:  # the lease of a dead process lasts 10 s; tests/config/test_webhooks.py has this in small

    async def test_the_death_of_the_sender_loses_nothing(
        nodes: list[Site], redis: RedisServer, report: Report
    ) -> None:
        customer = nodes[0].demo()["customer"]
        token = issue_token(SECRET, AccessLevel.OWNER, customer)
        written = 0
        longest = 0.0
        client = connect(redis.url)
        async with receiver() as web:
            made = await asyncio.to_thread(nodes[0].api, "POST", "/webhook", {"url": web.url}, token=token)
            assert made.status == 200, made
            for round_ in range(DEATHS):
                await write(client, customer, written, EACH)
                written += EACH
                await web.until(written - EACH // 2, 30)  # it is in the middle of its work
                dead = nodes[round_ % 2]
                await asyncio.to_thread(dead.kill9)
                at = time.monotonic()
                await until_all(web, written)
                longest = max(longest, time.monotonic() - at)
                await asyncio.to_thread(dead.start)
        await client.aclose()
        assert all(one.is_signed(made.body["secret"]) for one in web.accepted)
        twice = len(web.accepted) - len(unique(web.accepted))
        for phone in PHONES:
            mine = [one for one in unique(web.accepted) if one.json["data"]["phone"] == phone]
            assert [one.key for one in mine] == [f"{n}" for n in range(written) if PHONES[n % 7] == phone]
        assert twice <= 8 * DEATHS, "only what was being sent at the death comes twice"
        report(
            f"{written} messages, the sender killed {DEATHS} times: all in order, {twice} of them twice, "
            f"after at most {longest:.0f} s"
        )


def unique(messages: list[Message]) -> list[Message]:
    """Messages without those whose id came before."""
    return list({one.headers["webhook-id"]: one for one in reversed(messages)}.values())[::-1]


async def write(client: object, customer: str, first: int, count: int) -> None:
    about = {"event": "registered", "customer": customer, "time": "1900000000"}
    await write_all(
        client,  # type: ignore[arg-type]  # redis-py
        [about | {"key": str(number), "phone": PHONES[number % 7]} for number in range(first, first + count)],
    )


async def until_all(web: Receiver, count: int) -> None:
    async with asyncio.timeout(limit(60)):
        while len(unique(web.accepted)) < count:
            await asyncio.sleep(0.05)


def test_what_a_phone_does_reaches_a_webhook(tmp_path: Path) -> None:
    with Site(tmp_path, webhook_private="127.0.0.0/8") as site:
        asyncio.run(register_and_wait(site))


async def register_and_wait(site: Site) -> None:
    handset = await asyncio.to_thread(site.new_phone)
    async with receiver() as web:
        body = {"url": web.url, "events": ["registered", "unregistered"]}
        made = await asyncio.to_thread(site.api, "POST", "/webhook", body)
        assert made.status == 200, made

        def come_and_go() -> None:
            with UdpPhone(handset.account, site.sip) as phone:
                assert phone.register().status == 200
                assert phone.register(0).status == 200

        await asyncio.to_thread(come_and_go)
        await web.until(2)
        assert [one.json["type"] for one in web.accepted] == ["registered", "unregistered"]
        assert {one.json["data"]["phone"] for one in web.accepted} == {handset.id}
        listed = f"/webhook/{made.body['_id']}/deliveries"

        def noted() -> bool:
            rows = site.api("GET", listed).body["deliveries"]
            return [row["state"] for row in rows] == ["DELIVERED", "DELIVERED"]

        await asyncio.to_thread(within, 5, noted, "both deliveries are noted")
