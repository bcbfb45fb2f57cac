"""Calls at their edges: late answers, dialogs beside the call, faults, callers registered nowhere."""

from dataclasses import replace

import pytest

from registrar.model import Cause, MediaPolicy, Process
from registrar.rules.forward import CSEQ_MARGIN
from registrar.rules.tokens import DialogHandle, RelayPermit, Target, dump_handle
from registrar.sip import MAX_CSEQ, Response, answer, parse

from .calls.test_node_relay import Nodes
from .calls.test_table import pass_time, talk_with_timer
from .handsets import ANN, BOB, CAT, SDP, SDP_TYPE, Dialog, Handset, Relay, pair, talk
from .world import Sent, World, read_response


def world_of(**more: object) -> World:
    return World(ANN, BOB, CAT, **more)  # type: ignore[arg-type]  # as World takes them


def events(world: World) -> list[str]:
    return [event["event"] for event in world.store.events]


async def unwanted(world: World) -> tuple[Handset, Sent]:
    """Two of Bob's devices have taken Ann's call, the second one too late."""
    one = await Handset(world, BOB, port=5070).register()
    other = await Handset(world, BOB, port=5071).register()
    await (await Handset(world, ANN).register()).call()
    first, second = sorted(world.wire.take(), key=lambda sent: sent.flow.remote_port)
    await one.take(first)
    world.wire.take()
    return other, second


def dialog_of(handset: Handset, sent: Sent) -> Dialog:
    """What a phone that rings knows of the call."""
    asked = sent.request
    local = f"{asked.headers.get('to')};tag=other"
    routes, remote = asked.headers.all("record-route"), asked.headers.get("from") or ""
    return Dialog(handset, str(asked.contacts[0].uri), routes, local, remote, asked.call_id)


async def test_a_refusal_is_no_answer() -> None:
    world = world_of()
    _, bob, _, sent = await pair(world)
    await bob.reply(sent, 486)
    assert events(world) == ["call-started", "call-ended"]


async def test_a_late_2xx_is_ended_with_a_number_that_is_new() -> None:
    """Whatever PRACK and UPDATE have counted to meanwhile."""
    world = world_of()
    other, sent = await unwanted(world)
    await other.reply(sent, 200)
    ack, bye = world.wire.take()
    assert ack.request.cseq == (sent.request.cseq[0], "ACK")
    assert bye.request.cseq == (sent.request.cseq[0] + CSEQ_MARGIN, "BYE")


async def test_an_answer_that_crosses_the_end_by_the_operator_makes_no_call() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    (id,) = world.store.there
    await bob.reply(sent, 180)
    await world.calls.end_by_request(id, "carol")
    assert world.wire.methods == ["CANCEL"]
    await bob.take(sent)
    assert world.wire.methods == ["CANCEL", "ACK", "BYE"]
    assert len(world.calls) == 0 and incoming.statuses == [180, 487]
    ((_, ending),) = world.store.endings
    assert (ending.cause, ending.by) == (Cause.API, "carol")


async def test_a_call_of_a_dead_node_that_cannot_be_ended_does_not_stop_the_others() -> None:
    """What lies in Redis may have been written by somebody else."""
    here = world_of()
    await talk(here)
    (call,) = here.store.there.values()
    bad = DialogHandle(
        Target("id-b", "sip:b@x\r\nX: 1", "udp", "b", "g-b", 0, "192.0.2.9", 5070), "<sip:a@b>", "<sip:b@b>"
    )
    here.store.put(replace(call, id="0" * 31 + "9", callee=replace(call.callee, target=dump_handle(bad))))
    there = World(node="b", beside=here)
    there.calls._store = here.store
    here.store._process = Process("b", "g-b")
    assert await there.calls.take_over_calls(Process("a", "g-a")) == 2
    for id in list(here.store.there):
        await there.calls.end_by_request(id, "x")
    assert here.store.there == {}


async def test_a_number_has_an_end() -> None:
    world = world_of()
    hers, _ = await talk(world)
    hers.handset.cseq = MAX_CSEQ - 10
    await hers.send("INFO")
    world.wire.take()
    (id,) = world.store.there
    await world.calls.end_by_request(id, "x")
    _, to_him = world.wire.take()
    assert to_him.request.cseq[0] == MAX_CSEQ


async def test_a_late_2xx_of_another_node_is_ended_there() -> None:
    """The leave of the INVITE is for the INVITE: what ends it has one of its own, and no other."""
    nodes = Nodes()
    _, bob, incoming, sent = await nodes.call()
    carried = await nodes.carry(sent)
    (rung,) = nodes.b.wire.take()
    assert incoming.served is not None
    incoming.served.caller_gone()
    await bob.take(rung)
    await nodes.back(sent, carried)
    ack, bye = (one for one in nodes.a.wire.take() if one.request.method != "CANCEL")
    for one in (ack, bye):
        assert len(one.request.headers.all("route")) == 1
        flow = replace(one.flow, remote_ip="192.0.2.10", local_ip="192.0.2.11")
        assert isinstance(nodes.b.checks.sort(one.request, flow, nodes.b.clock()), RelayPermit)
        await nodes.carry(one)
    assert [one.request.method for one in nodes.b.wire.take()] == ["ACK", "BYE"]


async def test_who_only_rang_has_no_say_in_the_call() -> None:
    world = world_of(media=Relay(), policy=MediaPolicy.ALWAYS)
    other, sent = await unwanted(world)
    await dialog_of(other, sent).send("BYE")
    await dialog_of(other, sent).send("INFO")
    assert len(world.calls) == 1 and world.store.endings == []
    (call,) = world.store.there.values()
    assert call.callee.tag == "tag-id-b"


