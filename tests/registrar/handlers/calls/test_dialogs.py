"""handlers/calls/dialogs.py: requests inside a dialog, who may send them and where they go."""

from dataclasses import replace
from typing import Any

import pytest

from registrar.model import Flow, IpMode
from registrar.sip import Request, answer, parse
from tests.every import every

from ..handsets import ANN, BOB, CAT, Dialog, Handset, pair, talk
from ..world import DOMAIN, ELSEWHERE, HOME, Incoming, World, read_response, user


def world_of(**more: object) -> World:
    return World(ANN, BOB, CAT, **more)  # type: ignore[arg-type]  # as World takes them


@every("method", ["INVITE", "UPDATE", "PRACK", "INFO", "NOTIFY", "REFER", "MESSAGE", "FOO"])
async def test_both_sides_reach_each_other_unchallenged(method: str) -> None:
    world = world_of()
    hers, his = await talk(world)
    for mine, other, number, number_there in ((hers, his, "200", "201"), (his, hers, "201", "200")):
        incoming = await mine.send(method)
        (sent,) = world.wire.take()
        asked = sent.request
        assert sent.flow == replace(other.handset.flow)
        assert (asked.method, asked.target) == (method, other.handset.contact)
        assert asked.from_.uri.user == number
        assert asked.contacts[0].uri.user == number
        assert "route" not in asked.headers and "record-route" not in asked.headers
        assert asked.headers.get("max-forwards") == "69"
        assert asked.headers.get("cseq") == incoming.request.headers.get("cseq")
        assert mine.handset.account.username.encode() not in bytes(asked)
        await other.handset.reply(sent, 200, tag="")
        (response,) = incoming.responses
        assert response.status == 200
        assert (response.headers.get("from"), response.headers.get("to")) == (
            incoming.request.headers.get("from"),
            incoming.request.headers.get("to"),
        )
        assert response.headers.get(
            "contact",
        ).startswith(f"<sip:{number_there}@192.0.2.10")  # type: ignore[union-attr]
        assert other.handset.account.username.encode() not in bytes(response)


async def test_each_knows_itself_as_it_said() -> None:
    world = world_of()
    hers, his = await talk(world)
    await his.send("INFO")
    (sent,) = world.wire.take()
    assert sent.request.headers.get("to") == hers.local
    assert sent.request.headers.get("from") == hers.remote
    await hers.send("INFO")
    (sent,) = world.wire.take()
    assert sent.request.headers.get("to") == his.local
    assert sent.request.headers.get("from") == his.remote


async def test_an_ack_is_passed_once_and_answered_by_nobody() -> None:
    world = world_of()
    hers, his = await talk(world)
    incoming = await hers.send("ACK")
    (sent,) = world.wire.take()
    assert (sent.request.method, sent.flow, sent.key) == ("ACK", his.handset.flow, None)
    assert incoming.statuses == [] and not incoming.accepted


# Who may


async def proven(side: Dialog, method: str, by: Handset | None = None) -> Incoming:
    """A request that is challenged, and once more with credentials."""
    bare = await side.send(method)
    assert bare.statuses == [407], bare.statuses
    value = dict(bare.answers[0].headers)["Proxy-Authenticate"]
    realm, nonce = (value.partition(f'{name}="')[2].partition('"')[0] for name in ("realm", "nonce"))
    return await side.send(method, (by or side.handset).credentials(method, realm, nonce))


async def strangers(world: World) -> list[Flow]:
    cat = await Handset(world, CAT, port=5099).register()
    return [cat.flow, Flow("udp", "192.0.2.10", 5060, HOME, 4444), world.lines.dial("tcp")]


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "PRACK", "OPTIONS"])
async def test_a_token_on_another_flow_is_worth_a_challenge(method: str) -> None:
    world = world_of()
    hers, his = await talk(world)
    for flow in (*await strangers(world), his.handset.flow):
        incoming = await world.ask(Incoming(hers.request(method), flow))
        assert incoming.statuses == [407]
        assert [name for name, _ in incoming.answers[0].headers] == ["Proxy-Authenticate"]
        assert incoming.accepted is (method == "INVITE"), "the ACK of a refusal must not go further"
    assert world.wire.sent == []
    assert len(world.calls) == 1


