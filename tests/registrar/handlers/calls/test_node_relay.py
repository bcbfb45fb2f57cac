"""handlers/calls/node_relay.py: requests between nodes, which need a relay permit for each one."""

import asyncio

import pytest

from registrar.handlers.calls import forwarding
from registrar.handlers.calls.reach import PLACE
from registrar.model import Flow
from registrar.rules.tokens import PERMIT_SECONDS
from registrar.sip import Request

from ..handsets import ANN, BOB, CAT, Dialog, Handset
from ..world import Incoming, Sent, World, read_response

A_HERE, B_HERE = "192.0.2.10:5060", "192.0.2.11:5060"
FROM_B = Flow("udp", "192.0.2.10", 5060, "192.0.2.11", 5060)
FROM_A = Flow("udp", "192.0.2.11", 5060, "192.0.2.10", 5060)


class Nodes:
    """Ann's phone is on node A, and Bob's on a connection of node B."""

    def __init__(self) -> None:
        self.a = World(ANN, BOB, CAT)
        self.b = World(node="b", beside=self.a)
        self.a.neighbours["b"], self.b.neighbours["a"] = ("g-b", B_HERE), ("g-a", A_HERE)

    async def call(self) -> tuple[Handset, Handset, Incoming, Sent]:
        """Ann's INVITE has left node A for node B."""
        bob = await Handset(self.b, BOB, transport="tcp").register()
        ann = await Handset(self.a, ANN).register()
        incoming = await ann.call()
        (sent,) = self.a.wire.take()
        return ann, bob, incoming, sent

    async def carry(self, sent: Sent, flow: Flow = FROM_A) -> Incoming:
        """What left A arrives at B."""
        return await self.b.ask(Incoming(sent.request, flow))

    async def back(self, sent: Sent, carried: Incoming) -> None:
        """What B has answered arrives at A."""
        assert sent.asker is not None and sent.key is not None
        sent.asker.receive_response(sent.key, read_response(carried.responses[-1]))
        await self.a.settle()


async def test_a_call_to_a_phone_of_another_node() -> None:
    nodes = Nodes()
    ann, bob, incoming, sent = await nodes.call()
    assert (sent.flow.remote_ip, sent.flow.remote_port) == ("192.0.2.11", 5060)
    assert (sent.request.headers.get("route") or "").startswith("<sip:h")
    assert PLACE in (sent.request.headers.get("contact") or "")
    carried = await nodes.carry(sent)
    assert carried.accepted
    (rung,) = nodes.b.wire.take()
    asked = rung.request
    assert (rung.flow, asked.target) == (bob.flow, bob.contact)
    assert "route" not in asked.headers
    assert PLACE not in bytes(asked).decode()
    assert asked.contacts[0].uri.host == "192.0.2.10" and asked.contacts[0].uri.port == 8443
    assert asked.headers.get("max-forwards") == "68"
    assert asked.headers.get("from") == '"Ann" <sip:200@acme.test>;tag=tag-id-a'
    assert b"a" * 32 not in bytes(asked)
    his = await bob.take(rung)
    await nodes.back(sent, carried)
    assert incoming.statuses == [200]
    assert incoming.responses[0].headers.all("via") == incoming.request.headers.all("via")
    assert b"b" * 32 not in bytes(incoming.responses[0])
    assert len(nodes.a.calls) == 1 and len(nodes.b.calls) == 0
    await in_the_dialog(nodes, ann, ann.dialog(incoming), his)


async def in_the_dialog(nodes: Nodes, ann: Handset, hers: Dialog, his: Dialog) -> None:
    await hers.send("ACK")
    (ack,) = nodes.a.wire.take()
    assert (await nodes.carry(ack)).statuses == []
    assert [(one.request.method, one.key, one.flow) for one in nodes.b.wire.take()] == [
        ("ACK", None, his.handset.flow)
    ]
    ended = await his.send("BYE")
    (bye,) = nodes.b.wire.take()
    assert (bye.flow.remote_ip, bye.flow.remote_port) == ("192.0.2.10", 5060)
    carried = await nodes.a.ask(Incoming(bye.request, FROM_B))
    (last,) = nodes.a.wire.take()
    assert (last.request.method, last.request.target, last.flow) == ("BYE", ann.contact, ann.flow)
    await ann.reply(last, 200)
    assert bye.asker is not None and bye.key is not None
    bye.asker.receive_response(bye.key, read_response(carried.responses[-1]))
    assert ended.statuses == [200]
    (news,) = nodes.b.news
    nodes.a.calls.heard(news)
    assert len(nodes.a.calls) == 0


def changed(request: Request, name: str, value: str) -> Request:
    request.headers.replace(name, value)
    request._cseq = None  # a new value is to be read
    return request


