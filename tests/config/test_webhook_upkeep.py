"""Webhooks over time: old deliveries go, tests by the button are limited, and the audit log has both."""

import asyncio
from typing import Any

import pytest

from config.access import AccessLevel
from config.database import writing
from config.leases import take_lease
from config.operations import webhooks
from config.tables import WebhookFeed
from config.webhooks import deliverer, queue, sender
from config.webhooks.queue import Taken
from tests.config.receiving import (
    LOOPBACK,
    PHONE,
    Clock,
    Message,
    delivering,
    events,
    events_of_many,
    hook,
    job,
    receiver,
    shown,
)
from tests.config.world import Json, World
from tests.patience import limit

AUDIT = "SELECT actor_level, action, table_name FROM audit_log WHERE row_oid = :id ORDER BY id"


@pytest.fixture
def here(world: World) -> World:
    """A world whose webhooks may be sent to loopback."""
    return world.but(webhook_private=LOOPBACK)


async def states(world: World) -> dict[str, int]:
    """How many deliveries there are in each state."""
    rows = await world.rows("SELECT state, count(*) FROM webhook_delivery GROUP BY state")
    return {str(state): int(count) for state, count in rows}


async def put(world: World, made: Json, count: int) -> None:
    """Let deliveries wait for a webhook, as the job does when events come."""
    ((id,),) = await world.rows("SELECT id FROM webhook WHERE oid = :oid", oid=made["_id"])
    await take(world, id, count)


async def take(world: World, id: int, count: int) -> None:
    taken = [Taken(id, f"msg_{number}", "registered", f"phone:{number}", "{}") for number in range(count)]
    now = Clock()()
    assert await writing(world.engine, lambda session: take_lease(session, WebhookFeed, "one", now))
    await writing(world.engine, lambda session: queue.take(session, "one", now, taken, "1-0"))


async def change(world: World, made: Json, **body: Any) -> None:
    async with world.client(AccessLevel.OWNER) as api:
        assert (await api.patch(f"/webhook/{made['_id']}", json=body)).status_code == 200


# The table of deliveries


async def test_the_table_stays_small_while_messages_are_always_under_way(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "KEPT", 5)
    monkeypatch.setattr(deliverer, "FORGET_EVERY", 5)
    monkeypatch.setattr(sender, "SECONDS", 120.0)
    over, most = asyncio.Event(), 0

    async def answers(message: Message) -> int:
        if message.key == "under way":
            await over.wait()
        return 204

    async with receiver() as web:
        web.answers = answers
        await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "under way", phone="ff" * 12)
            await web.until_received(1)
            for round_ in range(1, 11):
                await events_of_many(here, 8, userAgent=str(round_))
                await events(here, *(f"{round_}-{number}" for number in range(8)))
                await web.until(round_ * 8)
                most = max(most, (await states(here)).get("DELIVERED", 0))
            await web.until(88)
            assert len(web.received) == len(web.accepted) + 1, "one is under way all the time"
            over.set()
    assert most <= 5 + 5 + deliverer.AT_ONCE
    assert await states(here) == {"DELIVERED": 5}


async def test_a_webhook_that_is_disabled_keeps_the_newest_deliveries_only(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "KEPT", 5)
    monkeypatch.setattr(queue, "MAX_WAITING", 20)
    made = await hook(here, "http://127.0.0.1:1/")
    await put(here, made, 20)
    assert await states(here) == {"PENDING": 20}
    await put(here, made, 1)
    assert (await shown(here, made))["reason"] == queue.TOO_MANY
    assert await states(here) == {"FAILED": 5}
    assert await here.rows(AUDIT, id=made["_id"]) == [
        ("OWNER", "create", "webhook"),
        ("SYSTEM", "disable", "webhook"),
    ]


async def test_a_person_who_disables_a_webhook_gives_up_what_waits(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "KEPT", 5)
    async with receiver() as web:
        made = await hook(here, web.url)
        await put(here, made, 9)
        await change(here, made, events=["registered"])
        assert await states(here) == {"PENDING": 9}
        await change(here, made, state="DISABLED")
        assert await states(here) == {"FAILED": 5}
        await change(here, made, state="ACTIVE")
        async with delivering(job(here)):
            await events(here, "after")
            await web.until(1)
    assert [message.key for message in web.received] == ["after"]


