"""How this dialect says what is wrong: one JSON string and a line break."""

import json
from typing import Final

from starlette.responses import Response

from ..errors import Refused

FIXED: Final = {401: "auth required", 403: "access denied", 404: "not found"}
"""What clients of this dialect compare with."""
CHALLENGE: Final = 'Basic realm="config", charset="UTF-8"'


def refusal(refused: Refused) -> Response:
    """The answer to a refused request; several problems are joined by `; `."""
    problems = refused.problems
    status = problems[0].status if len(problems) == 1 else 400
    status = 400 if status == 422 else status
    message = FIXED.get(status) or "; ".join(problem.message for problem in problems)
    headers = refused.headers | ({"WWW-Authenticate": CHALLENGE} if status == 401 else {})
    return Response(
        json.dumps(message, ensure_ascii=False) + "\n",
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
