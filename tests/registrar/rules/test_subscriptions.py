"""registrar/rules/subscriptions.py: how long, how often, and what the answers mean (RFC 6665)."""

import pytest

from registrar.model import Process
from registrar.rules.subscriptions import (
    AGAIN_SECONDS,
    MAX_OPEN,
    MAX_PAUSES,
    NEVER,
    TAKEOVER_STEP,
    Event,
    Fate,
    Pace,
    Subscription,
    active,
    fate,
    granted,
    no_messages,
    notify,
    read_event,
    taken_over,
    terminated,
)
from registrar.rules.tokens import DialogHandle, Target
from registrar.sip import MAX_CSEQ, Request, check, parse
from tests.every import every

TARGET = Target("id-a", "sip:a@10.0.0.7", "udp", "n", "g", 0, "10.0.0.7", 5060)
ONE = Subscription(
    id="1",
    phone="id-a",
    customer="acme",
    person="p",
    package="dialog",
    event_id="",
    entity="sip:201@acme.test",
    word="201",
    target="t",
    device="d",
    call_id="c",
    local_tag="ours",
    remote_tag="theirs",
    handle=DialogHandle(TARGET, "<sip:201@acme.test>", '"Ann" <sip:200@acme.test>'),
    expires_at=1_000.0,
    cseq=4,
    version=5,
    process=Process("a", "1"),
)


def subscribe(*lines: str) -> Request:
    head = ["SUBSCRIBE sip:201@acme.test SIP/2.0", "Via: SIP/2.0/UDP h;branch=z9hG4bK1", *lines]
    made = parse(("\r\n".join(head) + "\r\n\r\n").encode())
    assert isinstance(made, Request)
    return made


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("Event: dialog", Event("dialog")),
        ("o: Dialog ;id=a1;sla", Event("dialog", "a1")),
        ("Event: presence.winfo", Event("presence.winfo")),
        ("Event: ;id=1", None),
        ("Event: dialog;=", None),
        ("X: y", None),
    ],
)
def test_the_event_of_a_request(line: str, event: Event | None) -> None:
    assert read_event(subscribe(line)) == event
    assert event is None or read_event(subscribe(f"Event: {event}")) == event


@every(
    ("asked", "seconds"),
    [
        ("0", 0),
        ("1", 60),
        ("60", 60),
        ("600", 600),
        ("3601", 3600),
        ("9" * 30, 3600),
        ("-1", 3600),
        ("²", 3600),
    ],
)
def test_the_time_that_is_granted(asked: str, seconds: int) -> None:
    assert granted(subscribe(f"Expires: {asked}")) == seconds


def test_without_a_time_an_hour_is_granted() -> None:
    assert granted(subscribe()) == 3_600


@every(
    ("status", "outcome"),
    [
        (200, Fate.DELIVERED),
        (202, Fate.DELIVERED),
        (404, Fate.ENDED),
        (410, Fate.ENDED),
        (481, Fate.ENDED),
        (489, Fate.ENDED),
        (408, Fate.UNANSWERED),
        (430, Fate.UNANSWERED),
        (503, Fate.UNANSWERED),
        (401, Fate.REFUSED),
        (603, Fate.REFUSED),
    ],
)
def test_what_an_answer_means(status: int, outcome: Fate) -> None:
    assert fate(status) is outcome


def test_the_first_change_leaves_at_once_and_the_next_a_second_later() -> None:
    pace = Pace()
    assert pace.due() == NEVER
    pace = pace.changed()
    assert pace.due() == 0.0
    pace = pace.sent(100.0)
    assert pace.due() == NEVER
    pace = pace.changed()
    assert pace.due() == 101.0
    assert pace.settled().due() == NEVER
    assert pace.asked().due() == 0.0, "a SUBSCRIBE does not wait"


def test_what_is_not_answered_is_sent_again_after_longer_and_longer_pauses() -> None:
    pace, now = Pace().changed(), 100.0
    for count in range(MAX_PAUSES + 2):
        pace = pace.sent(now)
        now += 32
        pace = pace.answered(Fate.UNANSWERED, now)
        assert pace.due() == now + AGAIN_SECONDS * 2 ** min(count, MAX_PAUSES)
        now = pace.due()
    assert pace.changed().due() < now, "a change does not wait for the pause"
    assert pace.sent(now).answered(Fate.DELIVERED, now).due() == NEVER


def test_a_phone_that_does_not_answer_is_not_sent_more_and_more() -> None:
    pace = Pace()
    for at in range(MAX_OPEN):
        pace = pace.changed().sent(float(at))
    assert pace.changed().due() == NEVER
    assert pace.changed().answered(Fate.DELIVERED, 9.0).due() == MAX_OPEN


def test_numbers_rise_when_another_process_takes_over() -> None:
    assert taken_over(ONE, ONE.process) is ONE
    other = taken_over(ONE, Process("b", "1"))
    assert (other.cseq, other.version) == (4 + TAKEOVER_STEP, 5 + TAKEOVER_STEP)
    assert taken_over(other, Process("c", "1")).cseq == 4 + 2 * TAKEOVER_STEP
    far = Subscription(**{**{name: getattr(ONE, name) for name in ONE.__slots__}, "cseq": MAX_CSEQ - 1})
    assert taken_over(far, Process("b", "1")).cseq == MAX_CSEQ


def test_the_notify() -> None:
    via = "SIP/2.0/UDP h;branch=z9hG4bK2"
    made = notify(ONE, via=via, contact="<sip:s@h>", state=active(ONE, 400.4), body=b"<x/>", cseq=4)
    read = parse(bytes(made), exact=True)
    assert isinstance(read, Request)
    check(read)
    assert (read.method, read.target, read.body, read.cseq) == (
        "NOTIFY",
        TARGET.contact,
        b"<x/>",
        (4, "NOTIFY"),
    )
    assert dict(read.headers) == {
        "Via": via,
        "Max-Forwards": "70",
        "From": "<sip:201@acme.test>;tag=ours",
        "To": '"Ann" <sip:200@acme.test>;tag=theirs',
        "Call-ID": "c",
        "CSeq": "4 NOTIFY",
        "Contact": "<sip:s@h>",
        "Event": "dialog",
        "Subscription-State": "active;expires=600",
        "Content-Type": "application/dialog-info+xml",
        "Content-Length": "4",
    }


def test_the_states_of_a_subscription() -> None:
    assert active(ONE, 2_000.0) == "active;expires=0"
    assert terminated("timeout") == "terminated;reason=timeout"


def test_an_empty_mailbox() -> None:
    assert no_messages("sip:201@d") == (
        b"Messages-Waiting: no\r\nMessage-Account: sip:201@d\r\nVoice-Message: 0/0 (0/0)\r\n"
    )
