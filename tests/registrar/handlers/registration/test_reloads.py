"""registrar/handlers/registration/reloads.py: orders of the API, their turns, and what phones answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from registrar.handlers.registration.reloads import Reloads
from registrar.rules import notify
from registrar.rules.notify import Order, Outcome, Result, order_text
from registrar.sip import Headers, Response, answer
from tests.peers import digest

from ..handsets import ANN, BOB, Handset
from ..world import DOMAIN, SERVICE, Sent, World

LOAD = "check-sync;reboot=false"
ID = "ab" * 16
HEARD = Result(Outcome.ANSWERED, 200, "OK")


def order(phone: str = ANN.id, **changes: str) -> Order:
    return replace(Order(phone, LOAD, "a", phone, ID), **changes)


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    """The queue of this world is served, as fast as the pace lets it."""
    job = asyncio.create_task(world.reloads.run())
    try:
        yield
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)


async def sent(world: World, number: int = 1) -> list[Sent]:
    """The next NOTIFYs that leave."""
    while len(world.wire.sent) < number:
        await asyncio.sleep(0.001)
    return world.wire.take()


async def respond(one: Sent, status: int, *headers: tuple[str, str]) -> None:
    """The phone answers, and the handler goes on."""
    assert one.key is not None and one.asker is not None
    one.asker.receive_response(one.key, answer(one.request, status, headers=headers))
    await asyncio.sleep(0)


def ordered(world: World, *orders: Order) -> None:
    for one in orders:
        world.reloads.heard(order_text(one))


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "wss"])
async def test_a_notify_goes_over_the_flow_of_the_binding(transport: str) -> None:
    world = World(ANN)
    ann = await Handset(world, ANN, transport=transport, port=40_321).register()
    async with running(world):
        ordered(world, order())
        (one,) = await sent(world)
        assert (one.flow.transport, one.flow.remote_port) == (transport, ann.flow.remote_port)
        assert (one.request.method, one.request.target) == ("NOTIFY", ann.contact)
        assert one.request.headers.get("event") == LOAD
        assert str(one.request.to) == f"<sip:{ANN.username}@{DOMAIN}>"
        await respond(one, 100)
        assert world.results == []
        await respond(one, 200)
        await world.settle()
    assert world.results == [(ID, HEARD)]


async def test_a_challenge_is_answered_once() -> None:
    world = World(ANN)
    ann = await Handset(world, ANN, transport="tcp").register()
    challenge = ("WWW-Authenticate", 'Digest realm="phone", nonce="n1", qop="auth"')
    async with running(world):
        ordered(world, order())
        (first,) = await sent(world)
        await respond(first, 401, challenge)
        (second,) = await sent(world)
        await respond(second, 401, challenge)
        await world.settle()
    value = second.request.headers.get("authorization") or ""
    asked = digest.parse_challenge(challenge[1])
    assert asked is not None
    cnonce = value.partition('cnonce="')[2].partition('"')[0]
    wanted = digest.authorization(
        asked, ANN.username, ANN.password, "NOTIFY", ann.contact, cnonce=cnonce
    ).partition('response="')[2]
    assert value.partition('response="')[2].partition('"')[0] == wanted.partition('"')[0]
    assert (first.request.call_id, first.request.from_.tag) == (
        second.request.call_id,
        second.request.from_.tag,
    )
    assert (first.request.cseq[0], second.request.cseq[0]) == (1, 2)
    assert first.request.via.branch != second.request.via.branch
    assert world.results == [(ID, Result(Outcome.ANSWERED, 401, "Unauthorized"))]
    assert world.wire.sent == []


@pytest.mark.parametrize("status", [405, 408, 481, 489])
async def test_what_the_phone_answers_is_told(status: int) -> None:
    """Also a 408, which some phones send while they are busy: they are not offline."""
    world = World(ANN)
    await Handset(world, ANN).register()
    async with running(world):
        ordered(world, order())
        (one,) = await sent(world)
        await respond(one, status)
        await world.settle()
    assert [(id, result.outcome, result.status) for id, result in world.results] == [
        (ID, Outcome.ANSWERED, status)
    ]


async def test_a_phone_that_is_silent_gets_no_further_transmission() -> None:
    world = World(ANN)
    await Handset(world, ANN).register()
    outside = world.outside
    told: list[Result] = []
    reloads = Reloads(
        world.notifier._dialogs,
        outside.network,
        outside.directory,
        outside.location,
        outside.clock,
        outside.metrics,
        lambda _id, result: told.append(result),
        outside.start_task,
        outside.new_id,
        outside.roll,
        node="a",
        service=SERVICE,
        seconds=0.01,
    )
    world.reloads = reloads
    async with running(world):
        ordered(world, order())
        while not told:
            await asyncio.sleep(0.001)
    (one,) = world.wire.sent
    assert one.forgotten
    assert told == [Result(Outcome.UNANSWERED)]


async def test_a_phone_without_a_binding_is_offline() -> None:
    world = World(ANN, BOB)
    await Handset(world, BOB).register()
    async with running(world):
        ordered(world, order(), order("0" * 24, id="cd" * 16))
        while len(world.results) < 2:
            await asyncio.sleep(0.001)
    assert world.results == [(ID, Result(Outcome.OFFLINE)), ("cd" * 16, Result(Outcome.OFFLINE))]
    assert world.wire.sent == []


async def test_the_next_flow_of_a_device_is_tried_if_one_is_gone() -> None:
    world = World(ANN)
    first = await Handset(world, ANN, transport="tcp", instance="urn:uuid:1", reg_id=1).register()
    world.clock.now += 5
    second = await Handset(world, ANN, transport="tcp", instance="urn:uuid:1", reg_id=2).register()
    async with running(world):
        ordered(world, order())
        (one,) = await sent(world)
        assert one.flow == second.flow and one.key is not None and one.asker is not None
        one.asker.request_failed(one.key, timed_out=False)
        (other,) = await sent(world)
        assert other.flow == first.flow
        await respond(other, 200)
        await world.settle()
    assert world.results == [(ID, HEARD)]


async def test_each_device_is_told_and_one_that_hears_is_enough() -> None:
    world = World(ANN)
    await Handset(world, ANN, transport="tcp").register()
    await Handset(world, ANN, port=5070).register()
    async with running(world):
        ordered(world, order())
        one, other = await sent(world, 2)
        await respond(one, 489)
        await respond(other, 200)
        await world.settle()
    assert world.results == [(ID, HEARD)]


async def test_only_the_node_that_is_named_sends() -> None:
    a = World(ANN)
    b = World(ANN, node="b", beside=a)
    await Handset(b, ANN, transport="tcp").register()
    async with running(a), running(b):
        for world in (a, b):
            ordered(world, order(node="b"))
        (one,) = await sent(b)
        await respond(one, 200)
        await b.settle()
    assert (a.wire.sent, a.results, b.results) == ([], [], [(ID, HEARD)])


async def test_orders_for_the_handsets_of_one_base_are_one_notify() -> None:
    world = World(ANN, BOB)
    await Handset(world, ANN).register()
    await Handset(world, BOB, port=5070).register()
    base = [order(device="7-000413922d24"), order(BOB.id, device="7-000413922d24", id="cd" * 16)]
    async with running(world):
        ordered(world, *base)
        (one,) = await sent(world)
        await respond(one, 200)
        await world.settle()
        await asyncio.sleep(0)
    assert world.results == [(ID, HEARD), ("cd" * 16, HEARD)]
    assert world.wire.sent == []


async def test_an_awaited_order_goes_before_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PER_SECOND", 1_000.0)
    fleet = [replace(ANN, id=f"id-{number}", username=f"{number:032d}") for number in range(5)]
    world = World(ANN, *fleet)
    for place, phone in enumerate((ANN, *fleet)):
        await Handset(world, phone, port=5_060 + place).register()
    ordered(world, *(order(phone.id, id="") for phone in fleet), order())
    async with running(world):
        all_of_them = await sent(world, 6)
    names = [one.request.to.uri.user for one in all_of_them]
    assert names == [ANN.username, *(phone.username for phone in fleet)]
    assert world.results == []
    for one in all_of_them:
        await respond(one, 200)
    await world.settle()
    assert world.results == [(ID, HEARD)], "no request waits for the fleet"


async def test_a_fleet_that_is_asked_twice_is_told_once() -> None:
    world = World(ANN)
    await Handset(world, ANN).register()
    ordered(world, *[order(id="")] * 3)
    async with running(world):
        (one,) = await sent(world)
        await respond(one, 200)
        await world.settle()
    assert world.wire.sent == []


async def test_many_awaited_orders_are_queued_and_told_so() -> None:
    world = World(ANN)
    most = int(notify.PATIENCE_SECONDS * notify.PER_SECOND)
    for number in range(most + 3):
        ordered(world, order(f"id-{number}", device=f"d{number}", id=f"{number:032x}"))
    assert [id for id, _ in world.results] == [f"{number:032x}" for number in (most + 1, most + 2)]
    assert {(result.outcome, result.seconds) for _, result in world.results} == {(Outcome.QUEUED, 2)}


async def test_a_job_whose_requests_are_told_that_it_is_queued_has_one_turn() -> None:
    world = World(ANN)
    most = int(notify.PATIENCE_SECONDS * notify.PER_SECOND)
    for number in range(most + 1):
        ordered(world, order(f"id-{number}", device=f"d{number}", id=f"{number:032x}"))
    ordered(world, *[order(device="late")] * 3, order("id-x", device="next", id="cd" * 16))
    late, (id, after) = world.results[:3], world.results[3]
    assert late == [(ID, Result(Outcome.QUEUED, seconds=2))] * 3
    assert (id, after.outcome, len(world.results)) == ("cd" * 16, Outcome.QUEUED, 4)
    assert len(world.reloads._awaited) == most + 3


async def test_an_order_does_not_join_a_notify_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PER_SECOND", 1_000.0)
    world = World(ANN)
    await Handset(world, ANN).register()
    async with running(world):
        ordered(world, order())
        (first,) = await sent(world)
        ordered(world, *[order(id="cd" * 16)] * 2)
        (second,) = await sent(world)
        await respond(first, 489)
        await respond(second, 200)
        await world.settle()
    refused = Result(Outcome.ANSWERED, 489, "Bad Event")
    assert world.results == [(ID, refused), ("cd" * 16, HEARD), ("cd" * 16, HEARD)]
    assert world.wire.sent == []


async def test_too_many_orders_are_dropped_and_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MAX_WAITING", 2)
    world = World(ANN)
    for number in range(3):
        ordered(world, order(f"id-{number}", device=f"d{number}", id=f"{number:032x}"))
    assert world.results == [(f"{2:032x}", Result(Outcome.FULL))]


async def test_the_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    world = World(ANN)
    ordered(world, *(order(f"id-{number}", device=f"d{number}", id="") for number in range(3)))
    monkeypatch.setattr("registrar.handlers.registration.reloads.asyncio.sleep", pause)
    async with running(world):
        while len(pauses) < 3:
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.001)
    assert pauses == [notify.gap(world.roll)] * 3


async def test_a_store_that_is_away_is_told_and_nothing_is_sent() -> None:
    world = World(ANN)
    await Handset(world, ANN).register()
    world.people.away = True
    async with running(world):
        ordered(world, order())
        while not world.results:
            await asyncio.sleep(0.001)
    assert world.results == [(ID, Result(Outcome.UNAVAILABLE))]
    assert world.wire.sent == []


async def test_a_message_that_is_no_order_is_ignored() -> None:
    world = World(ANN)
    world.reloads.heard('{"phone": 1}')
    assert world.results == []


async def test_another_node_that_has_lost_the_flow_is_no_answer_of_the_phone() -> None:
    world = World(ANN)
    await Handset(world, ANN).register()
    async with running(world):
        ordered(world, order())
        (one,) = await sent(world)
        assert one.key is not None and one.asker is not None
        one.asker.receive_response(one.key, Response(430, "Flow Failed", Headers(one.request.headers.rows)))
        await world.settle()
    assert world.results == [(ID, Result(Outcome.OFFLINE))]
