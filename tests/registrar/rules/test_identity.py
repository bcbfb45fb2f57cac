"""registrar/rules/identity.py: a number and a name, never a username, an address or a claim."""

from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import Flow
from registrar.rules import headers
from registrar.rules.identity import (
    WITHHELD_IDENTITY,
    Identity,
    PresentedHeaders,
    escape,
    hops_left,
    identity_of,
    place,
    plain,
    secret_of,
    shown_request,
    shown_response,
)
from registrar.sip import Headers, Request, Response, answer, check, parse, parse_name_addr
from tests.every import every

from .words import PHONE, request

SECRET = "k7" * 16
CONTACT = f"sip:{SECRET}@10.0.0.7:5062"
VIEW = PresentedHeaders(
    from_='"Ann" <sip:200@acme.test>',
    to="<sip:201@acme.test>",
    place="192.0.2.10:5060",
    contact="200",
    gr="token",
    secret=SECRET,
    route="rleg",
    asserted=True,
)


def is_here(host: str) -> bool:
    return host in ("acme.test", "192.0.2.10")


def invite(*rows: str, method: str = "INVITE", to_tag: str = "") -> Request:
    """What a phone says that tells all of itself wherever it can."""
    lines = [
        f"{method} sip:201@acme.test SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bK1",
        f'From: "{SECRET}" <sip:{SECRET}@acme.test>;tag=a',
        f"To: <sip:201@acme.test>{to_tag}",
        "Call-ID: call-1",
        f"CSeq: 1 {method}",
        f'Contact: "{SECRET}" <{CONTACT}>;+sip.instance="<urn:uuid:{SECRET}>"',
        *rows,
        "Content-Length: 0",
    ]
    return arrived(parse(("\r\n".join(lines) + "\r\n\r\n").encode(), exact=True))


def arrived(message: object) -> Request:
    assert isinstance(message, Request)
    check(message)
    return message


def shown(
    asked: Request,
    presented: PresentedHeaders = VIEW,
    body: bytes = b"",
    extra: tuple[tuple[str, str], ...] = (),
) -> Request:
    made = shown_request(
        asked, "sip:201@10.0.0.8", "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK2", presented, body, is_here, extra
    )
    return arrived(parse(bytes(made), exact=True))


def answered(
    asked: Request,
    status: int,
    *headers: tuple[str, str],
    presented: PresentedHeaders = VIEW,
    reason: str = "",
) -> Response:
    given = answer(asked, status, reason, headers, to_tag="callee")
    made = parse(bytes(shown_response(asked, given, presented, b"")), exact=True)
    assert isinstance(made, Response)
    return made


# Requests


def test_what_a_request_becomes() -> None:
    made = shown(invite("Max-Forwards: 7", "Subject: lunch", "Route: <sip:rleg@192.0.2.10;lr>"))
    assert (made.method, made.target) == ("INVITE", "sip:201@10.0.0.8")
    assert dict(made.headers) == {
        "Via": "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK2",
        "From": '"Ann" <sip:200@acme.test>;tag=a',
        "To": "<sip:201@acme.test>",
        "Call-ID": "call-1",
        "CSeq": "1 INVITE",
        "Subject": "lunch",
        "Max-Forwards": "6",
        "Record-Route": "<sip:rleg@192.0.2.10:5060;lr>",
        "Contact": "<sip:200@192.0.2.10:5060;gr=token>",
        "P-Asserted-Identity": '"Ann" <sip:200@acme.test>',
        "Content-Length": "0",
    }
    assert len(made.headers.all("via")) == 1, "where it came from is nobody's business"


def test_without_a_route_none_is_recorded_and_nobody_is_asserted() -> None:
    made = shown(invite(), replace(VIEW, route="", asserted=False))
    assert "record-route" not in made.headers
    assert "p-asserted-identity" not in made.headers


