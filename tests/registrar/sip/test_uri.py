"""URIs and how two of them compare."""

import pytest
from hypothesis import given

from registrar.errors import MalformedMessage, SipError
from registrar.sip import Uri, equivalent, parse_uri, unescape
from registrar.sip.uri import MAX_URI
from tests.every import every

from .strategies import anything, unhurried, uris


@every(
    ("text", "expected"),
    [
        pytest.param("sip:home.example", Uri("sip", host="home.example"), id="host"),
        pytest.param(
            "SIPS:ann@home.example", Uri("sips", "ann", host="home.example"), id="scheme in upper case"
        ),
        pytest.param(
            "sip:ann:se%20cret@h:5062", Uri("sip", "ann", "se%20cret", "h", 5062), id="password and port"
        ),
        pytest.param("sip:ann:@h", Uri("sip", "ann", "", "h"), id="empty password"),
        pytest.param(
            "sip:h:5060;Transport=TCP;lr;x=?to=a%40b&c=",
            Uri(
                "sip",
                host="h",
                port=5060,
                params=(("transport", "TCP"), ("lr", None), ("x", "")),
                headers="to=a%40b&c=",
            ),
            id="parameters and headers",
        ),
        pytest.param("sip:a;b?c/d@h", Uri("sip", "a;b?c/d", host="h"), id="separators in the user part"),
        pytest.param("sip:sips%3Aa%40b@h", Uri("sip", "sips%3Aa%40b", host="h"), id="an escaped URI as user"),
        pytest.param("sip:%00@h", Uri("sip", "%00", host="h"), id="escaped NUL"),
        pytest.param(
            "sip:a@[2001:db8::10:5070]", Uri("sip", "a", host="[2001:db8::10:5070]"), id="address, no port"
        ),
        pytest.param(
            "sip:[2001:db8::10]:5070", Uri("sip", host="[2001:db8::10]", port=5070), id="address and port"
        ),
        pytest.param(
            "sip:a@[2001:db8:::1.2.3.4]", Uri("sip", "a", host="[2001:db8:::1.2.3.4]"), id="three colons"
        ),
        pytest.param(
            "sip:df7jal.invalid;transport=ws",
            Uri("sip", host="df7jal.invalid", params=(("transport", "ws"),)),
            id="ws",
        ),
        pytest.param("tel:+15550100", Uri("tel", opaque="+15550100"), id="tel"),
        pytest.param("soap.beep://h:1", Uri("soap.beep", opaque="//h:1"), id="unknown scheme"),
    ],
)
def test_a_uri_is_cut_into_its_parts_and_back(text: str, expected: Uri) -> None:
    assert parse_uri(text) == expected
    assert str(expected).lower() == text.lower()


@every(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:x",
        "sip:a@h:65536",
        "sip:a@h:123456",
        "sip:a b@h",
        " sip:a@h",
        "sip:a@h ",
        "sip:a@h\n",
        "sip:a@h;",
        "sip:a@h;=b",
        "sip:a@h?",
        "sip:a@h?b",
        "sip:a@h?b=c&",
        "<sip:a@h>",
        "sip:a@b@c",
        "sip:%4@h",
        "sip:%zz@h",
        "sip:2001:db8::1",
        "sip:[2001:db8::1",
        "sip:[1::2::3]",
        "sip:ä@h",
        "sip:a@ä",
        "sip:a@h:\u0665",
        "\u017fip:a@h",
        "sip:a@h;x=%",
        ":a",
        "1a:b",
        "x:",
        "x:a b",
        "x:<",
        'x:"',
        "x:ä",
        "sip:a@-h",
    ],
    ids=repr,
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_uri(text)


@pytest.mark.parametrize(("size", "fits"), [(MAX_URI - 1, True), (MAX_URI, True), (MAX_URI + 1, False)])
def test_a_uri_has_a_limit(size: int, fits: bool) -> None:
    text = "sip:" + "a" * (size - 4)
    if fits:
        assert str(parse_uri(text)) == text
    else:
        with pytest.raises(MalformedMessage):
            parse_uri(text)