@every("method", ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "PRACK", "OPTIONS"])
@every("transport", ["tcp", "udp", "wss"])
async def test_who_comes_another_way_proves_who_he_is_and_the_dialog_goes_on_there(
    method: str, transport: str
) -> None:
    """A large request goes by TCP, a NAT gives each request another port, a WebSocket comes back."""
    world = world_of()
    hers, his = await talk(world)
    ann = hers.handset
    moved = replace(ann.flow, remote_port=5066) if transport == "udp" else world.lines.dial(transport)
    ann.flow = moved
    incoming = await proven(hers, method)
    (sent,) = world.wire.take()
    assert (sent.request.method, sent.flow) == (method, his.handset.flow)
    assert "proxy-authorization" not in sent.request.headers
    await his.handset.reply(sent, 200)
    assert incoming.statuses == [200]
    if method != "BYE":
        assert (await hers.send("INFO")).statuses == [], "it is the dialog's flow now"
        assert world.wire.methods == ["INFO"]
        ann.flow = replace(ann.flow, remote_port=5067, id=ann.flow.id + 50)
        assert (await hers.send("INFO")).statuses == [407], "and no other one is"


async def test_the_digest_of_another_phone_is_403() -> None:
    world = world_of()
    hers, his = await talk(world)
    cat = await Handset(world, CAT, port=5099).register()
    hers.handset.flow = cat.flow
    assert (await proven(hers, "BYE", cat)).statuses == [403]
    assert (await proven(hers, "BYE", his.handset)).statuses == [403]
    assert world.wire.sent == [] and len(world.calls) == 1


async def test_a_wrong_digest_is_challenged_again() -> None:
    world = world_of()
    hers, _ = await talk(world)
    hers.handset.flow = world.lines.dial("tcp")
    hers.handset.account = replace(ANN, password="x" * 32)
    assert (await proven(hers, "BYE")).statuses == [407]
    assert world.wire.sent == []


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_the_access_rule_holds_for_who_comes_another_way(transport: str) -> None:
    world = world_of()
    hers, _ = await talk(world)
    hers.handset.flow = (
        Flow("udp", "192.0.2.10", 5060, ELSEWHERE, 5060)
        if transport == "udp"
        else world.lines.dial("tcp", ELSEWHERE)
    )
    assert (await proven(hers, "BYE")).statuses == [403], "its first contact has locked it to where it was"
    assert world.wire.sent == []


async def test_an_ack_is_never_challenged_and_its_source_is_one_where_its_phone_may_be() -> None:
    """RFC 3261 section 22.1."""
    world = world_of()
    hers, his = await talk(world)
    for flow in await strangers(world):
        incoming = await world.ask(Incoming(hers.request("ACK"), flow))
        assert incoming.statuses == []
        assert [sent.flow for sent in world.wire.take()] == [his.handset.flow]
    far = Flow("udp", "192.0.2.10", 5060, ELSEWHERE, 5060)
    incoming = await world.ask(Incoming(hers.request("ACK"), far))
    assert incoming.statuses == []
    assert world.wire.sent == []
    assert incoming.dropped == [("ack", "the phone may not connect from this address")]


async def test_a_phone_that_is_registered_there_no_more_is_challenged() -> None:
    world = world_of()
    hers, _ = await talk(world)
    await hers.handset.register(0)
    assert (await hers.send("BYE")).statuses == [407]
    await proven(hers, "BYE")
    assert world.wire.methods == ["BYE"]


async def test_a_phone_that_has_un_registered_is_still_reached_in_its_call() -> None:
    """Its binding is gone; the call knows the flow, and what the phone calls itself."""
    world = world_of()
    hers, his = await talk(world)
    await his.handset.register(0)
    await hers.send("BYE")
    (sent,) = world.wire.take()
    assert (sent.flow, sent.request.target) == (his.handset.flow, his.handset.contact)


async def test_a_phone_that_has_registered_from_elsewhere_goes_on_from_there() -> None:
    world = world_of()
    hers, _ = await talk(world)
    hers.handset.flow = replace(hers.handset.flow, remote_port=5066)
    assert (await hers.send("INFO")).statuses == [407]
    await hers.handset.register()
    await hers.send("INFO")
    assert world.wire.methods == ["INFO"]


