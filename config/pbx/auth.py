"""The routes below /auth: login for a token, and validation of a token."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from .. import clock
from ..auth import MINUTES, Claims, Login, issue_token, read_header, read_token, wrong_login
from ..checks import address as parse_address
from ..checks import boolean
from ..deps import Parts, PartsDep, read_object
from ..errors import Refused, refused
from ..operations.logins import Visitor
from ..operations.people import identify
from ..request import source_address
from . import openapi
from .paging import flag

Json = dict[str, object]

FOR_EVER: Final = -1
"""Value of `expiresInMinutes` for a token that is valid until its person changes."""

routes = APIRouter(prefix="/auth", tags=["authentication"])


@routes.post("/login", summary="Log in", openapi_extra=openapi.LOGIN)
async def login_route(request: Request, parts: PartsDep) -> JSONResponse:
    """Return a token for an e-mail address, a password, and the code of an authenticator if there is one."""
    body = await read_object(request)
    login, visitor = read_login(body), visitor_of(request, parts)
    persist = boolean(body.get("persist"), "") is True
    minutes = None if persist else MINUTES
    entry = await parts.entrance.enter(login, visitor, minutes)
    person = entry.person
    whose = person.level, person.customer, person.employee
    token = issue_token(parts.settings.jwt_keys, *whose, minutes, person.version, entry.session)
    return JSONResponse(
        {
            "token": token,
            "expiresInMinutes": minutes or FOR_EVER,
            "employee": person.employee,
            "customer": person.customer,
            "accessLevel": person.level.name,
            "name": person.name,
            "session": entry.session,
        }
    )


def read_login(body: Json) -> Login:
    """Return the login in a body. Raise Refused (401) if it has none."""
    email, password, code = body.get("username"), body.get("password"), body.get("code")
    if not isinstance(email, str) or not isinstance(password, str):
        raise wrong_login()
    return Login(email, password, code if isinstance(code, str) else None)


def visitor_of(request: Request, parts: Parts) -> Visitor:
    """Return who sends a login."""
    address = source_address(request, parts.settings.trusted_proxies)
    return Visitor(address, request.headers.get("user-agent", ""))


@routes.get("/validateToken", summary="Check a token", openapi_extra=openapi.VALIDATE)
async def validate_route(
    request: Request,
    parts: PartsDep,
    token: Annotated[str | None, Query()] = None,
    ip: Annotated[str | None, Query()] = None,
) -> Response:
    """Return whose token it is; for services that validate the tokens of their users."""
    only_status = flag(request.query_params, "simple")
    try:
        answer = await _validate(request, parts, token, ip)
    except Refused as refused:
        if only_status and all(problem.status < 500 for problem in refused.problems):
            return Response(status_code=403)
        raise
    return Response() if only_status else JSONResponse(answer)


async def _validate(request: Request, parts: Parts, token: str | None, ip: str | None) -> Json:
    keys = parts.settings.jwt_keys
    header = request.headers.get("authorization")
    shown = read_token(token, keys) if token else read_header(header, keys, rows=False)
    if isinstance(shown, Login):  # this dialect does not accept a login in the header
        raise wrong_login()
    address = source_address(request, parts.settings.trusted_proxies)
    if ip:
        parsed = parse_address(ip)
        if parsed is None:
            raise refused("ip", "ip is not an IP address", "format", 422)
        address = parsed
    async with parts.read_engine.connect() as connection:
        caller = await identify(connection, shown, address)
    expires_at = shown.expires_at if isinstance(shown, Claims) else None
    answer: Json = {
        "success": True,
        "employee": caller.employee,
        "customer": caller.customer,
        "accessLevel": caller.level.name,
    }
    return answer | ({"expiresAt": clock.iso(expires_at)} if expires_at else {})
