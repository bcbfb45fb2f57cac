"""registrar/handlers/checks.py: what is answered before anybody is asked (docs/architecture.md)."""

import sys
from dataclasses import replace
from types import FrameType

import pytest

from registrar.handlers.answers import NO_SUCH_CALL, Answer
from registrar.handlers.checks import Silence
from registrar.handlers.checks import Verdict as Claimed
from registrar.model import Epoch, Flow
from registrar.rules.auth import Claim
from registrar.rules.tokens import MARK, SALT_BYTES, RelayPermit, RouteToken, Target
from tests.every import every
from tests.methods import INSIDE, OUTSIDE, SERVED

from .world import DOMAIN, HOME, Device, World, phone, request

FLOW = Flow("udp", "192.0.2.10", 5060, HOME, 5060)
Verdict = Answer | Silence | Claimed
USER = f"sip:201@{DOMAIN}"
REQUIRE = "Require: 100rel, foo"
NO_HOPS = "Max-Forwards: 0"
OURS = "<sip:a@192.0.2.10;lr>"


@every(
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
        pytest.param("INVITE", "tel:+44-20-7946-0018;phone-context=+44", [], 407, id="a call to a number"),
        pytest.param("INVITE", "urn:service:sos", [], 407, id="a call to an emergency service"),
        pytest.param("INVITE", "URN:SERVICE:counseling", [], 407, id="a call to another service"),
        pytest.param("INVITE", "tel:201", ["Proxy-Require: foo"], 420, id="a number, and Proxy-Require"),
        pytest.param("INVITE", "tel:;isub=1", [], 416, id="a call to no number"),
        pytest.param("INVITE", "urn:uuid:1", [], 416, id="a call to something that is no service"),
        pytest.param("INVITE", "http://acme.test", [], 416, id="a call to a page"),
        pytest.param("MESSAGE", "tel:201", [], 416, id="only calls go to a number"),
        pytest.param("OPTIONS", "urn:service:sos", [], 416, id="only calls go to a service"),
        pytest.param("invite", USER, [], 501, id="methods are told by case"),
        pytest.param("INVITE", "sip:a@192.0.2.10", [NO_HOPS], 483, id="nothing to pass on has arrived"),
        pytest.param("INVITE", f"sip:{DOMAIN}", [NO_HOPS], 407, id="but what names nobody"),
        pytest.param("CANCEL", USER, [REQUIRE], 481, id="a CANCEL is not refused for Require"),
        pytest.param("INVITE", USER, [REQUIRE], 407, id="Require is for the other phone"),
        pytest.param("INVITE", USER, ["Proxy-Require: foo"], 420, id="Proxy-Require is for us"),
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
    verdict = World().checks.sort(request(method, uri, more=more), FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    assert verdict.status == status


def test_an_ack_is_never_answered() -> None:
    verdict = World().checks.sort(request("ACK", "tel:200", more=[REQUIRE, NO_HOPS]), FLOW, Epoch(0))
    assert isinstance(verdict, Silence)


@pytest.mark.parametrize(
    ("require", "unsupported"),
    [
        pytest.param(["Require: foo"], "foo", id="one"),
        pytest.param(["Require: foo, bar", "Require: baz"], "foo, bar, baz", id="several, in several rows"),
        pytest.param(["Require: 100rel, path", "Proxy-Require: foo"], "100rel, foo", id="of both kinds"),
    ],
)
def test_each_unknown_tag_is_named(require: list[str], unsupported: str) -> None:
    verdict = World().checks.sort(request(more=require), FLOW, Epoch(0))
    assert verdict == Answer(420, headers=(("Unsupported", unsupported),))


@pytest.mark.parametrize("method", OUTSIDE)
def test_what_is_for_another_phone_is_challenged_as_a_proxy_does(method: str) -> None:
    verdict = World().checks.sort(request(method, USER), FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    ((name, value),) = verdict.headers
    assert (verdict.status, name) == (407, "Proxy-Authenticate")
    assert f'realm="{DOMAIN}"' in value


@pytest.mark.parametrize("method", [method for method in INSIDE if method != "ACK"])
def test_what_belongs_to_a_call_needs_our_token(method: str) -> None:
    assert World().checks.sort(request(method, USER), FLOW, Epoch(0)) == NO_SUCH_CALL


@every(
    ("method", "uri", "status"),
    [
        *[pytest.param(method, USER, 481, id=method) for method in OUTSIDE],
        pytest.param("OPTIONS", USER, 481, id="OPTIONS to somebody"),
        pytest.param("OPTIONS", f"sip:{DOMAIN}", 200, id="OPTIONS to us"),
        pytest.param("REGISTER", f"sip:{DOMAIN}", 401, id="REGISTER, where it says nothing (section 10.2)"),
        pytest.param("FOO", USER, 501, id="what is unknown"),
    ],
)
def test_a_tag_of_the_callee_without_our_token_is_no_call(method: str, uri: str, status: int) -> None:
    asked = request(method, uri, to=f"sip:200@{DOMAIN}")
    asked.headers.replace("to", f"<sip:200@{DOMAIN}>;tag=theirs")
    asked._to = None  # a new value is to be read
    verdict = World().checks.sort(asked, FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    assert verdict.status == status


def test_an_unknown_method_is_told_what_is_served() -> None:
    verdict = World().checks.sort(request("FOO", USER), FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    assert dict(verdict.headers)["Allow"] == ", ".join(SERVED)


# Tokens of ours in the topmost Route

LEG = RouteToken("call", "id-a", "id-b", "<sip:200@a>", "<sip:201@a>", is_caller=True)
HOP = RelayPermit(Target("id-b", "", "udp", "a", "g-a", 0, "192.0.2.1", 5060), "id-a", "1 INVITE", 1_000)
SALT = bytes(SALT_BYTES)


def routed(world: World, method: str, user: str, *, tag: bool = True, second: str = "") -> Verdict:
    """What becomes of a request with that user in its Route."""
    route = f"Route: {second}<sip:{user}@192.0.2.10;lr>"
    asked = request(method, USER, more=[route])
    if tag:
        asked.headers.replace("to", f"<sip:200@{DOMAIN}>;tag=theirs")
        asked._to = None  # a new value is to be read
    return world.checks.sort(asked, FLOW, Epoch(1_001))


@pytest.mark.parametrize("method", ["BYE", "ACK", "INVITE", "OPTIONS", "FOO"])
def test_a_token_of_this_call_is_believed(method: str) -> None:
    world = World()
    token = world.codec.route(LEG, "call-1")
    assert routed(world, method, token) == LEG


def test_a_token_that_does_not_fit_is_none() -> None:
    world = World()
    token = world.codec.route(LEG, "call-1")
    other = world.codec.route(LEG, "call-2")
    assert routed(world, "BYE", other) == NO_SUCH_CALL
    assert routed(world, "BYE", token, tag=False) == NO_SUCH_CALL, "a dialog has two tags"
    assert routed(world, "BYE", token, second="<sip:x@elsewhere.test;lr>, ") == NO_SUCH_CALL
    assert routed(world, "BYE", "nonsense") == NO_SUCH_CALL
    challenged = routed(world, "REGISTER", token)
    assert isinstance(challenged, Answer) and challenged.status == 401


def test_a_leave_of_another_node_is_believed_for_its_request() -> None:
    world = World()
    token = world.codec.permit(HOP, "call-1", SALT)
    assert routed(world, "INVITE", token, tag=False) == replace(HOP, mark=token[:MARK])
    assert routed(world, "BYE", token) == NO_SUCH_CALL
    assert isinstance(routed(world, "ACK", token), Silence)


def test_a_route_that_cannot_be_read_is_none() -> None:
    asked = request("BYE", USER, more=["Route: <<<"])
    assert World().checks.sort(asked, FLOW, Epoch(0)) == NO_SUCH_CALL


def test_options_are_told_what_is_served() -> None:
    verdict = World().checks.sort(request("OPTIONS"), FLOW, Epoch(0))
    assert isinstance(verdict, Answer)
    assert dict(verdict.headers) == {
        "Allow": ", ".join(SERVED),
        "Accept": "application/sdp",
        "Supported": "outbound, path, timer",
        "Allow-Events": "dialog, presence, message-summary, refer",
    }


async def test_credentials_of_ours_are_a_claim_and_others_a_challenge() -> None:
    world = World()
    device = Device(world)
    challenge = await device.send()
    assert challenge.status == 401
    device.take(challenge)
    device.cseq += 1
    assert isinstance(world.checks.sort(device.build(600), FLOW, world.clock()), Claim)
    device.nonce = "a" * 43
    assert isinstance(world.checks.sort(device.build(600), FLOW, world.clock()), Answer)


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


@pytest.mark.parametrize(
    ("method", "more"),
    [
        pytest.param("INVITE", ["Route: " + ",".join([OURS] * 90)] * 4, id="Routes of ours"),
        pytest.param("BYE", ["Route: " + ",".join(["<sip:a>"] * 240)] * 4, id="Routes of others"),
        pytest.param("REGISTER", ["Require: " + ",".join("a" * 1_000)] * 3, id="option tags"),
        pytest.param("INVITE", ["Proxy-Require: " + ",".join("a" * 1_000)] * 3, id="option tags for us"),
        pytest.param("REGISTER", ["Contact: " + ",".join(["<sip:a@b>"] * 8)] * 4, id="Contacts"),
    ],
)
def test_what_a_stranger_sends_costs_little(method: str, more: list[str]) -> None:
    """An ordinary REGISTER takes 60 calls; nobody has been asked who it is when these are spent."""
    world, asked = World(), request(method, USER, more=more)
    counted = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        verdict = world.checks.sort(asked, FLOW, Epoch(0))
    finally:
        sys.setprofile(before)
    assert isinstance(verdict, Answer)
    assert counted <= 150
