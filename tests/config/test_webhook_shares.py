"""One customer's web servers that hang: those of others get their messages, and are blamed for nothing."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.access import AccessLevel
from config.webhooks import sender
from config.webhooks.addresses import Names, Unresolved
from config.webhooks.shares import Shares
from tests.config.receiving import (
    LOOPBACK,
    Message,
    Receiver,
    delivering,
    events,
    events_of_many,
    hook,
    hooks,
    job,
    receiver,
    shown,
)
from tests.config.world import World
from tests.patience import limit

MANY = 20
"""Webhooks of one customer: as many as it may have."""
NEARLY = 16
"""When there are so many of them, they are told by `quota-near`."""
LONG = 120.0
"""More seconds for a request than this test waits, however busy the machine is."""
LANES = 8
"""Requests at the same time to one web server."""


@pytest.fixture
def here(world: World) -> World:
    """A world whose webhooks may be sent to loopback."""
    return world.but(webhook_private=LOOPBACK)


# Permits


def test_a_customer_has_its_share_and_leaves_as_much_as_it_has() -> None:
    shares = Shares(12, 5)
    assert shares.take("a", 100) == 5, "never more than each may have"
    assert shares.take("b", 100) == 4, "as many as are free then: 12 - 5 - 4 = 3 are left"
    assert shares.take("c", 100) == 2
    assert (shares.take("a"), shares.take("b"), shares.take("c")) == (0, 0, 0)
    assert shares.take("d") == 1, "a customer without a permit gets the last one"
    assert shares.take("e") == 0
    shares.give("a", 5)
    assert [shares.taken_by(customer) for customer in "abcd"] == [0, 4, 2, 1]
    assert shares.take("e", 100) == 3


async def waiting(*turns: asyncio.Task[None]) -> list[bool]:
    """Whether each of these tasks still waits."""
    for _ in range(5):
        await asyncio.sleep(0)
    return [not turn.done() for turn in turns]


async def test_waiting_tasks_get_permits_in_their_order() -> None:
    shares = Shares(3, 1)
    await shares.wait("a")
    first, second, other = (asyncio.create_task(shares.wait(customer)) for customer in "aab")
    assert await waiting(first, second, other) == [True, True, False], "another customer need not wait"
    shares.give("b")
    assert await waiting(first, second) == [True, True], "a customer without a free share waits on"
    assert shares.take("a") == 0
    shares.give("a")
    assert await waiting(first, second) == [False, True]
    shares.give("a")
    await second
    assert shares.taken_by("a") == 1


async def test_a_wait_that_is_cancelled_takes_no_permit() -> None:
    shares = Shares(2, 1)
    shares.take("a")
    early, late, last = (asyncio.create_task(shares.wait("a")) for _ in range(3))
    await waiting(early, late, last)
    early.cancel()
    assert await waiting(late, last) == [True, True]
    shares.give("a")
    late.cancel()  # it has the permit, but does not know it yet
    await asyncio.wait_for(last, limit(5))
    assert late.cancelled() and shares.taken_by("a") == 1
    shares.give("a")
    assert shares.take("a") == 1


def test_a_permit_that_is_held_beyond_the_share_counts() -> None:
    shares = Shares(4, 2)
    shares.take("a", 2)
    shares.hold("a")
    shares.give("a")
    assert (shares.taken_by("a"), shares.take("a")) == (2, 0)
    shares.give("a", 2)
    assert shares.take("a", 9) == 2


# Web servers that hang


class Hung:
    """An answer that does not come before the test says so."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def __call__(self, _message: Message) -> int:
        await self.over.wait()
        return 200


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(limit(10)):
        while not holds():
            await asyncio.sleep(0.02)


async def attempts(world: World) -> list[tuple[Any, ...]]:
    """What came of the deliveries: state, tries, how many."""
    statement = "SELECT state, attempts, count(*) FROM webhook_delivery GROUP BY state, attempts"
    return await world.rows(statement)


