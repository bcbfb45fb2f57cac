"""registrar/handlers/events/notifier.py: what subscribers are told when something changes, and when not."""

import pytest

from registrar.handlers.events import board, notifier
from registrar.handlers.events.notifier import ADOPTED_SECONDS, LOOK_SECONDS, LOST_SECONDS, REREAD_SECONDS
from registrar.model import Process
from registrar.rules.dialog_info import ON_HOLD
from registrar.rules.subscriptions import AGAIN_SECONDS, TAKEOVER_STEP
from registrar.store import call_codec

from ..handsets import ANN, BOB, CAT, SDP, Handset
from ..world import Incoming, World
from .lamps import Told, happen, subscribe, told, watch


def world_of() -> World:
    return World(ANN, BOB, CAT)


async def watched(world: World) -> tuple[Handset, Handset, Told]:
    """Ann watches Bob; Cat will call."""
    bob = await Handset(world, BOB, port=5070).register()
    cat = await Handset(world, CAT, port=5072).register()
    ann = await Handset(world, ANN).register()
    lamp = await watch(ann)
    world.store.events.clear()
    world.clock.now += 1
    return bob, cat, lamp.first


async def news(world: World) -> list[Told]:
    """What is told of all that has happened."""
    await happen(world)
    return told(world)


async def test_the_states_of_a_call_come_in_order() -> None:
    world = world_of()
    bob, cat, first = await watched(world)
    incoming = await cat.call("201", call_id="real-id")
    (invite,) = world.wire.take()
    (early,) = await news(world)
    world.clock.now += 2
    dialog = await bob.take(invite)
    (confirmed,) = await news(world)
    world.clock.now += 2
    await cat.dialog(incoming).send("BYE")
    world.wire.take()
    (idle,) = await news(world)
    states = [first, early, confirmed, idle]
    assert [one.line for one in states] == ["terminated", "early", "confirmed", "terminated"]
    assert [one.version for one in states] == [1, 2, 3, 4]
    assert [one.cseq for one in states] == [1, 2, 3, 4]
    assert 'direction="recipient"' in early.text
    assert '<identity display="Cat">sip:202@acme.test</identity>' in early.text
    assert "call-id" not in idle.text
    assert dialog.call_id not in early.text


async def test_a_call_on_hold_is_marked() -> None:
    world = world_of()
    bob, cat, _ = await watched(world)
    incoming = await cat.call("201", call_id="real-id")
    (invite,) = world.wire.take()
    his = await bob.take(invite)
    await news(world)
    shown = []
    for attribute in ("sendonly", "sendrecv"):
        world.clock.now += 2
        await his.send("INVITE", body=SDP + f"a={attribute}\r\n".encode())
        (again,) = world.wire.take()
        await cat.reply(again, 200, body=SDP)
        (one,) = await news(world)
        assert (one.line, one.request.body.count(b"sip.rendering")) in (("confirmed", 1), ("confirmed", 0))
        shown.append("<local>" in one.text and ON_HOLD in one.text.partition("</local>")[0])
    assert shown == [True, False]
    assert incoming.statuses[-1] == 200


async def test_who_rings_out_is_shown_in_a_call() -> None:
    """RFC 4235 would say early; some lamps blink for it, as if somebody called."""
    world = world_of()
    bob, _, _ = await watched(world)
    await bob.call("202", call_id="call")
    world.wire.take()
    (ringing,) = await news(world)
    assert (ringing.line, 'direction="initiator"' in ringing.text) == ("confirmed", True)


async def test_a_caller_that_withholds_its_identity_is_anonymous() -> None:
    world = world_of()
    _, cat, _ = await watched(world)
    await cat.call("201", call_id="call", more=("Privacy: id",))
    world.wire.take()
    (early,) = await news(world)
    assert 'display="Anonymous">sip:anonymous@anonymous.invalid<' in early.text
    assert "202" not in early.text


