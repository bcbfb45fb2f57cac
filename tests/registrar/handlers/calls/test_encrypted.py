"""Calls of phones that may use encrypted media alone (`policy.srtp`): 488 for anything else."""

from dataclasses import replace

import pytest

from registrar.model import LegKind, Phone, Terms

from ..handsets import ANN, BOB, CAT, SDP, SDP_TYPE, Handset, Relay
from ..world import Incoming, World

STRICT = Terms(srtp=True)
SRTP_SDP = SDP.replace(b"RTP/AVP", b"RTP/SAVP")
TOO = SRTP_SDP + b"m=video 4002 RTP/AVP 99\r\n"
REJECTED = SRTP_SDP + b"m=video 0 RTP/AVP 99\r\n"


class Encrypting(Relay):
    """A relay that makes SRTP of what goes to a leg with SRTP, as rtpengine does."""

    async def offer(
        self,
        session: str,
        sdp: bytes,
        *,
        from_tag: str,
        to_tag: str,
        to: LegKind,
        engine: str,
        family: str = "",
    ) -> tuple[bytes, str]:
        about = {"from_tag": from_tag, "to_tag": to_tag, "engine": engine, "family": family}
        made, engine = await super().offer(session, sdp, to=to, **about)
        return (made.replace(b"RTP/AVP", b"RTP/SAVP") if to is LegKind.SRTP else made), engine


async def call(caller: Phone, callee: Phone, sdp: bytes, **more: object) -> tuple[World, Incoming]:
    world = World(caller, callee, CAT, **more)  # type: ignore[arg-type]  # as World takes them
    await Handset(world, callee, port=5070).register()
    ann = await Handset(world, caller).register()
    return world, await ann.call("201", body=sdp, more=(SDP_TYPE,) if sdp else ())


@pytest.mark.parametrize("strict", ["caller", "callee", "both"])
@pytest.mark.parametrize(
    ("sdp", "passes"),
    [(SRTP_SDP, True), (REJECTED, True), (SDP, False), (TOO, False), (b"", False)],
    ids=["srtp", "the rest is rejected", "plain", "plain video", "no offer"],
)
async def test_only_an_encrypted_offer_passes(strict: str, sdp: bytes, passes: bool) -> None:
    caller = replace(ANN, video=True, terms=STRICT) if strict != "callee" else replace(ANN, video=True)
    callee = replace(BOB, video=True, terms=STRICT) if strict != "caller" else replace(BOB, video=True)
    world, incoming = await call(caller, callee, sdp)
    assert incoming.statuses == ([] if passes else [488])
    assert world.wire.methods == (["INVITE"] if passes else [])


async def test_others_do_not_care() -> None:
    world, incoming = await call(ANN, BOB, SDP)
    assert incoming.statuses == [] and world.wire.methods == ["INVITE"]


async def test_the_relay_encrypts_for_the_phone_that_is_called() -> None:
    relay = Encrypting()
    world, incoming = await call(ANN, replace(BOB, terms=STRICT), SDP, media=relay)
    (sent,) = world.wire.take()
    assert incoming.statuses == [] and b"RTP/SAVP" in sent.request.body
    bob = Handset(world, replace(BOB, terms=STRICT), port=5070)
    await bob.reply(sent, 488)
    assert world.wire.methods == ["ACK"] or world.wire.methods == [], "plain media is not offered instead"
    assert incoming.statuses == [488]


async def test_an_offer_without_encryption_is_refused_inside_the_call_too() -> None:
    caller = replace(ANN, terms=STRICT)
    world, incoming = await call(caller, BOB, SRTP_SDP)
    bob = Handset(world, BOB, port=5070)
    (sent,) = world.wire.take()
    his = await bob.take(sent, body=SRTP_SDP)
    mine = Handset(world, caller).dialog(incoming)
    world.wire.take()
    again = await mine.send("INVITE", body=SDP)
    assert again.statuses == [488] and world.wire.methods == []
    back = await his.send("INVITE", body=SDP)
    assert back.statuses == [488]
    held = await mine.send("INVITE", body=SRTP_SDP)
    assert held.statuses == [] and world.wire.methods == ["INVITE"]
