"""Figure 5 of RFC 3261 as RFC 6026 section 7.2 draws it, arrow by arrow."""

import pytest

from registrar.sip import Request, parse
from registrar.transaction import Answered, Ended, Failed, Send, TimedOut, Timers

from .playbook import BRANCH, T1, TICK, Playbook, flow, request, response

INVITE = request("INVITE", more="Route: <sip:p1.example.org;lr>\r\nRoute: <sip:p2.example.org;lr>\r\n")
A = [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]


def test_the_invite_is_sent() -> None:
    book = Playbook()
    book.ask(INVITE)
    assert len(book.layer) == 1


def test_calling_timer_a_sends_it_again_and_timer_b_gives_up() -> None:
    book = Playbook()
    book.ask(INVITE)
    assert book.wait(1000) == [*((at, "send INVITE") for at in A), (64 * T1, "timed out")]
    assert book.empty


def test_calling_over_a_reliable_transport_only_timer_b_runs() -> None:
    book = Playbook("tls")
    key = book.ask(INVITE)
    book.wait(64 * T1 - TICK)
    assert book.layer.tick(book.layer.deadline() or book.now) == [TimedOut(key)]
    assert book.empty


def test_calling_to_terminated_a_transport_error_is_told() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    assert book.layer.failed(key, book.now) == [Failed(key)]
    assert book.empty


def test_calling_to_proceeding_a_provisional_stops_both_timers() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    assert book.wait(0.5) == [(0.5, "send INVITE")]
    assert book.answered(key, 100) == ["answered 100"]
    assert book.wait(1000) == []
    assert book.layer.deadline() is None


def test_proceeding_passes_on_every_provisional() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    book.answered(key, 100)
    assert book.answered(key, 180) == ["answered 180"]
    assert book.answered(key, 180) == ["answered 180"]


@pytest.mark.parametrize("provisional", [False, True])
def test_calling_or_proceeding_to_completed_a_refusal_is_acknowledged_and_passed_on(
    provisional: bool,
) -> None:
    book = Playbook()
    key = book.ask(INVITE)
    if provisional:
        book.answered(key, 180)
    assert book.answered(key, 486) == ["send ACK", "answered 486"]


@pytest.mark.parametrize("provisional", [False, True])
def test_calling_or_proceeding_to_accepted_a_2xx_is_passed_on_without_ack(provisional: bool) -> None:
    book = Playbook()
    key = book.ask(INVITE)
    if provisional:
        book.answered(key, 180)
    got = response(INVITE, 200)
    assert book.layer.receive(got, flow(port=9), book.now) == [Answered(got, flow(port=9), key)]


def test_completed_acknowledges_the_refusal_that_comes_again() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    book.answered(key, 486)
    assert book.answered(key, 486) == ["send ACK"]
    assert book.answered(key, 180) == []
    assert book.answered(key, 200) == []


def test_completed_to_terminated_after_timer_d() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    book.wait(1)
    book.answered(key, 486)
    assert book.wait(32 - TICK) == []
    assert book.wait(TICK) == [(33, "ended")]
    assert book.empty
    assert book.answered(key, 486) == []
    assert book.layer.unmatched == 1


def test_timer_d_is_a_value_too() -> None:
    book = Playbook(timers=Timers(d=50))
    key = book.ask(INVITE)
    book.answered(key, 486)
    assert book.wait(1000) == [(50, "ended")]


def test_completed_to_terminated_an_ack_that_cannot_be_sent_is_told() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    book.answered(key, 486)
    assert book.fails(key) == ["failed"]
    assert book.empty


def test_completed_ends_at_once_over_a_reliable_transport() -> None:
    book = Playbook("tcp")
    key = book.ask(INVITE)
    assert book.answered(key, 486) == ["send ACK", "answered 486", "ended"]
    assert book.empty


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_accepted_to_terminated_after_timer_m(transport: str) -> None:
    book = Playbook(transport)
    key = book.ask(INVITE)
    book.answered(key, 200)
    assert book.wait(64 * T1 - TICK) == []
    assert book.wait(TICK) == [(64 * T1, "ended")]
    assert book.empty


def test_accepted_passes_on_every_2xx_of_a_fork_and_nothing_else() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    book.answered(key, 200, to_tag="one")
    assert book.answered(key, 200, to_tag="two") == ["answered 200"]
    assert book.answered(key, 200, to_tag="one") == ["answered 200"]
    assert book.answered(key, 180) == []
    assert book.answered(key, 486) == []


def test_the_ack_is_made_of_the_invite_and_the_to_of_the_response() -> None:
    book = Playbook()
    key = book.ask(INVITE)
    (sent, _) = book.layer.receive(response(INVITE, 486, to_tag="theirs"), flow(port=9), book.now)
    assert sent == Send(
        b"ACK sip:bob@example.org SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 10.0.0.7:5060;branch=" + BRANCH.encode() + b"\r\n"
        b"Max-Forwards: 70\r\n"
        b"From: Alice <sip:alice@example.org>;tag=1928301774\r\n"
        b"To: Bob <sip:bob@example.org>;tag=theirs\r\n"
        b"Call-ID: a84b4c76e66710\r\n"
        b"Route: <sip:p1.example.org;lr>\r\n"
        b"Route: <sip:p2.example.org;lr>\r\n"
        b"CSeq: 1 ACK\r\n"
        b"Content-Length: 0\r\n\r\n",
        book.flow,
        key,
    )


def test_the_ack_of_a_forwarded_invite_has_one_via() -> None:
    book = Playbook()
    forwarded = request("INVITE", more="Via: SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKcaller\r\n")
    book.ask(forwarded)
    (sent, _) = book.layer.receive(response(forwarded, 486), book.flow, book.now)
    assert isinstance(sent, Send)
    ack = parse(sent.data)
    assert isinstance(ack, Request)
    assert ack.headers.all("via") == [f"SIP/2.0/UDP 10.0.0.7:5060;branch={BRANCH}"]


@pytest.mark.parametrize("provisional", [False, True])
def test_a_closed_connection_ends_it(provisional: bool) -> None:
    book = Playbook("tcp")
    key = book.ask(INVITE)
    if provisional:
        book.answered(key, 180)
    assert book.layer.closed(book.flow, book.now) == [Failed(key)]
    assert book.empty


def test_a_closed_connection_is_no_failure_of_a_call_that_was_accepted() -> None:
    book = Playbook("tcp")
    key = book.ask(INVITE)
    book.answered(key, 200)
    assert book.layer.closed(book.flow, book.now) == [Ended(key)]
    assert book.empty
