"""handlers/calls/sessions.py in calls: what is offered to whom, and how the media then goes."""

import asyncio
from dataclasses import replace

import pytest

from registrar.handlers.calls import sessions
from registrar.model import Flow, MediaPolicy
from registrar.rules.sdp import media_address
from tests.every import every

from ..handsets import ANN, BOB, SDP, SDP_TYPE, WEB_SDP, Handset, Relay, pair
from ..world import World

SESSION = "pre-" + f"{1:032x}" + ".0"
HOME, OFFICE, CELLAR = "198.51.100.7", "203.0.113.9", "2001:db8::9"
SECURE = SDP.replace(b"RTP/AVP", b"RTP/SAVP") + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
KEYED = SDP.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVP") + b"a=fingerprint:sha-256 x\r\n"


class Handy(Handset):
    """A desk phone at an address of its own choice, which it names or not."""

    def __init__(self, world: World, account: object, public: str, own: str, port: int = 5060) -> None:
        super().__init__(world, account, port=port)  # type: ignore[arg-type]  # one of the phones of handsets
        self.flow = Flow("udp", "192.0.2.10", 5060, public, port)
        self.own = own
        host = f"[{own}]" if ":" in own else own
        self.contact = f"sip:{self.account.username}@{host}:{port}"
        self._registrations.address = public

    @property
    def sdp(self) -> bytes:
        family = b"IP6 " if ":" in self.own else b"IP4 "
        return SDP.replace(b"IP4 10.0.0.7", family + self.own.encode())


class Stage:
    def __init__(self, *, policy: MediaPolicy = MediaPolicy.AUTO, configured: bool = True) -> None:
        self.relay = Relay()
        self.relay.configured = configured
        self.world = World(ANN, BOB, media=self.relay, policy=policy)

    @property
    def kinds(self) -> list[str]:
        """Of the offers that the relay made: for whom, and in which family where that changes."""
        return [f"{row[2]}{self.relay.families.pop(0)}" for row in self.relay.asked if row[0] == "offer"]


# Two desk phones behind routers, or not


@every(
    ("ann", "bob", "relayed"),
    [
        pytest.param((HOME, "10.0.0.7"), (OFFICE, "10.0.0.9"), True, id="behind different routers"),
        pytest.param((HOME, "10.0.0.7"), (OFFICE, OFFICE), True, id="the caller behind one"),
        pytest.param((HOME, HOME), (OFFICE, "10.0.0.9"), True, id="the callee behind one"),
        pytest.param((HOME, "10.0.0.7"), (HOME, "10.0.0.9"), False, id="behind the same one"),
        pytest.param((HOME, HOME), (OFFICE, OFFICE), False, id="behind none"),
        pytest.param(("10.0.0.7", "10.0.0.7"), ("10.0.0.9", "10.0.0.9"), False, id="in one private network"),
    ],
)
@every("late", [False, True])
async def test_two_desk_phones_are_relayed_when_they_do_not_reach_each_other(
    ann: tuple[str, str], bob: tuple[str, str], relayed: bool, late: bool
) -> None:
    on = Stage()
    his = Handy(on.world, BOB, *bob, port=5070)
    hers = Handy(on.world, ANN, *ann)
    await his.register()
    await hers.register()
    incoming = await (hers.call() if late else hers.call(body=hers.sdp, more=(SDP_TYPE,)))
    (sent,) = on.world.wire.take()
    await his.take(sent, body=his.sdp)
    assert bool(on.relay.asked) is relayed
    (call,) = on.world.store.there.values()
    assert bool(call.relay) is relayed
    assert incoming.statuses == [200]


async def test_without_a_relay_they_are_left_to_themselves() -> None:
    on = Stage(configured=False)
    his, hers = Handy(on.world, BOB, OFFICE, "10.0.0.9", 5070), Handy(on.world, ANN, HOME, "10.0.0.7")
    await his.register()
    await hers.register()
    await hers.call(body=hers.sdp, more=(SDP_TYPE,))
    (sent,) = on.world.wire.take()
    assert sent.request.body == hers.sdp


async def test_what_an_answer_said_counts_in_the_next_call() -> None:
    """His Contact names the public address, his descriptions do not."""
    on = Stage()
    his, hers = Handy(on.world, BOB, OFFICE, OFFICE, 5070), Handy(on.world, ANN, HOME, HOME)
    await his.register()
    await hers.register()
    await hers.call(body=hers.sdp, more=(SDP_TYPE,))
    (sent,) = on.world.wire.take()
    hidden = hers.sdp.replace(HOME.encode(), b"10.0.0.9")
    await his.take(sent, body=hidden)
    assert on.relay.asked == []
    await hers.call(body=hers.sdp, more=(SDP_TYPE,), call_id="call-2")
    assert [row[0] for row in on.relay.asked] == ["offer"]


