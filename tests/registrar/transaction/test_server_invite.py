"""Figure 7 of RFC 3261 as RFC 6026 section 7.1 draws it, arrow by arrow."""

import pytest

from registrar.transaction import Deliver, Failed, Send

from .playbook import BRANCH, T1, T4, TICK, Playbook, flow, request, response, said, words

INVITE = request("INVITE")
ACK = request("ACK", to_tag="b")
ACK_OF_2XX = request("ACK", to_tag="b", branch="z9hG4bKother")
G = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_the_invite_is_passed_to_the_handler() -> None:
    book = Playbook()
    assert book.comes(INVITE) is None
    book.accept(INVITE)
    assert len(book.layer) == 1
    assert book.layer.accept(INVITE, book.flow, book.now) is None


def test_proceeding_a_silent_handler_gets_a_100_within_200_ms() -> None:
    book = Playbook()
    book.accept(INVITE)
    assert book.comes(INVITE) == []
    assert book.wait(100) == [(0.15, "send 100")]
    assert book.comes(INVITE) == ["send 100"]


def test_the_100_repeats_the_timestamp_and_has_no_tag() -> None:
    book = Playbook()
    invite = request("INVITE", more="Timestamp: 54\r\n")
    key = book.accept(invite)
    (trying,) = book.layer.tick(book.layer.deadline() or book.now)
    assert isinstance(trying, Send)
    assert trying.key == key
    assert b"\r\nTimestamp: 54\r\n" in trying.data
    assert b"\r\nTo: Bob <sip:bob@example.org>\r\n" in trying.data


def test_proceeding_a_handler_that_speaks_in_time_needs_no_100() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.wait(0.199)
    assert book.respond(key, 180) == ["send 180"]
    assert book.wait(1000) == []


def test_proceeding_sends_every_provisional_and_repeats_the_newest() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    assert book.respond(key, 100) == ["send 100"]
    assert book.respond(key, 180) == ["send 180"]
    assert book.comes(INVITE) == ["send 180"]
    assert book.comes(INVITE) == ["send 180"]


def test_proceeding_an_ack_means_nothing() -> None:
    book = Playbook()
    book.accept(INVITE)
    assert book.comes(ACK) == []


def test_proceeding_a_transport_error_is_told_and_the_state_stays() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 180)
    assert book.fails(key) == ["failed"]
    assert book.comes(INVITE) == ["send 180"]


@pytest.mark.parametrize("status", [302, 486, 503, 603])
def test_proceeding_to_completed_a_refusal_is_sent(status: int) -> None:
    book = Playbook()
    key = book.accept(INVITE)
    assert book.respond(key, status) == [f"send {status}"]
    assert book.comes(INVITE) == [f"send {status}"]
    assert book.respond(key, 500) == []
    assert book.respond(key, 200) == []


def test_accepted_the_2xx_is_repeated_when_its_sender_says_it_again() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    assert book.layer.repeat(key) == []
    book.respond(key, 200)
    for _ in range(2):
        assert [words(action) for action in book.layer.repeat(key)] == ["send 200"]
    book.wait(64 * T1)
    assert book.layer.repeat(key) == []


def test_completed_a_refusal_is_no_2xx_to_repeat() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 486)
    assert book.layer.repeat(key) == []


def test_completed_timer_g_repeats_the_refusal_and_timer_h_gives_up() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    assert book.wait(10) == [(0.15, "send 100")]
    book.respond(key, 486)
    assert book.wait(1000) == [*((10 + at, "send 486") for at in G), (10 + 64 * T1, "timed out")]
    assert book.empty


def test_completed_over_a_reliable_transport_waits_in_silence_for_the_ack() -> None:
    book = Playbook("tls")
    key = book.accept(INVITE)
    book.respond(key, 486)
    assert book.wait(1000) == [(64 * T1, "timed out")]
    assert book.empty


def test_completed_a_transport_error_is_told_and_the_state_stays() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 486)
    assert book.fails(key) == ["failed"]
    assert book.wait(T1) == [(T1, "send 486")]


