"""handlers/calls/speech.py: what we say to a party ourselves, and which way it may go."""

from dataclasses import replace

import pytest

from registrar.handlers.calls.speech import Speech, nowhere, to_callee, to_caller
from registrar.model import Call, CallState, Party
from registrar.rules.tokens import DialogHandle, target_of

from ..handsets import ANN, BOB, Handset
from ..world import World


async def speech_to(world: World, transport: str, scheme: str = "sip") -> tuple[Speech, Handset]:
    """What is said to Bob, who is registered over one flow."""
    bob = await Handset(world, BOB, transport=transport).register()
    (binding,) = world.location.known(BOB.id).bindings
    target = replace(target_of(BOB.id, binding), contact=f"{scheme}:bob@10.0.0.7")
    return Speech("call-1", DialogHandle(target, "<sip:200@a>", "<sip:201@a>"), "his", "hers", ANN.id, 7), bob


async def test_it_reads_as_if_the_other_party_had_said_it() -> None:
    world = World(ANN, BOB)
    speech, bob = await speech_to(world, "tcp")
    (way,) = speech.ways(world.reach, [speech.target])
    request = speech.request(world.reach, way, "BYE", 9, "SIP;cause=480")
    assert (request.method, request.target, request.cseq) == ("BYE", "sip:bob@10.0.0.7", (9, "BYE"))
    assert (request.headers.get("from"), request.headers.get("to")) == (
        "<sip:200@a>;tag=hers",
        "<sip:201@a>;tag=his",
    )
    assert (way.flow, request.headers.get("reason")) == (bob.flow, "SIP;cause=480")


async def test_a_phone_without_tags_hears_none() -> None:
    """RFC 3261 section 12.2.1.1."""
    world = World(ANN, BOB)
    speech, _ = await speech_to(world, "tcp")
    (way,) = speech.ways(world.reach, [speech.target])
    untagged = replace(speech, tag="").request(world.reach, way, "BYE", 9)
    assert (untagged.headers.get("to"), untagged.headers.get("reason")) == ("<sip:201@a>", None)


@pytest.mark.parametrize(
    ("transport", "scheme", "ways"),
    [("udp", "sip", 1), ("tls", "sip", 1), ("tls", "sips", 1), ("tcp", "sips", 0), ("udp", "sips", 0)],
)
async def test_of_a_secure_call_the_secure_ways_alone(transport: str, scheme: str, ways: int) -> None:
    """RFC 3261 section 26.2.2."""
    world = World(ANN, BOB)
    speech, _ = await speech_to(world, transport, scheme)
    assert len(list(speech.ways(world.reach, [speech.target]))) == ways


async def test_where_nobody_is_there_is_no_way() -> None:
    world = World(ANN, BOB)
    speech, bob = await speech_to(world, "tcp")
    await world.hang_up(bob.flow)
    assert list(speech.ways(world.reach, [speech.target, nowhere(BOB.id)])) == []


def test_to_whom_nothing_can_be_said() -> None:
    call = Call("1", "c", "acme", "d", Party("a", "200"), Party("b", "201"), CallState.ANSWERED, 1.0)
    assert (to_caller(call), to_callee(call)) == (None, None)
