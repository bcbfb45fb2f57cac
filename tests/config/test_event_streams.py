"""GET /events on a real server, over a real Redis and a database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from config.feed import hub as hub_module
from config.feed.hub import MAX_PER_PERSON
from config.feed.ring import REMEMBERED
from registrar.store import keys
from registrar.store.redis_client import connect as connect_redis
from tests.config.streaming import Client, Site, serving, write, write_all
from tests.config.test_live import online, write_status
from tests.config.world import JWT_SECRET, NOBODY, World
from tests.contract.servers import running
from tests.patience import limit

MANY = 2_000
"""Events with more octets than the buffers of a connection hold."""


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with serving(world) as running_site:
        yield running_site


def manager(site: Site, customer: str = "acme") -> str:
    return site.world.token(AccessLevel.MANAGER, customer)


async def told(client: Client, redis: Redis, **fields: str) -> list[str]:
    """The keys of what a client was told, up to an event that everybody gets who sees `customer`."""
    last = await write(redis, **fields)
    async with asyncio.timeout(limit(5)):
        while client.last != last:
            client.news.clear()
            await client.news.wait()
    return [key for key in client.keys if "-" not in key]


async def test_an_event_has_its_name_its_position_and_its_fields(site: Site) -> None:
    world = site.world
    async with site.stream(manager(site)) as client:
        id = await write(
            world.redis,
            customer=world.ids["acme"],
            phone="ab" * 12,
            key="k",
            port="5060",
            userAgent="Ü\n\x07",
        )
        (message,) = await client.until(1)
    assert (message.id, message.event) == (id, "registered")
    assert message.data == {
        "key": "k",
        "event": "registered",
        "phone": "ab" * 12,
        "customer": world.ids["acme"],
        "time": 1900000000,
        "port": 5060,
        "userAgent": "Ü\n\x07",
    }


async def test_an_event_without_a_key_has_the_id_or_its_call(site: Site) -> None:
    acme = site.world.ids["acme"]
    async with site.stream(manager(site)) as client:
        one = await write(site.world.redis, customer=acme)
        await write(site.world.redis, customer=acme, event="call-ended", call="c1")
        await write(site.world.redis, customer=acme, event="call-changed", call="c1")
        await client.until(3)
    assert client.keys == [one, "c1:call-ended", client.events[2].id]


async def test_nobody_sees_the_events_of_another_customer(site: Site) -> None:
    world, ids = site.world, site.world.ids
    levels = AccessLevel
    async with (
        site.stream(manager(site)) as acme,
        site.stream(manager(site, "rival")) as rival,
        site.stream(world.token(levels.RESELLER, "reseller")) as reseller,
        site.stream(world.token(levels.RESELLER_ADMIN, None)) as everyone,
    ):
        for name in ("acme", "rival", "below", "blocked", "reseller"):
            await write(world.redis, customer=ids[name], key=name)
        await write(world.redis, customer="", key="none")
        assert await told(everyone, world.redis, customer=ids["rival"]) == [
            "acme", "rival", "below", "blocked", "reseller", "none"
        ]  # fmt: skip
        assert await told(rival, world.redis, customer=ids["rival"]) == ["rival"]
        assert await told(acme, world.redis, customer=ids["acme"]) == ["acme"]
        assert await told(reseller, world.redis, customer=ids["reseller"]) == [
            "acme", "below", "blocked", "reseller"
        ]  # fmt: skip


async def test_a_person_sees_what_is_its_own(site: Site) -> None:
    world, ids = site.world, site.world.ids
    own = (await world.create(extension=ids["ext200"]))["_id"]
    other = (await world.create(extension=ids["ext201"]))["_id"]
    acme = {"customer": ids["acme"]}
    token = world.token(AccessLevel.PERSONAL, "acme", "anna")
    async with site.stream(token) as client:
        await write(world.redis, phone=own, key="own", **acme)
        await write(world.redis, phone=other, key="other", **acme)
        await write(world.redis, phone=other, calleePhone=own, event="call-answered", key="called", **acme)
        await write(world.redis, phone=other, callee="200", event="call-ended", key="missed", **acme)
        await write(world.redis, phone=other, callee="201", event="call-ended", key="foreign", **acme)
        await write(world.redis, person=ids["ext200"], event="dnd", key="dnd", **acme)
        await write(world.redis, person=ids["ext201"], event="dnd", key="their dnd", **acme)
        await write(world.redis, customer=ids["rival"], phone=own, key="rival")
        assert await told(client, world.redis, phone=own, **acme) == ["own", "called", "missed", "dnd"]
    status, error, _ = await site.refusal(token, f"phone={other}")
    assert (status, error["code"]) == (404, "not_found")


async def test_a_phone_that_a_person_gets_later_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "CHECK_SECONDS", 0.05)
    world, ids = site.world, site.world.ids
    phone = (await world.create())["_id"]
    async with site.stream(world.token(AccessLevel.PERSONAL, "acme", "anna")) as client:
        await write(world.redis, customer=ids["acme"], phone=phone, key="before")
        async with world.client() as api:
            changed = await api.patch(f"/pbx/sipphone/{phone}", json={"extension": ids["ext200"]})
            assert changed.status_code == 200
        async with asyncio.timeout(limit(5)):
            while not client.events:
                await write(world.redis, customer=ids["acme"], phone=phone, callId="after")
                await asyncio.sleep(0.05)
    assert {one.data.get("callId") for one in client.events} == {"after"}


async def test_filters_choose_the_customer_the_phone_and_the_event(site: Site) -> None:
    world, ids = site.world, site.world.ids
    phone = (await world.create())["_id"]
    token = world.token(AccessLevel.ADMIN, None)
    async with (
        site.stream(token, f"customer={ids['acme']}") as customer,
        site.stream(token, f"phone={phone.upper()}") as one,
        site.stream(token, "event=lost&event=expired") as kinds,
    ):
        await write(world.redis, customer=ids["rival"], key="rival")
        await write(world.redis, customer=ids["acme"], phone=phone, event="lost", key="lost")
        await write(world.redis, customer=ids["rival"], event="expired", key="expired")
        last = {"customer": ids["acme"], "phone": phone, "event": "lost"}
        assert await told(customer, world.redis, **last) == ["lost"]
        assert await told(one, world.redis, **last) == ["lost"]
        assert await told(kinds, world.redis, **last) == ["lost", "expired"]


async def test_the_customer_of_a_phone_is_looked_up_once(site: Site) -> None:
    world, ids = site.world, site.world.ids
    phone = (await world.create())["_id"]
    async with site.stream(manager(site)) as client:
        await write(world.redis, customer="", phone=phone, key="unknown")
        await write(world.redis, customer="", phone=NOBODY, key="nobody")
        await client.until(1)
        await world.execute("UPDATE sip_phone SET oid = :new WHERE oid = :old", new="ff" * 12, old=phone)
        await write(world.redis, customer="", phone=phone, key="again")
        assert await told(client, world.redis, customer=ids["acme"]) == ["unknown", "again"]
    assert client.events[0].data["customer"] == ids["acme"]


async def test_an_event_that_was_appended_twice_is_told_once(site: Site) -> None:
    world, acme = site.world, {"customer": site.world.ids["acme"]}
    first = await write(world.redis, key="old", **acme)
    async with site.stream(manager(site)) as client:
        await write(world.redis, key="one", **acme)
        await write(world.redis, key="two", **acme)
        await write(world.redis, key="one", **acme)
        await write(world.redis, key="old", **acme)
        assert await told(client, world.redis, **acme) == ["one", "two"]
    async with site.stream(manager(site), last=first) as client:
        await client.until(3)
        assert client.keys[:2] == ["one", "two"]
    for number in range(REMEMBERED):
        await write(world.redis, key=f"n{number}", **acme)
    await write(world.redis, key="one", **acme)
    async with site.stream(manager(site), last=client.last) as client:
        await client.until(REMEMBERED + 1)
        assert client.keys[-1] == "one", "further away it is told again"


async def test_what_another_program_writes_breaks_nothing(site: Site) -> None:
    world, acme = site.world, site.world.ids["acme"]
    odd = {"time": "9" * 30, "port": "\u0661", "count": "-1", "status": "", "ringSeconds": "1" * 30 + ".5"}
    async with site.stream(manager(site)) as client:
        await write(world.redis, customer=acme, event="a\nb\0", phone="\0", **odd)
        await world.redis.execute_command("XADD", keys.EVENTS, "*", "customer", acme, b"\xff", b"\xfe")  # type: ignore[no-untyped-call]  # redis-py
        await write(world.redis, customer=acme, key="x" * 100_000)
        await write(world.redis, customer=acme, key="last")
        await client.until(4)
    assert client.keys[-1] == "last"
    assert {name: client.events[0].data[name] for name in odd} == odd


# Resuming


async def test_a_client_resumes_after_the_last_message(site: Site) -> None:
    world, acme = site.world, {"customer": site.world.ids["acme"]}
    ids = [await write(world.redis, key=str(number), **acme) for number in range(10)]
    async with site.stream(manager(site), last=ids[3]) as client:
        await client.until(6)
        await write(world.redis, key="10", **acme)
        await client.until(7)
    assert client.keys == [str(number) for number in range(4, 11)]


async def test_a_new_client_is_told_where_it_is(site: Site) -> None:
    world, acme = site.world, {"customer": site.world.ids["acme"]}
    async with site.stream(manager(site)) as client:
        begun = client.last
    await write(world.redis, key="missed", **acme)
    async with site.stream(manager(site), last=begun) as client:
        await client.until(1)
    assert client.keys == ["missed"]


async def test_events_that_the_ring_has_lost_come_from_redis(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.feed.ring.RING", 50)
    monkeypatch.setattr(hub_module, "RING", 50)
    world, acme = site.world, {"customer": site.world.ids["acme"]}
    names = [f"k{number - number % 7}" for number in range(1_500)]
    ids = await write_all(world.redis, [{"event": "registered", "key": name} | acme for name in names])
    async with site.stream(manager(site), last=ids[0]) as client:
        await client.until(214)
        await write(world.redis, key="live", **acme)
        await client.until(215)
    assert client.keys == [*(f"k{number}" for number in range(7, 1_500, 7)), "live"]


async def test_what_is_no_position_is_400(site: Site) -> None:
    for last in ("0", "-1-0", "a-b", "99999999999999-0", "1" * 50, "1-0\x7f"):
        status, error, _ = await site.refusal(manager(site), last=last)
        assert (status, error["code"]) == (400, "Last-Event-ID"), last


async def test_what_was_trimmed_is_410_with_the_oldest_id(site: Site) -> None:
    world, acme = site.world, {"customer": site.world.ids["acme"]}
    ids = [await write(world.redis, key=str(number), **acme) for number in range(10)]
    await world.redis.xtrim(keys.EVENTS, maxlen=4, approximate=False)
    status, error, headers = await site.refusal(manager(site), last=ids[2])
    assert (status, error["code"], headers["oldest-event-id"]) == (410, "gone", ids[6])
    assert ids[6] in error["message"]
    async with site.stream(manager(site), last=ids[6]) as client:
        await client.until(3)
    assert client.keys == ["7", "8", "9"]


# Snapshot


async def test_a_snapshot_comes_first_and_nothing_is_lost_after_it(site: Site) -> None:
    world, ids = site.world, site.world.ids
    phones = [(await world.create())["_id"] for _ in range(3)]
    await write(world.redis, customer=ids["acme"], key="before")
    await write_status(world.redis, phones[0], online())
    async with site.stream(manager(site), "snapshot=true") as client:
        await write(world.redis, customer=ids["acme"], phone=phones[0], key="after")
        await client.until(1)
    assert client.messages[0].data["last"] is True
    assert [one["id"] for one in client.snapshot] == phones
    assert {one["customer"] for one in client.snapshot} == {ids["acme"]}
    assert client.keys == ["after"]
    async with world.client() as api:
        shown = (await api.get("/pbx/sipphone?full=true")).json()["sipPhones"]
    assert [one["status"] for one in client.snapshot][1:] == [one["status"] for one in shown][1:]
    live = client.snapshot[0]["status"]
    assert (live["online"], live["transport"]) == (True, "udp")
    assert live.keys() == shown[0]["status"].keys()


async def test_a_snapshot_has_only_what_was_asked_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.operations.sights.SNAPSHOT_ROWS", 2)
    world, ids = site.world, site.world.ids
    phones = [(await world.create())["_id"] for _ in range(5)]
    own = (await world.create(extension=ids["ext200"]))["_id"]
    for token, query, expected in (
        (manager(site), "", [*phones, own]),
        (manager(site, "rival"), "", []),
        (manager(site), f"phone={phones[1]}&phone={phones[4]}", [phones[1], phones[4]]),
        (world.token(AccessLevel.PERSONAL, "acme", "anna"), "", [own]),
        (world.token(AccessLevel.ADMIN, None), f"customer={ids['rival']}", []),
        (world.token(AccessLevel.RESELLER, "reseller"), f"customer={ids['acme']}", [*phones, own]),
    ):
        async with site.stream(token, f"snapshot=true&{query}") as client:
            assert [one["id"] for one in client.snapshot] == expected
        *parts, last = client.messages
        assert [bool(one.id) for one in parts] == [False] * len(parts)
        assert last.id and last.data["last"] is True


async def test_a_client_that_resumes_gets_no_snapshot(site: Site) -> None:
    last = await write(site.world.redis, customer=site.world.ids["acme"])
    async with site.stream(manager(site), "snapshot=true", last=last) as client:
        assert client.messages == []


# Refusals


async def test_a_query_that_cannot_be_served_is_refused(site: Site) -> None:
    for query, status, code in (
        ("event=unknown", 400, "event"),
        ("snapshot=perhaps", 400, "snapshot"),
        (f"phone={NOBODY}", 404, "not_found"),
        ("phone=u7", 404, "not_found"),
        ("phone=%00", 404, "not_found"),
        (f"customer={NOBODY}", 403, "access_denied"),
        ("&".join(f"phone={number:024x}" for number in range(101)), 400, "phone"),
    ):
        answer, error, _ = await site.refusal(manager(site), query)
        assert (answer, error["code"]) == (status, code), query
    assert site.readers == 0


async def test_a_token_must_be_in_the_header(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url) as client:
        assert (await client.get("/events", params={"token": manager(site)})).status_code == 401
    status, _, _ = await site.refusal(site.world.token(AccessLevel.NO_LOGIN, "acme"))
    assert status == 403


async def test_head_opens_no_stream(site: Site) -> None:
    headers = {"Authorization": f"Bearer {manager(site)}"}
    async with httpx.AsyncClient(base_url=site.url, headers=headers) as client:
        answer = await client.head("/events")
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    await site.until_readers(0)


async def test_a_person_has_eight_streams(site: Site) -> None:
    token = site.world.token(AccessLevel.MANAGER, "acme", "anna")
    async with asyncio.timeout(limit(20)):
        streams = [site.stream(token) for _ in range(MAX_PER_PERSON)]
        for stream in streams:
            await stream.__aenter__()
        status, error, headers = await site.refusal(token)
        assert (status, error["code"], headers["retry-after"]) == (429, "too_many", "10")
        async with site.stream(site.world.token(AccessLevel.MANAGER, "acme", "single")):
            pass
        for stream in reversed(streams):
            await stream.__aexit__(None, None, None)
    await site.until_readers(0)


# The end of a token


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are checked more often than in production, where it is every 2 s."""
    monkeypatch.setattr(hub_module, "CHECK_SECONDS", 0.05)


