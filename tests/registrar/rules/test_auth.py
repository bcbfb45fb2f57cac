"""registrar/rules/auth.py: what we challenge with, whose answers we look at, and which fit."""

from dataclasses import replace

import pytest

from registrar.model import Phone, Terms
from registrar.rules import nonces
from registrar.rules.auth import DUMMY_PASSWORD, OFFERED, Authenticator, Claim, is_too_weak, nonce_count
from registrar.sip import Credentials, expected, ha1
from tests.every import every

from .words import DOMAIN, NOW, PHONE, request

KEY = bytes(range(33))
SALT = b"saltsalt"
HERE = "198.51.100.7"
SERVICE = "service.test"
DOMAINS = {DOMAIN, "rival.test"}
WARY = replace(PHONE, terms=Terms(sha256=True))


def guard(digest: str = "md5") -> Authenticator:
    ours = DOMAINS | {SERVICE, "192.0.2.10"}
    return Authenticator(KEY, OFFERED[digest], SERVICE, DOMAINS.__contains__, ours.__contains__)


def credentials(
    *,
    realm: str = DOMAIN,
    nonce: str | None = None,
    username: str = PHONE.username,
    password: str = PHONE.password,
    uri: str = f"sip:{DOMAIN}",
    algorithm: str = "MD5",
    qop: str = "auth",
    nc: str = "00000001",
    method: str = "REGISTER",
) -> Credentials:
    if nonce is None:
        nonce = nonces.issue(KEY, NOW, SALT, HERE, realm)
    bare = Credentials(
        username, realm, nonce, uri, "", algorithm, "cnonce" if qop else "", qop, nc if qop else ""
    )
    known = algorithm in ("MD5", "SHA-256")
    return replace(
        bare, response=expected(bare, method, ha1(username, realm, password, algorithm)) if known else "00"
    )


def header(value: Credentials) -> str:
    qop = f', qop={value.qop}, nc={value.nc}, cnonce="{value.cnonce}"' if value.qop else ""
    return (
        f'Authorization: Digest username="{value.username}", realm="{value.realm}", nonce="{value.nonce}", '
        f'uri="{value.uri}", response="{value.response}", algorithm={value.algorithm}{qop}\r\n'
    )


def claimed(*values: Credentials, address: str = HERE) -> Claim | None:
    return guard().claim(request(more="".join(map(header, values))), address)


def proves(value: Credentials, phone: Phone | None = PHONE, digest: str = "md5") -> bool:
    claim = guard(digest).claim(request(more=header(value)), HERE)
    assert claim is not None
    return guard(digest).proves(claim, "REGISTER", phone)


@pytest.mark.parametrize(
    ("uri", "to", "realm"),
    [
        pytest.param(f"sip:{DOMAIN}", "sip:200@rival.test", DOMAIN, id="the domain of the Request-URI first"),
        pytest.param("sip:ACME.test.", f"sip:200@{DOMAIN}", DOMAIN, id="in lower case"),
        pytest.param("sip:192.0.2.10", f"sip:200@{DOMAIN}", DOMAIN, id="else the domain of To"),
        pytest.param("sip:192.0.2.10", "sip:200@192.0.2.10", SERVICE, id="else the service realm"),
        pytest.param("sip:elsewhere.test", "sip:200@elsewhere.test", SERVICE, id="not a domain of others"),
    ],
)
def test_the_realm_is(uri: str, to: str, realm: str) -> None:
    assert guard().realm(request(uri=uri, to=to)) == realm


@pytest.mark.parametrize(
    ("uri", "to", "from_", "realm"),
    [
        pytest.param("tel:201", "tel:201", f"sip:200@{DOMAIN}", DOMAIN, id="the domain of the sender"),
        pytest.param(
            "urn:service:sos", "urn:service:sos", f"sip:200@{DOMAIN}", DOMAIN, id="of a service too"
        ),
        pytest.param("tel:201", "sip:201@rival.test", f"sip:200@{DOMAIN}", "rival.test", id="To first"),
        pytest.param("tel:201", "tel:201", "tel:200", SERVICE, id="else the service realm"),
        pytest.param(
            "sip:192.0.2.10", "sip:201@192.0.2.10", f"sip:200@{DOMAIN}", SERVICE, id="not beside a host"
        ),
    ],
)
def test_the_realm_of_a_call_to_a_number_is(uri: str, to: str, from_: str, realm: str) -> None:
    assert guard().realm(request(uri=uri, to=to, from_=from_, method="INVITE")) == realm


@pytest.mark.parametrize(
    ("digest", "algorithms"),
    [
        pytest.param("md5", ["MD5"], id="MD5 alone"),
        pytest.param("sha-256", ["SHA-256"], id="SHA-256 alone"),
        pytest.param("both", ["SHA-256", "MD5"], id="SHA-256 preferred"),
    ],
)
def test_one_challenge_for_each_algorithm(digest: str, algorithms: list[str]) -> None:
    values = guard(digest).challenges(DOMAIN, HERE, NOW, SALT)
    assert [value.partition("algorithm=")[2].partition(",")[0] for value in values] == algorithms
    assert all('qop="auth"' in value and f'realm="{DOMAIN}"' in value for value in values)
    assert all("stale" not in value for value in values)


