"""handlers/calls/table.py: the calls of this process, from the first INVITE to their end."""

import asyncio
from dataclasses import replace

import pytest

from registrar.handlers.calls import forwarding
from registrar.handlers.calls.absent import GRACE_SECONDS
from registrar.handlers.calls.table import PARTIES_SECONDS, PUT_SECONDS, News
from registrar.model import CallState, Cause, Flow, Process
from registrar.rules.forward import CSEQ_MARGIN
from registrar.sip import Request, parse
from registrar.store.call_codec import encode
from tests.every import every

from ..handsets import ANN, BOB, CAT, SDP, Dialog, Handset, pair, talk
from ..world import HOME, World


def world_of(**more: object) -> World:
    return World(ANN, BOB, CAT, **more)  # type: ignore[arg-type]  # as World takes them


def told(world: World) -> list[tuple[str, str]]:
    """The events, each with its reason."""
    return [(event["event"], event.get("reason", "")) for event in world.store.events]


def ended(world: World) -> tuple[Cause, int, str]:
    ((_, ending),) = world.store.endings
    return ending.cause, ending.status, ending.by


async def pass_time(world: World, seconds: float) -> None:
    """Time passes in steps of a second."""
    for _ in range(int(seconds)):
        world.clock.now += 1
        await world.calls.look()


def sdp(attribute: str) -> bytes:
    return SDP + f"a={attribute}\r\n".encode()


def holders(world: World) -> list[str]:
    """The numbers of the parties that hold the one call, as it is stored."""
    (call,) = world.store.there.values()
    return [party.number for party in (call.caller, call.callee) if party.holds]


async def offer(dialog: Dialog, other: Handset, attribute: str, method: str = "INVITE") -> None:
    """Describe the media again, and let the other party agree."""
    await dialog.send(method, body=sdp(attribute))
    (sent,) = [sent for sent in dialog.handset.world.wire.take() if sent.request.method == method]
    await other.reply(sent, 200, body=sdp("sendrecv"))


# From the beginning to the answer


async def test_a_call_is_written_down_when_it_rings_and_when_it_is_answered() -> None:
    world = world_of()
    ann, bob, _, sent = await pair(world)
    (ringing,) = world.store.there.values()
    assert (ringing.state, ringing.customer, ringing.domain) == (CallState.RINGING, "acme", "acme.test")
    assert (ringing.caller.number, ringing.caller.name, ringing.caller.phone) == ("200", "Ann", ANN.id)
    assert (ringing.callee.number, ringing.callee.name, ringing.callee.phone) == ("201", "Bob", "")
    world.clock.now += 3
    await bob.take(sent)
    (answered,) = world.store.there.values()
    assert (answered.state, answered.answered_at - answered.started_at) == (CallState.ANSWERED, 3)
    assert (answered.callee.phone, answered.callee.transport, answered.callee.tag) == (
        BOB.id,
        "udp",
        "tag-id-b",
    )
    assert [event for event, _ in told(world)] == ["call-started", "call-answered"]
    assert not any("a" * 32 in value for name, value in encode(answered).items() if name != "d")
    assert len(world.calls) == 1 and ann.account == ANN


@every(
    ("status", "cause"),
    [
        (486, Cause.BUSY),
        (600, Cause.BUSY),
        (603, Cause.DECLINED),
        (408, Cause.NO_ANSWER),
        (480, Cause.UNREACHABLE),
        (487, Cause.CANCELLED),
        (404, Cause.FAILED),
        (500, Cause.FAILED),
    ],
)
async def test_why_nobody_took_it(status: int, cause: Cause) -> None:
    world = world_of()
    _, bob, _, sent = await pair(world)
    await bob.reply(sent, status)
    assert ended(world) == (cause, status, "")
    assert len(world.calls) == 0 and world.store.there == {}
    assert world.metrics.registry.get_sample_value("registrar_calls_total", {"cause": str(cause)}) in (
        1.0,
        None,
    )


async def test_a_cancelled_call() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    incoming.cancel()
    await bob.reply(sent, 487)
    assert ended(world) == (Cause.CANCELLED, 487, "")