async def test_the_first_change_is_told_at_once_and_then_the_last_state_after_a_second() -> None:
    world = world_of()
    bob, cat, _ = await watched(world)
    world.clock.now += 5
    incoming = await cat.call("201", call_id="call")
    (invite,) = world.wire.take()
    (early,) = await news(world)
    world.clock.now += 0.2
    await bob.take(invite)
    assert await news(world) == []
    world.clock.now += 0.2
    await cat.dialog(incoming).send("BYE")
    world.wire.take()
    assert await news(world) == []
    world.clock.now += 0.5
    await world.notifier.look()
    assert told(world) == []
    world.clock.now += 0.2
    await world.notifier.look()
    (last,) = told(world)
    assert (early.line, last.line) == ("early", "terminated")


async def test_what_came_and_went_within_a_second_is_not_told() -> None:
    world = world_of()
    _, cat, _ = await watched(world)
    world.clock.now -= 0.9  # a NOTIFY has just left
    await cat.call("201", call_id="call")
    world.wire.take()
    assert await news(world) == []
    await world.notifier.heard([forgotten_call(world)])
    world.clock.now += 2
    await world.notifier.look()
    assert told(world) == []


def forgotten_call(world: World) -> dict[str, str]:
    """The event of the end of the only call, which the store has forgotten."""
    (call,) = world.store.there.values()
    world.store._stored.clear()
    return {
        "event": "call-ended",
        "customer": call.customer,
        "call": call.id,
        "caller": call.caller.number,
        "callee": call.callee.number,
        "phone": call.caller.phone,
        "calleePhone": "",
    }


def test_the_events_have_the_names_that_are_written() -> None:
    assert (board.STARTED, board.ANSWERED, board.ENDED) == (
        call_codec.STARTED,
        call_codec.ANSWERED,
        call_codec.ENDED,
    )


async def test_calls_of_others_are_not_told() -> None:
    world = world_of()
    _, cat, _ = await watched(world)
    await cat.call("200", call_id="call")
    world.wire.take()
    assert await news(world) == []


@pytest.mark.parametrize("status", [481, 404, 410, 489])
async def test_a_phone_that_knows_no_such_subscription_ends_it(status: int) -> None:
    world = world_of()
    ann = await Handset(world, ANN).register()
    await subscribe(ann)
    (first,) = told(world)
    await ann.reply(first.sent, status)
    assert (len(world.notifier), world.subscriptions.stored) == (0, {})


async def test_a_notify_without_an_answer_keeps_it_and_is_repeated() -> None:
    world = world_of()
    ann = await Handset(world, ANN).register()
    await subscribe(ann)
    (first,) = told(world)
    assert first.sent.asker is not None and first.sent.key is not None
    first.sent.asker.request_failed(first.sent.key, timed_out=True)
    for pause in (AGAIN_SECONDS, 2 * AGAIN_SECONDS, 4 * AGAIN_SECONDS):
        world.clock.now += pause - 1
        await world.notifier.look()
        assert told(world) == []
        world.clock.now += 1
        await world.notifier.look()
        (again,) = told(world)
        assert again.line == "terminated"
        await ann.reply(again.sent, 408)
    assert len(world.notifier) == 1


async def test_a_change_is_sent_although_the_last_notify_had_no_answer() -> None:
    world = world_of()
    _, cat, _ = await watched(world)
    world.clock.now += 2
    await cat.call("201", call_id="call")
    world.wire.take()
    (early,) = await news(world)
    assert early.sent.asker is not None and early.sent.key is not None
    early.sent.asker.request_failed(early.sent.key, timed_out=True)
    world.clock.now += 2
    await world.notifier.heard([forgotten_call(world)])
    (idle,) = told(world)
    assert idle.line == "terminated"


async def test_a_closed_connection_ends_it_after_a_while() -> None:
    world = world_of()
    ann = await Handset(world, ANN, transport="tcp").register()
    await watch(ann)
    await world.hang_up(ann.flow)
    world.clock.now += LOST_SECONDS - 1
    await world.notifier.look()
    assert len(world.notifier) == 1
    world.clock.now += 1
    await world.notifier.look()
    assert (len(world.notifier), world.subscriptions.stored, told(world)) == (0, {}, [])


