"""Header names, rows and their index."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import MalformedMessage, SipError
from registrar.sip import Headers, canonical
from registrar.sip.headers import COMPACT, MAX_HEADER, parse_headers
from tests.every import every

from .strategies import anything, tokens, unhurried


@every(
    ("name", "key"),
    [
        pytest.param("Call-ID", "call-id", id="usual"),
        pytest.param("cAlL-iD", "call-id", id="case"),
        pytest.param("X-New", "x-new", id="unknown"),
        *[pytest.param(short, long, id=f"compact {short}") for short, long in COMPACT.items()],
        *[
            pytest.param(short.upper(), long, id=f"compact {short.upper()}")
            for short, long in COMPACT.items()
        ],
    ],
)
def test_a_name_has_one_canonical_form(name: str, key: str) -> None:
    assert canonical(name) == key


@every("name", ["", " ", "To ", "To\x01", "To\xa0", "a b", "Tö", "a:", "\u212aey", "a\n"], ids=repr)
def test_a_name_that_is_no_token_is_malformed(name: str) -> None:
    with pytest.raises(MalformedMessage):
        canonical(name)
    with pytest.raises(MalformedMessage):
        Headers().add(name, "x")


def test_rows_are_found_by_their_canonical_name() -> None:
    headers = Headers()
    headers.add("v", "one")
    headers.add("To", "you")
    headers.add("VIA", "two")
    assert headers.get("via") == "one"
    assert headers.all("via") == ["one", "two"]
    assert headers.all("to") == ["you"]
    assert headers.get("from") is None
    assert headers.all("from") == []
    assert "to" in headers
    assert "from" not in headers
    assert headers.repeated == {"via"}
    assert list(headers) == [("v", "one"), ("To", "you"), ("VIA", "two")]


def test_the_index_follows_every_change() -> None:
    headers = Headers([("to", "To", "a")])
    assert headers.repeated == frozenset()
    headers.add("t", "b")
    assert headers.all("to") == ["a", "b"]
    assert headers.repeated == {"to"}
    headers.replace("to", "c")
    assert headers.all("to") == ["c", "b"]
    assert headers.get("to") == "c"
    headers.replace("from", "nobody")
    assert headers.rows == [("to", "To", "c"), ("to", "t", "b")]


def test_headers_are_equal_whatever_the_spelling_of_the_names() -> None:
    one, other = Headers([("to", "t", "a")]), Headers([("to", "To", "a")])
    assert one == other
    assert one != Headers([("to", "To", "b")])
    assert one != "t: a"
    with pytest.raises(TypeError):
        hash(one)


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        pytest.param(["To: a"], [("to", "To", "a")], id="usual"),
        pytest.param(["t:a"], [("to", "t", "a")], id="compact, no blank"),
        pytest.param(["T \t:  a\t "], [("to", "T", "a")], id="blanks"),
        pytest.param(["X-New: a: b"], [("x-new", "X-New", "a: b")], id="another colon"),
        pytest.param(["s :"], [("subject", "s", "")], id="empty value"),
        pytest.param(["To:", "  a", "\tb ", " "], [("to", "To", "a b")], id="folded"),
        pytest.param(["To: a", " From: b"], [("to", "To", "a From: b")], id="a folded line is no header"),
    ],
)
def test_lines_become_rows(lines: list[str], rows: list[tuple[str, str, str]]) -> None:
    headers, fault = parse_headers(lines)
    assert headers.rows == rows
    assert not fault


@every("line", ["To", "", ":", ": a", "T o: a", "To\xa0: a", "Tö: a", " folded", "\tTo: a"], ids=repr)
def test_a_line_that_is_no_header_is_left_out_and_reported(line: str) -> None:
    headers, fault = parse_headers([line, "From: b"])
    assert headers.rows == [("from", "From", "b")]
    assert "not a header line" in fault


@pytest.mark.parametrize(
    ("size", "fits"), [(MAX_HEADER - 1, True), (MAX_HEADER, True), (MAX_HEADER + 1, False)]
)
def test_a_folded_header_has_a_limit(size: int, fits: bool) -> None:
    lines = ["New: " + "a" * 1_000, " " + "b" * (size - 1_001)]
    if fits:
        assert len(parse_headers(lines)[0].get("new") or "") == size
    else:
        with pytest.raises(MalformedMessage):
            parse_headers(lines)


@unhurried
@given(st.lists(st.tuples(tokens, tokens), max_size=8))
def test_headers_survive_their_own_text(rows: list[tuple[str, str]]) -> None:
    headers, fault = parse_headers([f"{name}: {value}" for name, value in rows])
    assert not fault
    assert list(headers) == rows
    for key in {canonical(name) for name, _ in rows}:
        assert headers.all(key) == [value for name, value in rows if canonical(name) == key]
        assert (key in headers.repeated) == (len(headers.all(key)) > 1)


@unhurried
@given(st.lists(anything, max_size=5))
def test_any_lines_give_headers_or_a_sip_error(lines: list[str]) -> None:
    try:
        headers, _ = parse_headers(lines)
    except SipError:
        return
    assert all(canonical(name) == key for key, name, _ in headers.rows)
