"""registrar/rules/redirection.py: what the Contacts of a 3xx dial."""

import pytest

from registrar.model import Devices
from registrar.rules.redirection import MAX_CONTACTS, contacts, users
from registrar.sip import Response, answer
from tests.every import every

from .words import request


def redirects(*values: str) -> Response:
    asked = request("<sip:200@10.0.0.7>", method="INVITE", uri="sip:201@acme.test")
    return answer(asked, 302, headers=[("Contact", value) for value in values], to_tag="b")


def is_here(host: str) -> bool:
    return host == "acme.test"


@every(
    ("values", "found"),
    [
        pytest.param(("<sip:300@acme.test>",), (("300", ""),), id="a number"),
        pytest.param(("sip:300@ACME.test",), (("300", ""),), id="without brackets"),
        pytest.param(
            ("<sip:300@acme.test>;q=0.5, <sips:%33%301@acme.test>;q=1.0;expires=60",),
            (("300", "0.5"), ("%33%301", "1.0")),
            id="several, as preferred",
        ),
        pytest.param(("<sip:300@acme.test>;q=secret",), (("300", ""),), id="no q"),
        pytest.param(("<sip:300@elsewhere.test>",), None, id="a stranger"),
        pytest.param(("<sip:300@acme.test>", "<sip:1@elsewhere.test>"), None, id="one of them a stranger"),
        pytest.param(("<tel:300>",), None, id="another scheme"),
        pytest.param(("<http://acme.test/300>",), None, id="a page"),
        pytest.param(("<sip:acme.test>",), None, id="no user"),
        pytest.param(("<sip:300@acme.test;gr=x>",), None, id="a device"),
        pytest.param(("<sip:300@acme.test?Replaces=x>",), None, id="with headers of an INVITE"),
        pytest.param(("<sip:300",), None, id="nonsense"),
        pytest.param(("*",), None, id="the wildcard"),
        pytest.param((), (), id="nowhere"),
        pytest.param(("<sip:300@acme.test>",) * (MAX_CONTACTS + 1), None, id="too many"),
    ],
)
def test_what_a_redirection_dials(values: tuple[str, ...], found: tuple[tuple[str, str], ...] | None) -> None:
    assert users(redirects(*values), is_here) == found


def test_the_caller_sees_numbers() -> None:
    found = [(Devices("300", "Ann"), "0.5"), (Devices("3 1", ""), "")]
    assert contacts(found, "acme.test") == (
        ("Contact", "<sip:300@acme.test>;q=0.5"),
        ("Contact", "<sip:3%201@acme.test>"),
    )
