"""handlers/calls/bridging.py in calls: when the media relay is asked, and what becomes of its no."""

import gc
import weakref

import pytest

from registrar.handlers.calls.bridging import has_sdp, offered, other_body
from registrar.handlers.calls.forwarding import Forwarding
from registrar.handlers.calls.late_answers import LateAnswers
from registrar.model import LegKind, MediaPolicy
from registrar.rules.legs import Legs
from registrar.sip import Request, Response, answer

from ..handsets import ANN, BOB, CAT, SDP, SDP_TYPE, WEB_SDP, Dialog, Handset, Relay
from ..world import DOMAIN, Incoming, Sent, World, read_response, request

SESSION = "pre-" + f"{1:032x}" + ".0"
MARK = b"a=relayed\r\n"


class Stage:
    """Ann in a browser calls Bob at a desk phone."""

    def __init__(self, policy: MediaPolicy = MediaPolicy.AUTO, *, like: bool = False) -> None:
        self.relay = Relay()
        self.world = World(ANN, BOB, CAT, media=self.relay, policy=policy)
        self.ann = Handset(self.world, ANN, transport="udp" if like else "wss")
        self.bob = Handset(self.world, BOB, port=5070)
        self.offer = SDP if like else WEB_SDP

    async def call(self, *, late: bool = False) -> Incoming:
        await self.bob.register()
        await self.ann.register()
        if late:
            return await self.ann.call()
        return await self.ann.call(body=self.offer, more=(SDP_TYPE,))

    @property
    def sent(self) -> Sent:
        (sent,) = self.world.wire.take()
        return sent

    async def talk(self) -> tuple[Dialog, Dialog]:
        incoming = await self.call()
        his = await self.bob.take(self.sent, body=SDP)
        self.relay.asked.clear()
        return self.ann.dialog(incoming), his


async def test_unlike_legs_are_bridged() -> None:
    on = Stage()
    incoming = await on.call()
    sent = on.sent
    assert on.relay.asked == [("offer", SESSION, "plain", "tag-id-a", "", "")]
    assert sent.request.body == SDP + MARK
    await on.bob.reply(sent, 183, body=SDP)
    await on.bob.take(sent, body=SDP)
    assert on.relay.asked[1:] == [("answer", SESSION, "tag-id-a", "tag-id-b", "e1")] * 2
    assert [response.body for response in incoming.responses] == [SDP + MARK] * 2
    (call,) = on.world.store.there.values()
    assert call.relay == f"e1 {SESSION}"
    assert on.relay.deleted == []


@pytest.mark.parametrize("status", [200, 302])
async def test_of_a_request_whose_response_waited_for_its_body_nothing_stays(status: int) -> None:
    """No reference cycle: the collector looks at what is older than a ring only once an hour."""
    on = Stage()
    await on.call()
    sent = on.sent
    assert isinstance(sent.asker, Forwarding)
    left = weakref.ref(sent.asker.rewriter)
    gc.disable()
    try:
        if status == 200:
            await on.bob.reply(sent, 183, body=SDP)
            await on.bob.take(sent, body=SDP)
            assert isinstance(sent.asker, LateAnswers)
        else:
            await on.bob.reply_bare(sent, status, ("Contact", f"<sip:202@{DOMAIN}>"))
        sent.asker = None
        on.world.wire.forget_all()
        await on.world.settle()
        assert left() is None
    finally:
        gc.enable()


async def test_an_answer_that_comes_again_asks_no_relay_and_ends_no_call() -> None:
    on = Stage()
    incoming = await on.call()
    sent = on.sent
    await on.bob.take(sent, body=SDP)
    on.relay.away = True
    asked = list(on.relay.asked)
    await on.bob.reply(sent, 200, body=SDP)
    assert incoming.statuses == [200, 200]
    assert [response.body for response in incoming.responses] == [SDP + MARK] * 2
    assert on.relay.asked == asked and on.world.wire.sent == []
    assert len(on.world.calls) == 1


async def test_an_answer_that_comes_again_while_the_relay_thinks_asks_it_once() -> None:
    on = Stage()
    incoming = await on.call()
    sent = on.sent
    again = answer(
        sent.request, 200, headers=[("Contact", f"<{on.bob.contact}>"), ("Content-Type", "application/sdp")],
        to_tag="b", body=SDP,
    )  # fmt: skip
    assert sent.asker is not None and sent.key is not None
    for _ in range(3):
        sent.asker.receive_response(sent.key, read_response(again))
    await on.world.settle()
    assert incoming.statuses == [200, 200, 200]
    assert [asked[0] for asked in on.relay.asked] == ["offer", "answer"]


@pytest.mark.parametrize(
    ("policy", "like", "relayed"),
    [
        (MediaPolicy.AUTO, True, False),
        (MediaPolicy.AUTO, False, True),
        (MediaPolicy.ALWAYS, True, True),
        (MediaPolicy.NEVER, True, False),
    ],
)
async def test_when_the_relay_is_asked(policy: MediaPolicy, like: bool, relayed: bool) -> None:
    on = Stage(policy, like=like)
    incoming = await on.call()
    await on.bob.take(on.sent, body=SDP)
    assert bool(on.relay.asked) is relayed
    assert incoming.responses[0].body == (SDP + MARK if relayed else SDP)


