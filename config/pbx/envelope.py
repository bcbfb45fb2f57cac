"""The errors of this dialect: `{"error": {"code", "status", "message", ...}}`."""

from collections.abc import Sequence

from fastapi.responses import JSONResponse

from ..errors import Problem, Refused


def refusal(refused: Refused) -> JSONResponse:
    """Return the response to a refused request."""
    return error_response(refused.problems, refused.headers)


def error_response(problems: Sequence[Problem], headers: dict[str, str] | None = None) -> JSONResponse:
    """Return one problem as the error; return several inside an error with the code `multiple`."""
    error = render(problems[0]) if len(problems) == 1 else _multiple(problems)
    status = problems[0].status if len(problems) == 1 else 422
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def render(problem: Problem) -> dict[str, object]:
    """Return one problem in JSON."""
    error: dict[str, object] = {
        "code": problem.code,
        "status": problem.status,
        "message": problem.message,
    }
    extras = {"path": problem.path, "check": problem.check}
    return error | {name: value for name, value in extras.items() if value}


def _multiple(problems: Sequence[Problem]) -> dict[str, object]:
    inner = [render(problem) for problem in problems]
    return {"code": "multiple", "status": 422, "message": "Multiple errors", "inner": inner}
