"""What every request must carry."""

import pytest

from registrar.errors import MalformedMessage, UnsupportedVersion
from registrar.sip import Request, check, parse
from tests.every import every

SOUND = {
    "Via": "SIP/2.0/UDP phone.example;branch=z9hG4bK1",
    "From": "<sip:ann@home.example>;tag=a",
    "To": "<sip:ann@home.example>",
    "Call-ID": "1@phone.example",
    "CSeq": "7 REGISTER",
    "Max-Forwards": "70",
}


def request(*lines: str, start: str = "REGISTER sip:home.example SIP/2.0", without: str = "") -> Request:
    """A sound REGISTER with more lines, without the headers named in `without`."""
    sound = [f"{name}: {value}" for name, value in SOUND.items() if name not in without.split()]
    message = parse("\r\n".join((start, *sound, *lines, "", "")).encode())
    assert isinstance(message, Request)
    return message


def changed(name: str, value: str) -> Request:
    """A sound REGISTER in which one header has another value."""
    return request(f"{name}: {value}", without=name)


@every(
    ("name", "value"),
    [
        ("Via", "SIP/2.0/UDP a, SIP/2.0/TCP b;branch=c"),
        ("Via", "SIP / 2.0 / UDP a"),
        ("From", "sip:ann@home.example"),
        ("To", "<sip:ann@home.example>;tag=b"),
        ("Call-ID", 'a==@b(c)<d>[e]{f}\\"/:?'),
        ("CSeq", "0000 REGISTER"),
        ("Max-Forwards", "0"),
        ("Max-Forwards", "0068"),
        ("Max-Forwards", "255"),
        ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
        ("Date", "sat, 3 nov 2010 23:29:00 gmt"),
        ("Content-Type", "application/sdp"),
        ("Content-Type", 'multipart/mixed ; boundary="a;b"'),
        ("Contact", "*"),
        ("Contact", "<sip:a@b>;expires=never, <tel:+1>"),
        ("Expires", "soon"),
        ("Authorization", "Basic eA=="),
        ("Authorization", "Digest"),
        ("Authorization", ""),
        ("Via", "SIP/2.0/UDP a;rport=;received=;;branch=z9hG4bK1;"),
        ("Via", "SIP/2.0/UDP [fe80::1%eth0]:5062"),
        ("Authorization", 'Digest username="", realm="", nonce="", uri="", response=""'),
        ("Route", "anything <goes"),
    ],
    ids=lambda text: text[:30],
)
def test_a_sound_request_passes(name: str, value: str) -> None:
    check(changed(name, value))


@every(
    ("name", "value"),
    [
        ("Via", ""),
        ("Via", "SIP/2.0/UDP a, "),
        ("Via", "SIP/2.0/UDP a, SIP/2.0/UDP b;;,;"),
        ("Via", 'SIP/2.0/UDP a;x="b, SIP/2.0/UDP c'),
        ("From", "Ann, A <sip:ann@home.example>"),
        ("From", "<sip:ann@home.example>;tag"),
        ("From", '<sip:ann@home.example>;tag="a"'),
        ("To", "<sip:ann@home.example>;tag=a/b"),
        ("To", "isbn:123"),
        ("To", "<tel:+1>"),
        ("Call-ID", "a b"),
        ("Call-ID", "a,b"),
        ("Call-ID", "a;b"),
        ("Call-ID", "ä"),
        ("CSeq", "7 INVITE"),
        ("CSeq", "7 register"),
        ("Max-Forwards", "256"),
        ("Max-Forwards", "-1"),
        ("Max-Forwards", ""),
        ("Max-Forwards", "٠"),
        ("Date", "Sat, 13 Nov 2010 23:29:00 EST"),
        ("Date", "2010-11-13"),
        ("Date", "\u017fat, 13 Nov 2010 23:29:00 GMT"),
        ("Content-Type", "sdp"),
        ("Content-Type", ""),
        ("Content-Type", "application/sdp, text/plain"),
        ("Contact", ""),
        ("Contact", "*, <sip:a@b>"),
        ("Contact", "*;expires=0"),
        ("Contact", "sip:a@b?c=d"),
        ("Authorization", "Digest x"),
    ],
    ids=lambda text: text[:30],
)
def test_a_malformed_header_is_refused(name: str, value: str) -> None:
    with pytest.raises(MalformedMessage):
        check(changed(name, value))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("<sip:a@b>;x=", "Contact: bad parameters"),
        ("sip:@b", "Contact: bad URI"),
        (", ".join(["<sip:a@b>"] * 33), "Contact: 33, and 32 are the most"),
    ],
)
def test_a_refusal_names_the_header(value: str, says: str) -> None:
    with pytest.raises(MalformedMessage, match=says):
        check(changed("Contact", value))


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        pytest.param([", ".join(["<sip:a@b;x=,>"] * 6)], 6, id="in one row"),
        pytest.param(["<sip:a@b>"] * 6, 6, id="in six rows"),
        pytest.param(
            ['"a, b" <sip:a@b>;methods="INVITE, ACK, BYE"' + ",<sip:c@d>" * 31], 32, id="as many as read"
        ),
    ],
)
def test_contacts_beyond_what_a_phone_may_have_are_counted_and_not_parsed(
    rows: list[str], count: int
) -> None:
    message = request(*[f"Contact: {row}" for row in rows], without="Contact")
    check(message)
    assert (message.contact_count, message.crowded) == (count, True)
    assert message._contacts is None


