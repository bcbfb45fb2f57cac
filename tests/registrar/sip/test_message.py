"""Bytes to messages and back, and the limits."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import MalformedMessage, MessageTooLarge, SipError
from registrar.sip import MAX_MESSAGE, Headers, Message, Request, Response, Via, check, parse, parse_via
from registrar.sip.headers import MAX_HEADER
from registrar.sip.message import MAX_CSEQ, MAX_HEAD, MAX_HEADERS, MAX_METHOD, MAX_REQUEST_URI
from tests.every import every

from .strategies import SPECIALS, anything, unhurried

LINES = (
    "Via: SIP/2.0/UDP phone.example;branch=z9hG4bK1",
    "From: <sip:ann@home.example>;tag=a",
    "To: <sip:ann@home.example>",
    "Call-ID: 1@phone.example",
    "CSeq: 7 REGISTER",
)
OK = "SIP/2.0 200 OK"
START = "REGISTER sip:home.example SIP/2.0"


def wire(*lines: str, start: str = START, body: bytes = b"") -> bytes:
    """A message of these lines."""
    return "\r\n".join((start, *lines, "", "")).encode() + body


def request(*lines: str, start: str = START, body: bytes = b"") -> Request:
    """The request on these lines."""
    message = parse(wire(*lines, start=start, body=body))
    assert isinstance(message, Request)
    return message


def test_a_request_has_its_parts() -> None:
    message = request(*LINES, "Expires: 60", start="REGISTER sip:home.example sip/2.0", body=b"hi")
    assert (message.method, message.target, message.version) == ("REGISTER", "sip:home.example", "sip/2.0")
    assert message.uri.host == "home.example"
    assert message.via.branch == "z9hG4bK1"
    assert message.from_.tag == "a"
    assert message.to.uri.user == "ann"
    assert message.call_id == "1@phone.example"
    assert message.cseq == (7, "REGISTER")
    assert message.headers.get("expires") == "60"
    assert message.body == b"hi"
    assert not message.fault


@pytest.mark.parametrize(
    ("start", "status", "reason"),
    [
        pytest.param("SIP/2.0 200 OK", 200, "OK", id="usual"),
        pytest.param("SIP/2.0 180 ", 180, "", id="empty reason"),
        pytest.param("SIP/2.0 404", 404, "", id="no reason"),
        pytest.param("sip/2.0 603 Не хочу (no)", 603, "Не хочу (no)", id="any reason"),
    ],
)
def test_a_response_has_its_parts(start: str, status: int, reason: str) -> None:
    message = parse(wire(*LINES, start=start))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)
    assert parse(bytes(message)).headers == message.headers


@every(
    "start",
    [
        "SIP/2.0",
        "SIP/2.0 99 x",
        "SIP/2.0 700 x",
        "SIP/2.0 2000 x",
        "SIP/2.0  200 OK",
        "SIP/2.0 20\u0660 x",
        "SIP/2.0 -20 x",
        "SIP/2 200 OK",
    ],
    ids=repr,
)
def test_a_bad_status_line_is_malformed(start: str) -> None:
    with pytest.raises(MalformedMessage):
        parse(wire(*LINES, start=start))


@pytest.mark.parametrize(
    "data",
    [
        wire(*LINES, "Content-Length: 5", start=OK),
        wire(*LINES, start=OK)[:-2],
        wire(*LINES, "l: 0", "l: 1", start=OK),
    ],
)
def test_a_response_that_is_cut_off_is_dropped(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse(data)


@every(
    "lines",
    [
        ("no colon",),
        ("X: \x01",),
        ("Blank in: the name",),
        (": no name",),
        ("no colon", " and more of it"),
        ("X: \x01", " and more of it", "\tand more"),
        ("Content-Length: x",),
    ],
    ids=repr,
)
@every("place", [0, 1, 5])
def test_a_response_is_read_without_its_odd_lines(lines: tuple[str, ...], place: int) -> None:
    """The phone has answered: what nobody needs cannot take that back (RFC 3261 sections 7.3.1 and 8.2.2)."""
    message = parse(wire(*LINES[:place], *lines, *LINES[place:], start=OK, body=b"12"), exact=True)
    assert isinstance(message, Response)
    assert [f"{name}: {value}" for name, value in message.headers if name != "Content-Length"] == list(LINES)
    assert message.body == b"12"


@every(
    "hop",
    [
        "SIP/2.0/UDP h;rport=;branch=z9hG4bK1",
        "SIP/2.0/UDP h;branch=z9hG4bK1;",
        "SIP/2.0/UDP h;;branch=z9hG4bK1",
        'SIP/2.0/UDP h;x="open;branch=z9hG4bK1',
        "SIP/2.0/UDP [not::an::address];branch=z9hG4bK1",
        "SIP/2.0/UDP [fe80::1%eth0];Branch = z9hG4bK1",
        "SIP/2.0/UDP;branch=z9hG4bK1",
        "SIP/2.0/UDP h;a=<;branch=z9hG4bK1, SIP/2.0/UDP i;branch=z9hG4bK2",
    ],
)
@every("count", ["7", "-7", "99999999999", ""])
def test_a_response_is_known_by_branch_and_method(hop: str, count: str) -> None:
    message = parse(wire(f"Via: {hop}", f"CSeq: {count} REGISTER", start=OK))
    assert (message.via.branch, message.cseq[1]) == ("z9hG4bK1", "REGISTER")


@pytest.mark.parametrize(
    ("to", "tag"),
    [
        pytest.param("Bob, B <sip:bob@home.example>;tag=b", "b", id="a comma outside quotes"),
        pytest.param("<sip:bob@home.example>;;tag=b;", "b", id="empty parameters"),
        pytest.param('"Bob <sip:bob@home.example> ; Tag = b', "b", id="an open quote"),
        pytest.param("<sip:@>;tag=b;x=y", "b", id="a bad URI"),
        pytest.param("<sip:bob@home.example>;tag=b", "b", id="a sound one"),
        pytest.param("<sip:bob@home.example>", None, id="none"),
    ],
)
def test_a_response_tells_its_dialog_by_the_tag(to: str, tag: str | None) -> None:
    assert parse(wire(f"To: {to}", start=OK)).to.tag == tag


@pytest.mark.parametrize("to", ["Bob, B <sip:bob@home.example>", "<sip:@>;tag=", "<sip:@>;tag=a/b", ""])
def test_an_odd_to_without_a_tag_is_malformed(to: str) -> None:
    with pytest.raises(MalformedMessage):
        _ = parse(wire(f"To: {to}", start=OK)).to


@pytest.mark.parametrize("line", ["Via: SIP/2.0/UDP", "Via: nonsense", "CSeq: ", "CSeq: 7 RE(GISTER"])
def test_a_response_without_branch_or_method_belongs_to_nothing(line: str) -> None:
    message = parse(wire(line, start=OK))
    for name in ("via", "cseq"):
        with pytest.raises(MalformedMessage):
            getattr(message, name)


@pytest.mark.parametrize(
    "start", ["", " REGISTER sip:h SIP/2.0", "RE(GISTER sip:h SIP/2.0", "RÉ sip:h SIP/2.0"], ids=repr
)
def test_a_line_without_a_method_is_no_message(start: str) -> None:
    with pytest.raises(MalformedMessage):
        parse(wire(*LINES, start=start))


@every(
    "start",
    [
        "REGISTER",
        "REGISTER sip:h",
        "REGISTER SIP/2.0",
        "REGISTER  sip:h SIP/2.0",
        "REGISTER sip:h  SIP/2.0",
        "REGISTER sip:h SIP/2.0 ",
        "REGISTER sip:h; lr SIP/2.0",
        "REGISTER sip:h HTTP/1.1",
        "REGISTER sip:h SIP/2",
        "REGISTER sip:h SIP/2.0é",
        "REGISTER sip:h SIP/٢.0",
    ],
    ids=repr,
)
def test_a_bad_request_line_still_gives_a_request_to_answer(start: str) -> None:
    message = request(*LINES, start=start)
    assert message.fault == "bad request line"
    assert message.via.host == "phone.example"
    with pytest.raises(MalformedMessage):
        check(message)


def test_a_request_can_be_sent_on_to_another_uri() -> None:
    request = parse(b"BYE sip:a@b SIP/2.0\r\nCall-ID: c\r\n\r\n")
    assert isinstance(request, Request) and request.uri.user == "a"
    request.retarget("sips:c@d")
    assert (str(request.uri), request.start_line) == ("sips:c@d", "BYE sips:c@d SIP/2.0")


def test_a_missing_header_is_malformed_when_it_is_read() -> None:
    message = request()
    for name in ("via", "from_", "to", "call_id", "cseq"):
        with pytest.raises(MalformedMessage, match="is missing"):
            getattr(message, name)
    with pytest.raises(MalformedMessage):
        message.via = parse_via("SIP/2.0/UDP h")
    assert message.contacts == ()
    assert message.credentials == ()


@pytest.mark.parametrize(
    ("value", "cseq"),
    [
        pytest.param("7 REGISTER", (7, "REGISTER"), id="usual"),
        pytest.param("0007\tREGISTER", (7, "REGISTER"), id="zeros and a tab"),
        pytest.param("0 A", (0, "A"), id="zero"),
        pytest.param("0" * 2_000 + "1 A", (1, "A"), id="many zeros"),
        pytest.param(f"{MAX_CSEQ} A", (MAX_CSEQ, "A"), id="limit"),
    ],
)
def test_a_cseq_is_a_number_and_a_method(value: str, cseq: tuple[int, str]) -> None:
    assert request(f"CSeq: {value}").cseq == cseq


@every(
    "value",
    [f"{MAX_CSEQ + 1} A", "A", "7", "7A", "-7 A", "7 A B", "7 (", "\u0667 A", "1" * 2_000 + " A"],
    ids=lambda value: value[:12],
)
def test_a_bad_cseq_is_malformed(value: str) -> None:
    with pytest.raises(MalformedMessage):
        _ = request(f"CSeq: {value}").cseq


def test_contacts_come_from_every_row() -> None:
    message = request("Contact: <sip:a@h>;q=1, sip:b@h", "m: <sip:c@h>")
    assert [address.uri.user for address in message.contacts] == ["a", "b", "c"]
    assert message.contacts is message.contacts
    assert not message.wildcard
    assert request("m: *").wildcard
    assert request("m: *").contacts == ()


def test_only_digest_credentials_are_kept() -> None:
    sound = 'username="a", realm="b", nonce="c", uri="sip:d", response="ee"'
    message = request(
        "Authorization: Basic eA==", f"Authorization: Digest {sound}", f"authorization: digest {sound}"
    )
    assert [found.username for found in message.credentials] == ["a", "a"]
    assert message.credentials is message.credentials


@pytest.mark.parametrize(
    ("vias", "after"),
    [
        pytest.param(["SIP/2.0/UDP a"], ["SIP/2.0/TCP new"], id="one"),
        pytest.param(["SIP/2.0/UDP a,SIP/2.0/UDP b"], ["SIP/2.0/TCP new, SIP/2.0/UDP b"], id="a list"),
        pytest.param(
            ['SIP/2.0/UDP a;x="1,2", SIP/2.0/UDP b'], ["SIP/2.0/TCP new, SIP/2.0/UDP b"], id="comma in quotes"
        ),
        pytest.param(["SIP/2.0/UDP a", "SIP/2.0/UDP b"], ["SIP/2.0/TCP new", "SIP/2.0/UDP b"], id="rows"),
    ],
)
def test_the_topmost_via_can_be_replaced(vias: list[str], after: list[str]) -> None:
    message = request(*[f"v: {via}" for via in vias])
    assert message.via.host == "a"
    message.via = Via("TCP", "new", None, ())
    assert message.via.host == "new"
    assert message.headers.all("via") == after
    assert request(*[f"v: {via}" for via in message.headers.all("via")]).via == message.via


@pytest.mark.parametrize(
    ("lines", "body", "kept"),
    [
        pytest.param([], b"abc", b"abc", id="absent"),
        pytest.param(["Content-Length: 3"], b"abc", b"abc", id="exact"),
        pytest.param(["l: 002"], b"abc", b"ab", id="octets beyond it are ignored"),
        pytest.param(["l: 0"], b"\r\n" + wire(), b"", id="a second message is ignored"),
        pytest.param(["l: 2", "Content-Length: 2"], b"abc", b"ab", id="twice the same"),
    ],
)
def test_the_body_is_cut_by_content_length(lines: list[str], body: bytes, kept: bytes) -> None:
    message = request(*LINES, *lines, body=body)
    assert message.body == kept
    assert not message.fault


@every(
    ("lines", "body", "fits"),
    [
        pytest.param([], b"abc", True, id="absent: a WebSocket message has its length"),
        pytest.param(["l: 3"], b"abc", True, id="exact"),
        pytest.param(["l: 0"], b"", True, id="nothing"),
        pytest.param(["l: 2"], b"abc", False, id="an octet too many"),
        pytest.param(["l: 0"], b"\r\n", False, id="an empty line too many"),
        pytest.param(["l: 0"], b"\r\n" + wire(), False, id="a second message"),
        pytest.param(["l: 4"], b"abc", False, id="an octet too few"),
        pytest.param(["l: x"], b"abc", False, id="no length"),
    ],
)
def test_where_the_transport_says_how_long_a_message_is_it_is_so_long(
    lines: list[str], body: bytes, fits: bool
) -> None:
    message = parse(wire(*LINES, *lines, body=body), exact=True)
    assert isinstance(message, Request)
    assert message.via.host == "phone.example"
    assert bool(message.fault) is not fits
    if fits:
        assert message.body == body
    else:
        with pytest.raises(MalformedMessage):
            check(message)


def test_a_response_that_is_longer_than_it_says_is_none() -> None:
    data = wire(*LINES, "l: 2", start="SIP/2.0 200 OK", body=b"abc")
    assert parse(data).body == b"ab"
    with pytest.raises(MalformedMessage, match="longer than Content-Length"):
        parse(data, exact=True)


@every(
    "lines",
    [
        ["l: 4"],
        ["l: -1"],
        ["l: +1"],
        ["l: 1 1"],
        ["l:"],
        ["l: \u0661"],
        [f"l: {2**31}"],
        [f"l: {2**64}"],
        ["l: 1", "l: 2"],
    ],
    ids=repr,
)
def test_a_bad_content_length_is_a_fault(lines: list[str]) -> None:
    message = request(*LINES, *lines, body=b"abc")
    assert message.fault
    with pytest.raises(MalformedMessage):
        check(message)


@pytest.mark.parametrize("size", [MAX_MESSAGE - 1, MAX_MESSAGE])
def test_a_message_within_the_limit_is_read(size: int) -> None:
    assert len(request(*LINES, body=b"x" * (size - len(wire(*LINES)))).body) < size


def test_a_longer_message_is_too_large() -> None:
    with pytest.raises(MessageTooLarge):
        parse(wire(*LINES, body=b"x" * (MAX_MESSAGE + 1 - len(wire(*LINES)))))


def head(size: int) -> list[str]:
    """Headers that make, with the start line, a block of `size` octets without the empty line."""
    full = ["X: " + "x" * 1_000] * ((size - len(START)) // 1_005 - 1)
    rest = size - len(wire(*full)) + 4
    return [*full, "X: " + "x" * (rest - 5)]


@every(
    ("lines", "fits"),
    [
        *[pytest.param(head(MAX_HEAD + n), n < 1, id=f"head{n:+}") for n in (-1, 0, 1)],
        *[pytest.param(["X: " + "x" * (MAX_HEADER - 3 + n)], n < 1, id=f"header{n:+}") for n in (-1, 0, 1)],
        *[pytest.param(["X:"] * (MAX_HEADERS + n), n < 1, id=f"headers{n:+}") for n in (-1, 0, 1)],
    ],
)
def test_the_headers_have_limits(lines: list[str], fits: bool) -> None:
    if fits:
        assert len(request(*lines).headers.rows) == len(lines)
    else:
        with pytest.raises(MalformedMessage):
            parse(wire(*lines))


def test_the_head_of_the_limit_tests_has_its_size() -> None:
    assert [len(wire(*head(MAX_HEAD + n))) - 4 for n in (-1, 0, 1)] == [MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1]


@pytest.mark.parametrize(
    ("size", "fits"), [(MAX_METHOD - 1, True), (MAX_METHOD, True), (MAX_METHOD + 1, False)]
)
def test_a_method_has_a_limit(size: int, fits: bool) -> None:
    start = f"{'M' * size} sip:h SIP/2.0"
    if fits:
        assert request(start=start).method == "M" * size
    else:
        with pytest.raises(MalformedMessage):
            parse(wire(start=start))


@pytest.mark.parametrize(
    ("size", "fits"), [(MAX_REQUEST_URI - 1, True), (MAX_REQUEST_URI, True), (MAX_REQUEST_URI + 1, False)]
)
def test_a_request_uri_has_a_limit(size: int, fits: bool) -> None:
    message = request(start=f"REGISTER sip:{'h' * (size - 4)} SIP/2.0")
    if fits:
        assert len(message.uri.host) == size - 4
    else:
        with pytest.raises(MalformedMessage):
            _ = message.uri


@every("byte", range(256))
@every(
    ("before", "after", "allowed"),
    [
        pytest.param(b"Contact", b": <sip:a@h>", b"\t ", id="before the colon"),
        pytest.param(
            b"Subject: a", b"b", b"\t" + bytes([*range(32, 127), *range(128, 256)]), id="in a value"
        ),
        pytest.param(
            b'Contact: "a',
            b'" <sip:a@h>',
            b"\t !" + bytes([*range(35, 92), *range(93, 127), *range(128, 256)]),
            id="in quotes",
        ),
        pytest.param(b'Contact: "a\\', b'" <sip:a@h>', bytes(set(range(256)) - {10, 13}), id="a quoted pair"),
    ],
)
def test_where_each_byte_may_stand(byte: int, before: bytes, after: bytes, allowed: bytes) -> None:
    line = before + bytes([byte]) + after
    data = wire(*LINES)[:-2] + line + b"\r\n\r\n"
    message = parse(data)
    assert isinstance(message, Request)
    token = b"!%'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz~"
    if before == b"Contact":
        allowed += token
    try:
        check(message)
        served = True
    except SipError:
        served = False
    assert served is (byte in allowed)


@every(
    "data",
    [
        pytest.param(wire(*LINES, "X: a\rY: b"), id="bare CR"),
        pytest.param(wire(*LINES, "X: a\nY: b"), id="bare LF"),
        pytest.param(wire(*LINES, "X: a\r", "Y: b"), id="CR before CRLF"),
        pytest.param(wire(*LINES, 'X: "a\\\nb"'), id="LF as a quoted pair"),
        pytest.param(wire(*LINES, 'X: "a\x01'), id="in quotes that are not closed"),
        pytest.param(wire(*LINES, 'X: "a\\\x01'), id="a pair in quotes that are not closed"),
        pytest.param(wire(*LINES, 'X: "a" \\\x01 "b"'), id="a pair between quotes"),
        pytest.param(wire(*LINES)[:-2], id="no empty line"),
        pytest.param(wire(*LINES)[:-4], id="no line end"),
    ],
)
def test_a_message_with_a_fault_can_be_answered_but_not_served(data: bytes) -> None:
    message = parse(data)
    assert isinstance(message, Request)
    assert message.via.host == "phone.example"
    with pytest.raises(MalformedMessage):
        check(message)


@pytest.mark.parametrize(
    "start", ["REGISTER sip:h\x01 SIP/2.0", "\0REGISTER sip:h SIP/2.0", "A\nB sip:h SIP/2.0"], ids=repr
)
def test_a_control_character_in_the_start_line_is_malformed(start: str) -> None:
    with pytest.raises(MalformedMessage):
        parse(wire(*LINES, start=start))


def test_latin_1_is_read_and_can_be_written_in_utf_8() -> None:
    data = wire(*LINES, 'Contact: "J\u00f6rg" <sip:a@h>').replace("\u00f6".encode(), b"\xf6")
    message = parse(data)
    assert isinstance(message, Request)
    assert message.contacts[0].display == '"J\u00f6rg"'
    assert '"Jörg"'.encode() in bytes(message)


def test_a_line_break_never_gets_into_a_header() -> None:
    for value in ("a\r\nVia: b", "a\nb"):
        with pytest.raises(MalformedMessage):
            bytes(Response(200, "OK", Headers([("x", "X", value)])))


def test_a_message_is_a_request_or_a_response() -> None:
    with pytest.raises(NotImplementedError):
        bytes(Message(Headers()))


typed = ("via", "to", "from_", "call_id", "cseq", "uri", "contacts", "wildcard", "credentials")


def read(data: bytes) -> None:
    """Read all there is in `data`; a SipError is fine."""
    try:
        message = parse(data)
    except SipError:
        return
    for name in typed:
        with suppress(SipError):
            getattr(message, name, None)
    if isinstance(message, Request):
        try:
            check(message)
        except SipError:
            return
    assert parse(bytes(message)).headers == message.headers


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_sip_error(data: bytes) -> None:
    read(data)
    read(f"{START}\r\n".encode() + data)
    read(wire(*LINES)[:-2] + data)


@unhurried
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "Via",
                    "To",
                    "From",
                    "Call-ID",
                    "CSeq",
                    "Contact",
                    "Authorization",
                    "Content-Length",
                    "Date",
                    "X",
                ]
            ),
            anything,
        ),
        max_size=6,
    ),
    st.text(SPECIALS, max_size=12),
)
def test_any_headers_give_a_message_or_a_sip_error(rows: list[tuple[str, str]], target: str) -> None:
    lines = [f"{name}: {value}" for name, value in rows]
    read("\r\n".join([f"INVITE sip:{target} SIP/2.0", *lines, *LINES, "", ""]).encode("utf-8", "replace"))


@unhurried
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_sound_message_with_some_octets_changed(changes: list[tuple[int, int]]) -> None:
    data = bytearray(
        wire(*LINES, 'Contact: "A" <sip:a@h>;q=1', 'Authorization: Digest a="b", nc=1', "l: 3", body=b"abc")
    )
    for position, value in changes:
        data[position % len(data)] = value
    read(bytes(data))