def test_without_a_contact_none_is_made() -> None:
    asked = request(method="MESSAGE", uri="sip:201@acme.test")
    assert "contact" not in shown(asked).headers


DIGEST = 'Digest username="a", realm="b", nonce="c", uri="sip:b", response="00"'
VALUES = {"authorization": DIGEST, "proxy-authorization": DIGEST}


@every("name", [*sorted(headers.REMOVED), "p-charging-of-tomorrow", "route", "record-route"])
def test_what_does_not_pass_passes_in_no_direction(name: str) -> None:
    claim = VALUES.get(name, "<sip:100@acme.test>")
    presented = replace(VIEW, route="", asserted=False)
    assert name not in shown(invite(f"{name}: {claim}"), presented).headers
    assert name not in answered(invite(), 200, (name, claim), presented=presented).headers


def test_a_claim_is_replaced_by_what_we_know() -> None:
    asked = invite("P-Asserted-Identity: <sip:100@acme.test>")
    assert shown(asked).headers.all("p-asserted-identity") == [VIEW.from_]


@pytest.mark.parametrize(
    "name", ["X-Anything", "Content-Disposition", "User-to-User", "Replaces", "User-Agent", "P-Unknown"]
)
def test_what_nobody_has_said_anything_about_passes(name: str) -> None:
    assert shown(invite(f"{name}: this")).headers.all(name.lower()) == ["this"]
    assert answered(invite(), 200, (name, "this")).headers.all(name.lower()) == ["this"]


@pytest.mark.parametrize("name", sorted(headers.PRIVATE))
def test_what_tells_of_a_sender_that_withholds_its_identity_does_not_pass(name: str) -> None:
    presented = replace(VIEW, from_=WITHHELD_IDENTITY, asserted=False, is_private=True)
    assert name in shown(invite(f"{name}: this")).headers
    assert name not in shown(invite(f"{name}: this"), presented).headers
    assert name not in answered(invite(), 486, (name, "this"), presented=presented).headers


def test_more_headers_replace_those_of_the_same_name() -> None:
    made = shown(
        invite("Session-Expires: 30", "Min-SE: 30"),
        extra=(("Session-Expires", "90"), ("Route", "<sip:h@n;lr>")),
    )
    assert made.headers.all("session-expires") == ["90"]
    assert made.headers.all("min-se") == ["30"]
    assert made.headers.all("route") == ["<sip:h@n;lr>"]


def test_the_body_is_the_one_that_was_given() -> None:
    made = shown(invite(), body=b"hello")
    assert (made.body, made.headers.get("content-length")) == (b"hello", "5")


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        pytest.param(
            "<sip:300@acme.test>", "<sip:300@192.0.2.10:5060>", id="somebody here, by our address there"
        ),
        pytest.param(
            '"Bo" <sip:300@192.0.2.10:5061;transport=tls;gr=tok?Replaces=a%3Bb>;x=y',
            '"Bo" <sip:300@192.0.2.10:5060;gr=tok?Replaces=a%3Bb>',
            id="one device, with what it replaces",
        ),
        pytest.param("<sip:300@elsewhere.test>", "<sip:300@elsewhere.test>", id="somebody elsewhere"),
        pytest.param("<tel:+45300>", "<tel:+45300>", id="another scheme"),
        pytest.param("nonsense", "nonsense", id="what cannot be read"),
        pytest.param(f"<sip:{SECRET}@acme.test>", "<sip:200@192.0.2.10:5060>", id="the sender itself"),
    ],
)
def test_where_a_transfer_leads(value: str, becomes: str) -> None:
    assert shown(invite(f"Refer-To: {value}", method="REFER")).headers.get("refer-to") == becomes


def test_who_transfers_is_who_we_say() -> None:
    made = shown(invite("Referred-By: <sip:boss@acme.test>", method="REFER"))
    assert made.headers.get("referred-by") == VIEW.from_


