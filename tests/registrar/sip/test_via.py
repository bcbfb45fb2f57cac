"""Via, and how a server stamps it."""

import pytest
from hypothesis import given

from registrar.errors import MalformedMessage, SipError
from registrar.sip import Via, parse_via
from tests.every import every

from .strategies import anything, unhurried, vias


@every(
    ("text", "expected"),
    [
        pytest.param("SIP/2.0/UDP h", Via("UDP", "h", None, ()), id="least"),
        pytest.param(
            "SIP/2.0/WSS x.invalid;branch=z9hG4bK1",
            Via("WSS", "x.invalid", None, (("branch", "z9hG4bK1"),)),
            id="websocket",
        ),
        pytest.param(
            "SIP / 2.0\t/ tcp   h : 5062 ; rport", Via("tcp", "h", 5062, (("rport", None),)), id="blanks"
        ),
        pytest.param("SIP/2.0/TLS [2001:db8::9]:5061", Via("TLS", "[2001:db8::9]", 5061, ()), id="IPv6"),
        pytest.param("SIP/7.0/UDP h", Via("UDP", "h", None, (), "7.0"), id="another version"),
        pytest.param("SIP/2.0/PIGEON h", Via("PIGEON", "h", None, ()), id="another transport"),
        pytest.param(
            "SIP/2.0/UDP h;received=[2001:db8::1]",
            Via("UDP", "h", None, (("received", "[2001:db8::1]"),)),
            id="received in brackets",
        ),
        pytest.param(
            "SIP/2.0/UDP h;received=2001:db8::1",
            Via("UDP", "h", None, (("received", "2001:db8::1"),)),
            id="received without",
        ),
    ],
)
def test_a_hop_is_cut_into_its_parts(text: str, expected: Via) -> None:
    assert parse_via(text) == expected
    assert parse_via(str(expected)) == expected


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        pytest.param("h;rport=;branch=z9hG4bK1", "h;rport;branch=z9hG4bK1", id="an empty rport"),
        pytest.param("h;branch=z9hG4bK1;received=", "h;branch=z9hG4bK1;received", id="an empty received"),
        pytest.param("h;branch=z9hG4bK1;", "h;branch=z9hG4bK1", id="a final semicolon"),
        pytest.param("h;;branch=z9hG4bK1", "h;branch=z9hG4bK1", id="two semicolons"),
        pytest.param("h; ; branch = z9hG4bK1 ; rport = ", "h;branch=z9hG4bK1;rport", id="blanks between"),
        pytest.param("[fe80::1%eth0]:5062;rport", "[fe80::1%eth0]:5062;rport", id="a zone"),
    ],
)
def test_what_is_empty_is_no_fault(odd: str, read: str) -> None:
    assert str(parse_via(f"SIP/2.0/UDP {odd}")) == f"SIP/2.0/UDP {read}"


@every(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 h",
        "SIP/2.0/UDPh",
        "HTTP/1.1/TCP h",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP h;,",
        "SIP/2.0/UDP h;=x",
        'SIP/2.0/UDP h;x="',
        "SIP/2.0/UDP [fe80::1%]",
        "SIP/2.0/UDP [%eth0]",
        "SIP/2.0/UDP h i",
        "SIP/2.0/UDP h, SIP/2.0/UDP i",
        "SIP/2.0/UDP 2001:db8::1",
        "SIP/2.0/UDP [::1::2]",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP h:\u0665",
        "\u017fIP/2.0/UDP h",
    ],
    ids=repr,
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_via(text)


@pytest.mark.parametrize(
    ("branch", "modern"),
    [
        pytest.param(";branch=z9hG4bKa", True, id="cookie and more"),
        pytest.param(";branch=Z9HG4BKa", True, id="case"),
        pytest.param(";branch=z9hG4bK", False, id="the cookie alone"),
        pytest.param(";branch=a", False, id="without the cookie"),
        pytest.param(";branch", False, id="no value"),
        pytest.param("", False, id="absent"),
    ],
)
def test_a_branch_identifies_only_with_the_cookie(branch: str, modern: bool) -> None:
    assert parse_via(f"SIP/2.0/UDP h{branch}").is_rfc3261 is modern


def test_sent_by_is_host_and_port_as_written() -> None:
    assert parse_via("SIP/2.0/UDP H:5060").sent_by == "h:5060"
    assert parse_via("SIP/2.0/UDP H").sent_by == "h:"
    assert parse_via("SIP/2.0/UDP H;branch=x").branch == "x"


@every(
    ("hop", "ip", "stamped"),
    [
        pytest.param("203.0.113.9;branch=b", "203.0.113.9", "203.0.113.9;branch=b", id="same address"),
        pytest.param(
            "198.51.100.7;branch=b",
            "203.0.113.9",
            "198.51.100.7;branch=b;received=203.0.113.9",
            id="another address",
        ),
        pytest.param("phone.example", "203.0.113.9", "phone.example;received=203.0.113.9", id="a name"),
        pytest.param(
            "203.0.113.9;rport;x",
            "203.0.113.9",
            "203.0.113.9;x;received=203.0.113.9;rport=4711",
            id="rport asked for, same address",
        ),
        pytest.param(
            "h;rport=1;received=1.2.3.4",
            "203.0.113.9",
            "h;received=203.0.113.9;rport=4711",
            id="forged values",
        ),
        pytest.param(
            "203.0.113.9;received=1.2.3.4", "203.0.113.9", "203.0.113.9", id="forged received, same address"
        ),
        pytest.param("[2001:DB8:0::9]", "2001:db8::9", "[2001:DB8:0::9]", id="same IPv6 address"),
        pytest.param("h", "2001:db8::9", "h;received=2001:db8::9", id="IPv6 without brackets"),
        pytest.param("[::ffff:203.0.113.9]", "203.0.113.9", "[::ffff:203.0.113.9]", id="IPv4-mapped"),
    ],
)
def test_the_server_notes_where_a_request_came_from(hop: str, ip: str, stamped: str) -> None:
    via = parse_via(f"SIP/2.0/UDP {hop}").stamped(ip, 4711)
    assert str(via) == f"SIP/2.0/UDP {stamped}"
    assert via.stamped(ip, 4711) == via


@unhurried
@given(vias)
def test_a_hop_survives_its_own_text(via: Via) -> None:
    assert parse_via(str(via)) == via
    assert parse_via(str(via.stamped("203.0.113.9", 1))) == via.stamped("203.0.113.9", 1)


@unhurried
@given(anything)
def test_any_text_gives_a_hop_or_a_sip_error(text: str) -> None:
    for hop in (text, f"SIP/2.0/UDP {text}", f"SIP/2.0/UDP h;{text}"):
        try:
            via = parse_via(hop)
        except SipError:
            continue
        assert parse_via(str(via)) == via
        via.stamped("2001:db8::9", 5060)
