"""The dialect of a path, and how each of the two reports a refused request.

JSON dialect    `{"error": {"code", "status", "message", ...}}`; several problems are `inner` ones
row dialect     one JSON string and a line break; several problems are joined by `; `
"""

import json
from collections.abc import Sequence
from typing import Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

from .errors import Problem, Refused

ROWS: Final = "/config/"
"""Paths below this one use the row dialect, all others the JSON dialect."""
FIXED: Final = {401: "auth required", 403: "access denied", 404: "not found"}
"""The start of these messages, which clients of the row dialect compare; 403 and 404 add the reason."""
CHALLENGE: Final = 'Basic realm="config", charset="UTF-8"'


def refusal(path: str, refused: Refused) -> Response:
    """Return the response to a refused request for `path`."""
    return _row_refusal(refused) if speaks_rows(path) else _json_refusal(refused)


def speaks_rows(path: str) -> bool:
    """Return whether `path` belongs to the row dialect."""
    return path.lower().startswith(ROWS)


def _json_refusal(refused: Refused) -> JSONResponse:
    problems = [_rendered(problem) for problem in refused.problems]
    if len(problems) == 1:
        status, error = refused.problems[0].status, problems[0]
    else:
        status, error = (
            422,
            {"code": "multiple", "status": 422, "message": "Multiple errors", "inner": problems},
        )
    return JSONResponse({"error": error}, status_code=status, headers=refused.headers)


def _rendered(problem: Problem) -> dict[str, object]:
    error: dict[str, object] = {"code": problem.code, "status": problem.status, "message": problem.message}
    extras = {"path": problem.path, "check": problem.check}
    return error | {name: value for name, value in extras.items() if value}


def _row_refusal(refused: Refused) -> Response:
    problems = refused.problems
    status = problems[0].status if len(problems) == 1 else 400
    status = 400 if status == 422 else status
    headers = refused.headers | ({"WWW-Authenticate": CHALLENGE} if status == 401 else {})
    body = json.dumps(_message(status, problems), ensure_ascii=False) + "\n"
    return Response(
        body.encode(errors="replace"),  # the message may repeat text that was sent
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def _message(status: int, problems: Sequence[Problem]) -> str:
    said = "; ".join(problem.message for problem in problems)
    if status == 401:
        return FIXED[status]
    return f"{FIXED[status]}: {said.removesuffix(' not found')}" if status in FIXED else said