# Families


@pytest.mark.parametrize(
    ("ann", "bob", "family"),
    [
        pytest.param(CELLAR, HOME, "IP4", id="from IPv6 to IPv4"),
        pytest.param(HOME, CELLAR, "IP6", id="from IPv4 to IPv6"),
    ],
)
async def test_phones_of_two_families_are_relayed(ann: str, bob: str, family: str) -> None:
    on = Stage()
    his, hers = Handy(on.world, BOB, bob, bob, 5070), Handy(on.world, ANN, ann, ann)
    await his.register()
    await hers.register()
    incoming = await hers.call(body=hers.sdp, more=(SDP_TYPE,))
    (sent,) = on.world.wire.take()
    assert on.kinds == [f"plain {family}"]
    theirs = await his.take(sent, body=his.sdp)
    await theirs.send("INVITE", body=his.sdp)
    back = "IP6" if family == "IP4" else "IP4"
    assert on.relay.families == [f" {back}"]
    assert media_address(hers.sdp) == ann and incoming.statuses == [200]


async def test_phones_of_one_family_are_not() -> None:
    on = Stage()
    his, hers = Handy(on.world, BOB, "2001:db8::7", "2001:db8::7", 5070), Handy(on.world, ANN, CELLAR, CELLAR)
    await his.register()
    await hers.register()
    await hers.call(body=hers.sdp, more=(SDP_TYPE,))
    assert on.relay.asked == []


# Kinds


async def test_a_desk_phone_with_dtls_and_no_ice_is_no_browser() -> None:
    on = Stage()
    web = await Handset(on.world, BOB, transport="wss").register()
    ann = await Handset(on.world, ANN).register()
    incoming = await ann.call(body=KEYED, more=(SDP_TYPE,))
    (sent,) = on.world.wire.take()
    assert on.kinds == ["webrtc"]
    his = await web.take(sent, body=WEB_SDP)
    assert incoming.statuses == [200]
    on.relay.asked.clear()
    await his.send("INVITE", body=WEB_SDP)
    assert on.kinds == ["dtls"]


@pytest.mark.parametrize("status", [488, 415])
@pytest.mark.parametrize("web", [True, False])
async def test_a_phone_that_demands_srtp_gets_a_second_offer(status: int, web: bool) -> None:
    on = Stage()
    ann = await Handset(on.world, ANN, transport="wss" if web else "udp").register()
    bob = await Handset(on.world, BOB, port=5070).register()
    offer = WEB_SDP if web else SDP
    incoming = await ann.call(body=offer, more=(SDP_TYPE,))
    (first,) = on.world.wire.take()
    await bob.reply(first, status)
    (second,) = on.world.wire.take()
    assert incoming.statuses == [], "the caller hears nothing of it"
    assert on.kinds == (["plain", "srtp"] if web else ["srtp"])
    assert second.request.cseq == first.request.cseq and second.request.via.branch != first.request.via.branch
    his = await bob.take(second, body=SECURE)
    assert incoming.statuses == [200] and on.relay.deleted == []
    on.relay.asked.clear()
    await ann.dialog(incoming).send("INVITE", body=offer)
    assert on.kinds == ["srtp"]
    assert his.call_id == "call-1"

    on.relay.asked.clear()
    on.world.wire.take()
    again = await ann.call(body=offer, more=(SDP_TYPE,), call_id="call-2")
    assert on.kinds == ["srtp"], "remembered for that binding"
    (only,) = on.world.wire.take()
    await bob.reply(only, 486)
    assert again.statuses == [486]


async def test_a_phone_that_takes_no_srtp_gets_a_second_offer() -> None:
    on = Stage()
    ann, bob = await Handset(on.world, ANN).register(), await Handset(on.world, BOB, port=5070).register()
    incoming = await ann.call(body=SECURE, more=(SDP_TYPE,))
    (first,) = on.world.wire.take()
    assert first.request.body == SECURE and on.relay.asked == []
    await bob.reply(first, 488)
    (second,) = on.world.wire.take()
    assert on.kinds == ["plain"]
    await bob.take(second, body=SDP)
    assert incoming.statuses == [200]


