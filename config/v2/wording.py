"""The errors of this dialect: one JSON string and a line break."""

import json
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from ..errors import Problem, Refused

FIXED: Final = {401: "auth required", 403: "access denied", 404: "not found"}
"""The start of these messages, which clients of this dialect compare; 403 and 404 add the reason."""
CHALLENGE: Final = 'Basic realm="config", charset="UTF-8"'


def refusal(refused: Refused) -> Response:
    """Return the response to a refused request; several problems are joined by `; `."""
    problems = refused.problems
    status = problems[0].status if len(problems) == 1 else 400
    status = 400 if status == 422 else status
    message = _message(status, problems)
    headers = refused.headers | ({"WWW-Authenticate": CHALLENGE} if status == 401 else {})
    body = json.dumps(message, ensure_ascii=False) + "\n"
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