def test_completed_to_confirmed_the_ack_ends_the_retransmissions() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 486)
    book.wait(0.7)
    assert book.comes(ACK) == []
    assert book.wait(T4 - TICK) == []
    assert len(book.layer) == 1


def test_confirmed_swallows_what_comes_again() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 486)
    book.comes(ACK)
    assert book.comes(ACK) == []
    assert book.comes(INVITE) == []
    assert book.respond(key, 486) == []


def test_confirmed_to_terminated_after_timer_i() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 486)
    book.comes(ACK)
    assert book.wait(T4) == [(T4, "ended")]
    assert book.empty
    assert book.comes(ACK) is None


def test_confirmed_ends_at_once_over_a_reliable_transport() -> None:
    book = Playbook("tcp")
    key = book.accept(INVITE)
    book.respond(key, 486)
    assert book.comes(ACK) == ["ended"]
    assert book.empty


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_proceeding_to_accepted_a_2xx_is_sent_once_and_lives_until_timer_l(transport: str) -> None:
    book = Playbook(transport)
    key = book.accept(INVITE)
    assert book.respond(key, 200) == ["send 200"]
    assert book.wait(64 * T1 - TICK) == []
    assert book.wait(TICK) == [(64 * T1, "ended")]
    assert book.empty
    assert book.respond(key, 200) == []


def test_accepted_swallows_the_invite_that_comes_again() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 180)
    book.respond(key, 200)
    assert book.comes(INVITE) == []


def test_accepted_sends_every_2xx_of_the_handler_and_nothing_else() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 200)
    assert book.respond(key, 200) == ["send 200"]
    assert book.respond(key, 180) == []
    assert book.respond(key, 486) == []


def test_accepted_passes_an_ack_to_the_handler() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 200)
    elsewhere = flow(port=4242)
    assert book.layer.absorb(ACK, elsewhere, book.now) == [Deliver(ACK, elsewhere, key)]
    assert said(book.layer.absorb(ACK, elsewhere, book.now)) == ["deliver ACK"]


def test_the_usual_ack_of_a_2xx_is_known_to_nobody_here() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 200)
    assert book.comes(ACK_OF_2XX) is None


def test_accepted_a_transport_error_is_told_and_the_state_stays() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 200)
    assert book.fails(key) == ["failed"]
    assert book.respond(key, 200) == ["send 200"]


@pytest.mark.parametrize("status", [0, 180, 200, 486])
def test_a_closed_connection_ends_it_whatever_its_state(status: int) -> None:
    book = Playbook("ws")
    key = book.accept(INVITE)
    if status:
        book.respond(key, status)
    assert book.layer.closed(book.flow, book.now) == [Failed(key)]
    assert book.empty
    assert book.respond(key, 200) == []
    assert book.layer.closed(book.flow, book.now) == []


def test_an_rfc_2543_ack_is_known_by_the_tag_of_the_answer() -> None:
    book = Playbook()
    key = book.accept(request("INVITE", branch=""))
    book.respond(key, 486, to_tag="ours")
    assert book.comes(request("INVITE", branch="")) == ["send 486"]
    assert book.comes(request("ACK", branch="", to_tag="theirs")) is None
    assert book.comes(request("ACK", branch="", to_tag="ours", cseq=2)) is None
    assert book.comes(request("ACK", branch="", to_tag="ours")) == []
    assert book.wait(T4) == [(T4, "ended")]


def test_an_ack_with_the_branch_needs_no_tag() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    book.respond(key, 486, to_tag="ours")
    assert book.comes(request("ACK", branch=BRANCH, to_tag="theirs")) == []
    assert book.wait(T4) == [(T4, "ended")]


def test_the_answers_are_the_bytes_of_the_handler() -> None:
    book = Playbook()
    key = book.accept(INVITE)
    busy = response(INVITE, 486)
    sent = [Send(bytes(busy), book.flow, key)]
    assert book.layer.respond(key, busy, book.now) == sent
    assert book.layer.absorb(INVITE, flow(port=1), book.now) == sent
    assert book.layer.tick(book.layer.deadline() or book.now) == sent