@pytest.mark.parametrize("side", ["caller", "callee"])
async def test_who_says_bye_has_hung_up(side: str) -> None:
    world = world_of()
    hers, his = await talk(world)
    await (hers if side == "caller" else his).send("BYE")
    assert ended(world) == (Cause.HUNG_UP, 0, "200" if side == "caller" else "201")


async def test_a_call_is_written_again_before_it_is_forgotten() -> None:
    world = world_of()
    await talk(world)
    (before,) = world.store.there
    await pass_time(world, PUT_SECONDS * 5)
    assert list(world.store.there) == [before]


# Somebody wants it to be over


async def test_both_are_told_when_the_operator_hangs_up() -> None:
    world = world_of()
    hers, his = await talk(world)
    (id,) = world.store.there
    await world.calls.end_by_request(id, "carol")
    assert ended(world) == (Cause.API, 0, "carol")
    to_her, to_him = world.wire.take()
    for sent, mine in ((to_her, hers), (to_him, his)):
        bye = sent.request
        assert (bye.method, sent.flow, bye.target) == ("BYE", mine.handset.flow, mine.handset.contact)
        assert (bye.headers.get("from"), bye.headers.get("to")) == (mine.remote, mine.local)
        assert bye.call_id == mine.call_id
        assert bye.cseq[0] >= CSEQ_MARGIN
        assert "Ended by the operator" in (bye.headers.get("reason") or "")
    assert b"b" * 32 not in bytes(to_her.request)
    assert b"a" * 32 not in bytes(to_him.request)
    await world.calls.end_by_request(id, "carol")
    assert world.wire.sent == [], "once"


async def test_a_bye_counts_on_from_what_a_party_has_sent() -> None:
    world = world_of()
    hers, _ = await talk(world)
    hers.handset.cseq = 70_000
    await hers.send("INFO")
    world.wire.take()
    (id,) = world.store.there
    await world.calls.end_by_request(id, "x")
    _, to_him = world.wire.take()
    assert to_him.request.cseq[0] == 70_001 + CSEQ_MARGIN


async def test_a_call_that_rings_is_ended_too() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    (id,) = world.store.there
    await world.calls.end_by_request(id, "carol")
    assert world.wire.methods == ["CANCEL"]
    assert incoming.statuses == [180, 487], "at once, whatever the phone says to it"
    assert ended(world) == (Cause.API, 487, "carol")
    await bob.reply(sent, 487)
    assert incoming.statuses == [180, 487]


async def test_a_call_to_a_silent_phone_is_ended_at_once_and_its_phone_when_it_speaks() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    world.wire.take()
    (id,) = world.store.there
    await world.calls.end_by_request(id, "carol")
    assert (incoming.statuses, ended(world)) == ([487], (Cause.API, 487, "carol"))
    assert world.wire.sent == [], "what has said nothing cannot be cancelled (RFC 3261 section 9.1)"
    await bob.reply(sent, 180)
    assert world.wire.methods == ["CANCEL"]


async def test_a_bye_goes_to_where_a_party_is_now() -> None:
    world = world_of()
    hers, his = await talk(world)
    hers.handset.contact = "sip:moved@10.0.0.9"
    await hers.send("INVITE")
    (sent,) = world.wire.take()
    await his.handset.reply(sent, 200)
    (id,) = world.store.there
    await world.calls.end_by_request(id, "x")
    assert world.wire.take()[0].request.target == "sip:moved@10.0.0.9"


async def test_whom_nobody_can_reach_is_told_nothing() -> None:
    world = world_of()
    bob = await Handset(world, BOB, transport="tcp").register()
    ann = await Handset(world, ANN).register()
    await ann.call()
    await bob.take(world.wire.take()[0])
    del world.lines.flows[bob.flow.id]
    (id,) = world.store.there
    await world.calls.end_by_request(id, "x")
    assert [sent.flow for sent in world.wire.take()] == [ann.flow]
    assert ended(world)[0] is Cause.API


async def test_too_many_transactions_do_not_keep_a_call() -> None:
    world = world_of()
    await talk(world)
    (id,) = world.store.there
    world.wire.is_full = True
    await world.calls.end_by_request(id, "x")
    assert ended(world)[0] is Cause.API


