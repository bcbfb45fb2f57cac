"""The table of transactions: its limit, closed connections, CANCEL, and that nothing stays in it."""

from dataclasses import replace
from random import Random

import pytest

from registrar.model import Flow, Mono
from registrar.transaction import Answered, Failed, Layer, Send, TableFull, server_key
from tests.every import every

from .playbook import BRANCH, T1, TICK, Playbook, flow, request, response


def test_a_new_layer_waits_for_nothing() -> None:
    layer = Layer()
    assert len(layer) == 0
    assert layer.deadline() is None
    assert layer.tick(Mono(1e9)) == []


def test_a_full_table_refuses_a_new_request_and_absorbs_a_known_one() -> None:
    book = Playbook(limit=2)
    book.accept(request("REGISTER", branch="z9hG4bK1"))
    key = book.accept(request("INVITE", branch="z9hG4bK2"))
    with pytest.raises(TableFull):
        book.layer.accept(request("REGISTER", branch="z9hG4bK3"), book.flow, book.now)
    with pytest.raises(TableFull):
        book.layer.request(request("OPTIONS", branch="z9hG4bK3"), book.flow, book.now)
    assert book.comes(request("REGISTER", branch="z9hG4bK1")) == []
    assert book.respond(key, 200) == ["send 200"]
    assert len(book.layer) == 2


def test_a_known_request_is_known_in_a_full_table_too() -> None:
    book = Playbook(limit=1)
    book.accept(request("REGISTER"))
    assert book.layer.accept(request("REGISTER"), book.flow, book.now) is None


def test_there_is_room_again_when_one_is_over() -> None:
    book = Playbook(limit=1)
    key = book.accept(request("REGISTER", branch="z9hG4bK1"))
    book.respond(key, 200)
    book.wait(64 * T1)
    book.accept(request("REGISTER", branch="z9hG4bK2"))


def test_a_request_with_the_branch_of_another_is_a_mistake_of_ours() -> None:
    book = Playbook()
    book.ask(request("OPTIONS"))
    with pytest.raises(ValueError, match="a branch must be new"):
        book.layer.request(request("OPTIONS"), book.flow, book.now)


def test_a_response_to_nothing_is_dropped_and_counted() -> None:
    book = Playbook()
    assert book.layer.receive(response(request("OPTIONS"), 200), book.flow, book.now) == []
    assert book.layer.unmatched == 1


@pytest.mark.parametrize("method", ["NOTIFY", "INVITE"])
@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_from_another_address_is_dropped_and_the_true_one_counts(
    method: str, status: int
) -> None:
    book = Playbook()
    asked = request(method)
    key, got = book.ask(asked), response(asked, status)
    elsewhere = [
        replace(book.flow, remote_ip="198.51.100.66"),
        replace(book.flow, remote_port=6),
        flow("tcp"),
    ]
    for other in elsewhere:
        assert book.layer.receive(got, other, book.now) == []
    assert (book.layer.strayed, book.layer.strange) == (len(elsewhere), 0)
    same = replace(book.flow, local_ip="192.0.2.2", id=8)
    assert Answered(got, same, key) in book.layer.receive(got, same, book.now)


def test_behind_an_edge_it_is_the_edge_that_answers() -> None:
    layer, now = Layer(), Mono(0.0)
    sent = replace(flow(), hop_ip="192.0.2.201", hop_port=5060)
    edge = replace(flow(), remote_ip="192.0.2.201", remote_port=5060)
    asked = request("NOTIFY")
    key, _ = layer.request(asked, sent, now)
    got = response(asked, 401)
    assert layer.receive(got, flow(), now) == [], "the phone itself did not get it"
    assert Answered(got, edge, key) in layer.receive(got, edge, now)
    assert (layer.strange, layer.strayed) == (0, 1)


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_of_another_node_may_come_from_another_of_its_addresses(status: int) -> None:
    """A node that listens on 0.0.0.0 answers from the address of the route back."""
    nodes = [(flow().remote_ip, flow().remote_port)]
    layer = Layer(is_node=lambda ip, port: (ip, port) in nodes)
    other, now = replace(flow(), remote_ip="198.51.100.10"), Mono(0.0)
    asked = request("NOTIFY")
    key, _ = layer.request(asked, flow(), now)
    got = response(asked, status)
    assert layer.receive(got, flow("tcp"), now) == []
    assert Answered(got, other, key) in layer.receive(got, other, now)
    assert (layer.strange, layer.strayed) == (1, 1)
    nodes.clear()
    again = request("NOTIFY", branch=f"{BRANCH}2")
    layer.request(again, flow(), now)
    assert layer.receive(response(again, status), other, now) == []


