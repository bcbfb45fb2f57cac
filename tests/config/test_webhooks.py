"""Webhooks: the routes, and messages to a real web server, from a real Redis and a database."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from config.access import AccessLevel
from config.database import writing
from config.leases import LEASE_SECONDS, LostLease, take_lease
from config.tables import WebhookFeed
from config.webhooks import queue
from config.webhooks.addresses import is_allowed, is_private
from config.webhooks.message import RETRIES, retry_seconds
from config.webhooks.sender import Sender
from registrar.model import Epoch
from tests.config.receiving import (
    LOOPBACK,
    OTHER,
    PHONE,
    Clock,
    Message,
    delivering,
    events,
    hook,
    job,
    receiver,
    shown,
)
from tests.config.streaming import write
from tests.config.world import NOBODY, World
from tests.patience import limit


@pytest.fixture
def here(world: World) -> World:
    """A world whose webhooks may be sent to loopback."""
    return world.but(webhook_private=LOOPBACK)


def keys_of(messages: list[Message], phone: str = "") -> list[str]:
    return [one.key for one in messages if not phone or one.json["data"]["phone"] == phone]


# Messages


async def test_an_event_is_sent_signed_with_all_its_fields(here: World) -> None:
    async with receiver() as web:
        made = await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "one", userAgent="Ü", port="5060")
            (message,) = await web.until(1)
    assert message.target == "POST /hook HTTP/1.1"
    assert message.headers["host"] == f"127.0.0.1:{web.port}"
    assert message.is_signed(made["secret"], Clock()())
    assert message.headers["content-type"] == "application/json"
    assert message.json["type"] == "registered"
    assert message.json["data"] == {
        "key": "one",
        "event": "registered",
        "phone": PHONE,
        "customer": here.ids["acme"],
        "time": 1900000000,
        "userAgent": "Ü",
        "port": 5060,
    }
    (delivery,) = (await shown(here, made, "/deliveries"))["deliveries"]
    assert delivery["id"] == message.headers["webhook-id"]
    assert (delivery["event"], delivery["state"], delivery["attempts"]) == ("registered", "DELIVERED", 1)
    assert (delivery["status"], delivery["error"], delivery["nextAt"]) == (204, None, None)
    assert (await shown(here, made))["waiting"] == 0


async def test_only_events_of_the_customer_that_are_wanted_and_new_are_sent(here: World) -> None:
    await events(here, "before")
    async with receiver() as web, receiver() as rival:
        await hook(here, web.url, events=["lost", "registered"])
        await hook(here, rival.url, "rival")
        async with delivering(job(here)):
            await write(here.redis, customer=here.ids["rival"], key="rival")
            await events(here, "other", event="expired")
            await events(here, "twice", event="lost")
            await events(here, "twice", event="lost")
            await events(here, "last")
            await web.until(2)
            await rival.until(1)
    assert keys_of(web.accepted) == ["twice", "last"]
    assert keys_of(rival.received) == ["rival"]


async def test_the_customer_of_an_event_without_one_is_looked_up(here: World) -> None:
    phone = (await here.create())["_id"]
    async with receiver() as web:
        await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "one", phone=phone, customer="")
            await web.until(1)
    assert web.accepted[0].json["data"]["customer"] == here.ids["acme"]


async def test_what_another_program_writes_is_sent_too(here: World) -> None:
    async with receiver() as web:
        await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "odd", event="a\nb\0", phone="\0" * 500, time="9" * 30, callId="\0")
            await events(here, "x" * 100_000)
            await events(here, "last")
            await web.until(3)
    # They have lanes of their own, so any order is right.
    assert sorted(keys_of(web.accepted)) == sorted(["odd", "x" * 128, "last"])


async def test_three_failures_delay_a_phone_and_keep_its_order(here: World) -> None:
    clock, seen = Clock(), dict[str, int]()

    async def answers(message: Message) -> int:
        seen[message.key] = seen.get(message.key, 0) + 1
        return 500 if message.key == "a1" and seen["a1"] <= 2 else 200

    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here, clock)):
            await events(here, "a1", "a2", "a3")
            await web.until_received(1)
            await events(here, "b1", "b2", phone=OTHER)
            await web.until(2)
            assert keys_of(web.accepted) == ["b1", "b2"], "another phone need not wait"
            for number, seconds in enumerate(RETRIES[:2], 2):
                await asyncio.sleep(0.1)
                assert seen["a1"] == number - 1
                clock.ahead += seconds + 1
                await web.until_received(3 + number - 1)
            await web.until(5)
    assert keys_of(web.accepted, PHONE) == ["a1", "a2", "a3"]
    assert {one.headers["webhook-id"] for one in web.received if one.key == "a1"} == {
        web.received[0].headers["webhook-id"]
    }, "each try has the same id"
    assert all(one.is_signed(made["secret"], clock()) for one in web.received[-3:])


async def test_an_hour_of_errors_loses_nothing_and_keeps_each_order(here: World) -> None:
    clock, is_down = Clock(), True

    async def answers(_message: Message) -> int:
        return 500 if is_down else 200

    phones = [f"{number:024x}" for number in range(1, 6)]
    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here, clock)):
            for minute in range(12):
                for phone in phones:
                    await events(here, f"{phone[-1]}-{minute}", phone=phone)
                clock.ahead += 300
                await asyncio.sleep(0.03)
            async with asyncio.timeout(limit(5)):  # five phones have a message that is due
                while (failing := await shown(here, made))["failures"] < 3:
                    clock.ahead += 30  # a slow machine may have tried less often, and waits for its next turn
                    await asyncio.sleep(0.05)
            down = len(web.received)
            assert failing["failingSince"] and failing["state"] == "ACTIVE"
            is_down = False
            clock.ahead += 3_600
            await web.until(60, 10)
    assert 3 <= down < 60, "a web server that is down is asked with patience"
    for phone in phones:
        assert keys_of(web.accepted, phone) == [f"{phone[-1]}-{minute}" for minute in range(12)]
    assert len({one.headers["webhook-id"] for one in web.accepted}) == 60
    assert all(one.is_signed(made["secret"], clock()) for one in web.accepted)
    healthy = await shown(here, made)
    assert (healthy["failures"], healthy["failingSince"], healthy["waiting"]) == (0, None, 0)


async def test_the_events_of_a_call_are_sent_in_order(here: World) -> None:
    async def answers(message: Message) -> int:
        await asyncio.sleep(0.05 if message.json["type"] == "call-started" else 0)
        return 200

    async with receiver() as web:
        web.answers = answers
        await hook(here, web.url)
        async with delivering(job(here)):
            for name in ("call-started", "call-answered", "call-ended"):
                await write(here.redis, customer=here.ids["acme"], event=name, call="c1", phone=PHONE)
            await write(here.redis, customer=here.ids["acme"], event="call-started", call="c2", phone=PHONE)
            await web.until(4)
    of_call = [one.json["type"] for one in web.accepted if one.json["data"]["call"] == "c1"]
    assert of_call == ["call-started", "call-answered", "call-ended"]


async def test_a_web_server_that_hangs_is_given_up_and_asked_again(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.webhooks.sender.SECONDS", 0.5)
    clock, hangs = Clock(), asyncio.Event()

    async def answers(_message: Message) -> int:
        if not hangs.is_set():
            hangs.set()
            await asyncio.sleep(30)
        return 200

    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here, clock)):
            await events(here, "one")
            async with asyncio.timeout(limit(5)):
                while (await shown(here, made))["failures"] == 0:
                    await asyncio.sleep(0.05)
            (delivery,) = (await shown(here, made, "/deliveries"))["deliveries"]
            assert (delivery["status"], delivery["error"]) == (None, "no answer within 0.5 s")
            assert delivery["state"] == "PENDING" and delivery["nextAt"] > delivery["lastAt"]
            async with asyncio.timeout(limit(10)):
                while not web.accepted:  # on a busy machine it may take several tries
                    clock.ahead += RETRIES[0] + 1
                    await asyncio.sleep(0.1)


async def test_after_a_day_a_webhook_is_disabled_and_says_why(here: World) -> None:
    clock = Clock()

    async def answers(_message: Message) -> int:
        return 503

    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here, clock)):
            await events(here, "one", "two")
            await web.until_received(1)
            await asyncio.sleep(0.1)
            clock.ahead += 86_400
            async with asyncio.timeout(limit(5)):
                while (await shown(here, made))["state"] != "DISABLED":
                    await asyncio.sleep(0.05)
            dead = await shown(here, made)
            assert dead["reason"] == "an event failed for 24 hours; last: status 503"
            deliveries = (await shown(here, made, "/deliveries"))["deliveries"]
            assert [one["state"] for one in deliveries] == ["FAILED", "FAILED"]
            assert deliveries[0]["error"] == queue.NOT_SENT
            await events(here, "meanwhile")
            web.answers = None
            async with here.client(AccessLevel.OWNER) as api:
                enabled = await api.patch(f"/webhook/{made['_id']}", json={"state": "ACTIVE"})
            assert (enabled.json()["state"], enabled.json()["reason"]) == ("ACTIVE", None)
            await events(here, "after")
            await web.until(1)
    assert keys_of(web.accepted) == ["after"]


async def test_410_disables_a_webhook(here: World) -> None:
    async def answers(_message: Message) -> int:
        return 410

    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "one")
            async with asyncio.timeout(limit(5)):
                while (await shown(here, made))["state"] != "DISABLED":
                    await asyncio.sleep(0.02)
    assert (await shown(here, made))["reason"] == "the web server answered 410 Gone"


async def test_redirects_are_not_followed(here: World) -> None:
    async def answers(_message: Message) -> int:
        return 302

    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "one")
            async with asyncio.timeout(limit(5)):
                while (await shown(here, made))["failures"] == 0:
                    await asyncio.sleep(0.02)
    (delivery,) = (await shown(here, made, "/deliveries"))["deliveries"]
    assert (delivery["status"], delivery["error"]) == (302, "302: redirects are not followed")


async def test_a_crowd_of_waiting_events_disables_a_webhook(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_WAITING", 5)

    async def answers(_message: Message) -> int:
        return 500

    async with receiver() as web:
        web.answers = answers
        made = await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, *map(str, range(8)))
            async with asyncio.timeout(limit(5)):
                while (await shown(here, made))["state"] != "DISABLED":
                    await asyncio.sleep(0.02)
    assert (await shown(here, made))["reason"] == queue.TOO_MANY


# Several processes, and restarts


async def test_of_three_processes_one_sends_and_another_takes_over(here: World) -> None:
    async with receiver() as web:
        await hook(here, web.url)
        one, two, three = (job(here, owner=name) for name in ("one", "two", "three"))
        async with delivering(two, three):
            async with delivering(one):
                for number in range(20):
                    await events(here, f"a{number}")
                    await asyncio.sleep(0.005)
                await web.until(20)
            await events(here, *(f"b{number}" for number in range(20)))
            await web.until(40)
    assert keys_of(web.received) == [f"{name}{number}" for name in "ab" for number in range(20)]


async def test_what_happens_while_no_process_runs_is_sent_later(here: World) -> None:
    async with receiver() as web:
        await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "one")
            await web.until(1)
        await events(here, "two", "three")
        async with delivering(job(here, owner="two")):
            await web.until(3)
    assert keys_of(web.received) == ["one", "two", "three"]


async def test_deliveries_that_wait_survive_a_restart(here: World) -> None:
    clock, is_down = Clock(), True

    async def answers(_message: Message) -> int:
        return 500 if is_down else 200

    async with receiver() as web:
        web.answers = answers
        await hook(here, web.url)
        async with delivering(job(here, clock)):
            await events(here, "one", "two")
            await web.until_received(1)
        await here.redis.flushall()
        is_down = False
        clock.ahead += 60
        async with delivering(job(here, clock, "two")):
            await web.until(2)
    assert keys_of(web.accepted) == ["one", "two"]


async def test_a_process_that_lost_its_lease_takes_nothing(here: World) -> None:
    def take(owner: str, now: Epoch) -> Awaitable[bool]:
        return writing(here.engine, lambda session: take_lease(session, WebhookFeed, owner, now))

    await take("one", Clock()())
    assert not await take("two", Clock()())
    late = Clock(LEASE_SECONDS + 1)()
    assert await take("two", late)
    with pytest.raises(LostLease):
        await writing(here.engine, lambda session: queue.take(session, "one", late, [], "9-0"))
    ((position,),) = await here.rows("SELECT position FROM webhook_feed")
    assert position == "0-0"


async def test_a_hundred_deliveries_are_kept(here: World) -> None:
    async with receiver() as web:
        made = await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, *map(str, range(queue.KEPT + 20)))
            await web.until(queue.KEPT + 20, 10)
        kept = (await shown(here, made, "/deliveries?limit=500"))["deliveries"]
    assert len(kept) == queue.KEPT
    assert [one["createdAt"] for one in kept] == sorted((one["createdAt"] for one in kept), reverse=True)


# The routes


async def test_the_secret_is_shown_once_and_stored_sealed(here: World) -> None:
    async with receiver() as web:
        made = await hook(here, web.url)
        assert made["secret"].startswith("whsec_") and len(made["secret"]) > 40
        assert (made["events"], made["state"], made["customer"]) == ([], "ACTIVE", here.ids["acme"])
        ((sealed,),) = await here.rows("SELECT secret_enc FROM webhook")
        assert here.vault.open(sealed, made["_id"]) == made["secret"] and made["secret"] not in sealed
        async with here.client(AccessLevel.OWNER) as api:
            listed = (await api.get("/webhook")).json()
            assert listed["total"] == 1 and "secret" not in json.dumps(listed)
            assert "secret" not in (await api.get(f"/webhook/{made['_id']}")).text
            renewed = (await api.post(f"/webhook/{made['_id']}/secret")).json()["secret"]
        assert renewed != made["secret"]
        async with delivering(job(here)):
            await events(here, "one")
            (message,) = await web.until(1)
        assert message.is_signed(renewed, Clock()()) and not message.is_signed(made["secret"], Clock()())


async def test_the_test_button_tells_what_came_of_it(here: World) -> None:
    async with receiver() as web:
        made = await hook(here, web.url)
        async with here.client(AccessLevel.OWNER) as api:
            tested = (await api.post(f"/webhook/{made['_id']}/test")).json()
            assert tested == {
                "delivered": True, "status": 204, "error": None, "milliseconds": tested["milliseconds"]
            }  # fmt: skip
            (message,) = web.accepted
            assert message.is_signed(made["secret"], Clock()())
            assert message.json["type"] == "test"
            web.answers = _teapot
            tested = (await api.post(f"/webhook/{made['_id']}/test")).json()
            assert (tested["delivered"], tested["status"], tested["error"]) == (False, 418, "status 418")
        made = await hook(here, "http://127.0.0.1:1/")
        async with here.client(AccessLevel.OWNER) as api:
            tested = (await api.post(f"/webhook/{made['_id']}/test")).json()
        assert tested["status"] is None and tested["error"].startswith("no connection: ")


async def _teapot(_message: Message) -> int:
    return 418


async def test_a_change_needs_the_etag_and_a_failure_does_not_change_it(here: World) -> None:
    async with receiver() as web:
        web.answers = _teapot
        made = await hook(here, web.url)
        async with here.client(AccessLevel.OWNER) as api:
            path = f"/webhook/{made['_id']}"
            tag = (await api.get(path)).headers["etag"]
            async with delivering(job(here)):
                await events(here, "one")
                async with asyncio.timeout(limit(5)):
                    while (await shown(here, made))["failures"] == 0:
                        await asyncio.sleep(0.02)
            assert (await api.get(path)).headers["etag"] == tag
            changed = await api.patch(path, json={"events": ["lost", "lost"]}, headers={"If-Match": tag})
            assert changed.json()["events"] == ["lost"]
            again = await api.patch(path, json={"events": []}, headers={"If-Match": tag})
            assert again.status_code == 412
            assert (await api.delete(path)).status_code == 200
            assert (await api.get(path)).status_code == 404
    assert await here.rows("SELECT id FROM webhook_delivery") == []


async def test_other_customers_and_lower_levels_see_no_webhook(here: World) -> None:
    made = await hook(here, "http://127.0.0.1:9/")
    path = f"/webhook/{made['_id']}"
    asked = [
        ("GET", path), ("PATCH", path), ("DELETE", path), ("POST", f"{path}/secret"),
        ("POST", f"{path}/test"), ("GET", f"{path}/deliveries"),
    ]  # fmt: skip
    async with here.client(AccessLevel.OWNER, "rival") as rival, here.client(AccessLevel.MANAGER) as low:
        assert (await rival.get("/webhook")).json()["total"] == 0
        for method, place in asked:
            foreign = await rival.request(method, place, json={} if method == "PATCH" else None)
            unknown = await rival.request(
                method, place.replace(made["_id"], NOBODY), json={} if method == "PATCH" else None
            )
            assert (foreign.status_code, foreign.content) == (404, unknown.content), (method, place)
            refused = await low.request(method, place, json={} if method == "PATCH" else None)
            assert refused.status_code == 403
        assert (await low.post("/webhook", json={"url": "https://example.com"})).status_code == 403
    async with here.client(AccessLevel.RESELLER, "reseller") as reseller:
        assert (await reseller.get(path)).status_code == 200


async def test_a_customer_has_twenty_webhooks(here: World) -> None:
    async with here.client(AccessLevel.OWNER) as api:
        for _ in range(20):
            assert (await api.post("/webhook", json={"url": "http://127.0.0.1:9/"})).status_code == 200
        refused = await api.post("/webhook", json={"url": "http://127.0.0.1:9/"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "customer")


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "url"),
    ({"url": None}, "url"),
    ({"url": 7}, "url"),
    ({"url": "ftp://example.com"}, "url"),
    ({"url": "https://example.com/\u00e9"}, "url"),
    ({"url": "https://"}, "url"),
    ({"url": "https://[::1"}, "url"),
    ({"url": "https://203.0.113.9:99999/"}, "url"),
    ({"url": "https://anna:secret@1.1.1.1/"}, "url"),
    ({"url": "https://1.1.1.1/", "events": ["lost", "losst"]}, "events"),
    ({"url": "https://1.1.1.1/", "events": [["lost"]]}, "events"),
    ({"url": "https://1.1.1.1/", "events": "lost"}, "events"),
    ({"url": "https://1.1.1.1/", "state": "SLEEPY"}, "state"),
)


async def test_a_body_that_is_wrong_is_422(world: World) -> None:
    async with world.client(AccessLevel.OWNER) as api:
        for body, path in WRONG:
            answer = await api.post("/webhook", json=body)
            assert (answer.status_code, answer.json()["error"]["path"]) == (422, path), body
    assert await world.rows("SELECT id FROM webhook") == []


async def test_while_redis_is_away_no_webhook_is_made(world: World, dead_redis: Any) -> None:
    async with world.but(redis=dead_redis).client(AccessLevel.OWNER) as api:
        answer = await api.post("/webhook", json={"url": "https://1.1.1.1/"})
    assert answer.status_code == 503


# Addresses


PRIVATE = (
    "127.0.0.1",
    "127.8.9.10",
    "[::1]",
    "169.254.169.254",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::808:808]",
    "100.64.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "0.0.0.0",
    "0.1.2.3",
    "[::]",
    "[fc00::1]",
    "[fec0::1]",
    "[fe80::1]",
    "[2002:7f00:1::]",
    "224.0.0.1",
    "255.255.255.255",
    "localhost",
    "2130706433",
    "0x7f000001",
    "internal.test",
)


async def test_private_addresses_are_refused(world: World, resolved: None) -> None:
    sender = Sender()
    async with world.client(AccessLevel.OWNER) as api:
        for host in PRIVATE:
            answer = await api.post("/webhook", json={"url": f"https://{host}/"})
            assert (answer.status_code, answer.json()["error"]["path"]) == (422, "url"), host
            outcome = await sender.post(f"https://{host}/", {}, "", "acme")  # it may have been stored before
            assert outcome.status is None and "an address that is not public" in outcome.error, host


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Names of the test: one with a private address beside a public one, one with a public address alone."""
    known = {"internal.test": ["93.184.216.34", "10.1.2.3"], "public.test": ["93.184.216.34"]}
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield


