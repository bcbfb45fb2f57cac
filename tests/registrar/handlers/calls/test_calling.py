"""handlers/calls/calling.py: from an INVITE to the phones that ring, and what each side sees."""

from dataclasses import replace

import pytest

from registrar.model import Destination, IpMode
from registrar.rules.identity import escape
from registrar.sip import parse_name_addr
from tests.every import every

from ..handsets import ANN, BOB, CAT, RIVAL, SDP, SDP_TYPE, Handset, pair
from ..world import DOMAIN, World, phone


def world_of(**more: object) -> World:
    return World(ANN, BOB, CAT, RIVAL, **more)  # type: ignore[arg-type]  # as World takes them


async def test_a_call_reaches_the_phone_that_is_called() -> None:
    world = world_of()
    _, _, incoming, sent = await pair(world, body=SDP, more=(SDP_TYPE, "Subject: lunch"))
    asked = sent.request
    assert incoming.accepted and incoming.phone == world.people.rows[ANN.id]
    assert (asked.method, asked.target, sent.flow.remote_port) == (
        "INVITE",
        f"sip:{'b' * 32}@10.0.0.7:5070",
        5070,
    )
    assert asked.headers.get("from") == f'"Ann" <sip:200@{DOMAIN}>;tag=tag-id-a'
    assert asked.headers.get("to") == f"<sip:201@{DOMAIN}>"
    assert asked.headers.get("p-asserted-identity") == f'"Ann" <sip:200@{DOMAIN}>'
    assert asked.headers.get("max-forwards") == "69"
    assert asked.headers.get("subject") == "lunch"
    assert asked.contacts[0].uri.user == "200"
    assert "proxy-authorization" not in asked.headers
    assert asked.body == SDP
    assert b"a" * 32 not in bytes(asked)


async def test_the_caller_sees_who_answers_and_not_its_username() -> None:
    world = world_of()
    ann, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180)
    await bob.take(sent, body=SDP)
    ringing, accepted = incoming.responses
    assert (ringing.status, accepted.status) == (180, 200)
    for response in (ringing, accepted):
        assert response.headers.get("to") == f"<sip:201@{DOMAIN}>;tag=tag-id-b"
        assert response.headers.get("p-asserted-identity") == f'"Bob" <sip:201@{DOMAIN}>'
        assert parse_name_addr(response.headers.get("contact") or "").uri.user == "201"
        assert b"b" * 32 not in bytes(response)
        assert response.headers.all("via") == incoming.request.headers.all("via")
    assert ann.dialog(incoming).routes[0].startswith("<sip:r")


async def test_a_number_without_a_domain_is_one_of_the_callers_customer() -> None:
    world = world_of()
    ann, bob = await Handset(world, ANN).register(), await Handset(world, BOB, port=5070).register()
    incoming = await ann.call("tel:2-01;phone-context=acme.test", more=(SDP_TYPE,), body=SDP)
    (sent,) = world.wire.take()
    assert sent.request.target == f"sip:{'b' * 32}@10.0.0.7:5070"
    assert sent.request.headers.get("to") == f"<sip:201@{DOMAIN}>"
    await bob.take(sent, body=SDP)
    (accepted,) = incoming.responses
    assert accepted.headers.get("to") == "<tel:2-01;phone-context=acme.test>;tag=tag-id-b"
    contact = parse_name_addr(accepted.headers.get("contact") or "").uri
    assert (contact.scheme, contact.user) == ("sip", "201")


@pytest.mark.parametrize("uri", ["tel:300", "urn:service:counseling"])
async def test_an_unknown_number_or_service_is_404_after_authentication(uri: str) -> None:
    world = world_of()
    incoming = await (await Handset(world, ANN).register()).call(uri)
    assert incoming.statuses == [404]


@pytest.mark.parametrize("user", ["201", "b" * 32, "%32%30%31"])
async def test_whom_a_word_reaches(user: str) -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    await (await Handset(world, ANN).register()).call(user)
    assert world.wire.methods == ["INVITE"]


@every(
    ("uri", "status"),
    [
        pytest.param("998", 404, id="nobody"),
        pytest.param("202", 480, id="somebody without a phone"),
        pytest.param("203", 404, id="somebody of another customer"),
        pytest.param("r" * 32, 404, id="a phone of another customer"),
        pytest.param("sip:201@rival.test", 404, id="in another domain of ours"),
        pytest.param("sip:201@elsewhere.test", 404, id="at another service"),
        pytest.param(f"sip:{DOMAIN}", 404, id="nobody at all"),
        pytest.param(f"sip:201@{DOMAIN};gr=nonsense", 404, id="a device that is none"),
    ],
)
@every("method", ["INVITE", "MESSAGE", "REFER"])
async def test_whom_it_does_not(uri: str, status: int, method: str) -> None:
    world = world_of()
    incoming = await (await Handset(world, ANN).register()).call(uri, method)
    assert incoming.statuses == [status]
    assert world.wire.sent == [] and world.store.events == []