async def unregistered(world: World) -> tuple[Handset, Dialog, Dialog]:
    """Ann, who is registered nowhere, talks to Bob."""
    bob = await Handset(world, BOB, port=5070).register()
    ann = Handset(world, ANN)
    incoming = await ann.call()
    his = await bob.take(world.wire.take()[0])
    return ann, ann.dialog(incoming), his


async def test_a_caller_that_never_registered_goes_on_from_where_it_called() -> None:
    """Its digest was right there; from elsewhere it is asked for once more."""
    world = world_of()
    ann, hers, _ = await unregistered(world)
    await hers.send("INFO")
    assert world.wire.methods == ["INFO"]
    ann.flow = replace(ann.flow, remote_port=5066)
    assert (await hers.send("INFO")).statuses == [407]


@pytest.mark.parametrize("call_is", ["here", "forgotten"])
async def test_a_caller_that_never_registered_is_reached_where_it_called(call_is: str) -> None:
    """What no binding says is in the token, as any node may serve it."""
    world = world_of()
    ann, _, his = await unregistered(world)
    if call_is == "forgotten":
        world.calls._entries.clear()
    await his.send("BYE")
    (sent,) = world.wire.take()
    assert (sent.flow, sent.request.target) == (ann.flow, ann.contact)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param({"active": False}, 403, id="blocked"),
        pytest.param({"secret_version": 2}, 407, id="reset"),
        pytest.param({"mode": IpMode.LOCKED, "address": ELSEWHERE}, 403, id="locked elsewhere"),
    ],
)
async def test_a_caller_that_never_registered_may_nothing_any_more(
    change: dict[str, Any], status: int
) -> None:
    world = world_of()
    _, hers, _ = await unregistered(world)
    world.people.known[ANN.id] = replace(ANN, **change)
    assert (await hers.send("INFO")).statuses == [status]
    assert world.wire.sent == []


@pytest.mark.parametrize("receiver", ["deleted", "blocked", "of another customer"])
async def test_to_whom_is_not_there_any_more_only_the_end_is_passed(receiver: str) -> None:
    """What it answers could not be cleaned of its username."""
    world = world_of()
    hers, _ = await talk(world)
    if receiver == "deleted":
        del world.people.known[BOB.id]
    else:
        change: dict[str, Any] = {"active": False} if receiver == "blocked" else {"customer": "rival"}
        world.people.known[BOB.id] = replace(BOB, **change)
    assert (await hers.send("INFO")).statuses == [481]
    assert world.wire.sent == []
    await hers.send("BYE")
    assert world.wire.methods == ["BYE"]


async def test_a_contact_that_no_token_can_hold_is_refused() -> None:
    world = world_of()
    hers, _ = await talk(world)
    asked = hers.request("UPDATE")
    asked.headers.replace("contact", f"<sip:ann@10.0.0.7;x={'y' * 400}>")
    read = parse(bytes(asked), exact=True)
    assert isinstance(read, Request)
    incoming = await hers.handset.ask(read)
    assert [(answer.status, answer.reason) for answer in incoming.answers] == [(400, "Contact Too Long")]


async def test_a_phone_that_is_deleted_may_nothing() -> None:
    world = world_of()
    hers, _ = await talk(world)
    del world.people.known[ANN.id]
    assert (await hers.send("BYE")).statuses == [403]


async def test_without_the_database_it_is_503_and_not_403() -> None:
    """Design decision 4."""
    world = world_of()
    hers, _ = await talk(world)
    world.people.away = True
    assert (await hers.send("BYE")).statuses == [503]
    assert (await hers.send("ACK")).statuses == []


async def test_without_redis_it_goes_on_while_the_flows_live() -> None:
    world = world_of()
    hers, his = await talk(world)
    world.location.away = True
    incoming = await hers.send("BYE")
    (sent,) = world.wire.take()
    await his.handset.reply(sent, 200)
    assert incoming.statuses == [200]


