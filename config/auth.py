"""The credentials of a request: JWTs (HS256), tokens of machines, and logins."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import jwt

from registrar.store.keyring import Keyring

from . import clock
from .access import AccessLevel
from .errors import Problem, Refused

ALGORITHM: Final = "HS256"
LEEWAY_SECONDS: Final = 30
"""Allowed difference between the clocks of two machines."""
MAX_TOKEN_LENGTH: Final = 4_096
"""Our tokens have about 300 characters. A longer token is not decoded."""
MAX_BASIC_LENGTH: Final = 8_192
"""A login and the longest password, in UTF-8 and base64."""
MINUTES: Final = 15
"""How long a login is valid that is not to persist."""
VIA_DIGITS: Final = 16
"""Hexadecimal digits of the hash of a token in the audit log: enough to recognise a token that one has."""
OID_DIGITS: Final = 24
OPTIONS: Final[jwt.types.Options] = {
    "require": ["iat", "lvl"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}
"""`_check_times` checks the times."""
SERVICE_TOKEN: Final = re.compile(r"[a-z0-9]{48}")
"""Opaque tokens of machines. A JWT has dots."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a token with a valid signature."""

    level: AccessLevel
    customer: str | None
    employee: str | None
    employee_version: int | None
    """The token is invalid after the employee's version has changed; None if it is not bound to a version."""
    expires_at: datetime | None = None
    """None if the token is valid until the employee changes."""
    via: str = ""
    """What the audit log calls the token."""
    session: str | None = None
    """The token is void after this session has ended; None: it belongs to no session."""


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A token of a machine, in the form in which it is looked up."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Login:
    """The e-mail address and the password of a person."""

    email: str
    password: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    """The code of an authenticator, or a recovery code."""


Credentials = Claims | ServiceToken | Login


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: the content of its token, checked against the employee that it names."""

    level: AccessLevel
    customer: str | None
    """Id of the caller's own customer; None if the token belongs to no customer."""
    employee: str | None
    """Id of the person; None if the token belongs to no person."""
    via: str = field(default="", compare=False)
    """With what the caller came, for the audit log: see `tables.AuditLog.via`."""


def issue_token(
    keys: Keyring | str,
    level: AccessLevel,
    customer: str | None = None,
    employee: str | None = None,
    minutes: int | None = MINUTES,
    employee_version: int | None = None,
    session: str | None = None,
) -> str:
    """Return a token that is valid for `minutes`, and with `employee_version` until the employee changes.

    With `session`, it is valid until that ends.

    Only a token with `employee_version` may be valid for ever (`minutes` None).
    """
    now = clock.utc_now()
    claims: dict[str, object] = {"lvl": level.name, "iat": now}
    expiry = None if minutes is None else now + timedelta(minutes=minutes)
    optional = {"sub": employee, "cus": customer, "ver": employee_version, "exp": expiry, "sid": session}
    claims |= {name: value for name, value in optional.items() if value is not None}
    ring = keys if isinstance(keys, Keyring) else Keyring(keys)
    return jwt.encode(claims, ring.secret, algorithm=ALGORITHM, headers={"kid": ring.active})


