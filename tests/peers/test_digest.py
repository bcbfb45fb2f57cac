"""The examples of RFC 7616 section 3.9.1 and RFC 2617 section 3.5, for the phone's own digest."""

import pytest

from tests.peers.digest import Challenge, authorization, parse_challenge

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_answer_is_the_one_of_the_rfc(algorithm: str, response: str) -> None:
    challenge = Challenge("http-auth@example.org", NONCE, algorithm, "auth, auth-int", "opaque")
    value = authorization(
        challenge, "Mufasa", "Circle of Life", "GET", "/dir/index.html", count=1, cnonce=CNONCE
    )
    assert f'response="{response}"' in value
    assert "nc=00000001" in value


def test_a_challenge_without_qop_gets_the_old_answer() -> None:
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    value = authorization(challenge, "Mufasa", "CircleOfLife", "GET", "/dir/index.html")
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in value
    assert "nc=" not in value


def test_a_challenge_is_read_with_its_quotes() -> None:
    text = 'Digest realm="a, b", nonce="n=1", algorithm=SHA-256, qop="auth", stale=TRUE'
    assert parse_challenge(text) == Challenge("a, b", "n=1", "SHA-256", "auth", "", stale=True)


def test_another_scheme_is_no_challenge() -> None:
    assert parse_challenge('Bearer realm="a"') is None