def test_a_challenge_over_another_connection_is_dropped() -> None:
    book = Playbook("tcp")
    asked = request("NOTIFY")
    key = book.ask(asked)
    got = response(asked, 401)
    assert book.layer.receive(got, replace(book.flow, id=8), book.now) == []
    assert book.layer.receive(got, book.flow, book.now) == [Answered(got, book.flow, key)]


def test_an_answer_to_nothing_is_dropped() -> None:
    book = Playbook()
    key = book.accept(request("REGISTER"))
    book.wait(64 * T1)
    assert book.respond(key, 200) == []


def test_an_ack_of_nothing_is_known_to_nobody() -> None:
    assert Playbook().comes(request("ACK")) is None


def test_a_key_that_was_made_already_serves_as_well() -> None:
    layer, asked = Playbook().layer, request("REGISTER")
    key = server_key(asked)
    assert layer.accept(asked, flow("udp"), Mono(0), key) == key
    assert layer.absorb(asked, flow("udp"), Mono(0), key) == []
    assert layer.accept(asked, flow("udp"), Mono(0)) is None


def test_a_cancel_has_a_transaction_of_its_own() -> None:
    book = Playbook()
    book.accept(request("INVITE"))
    key = book.accept(request("CANCEL"))
    assert book.respond(key, 200) == ["send 200"]
    assert book.comes(request("CANCEL")) == ["send 200"]


def test_the_same_branch_of_another_sender_is_another_transaction() -> None:
    book = Playbook()
    book.accept(request("REGISTER"))
    book.accept(request("REGISTER", sent_by="10.0.0.8:5060"))
    assert len(book.layer) == 2


def test_a_closed_connection_ends_what_is_on_it_in_order_and_nothing_else() -> None:
    book = Playbook("tcp")
    one, other = flow("tcp", number=1), flow("tcp", number=2)
    book.flow = one
    register = book.accept(request("REGISTER", branch="z9hG4bK1"))
    invite = book.accept(request("INVITE", branch="z9hG4bK2"))
    options = book.ask(request("OPTIONS", branch="z9hG4bK3"))
    book.flow = other
    book.accept(request("REGISTER", branch="z9hG4bK4"))
    assert book.layer.closed(one, book.now) == [Failed(register), Failed(invite), Failed(options)]
    assert len(book.layer) == 1
    assert book.layer.closed(one, book.now) == []
    assert len(book.layer.closed(other, book.now)) == 1
    assert book.empty


def test_the_answer_to_a_request_on_a_closed_connection_goes_nowhere() -> None:
    book = Playbook("tcp")
    key = book.accept(request("REGISTER"))
    book.layer.closed(book.flow, book.now)
    assert book.respond(key, 200) == []


def test_udp_is_no_connection_that_could_close() -> None:
    book = Playbook()
    book.accept(request("REGISTER"))
    assert book.layer.closed(book.flow, book.now) == []
    assert len(book.layer) == 1


def test_a_failure_of_what_is_over_is_no_news() -> None:
    book = Playbook("tcp")
    key = book.accept(request("REGISTER"))
    book.respond(key, 200)
    assert book.fails(key) == []


def test_a_late_tick_sends_once_and_starts_from_there() -> None:
    book = Playbook()
    options = request("OPTIONS")
    key = book.ask(options)
    assert book.layer.tick(Mono(10)) == [Send(bytes(options), book.flow, key)]
    assert book.layer.deadline() == 11.0


