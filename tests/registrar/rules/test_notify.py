"""registrar/rules/notify.py: the message that reloads a phone, the digest for its challenge, and the pace."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import IpMode, Phone
from registrar.rules.notify import (
    JITTER,
    MAX_ORDER,
    PER_SECOND,
    Dialogless,
    Order,
    Outcome,
    Result,
    aor,
    authorization,
    best,
    gap,
    order_text,
    parse_order,
    parse_result,
    request,
    result_text,
    wait,
)
from registrar.sip import Headers, Request, Response, check, parse
from tests.every import every
from tests.peers import digest

PHONE = Phone(
    id="5f" * 12,
    version=1,
    username="2yu9",
    domain="c1.example",
    customer="1" * 24,
    active=True,
    extension="200",
    password="g9ew",
    secret_version=1,
    mode=IpMode.LOCKED,
)
ABOUT = Dialogless("sip:2yu9@c1.example", "check-sync;reboot=false", "call-1", "tag-1")
ORDER = Order(PHONE.id, "check-sync;reboot=true", "sip-1-5060", "7-000413922D24", "ab" * 16)
CONTACT = "sip:2yu9@10.0.0.7:3072;line=x7"


def read(message: Request) -> Request:
    found = parse(bytes(message), exact=True)
    assert isinstance(found, Request)
    check(found)
    return found


def challenged(status: int, *challenges: str) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    headers = Headers()
    for challenge in challenges:
        headers.add(name, challenge)
    return Response(status, "Unauthorized", headers)


def test_a_notify_has_the_phones_own_address_on_both_sides() -> None:
    sent = read(request(ABOUT, CONTACT, "SIP/2.0/UDP s:5060;branch=z9hG4bK1;rport", "<sip:notify@s:5060>", 1))
    assert (sent.method, sent.target, sent.cseq) == ("NOTIFY", CONTACT, (1, "NOTIFY"))
    assert str(sent.from_) == "<sip:2yu9@c1.example>;tag=tag-1"
    assert str(sent.to) == "<sip:2yu9@c1.example>"
    assert sent.headers.get("event") == "check-sync;reboot=false"
    assert sent.headers.get("subscription-state") == "terminated"
    assert str(sent.contacts[0].uri) == "sip:notify@s:5060"
    assert (sent.headers.get("content-length"), sent.body, sent.call_id) == ("0", b"", "call-1")


def test_a_request_uri_has_no_headers_of_the_contact() -> None:
    sent = request(ABOUT, "sip:2yu9@10.0.0.7?Subject=x", "SIP/2.0/UDP s;branch=z9hG4bK1", "<sip:s>", 1)
    assert sent.target == "sip:2yu9@10.0.0.7"


def test_a_phone_of_a_customer_without_a_domain_is_known_by_that_of_the_service() -> None:
    assert aor(PHONE, "service.test") == "sip:2yu9@c1.example"
    assert aor(replace(PHONE, domain=""), "service.test") == "sip:2yu9@service.test"


@pytest.mark.parametrize(
    ("status", "answered"), [(401, "Authorization"), (407, "Proxy-Authorization")], ids=str
)
@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param('Digest realm="phone", nonce="n1", algorithm=MD5, qop="auth", opaque="o"', id="auth"),
        pytest.param('Digest realm="a, \\"b\\"", nonce="n1", qop="auth-int,auth"', id="two qualities"),
        pytest.param('Digest realm="phone", nonce="n1", algorithm=SHA-256, qop="auth"', id="SHA-256"),
    ],
)
def test_a_challenge_is_answered_with_the_phones_own_credentials(
    status: int, answered: str, challenge: str
) -> None:
    found = authorization(challenged(status, challenge), PHONE, CONTACT, "c1")
    assert found is not None
    name, value = found
    asked = digest.parse_challenge(challenge)
    assert asked is not None
    wanted = digest.authorization(
        replace(asked, realm=asked.realm.replace("\\", "")), "2yu9", "g9ew", "NOTIFY", CONTACT, cnonce="c1"
    )
    assert name == answered
    assert fields(value) >= {field for field in fields(wanted) if not field.startswith("realm")}


def fields(header: str) -> set[str]:
    return {f"{name}={quoted or bare}" for name, quoted, bare in digest.PARAMETER.findall(header)}


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param("Basic realm=x", id="another scheme"),
        pytest.param('Digest realm="x", nonce="n", algorithm=MD5-sess, qop="auth"', id="unknown algorithm"),
        pytest.param('Digest realm="x", nonce="n", qop="auth-int"', id="the body must be hashed"),
        pytest.param('Digest realm="x", nonce="n"', id="no qop, so no nonce of ours"),
        pytest.param('Digest realm="x", qop="auth"', id="no nonce"),
        pytest.param('Digest realm="x', id="malformed"),
        pytest.param("", id="empty"),
    ],
)
def test_a_challenge_that_we_cannot_answer_is_an_answer(challenge: str) -> None:
    assert authorization(challenged(401, challenge), PHONE, CONTACT, "c1") is None


def test_the_first_challenge_that_we_can_answer_counts() -> None:
    unknown = 'Digest realm="x", nonce="n", algorithm=SHA-512-256, qop="auth"'
    two = challenged(401, unknown, 'Digest realm="y", nonce="m", qop="auth"')
    found = authorization(two, PHONE, CONTACT, "c1")
    assert found is not None and 'realm="y"' in found[1]


def test_no_digest_is_made_for_another_answer_or_without_a_password() -> None:
    challenge = 'Digest realm="x", nonce="n", qop="auth"'
    assert authorization(challenged(401, challenge), replace(PHONE, password=""), CONTACT, "c") is None
    headers = Headers()
    headers.add("WWW-Authenticate", challenge)
    assert authorization(Response(489, "Bad Event", headers), PHONE, CONTACT, "c") is None
    assert authorization(Response(407, "", headers), PHONE, CONTACT, "c") is None


def test_an_order_is_read_as_it_was_written() -> None:
    assert parse_order(order_text(ORDER)) == ORDER
    assert parse_order(order_text(replace(ORDER, id=""))) == replace(ORDER, id="")


@every(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[1]", id="no object"),
        pytest.param("{}", id="nothing in it"),
        pytest.param(order_text(replace(ORDER, event="check-sync\r\nX: y")), id="line break in the event"),
        pytest.param(order_text(replace(ORDER, event="a;b=c;d=e")), id="two parameters"),
        pytest.param(order_text(replace(ORDER, id="a:b")), id="an id that is part of another key"),
        pytest.param(order_text(replace(ORDER, phone="")), id="no phone"),
        pytest.param(order_text(replace(ORDER, node="n" * MAX_ORDER)), id="too long"),
    ],
)
def test_another_text_is_no_order(text: str) -> None:
    assert parse_order(text) is None


@given(st.text(max_size=200), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_no_text_from_redis_raises(text: str, value: object) -> None:
    for told in (text, json.dumps({"phone": value, "event": value, "outcome": value, "status": value})):
        assert parse_order(told) is None or isinstance(parse_order(told), Order)
        assert parse_result(told) is None


def test_a_result_is_read_as_it_was_written() -> None:
    for result in (Result(Outcome.ANSWERED, 489, 'Bad "Event"'), Result(Outcome.QUEUED, seconds=12)):
        assert parse_result(result_text(result)) == result
    assert parse_result('{"outcome": "lost", "status": 0, "reason": "", "seconds": 0}') is None


HEARD = Result(Outcome.ANSWERED, 202)
REFUSED = Result(Outcome.ANSWERED, 489)
SILENT = Result(Outcome.UNANSWERED)
GONE = Result(Outcome.OFFLINE)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([GONE, SILENT, REFUSED, HEARD], HEARD),
        ([GONE, SILENT, REFUSED], REFUSED),
        ([GONE, SILENT], SILENT),
        ([GONE], GONE),
        ([], GONE),
    ],
)
def test_one_device_that_hears_is_enough(results: list[Result], told: Result) -> None:
    assert best(results) == told
    assert told.is_heard == (told is HEARD)


def test_a_fleet_is_spread_and_not_in_step() -> None:
    assert gap(0.0) == pytest.approx((1 - JITTER) / PER_SECOND)
    assert gap(0.5) == pytest.approx(1 / PER_SECOND)
    assert gap(0.999) < (1 + JITTER) / PER_SECOND
    assert wait(50) == pytest.approx(5.0)