@pytest.mark.parametrize("method", ["BYE", "INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "INFO", "OPTIONS"])
async def test_without_our_token_there_is_no_such_call(method: str) -> None:
    world = world_of()
    hers, _ = await talk(world)
    good = hers.routes
    forged = good[0].replace("<sip:r", "<sip:rA")
    for route in (None, "<sip:192.0.2.10;lr>", forged, "<sip:elsewhere.test;lr>"):
        hers.routes = [route] if route else []
        assert (await hers.send(method)).statuses == [481]
    hers.routes, hers.call_id = good, "another-call"
    assert (await hers.send(method)).statuses == [481]
    assert world.wire.sent == []


async def test_a_cancel_for_nothing_is_481_and_an_ack_silence() -> None:
    world = world_of()
    hers, _ = await talk(world)
    hers.routes = []
    assert (await hers.send("CANCEL")).statuses == [481]
    assert (await hers.send("ACK")).statuses == []


@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param(("Max-Forwards: 0",), 483, id="no hops"),
        pytest.param(("Supported: timer", "Session-Expires: 30"), 422, id="a session too brief"),
    ],
)
async def test_what_is_refused(more: tuple[str, ...], status: int) -> None:
    world = world_of()
    hers, _ = await talk(world)
    asked = hers.request("UPDATE", *[line for line in more if "Max" not in line])
    if status == 483:
        asked.headers.replace("max-forwards", "0")
    incoming = await hers.handset.ask(asked)
    assert incoming.statuses == [status]
    assert world.wire.sent == []


async def test_a_twin_is_not_sent_again() -> None:
    world = world_of()
    hers, _ = await talk(world)
    incoming = await world.ask(Incoming(hers.request("BYE"), hers.handset.flow, is_twin=True))
    assert incoming.statuses == [] and world.wire.sent == []


# Where it goes


async def test_a_browser_that_came_back_is_found_by_its_instance() -> None:
    """RFC 5626: its flow is gone; what it registered since with the same instance is the same device."""
    world = world_of()
    bob = await Handset(world, BOB, transport="tcp", instance="urn:uuid:1").register()
    await Handset(world, BOB, transport="tcp", instance="urn:uuid:2").register()
    ann = await Handset(world, ANN, transport="tcp").register()
    incoming = await ann.call()
    sent = next(sent for sent in world.wire.take() if sent.flow == bob.flow)
    await bob.take(sent)
    world.wire.take()
    hers = ann.dialog(incoming)
    contact = bob.contact
    del world.lines.flows[bob.flow.id]
    bob.flow = world.lines.dial("tcp")
    bob.contact = "sip:new@10.0.0.7"
    await bob.register()
    await hers.send("INFO")
    (sent,) = world.wire.take()
    assert sent.flow == bob.flow
    assert sent.request.target == contact, "its dialog knows it by the Contact it gave"


async def test_who_is_gone_is_480_and_the_call_is_over() -> None:
    world = world_of()
    bob = await Handset(world, BOB, transport="tcp").register()
    ann = await Handset(world, ANN).register()
    incoming = await ann.call()
    await bob.take(world.wire.take()[0])
    del world.lines.flows[bob.flow.id]
    gone = await ann.dialog(incoming).send("BYE")
    assert gone.statuses == [480]
    assert len(world.calls) == 0
    assert world.wire.sent == []


async def test_without_a_token_in_its_target_it_goes_to_where_the_phone_is() -> None:
    """A phone may keep the address and drop the parameter: ours says who, the store says where."""
    world = world_of()
    hers, his = await talk(world)
    hers.uri = f"sip:201@{DOMAIN}"
    await hers.send("BYE")
    assert [sent.flow for sent in world.wire.take()] == [his.handset.flow]


async def test_the_token_of_somebody_else_leads_nowhere_else() -> None:
    """A target that is not the other party of this dialog does not count."""
    world = world_of()
    hers, his = await talk(world)
    cat = await Handset(world, CAT, port=5072).register()
    incoming = await cat.call("201", call_id="call-2")
    (sent,) = world.wire.take()
    his.uri = str(sent.request.contacts[0].uri)
    await his.send("INFO")
    assert [sent.flow for sent in world.wire.take()] == [hers.handset.flow]
    assert incoming.statuses == []


async def test_a_bye_ends_the_call() -> None:
    world = world_of()
    hers, his = await talk(world)
    incoming = await his.send("BYE")
    (sent,) = world.wire.take()
    await hers.handset.reply(sent, 200)
    assert incoming.statuses == [200]
    assert len(world.calls) == 0
    (ended,) = [event for event in world.store.events if event["event"] == "call-ended"]
    assert (ended["reason"], ended["by"]) == ("hung-up", "201")