@pytest.mark.parametrize("configured", [True, False])
async def test_unlike_legs_that_may_not_be_bridged_are_488_and_why(configured: bool) -> None:
    on = Stage(MediaPolicy.NEVER if configured else MediaPolicy.AUTO)
    on.relay.configured = configured
    incoming = await on.call()
    assert incoming.statuses == [488]
    assert incoming.answers[0].why.startswith("one side of the call is WebRTC")
    assert on.world.wire.sent == [] and on.world.store.there == {}


async def test_a_description_that_the_relay_cannot_read_is_488() -> None:
    on = Stage()
    await on.bob.register()
    await on.ann.register()
    incoming = await on.ann.call(body=WEB_SDP, more=("Content-Type: multipart/mixed;boundary=x",))
    assert incoming.statuses == [488]
    assert "application/sdp" in incoming.answers[0].why
    assert on.relay.asked == [] and on.world.wire.sent == []


async def test_an_offer_that_the_engine_does_not_take_is_488() -> None:
    on = Stage()
    on.relay.refuses = {"offer"}
    incoming = await on.call()
    assert incoming.statuses == [488]
    assert incoming.answers[0].why == "the engine does not take it"
    assert on.relay.deleted == [(SESSION, "")]
    assert on.world.store.there == {}


async def test_without_any_engine_that_answers_it_is_503() -> None:
    on = Stage()
    on.relay.away = True
    incoming = await on.call()
    assert incoming.statuses == [503]
    assert dict(incoming.answers[0].headers) == {"Retry-After": "5"}


@pytest.mark.parametrize("away", [False, True])
async def test_an_answer_that_the_engine_does_not_take_ends_the_call(away: bool) -> None:
    """The callee has taken it already: acknowledged, and hung up; each time its 2xx comes."""
    on = Stage()
    incoming = await on.call()
    sent = on.sent
    if away:
        on.relay.away = True
    else:
        on.relay.refuses = {"answer"}
    await on.bob.reply(sent, 200, body=SDP)
    assert incoming.statuses == [503 if away else 488]
    assert on.world.wire.methods == ["ACK", "BYE"]
    assert on.relay.deleted == [(SESSION, "e1")]
    assert len(on.world.calls) == 0 and on.world.store.there == {}
    await on.bob.reply(sent, 200, body=SDP)
    assert incoming.statuses == [503 if away else 488]
    assert on.world.wire.methods == ["ACK", "BYE"] * 2


async def test_an_early_answer_that_the_engine_does_not_take_is_not_passed() -> None:
    on = Stage()
    incoming = await on.call()
    on.relay.refuses = {"answer"}
    await on.bob.reply(on.sent, 183, body=SDP)
    assert incoming.statuses == []


async def test_each_branch_has_a_session_and_the_losers_lose_theirs() -> None:
    on = Stage()
    other = await Handset(on.world, BOB, port=5071).register()
    incoming = await on.call()
    first, second = sorted(on.world.wire.take(), key=lambda sent: sent.flow.remote_port)
    assert [asked[1] for asked in on.relay.asked] == [SESSION, SESSION[:-1] + "1"]
    await other.reply(second, 200, body=SDP)
    assert incoming.statuses == [200]
    (call,) = on.world.store.there.values()
    lost = [asked[1] for asked in on.relay.asked if f"e1 {asked[1]}" != call.relay and asked[0] == "offer"]
    assert on.relay.deleted == [(lost[0], "e1")]
    assert first.flow == on.bob.flow


@pytest.mark.parametrize("status", [486, 487, 603])
async def test_a_call_that_nobody_takes_leaves_no_session(status: int) -> None:
    on = Stage()
    await on.call()
    await on.bob.reply(on.sent, status)
    assert on.relay.deleted == [(SESSION, "e1")]


@pytest.mark.parametrize("end", ["bye", "api", "cancel"])
async def test_every_end_deletes_the_session(end: str) -> None:
    on = Stage()
    if end == "cancel":
        incoming = await on.call()
        sent = on.sent
        await on.bob.reply(sent, 180)
        incoming.cancel()
        await on.bob.reply(sent, 487)
    else:
        hers, _ = await on.talk()
        (id,) = on.world.store.there
        await (hers.send("BYE") if end == "bye" else on.world.calls.end_by_request(id, "x"))
    assert on.relay.deleted == [(SESSION, "e1")]


async def test_a_late_offer_is_made_by_the_callee_and_answered_in_the_ack() -> None:
    on = Stage()
    incoming = await on.call(late=True)
    sent = on.sent
    assert on.relay.asked == []
    his = await on.bob.take(sent, body=SDP)
    assert on.relay.asked == [("offer", SESSION, "webrtc", "tag-id-b", "tag-id-a", "")]
    assert incoming.responses[0].body == WEB_SDP + MARK
    await on.ann.dialog(incoming).send("ACK", body=WEB_SDP)
    assert on.relay.asked[1:] == [("answer", SESSION, "tag-id-b", "tag-id-a", "e1")]
    ack = on.sent
    assert (ack.request.method, ack.request.body) == ("ACK", WEB_SDP + MARK)
    assert his.call_id == "call-1"


