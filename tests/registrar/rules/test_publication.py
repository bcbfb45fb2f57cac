"""registrar/rules/publication.py: what is kept of a published document, and which documents are refused."""

import pytest

from registrar.errors import MalformedMessage
from registrar.model import Published
from registrar.rules.pidf import Activity, Presence, document
from registrar.rules.publication import MAX_NOTE, clean, if_match, is_document, parse_published
from registrar.sip import Headers, Request
from tests.every import every

PIDF = "urn:ietf:params:xml:ns:pidf"
SPACES = f'xmlns="{PIDF}" xmlns:dm="{PIDF}:data-model" xmlns:rpid="{PIDF}:rpid" entity="sip:ann@acme.test"'


def pidf(inside: str) -> bytes:
    return f'<?xml version="1.0"?><presence {SPACES}>{inside}</presence>'.encode()


def tuple_of(basic: str, more: str = "") -> str:
    return f'<tuple id="a"><status><basic>{basic}</basic></status>{more}</tuple>'


@every(
    ("inside", "kept"),
    [
        pytest.param(tuple_of("open"), Published(True), id="open"),
        pytest.param(tuple_of(" closed\n"), Published(False), id="closed"),
        pytest.param(tuple_of("closed") + tuple_of("open"), Published(True), id="one of two is open"),
        pytest.param("", Published(True), id="says nothing"),
        pytest.param('<tuple id="a"><status/></tuple>', Published(True), id="no basic status"),
        pytest.param(tuple_of("open", "<note>Lunch</note>"), Published(True, "Lunch"), id="note of a tuple"),
        pytest.param("<note>Lunch</note>" + tuple_of("closed"), Published(False, "Lunch"), id="note beside"),
        pytest.param(
            '<dm:person id="p"><rpid:activities><rpid:note>Away</rpid:note></rpid:activities>'
            "<dm:note>Lunch</dm:note></dm:person>",
            Published(True, "Away"),
            id="the first note of two",
        ),
        pytest.param("<note/><note>Lunch</note>", Published(True, "Lunch"), id="an empty note is none"),
        pytest.param('<x:note xmlns:x="urn:x">Lunch</x:note>', Published(True), id="note of another space"),
        pytest.param("<note>&lt; &#38; <!-- --><![CDATA[<d>]]></note>", Published(True, "< & <d>"), id="XML"),
        pytest.param("<note>äöü 😀</note>", Published(True, "äöü 😀"), id="UTF-8"),
        pytest.param("<note> a\r\n\t b&#x2028;c&#x85;</note>", Published(True, "a b c"), id="lines"),
        pytest.param(f"<note>{'x' * 65}</note>", Published(True, "x" * MAX_NOTE), id="long"),
    ],
)  # fmt: skip
def test_what_is_kept_of_a_document(inside: str, kept: Published) -> None:
    assert parse_published(pidf(inside)) == kept


@every(
    ("body", "why"),
    [
        pytest.param(b"", "no XML", id="nothing"),
        pytest.param(b"open", "no XML", id="a word"),
        pytest.param(pidf("<tuple>"), "no XML", id="not closed"),
        pytest.param(pidf("") + b"x", "no XML", id="more behind it"),
        pytest.param(pidf("<note>&other;</note>"), "no XML", id="an unknown entity"),
        pytest.param(pidf("<note>\x01</note>"), "no XML", id="a control character"),
        pytest.param(pidf("<note>&#1;</note>"), "no XML", id="a control character as a number"),
        pytest.param(pidf("<note>").replace(b"<note>", b"<note>\xff</note>"), "no XML", id="not UTF-8"),
        pytest.param(b'<?xml version="1.0" encoding="x-no"?><a/>', "no XML", id="an unknown encoding"),
        pytest.param(b'<?xml version="1.0" encoding="gb2312"?><a/>', "no XML", id="many octets"),
        pytest.param(b"<presence/>", "no PIDF", id="without its name space"),
        pytest.param(f'<tuple xmlns="{PIDF}"/>'.encode(), "no PIDF", id="another root"),
        pytest.param(pidf(tuple_of("busy")), "neither", id="another basic status"),
        pytest.param(f'<!DOCTYPE a><presence {SPACES}/>'.encode(), "DOCTYPE", id="a DOCTYPE"),
        pytest.param(f'<!DOCTYPE a><presence {SPACES}/>'.encode("utf-16"), "DOCTYPE", id="in UTF-16"),
        pytest.param(
            f'<!DOCTYPE a [<!ENTITY b "bbb"><!ENTITY c "&b;&b;">]><presence {SPACES}>&c;</presence>'.encode(),
            "DOCTYPE",
            id="entities of entities",
        ),
        pytest.param(
            f'<!DOCTYPE a SYSTEM "file:///etc/passwd"><presence {SPACES}/>'.encode(), "DOCTYPE", id="a file"
        ),
    ],
)  # fmt: skip
def test_a_document_that_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        parse_published(body)


def test_a_deep_document_is_read() -> None:
    deep = "<note>" * 300 + "</note>" * 300
    assert parse_published(pidf(deep)) == Published(True)


def test_our_own_document_can_be_read() -> None:
    for shown in (Presence(Activity.FREE, published="a & b"), Presence(Activity.FREE, is_closed=True)):
        kept = Published(not shown.is_closed, shown.note)
        assert parse_published(document(shown, entity="sip:201@acme.test")) == kept


def test_a_note_that_was_cut_does_not_end_in_a_blank() -> None:
    assert clean("x" * (MAX_NOTE - 1) + " y") == "x" * (MAX_NOTE - 1)


def request_with(*rows: tuple[str, str]) -> Request:
    return Request("PUBLISH", "sip:201@acme.test", Headers([(n.lower(), n, v) for n, v in rows]), b"")


@pytest.mark.parametrize(
    ("values", "tag"),
    [((), ""), (("abc",), "abc"), ((" abc ",), "abc"), (("",), None), (("a, b",), None), (("a", "b"), None)],
)
def test_the_tag_that_must_match(values: tuple[str, ...], tag: str | None) -> None:
    assert if_match(request_with(*[("SIP-If-Match", value) for value in values])) == tag


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        ("application/pidf+xml", True),
        ("Application/PIDF+xml ; charset=utf-8", True),
        ("application/xml", False),
        ("", False),
    ],
)
def test_the_type_of_a_document(value: str, is_read: bool) -> None:
    assert is_document(request_with(("Content-Type", value))) is is_read
    assert not is_document(request_with())