def test_a_stale_challenge_says_so_unquoted() -> None:
    assert guard().challenges(DOMAIN, HERE, NOW, SALT, stale=True)[0].endswith(", stale=true")


def test_an_answer_to_our_challenge_is_a_claim() -> None:
    mine = credentials()
    claim = claimed(mine)
    assert claim is not None
    assert claim.credentials == mine
    assert claim.nonce.here


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(credentials(realm="elsewhere.test"), id="another realm"),
        pytest.param(credentials(realm="ACME.TEST"), id="a realm we never spell so"),
        pytest.param(credentials(nonce="a" * 43), id="a nonce that is not ours"),
        pytest.param(
            credentials(nonce=nonces.issue(KEY, NOW, SALT, HERE, "rival.test")), id="of another realm"
        ),
    ],
)
def test_credentials_are_as_if_absent_with(value: Credentials) -> None:
    assert claimed(value) is None


def test_all_credentials_are_walked_to_find_ours() -> None:
    ours = credentials()
    claim = claimed(credentials(realm="elsewhere.test"), credentials(nonce="b" * 43), ours)
    assert claim is not None
    assert claim.credentials == ours


def test_another_scheme_is_as_if_absent() -> None:
    assert guard().claim(request(more="Authorization: Basic dTpw\r\n"), HERE) is None


def test_a_nonce_from_another_address_is_a_claim_that_says_so() -> None:
    claim = claimed(credentials(), address="203.0.113.9")
    assert claim is not None
    assert not claim.nonce.here


@every(
    "value",
    [
        pytest.param(credentials(), id="the plain answer"),
        pytest.param(credentials(qop=""), id="an answer without qop"),
        pytest.param(credentials(qop="AUTH"), id="a token in another case"),
        pytest.param(credentials(uri="sip:192.0.2.10;transport=udp"), id="the address of the server"),
        pytest.param(credentials(uri="sips:RIVAL.test"), id="any domain of ours"),
        pytest.param(credentials(realm=SERVICE), id="the service realm"),
        pytest.param(credentials(realm="rival.test"), id="the realm of another domain: usernames are unique"),
        pytest.param(credentials(nc="ffffffff"), id="the last count"),
    ],
)
def test_it_proves_with(value: Credentials) -> None:
    assert proves(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(credentials(password="q" * 32), id="a wrong password"),
        pytest.param(credentials(method="OPTIONS"), id="the digest of another method"),
        pytest.param(credentials(algorithm="SHA-256"), id="an algorithm that was not offered"),
        pytest.param(credentials(algorithm="MD5-sess"), id="a session algorithm"),
        pytest.param(credentials(qop="auth-int"), id="a qop that was not offered"),
        pytest.param(replace(credentials(), response=""), id="no response"),
        pytest.param(replace(credentials(), nc="00000002"), id="another count than was hashed"),
    ],
)
def test_it_does_not_prove_with(value: Credentials) -> None:
    assert not proves(value)


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        pytest.param("sip:acme.test", True, id="our domain"),
        pytest.param("sip:200@acme.test", True, id="somebody there"),
        pytest.param("sip:elsewhere.test", False, id="a uri that does not name us"),
        pytest.param("tel:200", True, id="a number names no host"),
        pytest.param("urn:service:sos", True, id="a service names no host"),
        pytest.param("mailto:anna@acme.test", False, id="a uri that cannot be called"),
        pytest.param("nonsense", False, id="a uri that is none"),
    ],
)
def test_a_right_digest_says_whom_it_was_made_for(uri: str, ours: bool) -> None:
    """Whoever has the password has proved it: a challenge again would change nothing."""
    value = credentials(uri=uri)
    claim = guard().claim(request(more=header(value)), HERE)
    assert claim is not None and proves(value)
    assert guard().is_for_us(claim) is ours


def test_sha_256_proves_where_it_is_offered() -> None:
    assert proves(credentials(algorithm="SHA-256"), digest="both")
    assert not proves(credentials(algorithm="MD5"), digest="sha-256")


def strict(digest: str = "md5") -> Authenticator:
    """One whose first domain requires SHA-256."""
    ours = DOMAINS | {SERVICE}
    serves, requires = DOMAINS.__contains__, (lambda realm: realm == DOMAIN)
    return Authenticator(KEY, OFFERED[digest], SERVICE, serves, ours.__contains__, requires)


