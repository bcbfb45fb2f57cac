"""handlers/calls/absent.py: a party whose connection is gone comes back with its call, or it is over."""

from dataclasses import replace

import pytest

from registrar.errors import StoreUnavailable
from registrar.handlers.calls.absent import ASK_SECONDS, GRACE_SECONDS
from registrar.handlers.calls.speech import nowhere
from registrar.model import Cause, Phone
from registrar.rules.tokens import RouteToken
from tests.every import every

from ..handsets import ANN, BOB, Dialog, Handset, Relay
from ..world import Sent, World

LATEST_SECONDS = 12
PAGE = replace(BOB, webrtc=True, instance="page")


def world_of(*phones: Phone) -> World:
    return World(*(phones or (ANN, BOB)), media=Relay())


async def talk(
    world: World, *, page_calls: bool, account: Phone = BOB, call_id: str = "reg-page"
) -> tuple[Handset, Dialog]:
    """The page, over a WebSocket, and the desk phone's side of their call."""
    page = Handset(world, account, transport="wss")
    await page.register(call_id=call_id)
    desk = await Handset(world, ANN).register()
    caller, callee = (page, desk) if page_calls else (desk, page)
    incoming = await caller.call("200" if page_calls else "201")
    (sent,) = world.wire.take()
    dialog = await callee.take(sent)
    return page, (dialog if page_calls else caller.dialog(incoming))


async def reloaded(world: World, page: Handset, call_id: str = "", account: Phone = BOB) -> Handset:
    """The page closes and registers anew: another connection, another Contact, another Call-ID."""
    await world.hang_up(page.flow)
    new = Handset(world, account, transport="wss")
    return await new.register(call_id=call_id)


async def look(world: World, seconds: float = 1) -> None:
    for _ in range(int(seconds)):
        world.clock.now += 1
        await world.flows.step()
        await world.calls.look()


async def until_over(world: World) -> float:
    """How long it takes until the call is over."""
    began = world.clock.now
    while world.calls and world.clock.now < began + 60:
        await look(world)
    return world.clock.now - began


def ended(world: World) -> list[Cause]:
    return [ending.cause for _, ending in world.store.endings]


def asked(world: World) -> Sent:
    (sent,) = world.wire.take()
    assert sent.request.method == "OPTIONS"
    return sent


@every("page_calls", [True, False], ids=["caller", "callee"])
@every("status", [481, 404, 410, 604])
async def test_a_page_that_was_loaded_anew_and_knows_no_call_has_left_it(
    page_calls: bool, status: int
) -> None:
    world = world_of()
    page, desk = await talk(world, page_calls=page_calls)
    new = await reloaded(world, page)
    await look(world)
    question = asked(world)
    request = question.request
    assert (question.flow, request.target) == (new.flow, page.contact)
    assert request.call_id == desk.call_id
    assert request.headers.get("from") is not None and request.to.tag == "tag-id-b"
    assert request.from_.tag == "tag-id-a"
    await new.reply(question, status)
    await until_over(world)
    assert ended(world) == [Cause.LOST]
    byes = {sent.flow: sent.request for sent in world.wire.take()}
    assert byes[desk.handset.flow].method == "BYE"
    assert byes[desk.handset.flow].headers.get("to") == desk.local


@pytest.mark.parametrize("page_calls", [True, False], ids=["caller", "callee"])
async def test_the_question_uses_no_number_that_the_other_side_may_need(page_calls: bool) -> None:
    world = world_of()
    page, desk = await talk(world, page_calls=page_calls)
    await desk.send("INFO")
    world.wire.take()
    await reloaded(world, page)
    await look(world)
    assert asked(world).request.cseq == (desk.handset.cseq, "OPTIONS")


@pytest.mark.parametrize("status", [200, 405, 500])
async def test_whoever_comes_back_with_its_call_keeps_it(status: int) -> None:
    """An answer that is no 481 says that there is a dialog: 500, that its numbers do not please (12.2.2)."""
    world = world_of()
    page, desk = await talk(world, page_calls=True)
    new = await reloaded(world, page)
    await look(world)
    await new.reply(asked(world), status)
    await look(world, 60)
    assert (len(world.calls), world.wire.take()) == (1, [])
    (id,) = world.store.there
    await world.calls.end_by_request(id, "x")
    byes = {sent.flow: sent.request.target for sent in world.wire.take()}
    assert byes == {new.flow: page.contact, desk.handset.flow: desk.handset.contact}


async def test_whoever_says_nothing_has_left() -> None:
    world = world_of()
    page, _ = await talk(world, page_calls=True)
    await reloaded(world, page)
    await look(world)
    question = asked(world)
    world.wire.sent.append(question)
    took = 1 + await until_over(world)
    assert ASK_SECONDS <= took <= LATEST_SECONDS
    assert question.forgotten
    assert ended(world) == [Cause.LOST]


async def test_the_same_program_is_not_asked() -> None:
    world = world_of()
    page, _ = await talk(world, page_calls=True)
    await reloaded(world, page, call_id="reg-page")
    await look(world, 60)
    assert (len(world.calls), world.wire.take()) == (1, [])


async def test_whoever_does_not_come_back_has_left() -> None:
    world = world_of()
    page, desk = await talk(world, page_calls=False)
    await world.hang_up(page.flow)
    took = await until_over(world)
    assert GRACE_SECONDS <= took <= LATEST_SECONDS
    assert [sent.flow for sent in world.wire.take()] == [desk.handset.flow]
    assert ended(world) == [Cause.LOST]


