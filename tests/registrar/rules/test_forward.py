"""registrar/rules/forward.py: Via, loops, and what a proxy says itself (RFC 3261 section 16.6)."""

import pytest

from registrar.model import Flow
from registrar.rules.forward import (
    COMPLETED_ELSEWHERE,
    COOKIE,
    CSEQ_MARGIN,
    TAKEN_ELSEWHERE,
    acknowledge,
    bye,
    cancel,
    in_dialog,
    is_loop,
    loop_mark,
    newer,
    shifted,
    via,
)
from registrar.sip import MAX_CSEQ, Request, Response, answer, check, parse, parse_via

from .words import request

KEY = b"k" * 32
OURS = "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKours;rport"


def invite(*, to: str = "sip:201@acme.test", more: str = "") -> Request:
    made = request("<sip:200@10.0.0.7>", method="INVITE", uri="sip:201@acme.test", to=to, more=more, cseq=7)
    made.headers.rows.insert(0, ("via", "Via", OURS))
    return wire(made)


def accepted(sent: Request) -> Response:
    return answer(sent, 200, headers=[("Contact", "<sip:201@10.0.0.8:5070>")], to_tag="callee")


def wire(message: Request) -> Request:
    """What arrives."""
    read = parse(bytes(message), exact=True)
    assert isinstance(read, Request)
    check(read)
    return read


@pytest.mark.parametrize(
    ("flow", "public_host", "text"),
    [
        pytest.param(Flow("udp", "192.0.2.10", 5060, "a", 1), "", "SIP/2.0/UDP 192.0.2.10:5060", id="IPv4"),
        pytest.param(
            Flow("tls", "2001:db8::1", 5061, "a", 1), "", "SIP/2.0/TLS [2001:db8::1]:5061", id="IPv6"
        ),
        pytest.param(
            Flow("wss", "10.0.0.1", 8443, "a", 1), "sip.test", "SIP/2.0/WSS sip.test:8443", id="named"
        ),
    ],
)
def test_our_via_leads_back_to_the_flow(flow: Flow, public_host: str, text: str) -> None:
    made = via(flow, public_host, f"{COOKIE}1")
    assert made == f"{text};branch=z9hG4bK1;rport"
    assert parse_via(made).branch == "z9hG4bK1"


def test_what_comes_back_unchanged_is_a_loop() -> None:
    first = invite()
    mark = loop_mark(KEY, first)
    assert mark.startswith(COOKIE)
    assert not is_loop(mark, first)
    again = invite(more=f"Via: SIP/2.0/TCP a.test;branch=z9hG4bKx, SIP/2.0/UDP b.test;branch={mark}abc\r\n")
    assert loop_mark(KEY, again) == mark
    assert is_loop(mark, again)


def test_a_mark_elsewhere_in_a_via_is_none() -> None:
    mark = loop_mark(KEY, invite())
    assert not is_loop(mark, invite(more=f"Via: SIP/2.0/TCP a.test;branch=z9hG4bKx;about={mark}\r\n"))
    broken = invite()
    broken.headers.add("Via", f"{mark} nonsense")
    assert not is_loop(mark, broken)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda: request(method="INVITE", uri="sip:202@acme.test", cseq=7), id="another target"),
        pytest.param(lambda: request(method="INVITE", uri="sip:201@acme.test", cseq=8), id="another CSeq"),
        pytest.param(
            lambda: request(method="INVITE", uri="sip:201@acme.test", cseq=7, call_id="x"), id="another call"
        ),
    ],
)
def test_what_comes_back_changed_is_none(changed) -> None:  # type: ignore[no-untyped-def]  # a table of lambdas
    assert loop_mark(KEY, changed()) != loop_mark(
        KEY, request(method="INVITE", uri="sip:201@acme.test", cseq=7)
    )


def test_who_has_another_key_makes_other_marks() -> None:
    assert loop_mark(KEY, invite()) != loop_mark(b"x" * 32, invite())


@pytest.mark.parametrize("reasons", [(), (COMPLETED_ELSEWHERE,), TAKEN_ELSEWHERE])
def test_a_cancel_is_of_one_branch(reasons: tuple[str, ...]) -> None:
    """Section 9.1: same Request-URI, Call-ID, To, From, CSeq number, Route, and the one Via."""
    sent = invite(more="Route: <sip:htoken@192.0.2.11:5060;lr>\r\n")
    made = wire(cancel(sent, reasons))
    assert (made.method, made.target, made.cseq) == ("CANCEL", sent.target, (7, "CANCEL"))
    assert [str(parse_via(row)) for row in made.headers.all("via")] == [OURS]
    for key in ("from", "to", "call-id", "route"):
        assert made.headers.all(key) == sent.headers.all(key)
    assert made.headers.all("reason") == list(reasons)
    assert "contact" not in made.headers


def test_an_ack_and_a_bye_end_what_nobody_wants() -> None:
    sent = invite()
    response = accepted(sent)
    ack = wire(acknowledge(sent, response, "sip:201@10.0.0.8:5070", "SIP/2.0/UDP a;branch=z9hG4bK1"))
    end = wire(bye(sent, response, "sip:201@10.0.0.8:5070", "SIP/2.0/UDP a;branch=z9hG4bK2", "SIP;cause=200"))
    assert (ack.method, ack.cseq, end.method, end.cseq) == (
        "ACK",
        (7, "ACK"),
        "BYE",
        (7 + CSEQ_MARGIN, "BYE"),
    )
    for made in (ack, end):
        assert made.target == "sip:201@10.0.0.8:5070"
        assert (made.from_.tag, made.to.tag, made.call_id) == ("a", "callee", sent.call_id)
        assert len(made.headers.all("via")) == 1
    assert end.headers.get("reason") == "SIP;cause=200"


def test_a_request_in_somebodys_name() -> None:
    made = wire(
        in_dialog(
            "BYE",
            "sip:x@10.0.0.8",
            "SIP/2.0/UDP a;branch=z9hG4bK3",
            "<sip:a@b>;tag=1",
            "<sip:c@d>;tag=2",
            "i",
            9,
            "r",
        )
    )
    assert (made.method, made.target, made.cseq) == ("BYE", "sip:x@10.0.0.8", (9, "BYE"))
    assert (made.from_.tag, made.to.tag, made.call_id, made.headers.get("reason")) == ("1", "2", "i", "r")


@pytest.mark.parametrize(("cseq", "number"), [(1, 10_001), (MAX_CSEQ - 1, MAX_CSEQ), (MAX_CSEQ, MAX_CSEQ)])
def test_a_number_of_ours_is_higher_than_any_of_theirs_and_a_number(cseq: int, number: int) -> None:
    assert newer(cseq) == number


@pytest.mark.parametrize(
    ("more", "shift", "headers"),
    [
        ("", 0, ()),
        ("", 3, (("CSeq", "10 INVITE"),)),
        ("RAck: 1 7 INVITE\r\n", 3, (("CSeq", "10 INVITE"), ("RAck", "1 10 INVITE"))),
        ("RAck: nonsense\r\n", 3, (("CSeq", "10 INVITE"),)),
        ("", MAX_CSEQ, (("CSeq", f"{MAX_CSEQ} INVITE"),)),
    ],
)
def test_a_phone_that_rings_again_gets_another_number(
    more: str, shift: int, headers: tuple[tuple[str, str], ...]
) -> None:
    assert shifted(invite(more=more), shift) == headers