async def test_a_new_address_of_a_party_is_learnt() -> None:
    """A re-INVITE with another Contact: the other side's next request goes there (section 12.2.1.2)."""
    world = world_of()
    hers, his = await talk(world)
    hers.handset.contact = "sip:moved@10.0.0.9:5062"
    await hers.send("INVITE")
    (sent,) = world.wire.take()
    his.uri = str(sent.request.contacts[0].uri)
    await his.handset.reply(sent, 200)
    await his.send("INFO")
    (sent,) = world.wire.take()
    assert sent.request.target == "sip:moved@10.0.0.9:5062"


async def test_a_refer_makes_a_subscription_of_one_phone_at_another() -> None:
    """RFC 3515: what we serve ourselves are the other packages."""
    world = world_of()
    ann, bob, incoming, sent = await pair(world, method="REFER", more=("Refer-To: <sip:202@acme.test>",))
    his = await bob.take(sent)
    notified = await his.send("NOTIFY", "Event: refer")
    (sent,) = world.wire.take()
    assert (sent.request.method, sent.flow) == ("NOTIFY", ann.flow)
    await ann.reply(sent, 200)
    assert notified.statuses == [200]
    assert incoming.statuses == [200]
    hers = ann.dialog(incoming)
    refreshed = await hers.send("SUBSCRIBE", "Event: refer", "Expires: 60")
    (sent,) = world.wire.take()
    assert (sent.request.method, sent.flow) == ("SUBSCRIBE", bob.flow)
    await bob.reply(sent, 200)
    assert refreshed.statuses == [200]


async def test_a_refresh_of_the_session_is_noted() -> None:
    world = world_of()
    ann, bob, incoming, sent = await pair(world, more=("Supported: timer",))
    await bob.take(sent)
    hers = ann.dialog(incoming)
    world.clock.now += 1_000
    await hers.send("UPDATE", "Supported: timer", "Session-Expires: 1800;refresher=uac")
    (sent,) = world.wire.take()
    await bob.reply(sent, 200, ("Session-Expires", "1800;refresher=uac"))
    world.clock.now += 1_500
    await bob.register()
    await ann.register()
    await world.calls.look()
    assert len(world.calls) == 1


# Strict routers, and Routes of ours (RFC 3261 section 16.4)


def strict(side: Dialog, *, lr: bool = True) -> None:
    """The dialog as a router of RFC 2543 has left it: our URI as Request-URI, the peer last in the Route."""
    (route,) = side.routes
    ours = route.strip("<>")
    side.routes, side.uri = [f"<{side.uri}>"], ours if lr else ours.removesuffix(";lr")


@every("method", ["BYE", "INVITE", "INFO", "ACK"])
@every("lr", [True, False], ids=["lr", "no lr"])
@every("before", [[], ["<sip:192.0.2.10;lr>"]], ids=["alone", "after another route"])
async def test_what_a_strict_router_did_is_undone(method: str, lr: bool, before: list[str]) -> None:
    world = world_of()
    hers, his = await talk(world)
    strict(hers, lr=lr)
    hers.routes = [*before, *hers.routes]
    incoming = await hers.send(method)
    (sent,) = world.wire.take()
    assert (sent.request.method, sent.request.target) == (method, his.handset.contact)
    assert (sent.flow, incoming.statuses) == (his.handset.flow, [])
    assert "route" not in sent.request.headers


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(["<sip:192.0.2.10;lr>"], id="our address"),
        pytest.param([f"<sip:{DOMAIN};lr>"], id="our domain"),
        pytest.param([f"<sip:{DOMAIN}>", "<sip:192.0.2.10:5060;lr>", "<sip:service.test;lr>"], id="three"),
        pytest.param([f"<sip:{DOMAIN};lr>, <sip:192.0.2.10;lr>"], id="two in one header"),
        pytest.param([f"<sip:anybody@{DOMAIN};lr>"], id="with a user"),
    ],
)
async def test_routes_of_ours_before_that_of_the_dialog_are_passed(before: list[str]) -> None:
    world = world_of()
    hers, his = await talk(world)
    hers.routes = [*before, *hers.routes]
    await hers.send("BYE")
    (sent,) = world.wire.take()
    assert (sent.request.method, sent.flow) == ("BYE", his.handset.flow)