async def test_whoever_comes_late_is_too_late() -> None:
    world = world_of()
    page, _ = await talk(world, page_calls=False)
    await world.hang_up(page.flow)
    await look(world, GRACE_SECONDS)
    await Handset(world, BOB, transport="wss").register()
    assert await until_over(world) <= LATEST_SECONDS - GRACE_SECONDS
    assert ended(world) == [Cause.LOST]


async def test_another_device_of_that_phone_is_not_asked_and_does_not_keep_the_call() -> None:
    world = world_of()
    other = await Handset(world, BOB, transport="tcp").register()
    world.clock.now += 60
    page, _ = await talk_with_fork(world, other)
    await world.hang_up(page.flow)
    assert GRACE_SECONDS <= await until_over(world) <= LATEST_SECONDS
    assert "OPTIONS" not in world.wire.methods


async def talk_with_fork(world: World, other: Handset) -> tuple[Handset, Dialog]:
    page = await Handset(world, BOB, transport="wss").register()
    desk = await Handset(world, ANN).register()
    incoming = await desk.call()
    for sent in world.wire.take():
        if sent.flow == page.flow:
            await page.take(sent)
    for sent in world.wire.take():
        assert (sent.request.method, sent.flow) in [("CANCEL", other.flow), ("BYE", other.flow)]
    return page, desk.dialog(incoming)


async def test_a_connection_that_was_used_for_calls_alone_may_close() -> None:
    """Registered over UDP, and the INVITE went by TCP because it was large: that idles and closes."""
    world = world_of()
    desk = await Handset(world, ANN).register()
    bob = await Handset(world, BOB, port=5070).register()
    world.clock.now += 30
    large = Handset(world, ANN, transport="tcp")
    await large.call()
    await bob.take(world.wire.take()[0])
    await world.hang_up(large.flow)
    await look(world, 60)
    assert (len(world.calls), world.wire.take(), desk.account) == (1, [], ANN)


async def test_who_has_shown_itself_by_a_request_is_not_looked_for() -> None:
    world = world_of()
    page, desk = await talk(world, page_calls=False)
    new = await reloaded(world, page)
    (entry,) = world.calls._entries.values()
    assert entry.callee is not None
    here = replace(entry.callee.target, flow=new.flow.id)
    world.calls.seen(RouteToken(entry.call.id, BOB.id, ANN.id, "", "", is_caller=False), "tag-id-b", 3, here)
    await look(world, 60)
    assert (len(world.calls), world.wire.take(), desk.handset.account) == (1, [], ANN)


async def test_without_redis_nobody_is_lost() -> None:
    world = world_of()
    page, _ = await talk(world, page_calls=True)
    await world.hang_up(page.flow)
    world.location.away = True
    for _ in range(30):
        world.clock.now += 1
        with pytest.raises(StoreUnavailable):
            await world.calls.look()
    world.location.away = False
    await look(world, GRACE_SECONDS - 1)
    assert len(world.calls) == 1, "it has had no chance to come back"
    await look(world, 3)
    assert ended(world) == [Cause.LOST]


async def test_a_page_that_takes_the_place_of_its_old_one_is_asked_although_that_seems_to_stand() -> None:
    """Its network has gone, and nobody has closed the connection."""
    world = world_of(ANN, PAGE)
    page, _ = await talk(world, page_calls=True, account=PAGE)
    new = await Handset(world, PAGE, transport="wss").register()
    await look(world)
    question = asked(world)
    assert question.flow == new.flow
    await new.reply(question, 481)
    assert await until_over(world) <= 2
    assert (ended(world), page.account) == ([Cause.LOST], PAGE)


async def test_a_connection_at_another_node_that_is_gone() -> None:
    """The node that has the call hears of it from the one that had the connection."""
    here = world_of()
    there = World(node="b", beside=here, media=Relay())
    here.neighbours["b"] = ("g-b", "192.0.2.11:5060")
    there.neighbours["a"] = ("g-a", "192.0.2.10:5060")
    page = await Handset(there, BOB, transport="wss").register()
    desk = await Handset(here, ANN).register()
    await desk.call()
    (sent,) = here.wire.take()
    await page.reply(sent, 200)
    assert len(here.calls) == 1
    await there.hang_up(page.flow)
    (news,) = there.news
    here.calls.heard(news)
    began = here.clock.now
    while here.calls and here.clock.now < began + 60:
        here.clock.now += 1
        await there.flows.step()
        await here.calls.look()
    assert GRACE_SECONDS <= here.clock.now - began <= LATEST_SECONDS
    assert ended(here) == [Cause.LOST]


async def test_what_rings_is_not_looked_after_here() -> None:
    world = world_of()
    page = await Handset(world, BOB, transport="wss").register()
    await (await Handset(world, ANN).register()).call()
    world.wire.take()
    await world.hang_up(page.flow)
    await look(world, 30)
    assert len(world.calls) == 1


async def test_a_party_that_is_found_when_its_call_is_over_changes_nothing() -> None:
    """The call has ended while the store was asked where the party is."""
    world = world_of()
    await talk(world, page_calls=True)
    world.calls.is_now_at("over", nowhere(BOB.id), is_caller=True)
    assert len(world.calls) == 1 and world.calls.speech("over", is_caller=True) is None
