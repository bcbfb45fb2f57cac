"""registrar/rules/pings.py: what a ping says, when it comes, and what its answer is worth."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import Binding, Epoch, Flow
from registrar.rules.pings import (
    PREFIX,
    WAITS,
    branch,
    essence,
    first_wait,
    is_at,
    options,
    pause,
    worth_writing,
)
from registrar.sip import Request, check, parse
from tests.every import every

SALT = b"s" * 32
FLOW = Flow("udp", "192.0.2.10", 5060, "198.51.100.7", 40_000)
BINDING = Binding(
    contact="sip:200@10.0.0.7:5060;transport=udp",
    expires_at=2_000,
    call_id="call-1",
    cseq=7,
    instance="urn:uuid:1",
    user_agent="Desk phone",
    local_ip="10.0.0.7",
    public_ip="198.51.100.7",
    public_port=40_000,
    node="a",
    generation="g",
    refreshed_at=1_000,
    secret_version=3,
)


def read(raw: bytes) -> Request:
    message = parse(raw, exact=True)
    assert isinstance(message, Request)
    check(message)
    return message


def test_a_ping_is_a_whole_request_to_the_contact() -> None:
    ping = read(options(BINDING, FLOW, branch(1, SALT)))
    assert (ping.method, ping.target) == ("OPTIONS", BINDING.contact)
    assert str(ping.via) == f"SIP/2.0/UDP 192.0.2.10:5060;branch={branch(1, SALT)};rport"
    assert str(ping.to) == f"<{BINDING.contact}>"
    assert (ping.from_.uri.user, ping.from_.uri.host) == ("ping", "192.0.2.10")
    assert ping.cseq == (1, "OPTIONS")
    assert ping.headers.get("max-forwards") == "70"
    assert ping.headers.get("content-length") == "0"
    assert ping.contacts == ()
    assert ping.body == b""


def test_over_ipv6_addresses_have_brackets() -> None:
    ping = read(options(BINDING, replace(FLOW, local_ip="2001:db8::1"), branch(1, SALT)))
    assert (ping.via.host, ping.from_.uri.host) == ("[2001:db8::1]", "[2001:db8::1]")


@pytest.mark.parametrize(
    ("contact", "target"),
    [
        pytest.param("sip:200@10.0.0.7?Route=x&Subject=y", "sip:200@10.0.0.7", id="headers of a URI"),
        pytest.param("sip:a?b@10.0.0.7", "sip:a?b@10.0.0.7", id="a question mark in a user"),
        pytest.param("sip:a?b@10.0.0.7?Route=x", "sip:a?b@10.0.0.7", id="both"),
        pytest.param("mailto:a@b.test?subject=x", "mailto:a@b.test?subject=x", id="another scheme"),
    ],
)
def test_no_header_of_a_contact_gets_into_the_request_uri(contact: str, target: str) -> None:
    ping = read(options(replace(BINDING, contact=contact), FLOW, branch(1, SALT)))
    assert ping.target == target
    assert ping.headers.all("route") == []


def test_branches_differ_and_cannot_be_told_without_the_salt() -> None:
    made = {branch(number, salt) for number in range(1, 100) for salt in (SALT, b"t" * 32)}
    assert len(made) == 2 * 99
    assert all(text.startswith(PREFIX) for text in made)
    assert branch(5, SALT) == branch(5, SALT)


def test_call_ids_of_two_pings_differ() -> None:
    first, second = (read(options(BINDING, FLOW, branch(number, SALT))) for number in (1, 2))
    assert first.call_id != second.call_id


@given(st.floats(0, 1, exclude_max=True))
def test_the_first_ping_comes_within_one_interval_and_later_ones_a_tenth_around_it(roll: float) -> None:
    assert 0 <= first_wait(30, roll) <= 30
    assert 27 - 1e-9 <= pause(30, roll) <= 33 + 1e-9


def test_the_ends_of_the_jitter_are_reached() -> None:
    assert (pause(30, 0.0), pause(30, 0.5)) == (pytest.approx(27), pytest.approx(30))
    assert (first_wait(30, 0.0), first_wait(30, 0.5)) == (0, 15)


def test_it_is_sent_again_after_2_4_and_8_seconds_and_given_up_after_16() -> None:
    assert WAITS[:3] == (2, 4, 8)
    assert sum(WAITS) == 16


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"refreshed_at": 1_060}, False, id="refreshed"),
        pytest.param({"cseq": 8}, False, id="refreshed within the second"),
        pytest.param({"public_port": 40_001}, False, id="moved"),
        pytest.param({"flow": 1}, False, id="over another listener"),
        pytest.param({"user_agent": "Another"}, True, id="what a ping does not ask for"),
    ],
)
def test_what_of_a_binding_a_ping_looks_at(changes: dict[str, object], same: bool) -> None:
    other = replace(BINDING, **changes)  # type: ignore[arg-type]  # the rows name fields that exist
    assert (essence(other) == essence(BINDING)) is same


def test_what_is_kept_of_each_phone_has_no_long_texts_but_the_contact_and_the_place() -> None:
    kept = essence(BINDING)
    texts = {field.name for field in fields(Binding) if isinstance(getattr(kept, field.name), str)}
    filled = {name for name in texts if getattr(kept, name)}
    assert filled == {"contact", "public_ip", "transport", "node"}


@pytest.mark.parametrize(
    ("flow", "there"),
    [
        pytest.param(FLOW, True, id="the same"),
        pytest.param(replace(FLOW, remote_port=40_001), False, id="another port"),
        pytest.param(replace(FLOW, remote_ip="198.51.100.8"), False, id="another address"),
    ],
)
def test_an_answer_must_come_from_where_the_ping_went(flow: Flow, there: bool) -> None:
    assert is_at(BINDING, flow) is there


@every(
    ("rtt", "written", "after", "worth"),
    [
        pytest.param(20.0, None, 1, True, id="the first round trip"),
        pytest.param(20.0, 20.0, 59, False, id="as before"),
        pytest.param(20.0, 20.0, 60, True, id="as before, a minute later"),
        pytest.param(119.0, 100.0, 1, False, id="less than a fifth more"),
        pytest.param(120.0, 100.0, 1, True, id="a fifth more"),
        pytest.param(80.0, 100.0, 1, True, id="a fifth less"),
        pytest.param(0.9, 0.3, 1, False, id="three times of next to nothing"),
        pytest.param(5.4, 0.3, 1, True, id="milliseconds more"),
        pytest.param(None, 20.0, 1, False, id="no round trip is known"),
        pytest.param(None, None, 1, False, id="none was ever known"),
        pytest.param(None, None, 60, True, id="but it lives"),
    ],
)
def test_what_is_worth_a_write(rtt: float | None, written: float | None, after: int, worth: bool) -> None:
    assert worth_writing(rtt, written, Epoch(1_000 + after), Epoch(1_000)) is worth
