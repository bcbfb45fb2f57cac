"""Figure 8 of RFC 3261, arrow by arrow, with RFC 4320 and section 8.8 of RFC 6026."""

import sys

import pytest

from registrar.transaction import Failed, Send, TimedOut, Timers

from .playbook import T1, TICK, Playbook, request, response, said

REGISTER = request("REGISTER")


def test_a_request_nobody_knows_is_passed_to_the_handler() -> None:
    book = Playbook()
    assert book.comes(REGISTER) is None
    assert len(book.layer) == 0
    book.accept(REGISTER)
    assert len(book.layer) == 1


def test_a_retransmission_that_waited_beside_the_first_makes_no_second_transaction() -> None:
    book = Playbook()
    book.accept(REGISTER)
    assert book.layer.accept(REGISTER, book.flow, book.now) is None
    assert len(book.layer) == 1


def test_trying_swallows_a_retransmission() -> None:
    book = Playbook()
    book.accept(REGISTER)
    assert book.comes(REGISTER) == []


def test_trying_to_proceeding_a_provisional_is_sent() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    assert book.respond(key, 100) == ["send 100"]


@pytest.mark.parametrize("status", [200, 302, 401, 503, 603])
def test_trying_to_completed_a_final_is_sent(status: int) -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    assert book.respond(key, status) == [f"send {status}"]
    assert len(book.layer) == 1


def test_proceeding_repeats_the_newest_provisional() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    book.respond(key, 100)
    assert book.comes(REGISTER) == ["send 100"]
    assert book.respond(key, 183) == ["send 183"]
    assert book.comes(REGISTER) == ["send 183"]


def test_proceeding_to_completed_a_final_is_sent() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    book.respond(key, 100)
    assert book.respond(key, 200) == ["send 200"]


def test_completed_repeats_the_final_byte_by_byte_to_where_it_went() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    first = book.layer.respond(key, response(REGISTER, 200), book.now)
    again = book.layer.absorb(REGISTER, book.flow, book.now)
    assert again == first == [Send(bytes(response(REGISTER, 200)), book.flow, key)]


def test_completed_discards_another_final() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    book.respond(key, 200)
    assert book.respond(key, 500) == []
    assert book.comes(REGISTER) == ["send 200"]


def test_completed_to_terminated_after_timer_j() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    assert book.wait(3) == []
    book.respond(key, 200)
    assert book.layer.deadline() == 3 + 64 * T1
    assert book.wait(64 * T1 - TICK) == []
    assert book.comes(REGISTER) == ["send 200"]
    assert book.wait(TICK) == []
    assert book.empty
    assert book.comes(REGISTER) is None


def test_completed_ends_at_once_over_a_reliable_transport() -> None:
    book = Playbook("tcp")
    key = book.accept(REGISTER)
    assert book.respond(key, 100) == ["send 100"]
    assert book.comes(REGISTER) == ["send 100"]
    assert book.respond(key, 200) == ["send 200"]
    assert book.empty


def test_a_transport_error_is_told_and_the_state_stays() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    book.respond(key, 200)
    assert book.layer.failed(key, book.now) == [Failed(key)]
    assert book.comes(REGISTER) == ["send 200"]


def test_a_408_is_never_sent() -> None:
    book = Playbook()
    key = book.accept(REGISTER)
    assert book.respond(key, 408) == []
    assert book.comes(REGISTER) == []
    assert book.wait(64 * T1) == [(64 * T1, "timed out")]
    assert book.empty


@pytest.mark.parametrize("transport", ["udp", "ws"])
def test_what_no_handler_answers_ends_when_the_client_listens_no_more(transport: str) -> None:
    book = Playbook(transport)
    key = book.accept(REGISTER)
    assert book.wait(64 * T1 - TICK) == []
    assert book.layer.tick(book.now) == []
    book.wait(0)
    assert book.layer.tick(book.layer.deadline() or book.now) == [TimedOut(key)]
    assert book.empty
    assert book.respond(key, 200) == []


def test_the_slow_one_does_not_hold_back_the_others() -> None:
    book = Playbook()
    book.accept(request("REGISTER", branch="z9hG4bKslow"))
    assert book.wait(1) == []
    quick = book.accept(request("REGISTER", branch="z9hG4bKquick"))
    book.respond(quick, 200)
    assert book.layer.deadline() == 64 * T1
    assert book.wait(64 * T1 - 1) == [(64 * T1, "timed out")]
    assert len(book.layer) == 1
    assert book.wait(1) == []
    assert book.empty


def test_nothing_of_the_request_is_kept() -> None:
    book = Playbook()
    message = request("REGISTER")
    before = sys.getrefcount(message)
    key = book.layer.accept(message, book.flow, book.now)
    assert key is not None
    assert said(book.layer.respond(key, response(message, 200), book.now)) == ["send 200"]
    assert sys.getrefcount(message) == before


def test_timers_are_a_value() -> None:
    book = Playbook(timers=Timers(t1=0.001))
    key = book.accept(REGISTER)
    book.respond(key, 200)
    assert book.layer.deadline() == 0.064
