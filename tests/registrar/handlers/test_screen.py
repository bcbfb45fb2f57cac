"""registrar/handlers/screen.py: what is answered before anybody is asked (design.md section 3)."""

import pytest

from registrar.handlers.answers import Answer
from registrar.handlers.screen import Silence
from registrar.model import Epoch, Flow
from registrar.rules.auth import Claim

from .world import DOMAIN, HOME, Device, World, phone, request

FLOW = Flow("udp", "192.0.2.10", 5060, HOME, 5060)
USER = f"sip:201@{DOMAIN}"
REQUIRE = "Require: 100rel, foo"
NO_HOPS = "Max-Forwards: 0"


@pytest.mark.parametrize(
    ("method", "uri", "more", "status"),
    [
        pytest.param("REGISTER", "tel:200", [], 416, id="a scheme that nobody can register with"),
        pytest.param("FOO", "nobodyKnowsThisScheme:x", [NO_HOPS, REQUIRE], 416, id="the scheme comes first"),
        pytest.param("INVITE", USER, [NO_HOPS, REQUIRE], 483, id="then the hops"),
        pytest.param("OPTIONS", USER, [NO_HOPS], 483, id="hops before the answer to OPTIONS"),
        pytest.param("OPTIONS", USER, ["Max-Forwards: 00"], 483, id="no hops, in two digits"),
        pytest.param("OPTIONS", f"sip:{DOMAIN}", [NO_HOPS], 200, id="without a user it has arrived"),
        pytest.param("OPTIONS", "sip:ping@192.0.2.10", [NO_HOPS], 401, id="at our address it has arrived"),
        pytest.param("REGISTER", USER, [NO_HOPS], 401, id="a REGISTER has arrived, whatever its user"),
        pytest.param("FOO", USER, [REQUIRE], 501, id="an unknown method before Require"),
        pytest.param("invite", USER, [], 501, id="methods are told by case"),
        pytest.param("INVITE", USER, [REQUIRE], 405, id="a known method that is not served before Require"),
        pytest.param("SUBSCRIBE", USER, [], 405, id="another one"),
        pytest.param("CANCEL", USER, [REQUIRE], 481, id="a CANCEL is not refused for Require"),
        pytest.param("REGISTER", f"sip:{DOMAIN}", [REQUIRE], 420, id="Require before the challenge"),
        pytest.param("OPTIONS", f"sip:{DOMAIN}", [REQUIRE], 420, id="Require before the answer to OPTIONS"),
        pytest.param("REGISTER", f"sip:{DOMAIN}", ["Proxy-Require: foo"], 420, id="Proxy-Require"),
        pytest.param("REGISTER", f"sip:{DOMAIN}", ["Require: Outbound"], 401, id="a known one in any case"),
        pytest.param("REGISTER", f"sip:{DOMAIN}", ["Supported: path, foo"], 401, id="Supported is no demand"),
        pytest.param("REGISTER", f"sip:{DOMAIN}", [], 401, id="then the challenge"),
        pytest.param(
            "REGISTER", f"sip:{DOMAIN}", ["Contact: *"], 401, id="what else is wrong comes after it"
        ),
        pytest.param("OPTIONS", f"sip:{DOMAIN}", [], 200, id="OPTIONS without a user"),
        pytest.param("OPTIONS", USER, [], 401, id="OPTIONS with a user"),
        pytest.param("OPTIONS", f"sip:nobody@{DOMAIN}", [], 401, id="OPTIONS with an unknown user: the same"),
    ],
)
def test_the_order_of_checks(method: str, uri: str, more: list[str], status: int) -> None:
    verdict = World().screen.sort(request(method, uri, more=more), FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    assert verdict.status == status


def test_an_ack_is_never_answered() -> None:
    verdict = World().screen.sort(request("ACK", "tel:200", more=[REQUIRE, NO_HOPS]), FLOW, Epoch(0))
    assert isinstance(verdict, Silence)


@pytest.mark.parametrize(
    ("require", "unsupported"),
    [
        pytest.param(["Require: foo"], "foo", id="one"),
        pytest.param(["Require: foo, bar", "Require: baz"], "foo, bar, baz", id="several, in several rows"),
        pytest.param(["Require: 100rel", "Proxy-Require: path"], "100rel, path", id="of both kinds"),
    ],
)
def test_each_unknown_tag_is_named(require: list[str], unsupported: str) -> None:
    verdict = World().screen.sort(request(more=require), FLOW, Epoch(0))
    assert verdict == Answer(420, headers=(("Unsupported", unsupported),))


@pytest.mark.parametrize("method", ["INVITE", "FOO"])
def test_a_refused_method_is_told_what_is_served(method: str) -> None:
    verdict = World().screen.sort(request(method, USER), FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    assert dict(verdict.headers)["Allow"] == "REGISTER, OPTIONS"


def test_options_are_told_what_is_served() -> None:
    verdict = World().screen.sort(request("OPTIONS"), FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    assert dict(verdict.headers) == {
        "Allow": "REGISTER, OPTIONS", "Accept": "application/sdp", "Supported": "outbound",
    }  # fmt: skip


async def test_credentials_of_ours_are_a_claim_and_others_a_challenge() -> None:
    world = World()
    device = Device(world)
    challenge = await device.send()
    assert challenge.status == 401
    device.take(challenge)
    device.cseq += 1
    assert isinstance(world.screen.sort(device.build(600), FLOW, world.clock()), Claim)
    device.nonce = "a" * 43
    assert isinstance(world.screen.sort(device.build(600), FLOW, world.clock()), Answer)


async def test_everybody_gets_the_same_challenge() -> None:
    """C1: known, unknown, of a blocked customer, of another tenant; before and after a wrong password."""
    world = World(phone(), phone("b", active=False))
    seen = set()
    for account in (phone(), phone("b"), phone("x"), phone("u", password="wrong")):
        device = Device(world, account)
        bare = await device.send()
        device.take(bare)
        device.account = (
            account if account.password == "wrong" else phone(account.username[0], password="wrong")
        )
        for answer in (bare, await device.send()):
            ((name, value),) = answer.headers
            start, _, rest = value.partition('nonce="')
            seen.add((answer.status, answer.reason, name, start, rest[43:]))
    assert len(seen) == 1