NAMES = st.sampled_from(
    "Subject User-Agent Refer-To Referred-By Reply-To X-Anything P-Preferred-Identity Remote-Party-ID Route "
    "Record-Route Diversion History-Info Organization Replaces Join Alert-Info Call-Info Require Allow "
    "Server Warning Content-Type Error-Info Reason Path Service-Route P-Asserted-Identity".split()
)
PIECES = st.lists(
    st.sampled_from(
        (SECRET, "<sip:", "@acme.test>", '"', " ", ";tag=", "sip:", "200", ",", SECRET.upper(), "\\")
    ),
    max_size=8,
).map("".join)
ROWS = st.lists(st.tuples(NAMES, PIECES), max_size=12)


@given(ROWS, st.booleans())
def test_no_request_shows_the_username_of_its_sender(rows: list[tuple[str, str]], record: bool) -> None:
    asked = invite()
    for name, value in rows:
        asked.headers.add(name, value)
    presented = VIEW if record else replace(VIEW, route="", asserted=False)
    made = shown_request(asked, "sip:201@10.0.0.8", "SIP/2.0/UDP a;branch=z9hG4bK2", presented, b"", is_here)
    assert SECRET.encode() in bytes(asked)
    assert SECRET.encode() not in bytes(made)


@given(ROWS, st.sampled_from((180, 200, 302, 401, 486)), PIECES)
def test_no_answer_shows_the_username_of_its_sender(
    rows: list[tuple[str, str]], status: int, reason: str
) -> None:
    asked = request("<sip:200@10.0.0.7>", method="INVITE", uri="sip:201@acme.test")
    given = answer(asked, status, reason, [("Contact", f"<{CONTACT}>"), *rows], to_tag="callee")
    assert SECRET.encode() in bytes(given)
    assert SECRET.encode() not in bytes(shown_response(asked, given, VIEW, b""))


# Responses


def test_what_an_answer_becomes() -> None:
    asked = invite("Via: SIP/2.0/TCP b.test;branch=z9hG4bKb")
    made = answered(
        asked, 200, ("Contact", f"<{CONTACT}>"), ("Server", "x"), ("Record-Route", "<sip:evil;lr>")
    )
    assert (made.status, made.reason) == (200, "OK")
    assert list(made.headers) == [
        ("Via", "SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bK1"),
        ("Via", "SIP/2.0/TCP b.test;branch=z9hG4bKb"),
        ("From", f'"{SECRET}" <sip:{SECRET}@acme.test>;tag=a'),
        ("To", "<sip:201@acme.test>;tag=callee"),
        ("Call-ID", "call-1"),
        ("CSeq", "1 INVITE"),
        ("Record-Route", "<sip:rleg@192.0.2.10:5060;lr>"),
        ("Contact", "<sip:200@192.0.2.10:5060;gr=token>"),
        ("P-Asserted-Identity", '"Ann" <sip:200@acme.test>'),
        ("Server", "x"),
        ("Content-Length", "0"),
    ]


def test_inside_a_dialog_the_tag_stands_once() -> None:
    made = answered(invite(to_tag=";tag=mine"), 200)
    assert made.headers.get("to") == "<sip:201@acme.test>;tag=mine"


@every(
    "name",
    (
        "WWW-Authenticate Proxy-Authenticate Authentication-Info P-Asserted-Identity Remote-Party-ID "
        "P-Preferred-Identity Service-Route Path Diversion History-Info Reply-To"
    ).split(),
)
def test_what_a_callee_claims_or_asks_for_is_dropped(name: str) -> None:
    assert (
        name.lower()
        not in answered(invite(), 401, (name, "x"), presented=replace(VIEW, asserted=False)).headers
    )


def test_a_redirection_leads_where_we_say() -> None:
    given = answer(invite(), 302, headers=[("Contact", "<sip:100@elsewhere.test>")], to_tag="callee")
    extra = (("Contact", "<sip:300@acme.test>"), ("Contact", "<sip:301@acme.test>"))
    made = shown_response(invite(), given, VIEW, b"", extra)
    assert made.headers.all("contact") == [value for _, value in extra]
    assert "contact" not in shown_response(invite(), given, VIEW, b"").headers


