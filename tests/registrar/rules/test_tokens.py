"""registrar/rules/tokens.py: what we write for ourselves, nobody else reads or makes."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import Binding
from registrar.rules import tokens
from registrar.rules.routing import named_of
from registrar.rules.tokens import (
    KEY_BYTES,
    MARK,
    MAX_KEPT,
    PERMIT_SECONDS,
    SALT_BYTES,
    DialogHandle,
    RelayPermit,
    RouteToken,
    SubscriptionToken,
    Target,
    TokenCodec,
    dump_handle,
    read_handle,
    target_of,
)
from tests.every import every

KEY = bytes(range(KEY_BYTES))
SALT = bytes(SALT_BYTES)
NOW = 1_790_000_000.0

WORDS = st.text(max_size=40)
PHONES = st.one_of(
    st.binary(min_size=12, max_size=12).map(bytes.hex),
    st.integers(0, 2**64 - 1).map(lambda number: f"u{number}"),
    st.text("0123456789abcdefu +_é", max_size=40),
)
CALLS = st.one_of(st.just(""), st.binary(min_size=16, max_size=16).map(bytes.hex), WORDS)
PORTS = st.integers(0, 65_535)
TARGETS = st.builds(
    Target, PHONES, WORDS, WORDS, WORDS, WORDS, st.integers(0, 2**31), WORDS, PORTS, WORDS, WORDS
)
MOMENTS = st.integers(0, 2**32 - 1)
LEGS = st.builds(
    RouteToken,
    CALLS,
    PHONES,
    PHONES,
    WORDS,
    WORDS,
    st.booleans(),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.booleans(),
    st.booleans(),
    MOMENTS,
)
SALTS = st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES)

TARGET = Target("id-b", "sip:201@10.0.0.8", "tcp", "a", "g", 7, "10.0.0.8", 5070, "urn:uuid:1")
LEG = RouteToken("call", "id-a", "id-b", "<sip:200@acme.test>", "<sip:201@acme.test>", is_caller=True)
HOP = RelayPermit(TARGET, "id-a", "7 INVITE", int(NOW))


def fresh() -> TokenCodec:
    """Another process with the same key: it remembers nothing."""
    return TokenCodec(KEY, "registrar-abcdef-")


@given(TARGETS)
def test_the_binding_of_a_target_is_read_by_whoever_has_the_key(target: Target) -> None:
    token = fresh().target(target)
    assert token == token.lower() and token.isalnum(), "parameters of URIs are compared without case"
    assert fresh().read_target(token) == fresh().read_target(token.upper()) == named_of(target)
    assert TokenCodec(KEY[::-1]).read_target(token) is None


@given(st.integers(0, 2**96 - 1), st.text(max_size=1_024), WORDS)
def test_what_a_phone_is_shown_of_another_does_not_grow_with_its_names(
    phone: int, contact: str, instance: str
) -> None:
    """With number and address it must stay below 255 octets: pjsip takes no longer URI."""
    shown = fresh().target(Target(f"{phone:024x}", contact, "udp", "", "", 0, "", 0, instance))
    assert len(shown) == 53


@given(LEGS, st.text(max_size=30))
def test_a_leg_is_read_in_its_own_call(route: RouteToken, call_id: str) -> None:
    since = 0 if route.call else route.since
    token = fresh().route(replace(route, since=since), call_id)
    assert fresh().read_route(token, call_id) == replace(route, since=since)
    assert fresh().read_route(token, call_id + "x") is None
    assert TokenCodec(KEY[::-1]).read_route(token, call_id) is None


def test_what_is_stored_is_named_and_not_carried() -> None:
    """A Record-Route of two phones, whatever they are called: with SIP in UDP each octet counts."""
    route = RouteToken("c" * 32, "a" * 24, "b" * 24, "p", "n", is_caller=True, media="pp11")
    relayed = replace(route, relay=f"192.0.2.1:2223 registrar-abcdef-{route.call}.0")
    assert [len(fresh().route(one, "call-id")) for one in (route, relayed)] == [88, 113]
    assert fresh().read_route(fresh().route(relayed, "c"), "c") == relayed


@given(TARGETS, WORDS, SALTS)
def test_a_hop_is_read_for_its_own_request(target: Target, cseq: str, salt: bytes) -> None:
    """The Contact and the instance are in the request, and not once more in the leave."""
    permit = RelayPermit(target, "id-a", cseq, int(NOW))
    token = fresh().permit(permit, "call-1", salt)
    read = replace(permit, target=replace(target, contact="", instance="", registered=""), mark=token[:MARK])
    assert fresh().read_permit(token, "call-1", cseq, NOW) == read
    assert fresh().read_permit(token, "call-2", cseq, NOW) is None
    assert fresh().read_permit(token, "call-1", cseq + "x", NOW) is None


@pytest.mark.parametrize(
    ("seconds", "good"),
    [
        (0, True),
        (PERMIT_SECONDS - 1, True),
        (PERMIT_SECONDS, False),
        (-PERMIT_SECONDS, True),
        (-PERMIT_SECONDS - 1, False),
    ],
)
def test_a_hop_is_good_for_a_while(seconds: int, good: bool) -> None:
    """Clocks of nodes differ: what comes from the future is read for as long."""
    token = fresh().permit(HOP, "c", SALT)
    assert (fresh().read_permit(token, "c", HOP.cseq, NOW + seconds) is not None) is good


@given(SALTS, SALTS)
def test_each_leave_has_a_mark_of_its_own(salt: bytes, other: bytes) -> None:
    marks = {fresh().permit(HOP, "c", each)[:MARK] for each in (salt, other)}
    assert len(marks) == len({salt, other})


@given(TARGETS, WORDS, WORDS)
def test_a_line_is_kept_as_text(target: Target, from_: str, to: str) -> None:
    assert read_handle(dump_handle(DialogHandle(target, from_, to))) == DialogHandle(target, from_, to)


@every("text", ["", "null", "[]", "[[],1,2]", "{}", '[["a"],"b","c"]', "x", "1", "[1,2,3]"])
def test_what_is_no_line_is_none(text: str) -> None:
    assert read_handle(text) is None


def test_a_token_of_one_kind_is_none_of_another() -> None:
    seal = fresh()
    target, route, permit = seal.target(TARGET), seal.route(LEG, ""), seal.permit(HOP, "", SALT)
    bare = (
        base64.urlsafe_b64encode(base64.b32decode(target.upper() + "=" * (-len(target) % 8)))
        .decode()
        .rstrip("=")
    )
    for token in (target, permit, bare, "r" + bare, "r" + permit[1:]):
        assert fresh().read_route(token, "") is None
    for token in (target, route, bare, "h" + bare, "h" + route[1:]):
        assert fresh().read_permit(token, "", HOP.cseq, NOW) is None
    for token in (route, permit, base64.b32encode(base64.urlsafe_b64decode(route[1:] + "==")).decode()):
        assert fresh().read_target(token) is None


@given(st.data())
def test_with_one_bit_changed_nothing_is_read(data: st.DataObject) -> None:
    sealed = bytearray(base64.urlsafe_b64decode((token := fresh().route(LEG, "c"))[1:] + "=="))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    changed = "r" + base64.urlsafe_b64encode(bytes(sealed)).decode().rstrip("=")
    assert changed != token
    assert fresh().read_route(changed, "c") is None


@given(st.text(max_size=200))
def test_anything_may_stand_where_a_token_belongs(text: str) -> None:
    seal = fresh()
    assert seal.read_target(text) is None
    for token in (text, "r" + text, "h" + text):
        assert seal.read_route(token, "c") is None
        assert seal.read_permit(token, "c", "1 BYE", NOW) is None


def test_what_is_too_long_is_not_even_tried() -> None:
    seal, long = fresh(), RouteToken("x" * 4_000, "a", "b", "c", "d", is_caller=False)
    assert seal.read_route(seal.route(long, "c"), "c") is None
    assert seal.read_target(seal.target(Target("x" * 4_000, "", "", "", "", 0, "", 0))) is None


def test_who_is_shown_again_is_shown_alike() -> None:
    """By any process, whatever its flow is: a device has one address for all who are shown it (RFC 5627)."""
    seal = fresh()
    first = seal.target(TARGET)
    for number in range(MAX_KEPT):
        seal.target(Target("id", "", "udp", "", "", number, "", 0))
    assert len(seal._shown) == MAX_KEPT, "and so many are remembered"
    assert seal.target(replace(TARGET, flow=8, node="b")) == fresh().target(TARGET) == first
    called = replace(TARGET, contact="sip:else@10.0.0.8", registered=TARGET.contact)
    assert seal.target(called) == first, "by the binding that it is, not by what it calls itself in a call"
    assert seal.target(replace(TARGET, contact="sip:else@10.0.0.8")) != first


def test_who_hides_is_known_again_by_nobody_but_us() -> None:
    """RFC 3323: a token that is always the same would be a name."""
    seal = fresh()
    tokens = {seal.target(TARGET), *(seal.target(TARGET, bytes([n]) * SALT_BYTES) for n in range(3))}
    assert len(tokens) == 4
    assert {fresh().read_target(token) for token in tokens} == {named_of(TARGET)}


def test_what_was_read_once_is_remembered_with_its_call() -> None:
    seal = fresh()
    token = seal.route(LEG, "c")
    assert seal.read_route(token, "c") is seal.read_route(token, "c")
    assert seal.read_route(token, "d") is None
    gr = seal.target(TARGET)
    assert seal.read_target(gr) is seal.read_target(gr)


@pytest.mark.parametrize("call", ["ab" * 16, "", "an odd one"])
def test_what_a_newer_version_appended_is_left_out(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """In a rolling upgrade each version reads what the other one has sealed."""
    target = Target("0a" * 12, "", "tls", "n", "g", 7, "192.0.2.1", 5061)
    since = 0 if call else 1_790_000_000
    route = RouteToken(call, "0a" * 12, "u7", "<sip:1@a.test>", "<sip:2@a.test>", True, way="w", since=since)
    permit = RelayPermit(target, "u7", "2 BYE", int(NOW))
    texts, full, place = tokens._TEXTS, tokens._ROUTE, tokens._PERMIT
    monkeypatch.setattr(tokens, "_TEXTS", lambda one: (*texts(one), "newer"))
    monkeypatch.setattr(tokens, "_TEXT_FIELDS", 8)
    monkeypatch.setattr(tokens, "_ROUTE", lambda one: (*full(one), "newer"))
    monkeypatch.setattr(tokens, "_PERMIT", lambda one: (*place(one), "newer"))
    newer = TokenCodec(KEY)
    sealed = newer.route(route, "id"), newer.permit(permit, "id", SALT)
    line = tokens._dump(((*tokens._TARGET(target), "newer"), "f", "t", "newer"))
    monkeypatch.undo()
    assert TokenCodec(KEY).read_route(sealed[0], "id") == route
    assert replace(read_permit(sealed[1]), mark="") == permit
    assert read_handle(line) == DialogHandle(target, "f", "t")


def read_permit(token: str) -> RelayPermit:
    found = TokenCodec(KEY).read_permit(token, "id", "2 BYE", NOW)
    assert found is not None
    return found


def test_a_subscription_is_named_by_a_token_of_its_call() -> None:
    codec = TokenCodec(KEY)
    token = codec.subscription("ab" * 16, "id")
    assert codec.read_subscription(token, "id") == SubscriptionToken("ab" * 16)
    assert TokenCodec(bytes(64)).read_subscription(token, "id") is None
    for other in ("r" + token[1:], token[:-2], token + "AA", "", "201"):
        assert codec.read_subscription(other, "id") is None
    assert codec.read_subscription(token, "another") is None
    assert codec.read_route("r" + token[1:], "id") is None


def test_the_way_to_a_binding() -> None:
    binding = Binding(
        "sip:201@10.0.0.8",
        9,
        "c",
        1,
        instance="urn:uuid:1",
        public_ip="10.0.0.8",
        public_port=5070,
        transport="tcp",
        node="a",
        generation="g",
        flow=7,
    )
    assert target_of("id-b", binding) == replace(TARGET, registered=TARGET.contact)


def test_tokens_of_the_other_key_are_read_while_it_is_kept() -> None:
    codec, other = TokenCodec(KEY), TokenCodec(bytes(64))
    token = codec.subscription("ab" * 16, "id")
    codec.rekey([bytes(64), KEY])
    assert codec.read_subscription(token, "id") == SubscriptionToken("ab" * 16)
    made = codec.subscription("ab" * 16, "id")
    assert other.read_subscription(made, "id") == SubscriptionToken("ab" * 16)
    codec.rekey([bytes(64)])
    assert codec.read_subscription(token, "id") is None