async def test_many_web_servers_that_hang_hold_up_no_other_customer(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SECONDS", LONG)
    async with receiver() as slow, receiver() as quick:
        slow.answers = hung = Hung()
        await hooks(here, [slow.url] * MANY)
        await hook(here, quick.url, "rival")
        assert MANY * LANES > sender.MAX_CONNECTIONS, "they could use up all connections"
        async with delivering(job(here)):
            await events_of_many(here, LANES)
            await slow.until_received(sender.PER_CUSTOMER)
            await events_of_many(here, 50, of="rival")
            await quick.until(50, 10)
            assert (len(slow.received), slow.accepted) == (sender.PER_CUSTOMER, [])
            hung.over.set()
            await slow.until(MANY * LANES, 10)
            await until_noted(here)
    # Most messages to the slow web servers had to wait, and that is no failure.
    assert await attempts(here) == [("DELIVERED", 1, MANY * LANES + 50 + NEARLY)]


async def until_noted(world: World) -> None:
    async with asyncio.timeout(limit(10)):
        while any(state == "PENDING" for state, *_ in await attempts(world)):
            await asyncio.sleep(0.02)


async def test_the_time_of_a_message_begins_when_it_has_waited(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PER_CUSTOMER", 1)
    monkeypatch.setattr(sender, "SECONDS", LONG)
    async with receiver() as slow, receiver() as quick:
        slow.answers = hung = Hung()
        await hook(here, slow.url, events=["registered"])
        healthy = await hook(here, quick.url, events=["lost"])
        async with delivering(job(here)):
            await events(here, "hangs")
            await slow.until_received(1)
            monkeypatch.setattr(sender, "SECONDS", 0.1)
            await events(here, "waits", event="lost")
            await asyncio.sleep(1)  # it would fail meanwhile, if its time began before its permit
            monkeypatch.setattr(sender, "SECONDS", LONG)
            assert ((await shown(here, healthy))["waiting"], quick.received) == (1, [])
            hung.over.set()
            await until_noted_once(here, healthy)
    assert await attempts(here) == [("DELIVERED", 1, 2)]
    assert (await shown(here, healthy))["failures"] == 0


async def until_noted_once(world: World, made: dict[str, Any]) -> None:
    async with asyncio.timeout(limit(5)):
        while (await shown(world, made))["waiting"]:
            await asyncio.sleep(0.02)


async def test_a_phone_is_not_held_up_by_one_whose_message_hangs(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SECONDS", LONG)

    async def answers(message: Message) -> int:
        return await hung(message) if message.key == "hangs" else 204

    hung = Hung()
    async with receiver() as web:
        web.answers = answers
        await hook(here, web.url)
        async with delivering(job(here)):
            await events(here, "hangs")
            await web.until_received(1)
            await events_of_many(here, 3)
            await web.until(3)
            hung.over.set()


# Names that hang


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> "NameServer":
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.resolve)
    return server


class NameServer:
    """All of `.test` is loopback, but names below `slow.test` may have no answer."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0
        """Look-ups that wait."""
        self._real = socket.getaddrinfo

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Names below `slow.test` have no answer during the block."""
        self.answers.clear()
        try:
            yield
        finally:
            self.answers.set()

    def resolve(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if not str(host).endswith(".test"):
            return self._real(host, port, *args, **kwargs)
        if str(host).endswith("slow.test") and not self.answers.is_set():
            self.asked += 1
            self.answers.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def named(web: Receiver, name: str) -> str:
    return f"http://{name}:{web.port}/"


async def test_names_that_hang_hold_up_neither_other_customers_nor_passwords(
    here: World, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.webhooks.addresses.RESOLVE_SECONDS", 1.0)
    async with receiver() as slow, receiver() as quick:
        await hooks(here, [named(slow, f"{number}.slow.test") for number in range(MANY)])
        await hook(here, named(quick, "quick.test"), "rival")
        async with delivering(job(here)):
            with name_server.silent():
                await events_of_many(here, LANES)
                await until(lambda: name_server.asked >= sender.PER_CUSTOMER)
                await events_of_many(here, 5, of="rival")
                await quick.until(5, 10)
                assert await asyncio.wait_for(asyncio.to_thread(int, "7"), limit(5)) == 7, "as passwords do"
                await until_tried(here, sender.PER_CUSTOMER)
                assert name_server.asked == sender.PER_CUSTOMER, "given up, but their threads are not free"
            await slow.until(1)


async def until_tried(world: World, count: int) -> None:
    """Wait until so many tries have failed."""
    async with asyncio.timeout(limit(10)):
        while (
            sum(tries * number for state, tries, number in await attempts(world) if state == "PENDING")
            < count
        ):
            await asyncio.sleep(0.02)


async def test_a_look_up_counts_until_its_thread_is_free(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = Shares(4, 2)
    names = Names(LOOPBACK, shares)
    with name_server.silent(), monkeypatch.context() as patched:
        patched.setattr("config.webhooks.addresses.RESOLVE_SECONDS", 0.05)
        shares.take("acme")
        with pytest.raises(Unresolved):
            await names.addresses_of("very.slow.test", 80, "acme")
        shares.give("acme")
        assert shares.taken_by("acme") == 1
    await until(lambda: shares.taken_by("acme") == 0)
    assert await names.addresses_of("very.slow.test", 80, "acme") == ["127.0.0.1"]
    assert shares.taken_by("acme") == 0
    names.close()


async def test_checks_of_new_urls_are_limited_for_each_customer(
    here: World, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PER_CUSTOMER", 3)
    monkeypatch.setattr("config.webhooks.addresses.RESOLVE_SECONDS", LONG)
    body = {"url": "http://very.slow.test/"}
    async with here.client(AccessLevel.OWNER) as api:
        with name_server.silent():
            many = [asyncio.create_task(api.post("/webhook", json=body)) for _ in range(4)]
            done, _ = await asyncio.wait(many, timeout=limit(5), return_when=asyncio.FIRST_COMPLETED)
            refused = done.pop().result()
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "15")
            assert "Too many requests to web servers of this customer" in refused.json()["error"]["message"]
            rival = {"Authorization": f"Bearer {here.token(AccessLevel.OWNER, 'rival')}"}
            quick = await api.post("/webhook", json={"url": "http://quick.test/"}, headers=rival)
            assert quick.status_code == 200
        statuses = [(await one).status_code for one in many]
    assert sorted(statuses) == [200, 200, 200, 429]