async def test_a_public_name_is_accepted_and_http_is_not(world: World, resolved: None) -> None:
    async with world.client(AccessLevel.OWNER) as api:
        assert (await api.post("/webhook", json={"url": "https://public.test/a?b#c"})).status_code == 200
        plain = await api.post("/webhook", json={"url": "http://public.test/"})
        assert (plain.status_code, plain.json()["error"]["path"]) == (422, "url")
        gone = await api.post("/webhook", json={"url": "https://no.such.name.invalid/"})
        assert (gone.status_code, gone.json()["error"]["path"]) == (422, "url")


async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that has another address at each question cannot lead a message astray."""
    asked: list[str] = []
    async with receiver() as web:
        real = socket.getaddrinfo

        def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host != "rebinding.test":
                return real(host, port, *args, **kwargs)
            asked.append(host)
            address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        sender = Sender([ip_network("127.0.0.1/32")])
        outcome = await sender.post(f"http://rebinding.test:{web.port}/", {}, "{}", "acme")
        assert (outcome.status, outcome.error) == (204, "")
        assert web.accepted[0].headers["host"] == f"rebinding.test:{web.port}"
        await sender.close()
    assert asked == ["rebinding.test"]


def test_networks_of_the_setting_are_allowed() -> None:
    assert not is_private("8.8.8.8") and not is_private("2606:4700::1111")
    assert is_allowed("10.1.2.3", [ip_network("10.1.0.0/16")])
    assert is_allowed("::ffff:10.1.2.3", [ip_network("10.1.0.0/16")])
    assert not is_allowed("10.2.2.3", [ip_network("10.1.0.0/16"), ip_network("fd00::/8")])
    assert is_allowed("fd00::1", [ip_network("fd00::/8")])


def test_a_day_has_a_dozen_tries() -> None:
    tries, at = 1, 0
    while at < 86_400:
        at += retry_seconds(tries)
        tries += 1
    assert 10 <= tries <= 15 and retry_seconds(1) == 5


async def test_a_message_that_cannot_be_made_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """As a row that was stored before such a URL was refused."""
    sender = Sender(LOOPBACK)
    outcome = await sender.post("http://127.0.0.1:9/\u00e9", {}, "{}", "acme")
    await sender.close()
    assert (outcome.status, outcome.error) == (None, "the message cannot be made: TypeError")
    assert "could not be made" in caplog.text


GARBAGE = (
    b"\0\0\0\r\n\r\n",
    b"HTTP/1.1 2\0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: \0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: a\0b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\0: \x1b[2J\r\n\r\n",
)


@pytest.mark.parametrize("answer", GARBAGE)
async def test_the_error_about_a_bad_answer_can_be_stored(answer: bytes) -> None:
    """PostgreSQL refuses a zero byte, and then no message of any customer would be sent any more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        sender = Sender(LOOPBACK)
        port = server.sockets[0].getsockname()[1]
        outcome = await sender.post(f"http://127.0.0.1:{port}/", {}, "{}", "acme")
        await sender.close()
    assert outcome.error.startswith("no connection: ") and outcome.error.isprintable()