async def test_our_own_names_serve_as_well_as_the_domain() -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    ann = await Handset(world, ANN).register()
    await ann.call("sip:201@192.0.2.10")
    assert world.wire.methods == ["INVITE"]


async def test_a_phone_without_an_extension_is_not_called_by_its_username() -> None:
    bare = phone("n", extension="")
    world = World(ANN, bare)
    handset = Handset(world, bare, port=5070)
    await handset.register()
    incoming = await (await Handset(world, ANN).register()).call("n" * 32)
    assert incoming.statuses == [404]
    assert world.wire.sent == []


@pytest.mark.parametrize(
    "user",
    [
        "*34#",
        "*34%23",
        "*34#;phone-context=acme.test",
        "*3-4#",
        "(*3)4.#;isub=7;phone-context=x",
    ],
)
async def test_a_number_is_reached_as_phones_write_it(user: str) -> None:
    bob = replace(BOB, extension="*34#")
    world = World(ANN, bob)
    await Handset(world, bob, port=5070).register()
    await (await Handset(world, ANN).register()).call(user)
    assert world.wire.methods == ["INVITE"]


@pytest.mark.parametrize(
    ("method", "more", "status"),
    [
        pytest.param("INVITE", ("Supported: timer", "Session-Expires: 60"), 422, id="a session too brief"),
        pytest.param(
            "MESSAGE", ("Supported: timer", "Session-Expires: 60"), 480, id="a message has no session"
        ),
    ],
)
async def test_what_is_refused(method: str, more: tuple[str, ...], status: int) -> None:
    incoming = await Handset(world_of(), ANN).call("201", method, more=more)
    assert incoming.statuses == [status]
    assert status != 422 or dict(incoming.answers[0].headers) == {"Min-SE": "90"}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param({"call_id": f"{'a' * 32}@10.0.0.7"}, "Username In Call-ID Or Tag", id="call-id"),
        pytest.param(
            {"from_": f"<sip:{'a' * 32}@acme.test>;tag=x{'a' * 32}"}, "Username In Call-ID Or Tag", id="tag"
        ),
        pytest.param(
            {"from_": f'"{"漢" * 250}" <sip:{"a" * 32}@acme.test>;tag=x'}, "Names Too Long", id="octets"
        ),
    ],
)
async def test_what_cannot_be_kept_from_the_other_or_given_back_is_400(
    said: dict[str, str], reason: str
) -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    ann = await Handset(world, ANN).register()
    incoming = await ann.call(**said)  # type: ignore[arg-type]  # as `call` takes them
    assert [(answer.status, answer.reason) for answer in incoming.answers] == [(400, reason)]
    assert world.wire.sent == []


async def test_a_header_that_is_called_like_the_caller_does_not_pass() -> None:
    world = world_of()
    bob = await Handset(world, BOB, port=5070).register()
    incoming = await (await Handset(world, ANN).register()).call(more=(f"X-{'A' * 32}: 1", "X-Other: 2"))
    (sent,) = world.wire.take()
    assert "x-other" in sent.request.headers and f"x-{'a' * 32}" not in sent.request.headers
    await bob.reply(sent, 200, (f"X-{'b' * 32}", "1"), ("X-Other", "2"))
    (response,) = incoming.responses
    assert "x-other" in response.headers and f"x-{'b' * 32}" not in response.headers


async def test_a_loop_is_seen() -> None:
    """Section 16.3 step 4: what we sent comes back as it was."""
    world = world_of()
    ann, _, _, sent = await pair(world)
    ours = sent.request.headers.all("via")[0]
    ann.cseq = 0  # the same CSeq as the request that was forwarded
    incoming = await ann.call("201", more=(f"Via: {ours}",))
    assert incoming.statuses == [482]


async def test_every_device_of_the_extension_rings_and_the_caller_does_not() -> None:
    colleague = replace(BOB, extension="200")
    world = World(ANN, colleague)
    ann, bob = await Handset(world, ANN).register(), await Handset(world, colleague, port=5070).register()
    other = await Handset(world, ANN, port=5080).register()
    await ann.call("200")
    rung = sorted(sent.flow.remote_port for sent in world.wire.take())
    assert rung == [bob.flow.remote_port, other.flow.remote_port]