def test_a_reason_names_nobody() -> None:
    assert answered(invite(), 486, reason=f"{SECRET} is busy").reason == "200 is busy"


def test_more_headers_of_an_answer_replace_those_of_the_same_name() -> None:
    asked, given = invite(), answer(invite(), 200, headers=[("Require", "100rel")])
    made = shown_response(asked, given, VIEW, b"hi", (("Require", "100rel, timer"),))
    assert made.headers.all("require") == ["100rel, timer"]
    assert (made.body, made.headers.get("content-length")) == (b"hi", "2")


# Who, and where


@pytest.mark.parametrize(
    ("who", "text"),
    [
        pytest.param(Identity("200", "", "acme.test"), "<sip:200@acme.test>", id="a number"),
        pytest.param(Identity("200", "Ann", "acme.test"), '"Ann" <sip:200@acme.test>', id="and a name"),
        pytest.param(
            Identity("2 0@x", 'A "B" \\ C', "acme.test"),
            '"A \\"B\\" \\\\ C" <sip:2%200%40x@acme.test>',
            id="escaped",
        ),
        pytest.param(Identity("", "", "acme.test"), "<sip:anonymous@acme.test>", id="nobody"),
    ],
)
def test_somebody_as_others_see_him(who: Identity, text: str) -> None:
    assert str(who) == text
    assert parse_name_addr(text).uri.user == who.user


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_whatever_a_number_is_it_is_a_user(number: str) -> None:
    assert unquote(escape(number)) == number
    assert escape(number).isascii()


def test_a_phone_is_seen_by_its_extension_and_a_user_without_one_by_its_name() -> None:
    phone = replace(PHONE, name="Ann")
    assert identity_of(phone) == Identity("200", "Ann", "acme.test")
    assert identity_of(replace(phone, extension="")).user == "anonymous"
    anna = replace(phone, username="anna", extension="", ha1_md5="0" * 32)
    assert identity_of(anna).user == "anna"
    assert secret_of(phone) == "u" * 32
    assert secret_of(anna) == secret_of(None) == ""


@pytest.mark.parametrize(
    ("flow", "public_host", "text"),
    [
        pytest.param(Flow("udp", "192.0.2.10", 5060, "a", 1), "", "192.0.2.10:5060", id="UDP"),
        pytest.param(Flow("tcp", "192.0.2.10", 5060, "a", 1), "", "192.0.2.10:5060;transport=tcp", id="TCP"),
        pytest.param(
            Flow("tls", "2001:db8::1", 5061, "a", 1), "", "[2001:db8::1]:5061;transport=tls", id="IPv6"
        ),
        pytest.param(Flow("ws", "10.0.0.1", 80, "a", 1), "sip.test", "sip.test:80;transport=ws", id="WS"),
        pytest.param(Flow("wss", "10.0.0.1", 443, "a", 1), "sip.test", "sip.test:443;transport=ws", id="WSS"),
    ],
)
def test_our_address_as_the_other_end_reaches_it(flow: Flow, public_host: str, text: str) -> None:
    assert place(flow, public_host) == text


def test_an_address_without_its_tag() -> None:
    assert plain(parse_name_addr('"A" <sip:a@b;x=y>;tag=1')) == '"A" <sip:a@b;x=y>'


def test_how_many_hops_are_left() -> None:
    assert hops_left(invite("Max-Forwards: 3")) == 3
    assert hops_left(invite()) == 70


def test_a_view_without_a_secret_hides_nothing() -> None:
    headers = Headers()
    headers.add("Subject", "anna")
    made = shown(invite("Subject: anna"), replace(VIEW, secret=""))
    assert made.headers.get("subject") == "anna"