@every(
    ("one", "other"),
    [
        pytest.param(
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtlanTa.CoM;Transport=tcp",
            id="escape and case",
        ),
        pytest.param("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", id="unknown parameter"),
        pytest.param("sip:carol@chicago.com", "sip:carol@chicago.com;security=on", id="another one"),
        pytest.param(
            "sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", id="two different ones"
        ),
        pytest.param(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            id="order of parameters",
        ),
        pytest.param(
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            id="order of headers",
        ),
        pytest.param("sip:a@[2001:db8::7]", "sip:a@[2001:DB8:0::7]", id="one IPv6 address"),
        pytest.param("sip:a@[::ffff:198.51.100.7]", "sip:a@198.51.100.7", id="IPv4-mapped"),
        pytest.param("sip:a@h;x=%41", "sip:a@h;x=a", id="escaped parameter value"),
        pytest.param("sip:a%3b@h", "sip:a%3B@h", id="case of an escape"),
        pytest.param("tel:+1", "tel:+1", id="same text of another scheme"),
    ],
)
def test_equal_uris(one: str, other: str) -> None:
    assert equivalent(parse_uri(one), parse_uri(other))
    assert equivalent(parse_uri(other), parse_uri(one))


@every(
    ("one", "other"),
    [
        pytest.param(
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
            id="case of the user",
        ),
        pytest.param("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", id="default port"),
        pytest.param("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", id="default transport"),
        pytest.param("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", id="port and transport"),
        pytest.param("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", id="a header"),
        pytest.param(
            "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", id="name and the address it resolves to"
        ),
        pytest.param(
            "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", id="parameter values"
        ),
        pytest.param("sip:a@h", "sips:a@h", id="sip and sips"),
        pytest.param("sip:a@h", "sip:h", id="no user"),
        pytest.param("sip:a@h", "sip:a:@h", id="empty password"),
        pytest.param("sip:a:b@h", "sip:a:B@h", id="case of the password"),
        pytest.param("sip:a@h", "sip:a@h;user=phone", id="user parameter"),
        pytest.param("sip:a@h", "sip:a@h;ttl=1", id="ttl"),
        pytest.param("sip:a@h", "sip:a@h;method=INVITE", id="method"),
        pytest.param("sip:a@h", "sip:a@h;maddr=h", id="maddr"),
        pytest.param("sip:a%3b@h", "sip:a;@h", id="escape of a reserved character"),
        pytest.param("sip:%00@h", "sip:%00%00@h", id="one and two NUL"),
        pytest.param("tel:+1", "tel:+2", id="another scheme"),
    ],
)
def test_different_uris(one: str, other: str) -> None:
    assert not equivalent(parse_uri(one), parse_uri(other))
    assert not equivalent(parse_uri(other), parse_uri(one))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ann", "ann", id="nothing to do"),
        pytest.param("%61nn%20%2A", "ann *", id="harmless"),
        pytest.param("%40%3b%25%2f", "%40%3B%25%2F", id="reserved stay, in upper case"),
        pytest.param("%00%0d%7f%c3%a9", "%00%0D%7F%C3%A9", id="controls and other octets stay"),
        pytest.param("100%", "100%", id="no escape"),
    ],
)
def test_only_harmless_escapes_are_decoded(text: str, expected: str) -> None:
    assert unescape(text) == expected
    assert unescape(expected) == expected


def test_a_host_key_is_what_look_ups_use() -> None:
    assert parse_uri("sip:a@Home.Example.").host_key == "home.example"


@unhurried
@given(uris)
def test_a_uri_survives_its_own_text(uri: Uri) -> None:
    assert parse_uri(str(uri)) == uri
    assert equivalent(uri, uri)


@unhurried
@given(uris, uris)
def test_comparison_is_symmetric(one: Uri, other: Uri) -> None:
    assert equivalent(one, other) == equivalent(other, one)


@unhurried
@given(anything)
def test_any_text_gives_a_uri_or_a_sip_error(text: str) -> None:
    try:
        uri = parse_uri(text)
    except SipError:
        return
    assert parse_uri(str(uri)) == uri
    assert uri.host_key == uri.host_key.lower()
