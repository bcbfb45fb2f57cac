"""From, To and Contact."""

import pytest
from hypothesis import given

from registrar.errors import MalformedMessage, SipError
from registrar.sip import NameAddr, parse_name_addr, parse_name_addrs, parse_uri
from registrar.sip.address import MAX_CONTACTS
from tests.every import every

from .strategies import addresses, anything, unhurried

ANN = parse_uri("sip:ann@home.example")


@every(
    ("text", "expected"),
    [
        pytest.param("<sip:ann@home.example>", NameAddr(ANN), id="brackets"),
        pytest.param("sip:ann@home.example", NameAddr(ANN), id="no brackets"),
        pytest.param(
            " sip:ann@home.example ; tag = x ",
            NameAddr(ANN, (("tag", "x"),)),
            id="parameters are the header's",
        ),
        pytest.param(
            "<sip:ann@home.example;x>;x",
            NameAddr(parse_uri("sip:ann@home.example;x"), (("x", None),)),
            id="both kinds",
        ),
        pytest.param("ann<sip:ann@home.example>", NameAddr(ANN, (), "ann"), id="no blank before the bracket"),
        pytest.param(
            "Ann of Home\t<sip:ann@home.example>", NameAddr(ANN, (), "Ann of Home"), id="several words"
        ),
        pytest.param(
            '"A, \\"B\\" <C>" <sip:ann@home.example>', NameAddr(ANN, (), '"A, \\"B\\" <C>"'), id="quoted"
        ),
        pytest.param('"A\\\x07"<sip:ann@home.example>', NameAddr(ANN, (), '"A\\\x07"'), id="quoted control"),
        pytest.param("Jörg <sip:ann@home.example>", NameAddr(ANN, (), "Jörg"), id="not ASCII"),
        pytest.param('"" <sip:ann@home.example>', NameAddr(ANN, (), '""'), id="empty quotes"),
        pytest.param("<tel:+1>;tag=a", NameAddr(parse_uri("tel:+1"), (("tag", "a"),)), id="another scheme"),
        pytest.param(
            '<sip:ann@home.example>;+sip.instance="<urn:uuid:1;2>";reg-id=1',
            NameAddr(ANN, (("+sip.instance", '"<urn:uuid:1;2>"'), ("reg-id", "1"))),
            id="instance",
        ),
    ],
)
def test_an_address_is_cut_into_its_parts(text: str, expected: NameAddr) -> None:
    assert parse_name_addr(text) == expected
    assert parse_name_addr(str(expected)) == expected


@every(
    "text",
    [
        "",
        "*",
        "<>",
        "<sip:a@b",
        "sip:a@b>",
        "<sip:a@b>x",
        "<sip:a@b>;",
        "<sip:a@b>;;",
        "< sip:a@b>",
        "<sip:a@b >",
        '"A <sip:a@b>',
        'A" <sip:a@b>',
        'A "B" <sip:a@b>',
        "A, B <sip:a@b>",
        "sip:a@b?c=d",
        "sip:a,b@c",
        "<sip:a@b>, <sip:c@d>",
        "<<sip:a@b>>",
        "\x01<sip:a@b>",
        "A (b) <sip:a@b>",
    ],
    ids=repr,
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_name_addr(text)


@pytest.mark.parametrize(
    ("text", "tag"), [("<sip:a@b>;tag=x", "x"), ("<sip:a@b>;tag", ""), ("<sip:a@b;tag=x>", None)]
)
def test_the_tag_is_a_parameter_of_the_header(text: str, tag: str | None) -> None:
    assert parse_name_addr(text).tag == tag


def test_a_comma_separates_only_outside_quotes_and_brackets() -> None:
    found = parse_name_addrs('"A, B" <sip:a,b@c>;q=1 , <sip:d@e>,sip:f@g')
    assert [str(address.uri) for address in found] == ["sip:a,b@c", "sip:d@e", "sip:f@g"]
    assert parse_name_addrs("<sip:a@b>") == [parse_name_addr("<sip:a@b>")]


@pytest.mark.parametrize(
    ("count", "fits"), [(MAX_CONTACTS - 1, True), (MAX_CONTACTS, True), (MAX_CONTACTS + 1, False)]
)
def test_a_list_has_a_limit(count: int, fits: bool) -> None:
    text = ",".join(["<sip:a@b>"] * count)
    if fits:
        assert len(parse_name_addrs(text)) == count
    else:
        with pytest.raises(MalformedMessage):
            parse_name_addrs(text)


@unhurried
@given(addresses)
def test_an_address_survives_its_own_text(address: NameAddr) -> None:
    assert parse_name_addr(str(address)) == address
    assert parse_name_addrs(f"{address}, {address}") == [address, address]


@unhurried
@given(anything)
def test_any_text_gives_addresses_or_a_sip_error(text: str) -> None:
    try:
        found = parse_name_addrs(text)
    except SipError:
        return
    assert [parse_name_addr(str(address)) for address in found] == found
