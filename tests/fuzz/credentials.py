"""Authorization and who looks at it: nothing that nobody signed lets anybody in, and nothing raises."""

from dataclasses import replace
from hashlib import md5
from typing import Final

from registrar.errors import SipError
from registrar.model import Epoch, IpMode, Phone
from registrar.rules import nonces
from registrar.rules.auth import OFFERED, Authenticator, nonce_count
from registrar.sip import Credentials, Headers, Request, parse_credentials

KEY: Final = bytes(range(33))
NOW: Final = Epoch(1_790_000_000.0)
HERE: Final = "198.51.100.7"
REALM: Final = "home.example"
NONCE: Final = nonces.issue(KEY, NOW, b"saltsalt", HERE, REALM)
PHONE: Final = Phone(
    id="0" * 24,
    version=1,
    username="ann",
    domain=REALM,
    customer="1" * 24,
    active=True,
    extension="200",
    password="p" * 32,
    secret_version=1,
    mode=IpMode.OPEN,
)
GUARD: Final = Authenticator(
    KEY, OFFERED["both"], REALM, (lambda host: host == REALM), (lambda host: host == REALM)
)
RIGHT: Final = (
    f'Digest username="ann", realm="{REALM}", nonce="{NONCE}", uri="sip:{REALM}", '
    'response="{response}", qop=auth, nc=00000001, cnonce="c"'
)


def _hash(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


RESPONSE: Final = _hash(
    f"{_hash(f'ann:{REALM}:{PHONE.password}')}:{NONCE}:00000001:c:auth:{_hash(f'REGISTER:sip:{REALM}')}"
)
SEEDS: Final = (
    RIGHT.format(response=RESPONSE).encode(),
    RIGHT.format(response="00ff").encode(),
    f'Digest username="ann", realm="{REALM}", nonce="{NONCE}", uri="sip:{REALM}", response="00"'.encode(),
    b'Digest username="a\\"b", realm="r", nonce="n", uri="sip:h", response="", algorithm=SHA-256, opaque="o"',
    b"Basic YW5uOmFubg==",
    b"Digest",
)
SIGNED: Final = {"ann", REALM, NONCE, "00000001", "c"}


def check(data: bytes) -> None:
    """`data` is the value of one Authorization header."""
    text = data.decode("latin-1")
    if "\n" in text or "\r" in text:
        return  # no value of a header has any
    request = Request("REGISTER", f"sip:{REALM}", Headers([("authorization", "Authorization", text)]))
    try:
        found = parse_credentials(text)
        claim = GUARD.claim(request, HERE)
    except SipError:
        return
    if found is None or claim is None:
        assert claim is None
        return
    assert claim.credentials == found
    assert nonce_count(claim) >= 0
    assert not GUARD.proves(claim, "REGISTER", None), "nobody is not proved"
    if GUARD.proves(claim, "REGISTER", PHONE):
        assert _signed(found), found
    assert not GUARD.proves(claim, "REGISTER", replace(PHONE, password="q" * 32))


def _signed(found: Credentials) -> bool:
    """The only thing that was ever signed with the phone's password, however it is written."""
    signed = (found.username, found.realm, found.nonce, found.uri, found.nc, found.cnonce, found.qop)
    wanted = ("ann", REALM, NONCE, f"sip:{REALM}", "00000001", "c", "auth")
    return signed == wanted and found.response == RESPONSE