async def test_nobody_knows_that_call() -> None:
    world = world_of()
    await world.calls.end_by_request("nonsense", "x")
    world.calls.refused("nonsense", 486)
    assert told(world) == [] and world.wire.sent == []


# What runs out, and who is gone


async def talk_with_timer(world: World) -> tuple[Dialog, Handset, Handset]:
    ann, bob, incoming, sent = await pair(world, more=("Supported: timer", "Session-Expires: 90"))
    await bob.take(sent, ("Session-Expires", "90;refresher=uac"))
    return ann.dialog(incoming), ann, bob


async def test_a_session_that_nobody_refreshes_is_lost() -> None:
    world = world_of()
    await talk_with_timer(world)
    await pass_time(world, 95)
    assert len(world.calls) == 1
    await pass_time(world, 1)
    assert ended(world) == (Cause.LOST, 0, "session timer")
    assert world.wire.methods == ["BYE", "BYE"]


@pytest.mark.parametrize("both_run_out", [True, False])
async def test_a_call_that_ends_while_another_one_is_ended_is_over(
    monkeypatch: pytest.MonkeyPatch, both_run_out: bool
) -> None:
    """The store is asked for the way to Bob, whose connection is gone; meanwhile Cat hangs up on Ann."""
    world = world_of()
    timer = ("Supported: timer", "Session-Expires: 90")
    bob = await Handset(world, BOB, transport="tcp").register()
    ann, cat = await Handset(world, ANN).register(), await Handset(world, CAT, port=5080).register()
    await ann.call(more=timer)
    await bob.take(world.wire.take()[0], ("Session-Expires", "90;refresher=uac"))
    other = await cat.call("200", more=timer if both_run_out else ())
    granted = ("Session-Expires", "90;refresher=uac")
    await ann.take(world.wire.take()[0], *([granted] if both_run_out else []))
    hers = cat.dialog(other)
    del world.lines.flows[bob.flow.id]
    load = world.location.load
    hung_up: list[object] = []

    async def slow(phones: list[str]) -> object:
        if not hung_up:
            hung_up.append(await hers.send("BYE"))
            await ann.reply(world.wire.sent[-1], 200)
        return await load(phones)

    monkeypatch.setattr(world.location, "load", slow)
    world.clock.now += 96
    await world.calls.look()
    assert hung_up and len(world.calls) == 0 and world.store.there == {}
    assert [sent.flow for sent in world.wire.take()] == [ann.flow, ann.flow], "Cat hears nothing"


async def test_a_session_that_is_refreshed_goes_on() -> None:
    world = world_of()
    hers, _, bob = await talk_with_timer(world)
    for _ in range(3):
        await pass_time(world, 80)
        await hers.send("UPDATE", "Supported: timer", "Session-Expires: 90;refresher=uac")
        await bob.reply(world.wire.take()[0], 200, ("Session-Expires", "90;refresher=uac"))
    assert len(world.calls) == 1


async def test_a_session_without_a_timer_has_no_end() -> None:
    world = world_of()
    await talk(world)
    await pass_time(world, 3_000)
    assert len(world.calls) == 1


async def test_a_party_that_is_gone_has_a_while_to_come_back() -> None:
    world = world_of()
    _, his = await talk(world)
    await his.handset.register(0)
    await pass_time(world, PARTIES_SECONDS + GRACE_SECONDS - 2)
    assert len(world.calls) == 1
    await pass_time(world, PARTIES_SECONDS * 2)
    assert ended(world) == (Cause.LOST, 0, "")
    assert len(world.wire.take()) >= 1


async def test_a_party_that_comes_back_in_time_is_not_lost() -> None:
    world = world_of()
    _, his = await talk(world)
    for _ in range(3):
        await his.handset.register(0)
        await pass_time(world, PARTIES_SECONDS + 2)
        await his.handset.register()
        await pass_time(world, PARTIES_SECONDS + 2)
    assert len(world.calls) == 1


