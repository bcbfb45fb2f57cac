"""registrar/rules/terms.py: what the text of the view says."""

import pytest

from registrar.model import NO_TERMS, Terms
from registrar.rules.terms import parse_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        pytest.param("", NO_TERMS, id="an empty text"),
        pytest.param("///////", NO_TERMS, id="nothing is said"),
        pytest.param("t///////", Terms(tls=True), id="TLS"),
        pytest.param("sd///////", Terms(srtp=True, sha256=True), id="SRTP and SHA-256"),
        pytest.param("n///////", Terms(networks=True), id="networks"),
        pytest.param("/3/2/////", Terms(contacts=2), id="the phone is stricter"),
        pytest.param("/2/3/////", Terms(contacts=2), id="the phone is not looser"),
        pytest.param("//4/////", Terms(contacts=4), id="the phone alone"),
        pytest.param(
            "///0/5/6/7/8",
            Terms(calls=0, call_rate=5, phone_calls=6, extension_calls=7, transactions=8),
            id="quotas, also none",
        ),
    ],
)
def test_the_text_of_the_view(text: str, terms: Terms) -> None:
    assert parse_terms(text) == terms


@pytest.mark.parametrize("text", ["t", "t/1", "/a//////", "////////"])
def test_any_other_text_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_terms(text)


def test_phones_with_the_same_text_share_one_value() -> None:
    assert parse_terms("".join(("ts", "/3//////"))) is parse_terms("ts/3//////")