async def test_a_phone_that_comes_back_is_told_the_state_over_its_new_connection() -> None:
    world = world_of()
    ann = await Handset(world, ANN, transport="tcp", instance="urn:uuid:1").register()
    await watch(ann)
    await world.hang_up(ann.flow)
    back = await Handset(world, ANN, transport="tcp", instance="urn:uuid:1").register()
    await world.notifier.heard([{"event": "registered", "phone": ANN.id, "customer": "acme"}])
    (again,) = told(world)
    assert again.sent.flow == back.flow
    assert again.request.target == ann.contact, "the dialog knows the phone by the Contact it gave"
    world.clock.now += LOST_SECONDS
    await world.notifier.look()
    assert len(world.notifier) == 1


async def test_a_revoked_phone_is_told_that_it_ends() -> None:
    world = world_of()
    await watch(await Handset(world, ANN).register())
    await world.notifier.heard([{"event": "revoked", "phone": ANN.id, "customer": "acme"}])
    (last,) = told(world)
    assert (last.state, len(world.notifier)) == ("terminated;reason=rejected", 0)


async def test_a_number_that_is_gone_ends_it() -> None:
    world = world_of()
    await watch(await Handset(world, ANN).register())
    del world.people.known[BOB.id]
    world.notifier.heard_customer("acme")
    await world.notifier.look()
    (last,) = told(world)
    assert last.state == "terminated;reason=noresource"


async def test_what_the_stream_has_lost_is_seen_later() -> None:
    world = world_of()
    _, cat, _ = await watched(world)
    await cat.call("201", call_id="call")
    world.wire.take()
    world.store.events.clear()
    world.clock.now += REREAD_SECONDS
    await world.notifier.look()
    (early,) = told(world)
    assert early.line == "early"


async def test_a_store_that_is_away_delays_the_news() -> None:
    world = world_of()
    _, cat, _ = await watched(world)
    await cat.call("201", call_id="call")
    world.wire.take()
    world.store.away = True
    assert await news(world) == []
    world.store.away = False
    world.clock.now += 2
    await world.notifier.look()
    (early,) = told(world)
    assert early.line == "early"
    world.subscriptions.away = True
    await world.notifier.heard([forgotten_call(world)])
    world.clock.now += 2
    await world.notifier.look()
    assert told(world) == []
    world.subscriptions.away = False
    world.clock.now += 2
    await world.notifier.look()
    (idle,) = told(world)
    assert idle.line == "terminated"


def two() -> tuple[World, World]:
    a = world_of()
    b = World(node="b", beside=a)
    return a, b


async def test_another_node_serves_the_refresh_and_sends_from_then_on() -> None:
    a, b = two()
    ann = await Handset(a, ANN).register()
    lamp = await watch(ann)
    ann.world = b
    assert (await lamp.refresh()).statuses == [200]
    (again,) = told(b)
    assert (again.cseq, again.version) == (lamp.first.cseq + TAKEOVER_STEP + 1,) * 2
    cat = await Handset(b, CAT, port=5072).register()
    await Handset(b, BOB, port=5070).register()
    b.store.events.clear()
    b.clock.now += 1
    await cat.call("201", call_id="call")
    b.wire.take()
    await happen(b, a)
    (early,) = told(b)
    assert early.cseq == again.cseq + 1
    assert (told(a), len(a.notifier), len(b.notifier)) == ([], 0, 1)


async def test_the_node_that_knew_it_first_does_not_end_what_another_one_has() -> None:
    a, b = two()
    ann = await Handset(a, ANN).register()
    lamp = await watch(ann, "201", "Expires: 60")
    ann.world = b
    assert (await lamp.refresh(3_600)).statuses == [200]
    told(b)
    a.clock.now += 61
    await a.notifier.look()
    await b.notifier.look()
    assert (told(a), told(b), len(a.notifier), len(b.notifier)) == ([], [], 0, 1)
    assert (await lamp.refresh()).statuses == [200]


async def test_another_node_ends_it() -> None:
    a, b = two()
    ann = await Handset(a, ANN).register()
    lamp = await watch(ann)
    ann.world = b
    assert (await lamp.refresh(0)).statuses == [200]
    (last,) = told(b)
    assert (last.state, last.cseq) == ("terminated;reason=timeout", TAKEOVER_STEP + 2)
    assert a.subscriptions.stored == {}