async def test_a_connection_that_stands_is_enough() -> None:
    """Its registration may have run out: who is connected is there."""
    world = world_of()
    bob = await Handset(world, BOB, transport="tcp").register()
    ann = await Handset(world, ANN).register()
    await ann.call()
    await bob.take(world.wire.take()[0])
    world.location.stored.pop(BOB.id)
    await pass_time(world, 60)
    assert len(world.calls) == 1


async def test_without_redis_nobody_is_lost() -> None:
    world = world_of()
    _, his = await talk(world)
    await his.handset.register(0)
    world.location.away = True
    for _ in range(30):
        world.clock.now += 1
        try:
            await world.calls.look()
        except Exception as error:  # whatever it is, it must be this one
            assert type(error).__name__ == "StoreUnavailable"
    assert len(world.calls) == 1


async def test_who_rings_is_not_looked_for() -> None:
    world = world_of()
    _, bob, _, _ = await pair(world)
    await bob.register(0)
    await pass_time(world, 60)
    assert len(world.calls) == 1


# Other nodes


async def test_news_of_a_bye_by_another_node_end_the_call() -> None:
    world = world_of()
    await talk(world)
    (id,) = world.store.there
    world.calls.heard(News("another"))
    world.calls.heard(News(id))
    assert len(world.calls) == 1
    world.calls.heard(News(id, ended="callee", tag="tag-id-b"))
    assert ended(world) == (Cause.HUNG_UP, 0, "201")
    assert world.wire.sent == [], "the other node has passed the BYE"


async def test_news_of_a_refresh_by_another_node_prolong_the_session() -> None:
    world = world_of()
    await talk_with_timer(world)
    (id,) = world.store.there
    await pass_time(world, 80)
    world.calls.heard(News(id, expires_at=world.clock.now + 90, tag="tag-id-b"))
    await pass_time(world, 80)
    assert len(world.calls) == 1


async def test_a_node_that_has_not_the_call_tells_the_one_that_has() -> None:
    here = world_of()
    there = World(node="b", beside=here)
    hers, ann, bob = await talk_with_timer(here)
    (id,) = here.store.there
    hers.handset.world = there
    await hers.send("UPDATE", "Supported: timer", "Session-Expires: 90;refresher=uac")
    await bob.reply(there.wire.take()[0], 200, ("Session-Expires", "90;refresher=uac"))
    await hers.send("BYE")
    assert there.news == [
        News(id, expires_at=here.clock.now + 90, tag="tag-id-b"),
        News(id, ended="caller", tag="tag-id-b"),
    ]
    assert ann.account == ANN


def beside(here: World) -> World:
    """Another node with the same stores."""
    there = World(node="b", beside=here)
    there.calls._store = here.store
    here.store._process = Process("b", "g-b")
    return there


async def test_the_calls_of_a_node_that_died_go_on_with_another() -> None:
    here = world_of()
    await talk(here)
    there = beside(here)
    assert await there.calls.take_over_calls(Process("a", "another")) == 0
    assert await there.calls.take_over_calls(Process("a", "g-a")) == 1
    assert await there.calls.take_over_calls(Process("a", "g-a")) == 0
    await pass_time(there, PARTIES_SECONDS + GRACE_SECONDS + 2)
    (call,) = here.store.there.values()
    assert (call.process, here.store.endings) == (Process("b", "g-b"), [])
    assert there.wire.sent == []


async def test_a_call_of_a_dead_node_whose_party_is_gone_with_it_is_ended() -> None:
    here = world_of()
    hers, his = await talk(here)
    await hers.handset.register(0)
    there = beside(here)
    assert await there.calls.take_over_calls(Process("a", "g-a")) == 1
    await pass_time(there, 1)
    assert ended(here)[0] is Cause.LOST
    assert [sent.request.method for sent in there.wire.sent][-1] == "BYE"
    assert there.wire.sent[-1].flow == his.handset.flow
    assert there.wire.sent[-1].request.headers.get("to") == his.local


async def test_a_call_that_rang_at_a_dead_node_is_ended() -> None:
    here = world_of()
    await pair(here)
    there = beside(here)
    assert await there.calls.take_over_calls(Process("a", "g-a")) == 1
    assert ended(here)[0] is Cause.LOST
    assert len(there.calls) == 0


