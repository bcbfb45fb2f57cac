"""registrar/store/call_codec.py: what lies in Redis of a call, and what the stream of events says of it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import Call, CallState, Cause, Ending, Party, Process
from registrar.store.call_codec import (
    PRIVATE,
    UNREADABLE,
    answered_event,
    changed_event,
    decode,
    encode,
    ended_event,
    started_event,
)

moments = st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1_000)
parties = st.builds(
    Party,
    phone=st.text(max_size=24),
    number=st.text(max_size=16),
    name=st.text(max_size=40),
    transport=st.sampled_from(["", "udp", "tcp", "tls", "ws", "wss"]),
    tag=st.text(max_size=20),
    target=st.text(max_size=80),
    cseq=st.integers(0, 2**31 - 1),
    person=st.text(max_size=24),
)
calls = st.builds(
    Call,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    call_id=st.text(max_size=60),
    customer=st.text(max_size=24),
    domain=st.text(max_size=30),
    caller=parties,
    callee=parties,
    state=st.sampled_from(CallState),
    started_at=moments,
    answered_at=moments,
    process=st.builds(Process, st.text(max_size=20), st.text(max_size=8)),
    relay=st.text(max_size=40),
    expires_at=st.floats(allow_nan=False, allow_infinity=False),
    via=st.text(max_size=16),
    via_name=st.text(max_size=40),
)
CALL = Call(
    id="ab" * 16,
    call_id="dialog-1@phone",
    customer="c" * 24,
    domain="acme.test",
    caller=Party("1" * 24, "200", "Anna Østergård", "wss", "tag-a", "sealed-a", 7),
    callee=Party("2" * 24, "201", "Bent", "udp", "tag-b", "sealed-b", 3),
    state=CallState.ANSWERED,
    started_at=1_900_000_000.25,
    answered_at=1_900_000_004.75,
    process=Process("n1", "g1"),
    relay="10.0.0.1:2223 session",
    expires_at=1_900_001_800.5,
    via="600",
    via_name="Sales",
)


@given(calls)
def test_what_is_stored_is_what_is_read(call: Call) -> None:
    assert decode(encode(call)) == call


def test_the_public_fields_are_those_of_the_contract() -> None:
    fields = encode(CALL)
    assert fields.pop(PRIVATE)
    assert fields == {
        "id": "ab" * 16,
        "callId": "dialog-1@phone",
        "customer": "c" * 24,
        "domain": "acme.test",
        "state": "answered",
        "callerPhone": "1" * 24,
        "callerNumber": "200",
        "callerName": "Anna Østergård",
        "callerTransport": "wss",
        "calleePhone": "2" * 24,
        "calleeNumber": "201",
        "calleeName": "Bent",
        "calleeTransport": "udp",
        "startedAt": "1900000000.250",
        "answeredAt": "1900000004.750",
        "via": "600",
        "viaName": "Sales",
        "media": "relayed",
        "node": "n1",
        "generation": "g1",
    }


def test_what_is_not_known_yet_is_empty() -> None:
    ringing = replace(
        CALL, state=CallState.RINGING, answered_at=0.0, relay="", callee=Party("", "201", "Bent")
    )
    fields = encode(ringing)
    assert [fields[name] for name in ("answeredAt", "calleePhone", "calleeTransport")] == ["", "", ""]
    assert (fields["state"], fields["media"]) == ("ringing", "direct")
    assert decode(fields) == ringing


def test_the_dialled_word_is_stored_only_if_it_is_not_the_number_of_the_callee() -> None:
    assert encode(replace(CALL, dialled=CALL.callee.number)) == encode(CALL)
    for call in (replace(CALL, dialled="600"), replace(CALL, dialled="%2A*", is_private=True)):
        assert decode(encode(call)) == call


def test_who_holds_a_call_is_stored_only_if_a_party_does() -> None:
    short = encode(CALL)[PRIVATE]
    for party in ("caller", "callee"):
        held = replace(CALL, **{party: replace(getattr(CALL, party), holds=True)})
        for call in (held, replace(held, is_private=True)):
            assert decode(encode(call)) == call
            assert len(encode(call)[PRIVATE]) > len(short)


def test_the_event_of_a_call_that_is_held() -> None:
    held = replace(CALL.caller, holds=True)
    event = changed_event(replace(CALL, caller=held), held, 1_900_000_064.5)
    assert event == ABOUT | {
        "event": "call-changed",
        "reason": "held",
        "time": "1900000064",
        "calleePhone": "2" * 24,
        "status": "",
        "ringSeconds": "4.500",
        "talkSeconds": "59.750",
        "by": "200",
    }
    assert changed_event(CALL, CALL.callee, 1_900_000_064.5)["reason"] == "resumed"


def test_a_newer_version_may_append() -> None:
    fields = encode(CALL)
    assert decode(fields | {PRIVATE: fields[PRIVATE][:-1] + ',"more"]', "more": "x"}) == CALL


@pytest.mark.parametrize(
    "changes",
    [
        {PRIVATE: ""},
        {PRIVATE: "{}"},
        {PRIVATE: "7"},
        {PRIVATE: "[1]"},
        {"state": "asleep"},
        {"startedAt": "x"},
    ],
)
def test_what_was_not_stored_by_us_cannot_be_read(changes: dict[str, Any]) -> None:
    with pytest.raises(UNREADABLE):
        decode(encode(CALL) | changes)
    with pytest.raises(UNREADABLE):
        decode({})


ABOUT = {
    "customer": "c" * 24,
    "phone": "1" * 24,
    "call": "ab" * 16,
    "callId": "dialog-1@phone",
    "caller": "200",
    "callee": "201",
    "via": "600",
}


def test_the_events_of_a_call_that_was_answered() -> None:
    ringing = replace(CALL, answered_at=0.0, callee=replace(CALL.callee, phone=""))
    started = started_event(ringing)
    answered = answered_event(CALL)
    ended = ended_event(CALL, Ending(Cause.HUNG_UP, 1_900_000_064.5, by="200"))
    nothing = {"reason": "", "status": "", "ringSeconds": "", "talkSeconds": "", "by": ""}
    assert started == ABOUT | nothing | {"event": "call-started", "time": "1900000000", "calleePhone": ""}
    assert answered == ABOUT | nothing | {
        "event": "call-answered",
        "time": "1900000004",
        "calleePhone": "2" * 24,
        "ringSeconds": "4.500",
    }
    assert ended == ABOUT | {
        "event": "call-ended",
        "reason": "hung-up",
        "time": "1900000064",
        "calleePhone": "2" * 24,
        "status": "",
        "ringSeconds": "4.500",
        "talkSeconds": "59.750",
        "by": "200",
    }


def test_the_end_of_a_call_that_nobody_took() -> None:
    ringing = replace(CALL, answered_at=0.0)
    ended = ended_event(ringing, Ending(Cause.BUSY, 1_900_000_002.0, 486))
    assert (ended["reason"], ended["status"], ended["ringSeconds"]) == ("busy", "486", "1.750")
    assert ended["talkSeconds"] == ""


def test_a_clock_that_was_set_back_makes_no_time() -> None:
    assert ended_event(CALL, Ending(Cause.LOST, 1_800_000_000.0))["talkSeconds"] == "0.000"