def test_contacts_that_a_phone_may_have_are_parsed() -> None:
    message = request(f"Contact: {', '.join(['<sip:a@b>'] * 5)}", without="Contact")
    check(message)
    assert (len(message.contacts), message.crowded) == (5, False)


def test_only_a_registration_names_several_contacts() -> None:
    message = request(*["Contact: <sip:a@b>"] * 6, without="Contact CSeq")
    message.method = "INVITE"
    message.headers.add("CSeq", "7 INVITE")
    with pytest.raises(MalformedMessage, match="Contact: 6, and one is the most"):
        check(message)


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_mandatory_header_cannot_be_missing(name: str) -> None:
    with pytest.raises(MalformedMessage, match="is missing"):
        check(request(without=name))


def test_max_forwards_may_be_missing() -> None:
    check(request(without="Max-Forwards"))


@every(
    "line",
    [
        "f: <sip:a@b>;tag=x",
        "t: <sip:a@b>",
        "i: x",
        "cseq: 7 REGISTER",
        "Max-Forwards: 70",
        "Contact: <sip:a@b>\r\nm: *",
        "m: *\r\nm: *",
        "m: *\r\nContact: <sip:a@b>",
        "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT",
        "c: a/b\r\nc: a/b",
        "Expires: 1\r\nExpires: 1",
        "Via: SIP/2.0/UDP",
    ],
    ids=repr,
)
def test_what_stands_once_stands_once(line: str) -> None:
    with pytest.raises(MalformedMessage):
        check(request(line))


@pytest.mark.parametrize(
    "line", ["Via: SIP/2.0/UDP b", "Contact: <sip:a@b>\r\nm: <sip:c@d>", "Route: a\r\nRoute: b"], ids=repr
)
def test_what_is_a_list_may_have_rows(line: str) -> None:
    check(request(line))


@pytest.mark.parametrize("version", ["SIP/7.0", "SIP/2.1", "SIP/02.0", "sip/1.0"])
def test_another_version_comes_before_every_other_fault(version: str) -> None:
    with pytest.raises(UnsupportedVersion):
        check(request("no colon", start=f"REGISTER sip:h ?? {version}", without="To"))


@pytest.mark.parametrize("line", ["no colon", "l: 9", "X: a\x01"], ids=repr)
def test_what_the_lines_were_guilty_of_is_refused(line: str) -> None:
    with pytest.raises(MalformedMessage):
        check(request(line))


def test_the_version_has_no_case() -> None:
    check(request(start="REGISTER sip:home.example sIp/2.0"))


@pytest.mark.parametrize("uri", ["", "sip:h?Route=x", "<sip:h>", "h", "sip:", "2001:db8::1"], ids=repr)
def test_a_bad_request_uri_is_refused(uri: str) -> None:
    with pytest.raises(MalformedMessage):
        check(request(start=f"REGISTER {uri} SIP/2.0"))


def test_only_a_register_needs_a_sip_to() -> None:
    lines = ("CSeq: 7 OPTIONS", "To: <tel:+1>")
    check(request(*lines, start="OPTIONS tel:+1 SIP/2.0", without="CSeq To"))