async def test_the_token_beside_others_in_one_header() -> None:
    world = world_of()
    hers, his = await talk(world)
    hers.routes = [f"<sip:192.0.2.10;lr>, {hers.routes[0]}, <sip:elsewhere.test;lr>"]
    await hers.send("BYE")
    assert [sent.flow for sent in world.wire.take()] == [his.handset.flow]


@pytest.mark.parametrize("before", ["<sip:elsewhere.test;lr>", "<sip:x@[bad>", "nonsense"])
async def test_a_route_elsewhere_comes_first(before: str) -> None:
    world = world_of()
    hers, _ = await talk(world)
    hers.routes = [before, *hers.routes]
    assert (await hers.send("BYE")).statuses == [481]
    assert world.wire.sent == []


async def test_the_token_of_another_call_in_a_request_uri_is_none() -> None:
    world = world_of()
    hers, _ = await talk(world)
    strict(hers)
    hers.call_id = "another-call"
    assert (await hers.send("BYE")).statuses == [481]


# A callee without a tag (RFC 3261 section 12.1.2: a phone of RFC 2543)


async def untagged(world: World) -> tuple[Dialog, Dialog]:
    """Ann talks to Bob, whose phone gives no tag."""
    ann, bob, incoming, sent = await pair(world)
    made = answer(sent.request, 200, "", [("Contact", f"<{bob.contact}>")], to_tag="gone")
    made.headers.replace("to", sent.request.headers.get("to") or "")
    assert sent.asker is not None and sent.key is not None
    sent.asker.receive_response(sent.key, read_response(made))
    await world.settle()
    hers, asked = ann.dialog(incoming), sent.request
    routes, remote = asked.headers.all("record-route"), asked.headers.get("from") or ""
    return hers, Dialog(
        bob, str(asked.contacts[0].uri), routes, asked.headers.get("to") or "", remote, asked.call_id
    )


@pytest.mark.parametrize("method", ["ACK", "BYE", "INVITE", "INFO"])
async def test_a_callee_without_a_tag_is_in_the_dialog_all_the_same(method: str) -> None:
    world = world_of()
    hers, his = await untagged(world)
    assert len(hers.routes) == 1 and "tag=" not in hers.remote
    for mine, other in ((hers, his), (his, hers)):
        incoming = await mine.send(method)
        (sent,) = world.wire.take()
        assert (sent.request.method, sent.flow, incoming.statuses) == (method, other.handset.flow, [])
    assert len(world.calls) == (0 if method == "BYE" else 1)


async def test_a_callee_without_a_tag_is_told_the_end() -> None:
    world = world_of()
    await untagged(world)
    (id,) = world.store.there
    await world.calls.end_by_request(id, "carol")
    to_her, to_him = world.wire.take()
    assert (to_her.request.from_.tag, to_him.request.to.tag) == (None, None)


async def test_without_a_tag_there_is_no_dialog_with_who_gave_one() -> None:
    """Else a token would let an INVITE in that was never challenged."""
    world = world_of()
    hers, _ = await talk(world)
    hers.remote = hers.remote.partition(";tag=")[0]
    for method, status in (("INVITE", 407), ("BYE", 481)):
        assert (await hers.send(method)).statuses == [status]
    assert world.wire.sent == []


@pytest.mark.parametrize("privacy", ["none", "id"])
async def test_a_sip_user_proves_himself_in_a_call_of_whoever_withholds_his_name(privacy: str) -> None:
    """He has a digest for his domain alone: To, which names somebody else, must not decide on the realm."""
    anna = user()
    world = World(ANN, anna)
    ann = await Handset(world, ANN).register()
    callee = await Handset(world, replace(anna, password="secret"), port=5070).register()
    await ann.call("300", more=(f"Privacy: {privacy}",))
    (sent,) = world.wire.take()
    his = await callee.take(sent)
    callee.flow = world.lines.dial("tcp")
    await proven(his, "BYE")
    (bye,) = world.wire.take()
    assert (bye.request.method, bye.flow) == ("BYE", ann.flow)
