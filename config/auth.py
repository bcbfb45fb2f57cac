"""What a request says about who sends it: JWTs (HS256), tokens of machines, and logins."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import jwt

from . import clock
from .access import AccessLevel
from .errors import Problem, Refused

ALGORITHM: Final = "HS256"
LEEWAY_SECONDS: Final = 30
"""How far the clocks of two machines may differ."""
MAX_TOKEN_LENGTH: Final = 4_096
"""Ours have about 300 characters; no longer text is decoded."""
MAX_BASIC_LENGTH: Final = 8_192
"""A login and the longest password, in UTF-8 and base64."""
MINUTES: Final = 15
"""How long a login is good that is not to persist."""
SERVICE_TOKEN: Final = re.compile(r"[a-z0-9]{48}")
"""Opaque tokens of machines; a JWT has dots."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token with a good signature says."""

    level: AccessLevel
    customer: str | None
    employee: str | None
    employee_version: int | None
    """The token is void once the employee's version has moved on; None: not bound to a version."""
    expires_at: datetime | None = None
    """None: good until the employee changes."""


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A token of a machine, as it is looked up."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Login:
    """The e-mail address and the password of a person."""

    email: str
    password: str = field(repr=False)


Credentials = Claims | ServiceToken | Login


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: what a token says, checked against the employee it names."""

    level: AccessLevel
    customer: str | None
    """Id of the caller's own customer; None: a token of no customer."""
    employee: str | None
    """Id of the person; None: a token of no person."""


def issue_token(
    secret: str,
    level: AccessLevel,
    customer: str | None = None,
    employee: str | None = None,
    minutes: int | None = MINUTES,
    employee_version: int | None = None,
) -> str:
    """A token that is good for `minutes`; with `employee_version` it dies when the employee changes.

    Only such a one may be good for ever (`minutes` None).
    """
    now = clock.utc_now()
    claims: dict[str, object] = {"lvl": level.name, "iat": now}
    expiry = None if minutes is None else now + timedelta(minutes=minutes)
    optional = {"sub": employee, "cus": customer, "ver": employee_version, "exp": expiry}
    claims |= {name: value for name, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def hash_token(token: str) -> str:
    """What is kept of a token of a machine: it is random enough that no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_header(header: str | None, secret: str, *, rows: bool) -> Credentials:
    """What an Authorization header carries; `rows`: the row dialect also knows Basic and ApiKey.

    Raises Refused (401) when there is none, or none of ours.
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
    return read_token(rest, secret) if kind == "bearer" else _service_token(rest)


def read_token(token: str, secret: str) -> Claims | ServiceToken:
    """What a token says, or how it is looked up. Raises Refused (401) when it is expired, or none of ours."""
    return verify(token, secret) if SERVICE_TOKEN.fullmatch(token) is None else _service_token(token)


def verify(token: str, secret: str) -> Claims:
    """What a JWT says. Raises Refused (401) when it is expired, forged or not one of ours."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise invalid_token()
    options: jwt.types.Options = {"require": ["iat", "lvl"]}
    try:
        claims = jwt.decode(token, secret, algorithms=[ALGORITHM], leeway=LEEWAY_SECONDS, options=options)
    except jwt.ExpiredSignatureError:
        raise unauthorized("expired", "Token has expired") from None
    except (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError):
        raise invalid_token() from None
    return _claims(claims)


def format_error() -> Refused:
    """The header is not one that this dialect knows."""
    return unauthorized("format_error", "Format is Authorization: Bearer [token]")


def wrong_login() -> Refused:
    """Whatever is wrong with a login: nobody learns what it was."""
    return unauthorized("credentials_invalid", "The credentials are invalid")


def unauthorized(code: str, message: str) -> Refused:
    """The 401 family; nothing tells a stranger more than the kind of fault."""
    return Refused(Problem(401, code, message), headers={"WWW-Authenticate": "Bearer"})


def invalid_token(message: str = "Undecipherable token") -> Refused:
    """The token is none of ours, or names somebody who may not log in."""
    return unauthorized("invalid_token", message)


def _service_token(token: str) -> ServiceToken:
    if SERVICE_TOKEN.fullmatch(token) is None:
        raise invalid_token()
    return ServiceToken(hash_token(token))


def _basic(encoded: str) -> Login:
    """RFC 7617, in UTF-8."""
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
    version, expiry = claims.get("ver"), claims.get("exp")
    if not isinstance(level, str) or level not in AccessLevel.__members__:
        raise invalid_token()
    if not (customer is None or isinstance(customer, str)):
        raise invalid_token()
    if not (employee is None or isinstance(employee, str)):
        raise invalid_token()
    if not (version is None or type(version) is int):
        raise invalid_token()
    if expiry is None and None in (employee, version):
        raise invalid_token()  # only what dies with its person may live without an end
    return Claims(AccessLevel[level], customer, employee, version, _moment(expiry))


def _moment(expiry: object) -> datetime | None:
    if not isinstance(expiry, int | float | str):
        return None
    try:
        return clock.utc(int(expiry))
    except (ValueError, OverflowError, OSError):  # further away than the calendar goes
        return None
