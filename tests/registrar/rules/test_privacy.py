"""registrar/rules/privacy.py: who withholds its identity (RFC 3323, RFC 3325)."""

import pytest

from registrar.rules import privacy
from registrar.sip import Request, check, parse


def invite(from_: str = "<sip:200@acme.test>", *rows: str) -> Request:
    lines = [
        "INVITE sip:201@acme.test SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bK1",
        f"From: {from_};tag=a",
        "To: <sip:201@acme.test>",
        "Call-ID: call-1",
        "CSeq: 1 INVITE",
        *rows,
        "Content-Length: 0",
    ]
    made = parse(("\r\n".join(lines) + "\r\n\r\n").encode(), exact=True)
    assert isinstance(made, Request)
    check(made)
    return made


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ((), set()),
        (("Privacy: id",), {"id"}),
        (("Privacy: ID ; user;critical",), {"id", "user", "critical"}),
        (("privacy: id,header", "Privacy: session"), {"id", "header", "session"}),
        (("Privacy: none",), {"none"}),
        (("Privacy: none;id",), {"id"}),
        (("Privacy: ;",), set()),
    ],
)
def test_the_values_of_a_message(rows: tuple[str, ...], values: set[str]) -> None:
    assert privacy.values(invite("<sip:200@acme.test>", *rows)) == values


@pytest.mark.parametrize(
    ("request_", "withheld"),
    [
        pytest.param(invite(), False, id="who says nothing"),
        pytest.param(invite("<sip:200@acme.test>", "Privacy: id"), True, id="id"),
        pytest.param(invite("<sip:200@acme.test>", "Privacy: header;user"), True, id="user"),
        pytest.param(invite("<sip:200@acme.test>", "Privacy: header"), False, id="header hides no name"),
        pytest.param(invite("<sip:200@acme.test>", "Privacy: none"), False, id="none"),
        pytest.param(invite("<sip:anonymous@Anonymous.invalid>"), True, id="a From that says it"),
    ],
)
def test_who_withholds_its_identity(request_: Request, withheld: bool) -> None:
    assert privacy.is_anonymous(request_) is withheld