@pytest.mark.parametrize("change", ["cseq", "call-id", "late"])
async def test_a_leave_is_for_one_request(change: str) -> None:
    nodes = Nodes()
    _, _, _, sent = await nodes.call()
    if change == "late":
        nodes.b.clock.now += PERMIT_SECONDS
    else:
        value = {"cseq": "99 INVITE", "call-id": "another"}[change]
        changed(sent.request, change, value)
    carried = await nodes.carry(sent)
    assert carried.statuses == [407], "it is a request from outside"
    assert nodes.b.wire.sent == []


async def test_a_leave_for_another_node_is_430_here() -> None:
    nodes = Nodes()
    _, _, _, sent = await nodes.call()
    assert (await nodes.a.ask(Incoming(sent.request, FROM_A))).statuses == [430]


async def test_a_flow_that_is_gone_is_430() -> None:
    nodes = Nodes()
    _, bob, _, sent = await nodes.call()
    del nodes.b.lines.flows[bob.flow.id]
    assert (await nodes.carry(sent)).statuses == [430]
    assert nodes.b.wire.sent == []


async def test_without_hops_it_is_483() -> None:
    nodes = Nodes()
    _, _, _, sent = await nodes.call()
    assert (await nodes.carry(Sent(changed(sent.request, "max-forwards", "0"), sent.flow))).statuses == [483]


async def test_a_twin_is_not_sent_again() -> None:
    nodes = Nodes()
    _, _, _, sent = await nodes.call()
    carried = await nodes.b.ask(Incoming(sent.request, FROM_A, is_twin=True))
    assert carried.statuses == [] and nodes.b.wire.sent == []


async def test_a_leave_is_good_once() -> None:
    """Whoever has seen it may not use it again, under whatever branch."""
    nodes = Nodes()
    _, _, _, sent = await nodes.call()
    await nodes.carry(sent)
    assert len(nodes.b.wire.take()) == 1
    assert (await nodes.carry(sent)).statuses == [403]
    doubled = await nodes.b.ask(Incoming(sent.request, FROM_A, is_twin=True))
    assert doubled.statuses == [], "the network has doubled the request that is served"
    assert nodes.b.wire.sent == []


async def test_an_ack_that_comes_twice_is_passed_once() -> None:
    nodes = Nodes()
    ann, bob, incoming, sent = await nodes.call()
    carried = await nodes.carry(sent)
    await bob.take(nodes.b.wire.take()[0])
    await nodes.back(sent, carried)
    await ann.dialog(incoming).send("ACK")
    (ack,) = nodes.a.wire.take()
    for _ in range(2):
        assert (await nodes.carry(ack)).statuses == []
    assert nodes.b.wire.methods == ["ACK"]


async def test_used_leaves_are_forgotten_when_they_are_worth_nothing_any_more() -> None:
    nodes = Nodes()
    _, _, _, sent = await nodes.call()
    await nodes.carry(sent)
    nodes.a.clock.now += 3 * PERMIT_SECONDS
    ann = await Handset(nodes.a, ANN).register()
    await ann.call(call_id="call-2")
    await nodes.carry(nodes.a.wire.take()[0])
    assert len(nodes.b.node_relay._used) == 1


async def test_an_ack_whose_flow_is_gone_is_silence() -> None:
    nodes = Nodes()
    ann, bob, incoming, sent = await nodes.call()
    carried = await nodes.carry(sent)
    await bob.take(nodes.b.wire.take()[0])
    await nodes.back(sent, carried)
    await ann.dialog(incoming).send("ACK")
    (ack,) = nodes.a.wire.take()
    del nodes.b.lines.flows[bob.flow.id]
    assert (await nodes.carry(ack)).statuses == []
    assert nodes.b.wire.sent == []


async def test_a_cancel_reaches_the_phone_by_both_nodes() -> None:
    nodes = Nodes()
    _, bob, incoming, sent = await nodes.call()
    carried = await nodes.carry(sent)
    (rung,) = nodes.b.wire.take()
    await bob.reply(rung, 180)
    await nodes.back(sent, carried)
    incoming.cancel()
    (cancel,) = nodes.a.wire.take()
    assert cancel.request.via.branch == sent.request.via.branch, "which is how node B finds it"
    carried.cancel()
    assert nodes.b.wire.methods == ["CANCEL"]
    await bob.reply(rung, 487)
    assert carried.statuses == [180, 487]


async def test_a_node_that_says_nothing_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease may stand for some seconds after its death."""
    monkeypatch.setattr(forwarding, "NODE_SECONDS", 0.01)
    nodes = Nodes()
    _, _, incoming, sent = await nodes.call()
    nodes.a.wire.sent.append(sent)
    await asyncio.sleep(0.03)
    assert sent.forgotten
    assert incoming.statuses == [480]


async def test_a_node_that_has_said_something_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "NODE_SECONDS", 0.01)
    nodes = Nodes()
    _, bob, incoming, sent = await nodes.call()
    await bob.reply(sent, 100)
    await asyncio.sleep(0.03)
    assert incoming.statuses == []
