"""registrar/rules/multipart.py: where the session description stands among other parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.rules.multipart import MAX_PARTS, is_multipart, sdp_span
from tests.every import every

TYPED = "Content-Type: application/sdp"
SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\nm=audio 4000 RTP/AVP 8\r\n"
TYPE = "multipart/mixed;boundary=b1"


def part(content: bytes, *head: str) -> bytes:
    return "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + content


def body(*parts: bytes, boundary: bytes = b"b1", preamble: bytes = b"") -> bytes:
    return (
        preamble
        + b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts)
        + b"--"
        + boundary
        + b"--\r\n"
    )


DESCRIPTION = part(SDP, TYPED)
PLACE = part(b"<presence/>", "Content-Type: application/pidf+xml", "Content-ID: <a@b>")


@every(
    ("content_type", "text"),
    [
        pytest.param(TYPE, body(DESCRIPTION), id="alone"),
        pytest.param(TYPE, body(PLACE, DESCRIPTION), id="second"),
        pytest.param(TYPE, body(DESCRIPTION, PLACE), id="first"),
        pytest.param(TYPE, body(DESCRIPTION, preamble=b"text for people\r\n"), id="after a preamble"),
        pytest.param(
            'Multipart/Related; type=x; boundary="b 1"', body(DESCRIPTION, boundary=b"b 1"), id="quoted"
        ),
        pytest.param(TYPE, body(part(SDP, "content-type:Application/SDP;charset=utf-8")), id="small letters"),
        pytest.param(
            TYPE,
            body(part(SDP, "Content-Disposition: session", "Content-Transfer-Encoding: 8bit", TYPED)),
            id="with more headers",
        ),
        pytest.param(TYPE, body(DESCRIPTION, part(b"v=0\r\n", TYPED)), id="the first of two"),
    ],
)
def test_the_description_is_found(content_type: str, text: bytes) -> None:
    assert is_multipart(content_type)
    span = sdp_span(content_type, text)
    assert span is not None and text[span[0] : span[1]] == SDP


@every(
    ("content_type", "text"),
    [
        pytest.param(TYPE, body(PLACE), id="no description"),
        pytest.param(TYPE, SDP, id="no parts"),
        pytest.param(TYPE, body(DESCRIPTION, boundary=b"b2"), id="another boundary"),
        pytest.param("multipart/mixed", body(DESCRIPTION), id="no boundary"),
        pytest.param("multipart/mixed;boundary=", body(DESCRIPTION), id="an empty one"),
        pytest.param("multipart/mixed;boundary=" + "b" * 71, body(DESCRIPTION), id="a long one"),
        pytest.param('multipart/mixed;boundary="b1', body(DESCRIPTION), id="a quote that is not closed"),
        pytest.param(TYPE, b"--b1\r\n" + DESCRIPTION, id="not ended"),
        pytest.param(TYPE, b"--b1--\r\n" + body(DESCRIPTION), id="ended before"),
        pytest.param(TYPE, body(part(b"dj0w", TYPED, "Content-Transfer-Encoding: base64")), id="encoded"),
        pytest.param(TYPE, body(*[PLACE] * MAX_PARTS, DESCRIPTION), id="too many parts"),
    ],
)
def test_nothing_else_is(content_type: str, text: bytes) -> None:
    assert sdp_span(content_type, text) is None


@pytest.mark.parametrize("content_type", [None, "", "application/sdp", "multipart", "text/multipart/x"])
def test_what_has_no_parts(content_type: str | None) -> None:
    assert not is_multipart(content_type)


@given(
    st.lists(st.sampled_from([b"--b1", b"\r\n", b"--", DESCRIPTION, PLACE, b"x"]), max_size=20).map(b"".join)
)
def test_any_octets_are_taken(text: bytes) -> None:
    span = sdp_span(TYPE, text)
    assert span is None or 0 <= span[0] <= span[1] <= len(text)
