"""Which message belongs to which transaction: sections 9.2, 17.1.3 and 17.2.3 of RFC 3261."""

import pytest

from registrar.errors import MalformedMessage
from registrar.sip import Headers, Request, Response, parse
from registrar.transaction.key import cancelled_key, client_key, server_key
from tests.every import every

from .playbook import BRANCH, Playbook, request, response

NEW = request("REGISTER", to_tag="t")
OLD = request("REGISTER", branch="1", to_tag="t")


def changed(message: Request, piece: str, other: str) -> Request:
    """The same request with a piece of its text replaced."""
    text = bytes(message).decode()
    assert piece in text
    again = parse(text.replace(piece, other).encode())
    assert isinstance(again, Request)
    return again


@pytest.mark.parametrize(
    ("piece", "other"),
    [
        pytest.param("a84b4c76e66710", "another", id="Call-ID"),
        pytest.param("CSeq: 1", "CSeq: 2", id="CSeq number"),
        pytest.param("1928301774", "another", id="From tag"),
        pytest.param(";tag=t", "", id="To tag"),
        pytest.param("REGISTER sip:bob", "REGISTER sip:carol", id="Request-URI"),
        pytest.param(f";branch={BRANCH}", f";rport;branch={BRANCH};x=y", id="other parameters of Via"),
        pytest.param("SIP/2.0/UDP", "SIP/2.0/TCP", id="transport"),
    ],
)
def test_with_the_magic_cookie_nothing_else_counts(piece: str, other: str) -> None:
    assert server_key(changed(NEW, piece, other)) == server_key(NEW)


@pytest.mark.parametrize(
    ("piece", "other"),
    [
        pytest.param(BRANCH, BRANCH + "2", id="branch"),
        pytest.param("10.0.0.7:5060", "10.0.0.8:5060", id="sent-by host"),
        pytest.param("10.0.0.7:5060", "10.0.0.7:5062", id="sent-by port"),
        pytest.param("10.0.0.7:5060", "10.0.0.7", id="sent-by without port"),
        pytest.param("REGISTER", "OPTIONS", id="method"),
    ],
)
def test_branch_sent_by_and_method_tell_transactions_apart(piece: str, other: str) -> None:
    assert server_key(changed(NEW, piece, other)) != server_key(NEW)


def test_the_host_of_sent_by_has_no_case() -> None:
    assert server_key(request("OPTIONS", sent_by="PC.Example.org")) == server_key(
        request("OPTIONS", sent_by="pc.example.ORG")
    )


def test_an_ack_belongs_to_its_invite() -> None:
    assert server_key(request("ACK", to_tag="b")) == server_key(request("INVITE"))


def test_a_cancel_is_a_transaction_of_its_own_and_names_its_invite() -> None:
    assert server_key(request("CANCEL")) != server_key(request("INVITE"))
    assert cancelled_key(request("CANCEL")) == server_key(request("INVITE"))
    for other in (
        request("CANCEL", branch="z9hG4bKother"),
        request("CANCEL", sent_by="10.0.0.8:5060"),
    ):
        assert cancelled_key(other) != server_key(request("INVITE"))
    assert cancelled_key(request("CANCEL")) != server_key(request("REGISTER"))


@pytest.mark.parametrize("branch", ["", "1", "z9hG4bK"])
def test_without_the_magic_cookie_the_same_request_is_known_again(branch: str) -> None:
    key = server_key(request("REGISTER", branch=branch))
    assert server_key(request("REGISTER", branch=branch)) == key


@every(
    ("piece", "other"),
    [
        pytest.param("a84b4c76e66710", "another", id="Call-ID"),
        pytest.param("CSeq: 1", "CSeq: 2", id="CSeq number"),
        pytest.param("REGISTER", "OPTIONS", id="method"),
        pytest.param("1928301774", "another", id="From tag"),
        pytest.param(";tag=t", ";tag=u", id="To tag"),
        pytest.param(";tag=t", "", id="no To tag"),
        pytest.param("REGISTER sip:bob", "REGISTER sip:carol", id="Request-URI"),
        pytest.param("10.0.0.7:5060", "10.0.0.8:5060", id="sent-by"),
        pytest.param("SIP/2.0/UDP", "SIP/2.0/TCP", id="transport"),
        pytest.param(";branch=1", ";branch=2", id="branch"),
        pytest.param(";branch=1", ";branch=1;ttl=1", id="parameter of Via"),
    ],
)
def test_without_the_magic_cookie_each_of_these_counts(piece: str, other: str) -> None:
    assert server_key(changed(OLD, piece, other)) != server_key(OLD)


@pytest.mark.parametrize(
    ("piece", "other"),
    [
        pytest.param("Alice <", "Alicia <", id="display name"),
        pytest.param("Max-Forwards: 70", "Max-Forwards: 69", id="Max-Forwards"),
        pytest.param(";branch=1", ";rport=4;branch=1;received=192.0.2.9", id="what the server notes in Via"),
    ],
)
def test_without_the_magic_cookie_these_do_not_count(piece: str, other: str) -> None:
    assert server_key(changed(OLD, piece, other)) == server_key(OLD)


def test_without_the_magic_cookie_an_ack_and_a_cancel_find_the_invite() -> None:
    invite = server_key(request("INVITE", branch=""))
    assert server_key(request("ACK", branch="", to_tag="b")) == invite
    assert cancelled_key(request("CANCEL", branch="")) == invite
    assert server_key(request("CANCEL", branch="")) != invite
    assert cancelled_key(request("CANCEL", branch="", cseq=2)) != invite


def test_a_response_belongs_to_the_request_with_its_branch_and_method() -> None:
    invite, cancel = request("INVITE"), request("CANCEL")
    assert client_key(response(invite, 200)) == client_key(invite)
    assert client_key(response(cancel, 200)) == client_key(cancel)
    assert client_key(invite) != client_key(cancel)
    assert client_key(invite) != client_key(request("INVITE", branch="z9hG4bKother"))


def test_our_request_to_ourselves_makes_two_transactions_with_two_keys() -> None:
    book = Playbook()
    options = request("OPTIONS")
    sent = book.ask(options)
    came = book.accept(options)
    assert sent != came
    assert len(book.layer) == 2
    assert book.respond(came, 200) == ["send 200"]
    assert book.answered(sent, 200) == ["answered 200"]


def test_a_message_without_via_or_cseq_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        server_key(Request("OPTIONS", "sip:example.org", Headers()))
    with pytest.raises(MalformedMessage):
        client_key(Response(200, "OK", Headers()))