@pytest.mark.usefixtures("quickly")
async def test_a_stream_ends_when_its_token_expires(site: Site) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=4)  # it is opened before, also on a busy machine
    claims = {"lvl": "MANAGER", "cus": site.world.ids["acme"], "iat": datetime.now(UTC), "exp": ends}
    token = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
    async with site.stream(token) as client:
        assert not client.ended
        await client.until_ended()
    assert datetime.now(UTC) >= ends.replace(microsecond=0)
    status, error, _ = await site.refusal(token)
    assert (status, error["code"]) == (401, "expired"), "a stream has no leeway: it would end at once"


CHANGES = (
    "UPDATE employee SET version = version + 1 WHERE oid = :anna",
    "UPDATE employee SET ip_restriction = '127.0.0.0/8' WHERE oid = :anna",
    "UPDATE employee SET access_level = 'VIEWER' WHERE oid = :anna",
    "UPDATE employee SET state = 'BLOCKED' WHERE oid = :anna",
)


@pytest.mark.usefixtures("quickly")
async def test_a_stream_ends_when_its_person_changes(site: Site) -> None:
    world = site.world
    token = world.token(AccessLevel.MANAGER, "acme", "anna")
    async with site.stream(manager(site, "rival")) as other:
        for change in CHANGES:
            async with site.stream(token) as client:
                await world.execute(change, anna=world.ids["anna"])
                await client.until_ended()
        assert not other.ended
    assert (await site.refusal(token))[0] == 401, "blocked"


