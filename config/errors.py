"""The refusals of the API as values, and how the dialect of a path reports them.

Problem         one thing that is wrong with a request
Refused         raised to end a request with its problems
JSON dialect    `{"error": {"code", "status", "message", ...}}`; several problems are `inner` ones
row dialect     one JSON string and a line break; several problems are joined by `; `
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

RETRY_SECONDS: Final = 2
"""The value of Retry-After while a store is away."""
ROWS: Final = "/config/"
"""Paths below this one use the row dialect, all others the JSON dialect."""
FIXED: Final = {401: "auth required", 403: "access denied", 404: "not found"}
"""The start of these messages, which clients of the row dialect compare; 403 and 404 add the reason."""
CHALLENGE: Final = 'Basic realm="config", charset="UTF-8"'


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


# Responses


def refusal(path: str, refused: Refused) -> Response:
    """Return the response to a refused request for `path`."""
    return _row_refusal(refused) if speaks_rows(path) else _json_refusal(refused)


def speaks_rows(path: str) -> bool:
    """Return whether `path` belongs to the row dialect."""
    return path.lower().startswith(ROWS)


def _json_refusal(refused: Refused) -> JSONResponse:
    problems: list[dict[str, object]] = []
    for problem in refused.problems:
        problems.append({"code": problem.code, "status": problem.status, "message": problem.message})
        problems[-1] |= {"path": problem.path} if problem.path else {}
        problems[-1] |= {"check": problem.check} if problem.check else {}
    error, status = problems[0], refused.problems[0].status
    if len(problems) > 1:
        error, status = {"code": "multiple", "status": 422, "message": "Multiple errors"}, 422
        error["inner"] = problems
    return JSONResponse({"error": error}, status_code=status, headers=refused.headers)


def _row_refusal(refused: Refused) -> Response:
    problems = refused.problems
    status = problems[0].status if len(problems) == 1 else 400
    status = 400 if status == 422 else status
    headers = refused.headers | ({"WWW-Authenticate": CHALLENGE} if status == 401 else {})
    message = "; ".join(problem.message for problem in problems)
    if status == 401:
        message = FIXED[status]
    elif status in FIXED:
        message = f"{FIXED[status]}: {message.removesuffix(' not found')}"
    body = json.dumps(message, ensure_ascii=False) + "\n"
    return Response(
        body.encode(errors="replace"),  # the message may repeat text that was sent
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