async def test_a_caller_that_never_registered_is_not_looked_for() -> None:
    """Over UDP nothing can be told of it but its requests: the session timer looks after it."""
    world = world_of()
    bob = await Handset(world, BOB, port=5070).register()
    await Handset(world, ANN).call()
    await bob.take(world.wire.take()[0])
    await pass_time(world, 60)
    assert len(world.calls) == 1


async def test_a_dialog_that_did_not_become_the_call_does_not_end_it() -> None:
    """Two phones have answered; the caller says BYE to the one that was slower (section 13.2.2.4)."""
    world = world_of()
    hers, his = await talk(world)
    hers.remote = hers.remote.replace("tag=tag-id-b", "tag=slower")
    await hers.send("BYE")
    assert len(world.calls) == 1
    (id,) = world.store.there
    world.calls.heard(News(id, ended="callee", tag="slower"))
    assert len(world.calls) == 1
    await his.send("BYE")
    assert len(world.calls) == 0


async def test_a_session_that_is_refreshed_without_a_timer_has_no_end_any_more() -> None:
    """RFC 4028 section 7.2."""
    world = world_of()
    hers, _, bob = await talk_with_timer(world)
    await hers.send("UPDATE")
    await bob.reply(world.wire.take()[0], 200)
    await pass_time(world, 200)
    assert len(world.calls) == 1


async def test_a_caller_over_a_connection_is_looked_for_whether_it_registered_or_not() -> None:
    world = world_of()
    bob = await Handset(world, BOB, port=5070).register()
    ann = Handset(world, ANN, transport="tcp")
    await ann.call()
    await bob.take(world.wire.take()[0])
    await pass_time(world, 30)
    assert len(world.calls) == 1
    del world.lines.flows[ann.flow.id]
    await pass_time(world, 30)
    assert ended(world) == (Cause.LOST, 0, "")


# Phones over UDP that answer no pings


async def silent_bob(world: World) -> tuple[Handset, Handset]:
    """Ann, who answers, and Bob, who was found silent just now."""
    ann, bob = (
        await Handset(world, ANN, transport="tcp").register(),
        await Handset(world, BOB, port=5070).register(),
    )
    for _ in range(33):
        world.clock.now += 1
        await world.pings.step()
    assert world.location.status[BOB.id]["reason"] == "ping-timeout"
    return ann, bob


async def test_a_silent_phone_is_called_and_may_answer() -> None:
    world = world_of()
    ann, bob = await silent_bob(world)
    incoming = await ann.call()
    (sent,) = world.wire.take()
    await bob.reply(sent, 180)
    await bob.take(sent)
    assert incoming.statuses == [180, 200]


async def test_a_silent_phone_that_says_nothing_to_a_call_is_given_up_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarding, "SILENT_SECONDS", 0.01)
    world = world_of()
    ann, _ = await silent_bob(world)
    incoming = await ann.call()
    (sent,) = world.wire.sent
    await asyncio.sleep(0.03)
    assert (sent.forgotten, incoming.statuses) == (True, [480])
    assert ended(world) == (Cause.UNREACHABLE, 480, "")


async def test_a_request_in_a_call_brings_its_silent_phone_back() -> None:
    world = world_of()
    ann, bob = await silent_bob(world)
    await ann.call()
    his = await bob.take(world.wire.take()[0])
    await his.send("INFO")
    await world.pings.step()
    assert world.location.status[BOB.id]["online"] == "1"


@pytest.mark.parametrize("seconds", [0, 14, 29])
async def test_a_caller_over_udp_that_is_gone_while_it_rings_ends_the_ringing(seconds: int) -> None:
    """However long ago it was pinged last: within 24 s of its end."""
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    world.wire.take()
    await answer_pings(world, seconds)
    began = world.clock.now
    while world.calls and world.clock.now < began + 60:
        await tick(world, bob)
    assert world.clock.now - began <= 24
    assert ended(world) == (Cause.LOST, 480, "")
    assert world.wire.methods == ["CANCEL"]
    assert incoming.statuses == [180, 480]


async def test_a_caller_over_udp_that_answers_may_ring_for_long() -> None:
    world = world_of()
    _, bob, _, sent = await pair(world)
    await bob.reply(sent, 180)
    await answer_pings(world, 120)
    assert len(world.calls) == 1