def test_the_deadline_is_that_of_the_next_one_of_any_kind() -> None:
    book = Playbook()
    quick = book.accept(request("REGISTER", branch="z9hG4bK1"))
    assert book.layer.deadline() == 64 * T1
    book.respond(quick, 200)
    assert book.layer.deadline() == 64 * T1
    book.wait(1)
    book.accept(request("REGISTER", branch="z9hG4bK2"))
    assert book.layer.deadline() == 64 * T1
    key = book.ask(request("OPTIONS", branch="z9hG4bK3"))
    assert book.layer.deadline() == 1 + T1
    book.answered(key, 200)
    assert book.layer.deadline() == 6.0
    book.wait(31 - TICK)
    assert book.layer.deadline() == 64 * T1
    book.wait(1)
    assert book.layer.deadline() == 1 + 64 * T1


@every("seed", range(20))
def test_whatever_happens_nothing_is_left_after_all_deadlines(seed: int) -> None:
    random = Random(seed)
    book = Playbook(limit=30)
    methods = ("INVITE", "REGISTER", "OPTIONS", "CANCEL")
    for _ in range(1_000):
        message = request(
            random.choice(methods), branch=random.choice(("", "z9hG4bK")) + str(random.randrange(12))
        )
        book.flow = flow(random.choice(("udp", "tcp", "wss")), number=random.randrange(3))
        keys = list(book.requests)
        match random.randrange(8):
            case 0 | 1 if book.comes(message) is None and len(book.layer) < 30:
                book.accept(message)
            case 2:
                book.comes(request("ACK", branch=f"z9hG4bK{random.randrange(12)}", to_tag="b"))
            case 3 if len(book.layer) < 30 and f"{message.method} {message.via.branch}" not in keys:
                book.ask(message)
            case 4 | 5 if keys:
                key = random.choice(keys)
                status = random.choice((100, 180, 200, 408, 486))
                book.respond(key, status)
                book.answered(key, status)
            case 6 if keys:
                book.fails(random.choice(keys))
            case _:
                book.layer.closed(book.flow, book.now)
        book.wait(random.choice((0, 0, 0.3, 0.5, 3)))
    for key in book.requests:
        book.respond(key, 500)
        book.answered(key, 500)
    book.wait(1_000)
    assert book.empty
    assert not book.layer._by_connection
    assert not book.layer._answered


@every("method", ["INVITE", "OPTIONS"])
@every("heard", [False, True])
@every("transport", ["udp", "tcp"])
def test_a_request_that_nobody_waits_for_is_forgotten(method: str, heard: bool, transport: str) -> None:
    book = Playbook(transport)
    key = book.ask(request(method))
    if heard:
        book.answered(key, 180)
    book.layer.forget(key)
    assert len(book.layer) == 0
    assert book.wait(200) == []
    assert book.layer.receive(response(request(method), 200), book.flow, book.now) == []
    assert book.layer.unmatched == 1
    assert book.layer.closed(book.flow, book.now) == []


def test_what_is_not_there_can_be_forgotten() -> None:
    book = Playbook()
    key = book.ask(request("OPTIONS"))
    book.layer.forget(key)
    book.layer.forget(key)
    server = book.accept(request("REGISTER", branch="z9hG4bK2"))
    book.layer.forget(server)
    assert len(book.layer) == 1, "only requests of ours are"


@pytest.mark.parametrize("way", [flow("tcp", number=8), flow("udp"), flow("wss")])
def test_a_response_to_a_request_over_a_connection_is_believed_there_only(way: Flow) -> None:
    book = Playbook("tcp")
    key = book.ask(request("OPTIONS"))
    answer = response(book.requests[key], 200)
    assert book.layer.receive(answer, way, book.now) == []
    assert (book.layer.strayed, book.layer.unmatched) == (1, 0)
    assert book.answered(key, 200) == ["answered 200"]


def test_a_response_over_udp_from_another_address_counts_and_is_counted() -> None:
    book = Playbook()
    key = book.ask(request("OPTIONS"))
    assert book.layer.receive(response(book.requests[key], 200), flow(port=9), book.now) != []
    assert (book.layer.strange, book.layer.strayed) == (1, 0)
