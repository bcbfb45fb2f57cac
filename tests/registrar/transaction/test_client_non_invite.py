"""Figure 6 of RFC 3261, arrow by arrow."""

import pytest

from registrar.transaction import Answered, Failed, TimedOut

from .playbook import T1, T4, TICK, Playbook, flow, request, response

OPTIONS = request("OPTIONS")
E = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_the_request_is_sent() -> None:
    book = Playbook()
    book.ask(OPTIONS)
    assert len(book.layer) == 1


def test_trying_timer_e_sends_it_again_and_timer_f_gives_up() -> None:
    book = Playbook()
    book.ask(OPTIONS)
    assert book.wait(1000) == [*((at, "send OPTIONS") for at in E), (64 * T1, "timed out")]
    assert book.empty


def test_trying_over_a_reliable_transport_only_timer_f_runs() -> None:
    book = Playbook("tcp")
    key = book.ask(OPTIONS)
    assert book.layer.tick(book.now) == []
    book.wait(64 * T1 - TICK)
    assert book.layer.tick(book.layer.deadline() or book.now) == [TimedOut(key)]
    assert book.empty


def test_trying_to_terminated_a_transport_error_is_told() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    assert book.layer.failed(key, book.now) == [Failed(key)]
    assert book.empty
    assert book.layer.failed(key, book.now) == []


def test_trying_to_proceeding_a_provisional_is_passed_on() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    assert book.answered(key, 100) == ["answered 100"]
    assert book.answered(key, 183) == ["answered 183"]


def test_proceeding_timer_e_goes_on_at_t2_and_timer_f_gives_up() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    assert book.wait(0.6) == [(0.5, "send OPTIONS")]
    book.answered(key, 100)
    sent = [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert book.wait(1000) == [*((at, "send OPTIONS") for at in sent), (64 * T1, "timed out")]
    assert book.empty


def test_proceeding_to_terminated_a_transport_error_is_told() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    book.answered(key, 100)
    assert book.fails(key) == ["failed"]
    assert book.empty


@pytest.mark.parametrize("status", [200, 302, 404, 500, 600])
def test_trying_to_completed_a_final_is_passed_on(status: int) -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    got = response(OPTIONS, status)
    back = flow(port=1)
    assert book.layer.receive(got, back, book.now) == [Answered(got, back, key)]


def test_proceeding_to_completed_a_final_is_passed_on() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    book.answered(key, 100)
    assert book.answered(key, 200) == ["answered 200"]


def test_completed_absorbs_what_comes_again() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    book.answered(key, 200)
    assert book.answered(key, 200) == []
    assert book.answered(key, 100) == []
    assert book.layer.unmatched == 0


def test_completed_has_nothing_to_fail() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    book.answered(key, 200)
    assert book.fails(key) == []
    assert book.empty


def test_completed_to_terminated_after_timer_k() -> None:
    book = Playbook()
    key = book.ask(OPTIONS)
    book.wait(1)
    book.answered(key, 200)
    assert book.layer.deadline() == 1 + T4
    assert book.wait(T4) == []
    assert book.empty
    assert book.answered(key, 200) == []
    assert book.layer.unmatched == 1


def test_completed_ends_at_once_over_a_reliable_transport() -> None:
    book = Playbook("wss")
    key = book.ask(OPTIONS)
    assert book.answered(key, 100) == ["answered 100"]
    assert book.answered(key, 200) == ["answered 200"]
    assert book.empty


@pytest.mark.parametrize("provisional", [False, True])
def test_a_closed_connection_ends_it(provisional: bool) -> None:
    book = Playbook("tcp")
    key = book.ask(OPTIONS)
    if provisional:
        book.answered(key, 100)
    assert book.layer.closed(book.flow, book.now) == [Failed(key)]
    assert book.empty