@pytest.mark.usefixtures("quickly")
async def test_a_stream_ends_when_its_customer_or_its_service_token_is_gone(site: Site) -> None:
    world = site.world
    async with world.client() as api:
        made = (await api.post(f"/employee/{world.ids['anna']}/token", json={"note": "board"})).json()
        async with site.stream(made["token"]) as machine, site.stream(manager(site)) as customer:
            await api.delete(f"/employee/{world.ids['anna']}/token/{made['_id']}")
            await machine.until_ended()
            await world.execute("UPDATE customer SET state = 'BLOCKED' WHERE oid = :id", id=world.ids["acme"])
            await customer.until_ended()


# Trouble


async def test_a_reader_that_is_too_slow_is_cut_off_and_resumes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.feed.ring.RING", 400)
    monkeypatch.setattr(hub_module, "RING", 400)
    world, acme = site.world, {"customer": site.world.ids["acme"]}
    port = int(site.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
    writer.write(
        f"GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Authorization: Bearer {manager(site)}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    async with site.stream(manager(site)) as quick:
        for start in range(0, MANY, 200):
            about = {"event": "registered", "userAgent": "x" * 2_000} | acme
            numbers = range(start, start + 200)
            await write_all(world.redis, [about | {"key": str(number)} for number in numbers])
            await quick.until(start + 200)
        assert quick.keys == [str(number) for number in range(MANY)]
    received = b""
    async with asyncio.timeout(limit(20)):
        while part := await reader.read(65_536):
            received += part
    writer.close()
    got = [line[4:].decode() for line in received.split(b"\n") if line.startswith(b"id: ")]
    seen = received.count(b"event: registered")
    assert 0 < seen < MANY, "it was cut off"
    async with site.stream(manager(site), last=got[-1]) as client:
        await client.until(MANY - seen)
    assert client.keys == [str(number) for number in range(seen, MANY)]


async def test_while_redis_is_away_a_stream_waits_and_a_new_one_is_503(world: World) -> None:
    with running("valkey") as server:
        redis = connect_redis(server.url)
        async with serving(world.but(redis=redis)) as site:
            acme = {"customer": world.ids["acme"]}
            async with site.stream(manager(site)) as client:
                await write(redis, key="before", **acme)
                await client.until(1)
                server.kill9()
                status, error, _ = await _until_refused(site)
                assert (status, error["code"]) == (503, "unavailable")
                server.start()
                async with asyncio.timeout(limit(5)):
                    while True:
                        try:
                            await write(redis, key="after", **acme)
                            break
                        except OSError:
                            await asyncio.sleep(0.05)
                await client.until(2)
                assert client.keys == ["before", "after"]
        await redis.aclose()


async def _until_refused(site: Site) -> tuple[int, Any, httpx.Headers]:
    async with asyncio.timeout(limit(10)):
        while True:
            async with site.asked(manager(site)) as answer:
                if answer.status_code != 200:
                    return answer.status_code, (await _json(answer))["error"], answer.headers
            await asyncio.sleep(0.1)


async def _json(answer: httpx.Response) -> Any:
    await answer.aread()
    return answer.json()


async def test_a_stop_ends_all_streams(world: World) -> None:
    client = Client()
    async with serving(world) as site:
        answer = site.stream(manager(site))
        client = await answer.__aenter__()
    assert client.ended