async def test_a_stack_that_takes_the_second_offer_for_the_first_is_asked_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 3261 section 8.2.2.2: over UDP it knows the first one for 5 s more."""
    monkeypatch.setattr(sessions, "MERGED_SECONDS", 0.01)
    on = Stage()
    ann = await Handset(on.world, ANN, transport="wss").register()
    bob = await Handset(on.world, BOB, port=5070).register()
    incoming = await ann.call(body=WEB_SDP, more=(SDP_TYPE,))
    for status in (488, 482):
        (sent,) = on.world.wire.take()
        await bob.reply(sent, status)
    assert incoming.statuses == []
    while not on.world.wire.sent:
        await asyncio.sleep(0.005)
        await on.world.settle()
    (sent,) = on.world.wire.take()
    assert on.kinds == ["plain", "srtp", "srtp"]
    await bob.reply(sent, 482)
    assert incoming.statuses == [482], "once is enough"


async def test_who_refuses_both_has_refused() -> None:
    on = Stage()
    ann, bob = (
        await Handset(on.world, ANN, transport="wss").register(),
        await Handset(on.world, BOB, port=5070).register(),
    )
    incoming = await ann.call(body=WEB_SDP, more=(SDP_TYPE,))
    for _ in range(2):
        (sent,) = on.world.wire.take()
        assert incoming.statuses == []
        await bob.reply(sent, 488)
    assert incoming.statuses == [488] and on.world.wire.sent == []
    assert on.relay.deleted == [(SESSION, "e1")]
    assert on.world.store.there == {}


@pytest.mark.parametrize("reason", ["late", "browser", "alone", "busy", "never"])
async def test_who_gets_no_second_offer(reason: str) -> None:
    on = Stage(
        configured=reason != "alone", policy=MediaPolicy.NEVER if reason == "never" else MediaPolicy.AUTO
    )
    transport = "wss" if reason == "browser" else "udp"
    bob = await Handset(on.world, BOB, transport=transport, port=5070).register()
    ann = await Handset(on.world, ANN).register()
    late = reason == "late"
    incoming = await ann.call(body=b"" if late else SDP, more=() if late else (SDP_TYPE,))
    (sent,) = on.world.wire.take()
    await bob.reply(sent, 486 if reason == "busy" else 488)
    assert incoming.statuses == [486 if reason == "busy" else 488] and on.world.wire.sent == []


async def test_a_caller_that_gives_up_meanwhile_is_not_offered_again() -> None:
    on = Stage()
    ann, bob = (
        await Handset(on.world, ANN, transport="wss").register(),
        await Handset(on.world, BOB, port=5070).register(),
    )
    incoming = await ann.call(body=WEB_SDP, more=(SDP_TYPE,))
    (sent,) = on.world.wire.take()
    incoming.cancel()
    await bob.reply(sent, 488)
    assert incoming.statuses == [487]
    assert [one.request.method for one in on.world.wire.take() if one.request.method == "INVITE"] == []


# A description among other parts

PARTS = "Content-Type: multipart/mixed;boundary=b1"


def mixed(sdp: bytes) -> bytes:
    place = b"--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n"
    return place + b"--b1\r\nContent-Type: application/sdp\r\n\r\n" + sdp + b"\r\n--b1--\r\n"


async def test_of_several_parts_a_browser_gets_the_description() -> None:
    on = Stage()
    web = await Handset(on.world, BOB, transport="wss").register()
    ann = await Handset(on.world, ANN).register()
    incoming = await ann.call(body=mixed(SDP), more=(PARTS,))
    (sent,) = on.world.wire.take()
    assert sent.request.body == WEB_SDP + b"a=relayed\r\n"
    assert sent.request.headers.all("content-type") == ["application/sdp"]
    assert on.relay.bodies == [SDP]
    await web.reply(sent, 200, ("Content-Type", PARTS.partition(": ")[2]), body=mixed(WEB_SDP), typed=False)
    (response,) = incoming.responses
    assert on.relay.bodies[1:] == [WEB_SDP]
    assert response.body == mixed(WEB_SDP + b"a=relayed\r\n")
    assert response.headers.get("content-type") == PARTS.partition(": ")[2]


async def test_between_desk_phones_the_other_parts_pass_and_the_rules_hold() -> None:
    on = Stage()
    ann, bob = await Handset(on.world, ANN).register(), await Handset(on.world, BOB, port=5070).register()
    on.world.people.known[BOB.id] = replace(BOB, hd_audio=False)
    wide = SDP.replace(b"RTP/AVP 8", b"RTP/AVP 9 8").replace(b"o=-", b"o=" + b"a" * 32)
    await ann.call(body=mixed(wide).replace(b"<presence/>", b"<presence/>" + b"a" * 32), more=(PARTS,))
    (sent,) = on.world.wire.take()
    assert sent.request.body == mixed(SDP).replace(b"<presence/>", b"<presence/>200")
    assert sent.request.headers.get("content-type") == PARTS.partition(": ")[2]
    assert bob.account == BOB


async def test_pair_is_what_it_was() -> None:
    """Two phones of which nothing is known but one shared address speak directly."""
    on = Stage()
    await pair(on.world, body=SDP, more=(SDP_TYPE,))
    assert on.relay.asked == []
