"""What a fresh reading of groups, queues, forwards and pickup found: each was wrong once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from registrar.handlers.calls.hunting import Patience
from registrar.model import Group, IpMode, Queue
from registrar.rules.dialog_info import opaque_id
from registrar.sip import Request

from ..handsets import ANN, BOB, CAT, Handset
from ..world import KEY, People, Sent, World
from .floor import Floor, floor, said

NO_ANSWER_SECONDS = 0.2


@pytest.fixture
async def world() -> AsyncIterator[Floor]:
    async with floor(patience=Patience(60, 900, NO_ANSWER_SECONDS)) as made:
        yield made


async def handsets(world: Floor, *numbers: str) -> list[Handset]:
    return [await world.handset(number) for number in numbers]


def invites(sent: list[Sent]) -> list[Request]:
    return [one.request for one in sent if one.request.method == "INVITE"]


# Who may call


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"active": False}, id="blocked"),
        pytest.param({"mode": IpMode.LOCKED, "address": "203.0.113.77"}, id="locked elsewhere"),
        pytest.param({"extension": ""}, id="without extension"),
    ],
)
@pytest.mark.parametrize("word", ["201", "112"])
async def test_an_emergency_number_with_a_device_is_no_way_in(change: dict[str, object], word: str) -> None:
    world = World(people=People(ANN, BOB, CAT))
    bob = await Handset(world, BOB, port=5_061).register()
    ann = await Handset(world, ANN).register()
    await ann.call("201")
    (sent,) = world.wire.take()
    gr = world.reach.gr(sent.asker._branches[0].way.target, is_private=False)  # type: ignore[union-attr]  # as a call shows it
    await bob.reply(sent, 486)
    row = replace(world.people.rows[ANN.id], **change)  # type: ignore[arg-type]  # fields of a phone
    world.people.rows[ANN.id] = world.people.known[ANN.id] = row
    incoming = await ann.call(f"sip:{word}@acme.test;gr={gr}", call_id="call-2")
    assert (incoming.statuses, world.wire.take()) == ([403], [])


async def test_an_emergency_call_picks_up_nothing() -> None:
    """A phone that is blocked may call an emergency service, and do nothing else on the way."""
    staff = [replace(one, person=f"p{one.extension}") for one in (ANN, BOB, CAT)]
    world = World(people=People(*staff))
    ann, bob, cat = [await Handset(world, one, port=5_060 + at).register() for at, one in enumerate(staff)]
    world.people.pickups["p202"] = frozenset({"p201"})
    await ann.call("201")
    (sent,) = world.wire.take()
    await bob.reply(sent, 180)
    (call,) = world.store.there
    blocked = replace(staff[2], active=False)
    world.people.rows[CAT.id] = world.people.known[CAT.id] = blocked
    replaces = f"Replaces: {opaque_id(KEY, call, 'p201')}"
    assert (await cat.call("201", call_id="call-2", more=(replaces,))).statuses == [403]
    assert (await cat.call("112", call_id="call-3", more=(replaces,))).statuses == [503]


# Calls that never ended


async def test_two_devices_that_redirect_make_one_call(world: Floor) -> None:
    ann, bob, cat = await handsets(world, "200", "201", "202")
    other = await Handset(world, bob.account, port=5_301).register()
    number = world.group("202", is_exclusive=True)
    incoming = await ann.call("201")
    first, second = world.wire.take()
    contact = ("Contact", f"<sip:{number}@acme.test>")
    await asyncio.gather(bob.reply_bare(first, 302, contact), other.reply_bare(second, 302, contact))
    (rings,) = world.wire.take()
    await cat.reply(rings, 200)
    await world.passes(3)
    assert (incoming.statuses[-1], world.tasks, await world.waits()) == (200, [], 0)


async def test_a_call_that_is_forwarded_to_a_phone_without_a_way_ends(
    world: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, cat = await handsets(world, "200", "201", "202")
    await world.doing.change("p201", "cfb", "202")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    way = world.reach.way
    monkeypatch.setattr(
        type(world.reach), "way", lambda _, target: None if target.phone == cat.account.id else way(target)
    )
    await bob.reply(first, 486)
    assert incoming.statuses == [486], "the best that a phone has said"


async def test_a_queue_without_members_is_no_fault(world: Floor, caplog: pytest.LogCaptureFixture) -> None:
    ann, bob = await handsets(world, "200", "201")
    empty = Queue("q", "700", "Support", ())
    world.numbers.places["700"] = empty
    assert (await ann.call("700")).statuses == [480]
    number = world.queue(("201",))
    incoming = await ann.call(number, call_id="call-2")
    (sent,) = world.wire.take()
    await bob.reply(sent, 180)
    world.numbers.places["700"] = empty
    await world.passes(1)
    await bob.reply(sent, 487)
    assert (incoming.statuses[-1], await world.claimed_by("201"), await world.waits()) == (480, "", 0)
    assert "could not go on" not in caplog.text


# A phone that rings twice for one call


async def test_a_forward_to_the_own_group_rings_with_another_number(world: Floor) -> None:
    ann, bob, _ = await handsets(world, "200", "201", "202")
    world.group("201", "202")
    await world.doing.change("p201", "cfnr", "600")
    await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    await asyncio.sleep(2 * NO_ANSWER_SECONDS)
    await world.settle()
    again = invites(world.wire.take())
    assert sorted(one.cseq[0] - first.request.cseq[0] for one in again) == [0, 1]


async def test_a_caller_that_keeps_its_first_route_reaches_the_phone_that_answered(world: Floor) -> None:
    ann, bob, cat = await handsets(world, "200", "201", "202")
    world.numbers.places["600"] = Group(
        "g", "600", "Sales", world.people_of("202"), retries=True, is_exclusive=True
    )
    await world.doing.change("p201", "cfnr", "600")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 180)
    early = incoming.responses[-1]
    await asyncio.sleep(2 * NO_ANSWER_SECONDS)
    await world.settle()
    _, one = world.wire.take()
    await bob.reply(first, 487)
    await cat.reply(one, 486)
    await world.passes(4)
    (two,) = [sent for sent in world.wire.take() if sent.request.method == "INVITE"]
    await cat.reply(two, 200)
    dialog = ann.dialog(incoming)
    dialog.routes = early.headers.all("record-route")
    ack = dialog.request("ACK")
    await ann.ask(ack)
    (passed,) = [sent for sent in world.wire.sent if sent.request.method == "ACK"]
    assert two.request.cseq[0] == one.request.cseq[0] + 1
    assert passed.request.cseq[0] == ack.cseq[0] + 1


# Forwards


async def test_the_person_to_whom_a_call_is_forwarded_has_it_on_the_line(world: Floor) -> None:
    ann, bob, cat, dan = await handsets(world, "200", "201", "202", "203")
    world.numbers.pickups["p203"] = frozenset({"p202"})
    await world.doing.change("p201", "cfb", "202")
    incoming = await ann.call("201")
    (first,) = world.wire.take()
    await bob.reply(first, 486)
    (second,) = world.wire.take()
    await cat.reply(second, 180)
    own = await dan.call("**202", call_id="call-9")
    assert [answer.reason for answer in own.answers] == ["Picked Up"]
    incoming.cancel()
    await cat.reply(second, 487)
    await asyncio.sleep(0.4)  # the phone that picks up would ring now
    await world.settle()
    assert [state.calls for state in await world.doing.states(["p201", "p202"])] == [(), ()]


@pytest.mark.parametrize("wish", ["cfu", "cfb"])
async def test_a_forward_to_the_caller_does_not_ring_its_device(world: Floor, wish: str) -> None:
    ann, bob = await handsets(world, "200", "201")
    await world.doing.change("p201", wish, "200")
    incoming = await ann.call("201")
    if wish == "cfb":
        (first,) = world.wire.take()
        await bob.reply(first, 486)
    assert (incoming.statuses[-1], world.wire.take()) == (486 if wish == "cfb" else 480, [])


async def test_a_group_reached_by_a_forward_refuses_reliable_responses(world: Floor) -> None:
    ann, bob, _ = await handsets(world, "200", "201", "202")
    await world.doing.change("p201", "cfb", world.group("202", is_exclusive=True))
    incoming = await ann.call("201", more=("Require: 100rel", "Supported: 100rel"))
    (first,) = world.wire.take()
    await bob.reply(first, 486)
    assert (incoming.statuses, world.wire.take()) == ([486], [])


# Pickup


@pytest.mark.parametrize(("caller", "called"), [("202", "203"), ("203", "202")])
async def test_a_call_inside_the_group_is_picked_up(world: Floor, caller: str, called: str) -> None:
    ann = await world.handset("201")
    phones = dict(zip(("202", "203"), await handsets(world, "202", "203"), strict=True))
    world.numbers.pickups["p201"] = frozenset({"p202", "p203"})
    await phones[caller].call(called)
    (sent,) = world.wire.take()
    await phones[called].reply(sent, 180)
    own = await ann.call("*8", call_id="call-2")
    assert [answer.reason for answer in own.answers] == ["Picked Up"]


@pytest.mark.parametrize(("wish", "value"), [("dnd", "1"), ("cfu", "202")])
async def test_a_wish_that_comes_later_stops_no_pickup(world: Floor, wish: str, value: str) -> None:
    ann, bob, cat = await handsets(world, "200", "201", "202")
    world.numbers.pickups["p202"] = frozenset({"p201"})
    await ann.call("201")
    (sent,) = world.wire.take()
    await bob.reply(sent, 180)
    (call,) = world.store.there
    await world.doing.change("p201", wish, value)
    replaces = f"Replaces: {opaque_id(KEY, call, 'p201')};to-tag=l;from-tag=r;early-only"
    own = await cat.call("201", call_id="call-2", more=(replaces,))
    assert [answer.reason for answer in own.answers] == ["Picked Up"]
    assert said(world.wire.take()) == []
