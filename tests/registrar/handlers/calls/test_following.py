"""handlers/calls/following.py: calls that a person has forwarded, and what happens in the worst moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from registrar.handlers.calls.hunting import Patience

from ..handsets import Handset
from ..world import Incoming, Sent
from .floor import Floor, floor, said

NO_ANSWER_SECONDS = 0.2


@pytest.fixture
async def world() -> AsyncIterator[Floor]:
    async with floor(patience=Patience(60, 900, NO_ANSWER_SECONDS)) as made:
        yield made


async def phones(world: Floor) -> tuple[Handset, Handset, Handset]:
    ann, bob, cat = [await world.handset(one) for one in ("200", "201", "202")]
    return ann, bob, cat


def diversions(sent: Sent) -> list[str]:
    return [value.partition(";privacy")[0] for value in sent.request.headers.all("diversion")]


async def later(world: Floor, *, ports: list[int]) -> list[Sent]:
    """What is sent as soon as INVITEs went to these ports; time passes meanwhile."""
    async with asyncio.timeout(60):
        while [port for method, port in said(world.wire.sent) if method == "INVITE"] != ports:
            await asyncio.sleep(0.01)
    await world.settle()
    return world.wire.take()


# Before it rings


async def test_dnd(world: Floor) -> None:
    ann, _, _ = await phones(world)
    await world.doing.change("p201", "dnd", "1")
    incoming = await ann.call("201")
    assert [(one.status, one.reason) for one in incoming.answers] == [(480, "Do Not Disturb")]
    assert world.wire.take() == []


async def test_at_once(world: Floor) -> None:
    ann, _, cat = await phones(world)
    await world.doing.change("p201", "cfu", "202")
    incoming = await ann.call("201")
    (sent,) = world.wire.take()
    assert said([sent]) == [("INVITE", 5202)]
    assert diversions(sent) == ["<sip:201@acme.test>;reason=unconditional;counter=1"]
    await cat.reply(sent, 200)
    assert incoming.statuses == [200]


async def test_in_a_circle(world: Floor) -> None:
    ann, _, _ = await phones(world)
    await world.doing.change("p201", "cfu", "202")
    await world.doing.change("p202", "cfu", "201")
    assert (await ann.call("201")).statuses == [482]
    await world.doing.change("p202", "cfu", "999")
    assert (await ann.call("201")).statuses == [480]
    assert world.wire.take() == []


async def test_a_wish_that_cannot_be_read_is_no_obstacle(world: Floor) -> None:
    ann, bob, _ = await phones(world)
    await world.doing.change("p201", "dnd", "1")
    world.doing.missed()
    world.doing.away = True
    incoming = await ann.call("201")
    (sent,) = world.wire.take()
    await bob.reply(sent, 200)
    assert incoming.statuses == [200]


# While it rings


async def test_when_busy(world: Floor) -> None:
    ann, bob, cat = await phones(world)
    await world.doing.change("p201", "cfb", "202")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 486)
    (second,) = world.wire.take()
    assert diversions(second) == ["<sip:201@acme.test>;reason=user-busy;counter=1"]
    await cat.reply(second, 200)
    assert incoming.statuses == [200]


async def test_a_decline_is_not_forwarded(world: Floor) -> None:
    ann, bob, _ = await phones(world)
    await world.doing.change("p201", "cfb", "202")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 603)
    assert (incoming.statuses, world.wire.take()) == ([603], [])


async def test_when_not_answered(world: Floor) -> None:
    ann, bob, cat = await phones(world)
    await world.doing.change("p201", "cfnr", "202")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    cancel, second = await later(world, ports=[5202])
    assert said([cancel, second]) == [("CANCEL", 5201), ("INVITE", 5202)]
    await bob.reply(first, 487)
    await cat.reply(second, 200)
    assert sorted(incoming.statuses) == [180, 200]


async def test_a_200_that_crosses_the_cancel_has_the_call(world: Floor) -> None:
    ann, bob, cat = await phones(world)
    await world.doing.change("p201", "cfnr", "202")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    _, second = await later(world, ports=[5202])
    await cat.reply(second, 180)
    await bob.reply(first, 200)
    assert incoming.statuses[-1] == 200
    assert said(world.wire.take()) == [("CANCEL", 5202)]
    await cat.reply(second, 487)
    assert world.tasks == []


async def test_a_3xx_of_the_phone_is_followed(world: Floor) -> None:
    ann, bob, cat = await phones(world)
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply_bare(first, 302, ("Contact", "<sip:202@acme.test>"))
    (second,) = world.wire.take()
    assert diversions(second) == ["<sip:201@acme.test>;reason=deflection;counter=1"]
    await cat.reply(second, 200)
    assert incoming.statuses == [200]


@pytest.mark.parametrize("contact", ["<sip:202@elsewhere.example>", "<sip:999@acme.test>", ""])
async def test_a_3xx_that_leads_elsewhere_is_not(world: Floor, contact: str) -> None:
    ann, bob, _ = await phones(world)
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply_bare(first, 302, *([("Contact", contact)] if contact else []))
    assert (incoming.statuses, world.wire.take()) == ([480], [])


async def test_a_3xx_in_a_circle(world: Floor) -> None:
    ann, bob, cat = await phones(world)
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply_bare(first, 302, ("Contact", "<sip:202@acme.test>"))
    (second,) = world.wire.take()
    await cat.reply_bare(second, 302, ("Contact", "<sip:201@acme.test>"))
    assert (incoming.statuses, world.wire.take()) == ([482], [])


async def test_to_a_group_that_goes_on_with_it(world: Floor) -> None:
    ann, bob, cat = await phones(world)
    await world.doing.change("p201", "cfb", world.group("202", is_exclusive=True))
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 486)
    (second,) = world.wire.take()
    assert await world.waits() == 1
    await cat.reply(second, 180)
    await cat.reply(second, 200)
    assert sorted(incoming.statuses) == [180, 200]
    assert (await world.waits(), world.tasks) == (0, [])


# In the worst moment


async def paused(world: Floor) -> tuple[Incoming, asyncio.Event]:
    """A call whose next destination is being looked for, until the event is set."""
    ann, bob, _ = await phones(world)
    await world.doing.change("p201", "cfb", "202")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    found, load = asyncio.Event(), world.location.load

    async def slow(phones: list[str]) -> object:
        await found.wait()
        return await load(phones)

    world.location.load = slow  # type: ignore[method-assign, assignment]  # its answer takes time
    await bob.reply(first, 486)
    return incoming, found


async def test_the_caller_gives_up_while_the_next_destination_is_looked_for(world: Floor) -> None:
    incoming, found = await paused(world)
    incoming.cancel()
    found.set()
    await world.settle()
    assert (incoming.statuses, world.wire.take(), world.tasks) == ([487], [], [])


async def test_the_store_goes_away_while_the_next_destination_is_looked_for(world: Floor) -> None:
    incoming, found = await paused(world)
    world.numbers.away = world.location.away = True
    found.set()
    await world.settle()
    assert (incoming.statuses, world.wire.take(), world.tasks) == ([503], [], [])


async def test_no_device_is_left_there(world: Floor) -> None:
    ann, bob, cat = await phones(world)
    await world.doing.change("p201", "cfb", "202")
    await cat.register(0)
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 486)
    assert (incoming.statuses, world.wire.take()) == ([486], []), "the best that a phone has said"
