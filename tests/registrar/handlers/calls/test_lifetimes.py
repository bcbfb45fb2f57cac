"""handlers/calls/lifetimes.py: a token is good as long as its call or subscription, and 32 s more."""

import pytest

from registrar.handlers.calls.lifetimes import AFTERLIFE_SECONDS, MAX_NOTED, SUBSCRIPTION_SECONDS
from registrar.handlers.methods import inside

from ..handsets import ANN, BOB, Dialog, pair, talk
from ..world import World


def world_of(**more: object) -> World:
    return World(ANN, BOB, **more)  # type: ignore[arg-type]  # as World takes them


async def is_over(world: World, side: Dialog) -> bool:
    """What becomes of a request with that side's token."""
    incoming = await side.send("INFO")
    sent = world.wire.take()
    assert incoming.statuses == ([] if sent else [481])
    return not sent


@pytest.mark.parametrize("end", ["BYE", "operator"])
async def test_a_token_of_a_call_ends_32_seconds_after_it(end: str) -> None:
    world = world_of()
    hers, his = await talk(world)
    (id,) = world.store.there
    world.clock.now += 3_000
    assert not await is_over(world, hers)
    if end == "BYE":
        await hers.send("BYE")
    else:
        await world.calls.end_by_request(id, "carol")
    world.wire.take()
    for seconds, over in ((0.0, False), (AFTERLIFE_SECONDS - 1, False), (1.0, True), (3_600.0, True)):
        world.clock.now += seconds
        assert [await is_over(world, side) for side in (hers, his)] == [over, over]


async def test_an_ack_of_a_call_that_is_over_goes_nowhere() -> None:
    world = world_of()
    hers, _ = await talk(world)
    await hers.send("BYE")
    world.clock.now += AFTERLIFE_SECONDS
    world.wire.take()
    assert (await hers.send("ACK")).statuses == []
    assert world.wire.sent == []


async def test_a_call_that_nobody_took_ends_its_tokens_too() -> None:
    world = world_of()
    ann, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    await bob.reply(sent, 486)
    world.clock.now += AFTERLIFE_SECONDS
    ringing = incoming.responses[0]
    contact = (ringing.headers.get("contact") or "").strip("<>")
    routes = ringing.headers.all("record-route")
    from_, to = ringing.headers.get("from") or "", ringing.headers.get("to") or ""
    assert await is_over(world, Dialog(ann, contact, routes, from_, to, ringing.call_id))


async def test_another_node_reads_whether_the_call_is_there() -> None:
    here = world_of()
    there = world_of(node="b", beside=here)
    hers, _ = await talk(here)
    hers.handset.world = there
    assert not await is_over(there, hers)
    (id,) = here.store.there
    await here.calls.end_by_request(id, "carol")
    assert not await is_over(there, hers), "what it has read is believed as long as the end would be"
    here.clock.now += AFTERLIFE_SECONDS
    assert await is_over(there, hers)


@pytest.mark.parametrize("passes", [True, False], ids=["by it", "elsewhere"])
async def test_a_node_by_which_the_end_went_takes_what_crosses_it(passes: bool) -> None:
    """The node that has the call has removed it from the store; a request of the other side is on its way."""
    here = world_of()
    there = world_of(node="b", beside=here)
    hers, his = await talk(here)
    if passes:
        there.calls.lifetimes.passed(hers.request("BYE"), inside("BYE"))
    await hers.send("BYE")
    assert here.store.there == {}
    his.handset.world = there
    assert await is_over(there, his) is not passes
    here.clock.now += AFTERLIFE_SECONDS
    assert await is_over(there, his)


async def test_without_redis_a_token_is_good() -> None:
    here = world_of()
    there = world_of(node="b", beside=here)
    hers, _ = await talk(here)
    (id,) = here.store.there
    await here.calls.end_by_request(id, "carol")
    there.store.away = True
    hers.handset.world = there
    here.clock.now += 2 * AFTERLIFE_SECONDS
    assert not await is_over(there, hers)


async def subscribed(world: World) -> tuple[Dialog, Dialog]:
    """Ann is told by Bob what becomes of her REFER."""
    ann, bob, incoming, sent = await pair(world, method="REFER", more=("Refer-To: <sip:202@acme.test>",))
    his = await bob.take(sent)
    return ann.dialog(incoming), his


async def test_a_subscription_ends_with_its_last_notification() -> None:
    world = world_of()
    hers, his = await subscribed(world)
    for state, after in (("active;expires=600", False), ("terminated;reason=timeout", True)):
        await his.send("NOTIFY", "Event: refer", f"Subscription-State: {state}")
        world.wire.take()
        world.clock.now += AFTERLIFE_SECONDS
        assert [await is_over(world, side) for side in (hers, his)] == [after, after]


async def test_a_subscription_is_good_for_a_day() -> None:
    world = world_of()
    hers, his = await subscribed(world)
    for seconds, over in ((SUBSCRIPTION_SECONDS - 1, False), (1.0, True)):
        world.clock.now += seconds
        for side in (hers, his):
            await side.handset.register()
        assert [await is_over(world, side) for side in (hers, his)] == [over, over]


async def test_what_ended_long_ago_is_forgotten() -> None:
    world = world_of()
    for number in range(MAX_NOTED + 10):
        world.calls.lifetimes.over(str(number))
    assert len(world.calls.lifetimes._over) == MAX_NOTED