async def test_a_living_node_takes_over_the_subscriptions_of_a_dead_one() -> None:
    a, b = two()
    await Handset(a, BOB, port=5070).register()
    ann = await Handset(a, ANN).register()
    lamp = await watch(ann)
    dead = Process("a", "g-a")
    assert await b.notifier.take_over(dead) == 1
    assert await b.notifier.take_over(dead) == 0
    await b.notifier.look()
    (again,) = told(b)
    assert (again.cseq, again.version) == (lamp.first.cseq + TAKEOVER_STEP + 1,) * 2
    assert again.request.target == ann.contact


async def test_a_connection_that_died_with_its_node_is_waited_for() -> None:
    a, b = two()
    ann = await Handset(a, ANN, transport="tcp").register()
    await watch(ann)
    await b.notifier.take_over(Process("a", "g-a"))
    b.clock.now += ADOPTED_SECONDS - 1
    await b.notifier.look()
    assert len(b.notifier) == 1
    b.clock.now += 1
    await b.notifier.look()
    assert (len(b.notifier), told(b)) == (0, [])


async def test_a_phone_over_udp_is_told_when_the_listener_is_open() -> None:
    a, b = two()
    ann = await Handset(a, ANN).register()
    await watch(ann)
    opened = b.reach._open_flow
    b.reach._open_flow = lambda target: None
    await b.notifier.take_over(Process("a", "g-a"))
    await b.notifier.look()
    assert told(b) == []
    b.reach._open_flow = opened
    b.clock.now += LOOK_SECONDS
    await b.notifier.look()
    (again,) = told(b)
    assert again.request.target == ann.contact


async def test_turns_that_count_no_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "MAX_STALE", 3)
    world = world_of()
    lamp = await watch(await Handset(world, ANN).register(), "201", "Expires: 60")
    for _ in range(20):
        assert (await lamp.refresh(60)).statuses == [200]
        world.clock.now += 2
        await world.notifier.look()
    assert len(world.notifier._turns) <= 6
    world.clock.now += 60
    await world.notifier.look()
    assert len(world.notifier) == 0


async def test_a_notify_goes_by_the_node_that_has_the_connection() -> None:
    a, b = two()
    ann = await Handset(a, ANN, transport="tcp").register()
    await watch(ann)
    b.neighbours["a"] = ("g-a", "192.0.2.1:5060")
    (subscription,) = b.subscriptions.stored.values()
    target = await b.notifier._watching.find("acme", "acme.test", "201", "")
    assert target is not None
    begun = await b.notifier.begin(subscription, target)
    await b.notifier.tell(begun.id)
    (relayed,) = told(b)
    assert relayed.sent.flow.remote_ip == "192.0.2.1"
    passed = await a.ask(Incoming(relayed.request, relayed.sent.flow))
    (arrived,) = told(a)
    assert arrived.sent.flow == ann.flow
    assert (arrived.request.target, arrived.cseq) == (ann.contact, relayed.cseq)
    assert "place.invalid" not in (arrived.request.headers.get("contact") or "")
    assert "route" not in arrived.request.headers
    await ann.reply(arrived.sent, 200)
    assert passed.statuses == [200]


async def test_the_metrics_count_subscriptions_and_answers() -> None:
    world = world_of()
    ann = await Handset(world, ANN).register()
    await subscribe(ann)
    (first,) = told(world)
    await ann.reply(first.sent, 200)
    text = world.metrics.exposition().decode()
    assert "registrar_subscriptions_open 1.0" in text
    assert 'registrar_notifies_total{result="delivered"} 1.0' in text


async def test_news_of_a_person_without_subscriptions_cost_nothing() -> None:
    world = world_of()
    world.people.away = True
    await world.notifier.heard_person("p1")
    world.notifier.heard_customer("acme")
    world.notifier.heard_everything()
    await world.notifier.look()
    assert not world.notifier.wanted.is_set()
    await watch_and_end(world)


async def watch_and_end(world: World) -> None:
    world.people.away = False
    lamp = await watch(await Handset(world, ANN).register())
    assert world.notifier.wanted.is_set()
    await lamp.refresh(0)
    assert not world.notifier.wanted.is_set()
