"""Tokens, quoted strings, lists and parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import MalformedMessage, SipError
from registrar.sip import Params, format_params, param, parse_params, quote, split, unquote
from registrar.sip.grammar import is_token
from tests.every import every

from .strategies import anything, params, texts, unhurried


@every(
    ("text", "expected"),
    [
        pytest.param("REGISTER", True, id="word"),
        pytest.param("-.!%*_+`'~", True, id="all marks"),
        pytest.param("", False, id="empty"),
        pytest.param("a b", False, id="blank"),
        pytest.param("a\n", False, id="line feed at the end"),
        pytest.param("a@b", False, id="at"),
        pytest.param("Ä", False, id="not ASCII"),
        pytest.param("\u212a", False, id="Kelvin sign"),
    ],
)
def test_a_token_is_made_of_its_characters_alone(text: str, expected: bool) -> None:
    assert is_token(text) is expected


@every(
    ("text", "separator", "pieces"),
    [
        pytest.param("", ",", [""], id="empty"),
        pytest.param("a , b,c", ",", ["a", "b", "c"], id="plain"),
        pytest.param("a;b,c;d", ",", ["a;b", "c;d"], id="the other separator stays"),
        pytest.param("a;b,<c;d>", ";", ["a", "b,<c;d>"], id="semicolons"),
        pytest.param(
            '"a,b" <sip:c,d@e>, f', ",", ['"a,b" <sip:c,d@e>', "f"], id="inside quotes and brackets"
        ),
        pytest.param(r'"a\",b", c', ",", [r'"a\",b"', "c"], id="a quoted quote does not close"),
        pytest.param(r'"a\\", c', ",", [r'"a\\"', "c"], id="a quoted backslash does"),
        pytest.param('"<", ">"', ",", ['"<"', '">"'], id="brackets inside quotes"),
        pytest.param("<a>,,<b>", ",", ["<a>", "", "<b>"], id="an empty piece is kept"),
    ],
)
def test_a_list_is_split_outside_quotes_and_brackets(text: str, separator: str, pieces: list[str]) -> None:
    assert split(text, separator) == pieces


@pytest.mark.parametrize("text", ['"a', "<a", "a>", '"a\\"', "<a<b>", '"a"b"'], ids=repr)
def test_an_unbalanced_list_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage):
        split(text, ",")


@every(
    ("text", "expected"),
    [
        pytest.param("", (), id="none"),
        pytest.param(";LR", (("lr", None),), id="no value"),
        pytest.param(";Tag=aB;q=0.5", (("tag", "aB"), ("q", "0.5")), id="two"),
        pytest.param("; \ttag \t= \tx ; lr ", (("tag", "x"), ("lr", None)), id="blanks"),
        pytest.param(';i="<urn:a;b>,\\""', (("i", '"<urn:a;b>,\\""'),), id="quoted"),
        pytest.param(";received=[2001:db8::1]", (("received", "[2001:db8::1]"),), id="bracketed host"),
        pytest.param(";x=a=b/c", (("x", "a=b/c"),), id="more than a token"),
        pytest.param(';x=""', (("x", '""'),), id="empty quotes"),
    ],
)
def test_parameters_are_read_in_wire_order(text: str, expected: Params) -> None:
    assert parse_params(text) == expected


@every(
    "text",
    [";", ";;", "a", ";=b", ";a=", ";a b", ';a="b', ';a="b"c', ";a=<b>", ";a,b", ";ä", ";a=\x00", ";a\n"],
    ids=repr,
)
def test_bad_parameters_are_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_params(text)


def test_the_first_parameter_of_a_name_counts() -> None:
    params = parse_params(";a=1;b;a=2")
    assert param(params, "a") == "1"
    assert param(params, "b") == ""
    assert param(params, "c") is None


@pytest.mark.parametrize(
    ("text", "content"),
    [
        pytest.param('"a b"', "a b", id="quoted"),
        pytest.param(r'"a\"\\b"', 'a"\\b', id="pairs"),
        pytest.param("token", "token", id="not quoted"),
        pytest.param('"', '"', id="one quote"),
        pytest.param('""', "", id="empty"),
    ],
)
def test_a_quoted_string_gives_its_content(text: str, content: str) -> None:
    assert unquote(text) == content


def test_a_line_break_cannot_be_quoted() -> None:
    assert quote("a\r\nb") == '"a  b"'


@unhurried
@given(texts)
def test_unquote_is_the_inverse_of_quote(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split(quote(text), ",") == [quote(text)]


@unhurried
@given(params)
def test_parameters_survive_their_own_text(value: Params) -> None:
    assert parse_params(format_params(value)) == value


@unhurried
@given(anything, st.sampled_from(",;"))
def test_any_text_gives_values_or_a_sip_error(text: str, separator: str) -> None:
    try:
        assert parse_params(format_params(parse_params(text))) == parse_params(text)
        assert len(split(text, separator)) <= text.count(separator) + 1
    except SipError:
        pass
