"""handlers/calls/quotas.py: calls beyond a quota are refused with a reason, and operators are told before."""

from dataclasses import replace

import pytest

from registrar.model import Devices, Group, Terms
from registrar.rules.quotas import Quotas
from registrar.transaction import ShareFull

from ..handsets import ANN, BOB, CAT, RIVAL, Handset
from ..world import Incoming, World

FAST = Quotas(phone_rate=1_000, extension_rate=1_000, callee_rate=1_000, customer_rate=1_000)


async def calls(world: World, count: int, to: str = "201") -> list[Incoming]:
    await Handset(world, BOB, port=5070).register()
    ann = await Handset(world, ANN).register()
    return [await ann.call(to) for _ in range(count)]


def near(world: World) -> list[str]:
    """The reasons of the events."""
    return [event["reason"] for event in world.store.events if event["event"] == "quota-near"]


def refused(world: World, quota: str) -> float:
    value = world.metrics.registry.get_sample_value("registrar_quota_refusals_total", {"quota": quota})
    return value or 0.0


@pytest.mark.parametrize(
    ("quotas", "quota", "why"),
    [
        (
            replace(FAST, phone_calls=3),
            "phone-calls",
            "this phone has as many calls as it may have at once: 3",
        ),
        (
            replace(FAST, phone_ringing=3),
            "phone-ringing",
            "this phone has as many calls that ring as it may have: 3",
        ),
        (
            replace(FAST, customer_calls=3),
            "customer-calls",
            "the customer has as many calls as it may have at once: 3",
        ),
    ],
)
async def test_one_call_too_many_is_486(quotas: Quotas, quota: str, why: str) -> None:
    world = World(ANN, BOB, CAT, RIVAL, quotas=quotas)
    *let_in, last = await calls(world, 4)
    assert [one.statuses for one in let_in] == [[], [], []]
    (answer,) = last.answers
    assert (answer.status, answer.reason, answer.why) == (486, "Too Many Calls", why)
    assert len(world.calls) == 3 and refused(world, quota) == 1
    assert near(world) == [quota]


async def test_a_call_that_ends_gives_its_place_back() -> None:
    world = World(ANN, BOB, CAT, RIVAL, quotas=replace(FAST, phone_calls=2))
    first, _, third = await calls(world, 3)
    assert third.statuses == [486]
    first.cancel()
    for sent in world.wire.take():
        if sent.request.method == "INVITE" and sent.request.call_id == first.request.call_id:
            await Handset(world, BOB, port=5070).reply(sent, 487)
    ann = await Handset(world, ANN, port=5080).register()
    assert (await ann.call("201")).statuses == []


@pytest.mark.parametrize(
    ("quotas", "quota"),
    [
        (replace(FAST, phone_rate=1), "phone-rate"),
        (replace(FAST, customer_rate=1), "customer-rate"),
    ],
)
async def test_calls_that_come_too_fast_are_503(quotas: Quotas, quota: str) -> None:
    world = World(ANN, BOB, CAT, RIVAL, quotas=replace(quotas, phone_ringing=100))
    await Handset(world, BOB, port=5070).register()
    ann = await Handset(world, ANN).register()
    statuses = [(await ann.call("201")).statuses for _ in range(4)]
    assert statuses == [[], [], [], [503]] and refused(world, quota) == 1
    world.clock.now += 1.0
    assert (await ann.call("201")).statuses == []


async def test_a_number_that_is_called_too_often_is_503_for_all() -> None:
    world = World(ANN, BOB, CAT, RIVAL, quotas=replace(FAST, callee_rate=1, callee_calls=1))
    bob, sales = Devices("201", "Bob", person="e2"), Group("g", "300", "Sales", ())
    for called, callers in ((bob, (ANN, CAT, ANN)), (sales, (CAT, ANN, CAT))):
        assert [world.quotas.too_many(caller, called) for caller in callers] == [None] * 3
        answer = world.quotas.too_many(ANN, called)
        assert answer is not None and (answer.status, answer.headers) == (503, (("Retry-After", "5"),))
    assert refused(world, "callee-rate") == 2


async def test_a_customer_has_its_own_number() -> None:
    ann = replace(ANN, terms=Terms(calls=1))
    world = World(ann, BOB, CAT, RIVAL, quotas=FAST)
    await Handset(world, BOB, port=5070).register()
    caller = await Handset(world, ann).register()
    assert (await caller.call("201")).statuses == []
    assert (await caller.call("201")).statuses == [486]


async def test_a_message_is_no_call() -> None:
    ann = replace(ANN, terms=Terms(calls=0))
    world = World(ann, BOB, CAT, RIVAL, quotas=FAST)
    await Handset(world, BOB, port=5070).register()
    caller = await Handset(world, ann).register()
    assert (await caller.call("201", "MESSAGE")).statuses == []
    assert (await caller.call("201")).statuses == [486]


async def test_an_emergency_call_passes_every_quota() -> None:
    ann = replace(ANN, terms=Terms(calls=0, call_rate=0, phone_calls=0, extension_calls=0, transactions=0))
    world = World(ann, BOB, CAT, RIVAL, quotas=FAST)
    caller = await Handset(world, ann).register()
    emergency = await caller.call("112")
    assert emergency.statuses == [503] and "emergency" in emergency.answers[0].why
    assert (await caller.call("201")).statuses == [503]


async def test_the_branches_of_a_call_count_for_the_customer() -> None:
    world = World(ANN, BOB, CAT, RIVAL)
    await calls(world, 1)
    (sent,) = [one for one in world.wire.sent if one.request.method == "INVITE"]
    assert sent.customer == ANN.customer


async def test_a_crowded_customer_is_told_once() -> None:
    world = World(ANN, BOB, CAT, RIVAL)
    for count in (79, 80, 81, 100, 59, 80):
        world.quotas.crowded("c", count, 100)
    assert near(world) == ["transactions", "transactions"]


async def test_only_an_emergency_call_begins_beyond_the_share_of_the_customer() -> None:
    world = World(ANN, BOB, CAT, RIVAL)
    ann = await Handset(world, ANN).register()
    ann.crowd = ShareFull("100")
    with pytest.raises(ShareFull):
        await ann.call("201")
    assert (await ann.call("112")).statuses == [503]