def hash_token(token: str) -> str:
    """Return the stored form of a machine's token. The token is random enough to need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_header(header: str | None, keys: Keyring, *, rows: bool) -> Credentials:
    """Return the credentials in an Authorization header. With `rows`, Basic and ApiKey are allowed, too.

    `rows` is set for the row dialect. Raise Refused (401) if there are none, or if they are invalid.
    """
    if not header:
        raise unauthorized("credentials_invalid", "No credentials were given")
    scheme, _, rest = header.partition(" ")
    rest = rest.strip()
    kind = scheme.lower()
    if not rest or " " in rest or kind not in (("bearer", "apikey", "basic") if rows else ("bearer",)):
        raise format_error()
    if kind == "basic":
        return _basic(rest)
    return read_token(rest, keys) if kind == "bearer" else _service_token(rest)


def read_token(token: str, keys: Keyring) -> Claims | ServiceToken:
    """Return the claims of a token, or its look-up form. Raise Refused (401) if expired or invalid."""
    return verify(token, keys) if SERVICE_TOKEN.fullmatch(token) is None else _service_token(token)


def verify(token: str, keys: Keyring) -> Claims:
    """Return the claims of a JWT. Raise Refused (401) if it is expired, forged or not issued by us.

    `kid` names our key. A token without one, or with another issuer's, is tried with each key.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise invalid_token()
    for secret in _candidates(token, keys):
        try:
            claims = jwt.decode(token, secret, algorithms=[ALGORITHM], options=OPTIONS)
            _check_times(claims, clock.epoch_now())
            return _named(_claims(claims), token)
        except jwt.ExpiredSignatureError:
            raise unauthorized("expired", "Token has expired") from None
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError):
            break
    raise invalid_token()


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """Check begin and end by our own clock, as PyJWT does by that of the machine, which may be wrong.

    Raise the errors of PyJWT.
    """
    for name in ("iat", "nbf"):
        if name in claims and int(claims[name]) > now + LEEWAY_SECONDS:
            raise jwt.ImmatureSignatureError(f"the token is not valid yet ({name})")
    if "exp" in claims and int(claims["exp"]) <= now - LEEWAY_SECONDS:
        raise jwt.ExpiredSignatureError("the token has expired")


def _named(claims: Claims, token: str) -> Claims:
    """Return the claims with the name that the audit log gives this token."""
    if claims.session:
        return replace(claims, via=f"session:{claims.session[:OID_DIGITS]}")
    return replace(claims, via=f"jwt:{hash_token(token)[:VIA_DIGITS]}")


def _candidates(token: str, keys: Keyring) -> tuple[str, ...]:
    """Return the keys that may have signed a token."""
    if len(keys.names) == 1:
        return keys.secrets
    try:
        name = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return ()
    named = keys.named(name) if isinstance(name, str) else None
    return keys.secrets if named is None else (named,)


def format_error() -> Refused:
    """Return the 401 for a header whose scheme this dialect does not know."""
    return unauthorized("format_error", "Format is Authorization: Bearer [token]")


def wrong_login() -> Refused:
    """Return the 401 for a wrong login. It does not tell what was wrong."""
    return unauthorized("credentials_invalid", "The credentials are invalid")


def unauthorized(code: str, message: str) -> Refused:
    """Return a 401. It tells a stranger no more than the kind of fault."""
    return Refused(Problem(401, code, message), headers={"WWW-Authenticate": "Bearer"})


def invalid_token(message: str = "Undecipherable token") -> Refused:
    """Return the 401 for a token that we did not issue, or whose person may not log in."""
    return unauthorized("invalid_token", message)


def _service_token(token: str) -> ServiceToken:
    if SERVICE_TOKEN.fullmatch(token) is None:
        raise invalid_token()
    return ServiceToken(hash_token(token))


def _basic(encoded: str) -> Login:
    """Return the login in Basic credentials (RFC 7617, in UTF-8). Raise Refused (401)."""
    if len(encoded) > MAX_BASIC_LENGTH:
        raise format_error()
    try:
        email, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise format_error() from None
    if not colon:
        raise format_error()
    return Login(email, password)


def _claims(claims: dict[str, object]) -> Claims:
    level, customer, employee = claims.get("lvl"), claims.get("cus"), claims.get("sub")
    version, expiry, session = claims.get("ver"), claims.get("exp"), claims.get("sid")
    if (
        not (isinstance(level, str) and level in AccessLevel.__members__)
        or not (customer is None or isinstance(customer, str))
        or not (employee is None or isinstance(employee, str))
        or not (version is None or type(version) is int)
        or not (session is None or isinstance(session, str))
        or (expiry is None and None in (employee, version))  # without an end, but not bound to an employee
    ):
        raise invalid_token()
    return Claims(AccessLevel[level], customer, employee, version, _moment(expiry), session=session)


def _moment(expiry: object) -> datetime | None:
    if not isinstance(expiry, int | float | str):
        return None
    try:
        return clock.utc(int(expiry))
    except (ValueError, OverflowError, OSError):  # beyond the range of datetime
        return None
