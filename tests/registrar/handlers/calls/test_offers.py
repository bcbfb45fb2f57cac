"""handlers/calls/offers.py in calls: offers and answers in PRACK, UPDATE, ACK and reliable responses."""

import pytest

from registrar.handlers.calls.offers import MAX_KEPT, Offers
from registrar.sip import answer
from tests.every import every

from ..handsets import ANN, BOB, CAT, SDP, SDP_TYPE, WEB_SDP, Dialog, Handset, Relay
from ..world import DOMAIN, Incoming, Sent, World, request

RELIABLE = (("Require", "100rel"), ("RSeq", "7"))
MARK = b"a=relayed\r\n"
A, B = "tag-id-a", "tag-id-b"


class Stage:
    """Ann in a browser calls Bob at a desk phone through a relay."""

    def __init__(self, *, nodes: int = 1) -> None:
        self.relay = Relay()
        self.world = World(ANN, BOB, CAT, media=self.relay)
        self.ann = Handset(self.world, ANN, transport="wss")
        self.bob = Handset(self.world, BOB, port=5070)

    async def call(self, body: bytes = b"") -> tuple[Incoming, Sent]:
        await self.bob.register()
        await self.ann.register()
        incoming = await self.ann.call(body=body, more=(SDP_TYPE,) if body else ())
        (sent,) = self.world.wire.take()
        return incoming, sent

    def dialog(self, incoming: Incoming) -> Dialog:
        """What Ann knows after a provisional response."""
        response = incoming.responses[-1]
        contact = response.headers.get("contact") or ""
        return Dialog(
            self.ann,
            contact.partition("<")[2].partition(">")[0],
            response.headers.all("record-route"),
            response.headers.get("from") or "",
            response.headers.get("to") or "",
            response.call_id,
        )

    def asked(self) -> list[tuple[str, ...]]:
        """What the relay was asked since the last time: command, from-tag, to-tag."""
        asked, self.relay.asked = self.relay.asked, []
        return [(row[0], *(row[3:5] if row[0] == "offer" else row[2:4])) for row in asked]


async def test_an_early_offer_is_answered_in_the_prack() -> None:
    """RFC 3262 section 5: the INVITE had none, so the reliable 183 has the offer."""
    on = Stage()
    incoming, sent = await on.call()
    await on.bob.reply(sent, 183, *RELIABLE, body=SDP)
    assert on.asked() == [("offer", B, A)]
    rack = f"RAck: 7 {sent.request.cseq[0]} INVITE"
    acknowledged = await on.dialog(incoming).send("PRACK", rack, body=WEB_SDP)
    assert on.asked() == [("answer", B, A)]
    (prack,) = on.world.wire.take()
    assert prack.request.body == WEB_SDP + MARK
    await on.bob.reply(prack, 200)
    assert acknowledged.statuses == [200] and on.asked() == []


async def test_what_repeats_a_reliable_description_is_no_offer_again() -> None:
    on = Stage()
    incoming, sent = await on.call()
    await on.bob.reply(sent, 183, *RELIABLE, body=SDP)
    shown = incoming.responses[-1].body
    on.asked()
    await on.bob.reply(sent, 180, body=SDP)
    await on.bob.take(sent, body=SDP)
    assert on.asked() == []
    assert [response.body for response in incoming.responses] == [shown] * 3
    assert incoming.statuses == [183, 180, 200]


async def test_after_an_early_offer_was_answered_the_next_prack_may_have_one() -> None:
    on = Stage()
    incoming, sent = await on.call()
    await on.bob.reply(sent, 183, *RELIABLE, body=SDP)
    await on.dialog(incoming).send("PRACK", f"RAck: 7 {sent.request.cseq[0]} INVITE", body=WEB_SDP)
    await on.bob.reply(sent, 180, ("Require", "100rel"), ("RSeq", "8"), body=SDP)
    on.asked()
    await on.dialog(incoming).send("PRACK", f"RAck: 8 {sent.request.cseq[0]} INVITE", body=WEB_SDP)
    assert on.asked() == [("offer", A, B)]


async def test_an_early_answer_is_followed_by_an_offer_in_the_prack() -> None:
    """RFC 3262 section 5: the offer of the INVITE was answered, so the PRACK may have one."""
    on = Stage()
    incoming, sent = await on.call(WEB_SDP)
    await on.bob.reply(sent, 183, *RELIABLE, body=SDP)
    assert on.asked() == [("offer", A, ""), ("answer", A, B)]
    rack = f"RAck: 7 {sent.request.cseq[0]} INVITE"
    acknowledged = await on.dialog(incoming).send("PRACK", rack, body=WEB_SDP)
    (prack,) = on.world.wire.take()
    await on.bob.reply(prack, 200, body=SDP)
    assert on.asked() == [("offer", A, B), ("answer", A, B)]
    assert acknowledged.responses[0].body == SDP + MARK
    await on.bob.take(sent)
    assert incoming.statuses == [183, 200] and on.asked() == []