async def test_a_phone_that_is_not_active_does_not_ring() -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    world.people.known[BOB.id] = replace(world.people.rows[BOB.id], active=False)
    assert (await Handset(world, ANN).call()).statuses == [480]


async def test_without_the_database_it_is_503() -> None:
    world = world_of()
    ann = await Handset(world, ANN).register()
    found = world.people.called

    async def away(customer: str, user: str) -> Destination:
        world.people.away = True
        return await found(customer, user)

    world.people.called = away  # type: ignore[method-assign]  # it goes while it is asked
    incoming = await ann.call()
    assert incoming.statuses == [503]
    assert dict(incoming.answers[0].headers) == {"Retry-After": "5"}


async def test_without_redis_it_is_503() -> None:
    world = world_of()
    ann = Handset(world, ANN)
    await Handset(world, BOB, port=5070).register()
    load = world.location.load

    async def away(phones: list[str]) -> None:
        world.location.away = True
        await load(phones)

    world.location.load = away  # type: ignore[assignment,method-assign]  # it goes while it is asked
    assert (await ann.call()).statuses == [503]


async def test_an_open_phone_is_locked_by_its_first_call() -> None:
    world = world_of()
    await Handset(world, ANN).call("998")
    assert world.people.rows[ANN.id].mode is IpMode.LOCKED


async def test_a_phone_that_may_not_come_from_there_is_403() -> None:
    world = World(replace(ANN, mode=IpMode.LOCKED, address="203.0.113.1"), BOB)
    await Handset(world, BOB, port=5070).register()
    assert (await Handset(world, ANN).call()).statuses == [403]
    assert world.wire.sent == []


async def test_a_call_that_is_cancelled_before_anybody_is_found_leaves_nothing() -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    incoming = await (await Handset(world, ANN).register()).call(cancelled=True)
    assert incoming.statuses == [487]
    assert world.wire.sent == []
    assert len(world.calls) == 0 and world.store.there == {}
    assert [event["event"] for event in world.store.events] == ["call-started", "call-ended"]


async def test_session_timers_are_asked_for() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world, more=("Supported: timer",))
    assert sent.request.headers.get("session-expires") == "1800"
    await bob.take(sent)
    assert incoming.responses[0].headers.get("session-expires") == "1800;refresher=uac"
    assert incoming.responses[0].headers.get("require") == "timer"


@pytest.mark.parametrize("method", ["INVITE", "REFER", "MESSAGE"])
async def test_what_makes_a_dialog_is_recorded(method: str) -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world, method=method)
    await bob.reply(sent, 200)
    recorded = method != "MESSAGE"
    assert ("record-route" in sent.request.headers) is recorded
    assert ("record-route" in incoming.responses[0].headers) is recorded
    assert len(world.calls) == (method == "INVITE")


async def test_a_message_names_nobody_in_its_body() -> None:
    world = world_of()
    _, _, _, sent = await pair(world, method="MESSAGE", body=b"I am " + b"a" * 32)
    assert sent.request.body == b"I am 200"


async def test_one_device_is_reached_by_the_address_that_a_call_with_it_was_shown() -> None:
    """RFC 5627: a transfer to somebody who is in a call must reach that device."""
    world = world_of()
    ann, bob, incoming, sent = await pair(world)
    await Handset(world, BOB, port=5090).register()
    await bob.take(sent)
    shown = ann.dialog(incoming).uri
    cat = await Handset(world, CAT, port=5072).register()
    world.wire.take()
    await cat.call(shown)
    assert [sent.flow.remote_port for sent in world.wire.take()] == [5070]
    await bob.register(0)
    await cat.call(shown)
    assert [sent.flow.remote_port for sent in world.wire.take()] == [5090], "another one of that phone"


async def test_a_phone_of_another_customer_is_not_reached_by_its_address() -> None:
    world = world_of()
    ann, bob, incoming, sent = await pair(world)
    await bob.take(sent)
    shown = ann.dialog(incoming).uri
    world.people.known[ANN.id] = replace(world.people.known[ANN.id], customer="rival")
    assert (await ann.call(shown)).statuses == [404]


# Privacy


def hidden(*privacy: str) -> tuple[str, ...]:
    return (*privacy, "User-Agent: Her Phone 1", "Subject: lunch with Ann")


