"""Bearer tokens (JWT, HS256): made for people and for machines, checked for every request."""

from dataclasses import dataclass
from datetime import timedelta
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


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token with a good signature says."""

    level: AccessLevel
    customer: str | None
    employee: str | None
    employee_version: int | None
    """The token is void once the employee's version has moved on; None: not bound to a version."""


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
    minutes: int = 15,
    employee_version: int | None = None,
) -> str:
    """A token that is good for `minutes`; with `employee_version` it dies when the employee changes."""
    now = clock.utc_now()
    claims: dict[str, object] = {"lvl": level.name, "iat": now, "exp": now + timedelta(minutes=minutes)}
    optional = {"sub": employee, "cus": customer, "ver": employee_version}
    claims |= {name: value for name, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def bearer(header: str | None) -> str:
    """The token in an Authorization header. Raises Refused (401) when there is none."""
    if not header:
        raise unauthorized("credentials_invalid", "No credentials were given")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or " " in token.strip():
        raise unauthorized("format_error", "Format is Authorization: Bearer [token]")
    return token.strip()


def verify(token: str, secret: str) -> Claims:
    """What the token says. Raises Refused (401) when it is expired, forged or not one of ours."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise invalid_token()
    options: jwt.types.Options = {"require": ["exp", "iat", "lvl"]}
    try:
        claims = jwt.decode(token, secret, algorithms=[ALGORITHM], leeway=LEEWAY_SECONDS, options=options)
    except jwt.ExpiredSignatureError:
        raise unauthorized("expired", "Token has expired") from None
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise invalid_token() from None
    return _claims(claims)


def unauthorized(code: str, message: str) -> Refused:
    """The 401 family; nothing tells a stranger more than the kind of fault."""
    return Refused(Problem(401, code, message), headers={"WWW-Authenticate": "Bearer"})


def invalid_token(message: str = "Undecipherable token") -> Refused:
    """The token is none of ours, or names somebody who may not log in."""
    return unauthorized("invalid_token", message)


def _claims(claims: dict[str, object]) -> Claims:
    level, customer, employee = claims.get("lvl"), claims.get("cus"), claims.get("sub")
    version = claims.get("ver")
    if not isinstance(level, str) or level not in AccessLevel.__members__:
        raise invalid_token()
    if not (customer is None or isinstance(customer, str)):
        raise invalid_token()
    if not (employee is None or isinstance(employee, str)):
        raise invalid_token()
    if not (version is None or type(version) is int):
        raise invalid_token()
    return Claims(AccessLevel[level], customer, employee, version)
