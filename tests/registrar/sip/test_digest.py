"""Authorization, challenges, and the published digests."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import MalformedMessage, SipError
from registrar.sip import (
    MD5,
    SHA256,
    Credentials,
    DigestChallenge,
    challenge,
    expected,
    ha1,
    parse_challenge,
    parse_credentials,
    quote,
)
from tests.every import every

from .strategies import anything, credentials, unhurried

FIVE = 'username="ann", realm="home.example", nonce="n1", uri="sip:home.example", response="00FF"'
ANN = Credentials("ann", "home.example", "n1", "sip:home.example", "00ff")
COUNTED = replace(ANN, cnonce="c1", qop="auth", nc="0000000a")

RFC2617 = Credentials(
    username="Mufasa",
    realm="testrealm@host.com",
    nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
    uri="/dir/index.html",
    response="6629fae49393a05397450978507c4ef1",
    cnonce="0a4f113b",
    qop="auth",
    nc="00000001",
)
RFC7616 = Credentials(
    username="Mufasa",
    realm="http-auth@example.org",
    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    uri="/dir/index.html",
    response="8ca523f5e9506fed4657c9700eebdbec",
    cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    qop="auth",
    nc="00000001",
)
RFC7616_SHA = replace(
    RFC7616,
    algorithm=SHA256,
    response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
)
RFC2069 = Credentials(
    username="Mufasa",
    realm="testrealm@host.com",
    nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
    uri="/dir/index.html",
    response="1949323746fe6a43ef61f9606e7febea",
)


def text(value: Credentials) -> str:
    """An Authorization as a phone writes it."""
    return (
        f"Digest username={quote(value.username)}, realm={quote(value.realm)}, nonce={quote(value.nonce)}, "
        f'uri={quote(value.uri)}, response="{value.response}", algorithm={value.algorithm}, '
        f"cnonce={quote(value.cnonce)}, qop={value.qop}, nc={value.nc}, opaque={quote(value.opaque)}"
    )


@every(
    ("authorization", "parsed"),
    [
        pytest.param(f"Digest {FIVE}", ANN, id="least"),
        pytest.param(f"DIGEST\t {FIVE}", ANN, id="scheme in upper case, a tab"),
        pytest.param(f'Digest {FIVE}, qop=auth, nc=0000000a, cnonce="c1"', COUNTED, id="counted"),
        pytest.param(f'Digest {FIVE},qop="auth",nc="0000000a",cnonce=c1', COUNTED, id="quoted the other way"),
        pytest.param(f"Digest {FIVE}, nc=zz", ANN, id="nc without qop is ignored"),
        pytest.param(f"Digest {FIVE}, algorithm=md5", ANN, id="case of the algorithm"),
        pytest.param(f'Digest {FIVE}, algorithm="SHA-256"', replace(ANN, algorithm=SHA256), id="SHA-256"),
        pytest.param(f"Digest {FIVE}, algorithm=x", replace(ANN, algorithm="x"), id="unknown algorithm"),
        pytest.param(f'Digest {FIVE}, opaque="o", new=1', replace(ANN, opaque="o"), id="unknown parameter"),
        pytest.param(f"Digest {FIVE},", ANN, id="a comma at the end"),
        pytest.param(f"Digest   {FIVE.replace('=', ' = ').replace(', ', ' , ')}", ANN, id="blanks"),
        pytest.param(
            f"Digest {FIVE.upper().replace('ANN', 'ann')}".replace("HOME.EXAMPLE", "home.example")
            .replace("N1", "n1")
            .replace("SIP:", "sip:"),
            ANN,
            id="names in upper case",
        ),
        pytest.param(
            f"Digest {FIVE}".replace('"ann"', r'"a\"\\n"'), replace(ANN, username='a"\\n'), id="quoted pairs"
        ),
        pytest.param(f"Digest {FIVE}".replace('"ann"', '""'), replace(ANN, username=""), id="empty value"),
        pytest.param(
            f"Digest {FIVE}".replace('"ann"', '"a, b=c"'),
            replace(ANN, username="a, b=c"),
            id="comma in quotes",
        ),
        pytest.param("Basic YW5uOmFubg==", None, id="Basic"),
        pytest.param("Digestive x=y", None, id="another scheme"),
        pytest.param("Bearer", None, id="another scheme alone"),
        pytest.param("New (anything), <at all>", None, id="what another scheme says is not read"),
    ],
)
def test_an_authorization_gives_its_credentials(authorization: str, parsed: Credentials | None) -> None:
    assert parse_credentials(authorization) == parsed


@every(
    "authorization",
    [
        pytest.param("(x)", id="no scheme"),
        pytest.param("Digest x=y" + ", x=y" * 64, id="too many parameters"),
        pytest.param("Digest ann", id="no parameter"),
        pytest.param(f'Digest {FIVE}, nonce="n2"', id="twice"),
        pytest.param(f'Digest {FIVE}, NONCE="n1"', id="twice in another case"),
        pytest.param(f'Digest {FIVE}, opaque="o', id="quote not closed"),
        pytest.param(f'Digest {FIVE}, opaque="o"p', id="text after a quote"),
        pytest.param(f"Digest {FIVE}, opaque=", id="no value"),
        pytest.param(f"Digest {FIVE},, qop=auth", id="two commas"),
        pytest.param(f"Digest {FIVE} opaque=o", id="no comma"),
        pytest.param(f"Digest {FIVE}, Digest {FIVE}", id="two in one header"),
        pytest.param(f"Digest {FIVE}, qop=auth, cnonce=c, nc=1", id="short nc"),
        pytest.param(f"Digest {FIVE}, qop=auth, cnonce=c, nc=0000000g", id="nc not hexadecimal"),
        pytest.param(f"Digest {FIVE}, qop=auth, cnonce=c, nc=\u0660\u0660000001", id="nc with other digits"),
        pytest.param(f"Digest {FIVE}".replace("00FF", "00fg"), id="response not hexadecimal"),
        pytest.param(f"Digest {FIVE}".replace("00FF", "\u00e9"), id="response not ASCII"),
    ],
)
def test_a_digest_that_is_none_is_malformed(authorization: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_credentials(authorization)


@pytest.mark.parametrize("name", ["username", "realm", "nonce", "uri", "response"])
def test_a_digest_needs_five_parameters(name: str) -> None:
    """Without one there is nothing yet that could be wrong: its sender needs a challenge (RFC 3261 22.1)."""
    some = ", ".join(part for part in FIVE.split(", ") if not part.startswith(name))
    assert parse_credentials(f"Digest {some}") is None


@every(
    "authorization",
    [
        pytest.param("", id="empty"),
        pytest.param("Digest", id="alone"),
        pytest.param('Digest username="ann"', id="the name alone"),
        pytest.param('Digest username="ann", realm="r", uri="sip:r"', id="name, realm and uri, as sipML5"),
        pytest.param(f"Digest {FIVE}, qop=auth", id="qop without nc and cnonce"),
        pytest.param(f'Digest {FIVE}, qop=auth, cnonce="c"', id="qop without nc"),
        pytest.param(f"Digest {FIVE}, qop=auth, nc=00000001", id="qop without cnonce"),
        pytest.param(f'Digest {FIVE}, qop=auth, cnonce="", nc=00000001', id="empty cnonce"),
    ],
)
def test_a_digest_that_is_not_complete_is_none(authorization: str) -> None:
    assert parse_credentials(authorization) is None


def test_the_nonce_count_is_a_number() -> None:
    assert COUNTED.count == 10
    assert replace(COUNTED, nc="ffffffff").count == 2**32 - 1
    assert ANN.count == 0


@pytest.mark.parametrize(
    ("claim", "password"),
    [
        pytest.param(RFC2617, "Circle Of Life", id="RFC 2617 section 3.5"),
        pytest.param(RFC7616, "Circle of Life", id="RFC 7616 section 3.9.1 MD5"),
        pytest.param(RFC7616_SHA, "Circle of Life", id="RFC 7616 section 3.9.1 SHA-256"),
        pytest.param(RFC2069, "CircleOfLife", id="RFC 2069 without qop"),
    ],
)
def test_the_published_digests(claim: Credentials, password: str) -> None:
    key = ha1(claim.username, claim.realm, password, claim.algorithm)
    assert expected(claim, "GET", key) == claim.response
    assert expected(claim, "PUT", key) != claim.response
    assert expected(replace(claim, nonce="other"), "GET", key) != claim.response
    assert (
        expected(claim, "GET", ha1(claim.username, claim.realm, "guess", claim.algorithm)) != claim.response
    )


@pytest.mark.parametrize("name", ["nc", "cnonce", "qop", "uri"])
def test_every_count_is_part_of_the_digest(name: str) -> None:
    key = ha1("Mufasa", "http-auth@example.org", "Circle of Life", MD5)
    assert expected(replace(RFC7616, **{name: "00000002"}), "GET", key) != RFC7616.response


def test_an_unknown_algorithm_has_no_digest() -> None:
    with pytest.raises(MalformedMessage):
        expected(replace(ANN, algorithm="MD5-sess"), "REGISTER", "key")


@pytest.mark.parametrize(
    ("stale", "header"),
    [
        pytest.param(False, 'Digest realm="a\\"b", nonce="n", algorithm=MD5, qop="auth"', id="fresh"),
        pytest.param(
            True, 'Digest realm="a\\"b", nonce="n", algorithm=MD5, qop="auth", stale=true', id="stale"
        ),
    ],
)
def test_a_challenge_quotes_what_the_rfc_quotes(stale: bool, header: str) -> None:
    assert challenge('a"b', "n", MD5, stale=stale) == header


@unhurried
@given(credentials)
def test_credentials_survive_a_phones_text(value: Credentials) -> None:
    assert parse_credentials(text(value)) == value


@unhurried
@given(credentials)
def test_credentials_survive_our_own_text(value: Credentials) -> None:
    assert parse_credentials(str(value)) == value


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        pytest.param('Digest realm="r", nonce="n"', DigestChallenge("r", "n"), id="least"),
        pytest.param(
            'digest realm="a\\"b", nonce="n", algorithm=sha-256, qop="Auth, auth-int", opaque="o"',
            DigestChallenge('a"b', "n", SHA256, ("auth", "auth-int"), "o"),
            id="all of it",
        ),
        pytest.param(
            'Digest realm="r", nonce="n", algorithm=MD5-sess, qop=auth',
            DigestChallenge("r", "n", "MD5-sess", ("auth",)),
            id="unknown algorithm",
        ),
        pytest.param('Basic realm="r"', None, id="another scheme"),
        pytest.param('Digest realm="r"', None, id="no nonce"),
        pytest.param('Digest nonce="n"', None, id="no realm"),
    ],
)
def test_a_challenge_is_read(header: str, parsed: DigestChallenge | None) -> None:
    assert parse_challenge(header) == parsed


@pytest.mark.parametrize("header", ["", "(x)", 'Digest realm="r', "Digest x=y" + ", x=y" * 64])
def test_a_challenge_that_is_none_is_malformed(header: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_challenge(header)


@unhurried
@given(anything)
def test_any_text_gives_credentials_or_a_sip_error(written: str) -> None:
    for authorization in (written, f"Digest {written}", f"Digest {FIVE}, {written}"):
        try:
            found = parse_credentials(authorization)
            if found is not None:
                expected(found, "REGISTER", "key")
        except SipError:
            pass


@unhurried
@given(st.text(), st.text(), st.text(), st.sampled_from([MD5, SHA256]))
def test_any_name_and_password_have_a_key(username: str, realm: str, password: str, algorithm: str) -> None:
    assert len(ha1(username, realm, password, algorithm)) == {MD5: 32, SHA256: 64}[algorithm]
