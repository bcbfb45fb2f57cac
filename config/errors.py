"""The refusals of the API, as values. Each dialect renders them in its own way.

Problem     one thing that is wrong with a request
Refused     raised to end a request with its problems
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RETRY_SECONDS: Final = 2
"""The value of Retry-After while a store is away."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `code` is the property or the kind of fault, `message` is for people."""

    status: int
    code: str
    message: str
    path: str = ""
    """The property that is wrong, if it is a property."""
    check: str = ""
    """required, format, range, enum, unique, exists, allowed or level"""


class Refused(Exception):
    """Ends a request with an error response. `headers` are sent with it."""

    def __init__(self, *problems: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(", ".join(problem.code for problem in problems))
        self.problems = problems
        self.headers = dict(headers or {})


def level_too_low(needed: str) -> Refused:
    """Return the 403 for a valid token whose level is lower than the needed one."""
    message = f"Insufficient access level: {needed} is needed"
    return Refused(Problem(403, "access_denied", message, check="level"))


def not_your_customer(path: str = "customer") -> Refused:
    """Return the 403 for a customer that is not visible or does not exist; both get the same answer."""
    message = "The customer is not one that you may see"
    return Refused(Problem(403, "access_denied", message, path, "allowed"))


def not_your_property(path: str, message: str) -> Refused:
    """Return the 403 for a caller who may call the route, but not send or change this property."""
    return Refused(Problem(403, "access_denied", message, path, "allowed"))


def precondition_failed() -> Refused:
    """Return the 412 for an If-Match, or an If-None-Match of a change, that does not hold."""
    message = "The ETag is another one by now: read it again, and repeat the change if it still makes sense"
    return Refused(Problem(412, "precondition_failed", message))


def unsupported(message: str, headers: Mapping[str, str] | None = None) -> Refused:
    """Return the 415 for a body of a kind that this route does not read."""
    return Refused(Problem(415, "unsupported_media_type", message), headers=headers)


def refused(path: str, message: str, check: str, status: int = 409) -> Refused:
    """Return the refusal of one property, a 409 if it does not fit what is stored."""
    return Refused(Problem(status, path, message, path, check))


def not_found(what: str = "SIP phone") -> Refused:
    """Return the 404 for an id that is unknown, malformed or another customer's; all get the same answer."""
    return Refused(Problem(404, "not_found", f"{what} not found"))


def bad_request(message: str) -> Refused:
    """Return the 400 for a request that cannot be read at all."""
    return Refused(Problem(400, "bad_request", message))


def unavailable() -> Refused:
    """Return the 503 for a store that is away. The same request may succeed a moment later."""
    problem = Problem(503, "unavailable", "The service is temporarily unavailable, please try again")
    return Refused(problem, headers={"Retry-After": str(RETRY_SECONDS)})


def too_many_connections() -> Refused:
    """Return the 429 for an address that has as many connections as it may have."""
    problem = Problem(429, "too_many_connections", "There are too many connections from this address")
    return Refused(problem, headers={"Retry-After": str(RETRY_SECONDS), "Connection": "close"})


def too_many(message: str, seconds: int) -> Refused:
    """Return the 429 for too many requests of one kind. More are allowed after `seconds`."""
    return Refused(Problem(429, "too_many", message), headers={"Retry-After": str(seconds)})


def internal_error() -> Problem:
    """Return the 500 for an unexpected error. Its details are only in the log."""
    return Problem(500, "internal_error", "Internal error")
