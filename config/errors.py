"""Everything the API refuses, as values; each dialect renders them in its own way.

Problem     one thing that is wrong with a request
Refused     raised to end a request with its problems
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RETRY_SECONDS: Final = 2
"""What Retry-After says while a store is away."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `code` names the property or the kind, `message` tells a person."""

    status: int
    code: str
    message: str
    path: str = ""
    """The property, where one is to blame."""
    check: str = ""
    """required, format, range, enum, unique, exists, allowed or level"""


class Refused(Exception):
    """The request ends here. `headers` go out with the answer."""

    def __init__(self, *problems: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(", ".join(problem.code for problem in problems))
        self.problems = problems
        self.headers = dict(headers or {})


def level_too_low(needed: str) -> Refused:
    """The token is good, but its level is below the one that is needed."""
    message = f"Insufficient access level: {needed} is needed"
    return Refused(Problem(403, "access_denied", message, check="level"))


def not_your_customer(path: str = "customer") -> Refused:
    """The customer is out of sight, or does not exist: the answer is the same."""
    message = "The customer is not one that you may see"
    return Refused(Problem(403, "access_denied", message, path, "allowed"))


def not_your_property(path: str, message: str) -> Refused:
    """The caller may call the route, but not send or change this property."""
    return Refused(Problem(403, "access_denied", message, path, "allowed"))


def precondition_failed() -> Refused:
    """If-Match, or If-None-Match of a change, does not hold."""
    message = "The ETag is another one by now: read it again, and repeat the change if it still makes sense"
    return Refused(Problem(412, "precondition_failed", message))


def unsupported(message: str, headers: Mapping[str, str] | None = None) -> Refused:
    """The body is of a kind that this route does not read."""
    return Refused(Problem(415, "unsupported_media_type", message), headers=headers)


def not_found(what: str = "SIP phone") -> Refused:
    """Unknown, malformed or another customer's: the answer is the same."""
    return Refused(Problem(404, "not_found", f"{what} not found"))


def bad_request(message: str) -> Refused:
    """The request cannot be read at all."""
    return Refused(Problem(400, "bad_request", message))


def unavailable() -> Refused:
    """A store is away; the same request may work in a moment."""
    problem = Problem(503, "unavailable", "The service is temporarily unavailable, please try again")
    return Refused(problem, headers={"Retry-After": str(RETRY_SECONDS)})


def too_many_connections() -> Refused:
    """The caller's address has as many connections as it may have."""
    problem = Problem(429, "too_many_connections", "There are too many connections from this address")
    return Refused(problem, headers={"Retry-After": str(RETRY_SECONDS), "Connection": "close"})


def too_many(message: str, seconds: int) -> Refused:
    """There were too many of these; after `seconds` there may be more."""
    return Refused(Problem(429, "too_many", message), headers={"Retry-After": str(seconds)})


def internal_error() -> Problem:
    """Whatever nobody expected; details are for the log alone."""
    return Problem(500, "internal_error", "Internal error")