@pytest.mark.parametrize("asks", ["Privacy: id", "Privacy: user;critical", "Privacy: id;header"])
async def test_a_caller_may_withhold_who_it_is(asks: str) -> None:
    """RFC 3323, RFC 3325: from callees, in the whole call; the record of the call names it."""
    world = world_of()
    ann, bob, incoming, sent = await pair(world, more=hidden(asks))
    asked = sent.request
    assert asked.headers.get("from") == '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=tag-id-a'
    assert asked.contacts[0].uri.user == "anonymous"
    assert [
        name for name in ("p-asserted-identity", "privacy", "user-agent", "subject") if name in asked.headers
    ] == []
    assert b"200@" not in bytes(asked) and b"Ann" not in bytes(asked)
    his = await bob.take(sent)
    (call,) = world.store.there.values()
    assert (call.caller.number, call.caller.name) == ("200", "Ann")
    hers = ann.dialog(incoming)
    await hers.send("INFO", "User-Agent: Her Phone 1")
    (info,) = world.wire.take()
    assert info.request.headers.get("from") == '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=tag-id-a'
    assert "user-agent" not in info.request.headers
    back = await his.send("INFO")
    (info,) = world.wire.take()
    assert info.request.headers.get("to") == f"<sip:{'a' * 32}@{DOMAIN}>;tag=tag-id-a"
    await ann.reply(info, 200, ("Server", "Her Phone 1"))
    assert back.statuses == [200] and "server" not in back.responses[0].headers


async def test_header_privacy_is_what_everybody_has() -> None:
    world = world_of()
    *_, sent = await pair(world, more=hidden("Privacy: header"))
    assert sent.request.headers.get("p-asserted-identity") == f'"Ann" <sip:200@{DOMAIN}>'
    assert b"10.0.0.7" not in bytes(sent.request).partition(b"\r\n")[2]


async def test_no_privacy_is_said_on() -> None:
    """RFC 3323 section 4.2: nobody may remove that value."""
    *_, sent = await pair(world_of(), more=("Privacy: none",))
    assert sent.request.headers.get("privacy") == "none"


async def test_a_callee_may_withhold_who_it_is() -> None:
    world = world_of()
    _, bob, incoming, sent = await pair(world)
    await bob.reply(sent, 180, ("Privacy", "id"), ("Server", "His Phone 2"))
    (ringing,) = incoming.responses
    assert [name for name in ("p-asserted-identity", "privacy", "server") if name in ringing.headers] == []


async def test_who_withholds_its_identity_is_not_named_to_whom_it_is_transferred() -> None:
    world = world_of()
    ann, _, _, sent = await pair(world, more=hidden("Privacy: id"))
    cat = await Handset(world, CAT, port=5080).register()
    incoming = await cat.call(str(sent.request.contacts[0].uri), call_id="call-2")
    (asked,) = world.wire.take()
    await ann.reply(asked, 180)
    assert b"200@" not in bytes(incoming.responses[0]) and b"Ann" not in bytes(incoming.responses[0])


@pytest.mark.parametrize("scheme", ["sip", "sips"])
async def test_what_a_phone_is_shown_of_another_has_less_than_255_octets(scheme: str) -> None:
    """pjsip has room for no more: such a Contact cannot be used, nor such a Refer-To."""
    number, name = "#" * 32, "N" * 255
    ann = replace(ANN, extension=number, name=name)
    world = World(ann, BOB)
    transport = "udp" if scheme == "sip" else "tls"
    bob = Handset(world, BOB, transport=transport, port=5070)
    bob.contact = bob.contact.replace("sip:", f"{scheme}:")
    bob.flow = replace(bob.flow, local_ip="2001:db8:1234:5678:9abc:def0:1234:5678", local_port=65_535)
    world.local_ip = bob.flow.local_ip
    if transport == "tls":
        world.lines.flows[bob.flow.id] = bob.flow
    await bob.register()
    caller = await Handset(world, ann, instance="urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6").register()
    incoming = await caller.call()
    (sent,) = world.wire.take()
    shown = str(sent.request.contacts[0].uri)
    assert shown.startswith(f"{scheme}:%23%23") and "[2001:db8:" in shown
    assert len(shown) < 255
    await bob.take(sent)
    transfer = f"Refer-To: <{scheme}:{escape(number)}@{DOMAIN};{shown.rpartition(';')[2]}>"
    await caller.dialog(incoming).send("REFER", transfer)
    (refer,) = world.wire.take()
    target = str(parse_name_addr(refer.request.headers.get("refer-to") or "").uri)
    assert target == shown