async def test_events_for_a_webhook_that_is_gone_meanwhile_are_dropped(here: World) -> None:
    made, gone = [await hook(here, "http://127.0.0.1:1/") for _ in range(2)]
    ((id,),) = await here.rows("SELECT id FROM webhook WHERE oid = :oid", oid=gone["_id"])
    await change(here, made, state="DISABLED")
    async with here.client(AccessLevel.OWNER) as api:
        assert (await api.delete(f"/webhook/{gone['_id']}")).status_code == 200
    await put(here, made, 1)
    await take(here, id, 1)
    assert await states(here) == {}
    assert await here.rows("SELECT position FROM webhook_feed") == [("1-0",)]


async def test_a_deleted_customer_has_no_webhooks_and_no_deliveries(here: World) -> None:
    made = await hook(here, "http://127.0.0.1:1/", "rival")
    kept = await hook(here, "http://127.0.0.1:1/")
    await put(here, made, 3)
    await put(here, kept, 2)
    async with here.client(AccessLevel.ADMIN) as api:
        assert (await api.delete(f"/customer/{here.ids['rival']}")).status_code == 200
    assert await here.rows("SELECT oid FROM webhook") == [(kept["_id"],)]
    assert await states(here) == {"PENDING": 2}


# The test button


async def test_a_test_is_in_the_audit_log(here: World) -> None:
    async with receiver() as web:
        made = await hook(here, web.url)
        async with here.client(AccessLevel.OWNER, person="anna") as api:
            assert (await api.post(f"/webhook/{made['_id']}/test")).json()["delivered"]
    statement = "SELECT actor, actor_level, action, table_name, source_ip FROM audit_log WHERE row_oid = :id"
    assert (await here.rows(statement, id=made["_id"]))[1:] == [
        (here.ids["anna"], "OWNER", "test", "webhook", "127.0.0.1")
    ]


async def test_one_test_of_a_webhook_runs_at_a_time(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "PER_CUSTOMER", 2)
    monkeypatch.setattr(sender, "SECONDS", 120.0)
    over = asyncio.Event()

    async def answers(_message: Message) -> int:
        await over.wait()
        return 204

    async with receiver() as web:
        web.answers = answers
        paths = [f"/webhook/{(await hook(here, web.url))['_id']}/test" for _ in range(3)]
        rival = f"/webhook/{(await hook(here, web.url, 'rival'))['_id']}/test"
        async with here.client(AccessLevel.RESELLER_ADMIN) as api:
            running = [asyncio.create_task(api.post(path)) for path in (*paths[:2], rival)]
            await web.until_received(3)
            again, third = await api.post(paths[0]), await api.post(paths[2])
            for refused in (again, third):
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "15")
            assert "A test of this webhook has not ended yet" in again.json()["error"]["message"]
            assert "Too many requests to web servers of this customer" in third.json()["error"]["message"]
            over.set()
            assert [(await one).json()["delivered"] for one in running] == [True, True, True]
            assert (await api.post(paths[0])).json()["delivered"]
    counted = "SELECT count(*) FROM audit_log WHERE action = 'test'"
    assert await here.rows(counted) == [(4,)], "a test that was refused is none"


async def test_a_webhook_is_tested_ten_times_within_a_minute(here: World) -> None:
    async with receiver() as web:
        path = f"/webhook/{(await hook(here, web.url))['_id']}/test"
        other = f"/webhook/{(await hook(here, web.url))['_id']}/test"
        async with here.client(AccessLevel.OWNER) as api:
            for _ in range(webhooks.MAX_TESTS):
                assert (await api.post(path)).status_code == 200
            refused = await api.post(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert (await api.post(other)).status_code == 200
            await here.execute("UPDATE audit_log SET at = '2020-01-01 00:00:00+00:00'")
            assert (await api.post(path)).status_code == 200
    assert len(web.accepted) == webhooks.MAX_TESTS + 2


async def test_a_test_needs_the_etag_if_one_is_named(here: World) -> None:
    async with receiver() as web:
        made = await hook(here, web.url)
        async with here.client(AccessLevel.OWNER) as api:
            answer = await api.post(f"/webhook/{made['_id']}/test", headers={"If-Match": '"other"'})
    assert (answer.status_code, web.received) == (412, [])


# What this service does by itself


async def test_410_is_in_the_audit_log(here: World) -> None:
    async def answers(_message: Message) -> int:
        return 410

    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "one", phone=PHONE)
            async with asyncio.timeout(limit(5)):
                while (await shown(here, made))["state"] != "DISABLED":
                    await asyncio.sleep(0.02)
    assert (await here.rows(AUDIT, id=made["_id"]))[1:] == [("SYSTEM", "disable", "webhook")]