async def test_a_bye_in_an_early_dialog_leaves_the_call() -> None:
    world = world_of()
    ann, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    ringing = incoming.responses[0]
    hers = Dialog(
        ann,
        parse_contact(ringing),
        ringing.headers.all("record-route"),
        ringing.headers.get("from") or "",
        ringing.headers.get("to") or "",
        ringing.call_id,
    )
    await hers.send("BYE")
    assert world.wire.methods == ["BYE"] and len(world.calls) == 1
    await bob.take(sent)
    assert events(world) == ["call-started", "call-answered"]


def parse_contact(response: Response) -> str:
    return (response.headers.get("contact") or "").strip("<>")


async def test_a_caller_that_is_registered_nowhere_is_not_missed() -> None:
    """Over UDP nothing tells that it is gone; the callee is looked after as ever."""
    world = world_of()
    bob = await Handset(world, BOB, port=5070).register()
    await Handset(world, ANN).call()
    (sent,) = world.wire.take()
    await bob.take(sent)
    await pass_time(world, 60)
    assert len(world.calls) == 1
    await bob.register(0)
    await pass_time(world, 20)
    assert len(world.calls) == 0


async def test_a_connection_of_another_process_proves_nothing() -> None:
    """Connections are numbered from one in each process: a token of the first names the process as well."""
    here = world_of()
    there = World(node="b", beside=here)
    flow = here.lines.dial("wss")
    assert here.senders.origin(flow, ANN) != there.senders.origin(flow, ANN)


async def test_the_reason_of_a_cancel_names_nobody() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    incoming.cancel(f'SIP;cause=200;text="{"a" * 32}"')
    (cancel,) = world.wire.take()
    assert cancel.request.headers.get("reason") == 'SIP;cause=200;text="200"'


async def test_an_answer_that_cannot_be_read_holds_up_nobody() -> None:
    """Its media would have been asked for: what the same phone says later is heard all the same."""
    world = world_of(media=Relay(), policy=MediaPolicy.ALWAYS)
    _, bob, incoming, sent = await pair(world, body=SDP, more=(SDP_TYPE,))
    rows = [("Contact", f"<{bob.contact}>"), ("Content-Type", "application/sdp")]
    bad = bytes(answer(sent.request, 183, "", rows, to_tag="x", body=SDP)).replace(b";tag=x", b";tag=x/y;")
    assert sent.asker is not None and sent.key is not None
    response = parse(bad)
    assert isinstance(response, Response)
    sent.asker.receive_response(sent.key, response)
    await world.settle()
    await bob.reply(sent, 486)
    assert incoming.statuses == [486]


async def test_a_fault_of_ours_lets_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that cannot be made is answered, and the call is over."""
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    ann = await Handset(world, ANN).register()
    monkeypatch.setattr(world.reach, "via", lambda *_: 1 // 0)
    assert (await ann.call()).statuses == [500]
    assert len(world.calls) == 0


@pytest.mark.parametrize(("method", "expected"), [("INVITE", ["ACK"]), ("UPDATE", [])])
async def test_an_answer_that_is_refused_ends_no_dialog(method: str, expected: list[str]) -> None:
    """The relay does not take it: the caller is told so, and the call stays what it was."""
    relay = Relay()
    world = world_of(media=relay, policy=MediaPolicy.ALWAYS)
    ann, bob, incoming, sent = await pair(world, body=SDP, more=(SDP_TYPE,))
    await bob.take(sent, body=SDP)
    relay.refuses.add("answer")
    again = await ann.dialog(incoming).send(method, body=SDP)
    (asked,) = world.wire.take()
    await bob.reply(asked, 200, body=SDP)
    assert again.statuses == [488]
    assert world.wire.methods == expected
    assert len(world.calls) == 1


async def test_a_session_whose_timer_is_turned_off_runs_out_no_more() -> None:
    """RFC 4028 section 7.2: a refresh whose answer has no Session-Expires."""
    world = world_of()
    hers, _, bob = await talk_with_timer(world)
    await hers.send("UPDATE")
    await bob.reply(world.wire.take()[0], 200)
    await pass_time(world, 200)
    assert len(world.calls) == 1


async def test_a_phone_that_is_not_active_is_not_found_by_its_token_either() -> None:
    world = world_of()
    hers, _ = await talk(world)
    world.people.known[BOB.id] = replace(world.people.rows[BOB.id], active=False)
    assert (await hers.handset.call(hers.uri)).statuses == [480]


async def test_names_that_no_token_can_hold_are_refused() -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    ann = await Handset(world, ANN).register()
    long = f'"{"x" * 640}" <sip:{"a" * 32}@acme.test>;tag=tag-id-a'
    assert (await ann.call(from_=long)).statuses == [400]


async def test_a_device_on_udp_that_moved_is_looked_up() -> None:
    world = world_of()
    bob = await Handset(world, BOB, port=5070, instance="urn:uuid:1").register()
    ann = await Handset(world, ANN).register()
    incoming = await ann.call()
    (sent,) = world.wire.take()
    await bob.take(sent)
    moved = Handset(world, BOB, port=5099, instance="urn:uuid:1")
    await moved.register()
    await ann.dialog(incoming).send("INFO")
    (info,) = world.wire.take()
    assert (info.flow.remote_port, info.request.target) == (5099, bob.contact)
    assert read_response(await moved.reply(info, 200)).status == 200