@pytest.mark.parametrize("digest", ["md5", "both", "sha-256"])
def test_a_realm_that_requires_sha_256_offers_nothing_else(digest: str) -> None:
    (only,) = strict(digest).challenges(DOMAIN, HERE, NOW, SALT)
    assert "algorithm=SHA-256" in only
    others = strict(digest).challenges("rival.test", HERE, NOW, SALT)
    assert len(others) == len(OFFERED[digest])
    (again,) = strict(digest).challenges("rival.test", HERE, NOW, SALT, strict=True)
    assert "algorithm=SHA-256" in again


@pytest.mark.parametrize(
    ("phone", "realm", "algorithm", "right", "weak"),
    [
        pytest.param(WARY, DOMAIN, "SHA-256", True, False, id="in its realm"),
        pytest.param(WARY, "rival.test", "SHA-256", True, False, id="where MD5 was offered first"),
        pytest.param(WARY, DOMAIN, "MD5", True, True, id="the password is right, and that does not count"),
        pytest.param(PHONE, "rival.test", "SHA-256", False, False, id="it was not offered"),
        pytest.param(PHONE, "rival.test", "MD5", True, False, id="a phone without the policy"),
    ],
)
def test_sha_256_where_it_is_required(
    phone: Phone, realm: str, algorithm: str, right: bool, weak: bool
) -> None:
    claim = strict().claim(request(more=header(credentials(realm=realm, algorithm=algorithm))), HERE)
    assert claim is not None
    assert strict().proves(claim, "REGISTER", phone) is right
    assert is_too_weak(claim, phone) is weak


def test_a_wrong_digest_of_md5_is_wrong_also_there() -> None:
    claim = strict().claim(request(more=header(credentials(password="another"))), HERE)
    assert claim is not None and not strict().proves(claim, "REGISTER", WARY)


def test_nobody_proves_to_be_an_unknown_phone() -> None:
    assert not proves(credentials(), phone=None)
    assert not proves(credentials(password=DUMMY_PASSWORD), phone=None)


USER = replace(
    PHONE,
    id="u7",
    username="anna",
    password="",
    by_domain=True,
    ha1_md5=ha1("anna", DOMAIN, "secret", "MD5"),
    ha1_sha256=ha1("anna", DOMAIN, "secret", "SHA-256"),
)


def anna(password: str = "secret", **changes: str) -> Credentials:
    """What a SIP user answers, whose password is known to nobody else."""
    return credentials(username=changes.pop("username", "anna"), password=password, **changes)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_sip_user_proves_with_the_stored_ha1_of_the_algorithm(algorithm: str) -> None:
    assert proves(anna(algorithm=algorithm), USER, "both")
    assert not proves(anna("wrong", algorithm=algorithm), USER, "both")


@pytest.mark.parametrize(
    ("value", "user"),
    [
        pytest.param(anna(""), USER, id="no password"),
        pytest.param(anna(DUMMY_PASSWORD), USER, id="the password of nobody"),
        pytest.param(anna(algorithm="SHA-256"), replace(USER, ha1_sha256=""), id="no HA1 of that algorithm"),
        pytest.param(
            anna(DUMMY_PASSWORD, algorithm="SHA-256"), replace(USER, ha1_sha256=""), id="nor anybody's"
        ),
        pytest.param(
            anna(""), replace(USER, ha1_md5="", ha1_sha256=""), id="nothing, where nothing is known"
        ),
        pytest.param(
            anna(DUMMY_PASSWORD), replace(USER, ha1_md5="", ha1_sha256=""), id="nor what nobody has"
        ),
        pytest.param(anna(), None, id="nobody"),
    ],
)
def test_a_sip_user_does_not_prove_with(value: Credentials, user: Phone | None) -> None:
    assert not proves(value, user, "both")


@pytest.mark.parametrize(
    ("realm", "username"),
    [
        pytest.param("rival.test", "anna", id="another domain"),
        pytest.param(SERVICE, "anna", id="the service realm"),
        pytest.param(DOMAIN, "Anna", id="another name"),
    ],
)
def test_an_ha1_says_nothing_outside_its_domain(realm: str, username: str) -> None:
    """Whoever has a stored HA1 could answer any challenge with it, if the realm were not looked at."""
    value = credentials(realm=realm, username=username)
    forged = replace(value, response=expected(value, "REGISTER", USER.ha1_md5))
    assert not proves(forged, USER)


def test_the_secrets_of_a_sip_user_are_in_no_text_about_it() -> None:
    assert USER.ha1_md5 not in repr(USER) and USER.ha1_sha256 not in repr(USER)
    assert PHONE.password not in repr(PHONE)


@pytest.mark.parametrize(
    ("value", "count"),
    [
        pytest.param(credentials(nc="0000000a"), 10, id="the count in hexadecimal"),
        pytest.param(credentials(qop=""), 1, id="one use without qop"),
        pytest.param(credentials(nc="00000000"), 1, id="a count of nothing is the first"),
    ],
)
def test_the_count_to_check_is(value: Credentials, count: int) -> None:
    claim = claimed(value)
    assert claim is not None
    assert nonce_count(claim) == count