@pytest.mark.parametrize("side", ["caller", "callee"])
async def test_an_offer_in_the_call_goes_the_same_way(side: str) -> None:
    on = Stage()
    hers, his = await on.talk()
    mine, other, offer, answer = (hers, his, WEB_SDP, SDP) if side == "caller" else (his, hers, SDP, WEB_SDP)
    incoming = await mine.send("INVITE", body=offer)
    tags = ("tag-id-a", "tag-id-b") if side == "caller" else ("tag-id-b", "tag-id-a")
    kind = "plain" if side == "caller" else "webrtc"
    assert on.relay.asked == [("offer", SESSION, kind, *tags, "e1")]
    sent = on.sent
    assert sent.request.body == answer + MARK
    await other.handset.reply(sent, 200, body=answer)
    assert on.relay.asked[1:] == [("answer", SESSION, *tags, "e1")]
    assert incoming.responses[0].body == answer + MARK
    assert on.relay.deleted == []


async def test_an_offer_in_the_call_that_is_refused_leaves_the_call_as_it_is() -> None:
    on = Stage()
    hers, _ = await on.talk()
    on.relay.refuses = {"offer"}
    assert (await hers.send("INVITE", body=WEB_SDP)).statuses == [488]
    assert len(on.world.calls) == 1 and on.relay.deleted == []


async def test_trickled_candidates_end_at_the_relay() -> None:
    """The engine's own candidates are complete, and fragments would break its session."""
    on = Stage()
    hers, _ = await on.talk()
    incoming = await hers.send("INFO", "Content-Type: application/trickle-ice-sdpfrag")
    assert incoming.statuses == [200]
    assert on.world.wire.sent == [] and on.relay.asked == []
    await hers.send("INFO", "Content-Type: application/dtmf-relay")
    assert on.world.wire.methods == ["INFO"]


async def test_trickled_candidates_pass_where_no_relay_is() -> None:
    on = Stage(like=True)
    hers, _ = await on.talk()
    await hers.send("INFO", "Content-Type: application/trickle-ice-sdpfrag")
    assert on.world.wire.methods == ["INFO"]


async def test_a_session_description_names_nobody() -> None:
    on = Stage(like=True)
    on.offer = SDP.replace(b"o=-", b"o=" + b"a" * 32)
    await on.call()
    assert on.sent.request.body == SDP


# What needs no call


@pytest.mark.parametrize(
    ("content_type", "body", "is_sdp"),
    [
        ("application/sdp", b"v=0", True),
        ("Application/SDP; charset=utf-8", b"v=0", True),
        ("application/sdp", b"", False),
        ("text/plain", b"v=0", False),
    ],
)
def test_what_is_a_session_description(content_type: str, body: bytes, is_sdp: bool) -> None:
    made: Request = request("INVITE", more=[f"Content-Type: {content_type}"])
    made.body = body
    assert has_sdp(made) is is_sdp


def test_what_neither_may_use_is_taken_out() -> None:
    sdp = SDP.replace(b"RTP/AVP 8", b"RTP/AVP 9 8") + b"m=video 4002 RTP/AVP 31\r\n"
    narrow = offered(sdp, Legs(LegKind.PLAIN, LegKind.PLAIN, hd_audio=False, video=False), "")
    assert b"RTP/AVP 8\r\n" in narrow and b"m=video 0 " in narrow
    assert offered(sdp, Legs(LegKind.PLAIN, LegKind.PLAIN, hd_audio=True, video=True), "") == sdp


def test_another_body_names_nobody() -> None:
    assert other_body(b"I am abc", "abc", "200") == b"I am 200"
    assert other_body(b"I am abc", "", "200") == b"I am abc"


async def test_an_answer_in_the_call_that_is_refused_is_acknowledged_and_ends_nothing() -> None:
    """The dialog stood before; without its ACK the 2xx of a re-INVITE would come again and again."""
    on = Stage()
    hers, his = await on.talk()
    incoming = await hers.send("INVITE", body=WEB_SDP)
    sent = on.sent
    on.relay.refuses = {"answer"}
    await his.handset.reply(sent, 200, body=SDP)
    assert incoming.statuses == [488]
    assert on.world.wire.methods == ["ACK"]
    assert len(on.world.calls) == 1 and on.relay.deleted == []


async def test_an_answer_with_a_body_that_cannot_be_read_is_a_502() -> None:
    on = Stage()
    incoming = await on.call()
    sent = on.sent
    response = await on.bob.reply(sent, 180)
    broken = Response(200, "OK", response.headers, SDP)
    broken.headers.replace("to", '"broken <sip:x')
    broken.headers.add("Content-Type", "application/sdp")
    assert sent.asker is not None and sent.key is not None
    sent.asker.receive_response(sent.key, broken)
    await on.world.settle()
    assert incoming.statuses == [180, 502]
    assert on.relay.deleted == [(SESSION, "e1")]
    assert on.world.store.there == {}