async def answer_pings(world: World, seconds: int) -> None:
    """Both phones answer every ping."""
    for _ in range(seconds):
        await tick(world, None)


async def tick(world: World, alive: Handset | None) -> None:
    """A second; None: everybody is alive."""
    world.clock.now += 1
    await world.pings.step()
    for raw in world.sent:
        ping = parse(raw)
        assert isinstance(ping, Request)
        for port in (5060, 5070):
            if alive is None or port == alive.flow.remote_port:
                world.pings.ping_answered(ping.via.branch, Flow("udp", "192.0.2.10", 5060, HOME, port))
    world.sent.clear()
    await world.calls.look()


async def test_a_caller_over_udp_that_another_node_pings_ends_its_ringing_too() -> None:
    """Later, as that node does not know that anybody rings for its sake."""
    here = world_of()
    there = World(node="b", beside=here)
    await Handset(there, ANN).register()
    bob = await Handset(here, BOB, transport="tcp").register()
    incoming = await Handset(here, ANN).call()
    await bob.reply(here.wire.take()[0], 180)
    began = here.clock.now
    while here.calls and here.clock.now < began + 120:
        here.clock.now += 1
        await there.pings.step()
        await here.calls.look()
    assert here.clock.now - began <= 63
    assert ended(here)[0] is Cause.LOST
    assert incoming.statuses == [180, 480]


async def test_a_party_over_udp_that_is_gone_is_not_kept_by_another_device_of_its_phone() -> None:
    world = world_of()
    hers, _ = await talk(world)
    await Handset(world, BOB, transport="tcp").register()
    await answer_pings(world, 100)
    began = world.clock.now
    while world.calls and world.clock.now < began + 120:
        await tick(world, hers.handset)
    assert world.clock.now - began <= 65
    assert ended(world) == (Cause.LOST, 0, "")


# A call that is held


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_a_party_holds_a_call_and_resumes_it(method: str) -> None:
    world = world_of()
    hers, his = await talk(world)
    world.store.events.clear()
    await offer(hers, his.handset, "sendonly", method)
    assert holders(world) == ["200"]
    await offer(hers, his.handset, "sendonly", method)
    await offer(his, hers.handset, "recvonly", method)
    await offer(his, hers.handset, "sendonly", method)
    assert holders(world) == ["200", "201"]
    await offer(hers, his.handset, "inactive", method)
    await offer(hers, his.handset, "recvonly", method)
    assert holders(world) == ["201"]
    await offer(his, hers.handset, "sendrecv", method)
    assert holders(world) == []
    assert told(world) == [("call-changed", reason) for reason in ("held", "held", "resumed", "resumed")]
    assert [event["by"] for event in world.store.events] == ["200", "201", "200", "201"]


async def test_an_offer_that_is_refused_holds_nothing() -> None:
    world = world_of()
    hers, his = await talk(world)
    world.store.events.clear()
    await hers.send("INVITE", body=sdp("sendonly"))
    (sent,) = world.wire.take()
    await his.handset.reply(sent, 488)
    assert (holders(world), world.store.events) == ([], [])


async def test_the_answer_in_an_ack_holds_a_call() -> None:
    world = world_of()
    hers, his = await talk(world)
    await hers.send("INVITE")
    (sent,) = world.wire.take()
    await his.handset.reply(sent, 200, body=sdp("sendrecv"))
    await hers.send("ACK", body=sdp("sendonly"))
    assert holders(world) == ["200"]


async def test_another_node_tells_who_holds_a_call() -> None:
    here = world_of()
    there = World(node="b", beside=here)
    hers, his = await talk(here)
    (id,) = here.store.there
    hers.handset.world = his.handset.world = there
    await offer(hers, his.handset, "sendonly")
    (news,) = there.news
    assert (news.call, news.offerer, news.direction) == (id, "caller", "sendonly")
    here.calls.heard(news)
    assert holders(here) == ["200"]
    here.calls.heard(replace(news, direction="sideways"))
    assert holders(here) == ["200"]
    here.calls.heard(replace(news, direction="sendrecv"))
    assert holders(here) == []