async def test_an_offer_in_an_early_update_is_one() -> None:
    on = Stage()
    incoming, sent = await on.call(WEB_SDP)
    await on.bob.reply(sent, 183, *RELIABLE, body=SDP)
    on.asked()
    updated = await on.dialog(incoming).send("UPDATE", body=WEB_SDP)
    (update,) = on.world.wire.take()
    await on.bob.reply(update, 200, body=SDP)
    assert on.asked() == [("offer", A, B), ("answer", A, B)] and updated.statuses == [200]


async def test_a_late_offer_of_a_re_invite_goes_the_same_way() -> None:
    on = Stage()
    _, sent = await on.call(WEB_SDP)
    his = await on.bob.take(sent, body=SDP)
    on.asked()
    again = await his.send("INVITE")
    (invite,) = on.world.wire.take()
    await on.ann.reply(invite, 183, *RELIABLE, body=WEB_SDP)
    assert on.asked() == [("offer", A, B)]
    rack = f"RAck: 7 {invite.request.cseq[0]} INVITE"
    await his.send("PRACK", rack, body=SDP)
    assert on.asked() == [("answer", A, B)]
    await on.ann.reply(invite, 200, body=WEB_SDP)
    assert on.asked() == [] and again.statuses == [183, 200]
    assert again.responses[0].body == again.responses[1].body == SDP + MARK


async def test_a_description_in_another_request_is_only_a_body() -> None:
    on = Stage()
    incoming, sent = await on.call(WEB_SDP)
    await on.bob.take(sent, body=SDP)
    on.asked()
    await on.ann.dialog(incoming).send("INFO", body=WEB_SDP)
    (info,) = on.world.wire.take()
    await on.bob.reply(info, 200, body=SDP)
    assert on.asked() == [] and info.request.body == WEB_SDP


async def test_without_a_relay_an_early_offer_is_answered_all_the_same() -> None:
    world = World(ANN, BOB)
    ann, bob = await Handset(world, ANN).register(), await Handset(world, BOB, port=5070).register()
    incoming = await ann.call()
    (sent,) = world.wire.take()
    await bob.reply(sent, 183, *RELIABLE, body=SDP)
    assert incoming.responses[0].body == SDP


# What is remembered


def noted(offers: Offers, rseq: str = "7", *, is_offer: bool = True) -> None:
    invite = request("INVITE", f"sip:201@{DOMAIN}")
    response = answer(invite, 183, headers=[("RSeq", rseq)] if rseq else [], to_tag="b")
    offers.note(invite, response, is_offer=is_offer)


@every(
    ("method", "more", "late", "is_answer"),
    [
        pytest.param("PRACK", ["RAck: 7 1 INVITE"], False, True, id="of the response with an offer"),
        pytest.param("PRACK", ["RAck: 8 1 INVITE"], False, False, id="of another response"),
        pytest.param("PRACK", ["RAck: 8 1 INVITE"], True, True, id="of one of another node, to a late offer"),
        pytest.param("PRACK", ["RAck: 7 2 INVITE"], False, False, id="of another INVITE"),
        pytest.param("PRACK", ["RAck: nonsense"], False, False, id="of nothing"),
        pytest.param("PRACK", [], False, False, id="without RAck"),
        pytest.param("ACK", [], False, True, id="ACK"),
        pytest.param("UPDATE", ["RAck: 7 1 INVITE"], True, False, id="UPDATE"),
        pytest.param("INVITE", [], True, False, id="INVITE"),
    ],
)
def test_what_is_an_answer(method: str, more: list[str], late: bool, is_answer: bool) -> None:
    offers = Offers()
    noted(offers)
    asked = request(method, f"sip:201@{DOMAIN}", to_tag="b", more=more)
    assert offers.is_answer(asked, late=late) is is_answer


def test_what_is_not_acknowledged_is_not_remembered() -> None:
    offers = Offers()
    noted(offers, "")
    assert offers._reliable == {}


def test_the_oldest_is_forgotten() -> None:
    offers = Offers()
    for number in range(MAX_KEPT + 1):
        noted(offers, str(number))
    assert len(offers._reliable) == MAX_KEPT
