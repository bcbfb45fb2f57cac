"""transaction/share.py: the transactions of a customer, counted where the table adds and removes them."""

import pytest

from registrar.model import Flow, Mono
from registrar.sip import Request, answer, parse
from registrar.transaction import Layer, Share, ShareFull, TableFull

UDP = Flow("udp", "192.0.2.1", 5060, "198.51.100.7", 5060)
TCP = Flow("tcp", "192.0.2.1", 5060, "198.51.100.7", 40_000, 7)
NOW = Mono(100.0)


def request(number: int, method: str = "MESSAGE") -> Request:
    lines = (
        f"{method} sip:201@acme.test SIP/2.0",
        f"Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK{number}",
        "From: <sip:200@acme.test>;tag=a",
        "To: <sip:201@acme.test>",
        f"Call-ID: {number}",
        f"CSeq: 1 {method}",
        "Content-Length: 0",
    )
    message = parse(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    return message


def answered(layer: Layer, number: int, method: str, flow: Flow, share: Share) -> None:
    asked = request(number, method)
    key = layer.accept(asked, flow, NOW, share=share)
    assert key is not None
    layer.respond(key, answer(asked, 486), NOW)


def test_a_customer_has_so_many_and_no_more() -> None:
    layer = Layer()
    acme, other = layer.share("acme", 2), layer.share("other", 2)
    for number in (1, 2):
        layer.accept(request(number), UDP, NOW, share=acme)
    with pytest.raises(ShareFull):
        layer.accept(request(3), UDP, NOW, share=acme)
    with pytest.raises(ShareFull):
        layer.request(request(4, "INVITE"), UDP, NOW, "acme")
    layer.accept(request(5), UDP, NOW, share=other)
    layer.accept(request(6), UDP, NOW)
    layer.request(request(7, "INVITE"), UDP, NOW)
    assert (acme.open, other.open, len(layer)) == (2, 1, 5)


def test_a_full_share_is_a_full_table_for_those_who_do_not_know_shares() -> None:
    assert issubclass(ShareFull, TableFull)


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
@pytest.mark.parametrize("flow", [UDP, TCP], ids=["udp", "tcp"])
def test_a_transaction_that_is_over_gives_its_place_back(method: str, flow: Flow) -> None:
    layer = Layer()
    share = layer.share("acme", 10)
    answered(layer, 1, method, flow, share)
    for second in range(200):
        layer.tick(Mono(NOW + second))
    assert share.open == 0 == len(layer)


def test_one_without_an_answer_gives_it_back_too() -> None:
    layer = Layer()
    share = layer.share("acme", 10)
    layer.accept(request(1), UDP, NOW, share=share)
    layer.accept(request(2, "INVITE"), TCP, NOW, share=share)
    layer.accept(request(3), TCP, NOW, share=share)
    layer.request(request(4, "INVITE"), UDP, NOW, "acme")
    layer.request(request(5, "MESSAGE"), UDP, NOW, "acme")
    assert share.open == 5
    layer.closed(TCP, NOW)
    for second in range(200):
        layer.tick(Mono(NOW + second))
    assert share.open == len(layer)


def test_a_request_is_charged_when_its_sender_is_known() -> None:
    layer = Layer()
    share = layer.share("acme", 1)
    first, second = (layer.accept(request(number, "INVITE"), UDP, NOW) for number in (1, 2))
    assert first is not None and second is not None
    layer.charge(first, share)
    layer.charge(first, share)
    assert share.open == 1
    with pytest.raises(ShareFull):
        layer.charge(second, share)
    assert len(layer) == 2
