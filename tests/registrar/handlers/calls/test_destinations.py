"""handlers/calls/destinations.py in calls: a 3xx that passes, and one that does not."""

import pytest

from tests.every import every

from ..handsets import ANN, BOB, CAT, RIVAL, Handset, pair, talk
from ..world import DOMAIN, World


def world_of() -> World:
    return World(ANN, BOB, CAT, RIVAL)


async def test_a_redirection_of_a_call_is_followed() -> None:
    world = world_of()
    cat = await Handset(world, CAT, port=5072).register()
    _, bob, incoming, sent = await pair(world)
    await bob.reply_bare(sent, 302, ("Contact", f"<sip:%3202@{DOMAIN};user=phone>;q=0.7"))
    await world.settle()
    (further,) = world.wire.take()
    assert (further.flow.remote_port, further.request.method) == (5072, "INVITE")
    (diversion,) = further.request.headers.all("diversion")
    assert diversion == f"<sip:201@{DOMAIN}>;reason=deflection;counter=1;privacy=off"
    assert incoming.responses == []
    await cat.take(further)
    assert incoming.statuses == [200]
    assert incoming.responses[0].headers.get("p-asserted-identity") == f'"Cat" <sip:202@{DOMAIN}>'


async def test_a_redirection_of_another_request_passes() -> None:
    world = world_of()
    ann, bob = await Handset(world, ANN).register(), await Handset(world, BOB, port=5070).register()
    incoming = await ann.call(method="MESSAGE")
    (sent,) = world.wire.take()
    contact = f"<sip:%3202@{DOMAIN};user=phone>;q=0.7, <sip:{'c' * 32}@192.0.2.10>;q=0.2"
    await bob.reply_bare(sent, 302, ("Contact", contact))
    (response,) = incoming.responses
    assert response.status == 302
    assert response.headers.all("contact") == [f"<sip:202@{DOMAIN}>;q=0.7", f"<sip:202@{DOMAIN}>;q=0.2"]


@every(
    "contact",
    [
        pytest.param("<sip:202@elsewhere.test>", id="a stranger"),
        pytest.param(f"<sip:202@{DOMAIN}>, <sip:1@elsewhere.test>", id="a stranger beside a number"),
        pytest.param(f"<sip:999@{DOMAIN}>", id="nobody"),
        pytest.param(f"<sip:203@{DOMAIN}>", id="somebody of another customer"),
        pytest.param("<sip:203@rival.test>", id="the domain of another customer"),
        pytest.param(f"<sip:{'b' * 32}@10.0.0.7:5070>", id="an address of its own"),
        pytest.param("", id="nowhere"),
    ],
)
@every("status", [300, 301, 302, 305, 380])
async def test_another_becomes_480_with_the_reason(status: int, contact: str) -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply_bare(sent, status, *([("Contact", contact)] if contact else []))
    await world.settle()
    assert incoming.responses == []
    (answer,) = incoming.answers
    assert answer.status == 480
    assert answer.why.startswith("Contact: the called phone redirects")
    assert len(world.calls) == 0 and world.store.there == {}


async def test_another_phone_may_still_answer() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    assert incoming.statuses == []
    await bob.reply_bare(sent, 302, ("Contact", "<sip:1@elsewhere.test>"))
    assert incoming.statuses == [480]
    other = await Handset(world, BOB, port=5071).register()
    incoming = await Handset(world, ANN).call(call_id="call-2")
    first, second = sorted(world.wire.take(), key=lambda one: one.flow.remote_port)
    await bob.reply_bare(first, 302, ("Contact", "<sip:1@elsewhere.test>"))
    assert incoming.statuses == []
    await other.take(second)
    assert incoming.statuses == [200]


async def test_while_nobody_can_be_asked_the_call_is_refused_for_now() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    world.people.away = True
    await bob.reply_bare(sent, 302, ("Contact", f"<sip:202@{DOMAIN}>"))
    await world.settle()
    assert incoming.statuses == [503]


@pytest.mark.parametrize("method", ["INVITE", "INFO", "BYE"])
async def test_inside_a_call_the_same(method: str) -> None:
    world = world_of()
    hers, his = await talk(world)
    incoming = await hers.send(method)
    (sent,) = [one for one in world.wire.take() if one.request.method == method]
    await his.handset.reply_bare(sent, 302, ("Contact", "<sip:1@elsewhere.test>"))
    assert incoming.statuses == [480]
