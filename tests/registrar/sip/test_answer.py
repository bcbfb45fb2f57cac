"""Answers, and what they copy."""

import pytest

from registrar.sip import Request, Response, answer, parse, unquote, warning
from registrar.sip.answer import MAX_WARNING, REASONS
from tests.every import every

HEADERS = (
    "v: SIP/2.0/UDP a;branch=z9hG4bK1",
    "User-Agent: x",
    "f: <sip:ann@home.example>;tag=a",
    "Via: SIP/2.0/UDP b",
    "t: <sip:ann@home.example>",
    "i: 1",
    "CSeq: 7 REGISTER",
    "Record-Route: <sip:edge.example;lr>",
)


def request(*lines: str) -> Request:
    """The REGISTER with these headers."""
    message = parse("\r\n".join(("REGISTER sip:home.example SIP/2.0", *lines, "", "")).encode())
    assert isinstance(message, Request)
    return message


def test_an_answer_copies_what_identifies_the_request() -> None:
    response = answer(request(*HEADERS), 401, headers=[("WWW-Authenticate", "Digest x")], to_tag="ours")
    assert bytes(response).decode().split("\r\n") == [
        "SIP/2.0 401 Unauthorized",
        "Via: SIP/2.0/UDP a;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP b",
        "From: <sip:ann@home.example>;tag=a",
        "To: <sip:ann@home.example>;tag=ours",
        "Call-ID: 1",
        "CSeq: 7 REGISTER",
        "WWW-Authenticate: Digest x",
        "Content-Length: 0",
        "",
        "",
    ]


def test_an_answer_with_a_body_says_how_long_it_is() -> None:
    response = answer(request(*HEADERS), 200, "Fine", [("Content-Type", "text/plain")], body=b"four")
    assert (response.status, response.reason, response.body) == (200, "Fine", b"four")
    assert response.headers.get("content-length") == "4"
    assert response.headers.get("content-type") == "text/plain"
    assert bytes(response).endswith(b"\r\n\r\nfour")


@pytest.mark.parametrize(
    ("to", "answered"),
    [
        pytest.param("sip:a@b", "sip:a@b;tag=ours", id="no brackets"),
        pytest.param("<sip:a@b>;x=1", "<sip:a@b>;x=1;tag=ours", id="other parameter"),
        pytest.param("<sip:a@b>;tag=theirs", "<sip:a@b>;tag=theirs", id="tagged"),
        pytest.param("<sip:a@b> ; TAG = theirs", "<sip:a@b> ; TAG = theirs", id="tagged with blanks"),
        pytest.param('"x;tag=y" <sip:a@b>', '"x;tag=y" <sip:a@b>;tag=ours', id="a tag in the name is none"),
        pytest.param("<sip:a@b;tag=y>", "<sip:a@b;tag=y>;tag=ours", id="a tag in the URI is none"),
        pytest.param('"x <sip:a@b>', '"x <sip:a@b>', id="malformed, as it came"),
    ],
)
def test_our_tag_is_added_where_there_is_none(to: str, answered: str) -> None:
    assert answer(request(f"To: {to}"), 400, to_tag="ours").headers.get("to") == answered
    assert answer(request(f"To: {to}"), 100).headers.get("to") == to


def test_a_request_without_anything_still_gets_its_answer() -> None:
    assert (
        bytes(answer(request(), 400, to_tag="x")) == b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    )


def test_of_a_header_that_stands_twice_the_first_is_copied() -> None:
    response = answer(request(*HEADERS, "To: <sip:other@b>", "CSeq: 8 REGISTER"), 400, to_tag="ours")
    assert response.headers.all("to") == ["<sip:ann@home.example>;tag=ours"]
    assert response.headers.all("cseq") == ["7 REGISTER"]


def test_the_stamped_via_is_answered() -> None:
    asked = request("Via: SIP/2.0/UDP a;rport, SIP/2.0/UDP b")
    asked.via = asked.via.stamped("203.0.113.9", 4711)
    assert answer(asked, 200).headers.all("via") == [
        "SIP/2.0/UDP a;received=203.0.113.9;rport=4711, SIP/2.0/UDP b"
    ]


@every("status", [*REASONS, 299])
def test_every_status_has_an_answer(status: int) -> None:
    response = parse(bytes(answer(request(*HEADERS), status)))
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (status, REASONS.get(status, ""))


@pytest.mark.parametrize(
    ("host", "text", "value"),
    [
        pytest.param("sip.acme.test", "To: no", '399 sip.acme.test "To: no"', id="a name"),
        pytest.param("2001:db8::1", "x", '399 [2001:db8::1] "x"', id="IPv6"),
        pytest.param("a", 'say "x\\"', r'399 a "say \"x\\\""', id="quotes"),
        pytest.param("a", "1\r\n2\t3\x00\x7f4", '399 a "1  2 3  4"', id="what cannot be shown"),
        pytest.param("a", "Grüße", '399 a "Grüße"', id="letters"),
    ],
)
def test_a_warning_is_one_quoted_line(host: str, text: str, value: str) -> None:
    assert warning(host, text) == ("Warning", value)


def test_a_warning_has_an_end() -> None:
    _, value = warning("a", "x" * 5_000)
    assert unquote(value.removeprefix("399 a ")) == "x" * MAX_WARNING
