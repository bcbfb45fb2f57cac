"""handlers/calls/owed.py: a BYE that did not reach its phone is told when that is back."""

from dataclasses import replace

import pytest

from registrar.handlers.calls import owed
from registrar.model import Cause
from registrar.rules.tokens import DialogHandle

from ..handsets import ANN, BOB, Dialog, Handset
from ..world import Sent, World


def world_of() -> World:
    return World(ANN, BOB)


async def look(world: World, seconds: int = 1) -> None:
    for _ in range(seconds):
        world.clock.now += 1
        await world.flows.step()
        await world.calls.look()


async def talk(world: World) -> tuple[Dialog, Dialog]:
    """Ann on UDP and Bob on a connection that may be reset."""
    bob = await Handset(world, BOB, transport="tcp").register(call_id="reg-bob")
    ann = await Handset(world, ANN).register()
    incoming = await ann.call()
    his = await bob.take(world.wire.take()[0])
    return ann.dialog(incoming), his


async def back(world: World, his: Dialog, call_id: str = "reg-bob") -> Handset:
    """Bob's phone makes a new connection and registers."""
    new = Handset(world, BOB, transport="tcp")
    new.contact = his.handset.contact
    return await new.register(call_id=call_id)


def byes(world: World) -> list[Sent]:
    return [sent for sent in world.wire.take() if sent.request.method == "BYE"]


@pytest.mark.parametrize("seconds", [2, 7, 20, 50])
async def test_a_bye_of_the_other_side_is_delivered_when_the_phone_is_back(seconds: int) -> None:
    world = world_of()
    hers, his = await talk(world)
    await world.hang_up(his.handset.flow)
    incoming = await hers.send("BYE")
    assert incoming.statuses == [480]
    assert len(world.calls) == 0, "for her the call is over"
    await look(world, seconds)
    assert byes(world) == []
    new = await back(world, his)
    await look(world)
    (sent,) = byes(world)
    bye = sent.request
    assert (sent.flow, bye.target, bye.call_id) == (new.flow, his.handset.contact, his.call_id)
    assert (bye.headers.get("from"), bye.headers.get("to")) == (his.remote, his.local)
    assert bye.cseq == (hers.handset.cseq, "BYE")
    await new.reply(sent, 200)
    await new.register(call_id="reg-bob")
    await look(world, 30)
    assert byes(world) == []


async def test_after_a_minute_it_is_too_late() -> None:
    world = world_of()
    hers, his = await talk(world)
    await world.hang_up(his.handset.flow)
    await hers.send("BYE")
    await look(world, 60)
    await back(world, his)
    await look(world, 5)
    assert byes(world) == []


async def test_what_was_lost_again_is_said_again_at_the_next_register() -> None:
    world = world_of()
    hers, his = await talk(world)
    await world.hang_up(his.handset.flow)
    await hers.send("BYE")
    first = await back(world, his)
    await look(world)
    (sent,) = byes(world)
    await world.hang_up(first.flow)
    assert sent.asker is not None and sent.key is not None
    sent.asker.request_failed(sent.key, timed_out=False)
    await look(world, 3)
    assert byes(world) == [], "nobody has registered since"
    second = await back(world, his)
    await look(world)
    (again,) = byes(world)
    assert again.flow == second.flow
    assert again.request.via.branch != sent.request.via.branch


async def test_a_page_that_has_forgotten_the_call_is_told_once_for_each_registration() -> None:
    world = world_of()
    hers, his = await talk(world)
    await world.hang_up(his.handset.flow)
    await hers.send("BYE")
    new = await back(world, his, call_id="another")
    await look(world)
    (sent,) = byes(world)
    await new.reply(sent, 481)
    await look(world, 40)
    assert byes(world) == []


async def test_a_bye_that_arrived_is_owed_to_nobody() -> None:
    world = world_of()
    hers, his = await talk(world)
    incoming = await hers.send("BYE")
    (sent,) = byes(world)
    await his.handset.reply(sent, 481)
    assert incoming.statuses == [481]
    await his.handset.register(call_id="reg-bob")
    await look(world, 5)
    assert byes(world) == []


async def test_a_bye_that_nobody_answers_is_owed() -> None:
    """The connection seems to stand: it is given up after 32 s (timer F)."""
    world = world_of()
    hers, his = await talk(world)
    await hers.send("BYE")
    (sent,) = byes(world)
    assert sent.asker is not None and sent.key is not None
    sent.asker.request_failed(sent.key, timed_out=True)
    new = await back(world, his)
    await look(world)
    assert new.flow in [one.flow for one in byes(world)]


async def test_of_a_call_that_was_lost_the_absent_party_hears_when_it_is_back() -> None:
    world = world_of()
    _, his = await talk(world)
    await world.hang_up(his.handset.flow)
    while world.calls:
        await look(world)
    assert world.store.endings[0][1].cause is Cause.LOST
    assert [sent.flow.transport for sent in byes(world)] == ["udp"]
    new = await back(world, his)
    await look(world)
    assert [sent.flow for sent in byes(world)] == [new.flow]


async def test_while_the_store_is_away_it_waits() -> None:
    world = world_of()
    hers, his = await talk(world)
    await world.hang_up(his.handset.flow)
    await hers.send("BYE")
    await back(world, his)
    world.location.away = True
    with pytest.raises(Exception, match="away"):
        await look(world)
    world.location.away = False
    await look(world)
    assert len(byes(world)) == 1


async def test_too_many_debts_push_out_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "MOST", 2)
    world = world_of()
    await talk(world)
    speech = world.calls.speech(next(iter(world.store.there)), is_caller=False)
    assert speech is not None
    for number in range(4):
        world.calls.undelivered(replace(speech, call_id=f"call-{number}"), "")
    assert len(world.calls._owed) == 2
    await look(world)
    assert {sent.request.call_id for sent in byes(world)} == {"call-2", "call-3"}


async def test_what_cannot_be_said_is_forgotten_in_time() -> None:
    """A call of another node says nonsense, or there are too many transactions."""
    world = world_of()
    await talk(world)
    speech = world.calls.speech(next(iter(world.store.there)), is_caller=False)
    assert speech is not None
    world.calls.undelivered(replace(speech, handle=DialogHandle(speech.target, "<<", "<<")), "")
    world.wire.is_full = True
    await look(world, 61)
    assert len(world.calls._owed) == 0
